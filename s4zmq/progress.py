"""How far long work is, on stderr: a line that is rewritten in place on a terminal, and elsewhere a
line now and then.

Knows nothing of what is done. Whoever waits calls `show` as often as it hears news, and prints nothing
else to stderr before `clear`. Short work shows nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, TextIO

from .units import show_bytes, show_count

_ON_TERMINAL_S = 0.2
_ELSEWHERE_S = 5.0
_CLEAR_LINE = "\r\x1b[K"


class Counts(NamedTuple):
    """How much is done, or is to be done."""

    keys: int = 0
    bytes: int = 0
    failed: int = 0
    """Of the keys."""


def sum_of(parts: Iterable[Counts]) -> Counts:
    """The counts of several nodes together."""
    return Counts(*map(sum, zip(Counts(), *parts, strict=True)))


class Progress:
    """The line of one command. As a context it is gone at the end, however that comes."""

    def __init__(
        self,
        verb: str,
        total: Counts | None = None,
        *,
        failed: str = "failed",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`verb` is what is being done, `failed` what becomes of a bad key; without a `total` nobody
        knows how much there is."""
        self._verb = verb
        self._failed = failed
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._started_at = clock()
        self._is_terminal = self._stream.isatty()
        self._interval_s = _ON_TERMINAL_S if self._is_terminal else _ELSEWHERE_S
        self._due = self._started_at + self._interval_s
        self._is_shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, counts: Counts) -> None:
        """News: shown unless the line is fresh."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + self._interval_s
        text = self._text(counts, now - self._started_at)
        if self._is_terminal:
            self._is_shown = True  # before it is so: a Ctrl-C may come at any moment
            self._write(f"{_CLEAR_LINE}{text[: self._width() - 1]}")
        else:
            self._write(f"s4: {text}\n")

    def clear(self) -> None:
        """Take the line away, so that others can print. It comes back with the next news."""
        if self._is_shown:
            self._write(_CLEAR_LINE)
            self._is_shown = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # a terminal that went away is no reason to end the work
            self._is_shown = False

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:
            return 80

    def _text(self, counts: Counts, spent_s: float) -> str:
        total = self._total
        if total is None:
            parts = [show_count(counts.keys, "key"), show_bytes(counts.bytes)]
        else:
            parts = [
                f"{counts.keys} of {show_count(total.keys, 'key')}",
                f"{show_bytes(counts.bytes)} of {show_bytes(total.bytes)}",
            ]
        if counts.failed:
            parts.append(f"{counts.failed} {self._failed}")
        left_s = _left_s(counts, total, spent_s) if total else 0
        parts.append(f"{_show_s(left_s)} left" if left_s else _show_s(spent_s))
        return f"{self._verb}: {', '.join(parts)}"


def _left_s(counts: Counts, total: Counts, spent_s: float) -> float:
    """A guess from bytes and keys alike, since small keys cost more than their bytes; 0: no idea."""
    shares = [done / of for done, of in zip(counts[:2], total[:2], strict=True) if of]
    share = sum(shares) / len(shares) if shares else 0
    return spent_s / share - spent_s if 0 < share <= 1 else 0


def _show_s(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
