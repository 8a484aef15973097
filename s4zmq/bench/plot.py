"""The report as one picture. matplotlib is imported here, and only once there is something to draw."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .report import Figure, Report, number

_OURS, _LIMIT, _GRID = "#2166ac", "#b2182b", "#dddddd"
_GROUPS = ("#2166ac", "#67a9cf", "#1b7837", "#7fbf7b", "#e08214", "#762a83", "#8c6d31")
"""Of bars, one color after the other as the scenario's first word changes."""
_LINES = ("#2166ac", "#e08214", "#1b7837", "#762a83", "#b2182b")


def require(path: Path) -> None:
    """Before anything is measured: whether a picture can be drawn at all. Raises ConfigError."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("--plot needs matplotlib: pip install 's4zmq[plot]'")
    if path.suffix != ".png" or not path.resolve().parent.is_dir():
        raise ConfigError(f"--plot takes FILE.png in a folder that exists, not {path}")


def draw(report: Report, facts: Mapping[str, Any], path: Path) -> None:
    """Bars of s4 beside the machine's limits, and a panel for each thing that grows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    bars = [figure for figure in report.figures if not figure.label.axis and figure.limits]
    bars = [figure for figure in bars if figure.label.unit != "times"]
    panels = _panels(report)
    picture: Any = Picture(
        figsize=(15, max(7.0, 3.2 * -(-len(panels) // 2), 1.5 + 0.3 * len(bars))), dpi=110
    )
    FigureCanvasAgg(picture)
    left, right = picture.subfigures(1, 2, width_ratios=(1, 1.25)) if panels else (picture, None)
    _draw_shares(left.subplots(), bars)
    if right is not None:
        grid = right.subplots(-(-len(panels) // 2), 2, squeeze=False).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            panel(axes)
            axes.grid(True, color=_GRID)
            axes.set_axisbelow(True)
        for axes in grid[len(panels) :]:
            axes.remove()
        right.subplots_adjust(left=0.08, right=0.98, top=0.89, bottom=0.07, hspace=0.42, wspace=0.25)
    left.subplots_adjust(left=0.4, right=0.98, top=0.89, bottom=0.07)
    picture.suptitle(
        f"s4zmq {facts['version']} beside the machine's own limits: {facts['nodes']} nodes,"
        f" {facts['cores']} cores, {facts['cpu']}, {facts['file_system']}"
    )
    picture.savefig(path)


# -- shares of the limit


def _draw_shares(axes: Any, figures: Sequence[Figure]) -> None:
    """One bar a figure on a log scale that starts at the limit: to the left slower, to the right
    faster."""
    axes.set_title("s4 as a share of the machine's limit")
    axes.axvline(100, color=_LIMIT, linewidth=1.5)
    groups = list(dict.fromkeys(_group(figure) for figure in figures))
    for row, figure in enumerate(figures):
        name = next(iter(figure.limits))
        percent = 100 * max(figure.share(name), 1e-3)
        color = _GROUPS[groups.index(_group(figure)) % len(_GROUPS)]
        axes.barh(row, percent - 100, left=100, color=color, height=0.62)
        text = f" {number(figure.median)} {figure.label.unit} · {percent:.0f} % "
        axes.text(max(percent, 100), row, text, va="center", ha="left", fontsize=8)
    axes.set_yticks(range(len(figures)), [_bar_name(figure) for figure in figures], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(5, 3000)
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.set_xticks([10, 30, 100, 300, 1000], ["10 %", "30 %", "100 %", "300 %", "1000 %"])
    axes.minorticks_off()
    axes.grid(True, axis="x", color=_GRID)
    axes.set_axisbelow(True)


def _group(figure: Figure) -> str:
    return figure.scenario.partition("-")[0]


def _bar_name(figure: Figure) -> str:
    name, limit = str(figure.label), next(iter(figure.limits))
    return f"{name} / {limit.partition(',')[0]}"


# -- panels


def _panels(report: Report) -> list[Callable[[Any], None]]:
    """Those for which there is something to show."""
    panels: list[Callable[[Any], None]] = []
    if report.distributions:
        panels.append(lambda axes: _draw_pings(axes, report.distributions))
    for title, scenario, unit, how in (
        ("more nodes, same cores (one node: 1)", "scale-nodes", "", "relative"),
        ("memory in an all-to-all shuffle, MiB", "scale-nodes", "MiB", "log"),
        ("ls -r, keys/s", "scale-list", "keys/s", ""),
        ("ten times the keys, s", "keys", "s", "log"),
        ("memory of one transfer, MiB", "memory", "MiB", ""),
    ):
        series = _series(report, scenario, unit)
        if series:
            panels.append(_lines(title, series, is_relative=how == "relative", is_log=how == "log"))
    return panels


def _series(report: Report, scenario: str, unit: str) -> dict[str, list[Figure]]:
    """Figures that differ only in how many of something there are; of rates, where `unit` is ""."""
    found: dict[str, list[Figure]] = {}
    for figure in report.figures:
        label = figure.label
        if (
            figure.scenario == scenario
            and label.axis
            and (label.unit == unit if unit else "/s" in label.unit)
        ):
            found.setdefault(label.name, []).append(figure)
    return found


def _draw_pings(axes: Any, distributions: Mapping[str, Sequence[float]]) -> None:
    """How many of a hundred pings take longer than so long."""
    axes.set_title("pings that take longer than ...")
    for name, pings_ms in distributions.items():
        ordered = sorted(pings_ms)
        longer = [100 * (1 - index / len(ordered)) for index in range(len(ordered))]
        color = _OURS if name.startswith("node") else _LIMIT
        axes.plot(ordered, longer, color=color, linestyle="--" if "idle" in name else "-", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([100, 50, 10, 1], ["100 %", "50 %", "10 %", "1 %"])
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.set_xlabel("ms")
    axes.legend(fontsize=8)


def _lines(
    title: str, series: Mapping[str, Sequence[Figure]], *, is_relative: bool, is_log: bool
) -> Callable[[Any], None]:
    """Medians with their spread, over what grows; the first limit dashed, where it is not relative."""

    def draw_panel(axes: Any) -> None:
        axes.set_title(title)
        ticks = sorted({figure.label.at for figures in series.values() for figure in figures})
        for color, (name, figures) in zip(_LINES, series.items(), strict=False):
            at = [figure.label.at for figure in figures]
            unit = figures[0].median if is_relative else 1.0
            axes.plot(at, [f.median / unit for f in figures], "o-", color=color, label=name, markersize=4)
            low, high = ([edge(f.samples) / unit for f in figures] for edge in (min, max))
            axes.fill_between(at, low, high, color=color, alpha=0.15)
            if not is_relative:
                limits = [sum(ls := next(iter(f.limits.values()))) / len(ls) for f in figures]
                axes.plot(at, limits, "--", color=color, linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        if not is_relative:
            axes.plot([], [], "--", color="gray", label="its limit")
        if is_log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel(next(iter(series.values()))[0].label.axis)
        axes.legend(fontsize=7, framealpha=0.6)

    return draw_panel
