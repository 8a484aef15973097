"""Rows in columns, as wide as they need to be. Text only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def lay_out(rows: Sequence[Sequence[str]], left: Collection[int] = ()) -> Iterator[str]:
    """A line for each row; columns in `left` begin at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def printable(text: str) -> str:
    """The same text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)
