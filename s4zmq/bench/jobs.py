"""Scenarios of map, map-to-n and map-from-n, each beside the same commands under xargs.

What a job makes is compared to what the bare commands make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from .bench import Bench, Scenario
from .inputs import bytes_in
from .machine import PARALLEL, XARGS, Plain, has_parallel
from .report import Label
from .sizes import LINE_BYTES

BUILTIN = "read -r x; echo $x"
"""A command that starts no program."""

MERGE = "xargs cat"
_CUT = "cut -d, -f1-5"


class Job(NamedTuple):
    """One job and what it is worth."""

    verb: str
    indir: str
    """Relative to the bucket of the run."""

    command: str
    label: Label
    amount: float
    """Bytes or things that it does, in the label's unit."""

    keys: int
    """That it makes."""


_PLAIN: Mapping[str, Callable[[Plain, str], float]] = {
    "map": Plain.map,
    "map-to-n": Plain.split,
    "map-from-n": Plain.merge,
}


def run_job(
    bench: Bench, job: Job, source: Path, more: Callable[[Path], Mapping[str, float]] = lambda _: {}
) -> None:
    """One sample of a job whose inputs are in the cluster, and as files in `source`; `more` limits
    (seconds) may use the path that it is given."""
    out, plain = bench.key("out/"), bench.scratch / "plain"
    bench.settle()
    limits = dict(more(plain))
    limits[XARGS] = _PLAIN[job.verb](bench.without_s4(source, plain), job.command)
    bench.settle()
    seconds = bench.s4(job.verb, bench.key(job.indir), out, job.command)
    bench.expect_keys(out, job.keys, bytes_in(plain))
    bench.note_rate(job.label, job.amount, seconds, {XARGS: limits.pop(XARGS), **limits})
    bench.remove(out, plain)


# -- map


def _map(bench: Bench, job: Job, source: Path, parallel_keys: int) -> None:
    """Also beside GNU parallel, which gets only the first so many inputs where it would take long."""

    def parallel(plain: Path) -> Mapping[str, float]:
        seconds = bench.without_s4(source, plain).map_parallel(job.command, parallel_keys)
        return {PARALLEL: seconds * job.keys / parallel_keys}

    is_there = has_parallel()
    if not is_there:
        bench.remark("GNU parallel is not installed, so it is not beside the maps")
    bench.s4("cp", "-r", source, bench.key("in/"))
    for _ in range(bench.runs):
        run_job(bench, job, source, parallel if is_there else lambda _: {})


def _map_lines(bench: Bench, command: str, name: str) -> None:
    count = bench.sizes.map_keys
    source = bench.inputs.lines(count, LINE_BYTES, numbered=True)
    job = Job("map", "in/", command, Label(name, "keys/s"), count, count)
    _map(bench, job, source, min(bench.sizes.parallel_keys, count))


def _map_cat(bench: Bench) -> None:
    _map_lines(bench, "cat", "map cat")


def _map_builtin(bench: Bench) -> None:
    _map_lines(bench, BUILTIN, "map with a builtin")


def _map_cut(bench: Bench) -> None:
    sizes = bench.sizes
    label, amount = Label("map cut", "MB/s"), sizes.tables * sizes.table_bytes
    job = Job("map", "in/", _CUT, label, amount, sizes.tables)
    _map(bench, job, bench.inputs.tables(sizes.tables, sizes.table_bytes), sizes.tables)


# -- map-to-n


def split_small(fan: int) -> str:
    """A command that makes `fan` small files."""
    return f"for i in {{100..{99 + fan}}}; do echo $i > $i; echo $i; done"


def split_bulk(table_bytes: int, parts: int) -> str:
    """A command that cuts its input into `parts`."""
    return f"split -d -a 3 -b {-(-table_bytes // parts)} - '' && printf '%s\\n' *"


def _shuffle(bench: Bench, job: Job, source: Path) -> None:
    bench.s4("cp", "-r", source, bench.key("in/"))
    for _ in range(bench.runs):
        run_job(bench, job, source)


def _shuffle_files(bench: Bench) -> None:
    fan = bench.sizes.fan
    label = Label("map-to-n into small files", "files/s")
    job = Job("map-to-n", "in/", split_small(fan), label, fan**2, fan**2)
    _shuffle(bench, job, bench.inputs.lines(fan, LINE_BYTES, numbered=True))


def _shuffle_bulk(bench: Bench) -> None:
    sizes = bench.sizes
    command = split_bulk(sizes.table_bytes, sizes.parts)
    label, amount = Label("map-to-n of tables", "MB/s"), sizes.tables * sizes.table_bytes
    job = Job("map-to-n", "in/", command, label, amount, sizes.tables * sizes.parts)
    _shuffle(bench, job, bench.inputs.tables(sizes.tables, sizes.table_bytes))


# -- map-from-n


def _merge(bench: Bench, job: Job, source: Path, split: str) -> None:
    """All parts of one name, from all inputs, to one output; what splits them is not measured."""
    parts = bench.scratch / "parts"
    bench.without_s4(source, parts).split(split)
    bench.s4("cp", "-r", parts, bench.key("in/"))
    for _ in range(bench.runs):
        run_job(bench, job, parts)


def _merge_groups(bench: Bench) -> None:
    fan = bench.sizes.fan
    job = Job("map-from-n", "in/", MERGE, Label("map-from-n of many groups", "groups/s"), fan, fan)
    _merge(bench, job, bench.inputs.lines(fan, LINE_BYTES, numbered=True), split_small(fan))


def _merge_bulk(bench: Bench) -> None:
    sizes = bench.sizes
    label, amount = Label("map-from-n of tables", "MB/s"), sizes.tables * sizes.table_bytes
    job = Job("map-from-n", "in/", MERGE, label, amount, sizes.parts)
    source = bench.inputs.tables(sizes.tables, sizes.table_bytes)
    _merge(bench, job, source, split_bulk(sizes.table_bytes, sizes.parts))


SCENARIOS = (
    Scenario("map-cat", "map cat over many keys of 1 KiB, keys/s", _map_cat),
    Scenario("map-builtin", "the same with a command that starts no program, keys/s", _map_builtin),
    Scenario("map-cut", "map cut over tables of 16 MiB, MB/s", _map_cut),
    Scenario("shuffle-files", "map-to-n of few keys into many small files each, files/s", _shuffle_files),
    Scenario("shuffle-bulk", "map-to-n of tables of 16 MiB into 12 files each, MB/s", _shuffle_bulk),
    Scenario("merge-groups", "map-from-n of many groups of small keys, groups/s", _merge_groups),
    Scenario("merge-bulk", "map-from-n of 12 groups of large keys, MB/s", _merge_bulk),
)
