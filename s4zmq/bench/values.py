"""Scenarios of one value at a time: large ones both ways, and small ones, which are latency.

Every scenario measures s4 and the machine in turns, so that both meet the same noise.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import machine
from .bench import Bench, Scenario
from .report import Label
from .sizes import SMALL_BYTES

_COPY, _PIPE, _TCP = "file copy", "cat | cat", "loopback TCP"
_PYTHON = "python -c pass"


def _put(bench: Bench) -> None:
    size = bench.sizes.value_bytes
    source, copy = bench.inputs.value(size), bench.scratch / "copy"
    for _ in range(bench.runs):
        limits = {_COPY: machine.copy_file(source, copy), _TCP: machine.stream(size)}
        seconds = bench.s4("cp", source, bench.key("000_value"))
        bench.note_rate(Label("put from a file", "MB/s"), size, seconds, limits)
        _check_and_remove(bench, "000_value", source)
        limits = {_PIPE: machine.copy_through_pipe(bench.commands, source, copy)}
        seconds = bench.s4_from_pipe(source, "cp", "-", bench.key("000_piped"))
        bench.note_rate(Label("put from a pipe", "MB/s"), size, seconds, limits)
        _check_and_remove(bench, "000_piped", source)


def _check_and_remove(bench: Bench, name: str, source: Path) -> None:
    """The checksum of what is stored is s4's own business; that it has the right bytes is not."""
    bench.expect_same_bytes(bench.key(name), source)
    bench.s4("rm", bench.key(name))


def _get(bench: Bench) -> None:
    size = bench.sizes.value_bytes
    source, copy, key = bench.inputs.value(size), bench.scratch / "copy", bench.key("000_value")
    bench.s4("cp", source, key)
    for _ in range(bench.runs):
        limits = {_COPY: machine.copy_file(source, copy), _TCP: machine.stream(size)}
        seconds = bench.s4("cp", key, copy)
        bench.expect_same_files(source, copy)
        bench.note_rate(Label("get to a file", "MB/s"), size, seconds, limits)
        copy.unlink()
        limits = {_TCP: machine.stream(size)}
        timed = bench.s4_counted("cp", key, "-")
        bench.expect("bytes on stdout", timed.stdout_bytes, size)
        bench.note_rate(Label("get to a pipe", "MB/s"), size, timed.seconds, limits)


def _small(bench: Bench) -> None:
    count = bench.sizes.small_values
    folder = bench.inputs.lines(1, SMALL_BYTES, numbered=True)
    source = folder / os.listdir(folder)[0]
    for run in range(bench.runs):
        keys = [bench.key(f"{run}/key-{number}") for number in range(count)]
        limits = _pythons(bench, count)
        seconds = sum(bench.s4("cp", source, key) for key in keys)
        bench.expect_keys(bench.key(f"{run}/"), count, count * SMALL_BYTES)
        bench.note_rate(Label("put", "ms"), count, seconds, limits)
        limits = _pythons(bench, count)
        gets = [bench.s4_counted("cp", key, "-") for key in keys]
        bench.expect("bytes on stdout", {get.stdout_bytes for get in gets}, {SMALL_BYTES})
        bench.note_rate(Label("get", "ms"), count, sum(get.seconds for get in gets), limits)
        limits = _pythons(bench, count)
        seconds = sum(bench.s4("health") for _ in keys)
        bench.note_rate(Label("health", "ms"), count, seconds, limits)


def _pythons(bench: Bench, count: int) -> dict[str, float]:
    return {_PYTHON: sum(machine.start_python(bench.commands) for _ in range(count))}


SCENARIOS = (
    Scenario("put", "one large value, from a file and from a pipe, MB/s", _put),
    Scenario("get", "one large value, to a file and to a pipe, MB/s", _get),
    Scenario("small", f"one value of {SMALL_BYTES} bytes: put, get; and health, ms", _small),
)
