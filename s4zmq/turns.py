"""Threads that share their time fairly between connections: nobody waits behind somebody's thousands.

Whoever has used least of the threads' time is next, so a request now and then is served at once, however
many others hand in more than can be done. A connection's own work starts in the order in which it came.
What the work is, these threads do not know.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from .limits import MAX_STRANGERS

Work = Callable[[], Any]
_EXPECTED_S = 0.0003
"""What work is taken to cost until it has ended: several threads may do work of one connection."""


class _Task(NamedTuple):
    work: Work
    price: float


class Turns:
    """A queue for each connection that has work, and threads that take from them."""

    def __init__(self, threads: int, name: str) -> None:
        self._changed = threading.Condition()
        self._queues: dict[bytes, deque[_Task]] = {}
        self._next_ones: list[tuple[float, int, bytes]] = []
        """A heap of (time used, number, whose), with one entry for each queue."""
        self._numbers = itertools.count()
        self._used_s: dict[bytes, float] = {}
        self._floor_s = 0.0
        """What those that are served now have used; who comes anew starts from there."""
        self._held = False
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """How many connections have work that waits."""
        return len(self._queues)

    def submit(self, whose: bytes, work: Work, price: float = 1.0) -> None:
        """Queue work, which must not raise; from any thread. After `stop` it is dropped.

        `price`: how much each second of it counts.
        """
        with self._changed:
            queue = self._queues.get(whose)
            if queue is None:
                queue = self._queues[whose] = deque()
                self._line_up(whose)
            queue.append(_Task(work, price))
            self._changed.notify()

    def forget(self) -> None:
        """Everybody is as good as new, where nothing waits: for a node that has nothing to do."""
        with self._changed:
            if not self._queues:
                self._used_s, self._queues, self._next_ones = {}, {}, []

    def hold(self) -> None:
        """Start nothing more until `go_on`; what runs goes on."""
        self._held = True

    def go_on(self) -> None:
        """After `hold`; without it nothing happens."""
        if self._held:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def stop(self) -> None:
        """Drop what waits, and wait for what runs."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # -- the threads

    def _run(self) -> None:
        while True:
            whose, task = self._take()
            if task is None:
                return
            started_at = time.monotonic()
            task.work()
            self._charge(whose, (time.monotonic() - started_at - _EXPECTED_S) * task.price)
            del task  # or it would hold a body of a mebibyte while the thread has nothing to do

    def _take(self) -> tuple[bytes, _Task | None]:
        with self._changed:
            while (self._held or not self._queues) and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return b"", None
            used_s, _, whose = heapq.heappop(self._next_ones)
            self._floor_s = max(self._floor_s, used_s)
            queue = self._queues[whose]
            task = queue.popleft()
            self._used_s[whose] = used_s + _EXPECTED_S * task.price
            if queue:
                self._line_up(whose)
            else:
                del self._queues[whose]
            return whose, task

    def _line_up(self, whose: bytes) -> None:
        used_s = max(self._used_s.get(whose, 0.0), self._floor_s)
        heapq.heappush(self._next_ones, (used_s, next(self._numbers), whose))

    def _charge(self, whose: bytes, more_s: float) -> None:
        with self._changed:
            if whose in self._used_s:
                self._used_s[whose] += more_s
            if len(self._used_s) > MAX_STRANGERS:
                self._used_s.clear()
