"""Handing work to the thread that owns a socket: a queue with a descriptor that a poll can watch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Any thread puts, one thread takes. Never blocks; the order of one putter is kept."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._items: deque[Item] = deque()

    def put(self, item: Item) -> None:
        """Add an item and wake the taker."""
        self._items.append(item)
        os.eventfd_write(self.fd, 1)  # always: a taker that has just emptied the queue must look again

    def take(self) -> Iterator[Item]:
        """All that is there now, oldest first."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        while self._items:
            yield self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
