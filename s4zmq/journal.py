"""A file of lines that grows at its end and outlives a kill: each line is there whole, or is ignored.

Every line ends in a checksum of itself, so one that was cut short by a kill, a full disk or a power
cut is passed over. No fsync, as everywhere. What the lines mean is their writer's business.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .checksum import digest_of

_SUM_BYTES = 4


class Journal:
    """One file. Safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        """Makes the file if it is not there. Raises OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._owed = self._newline_owed()

    def _newline_owed(self) -> bytes:
        """What a kill cut short must not become the head of the next line, which begins with this."""
        size = os.fstat(self._fd).st_size
        return b"\n" if size and os.pread(self._fd, 1, size - 1) != b"\n" else b""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size

    def append(self, line: str) -> None:
        """Add a line (no newline in it). Raises OSError, and then it is not there."""
        with self._lock:
            data = self._owed + _sealed(line)
            before = os.fstat(self._fd).st_size
            try:
                written = os.write(self._fd, data)
                if written < len(data):  # the disk became full: the rest tells why
                    os.write(self._fd, data[written:])
            except OSError:
                os.ftruncate(self._fd, before)
                raise
            self._owed = b""

    def lines(self) -> Iterator[str]:
        """All good lines that are there now, oldest first."""
        yield from read_lines(self._path)

    def replace(self, lines: Iterable[str]) -> None:
        """Have only these lines from now on, or after a failure all the old ones. Raises OSError."""
        with self._lock:
            new = self._path.with_name(f"{self._path.name}.new")
            fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb", closefd=False) as file:
                    file.writelines(map(_sealed, lines))
                os.rename(new, self._path)
            except OSError:
                os.close(fd)
                new.unlink()  # on a full disk it would be in the way
                raise
            os.close(self._fd)
            self._fd, self._owed = fd, b""

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


def read_lines(path: Path) -> Iterator[str]:
    """The good lines of a journal that may not be there, oldest first."""
    with suppress(FileNotFoundError), open(path, "rb") as file:
        for data in file:
            line, _, seal = data.rstrip(b"\n").rpartition(b"\t")
            if seal.decode(errors="replace") == _seal(line):
                yield line.decode(errors="surrogateescape")


def _sealed(line: str) -> bytes:
    data = line.encode(errors="surrogateescape")
    return b"%b\t%b\n" % (data, _seal(data).encode())


def _seal(data: bytes) -> str:
    return digest_of(data)[:_SUM_BYTES].hex()
