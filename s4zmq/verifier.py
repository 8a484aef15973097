"""`s4 verify` on the node: every key below a prefix read anew.

Changes nothing but what the store remembers of checked files.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable

from . import wire
from .caller import Caller
from .codec import Body, row_of
from .errors import (
    Cancelled,
    KeyInvalid,
    KeyNotFound,
    S4Error,
    StorageError,
    WorldError,
)
from .keys import SCHEME, Key, parse_prefix
from .limits import MAX_FAILURES_KEPT, MAX_VERIFIES, TICK_S
from .listing import walk
from .sessions import Sessions
from .store import Store
from .walks import Walks


class Verifier:
    """Verifies that run on this node."""

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._walks = Walks(store, sessions, "verify")

    def on_verify(self, request: wire.Verify, body: Body, caller: Caller) -> None:
        """Start. Raises KeyInvalid, or NodeBusy where too many run or too many clients have work."""
        prefix = parse_prefix("s4://" + request.prefix)
        self._walks.start(
            caller,
            lambda ended: _Walk(self._store, ended, caller.answer).run(prefix),
            most=MAX_VERIFIES,
        )

    def __len__(self) -> int:
        return len(self._walks)


class _Walk:
    """One look at every key below a prefix."""

    def __init__(self, store: Store, ended: threading.Event, tell: Callable[[object], None]) -> None:
        self._store = store
        self._ended = ended
        self._tell = tell
        self._keys = self._bytes = self._damaged = 0
        self._failures: list[wire.FailureRow] = []
        self._due = time.monotonic() + TICK_S

    def run(self, prefix: str) -> wire.VerifyDone:
        """Raises Cancelled where the client went away."""
        for entry in walk(self._store, prefix, recursive=True):
            self._look_at(entry.path)
            self._on_read(0)
        return wire.VerifyDone(self._keys, self._bytes, self._damaged, self._failures)

    def _look_at(self, path: str) -> None:
        try:
            self._read(Key.parse(SCHEME + path))
        except KeyInvalid as error:
            where = f"below {self._store.keys_path} of node {self._store.node}"
            self._note(StorageError(f"a file {where} is no key: {error.text}; remove it there"))
        except KeyNotFound:
            if not self._is_odd(path):
                return  # removed meanwhile
            self._note(self._store.damaged(Key(path), "it is no plain file"))
        except WorldError as error:
            self._note(error)
        self._keys += 1

    def _read(self, key: Key) -> None:
        fd, stamp = self._store.open(key)
        try:
            self._store.check_anew(fd, key, stamp, self._on_read)
        finally:
            os.close(fd)

    def _is_odd(self, path: str) -> bool:
        """Whether a link, pipe or the like stands there, which no node has made."""
        try:
            mode = os.lstat(f"{self._store.keys_path}/{path}").st_mode
        except OSError:
            return False
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)

    def _note(self, error: S4Error) -> None:
        self._damaged += 1
        if len(self._failures) < MAX_FAILURES_KEPT:
            self._failures.append(row_of(len(self._failures), error))

    def _on_read(self, count: int) -> None:
        """Once a chunk and once a key: is it still wanted, and is there news to tell?"""
        self._bytes += count
        if self._ended.is_set():
            raise Cancelled("the verify was ended, as its client was not heard of")
        now = time.monotonic()
        if now >= self._due:
            self._due = now + TICK_S
            self._tell(wire.Verifying(self._keys, self._bytes, self._damaged))
