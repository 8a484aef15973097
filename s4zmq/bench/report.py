"""Samples, their medians, and how they are shown: a table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = ("scenario", "figure", "median", "min .. max", "unit", "machine's own limit", "median", "of it")


def rate(unit: str, amount: float, seconds: float) -> float:
    """`amount` bytes or things in `seconds`, in `unit`: MB/s, ms (each) or things a second."""
    if unit == "ms":
        return 1e3 * seconds / amount
    return amount / seconds / (1e6 if unit == "MB/s" else 1)


class Figure:
    """One row: samples of s4, and of the machine beside them."""

    def __init__(self, scenario: str, name: str, unit: str, limit_name: str) -> None:
        self.scenario = scenario
        self.name = name
        self.unit = unit
        self.limit_name = limit_name
        """"" where the machine has no limit to compare with."""
        self.samples: list[float] = []
        self.limits: list[float] = []

    @property
    def share(self) -> float:
        """How much of the machine's limit is reached: 1 is all of it. 0 where there is no limit."""
        if not self.limits:
            return 0.0
        ours, limit = statistics.median(self.samples), statistics.median(self.limits)
        return limit / ours if self.unit == "ms" else ours / limit

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        facts: dict[str, Any] = {
            "scenario": self.scenario,
            "figure": self.name,
            "unit": self.unit,
            "better": "lower" if self.unit == "ms" else "higher",
            **_summary(self.samples),
        }
        if self.limits:
            facts["limit"] = {"name": self.limit_name, **_summary(self.limits)}
            facts["share"] = round(self.share, 4)
        return facts

    def cells(self) -> tuple[str, ...]:
        """For the table."""
        ours, limit = _summary(self.samples), _summary(self.limits) if self.limits else None
        return (
            self.scenario,
            self.name,
            _number(ours["median"]),
            f"{_number(ours['min'])} .. {_number(ours['max'])}",
            self.unit,
            self.limit_name,
            _number(limit["median"]) if limit else "",
            f"{100 * self.share:.0f} %" if limit else "",
        )


class Report:
    """All figures of a run in the order of their first sample, and what went wrong."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], Figure] = {}
        self.errors: dict[str, str] = {}
        """By scenario. Its figures are dropped: they may be of wrong results."""

    def figure(self, scenario: str, name: str, unit: str, limit_name: str) -> Figure:
        """Get or make a row."""
        return self._figures.setdefault((scenario, name), Figure(scenario, name, unit, limit_name))

    def fail(self, scenario: str, text: str) -> None:
        """Note an error."""
        self.errors[scenario] = text
        self._figures = {key: found for key, found in self._figures.items() if key[0] != scenario}

    def document(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """One JSON document; `facts` say where and how it was measured."""
        figures = [figure.facts() for figure in self._figures.values()]
        return {**facts, "figures": figures, "errors": self.errors}

    def table(self) -> str:
        """Columns, text to the left and numbers to the right."""
        rows = [_HEAD, *(figure.cells() for figure in self._figures.values())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = ["  ".join(map(_aligned, row, widths, range(len(row)))).rstrip() for row in rows]
        return "\n".join(lines)


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 1, 4, 5) else cell.rjust(width)


def _summary(samples: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(samples), 4),
        "min": round(min(samples), 4),
        "max": round(max(samples), 4),
        "samples": [round(sample, 4) for sample in samples],
    }


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
