"""Threads that take the work of many connections in turns: nobody waits behind somebody's thousands.

A connection's own work starts in the order in which it came. Work that may wait is done by one
thread at a time, and while there is other, seldom. What the work is, these threads do not know.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]
_LATE_EVERY = 8


class _Ring:
    """Queues of those that have work, in a ring."""

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[Work]] = {}
        self._order: deque[bytes] = deque()
        """Whose turn it is, first; each that has work is in it once."""

    def __bool__(self) -> bool:
        return bool(self._order)

    def add(self, whose: bytes, work: Work) -> None:
        queue = self._queues.get(whose)
        if queue is None:
            queue = self._queues[whose] = deque()
            self._order.append(whose)
        queue.append(work)

    def take(self) -> Work:
        whose = self._order.popleft()
        queue = self._queues[whose]
        work = queue.popleft()
        if queue:
            self._order.append(whose)
        else:
            del self._queues[whose]
        return work


class Turns:
    """A queue for each connection that has work, and threads that go round them."""

    def __init__(self, threads: int, name: str) -> None:
        self._changed = threading.Condition()
        self._urgent, self._late = _Ring(), _Ring()
        self._turn = 0
        self._late_runs = False
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, whose: bytes, work: Work, *, late: bool = False) -> None:
        """Queue work, which must not raise; from any thread. After `stop` it is dropped."""
        with self._changed:
            (self._late if late else self._urgent).add(whose, work)
            self._changed.notify()

    def stop(self) -> None:
        """Drop what waits, and wait for what runs."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            work, is_late = self._next()
            if work is None:
                return
            work()
            del work  # or it would hold a body of a mebibyte while the thread has nothing to do
            if is_late:
                self._is_late_done()

    def _next(self) -> tuple[Work | None, bool]:
        """What to do, and whether it is late work; nothing where the threads shall end."""
        with self._changed:
            while not (self._urgent or self._may_be_late or self._stopping):
                self._changed.wait()
            if self._stopping:
                return None, False
            self._turn += 1
            if self._may_be_late and (not self._urgent or self._turn % _LATE_EVERY == 0):
                self._late_runs = True
                return self._late.take(), True
            return self._urgent.take(), False

    @property
    def _may_be_late(self) -> bool:
        return bool(self._late) and not self._late_runs

    def _is_late_done(self) -> None:
        with self._changed:
            self._late_runs = False
            if self._late:
                self._changed.notify()
