"""Samples, their medians, and how they are shown: a table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_HEAD = ("scenario", "figure", "median", "min .. max", "unit", "machine's own limit", "median", "of it")
_LOWER_IS_BETTER = ("ms", "s", "MiB", "times")


class Label(NamedTuple):
    """What a figure is called."""

    name: str
    unit: str
    """MB/s (10**6 bytes) or things a second; or ms, s, MiB (2**20 bytes), times: less is better."""

    axis: str = ""
    """What grows from one figure of this name to the next, as `nodes`; "" where nothing does."""

    at: int = 0
    """How many of them."""

    def __str__(self) -> str:
        return f"{self.name}, {self.at:,} {self.axis}" if self.axis else self.name


def rate(unit: str, amount: float, seconds: float) -> float:
    """`amount` bytes or things in `seconds`, in `unit`: MB/s, ms or s (each), or things a second."""
    if unit in ("ms", "s"):
        return (1e3 if unit == "ms" else 1) * seconds / amount
    return amount / seconds / (1e6 if unit == "MB/s" else 1)


class Figure:
    """One row: samples of s4, and of the machine beside them."""

    def __init__(self, scenario: str, label: Label) -> None:
        self.scenario = scenario
        self.label = label
        self.samples: list[float] = []
        self.limits: dict[str, list[float]] = {}
        """By name. None where the machine has nothing to compare with."""

    @property
    def median(self) -> float:
        """Of the samples."""
        return statistics.median(self.samples)

    @property
    def is_lower_better(self) -> bool:
        """Else more is better."""
        return self.label.unit in _LOWER_IS_BETTER

    def share(self, limit: str) -> float:
        """How much of that limit is reached: 1 is all of it, whether less is better or more."""
        ours, theirs = self.median, statistics.median(self.limits[limit])
        above, below = (theirs, ours) if self.is_lower_better else (ours, theirs)
        return above / below if below else 0.0

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        label = self.label
        return {
            "scenario": self.scenario,
            "figure": str(label),
            "unit": label.unit,
            **({"axis": label.axis, "at": label.at} if label.axis else {}),
            "better": "lower" if self.is_lower_better else "higher",
            **_summary(self.samples),
            "limits": [
                {"name": name, **_summary(samples), "share": round(self.share(name), 4)}
                for name, samples in self.limits.items()
            ],
        }

    def rows(self) -> Iterator[tuple[str, ...]]:
        """For the table: one, and one more for each limit beyond the first."""
        ours = _summary(self.samples)
        spread = f"{number(ours['min'])} .. {number(ours['max'])}"
        head: tuple[str, ...] = (
            self.scenario,
            str(self.label),
            number(ours["median"]),
            spread,
            self.label.unit,
        )
        for name, samples in self.limits.items():
            yield (*head, name, number(statistics.median(samples)), f"{100 * self.share(name):.0f} %")
            head = ("",) * len(head)
        if not self.limits:
            yield (*head, "", "", "")


class Report:
    """All figures of a run in the order of their first sample, and what went wrong."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], Figure] = {}
        self.errors: dict[str, str] = {}
        """By scenario. Its figures are dropped: they may be of wrong results."""
        self.remarks: list[str] = []
        """What was left out, and why."""
        self.distributions: dict[str, list[float]] = {}
        """Every single ping, ms, by what was pinged."""
        self.profile: dict[str, Any] = {}

    @property
    def figures(self) -> Sequence[Figure]:
        """In order."""
        return list(self._figures.values())

    def note(self, scenario: str, label: Label, sample: float, limits: Mapping[str, float]) -> None:
        """One more sample of a figure, and of the limits beside it."""
        figure = self._figures.setdefault((scenario, str(label)), Figure(scenario, label))
        figure.samples.append(sample)
        for name, limit in limits.items():
            figure.limits.setdefault(name, []).append(limit)

    def remark(self, text: str) -> None:
        """Say something once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def fail(self, scenario: str, text: str) -> None:
        """Note an error."""
        self.errors[scenario] = text
        self._figures = {key: found for key, found in self._figures.items() if key[0] != scenario}

    def document(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """One JSON document; `facts` say where and how it was measured."""
        return {
            **facts,
            "figures": [figure.facts() for figure in self.figures],
            "distributions_ms": {
                name: [round(sample, 4) for sample in samples]
                for name, samples in self.distributions.items()
            },
            "remarks": self.remarks,
            "errors": self.errors,
            **({"profile": self.profile} if self.profile else {}),
        }

    def table(self) -> str:
        """Columns, text to the left and numbers to the right, and the remarks."""
        text = columns([_HEAD, *(row for figure in self.figures for row in figure.rows())], (0, 1, 4, 5))
        return "\n".join([text, *(f"* {remark}" for remark in self.remarks)])


def columns(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """Rows of equal length as aligned lines; the columns in `left` hold text, the others numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _summary(samples: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(samples), 4),
        "min": round(min(samples), 4),
        "max": round(max(samples), 4),
        "samples": [round(sample, 4) for sample in samples],
    }


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
