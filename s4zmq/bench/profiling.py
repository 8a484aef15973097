"""Where the time goes: CPU seconds by role and scenario, and the functions that use most.

Reads what samplers have written and what the kernel counts; starts nothing.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .procfs import Cpu, cpu_of
from .report import columns, number

_ROLES = {"client": "s4", "node": "nodes"}
_TOP = 15


class Spending:
    """CPU seconds of each scenario: of the s4 processes, of the nodes, of what nodes have started."""

    def __init__(self, client: Callable[[], Cpu]) -> None:
        self.scenarios: dict[str, dict[str, Any]] = {}
        self._client = client

    @contextmanager
    def of(self, scenario: str, pids: list[int]) -> Iterator[None]:
        """Count what is spent meanwhile."""
        started_at, client, (nodes, commands) = time.perf_counter(), self._client(), cpu_of(pids)
        yield
        nodes_now, commands_now = cpu_of(pids)
        self.scenarios[scenario] = {
            "wall_s": round(time.perf_counter() - started_at, 3),
            "s4": self._client().minus(client)._asdict(),
            "nodes": nodes_now.minus(nodes)._asdict(),
            "commands": commands_now.minus(commands)._asdict(),
        }


def top_functions(folder: Path) -> dict[str, dict[str, float]]:
    """By role, CPU seconds of the functions that use most, of all processes that were sampled."""
    sums: dict[str, Counter[str]] = {role: Counter() for role in _ROLES.values()}
    for path in folder.glob("*.json"):
        sums[_ROLES[path.name.partition("-")[0]]].update(json.loads(path.read_text()))
    return {
        role: {name: round(seconds, 3) for name, seconds in sorted_most(spent)}
        for role, spent in sums.items()
    }


def sorted_most(spent: Counter[str]) -> list[tuple[str, float]]:
    """The largest, and all others in one."""
    most = spent.most_common()
    rest = sum(seconds for _, seconds in most[_TOP:])
    return [*most[:_TOP], *([("all others", rest)] if rest else [])]


def table(profile: Mapping[str, Any]) -> str:
    """For people."""
    rows: list[tuple[str, ...]] = [("CPU seconds, user + system", "s4", "nodes", "commands", "wall")]
    for name, spent in profile["scenarios"].items():
        cells = [_cpu(spent[role]) for role in ("s4", "nodes", "commands")]
        rows.append((name, *cells, f"{spent['wall_s']:.1f}"))
    texts = [columns(rows, (0,))]
    for role, spent in profile["functions"].items():
        total = sum(spent.values())
        if total:
            lines = [(number(s), f"{100 * s / total:.0f} %", name) for name, s in spent.items()]
            texts.append(columns([("CPU s", "of it", f"function of {role}"), *lines], (2,)))
    return "\n\n".join(texts)


def _cpu(spent: Mapping[str, float]) -> str:
    return f"{spent['user_s']:.1f} + {spent['system_s']:.1f}"
