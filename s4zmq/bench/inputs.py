"""The files that scenarios put into the cluster: made once a run, other bytes in every run.

Nothing here is measured.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20
TABLE_BYTES = 16 * MIB
TABLES = 24
_BLOCK_BYTES = 16 * MIB
_FRESH_BYTES = 4096


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
                text = os.urandom(size_bytes // 2 + 1).hex()[: size_bytes - 1] + "\n"
                (path / name).write_text(text)

        return self._once(f"lines-{count}-{size_bytes}-{numbered}", make)

    def tables(self) -> Path:
        """A folder of TABLES files of TABLE_BYTES of CSV each, ten columns of numbers."""

        def make(path: Path) -> None:
            path.mkdir()
            first = path / "000_table"
            first.write_bytes(_table(TABLE_BYTES))
            for number in range(1, TABLES):
                os.link(first, path / f"{number:03}_table")

        return self._once("tables", make)


def _table(size_bytes: int) -> bytes:
    """Whole lines, the last one padded."""
    rows = (",".join(str(random.randrange(10**6)) for _ in range(10)) for _ in range(16_000))
    block = ("\n".join(rows) + "\n").encode()
    data = (block * (size_bytes // len(block) + 1))[: size_bytes - 1]
    return data[: data.rindex(b"\n") + 1].ljust(size_bytes - 1, b"0") + b"\n"
