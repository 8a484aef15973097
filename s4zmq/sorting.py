"""Sorting without a bound on length: runs in memory, merged from disk.

Nothing here knows what the lines mean. Code point order of text equals the byte order of its UTF-8.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO

from .limits import SORT_RUN_KEYS


def sorted_lines(lines: Iterable[str], folder: str, run_lines: int = SORT_RUN_KEYS) -> Iterator[str]:
    """`lines` (none holds a newline) in order, with at most `run_lines` of them in memory.

    Longer inputs go through files without a name in `folder`, which are gone when the iterator is.
    """
    source = iter(lines)
    run = sorted(islice(source, run_lines))
    if len(run) < run_lines:
        return iter(run)
    return _merged(run, source, folder, run_lines)


def _merged(run: list[str], source: Iterator[str], folder: str, run_lines: int) -> Iterator[str]:
    files: list[IO[str]] = []
    try:
        while run:
            files.append(_spill(run, folder))
            run = sorted(islice(source, run_lines))
        yield from heapq.merge(*map(_read, files))
    finally:
        for file in files:
            file.close()


def _spill(run: list[str], folder: str) -> IO[str]:
    file = tempfile.TemporaryFile(  # noqa: SIM115 - closed when the merge ends
        "w+",
        dir=folder,
        encoding="utf-8",
        newline="\n",
    )
    file.writelines(f"{line}\n" for line in run)
    file.seek(0)
    return file


def _read(file: IO[str]) -> Iterator[str]:
    for line in file:
        yield line[:-1]
