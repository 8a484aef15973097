"""Lines in a file without a name: what is too many to keep in memory, and gone with its descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .store import Store, write_all

_FLUSH_BYTES = 1 << 16


class LineFile:
    """Written once, then read any number of times. No line holds a newline."""

    def __init__(self, store: Store, what: str) -> None:
        """`what` it holds, for a message about a full disk. Raises NoSpace or StorageError."""
        self._store = store
        self._what = what
        self.fd = store.new_file()
        self._buffer = bytearray()
        self._offset = 0
        self.count = 0

    def add(self, line: str) -> None:
        """Append a line. Raises NoSpace or StorageError."""
        self._buffer += os.fsencode(line) + b"\n"
        self.count += 1
        if len(self._buffer) > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in hand; before `fd` is given to a reader."""
        with self._store.disk_errors(f"can not write {self._what}"):
            write_all(self.fd, self._buffer, self._offset)
        self._offset += len(self._buffer)
        self._buffer.clear()

    def __iter__(self) -> Iterator[str]:
        """All lines, from the first. One reader at a time, as the descriptor has one offset."""
        self.flush()
        yield from read_lines(self.fd)

    def close(self) -> None:
        """The lines are gone."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def read_lines(fd: int) -> Iterator[str]:
    """The lines of a file from its start. Leaves the descriptor's offset there."""
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as file:
        for line in file:
            yield os.fsdecode(line[:-1])
    os.lseek(fd, 0, os.SEEK_SET)
