"""What is measured: one function a scenario, and the registry that the command line offers.

A scenario measures s4 and the machine in turns, so that both meet the same noise. To add one: a
function here, and a Scenario in SCENARIOS. Starting clusters and showing figures is not done here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from . import machine
from .bench import Bench
from .inputs import TABLE_BYTES, TABLES

_SMALL_OPS, _SMALL_BYTES = 10, 100
_TREE_FILES, _TREE_BYTES = 2000, 4096
_MAP_KEYS, _MAP_BYTES = 1000, 1024
_FAN = 64
_PARTS = 12
_BULK_BYTES = TABLES * TABLE_BYTES

_CUT = "cut -d, -f1-5"
_SPLIT_SMALL = "for i in {100..163}; do echo $i > $i; echo $i; done"
_SPLIT_BULK = f"split -d -a 3 -b {-(-TABLE_BYTES // _PARTS)} - '' && printf '%s\\n' *"
_MERGE = "xargs cat"


class Scenario(NamedTuple):
    """One thing to measure, all of its figures in one unit."""

    name: str
    """What --only takes; `map` there also chooses `map-cut`."""

    what: str
    """One line for the usage."""

    unit: str
    """MB/s (10**6 bytes), ms (for one), or things a second."""

    function: Callable[[Bench], None]
    """Notes its samples. Raises S4Error where s4 fails or makes something wrong."""


# -- values


def _put(bench: Bench) -> None:
    size = bench.value_bytes
    source, copy = bench.inputs.value(size), bench.scratch / "copy"
    key = bench.key("000_value")
    for _ in range(bench.runs):
        limit = machine.copy_file(source, copy)
        seconds = bench.s4("cp", source, key)
        bench.note("put", size, seconds, "file copy", limit)
        limit = machine.copy_file(source, copy)
        seconds = bench.s4("cp", key, copy)
        bench.expect_same_files(source, copy)
        bench.note("get to a file", size, seconds, "file copy", limit)
        copy.unlink()
        limit = machine.stream(size)
        timed = bench.s4_counted("cp", key, "-")
        bench.expect("bytes on stdout", timed.stdout_bytes, size)
        bench.note("get to stdout", size, timed.seconds, "loopback TCP", limit)
        bench.s4("rm", key)


def _small(bench: Bench) -> None:
    folder = bench.inputs.lines(1, _SMALL_BYTES, numbered=True)
    source = folder / os.listdir(folder)[0]
    for run in range(bench.runs):
        keys = [bench.key(f"{run}/key-{number}") for number in range(_SMALL_OPS)]
        limit = sum(machine.start_python(bench.commands) for _ in keys)
        seconds = sum(bench.s4("cp", source, key) for key in keys)
        bench.expect_keys(bench.key(f"{run}/"), _SMALL_OPS, _SMALL_OPS * _SMALL_BYTES)
        bench.note("put", _SMALL_OPS, seconds, "python -c pass", limit)
        limit = sum(machine.start_python(bench.commands) for _ in keys)
        gets = [bench.s4_counted("cp", key, "-") for key in keys]
        bench.expect("bytes on stdout", {get.stdout_bytes for get in gets}, {_SMALL_BYTES})
        bench.note("get", _SMALL_OPS, sum(get.seconds for get in gets), "python -c pass", limit)


def _tree(bench: Bench) -> None:
    source = bench.inputs.lines(_TREE_FILES, _TREE_BYTES, numbered=False)
    for run in range(bench.runs):
        keys, copy, plain = bench.key(f"{run}/"), bench.scratch / f"{run}", bench.scratch / f"plain-{run}"
        limit = machine.copy_tree(bench.commands, source, plain)
        seconds = bench.s4("cp", "-r", source, keys)
        bench.expect_keys(keys, _TREE_FILES, _TREE_FILES * _TREE_BYTES)
        bench.note("put", _TREE_FILES, seconds, "cp -r", limit)
        limit = machine.copy_tree(bench.commands, source, plain / "again")
        seconds = bench.s4("cp", "-r", keys, copy)
        bench.expect_same_files(source, copy)
        bench.note("get", _TREE_FILES, seconds, "cp -r", limit)


# -- maps


def _map(bench: Bench, source: Path, command: str, keys: int, amount: int) -> None:
    """`amount` in the scenario's unit; each output is compared to that of the bare command."""
    bench.s4("cp", "-r", source, bench.key("in/"))
    for run in range(bench.runs):
        out, plain = bench.key(f"out-{run}/"), bench.scratch / f"{run}"
        bench.settle()
        limit = bench.without_s4(source, plain).map(command)
        bench.settle()
        seconds = bench.s4("map", bench.key("in/"), out, command)
        bench.expect_keys(out, keys, _bytes_in(plain))
        bench.note(f"map {command}", amount, seconds, "xargs bash -c", limit)
        bench.remove(out, plain)


def _map_cat(bench: Bench) -> None:
    _map(bench, bench.inputs.lines(_MAP_KEYS, _MAP_BYTES, numbered=True), "cat", _MAP_KEYS, _MAP_KEYS)


def _map_builtin(bench: Bench) -> None:
    source = bench.inputs.lines(_MAP_KEYS, _MAP_BYTES, numbered=True)
    _map(bench, source, "read -r x; echo $x", _MAP_KEYS, _MAP_KEYS)


def _map_cut(bench: Bench) -> None:
    _map(bench, bench.inputs.tables(), _CUT, TABLES, _BULK_BYTES)


