"""The requests that a node works on, whether there is room for one more, and the ways back.

A request is known by its session and id: a client that dials again comes by another connection, with the
same session. Its *way* is the connection that its session has dialled last, by which the final reply goes.
Of a reply in pieces some may have gone with the connection before, so such a request is *lost* then.

A full node sends requests back (E_QUEUE), and their clients come again. However full it is, a connection
that has little or nothing here gets a place, up to twice the bounds: many strangers, or one with many
requests, shall not shut out everybody else. Used by one thread, but for `started`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence

from .caller import Letter
from .errors import QueueFull
from .limits import (
    KEPT_S,
    MAX_PARKED,
    MAX_PARKED_IN_ALL,
    MAX_QUEUED_BYTES,
    MAX_REQUESTS,
    MAX_REQUESTS_IN_HAND,
    OWN_REQUESTS,
)
from .outstanding import Outstanding

_WAYS_KEPT = 4

Name = tuple[bytes, int]
"""(session, id) of a request."""


class _Connection:
    def __init__(self) -> None:
        self.requests = 0
        self.queued_bytes = 0


class _Client:
    def __init__(self, way: bytes) -> None:
        self.ways = deque((way,), _WAYS_KEPT)
        """The connections by which it was heard, the newest first."""
        self.requests: dict[int, bytes] = {}
        """By which connection each came."""
        self.pieces: dict[int, bytes] = {}
        """Of those that are answered in pieces, by which connection all of these go."""
        self.kept: list[tuple[float, Letter]] = []
        """Replies for which no connection is left, and since when."""


class Admissions:
    """Requests by session, what each connection has here, and the bytes that wait for a thread."""

    def __init__(self, node: str, outstanding: Outstanding) -> None:
        """`outstanding`: room for the replies to what is admitted."""
        self._node = node
        self._outstanding = outstanding
        self._clients: dict[bytes, _Client] = {}
        self._connections: dict[bytes, _Connection] = {}
        self._keeping: set[_Client] = set()
        self._lost: set[Name] = set()
        self._lock = threading.Lock()
        self._count = 0
        self.total = 0
        """Requests that were ever admitted."""
        self._queued_bytes = 0

    def __len__(self) -> int:
        return self._count

    def knows(self, session: bytes, id: int) -> bool:
        """Whether the node works on this request."""
        found = self._clients.get(session)
        return found is not None and id in found.requests

    def has_any(self, identity: bytes) -> bool:
        """Whether the node works on a request that came by this connection."""
        return identity in self._connections

    # -- coming and going

    def admit(
        self,
        session: bytes,
        id: int,
        identity: bytes,
        *,
        body_bytes: int = 0,
        reply_bytes: int = 0,
    ) -> None:
        """Take a request in, which `knows` did not know. Raises QueueFull."""
        with self._lock:
            found = self._connections.get(identity) or _Connection()
            if not self._has_place(found) or not self._has_room(found):
                raise QueueFull(f"node {self._node} has too much to do: try again")
            if not self._outstanding.reserve(identity, id, reply_bytes):
                raise QueueFull(f"node {self._node} has too many bytes on their way: try again")
            self._connections[identity] = found
            found.requests += 1
            found.queued_bytes += body_bytes
            self._count += 1
            self.total += 1
            self._queued_bytes += body_bytes
        client = self._clients.get(session)
        if client is None:
            client = self._clients[session] = _Client(identity)
        client.requests[id] = identity

    def _has_place(self, found: _Connection) -> bool:
        own = found.requests
        return own < MAX_REQUESTS_IN_HAND and self._count < (2 if own < OWN_REQUESTS else 1) * MAX_REQUESTS

    def _has_room(self, found: _Connection) -> bool:
        return self._queued_bytes <= (1 if found.queued_bytes else 2) * MAX_QUEUED_BYTES

    def started(self, identity: bytes, body_bytes: int) -> None:
        """A thread has done with the request's body; from any thread."""
        with self._lock:
            self._queued_bytes -= body_bytes
            found = self._connections.get(identity)
            if found:
                found.queued_bytes -= body_bytes

    def end(self, session: bytes, id: int) -> None:
        """The request has had its final reply; one that is not known is fine."""
        client = self._clients.get(session)
        if client is None or id not in client.requests:
            return
        identity = client.requests.pop(id)
        client.pieces.pop(id, None)
        self._lost.discard((session, id))
        if not client.requests:
            del self._clients[session]
        self._outstanding.settle(identity, id)
        with self._lock:
            self._count -= 1
            found = self._connections[identity]
            found.requests -= 1
            if not found.requests:
                del self._connections[identity]

    def rest(self) -> None:
        """Give memory back, where there is nothing to be known."""
        with self._lock:
            for table in (self._clients, self._connections):
                if not table:
                    table.clear()  # which frees what an empty table holds for its next thousands

    # -- ways

    def hear(self, session: bytes, identity: bytes) -> Sequence[Name]:
        """The session has sent something by this connection. If it is a new one: which requests are lost
        by that."""
        client = self._clients.get(session)
        if client is None or identity in client.ways:
            return ()  # what an older connection had still to say is no news
        client.ways.appendleft(identity)
        names = [(session, id) for id in client.pieces]
        return [name for name in names if self.lose(*name)]

    def ways(self, session: bytes, id: int) -> Sequence[bytes]:
        """The connections by which a reply may go, the best first; none for a request that is not known."""
        client = self._clients.get(session)
        return tuple(client.ways) if client and id in client.requests else ()

    def way_of_pieces(self, session: bytes, id: int) -> bytes:
        """The one connection by which the other pieces of a reply have gone; empty before the first."""
        client = self._clients.get(session)
        return client.pieces.get(id, b"") if client else b""

    def note_piece(self, session: bytes, id: int, way: bytes) -> None:
        """A piece of a reply has gone."""
        client = self._clients.get(session)
        if client and id in client.requests:
            client.pieces[id] = way

    def keep(self, letter: Letter) -> bool:
        """Keep a reply until its session is heard again; False where it is not known, or has too many."""
        client = self._clients.get(letter.session)
        if client is None or letter.id not in client.requests or len(client.kept) >= MAX_PARKED:
            return False
        if sum(len(other.kept) for other in self._keeping) >= MAX_PARKED_IN_ALL:
            return False
        client.kept.append((time.monotonic(), letter))
        self._keeping.add(client)
        return True

    def take_kept(self, session: bytes) -> Sequence[Letter]:
        """What was kept for a session that has come again."""
        client = self._clients.get(session)
        if client is None or client not in self._keeping:
            return ()
        self._keeping.discard(client)
        kept, client.kept = client.kept, []
        return [letter for _, letter in kept]

    def take_old(self) -> Sequence[Letter]:
        """What was kept in vain."""
        until, old = time.monotonic() - KEPT_S, []
        for client in list(self._keeping):
            old += [letter for since, letter in client.kept if since < until]
            client.kept = [entry for entry in client.kept if entry[0] >= until]
            if not client.kept:
                self._keeping.discard(client)
        return old

    def lose(self, session: bytes, id: int) -> bool:
        """A piece of a reply was lost; False where nobody waits for it, or that is known already."""
        client = self._clients.get(session)
        if client is None or id not in client.requests or (session, id) in self._lost:
            return False
        self._lost.add((session, id))
        return True

    @property
    def lost(self) -> Collection[Name]:
        """Requests that can only end in an error."""
        return self._lost
