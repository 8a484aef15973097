"""What clusters there are, a row each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from . import network
from .account import Account
from .machines import Machine, machines
from .naming import CLUSTER, HOURS, NODES


class Row(NamedTuple):
    """One cluster, in words."""

    name: str
    nodes: str
    state: str
    type: str
    age: str
    left: str
    """Until its machines shut themselves down."""


HEAD = Row("NAME", "NODES", "STATE", "TYPE", "AGE", "LEFT")


def overview(account: Account, now: datetime) -> list[Row]:
    """Sorted by name. One whose machines have all ended, but that was not taken down, is `ended`."""
    members: dict[str, list[Machine]] = {}
    for machine in machines(account, None):
        members.setdefault(machine.tags.get(CLUSTER, "?"), []).append(machine)
    rows = [_row(name, found, now) for name, found in members.items()]
    for group in network.groups(account, None):
        name = next((tag["Value"] for tag in group.get("Tags", ()) if tag["Key"] == CLUSTER), "?")
        if name not in members:
            rows.append(Row(name, "0", "ended", "-", "-", "-"))
    return sorted(rows)


def _row(name: str, found: list[Machine], now: datetime) -> Row:
    first = min(found, key=lambda machine: machine.launched)
    states = sorted({machine.state for machine in found})
    age = now - first.launched
    hours = float(first.tags.get(HOURS, "0"))
    wanted = first.tags.get(NODES, "?")
    nodes = wanted if wanted == str(len(found)) else f"{len(found)}/{wanted}"
    left = timedelta(hours=hours) - age
    return Row(name, nodes, "+".join(states), first.type, _span(age), _span(left))


def _span(span: timedelta) -> str:
    """`45m`, `3h05m`; what is over is `0m`."""
    minutes = max(0, int(span.total_seconds() // 60))
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m"


def layout(rows: list[Row]) -> str:
    """Lines with columns below HEAD; nothing where there is nothing."""
    if not rows:
        return ""
    table = [HEAD, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)) for row in table)
    return "".join(f"{line.rstrip()}\n" for line in lines)
