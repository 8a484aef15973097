"""How many keys a node has, and how many bytes, without a walk for each who asks.

`Store` tells of every key that it makes or removes. What was there at the start is found by one walk in
the background (`recount`), in the order of the paths, while keys come and go. Behind the place where the
walk is, what is told of a key counts. Ahead of it the walk will meet the key, or not if it is gone by then;
but one that was made meanwhile is `fresh`: it counts at once, and the walk passes over it.

No I/O here. What a stranger does to the files goes unnoticed until the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_STRIPES = 64
_END = "\U0010ffff"
"""Behind every path."""


class Tally:
    """The count of one node. Safe to call from several threads."""

    def __init__(self, most_fresh: int) -> None:
        """`most_fresh`: keys made ahead of the walk that are remembered; with more it starts anew."""
        self._most_fresh = most_fresh
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]
        self._lock = threading.Lock()
        self._place = ""
        self._fresh: set[str] = set()
        self.keys = self.bytes = 0
        """Of those that were met so far: all, once `is_whole`."""
        self.made = self.removed = 0
        """Keys since the start of the node."""

    @property
    def is_whole(self) -> bool:
        """Whether the walk has ended."""
        return self._place == _END

    @property
    def is_overrun(self) -> bool:
        """Whether more keys were made ahead of the walk than are remembered."""
        return len(self._fresh) > self._most_fresh

    def changing(self, path: str) -> threading.Lock:
        """To be held while a key is made or removed, and until that is told. It keeps the walk, and whoever
        changes the same key, from coming between. (A context that is made for each key takes 2 us.)"""
        return self._stripes[hash(path) % _STRIPES]

    def add(self, path: str, size: int) -> None:
        """A key was made. Inside `changing`."""
        with self._lock:
            self.made += 1
            if path > self._place:
                self._fresh.add(path)
            self.keys += 1
            self.bytes += size

    def remove(self, path: str, size: int) -> None:
        """A key was removed. Inside `changing`."""
        with self._lock:
            self.removed += 1
            if path > self._place and path not in self._fresh:
                return  # the walk will not find it
            self._fresh.discard(path)
            # Files that were changed by hand may have been counted as smaller ones, or not at all.
            self.keys = max(0, self.keys - 1)
            self.bytes = max(0, self.bytes - size)

    # -- the walk

    def begin(self) -> None:
        """A walk starts: what was counted before counts no more."""
        with self._lock:
            self._place = ""
            self._fresh.clear()
            self.keys = self.bytes = 0

    def meet(self, path: str, size_of: Callable[[str], int]) -> None:
        """The walk is at `path`, which is not before the last one. `size_of` gives -1 where it is gone."""
        with self.changing(path):
            size = size_of(path)
            with self._lock:
                if size >= 0 and path not in self._fresh:
                    self.keys += 1
                    self.bytes += size
                self._fresh.discard(path)
                self._place = path

    def end(self) -> None:
        """The walk has met all."""
        with self._lock:
            self._place = _END
            self._fresh.clear()
