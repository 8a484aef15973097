"""What a node has done since its start, for its metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Counters:
    """Numbers by name; they only grow, but for those that `during` keeps. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """So many more."""
        with self._lock:
            self._counts[name] += count

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """One more while inside."""
        self.add(name)
        try:
            yield
        finally:
            self.add(name, -1)

    def __getitem__(self, name: str) -> int:
        """0 where nothing was added."""
        return self._counts[name]
