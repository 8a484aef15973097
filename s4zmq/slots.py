"""How many commands may run at once on a node, or in a job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import Cancelled
from .shell import Switch


class Slots:
    """How many commands may run at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._changed = threading.Condition()

    @contextmanager
    def one(self, cancel: Switch) -> Iterator[None]:
        """Hold a slot. Raises Cancelled where the job ends before one is free."""
        if not self._take():
            with cancel.heard_by(self._wake), self._changed:
                self._changed.wait_for(lambda: self._free > 0 or cancel.is_on)
                if cancel.is_on:
                    raise Cancelled("the job was ended")
                self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _take(self) -> bool:
        """A slot that is free; a map has a thread for each, so that it nearly always finds one."""
        with self._changed:
            is_free = self._free > 0
            self._free -= is_free
            return is_free

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