# -- shuffles


def _shuffle(bench: Bench, source: Path, command: str, keys: int, amount: int) -> None:
    """Each input to several outputs, on all nodes."""
    bench.s4("cp", "-r", source, bench.key("in/"))
    for run in range(bench.runs):
        out, plain = bench.key(f"out-{run}/"), bench.scratch / f"{run}"
        bench.settle()
        limit = bench.without_s4(source, plain).split(command)
        bench.settle()
        seconds = bench.s4("map-to-n", bench.key("in/"), out, command)
        bench.expect_keys(out, keys, _bytes_in(plain))
        bench.note("map-to-n", amount, seconds, "xargs bash -c", limit)
        bench.remove(out, plain)


def _shuffle_files(bench: Bench) -> None:
    source = bench.inputs.lines(_FAN, _MAP_BYTES, numbered=True)
    _shuffle(bench, source, _SPLIT_SMALL, _FAN**2, _FAN**2)


def _shuffle_bulk(bench: Bench) -> None:
    _shuffle(bench, bench.inputs.tables(), _SPLIT_BULK, TABLES * _PARTS, _BULK_BYTES)


# -- merges


def _merge(bench: Bench, parts: Path, groups: int, amount: int) -> None:
    """All parts of one name, from all inputs, to one output."""
    for run in range(bench.runs):
        out, plain = bench.key(f"merged-{run}/"), bench.scratch / f"merged-{run}"
        bench.settle()
        limit = bench.without_s4(parts, plain).merge(_MERGE)
        bench.settle()
        seconds = bench.s4("map-from-n", bench.key("parts/"), out, _MERGE)
        bench.expect_keys(out, groups, _bytes_in(plain))
        bench.note("map-from-n", amount, seconds, "xargs bash -c", limit)
        bench.remove(out, plain)


def _merge_groups(bench: Bench) -> None:
    _merge(
        bench, _parts(bench, bench.inputs.lines(_FAN, _MAP_BYTES, numbered=True), _SPLIT_SMALL), _FAN, _FAN
    )


def _merge_bulk(bench: Bench) -> None:
    _merge(bench, _parts(bench, bench.inputs.tables(), _SPLIT_BULK), _PARTS, _BULK_BYTES)


def _parts(bench: Bench, source: Path, command: str) -> Path:
    """What a shuffle makes of `source`, as keys below `parts/` and as local files; not measured."""
    plain = bench.scratch / "parts"
    bench.without_s4(source, plain).split(command)
    bench.s4("cp", "-r", plain, bench.key("parts/"))
    return plain


# -- listing


def _listing(bench: Bench) -> None:
    source = bench.inputs.lines(_FAN, _MAP_BYTES, numbered=True)
    for _ in range(bench.runs):
        plain = _parts(bench, source, _SPLIT_SMALL)
        limit = machine.list_tree(bench.commands, plain)
        timed, text = bench.s4_output("ls", "-r", bench.key("parts/"))
        bench.expect("lines of the listing", len(text.splitlines()), _FAN**2)
        bench.note(f"ls -r of {_FAN**2} keys", 1, timed.seconds, "ls -lR", limit)
        limit = machine.remove_tree(bench.commands, plain)
        seconds = bench.s4("rm", "-r", bench.key("parts/"))
        bench.expect_no_keys(bench.key("parts/"))
        bench.note(f"rm -r of {_FAN**2} keys", 1, seconds, "rm -r", limit)


def _bytes_in(folder: Path) -> int:
    """Of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


SCENARIOS: Sequence[Scenario] = (
    Scenario("put", "one large value: put, get to a file, get to stdout", "MB/s", _put),
    Scenario("small", "one small value: put, get", "ms", _small),
    Scenario("tree", f"{_TREE_FILES} files of {_TREE_BYTES} bytes: cp -r both ways", "files/s", _tree),
    Scenario("map-cat", f"map cat over {_MAP_KEYS} keys of {_MAP_BYTES} bytes", "keys/s", _map_cat),
    Scenario("map-builtin", "the same with a command that starts no program", "keys/s", _map_builtin),
    Scenario("map-cut", f"map cut over {TABLES} tables of 16 MiB", "MB/s", _map_cut),
    Scenario(
        "shuffle-files", f"map-to-n of {_FAN} keys into {_FAN} small files each", "files/s", _shuffle_files
    ),
    Scenario(
        "shuffle-bulk", f"map-to-n of {TABLES} tables into {_PARTS} files each", "MB/s", _shuffle_bulk
    ),
    Scenario(
        "merge-groups", f"map-from-n of {_FAN} groups of {_FAN} small keys", "groups/s", _merge_groups
    ),
    Scenario("merge-bulk", f"map-from-n of {_PARTS} groups of {TABLES} keys", "MB/s", _merge_bulk),
    Scenario("listing", f"ls -r and rm -r of {_FAN**2} keys", "ms", _listing),
)


def choose(names: Sequence[str]) -> Sequence[Scenario]:
    """Those called, or beginning with, one of `names`; all where there are none. Raises KeyError
    for a name that chooses nothing."""
    for name in names:
        if not any(_is_meant(scenario, name) for scenario in SCENARIOS):
            raise KeyError(name)
    return [found for found in SCENARIOS if not names or any(_is_meant(found, name) for name in names)]


def _is_meant(scenario: Scenario, name: str) -> bool:
    return scenario.name == name or scenario.name.startswith(f"{name}-")
