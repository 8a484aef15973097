"""The files that scenarios put into the cluster: made once a run, other bytes in every run.

Nothing here is measured.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from .sizes import MIB

_BLOCK_BYTES = 16 * MIB
_FRESH_BYTES = 4096
FOLDER_FILES = 1000
"""Files in each folder of a forest."""


class Inputs:
    """Files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            make(path)
        return path

    def value(self, size_bytes: int) -> Path:
        """One file of random bytes."""

        def make(path: Path) -> None:
            block = os.urandom(_BLOCK_BYTES)
            with open(path, "wb") as file:
                for start in range(0, size_bytes, len(block)):
                    # A fresh head a block, so that no two blocks are alike.
                    file.write((os.urandom(_FRESH_BYTES) + block[_FRESH_BYTES:])[: size_bytes - start])

        return self._once(f"value-{size_bytes}", make)

    def lines(self, count: int, size_bytes: int, *, numbered: bool) -> Path:
        """A folder of files of one line each; names that are placed by number, or by their hash."""

        def make(path: Path) -> None:
            path.mkdir()
            for number in range(count):
                name = f"{number:05}_line" if numbered else f"line-{os.urandom(6).hex()}-{number}"
                (path / name).write_text(_line(size_bytes))

        return self._once(f"lines-{count}-{size_bytes}-{numbered}", make)

    def groups(self, count: int, size_bytes: int, groups: int) -> Path:
        """A folder of files of one line each, in so many groups of one number each."""

        def make(path: Path) -> None:
            path.mkdir()
            for number in range(count):
                (path / f"{number % groups:03}_{number:07}").write_text(_line(size_bytes))

        return self._once(f"groups-{count}-{size_bytes}", make)

    def forest(self, digits: int, size_bytes: int) -> Path:
        """Folders named with so many digits, FOLDER_FILES files each; in a folder, all are alike."""

        def make(path: Path) -> None:
            path.mkdir()
            for number in range(10**digits):
                folder = path / f"{number:0{digits}}"
                folder.mkdir()
                names = [f"key-{os.urandom(5).hex()}-{index}" for index in range(FOLDER_FILES)]
                (folder / names[0]).write_text(_line(size_bytes))
                for name in names[1:]:
                    os.link(folder / names[0], folder / name)

        return self._once(f"forest-{digits}", make)

    def tables(self, count: int, size_bytes: int) -> Path:
        """A folder of `count` files of CSV, ten columns of numbers."""

        def make(path: Path) -> None:
            path.mkdir()
            first = path / "000_table"
            first.write_bytes(_table(size_bytes))
            for number in range(1, count):
                os.link(first, path / f"{number:03}_table")

        return self._once(f"tables-{count}-{size_bytes}", make)


def _line(size_bytes: int) -> str:
    return os.urandom(size_bytes // 2 + 1).hex()[: size_bytes - 1] + "\n"


def _table(size_bytes: int) -> bytes:
    """Whole lines, the last one padded."""
    rows = (",".join(str(random.randrange(10**6)) for _ in range(10)) for _ in range(16_000))
    block = ("\n".join(rows) + "\n").encode()
    data = (block * (size_bytes // len(block) + 1))[: size_bytes - 1]
    return data[: data.rindex(b"\n") + 1].ljust(size_bytes - 1, b"0") + b"\n"


def bytes_in(folder: Path) -> int:
    """Of all files below `folder`."""
    return sum(
        os.stat(os.path.join(path, name)).st_size for path, _, names in os.walk(folder) for name in names
    )
