"""`s4 du` on the node: keys and bytes below a prefix, by a thread for each request.

Not on a disk thread, as it looks at every file. It ends with its client, as a verify does.
"""

from __future__ import annotations

import logging
import os
import threading

from . import wire
from .caller import Caller
from .codec import Body
from .errors import Cancelled, InternalError, NodeBusy, S4Error
from .keys import parse_prefix
from .limits import MAX_USAGES
from .listing import paths_below
from .sessions import Sessions
from .store import Store

log = logging.getLogger(__name__)


class Usages:
    """Walks that run on this node."""

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions
        self._running: dict[tuple[bytes, int], threading.Event] = {}
        """The event ends it."""

    def on_usage(self, request: wire.Usage, body: Body, caller: Caller) -> None:
        """Start. Raises KeyInvalid, or NodeBusy where too many run or too many clients have work."""
        prefix = parse_prefix("s4://" + request.prefix)
        if len(self._running) >= MAX_USAGES:
            raise NodeBusy(f"node {self._store.node} does {MAX_USAGES} of these at once: try again")
        token, ended = caller.token, threading.Event()
        self._running[token] = ended
        try:
            self._sessions.own(caller.session, token, ended.set)
            args = (prefix, ended, caller)
            threading.Thread(target=self._run, args=args, name="usage", daemon=True).start()
        except BaseException:
            self._forget(token)
            raise

    def __len__(self) -> int:
        return len(self._running)

    def _forget(self, token: tuple[bytes, int]) -> None:
        self._sessions.release(token[0], token)
        self._running.pop(token, None)

    def _run(self, prefix: str, ended: threading.Event, caller: Caller) -> None:
        try:
            with self._store.disk_errors("can not look at its keys"):
                reply: object = self._count(prefix, ended)
        except S4Error as error:
            reply = error
        except Exception:
            log.exception("a usage failed")
            reply = InternalError(f"a bug on node {self._store.node}: see its log")
        finally:
            self._forget(caller.token)
        if isinstance(reply, S4Error):
            caller.fail(reply)
        else:
            caller.answer(reply)

    def _count(self, prefix: str, ended: threading.Event) -> wire.UsageReply:
        keys = size = 0
        for path in paths_below(self._store, prefix):
            if ended.is_set():
                raise Cancelled("the look was ended, as its client was not heard of")
            try:
                size += os.lstat(f"{self._store.keys_path}/{path}").st_size
            except (FileNotFoundError, NotADirectoryError):
                continue  # removed meanwhile
            keys += 1
        return wire.UsageReply(keys, size)
