"""How far long work is: what is counted, and when it is shown. How it looks is `progressviews`' and
`bars`' business, and they are loaded when something is shown for the first time.

Nobody sends news here: a courier calls `Progress.tick` after every step, and whoever does the work is asked
for its counts when a drawing is due. So a command that is short pays one look at the clock a step.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

from .amounts import Counts, Note, Share, State

if TYPE_CHECKING:
    from .progressviews import View

_FIRST_S = {"bars": 0.5, "lines": 5.0, "json": 1.0}
"""Work that is over before shows nothing."""

_RATE_OVER_S = 10.0


class Stepper(Protocol):
    """A courier, as far as it matters here."""

    on_step: Callable[[], object] | None


class Progress:
    """What one command shows of itself. As a context it is gone at the end, however that comes, and what
    was shown then stands true: where nothing sums the work up, the last counts do."""

    def __init__(
        self,
        verb: str = "",
        how: str = "",
        *,
        noun: str = "key",
        failed: str = "failed",
        has_summary: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`how` is "shown" (on stderr), "json" (records on stdout) or "" (not at all). `has_summary`: work
        that ends well is summed up by others."""
        self._verb, self._noun, self._failed, self._has_summary = verb, noun, failed, has_summary
        self._stream = stream or sys.stderr
        self._kind = how and ("json" if how == "json" else self._kind_of_stream())
        self._clock = clock
        self._started_at = clock()
        self._due = self._started_at + _FIRST_S.get(self._kind, 0)
        self._view: View | None = None
        self._courier: Stepper | None = None
        self._samples: list[tuple[float, int]] = []
        self._count: Callable[[], Counts] = Counts
        self._total: Callable[[], Counts | None] = lambda: None
        self._shares: Callable[[], Sequence[Share]] = tuple

    def _kind_of_stream(self) -> str:
        """Without a stream (`2>&-`) nothing is shown."""
        if self._stream is None:
            return ""
        return "bars" if self._stream.isatty() and os.environ.get("TERM") != "dumb" else "lines"

    def follow(
        self,
        courier: Stepper,
        count: Callable[[], Counts],
        total: Callable[[], Counts | None] = lambda: None,
        shares: Callable[[], Sequence[Share]] = tuple,
    ) -> None:
        """From now on ask `count` at the steps of `courier`. Long work starts now."""
        if not self._kind:
            return
        self._count, self._total, self._shares = count, total, shares
        self._started_at = self._clock()
        self._due = self._started_at + _FIRST_S[self._kind]
        self._courier = courier
        courier.on_step = self.tick

    @property
    def spent_s(self) -> float:
        """Since the work began."""
        return self._clock() - self._started_at

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._courier:
            self._courier.on_step = None
        if self._view:
            self._view.close(None if self._has_summary and kind is None else self._state())

    def tick(self) -> None:
        """Draw, if it is time to."""
        if self._kind and self._clock() >= self._due:
            self._draw()

    def _draw(self) -> None:
        state = self._state()
        if self._view is None:
            self._view = _open_view(self._kind, self._stream)
        self._view.draw(state)
        self._due = self._clock() + self._view.interval_s

    def _state(self) -> State:
        now, counts = self._clock(), self._count()
        young = [sample for sample in self._samples if now - sample[0] < _RATE_OVER_S]
        self._samples = [*(young or self._samples[-1:]), (now, counts.bytes)]
        since, before = self._samples[0] if len(self._samples) > 1 else (self._started_at, 0)
        rate = max(0, counts.bytes - before) / (now - since) if now > since else 0.0
        return State(
            self._verb, counts, self._total(), self.spent_s, rate, self._shares(), self._noun, self._failed
        )


class Watch(NamedTuple):
    """What a copy tells while it runs."""

    progress: Progress = Progress()
    note: Note | None = None


def _open_view(kind: str, stream: TextIO) -> View:
    """Nothing is written yet."""
    from .progressviews import Lines, Records

    if kind == "json":
        return Records()
    if kind == "bars":
        try:
            from .bars import Bars

            return Bars(stream)
        except ImportError:  # a library that somebody has removed is no reason to end the work
            pass
    return Lines(stream)
