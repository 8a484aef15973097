"""Parts of files, read as boto3 reads files. No names, and no S3."""

from __future__ import annotations

import os
from collections.abc import Callable


class Section:
    """A part of a file as boto3 reads it, with a bounded buffer and without an offset of its own file."""

    def __init__(
        self, fd: int, start: int, length: int, on_read: Callable[[int], object] = lambda count: None
    ) -> None:
        """`on_read(bytes)` is told of each piece, and may raise."""
        self._fd = fd
        self._start = start
        self._length = length
        self._at = 0
        self._on_read = on_read

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        left = self._length - self._at
        data = os.pread(self._fd, left if size < 0 else min(size, left), self._start + self._at)
        self._at += len(data)
        self._on_read(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def tell(self) -> int:
        """As of a file."""
        return self._at

    def __len__(self) -> int:
        return self._length
