"""`s4 demo`: a throw-away cluster and a real pipeline on it, from nothing to a checked result.

The input is there wherever Python is: the sources of its standard library. The pipeline counts which
modules they import, with a shuffle and a merge, through the same command line that a user has; the
result is compared with a count in this one process. Everything is gone afterwards.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .config import Config
from .embedded import down, embedded_config, up
from .errors import CommandFailed, StorageError
from .session import Session
from .units import show_bytes, show_count

NODES = 3
_SHOWN = 10
_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}

_MODULES = r'sed -nE "s/^[ \t]*(import|from)[ \t]+([A-Za-z_][A-Za-z0-9_]*).*/\2/p"'
_SAME_IN_PYTHON = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.M)
_BY_LETTER = 'while read -r name; do echo "$name" >> "letter_${name:0:1}"; done; ls'


class Step(NamedTuple):
    """One command of the pipeline, and the folder that it fills."""

    title: str
    words: tuple[str, ...]
    output: str


def steps(source: str) -> list[Step]:
    """The pipeline over the files below `source`."""
    return [
        Step("store the files", ("cp", "-r", source, "s4://demo/source/"), "demo/source/"),
        Step(
            "which modules does each file import?  (map, 1:1)",
            ("map", "s4://demo/source/", "s4://demo/imports/", _MODULES),
            "demo/imports/",
        ),
        Step(
            "bring equal names together, by first letter  (map-to-n, the shuffle)",
            ("map-to-n", "s4://demo/imports/", "s4://demo/letters/", _BY_LETTER),
            "demo/letters/",
        ),
        Step(
            "count each name  (map-from-n, the merge)",
            ("map-from-n", "s4://demo/letters/", "s4://demo/counts/", "xargs cat | sort | uniq -c"),
            "demo/counts/",
        ),
        Step(
            "send all counts to one node",
            ("map-to-n", "s4://demo/counts/", "s4://demo/one/", "cat > result && echo result"),
            "demo/one/",
        ),
        Step(
            "and put them into one table",
            ("map-from-n", "s4://demo/one/", "s4://demo/table/", "xargs cat | sort -k1,1nr -k2,2"),
            "demo/table/",
        ),
    ]


def demo() -> int:
    """Run it; 0 where the cluster and one process agree. Raises S4Error where a step fails."""
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="s4-demo-") as folder:
        home, source = Path(folder) / "home", Path(folder) / "source"
        expected = _collect(source)
        try:
            print(f"$ s4 up --nodes {NODES}", flush=True)
            up(home, NODES)
            config = embedded_config(home)
            for step in steps(str(source)):
                _run(step, config)
            table = _read_table(config)
        finally:
            if home.exists():
                down(home, purge=True)
    _show(table, sum(expected.values()))
    if table != expected:
        raise CommandFailed("the cluster's table differs from the count in one process: this is a bug")
    print(
        f"The count in one process gives the same {len(expected)} rows."
        f" {time.monotonic() - started_at:.1f} s in all; the cluster and its data are gone."
    )
    return 0


def _collect(target: Path) -> Counter[str]:
    """Link the library's sources below `target`; how often each module is imported there."""
    library = Path(sysconfig.get_paths()["stdlib"])
    expected: Counter[str] = Counter()
    for path in _sources(library):
        link = target / path.relative_to(library)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        expected.update(name.decode() for name in _SAME_IN_PYTHON.findall(path.read_bytes()))
    if not expected:
        raise StorageError(f"no sources of Python's standard library are in {library}")
    return expected


def _sources(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED_FOLDERS:
            yield from _sources(Path(entry.path))
        elif entry.is_file() and entry.name.endswith(".py"):
            yield Path(entry.path)


def _run(step: Step, config: Config) -> None:
    print(f"\n# {step.title}\n$ {shlex.join(('s4', *step.words))}", flush=True)
    started_at = time.monotonic()
    done = subprocess.run(_command(config, *step.words), check=False)
    seconds = time.monotonic() - started_at
    if done.returncode:
        raise CommandFailed(f"the step ended with status {done.returncode}")
    with Session(config) as client:
        sizes = [size for _, size, _ in client.list_keys(step.output, recursive=True)]
    print(f"  {show_count(len(sizes), 'key')}, {show_bytes(sum(sizes))}, {seconds:.2f} s", flush=True)


def _command(config: Config, *words: str) -> list[str]:
    return [sys.executable, "-m", "s4zmq.cli", *config.words, *words]


def _read_table(config: Config) -> Counter[str]:
    words = ("eval", "s4://demo/table/result", "cat")
    print(f"\n# read it where it lies\n$ {shlex.join(('s4', *words))}", flush=True)
    done = subprocess.run(_command(config, *words), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"the step ended with status {done.returncode}")
    rows = (line.split() for line in done.stdout.splitlines())
    return Counter({name: int(count) for count, name in rows})


def _show(table: Counter[str], total: int) -> None:
    print(f"\nThe {_SHOWN} most imported modules of Python {sys.version.split()[0]}'s library")
    print(f"({total} imports in all):\n")
    for name, count in table.most_common(_SHOWN):
        print(f"  {count:6}  {name}")
    print()
