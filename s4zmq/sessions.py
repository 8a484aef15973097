"""Who still lives: leases of clients, and what ends with them.

ROUTER does not tell of a client that went away, so whatever a node holds for a client (transfers,
jobs, evals, listings) is registered here under the client's session and torn down with it: when the
client says so, when its lease runs out, or when the node drains. One place, so nothing is forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

from .errors import NodeBusy
from .limits import LEASE_S, MAX_SESSIONS

log = logging.getLogger(__name__)

Teardown = Callable[[], None]
"""Must not block; may be called again until what it ends has been released."""


class _Session:
    def __init__(self) -> None:
        self.seen_at = time.monotonic()
        self.owned: dict[Hashable, Teardown] = {}


class Sessions:
    """Leases by session id. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[bytes, _Session] = {}

    def own(self, session: bytes, token: Hashable, teardown: Teardown) -> None:
        """Tie `token` to the session. Raises NodeBusy when too many clients have work here."""
        with self._lock:
            if session not in self._sessions and len(self._sessions) >= MAX_SESSIONS:
                raise NodeBusy(f"{MAX_SESSIONS} clients have work on this node: try again")
            self._sessions.setdefault(session, _Session()).owned[token] = teardown

    def release(self, session: bytes, token: Hashable) -> None:
        """`token` has ended by itself."""
        with self._lock:
            found = self._sessions.get(session)
            if found:
                found.owned.pop(token, None)
                if not found.owned:
                    del self._sessions[session]

    def end(self, session: bytes, token: Hashable) -> None:
        """Tear down one thing that the session owns; one that has ended is fine."""
        with self._lock:
            found = self._sessions.get(session)
            teardown = found.owned.get(token) if found else None
        if teardown:
            teardown()

    def touch(self, session: bytes) -> None:
        """The client has just shown that it lives."""
        found = self._sessions.get(session)
        if found:
            found.seen_at = time.monotonic()

    def close(self, session: bytes) -> None:
        """Tear down all that the session owns."""
        with self._lock:
            found = self._sessions.pop(session, None)
        for teardown in found.owned.values() if found else ():
            try:
                teardown()
            except Exception:  # the others must be torn down all the same
                log.exception("a teardown failed")

    def expire(self) -> int:
        """Close the sessions whose lease has run out; how many."""
        oldest = time.monotonic() - LEASE_S
        with self._lock:
            expired = [id for id, found in self._sessions.items() if found.seen_at < oldest]
        for session in expired:
            self.close(session)
        return len(expired)

    def close_all(self) -> None:
        """Tear down everything: the node ends."""
        for session in list(self._sessions):
            self.close(session)

    def __len__(self) -> int:
        return len(self._sessions)
