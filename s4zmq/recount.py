"""The walk that counts what a node has at its start, in the background and without haste."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator

from .listing import sorted_paths
from .store import Store

log = logging.getLogger(__name__)

_AT_ONCE = 500
_PAUSE_S = 0.001
"""Requests come first: the walk lets go of the interpreter now and then."""


class Recount:
    """One walk over all keys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recount", daemon=True)

    def start(self) -> None:
        """Begin; the store's tally is whole at the end."""
        self._thread.start()

    def stop(self) -> None:
        """The node ends. Does not wait for a disk that hangs."""
        self._is_over.set()

    def _run(self) -> None:
        tally = self._store.tally
        try:
            while not self._is_over.is_set() and not self._walk():
                log.info("so many keys were made that counting what was there begins anew")
            if not self._is_over.is_set():
                log.debug("the node has %d keys, %d bytes", tally.keys, tally.bytes)
        except OSError as exc:
            log.warning("the keys can not be counted: %s", exc)
        except Exception:
            log.exception("the keys can not be counted")

    def _walk(self) -> bool:
        """Whether it came to its end, or nobody wants it any more."""
        tally = self._store.tally
        tally.begin()
        for number, path in enumerate(self._paths()):
            tally.meet(path, self._size_of)
            if tally.is_overrun:
                return False
            if number % _AT_ONCE == 0:
                time.sleep(_PAUSE_S)
                if self._is_over.is_set():
                    return True
        tally.end()
        return True

    def _paths(self) -> Iterator[str]:
        return sorted_paths(self._store, "")

    def _size_of(self, path: str) -> int:
        try:
            status = os.lstat(f"{self._store.keys_path}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return -1
        return status.st_size if stat.S_ISREG(status.st_mode) else -1
