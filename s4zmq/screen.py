"""A table that is drawn again and again: in place on a terminal, block by block elsewhere.

On a terminal it has the alternate screen while it runs. Whatever ends it, the terminal is as before, with
the last table on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

ON_TERMINAL_S = 1.0
ELSEWHERE_S = 5.0
_OPEN, _CLOSE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

Lines = Callable[[int], Sequence[str]]
"""`lines(width)`: what to draw, in so many columns; 0: in as many as it needs."""


class Screen:
    """Where the table is drawn. A context."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.is_terminal = self._stream.isatty()
        self.interval_s = ON_TERMINAL_S if self.is_terminal else ELSEWHERE_S
        self._lines: Lines = lambda width: ()
        self._has_drawn = False

    def __enter__(self) -> Screen:
        if self.is_terminal:
            self._write(_OPEN)
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_terminal:
            with suppress(OSError):  # a terminal that went away needs nothing any more
                last = "".join(f"{line}\n" for line in self._lines(self._size()[0]))
                self._write(_CLOSE + last)

    def draw(self, lines: Lines) -> None:
        """Show this instead of what was there; elsewhere below it, after a blank line."""
        self._lines = lines
        if not self.is_terminal:
            self._write("\n" * self._has_drawn + "".join(f"{line}\n" for line in lines(0)))
            self._has_drawn = True
            return
        columns, rows = self._size()
        shown = list(lines(columns))
        if len(shown) > rows:
            more = f"... and {len(shown) - rows + 1} more lines"
            shown = [*shown[: rows - 1], more[:columns]]
        self._write(_HOME + "\r\n".join(line + _REST_OF_LINE for line in shown) + _REST_OF_SCREEN)

    def _size(self) -> tuple[int, int]:
        """(columns, rows) now: it may have been resized."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 80, 24
        return size.columns or 80, size.lines or 24

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
