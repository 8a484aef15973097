"""Threads that take the work of many connections in turns: nobody waits behind somebody's thousands.

A connection's own work starts in the order in which it came. What the work is, these threads do not know.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]


class Turns:
    """A queue for each connection that has work, and threads that go round them."""

    def __init__(self, threads: int, name: str) -> None:
        self._changed = threading.Condition()
        self._queues: dict[bytes, deque[Work]] = {}
        self._ring: deque[bytes] = deque()
        """Whose turn it is, first; each that has work is in it once."""
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, whose: bytes, work: Work) -> None:
        """Queue work, which must not raise; from any thread. After `stop` it is dropped."""
        with self._changed:
            queue = self._queues.get(whose)
            if queue is None:
                queue = self._queues[whose] = deque()
                self._ring.append(whose)
            queue.append(work)
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
            work = self._next()
            if work is None:
                return
            work()
            del work  # or it would hold a body of a mebibyte while the thread has nothing to do

    def _next(self) -> Work | None:
        with self._changed:
            while not self._ring and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            whose = self._ring.popleft()
            queue = self._queues[whose]
            work = queue.popleft()
            if queue:
                self._ring.append(whose)
            else:
                del self._queues[whose]
            return work
