"""Threads that work on items, and on pieces of them together. What the work is, they do not know.

A thread that finds its item large shares pieces of it; whoever is free takes pieces first, so that what
was begun ends before more is begun. The one that shares works on them too, so nobody waits for nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

Work = Callable[[], object]


class _Share:
    """Pieces of one item."""

    def __init__(self, pieces: Iterable[Any], work: Callable[[Any], object]) -> None:
        self.left = deque(pieces)
        self.work = work
        self.running = 0
        self.error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return not self.left and not self.running


class Crew:
    """Some threads, for one list of items."""

    def __init__(self, size: int) -> None:
        """`size`: threads, with the one that calls `run`."""
        self._size = size
        self._changed = threading.Condition()
        self._items: Iterator[Any] = iter(())
        self._has_more = True
        self._is_reading = False
        self._active = 0
        self._shares: list[_Share] = []
        self._error: BaseException | None = None

    def run(self, items: Iterator[Any], work: Callable[[Any], object]) -> None:
        """Do `work` on every item, and return when all is done. The items are taken as they are needed,
        one at a time. The first exception of `work`, or of the items, ends it and is raised."""
        self._items = items
        threads = [
            threading.Thread(target=self._work, args=(work,), name="s3", daemon=True)
            for _ in range(self._size - 1)
        ]
        for thread in threads:
            thread.start()
        self._work(work)
        for thread in threads:
            thread.join()
        if self._error:
            raise self._error

    def share(self, pieces: Iterable[Any], work: Callable[[Any], object]) -> None:
        """From within the work on an item: have `work` done on all its pieces. Returns when that is so;
        the first exception drops the pieces that nobody has begun, and is raised."""
        share = _Share(pieces, work)
        with self._changed:
            self._shares.append(share)
            self._changed.notify_all()
        while piece := self._piece_of(share):
            piece()
        with self._changed:
            self._changed.wait_for(lambda: share.is_over)
            self._shares.remove(share)
        if share.error:
            raise share.error

    # -- the threads

    def _work(self, work: Callable[[Any], object]) -> None:
        while task := self._take(work):
            try:
                task()
            except BaseException as exc:
                self._fail(exc)
            finally:
                with self._changed:
                    self._active -= 1
                    self._changed.notify_all()

    def _fail(self, exc: BaseException) -> None:
        with self._changed:
            self._error = self._error or exc
            self._has_more = False
            self._changed.notify_all()

    def _take(self, work: Callable[[Any], object]) -> Work | None:
        """What to do next; None where all is done."""
        while True:
            with self._changed:
                self._changed.wait_for(self._may_go_on)
                for share in self._shares:
                    if share.left:
                        self._active += 1
                        return self._begin(share)
                if not self._has_more:
                    return None
                self._is_reading = True
            task = self._read(work)
            if task:
                return task

    def _may_go_on(self) -> bool:
        """Under the lock: whether there is a piece, or an item may be taken, or all has ended."""
        if any(share.left for share in self._shares):
            return True
        if self._is_reading:
            return False
        return self._has_more or not self._active

    def _read(self, work: Callable[[Any], object]) -> Work | None:
        """The next item; reading it may take time, and others go on meanwhile."""
        item = None
        try:
            item = next(self._items, None)
        except BaseException as exc:
            self._fail(exc)
        with self._changed:
            self._is_reading = False
            self._changed.notify_all()
            if item is None or not self._has_more:
                self._has_more = False
                return None
            self._active += 1
            return partial(work, item)

    def _piece_of(self, share: _Share) -> Work | None:
        with self._changed:
            return self._begin(share) if share.left else None

    def _begin(self, share: _Share) -> Work:
        """Under the lock."""
        share.running += 1
        return partial(self._do, share, share.left.popleft())

    def _do(self, share: _Share, piece: Any) -> None:
        """One piece; what goes wrong is the business of the one that shares."""
        try:
            share.work(piece)
        except BaseException as exc:
            with self._changed:
                share.error = share.error or exc
                share.left.clear()
        finally:
            with self._changed:
                share.running -= 1
                self._changed.notify_all()
