"""What a scenario is given: a place for its keys and files, timed commands, checks, and a report.

A check that fails raises WrongResult, which drops the scenario's figures.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from ..client import Client
from ..errors import ConfigError, S4Error
from ..keys import SCHEME
from .cluster import Place
from .commands import Commands, Timed
from .inputs import Inputs
from .machine import Plain
from .report import Report, rate


class WrongResult(S4Error):
    """s4 said that all went well, and what it made is not what was asked for."""


class BenchOptions(NamedTuple):
    """What a user may say about a run."""

    runs: int
    """Samples of each figure."""

    value_bytes: int
    """Size of the one large value."""


class Bench:
    """One run of several scenarios against one cluster."""

    def __init__(self, place: Place, options: BenchOptions) -> None:
        self.runs = options.runs
        self.value_bytes = options.value_bytes
        self.cores = len(os.sched_getaffinity(0))
        self.report = Report()
        self.inputs = Inputs(place.folder / "inputs")
        self.scratch = place.folder / "scratch"
        self.commands = Commands(place.folder)
        self._config = place.config
        self._script = _script()
        self._bucket = f"bench-{os.urandom(6).hex()}"
        self._scenario = self._unit = ""

    # -- one scenario after the other

    def begin(self, scenario: str, unit: str) -> None:
        """Notes belong to this scenario from now on; it starts without keys and files."""
        self._scenario, self._unit = scenario, unit
        self.scratch.mkdir()

    def clean_up(self) -> None:
        """Remove the keys and files of the scenario. Raises NodeUnreachable."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with Client(self._config) as client:
            client.delete_below(f"{self._bucket}/")

    # -- keys and commands

    def key(self, relative: str) -> str:
        """`s4://…` in the bucket of this run: a key, or a folder where it ends in a slash."""
        return f"s4://{self._bucket}/{relative}"

    def s4(self, *words: str | Path) -> float:
        """Run `s4 WORDS`; seconds. Raises CommandFailed."""
        return self.commands.run(self._argv(*words)).seconds

    def s4_counted(self, *words: str | Path) -> Timed:
        """Run `s4 WORDS` and count the bytes of its stdout."""
        return self.commands.run_counted(self._argv(*words))

    def s4_output(self, *words: str | Path) -> tuple[Timed, str]:
        """Run `s4 WORDS`, and its stdout."""
        return self.commands.output(self._argv(*words))

    def _argv(self, *words: str | Path) -> list[str]:
        return [self._script, "-c", str(self._config.path), *map(str, words)]

    def without_s4(self, source: Path, target: Path) -> Plain:
        """The machine's own way with the files of `source`."""
        return Plain(self.commands, self.cores, source, target)

    def settle(self) -> None:
        """Let the disk take what was written so far: it is not to be paid by what comes next."""
        os.sync()

    def remove(self, folder: str, plain: Path) -> None:
        """Make room: the keys below `folder`, and the local folder beside them."""
        self.s4("rm", "-r", folder)
        shutil.rmtree(plain)

    # -- figures

    def note(self, figure: str, amount: float, seconds: float, limit_name: str, limit_s: float) -> None:
        """One sample: `amount` bytes or things in `seconds`, and what the machine took for them."""
        row = self.report.figure(self._scenario, figure, self._unit, limit_name)
        row.samples.append(rate(self._unit, amount, seconds))
        if limit_name:
            row.limits.append(rate(self._unit, amount, limit_s))

    # -- checks

    def expect(self, what: str, found: object, expected: object) -> None:
        """Raises WrongResult."""
        if found != expected:
            raise WrongResult(f"{what}: {found}, expected {expected}")

    def expect_keys(self, folder: str, count: int, size_bytes: int) -> None:
        """That so many keys of so many bytes together stand below `folder`. Raises WrongResult."""
        _, text = self.s4_output("ls", "-r", folder)
        lines = text.splitlines()
        self.expect(f"keys below {folder}", len(lines), count)
        self.expect(f"bytes below {folder}", sum(int(line.split()[2]) for line in lines), size_bytes)

    def expect_no_keys(self, folder: str) -> None:
        """That nothing is left below `folder`. Raises WrongResult."""
        with Client(self._config) as client:
            rows = client.list_keys(folder.removeprefix(SCHEME), recursive=True)
            self.expect(f"keys below {folder}", sum(1 for _ in rows), 0)

    def expect_same_files(self, ours: Path, theirs: Path) -> None:
        """That two files, or the files in two flat folders, have equal bytes. Raises WrongResult."""
        if ours.is_file():
            self.expect(f"{theirs} is equal", filecmp.cmp(ours, theirs, shallow=False), True)
            return
        names = sorted(os.listdir(ours))
        self.expect(f"the number of files in {theirs}", len(os.listdir(theirs)), len(names))
        _, different, missing = filecmp.cmpfiles(ours, theirs, names, shallow=False)
        self.expect(f"different or missing files in {theirs}", [*different, *missing], [])


def _script() -> str:
    """The `s4` beside this interpreter: what a user calls. Raises ConfigError."""
    path = Path(sys.executable).with_name("s4")
    if not path.is_file():
        raise ConfigError(f"there is no s4 beside {sys.executable}: install s4zmq into that Python")
    return str(path)
