"""Requests that walk over all keys of this node, by a thread for each: they take as long as the disk needs.

Not on a disk thread, where others would wait for them. A walk ends with its client. What it looks for is
not known here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .caller import Caller
from .errors import InternalError, NodeBusy, S4Error
from .sessions import Sessions
from .store import Store

log = logging.getLogger(__name__)

Walk = Callable[[threading.Event], object]
"""The final reply, or an S4Error raised; it looks at the event, which is set when nobody waits any more."""


class Walks:
    """Those of one kind that run on this node."""

    def __init__(self, store: Store, sessions: Sessions, kind: str) -> None:
        """`kind` is what one is called."""
        self._store = store
        self._sessions = sessions
        self._kind = kind
        self._running: dict[tuple[bytes, int], threading.Event] = {}

    def start(self, caller: Caller, walk: Walk, *, most: int) -> None:
        """Raises NodeBusy where `most` run already, as more would only take turns, or too many clients
        have work."""
        if len(self._running) >= most:
            raise NodeBusy(f"{most} of {self._kind} run on node {self._store.node}: try again")
        token, ended = caller.token, threading.Event()
        self._running[token] = ended
        try:
            self._sessions.own(caller.session, token, ended.set)
            args = (walk, ended, caller)
            threading.Thread(target=self._run, args=args, name=self._kind, daemon=True).start()
        except BaseException:
            self._forget(token)
            raise

    def __len__(self) -> int:
        return len(self._running)

    def _forget(self, token: tuple[bytes, int]) -> None:
        self._sessions.release(token[0], token)
        self._running.pop(token, None)

    def _run(self, walk: Walk, ended: threading.Event, caller: Caller) -> None:
        try:
            with self._store.disk_errors(self._kind):
                reply = walk(ended)
        except S4Error as error:
            reply = error
        except Exception:
            log.exception("%s failed", self._kind)
            reply = InternalError(f"a bug on node {self._store.node}: see its log")
        finally:
            self._forget(caller.token)
        if isinstance(reply, S4Error):
            caller.fail(reply)
        else:
            caller.answer(reply)
