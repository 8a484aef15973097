"""The scenario of ten times the keys: each command for some and for ten times as many, one sample,
and what the growth costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import machine
from .bench import Bench, Scenario
from .inputs import bytes_in
from .jobs import BUILTIN, MERGE
from .machine import XARGS
from .report import Label
from .sizes import SMALL_BYTES

_GROUPS = 100


def _keys(bench: Bench) -> None:
    few, many = bench.sizes.grown_keys
    before, after = (_round(bench, count) for count in (few, many))
    for name, seconds in after.items():
        label = Label(f"{name}: {few:,} to {many:,} keys", "times")
        bench.note(label, seconds / before[name], {"linear": many / few})


def _round(bench: Bench, count: int) -> dict[str, float]:
    """Seconds of each command, by name."""
    source = bench.inputs.groups(count, SMALL_BYTES, _GROUPS)
    folder, plain = bench.key("in/"), bench.scratch / "plain"
    spent: dict[str, float] = {}

    def step(name: str, limit_name: str, limit: Callable[[], float], *words: str | Path) -> None:
        limits = {limit_name: limit()}
        spent[name] = bench.s4(*words)
        bench.note_rate(Label(name, "s", "keys", count), 1, spent[name], limits)

    def of(target: str) -> machine.Plain:
        return bench.without_s4(source, bench.scratch / target)

    run = bench.commands
    step("cp -r", "cp -r", lambda: machine.copy_tree(run, source, plain), "cp", "-r", source, folder)
    bench.expect_keys(folder, count, count * SMALL_BYTES)
    step("ls -r", "ls -lR", lambda: machine.list_trees(run, [plain]), "ls", "-r", folder)
    step("map", XARGS, lambda: of("mapped").map(BUILTIN), "map", folder, bench.key("mapped/"), BUILTIN)
    bench.expect_keys(bench.key("mapped/"), count, bytes_in(bench.scratch / "mapped"))
    merged = bench.key("merged/")
    limit = lambda: of("merged").merge_groups(MERGE)  # noqa: E731
    step("map-from-n", XARGS, limit, "map-from-n", folder, merged, MERGE)
    bench.expect_keys(merged, _GROUPS, count * SMALL_BYTES)
    step("rm -r", "rm -r", lambda: machine.remove_tree(run, plain), "rm", "-r", folder)
    bench.expect_keys(folder, 0, 0)
    for made in ("mapped", "merged"):
        bench.remove(bench.key(f"{made}/"), bench.scratch / made)
    return spent


SCENARIOS = (
    Scenario("keys", f"ten times the keys: cp -r, ls -r, map, merge into {_GROUPS}, rm -r, s", _keys),
)
