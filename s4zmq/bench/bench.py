"""What a scenario is given: a place for its keys and files, timed commands, checks, and a report.

A check that fails raises WrongResult, which drops the scenario's figures.
"""

from __future__ import annotations

import copy
import filecmp
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..config import Config
from ..errors import ConfigError, S4Error
from ..keys import SCHEME
from ..session import Session
from .cluster import Cluster, Signals, throw_away
from .commands import Commands, Timed
from .inputs import Inputs
from .machine import Plain
from .procfs import Cpu, PeakMemory
from .report import Label, Report, rate
from .sampler import sampled
from .sizes import Sizes


class WrongResult(S4Error):
    """s4 said that all went well, and what it made is not what was asked for."""


class BenchOptions(NamedTuple):
    """What a user may say about a run."""

    runs: int
    """Samples of each figure."""

    sizes: Sizes
    samples: Path | None = None
    """Where nodes and clients leave what their functions use of the CPU; None: not asked for."""


class Bench:
    """One run of several scenarios against one cluster."""

    def __init__(self, folder: Path, cluster: Cluster, options: BenchOptions, signals: Signals) -> None:
        self.runs, self.sizes, self._samples = options
        self.cores = len(os.sched_getaffinity(0))
        self.report = Report()
        self.inputs = Inputs(folder / "inputs")
        self.scratch = folder / "scratch"
        self.commands = Commands(folder)
        self.cluster = cluster
        self.client_cpu = [Cpu()]
        """Of all s4 processes that have ended, one sum; shared with the bench of another cluster."""
        self._folder = folder
        self._signals = signals
        self._argv_head = sampled("client", self._samples) if self._samples else [_script()]
        self._bucket = f"bench-{os.urandom(6).hex()}"
        self._scenario = ""

    @property
    def config(self) -> Config:
        """Of the cluster that is measured."""
        return self.cluster.config

    # -- one scenario after the other

    def begin(self, scenario: str) -> None:
        """Notes belong to this scenario from now on; it starts without keys and files."""
        self._scenario = scenario
        self.scratch.mkdir()

    def clean_up(self) -> None:
        """Remove the keys and files of the scenario. Raises NodeUnreachable."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with Session(self.config) as client:
            client.delete_below(f"{self._bucket}/")

    @contextmanager
    def elsewhere(self, nodes: int, *, with_key: bool = False) -> Iterator[Bench]:
        """The same run, on a throw-away cluster of so many nodes beside the first one."""
        home = self._folder / f"home-{nodes}{'-key' if with_key else ''}"
        with throw_away(home, nodes, self._signals, self._samples, with_key=with_key) as cluster:
            other = copy.copy(self)
            other.cluster = cluster
            yield other

    # -- keys and commands

    def key(self, relative: str) -> str:
        """`s4://…` in the bucket of this run: a key, or a folder where it ends in a slash."""
        return f"s4://{self._bucket}/{relative}"

    def s4(self, *words: str | Path) -> float:
        """Run `s4 WORDS`; seconds. Raises CommandFailed."""
        return self._spent(self.commands.run(self.argv(*words))).seconds

    def s4_counted(self, *words: str | Path) -> Timed:
        """Run `s4 WORDS` and count the bytes of its stdout."""
        return self._spent(self.commands.run_counted(self.argv(*words)))

    def s4_output(self, *words: str | Path) -> tuple[Timed, str]:
        """Run `s4 WORDS`, and its stdout."""
        timed, text = self.commands.output(self.argv(*words))
        return self._spent(timed), text

    def s4_from_pipe(self, source: Path, *words: str | Path) -> float:
        """Run `s4 WORDS` with the bytes of a file coming out of a pipe; seconds."""
        argv = ["bash", "-o", "pipefail", "-c", 'cat "$0" | "$@"', str(source), *self.argv(*words)]
        return self._spent(self.commands.run(argv)).seconds

    def argv(self, *words: str | Path) -> list[str]:
        """The command line of `s4 WORDS`."""
        return [*self._argv_head, *self.config.words, *map(str, words)]

    def _spent(self, timed: Timed) -> Timed:
        self.client_cpu[0] = self.client_cpu[0].plus(timed.cpu)
        return timed

    @contextmanager
    def peak_memory(self) -> Iterator[PeakMemory]:
        """Of the nodes, where they are ours, and of the commands that are run meanwhile."""
        with PeakMemory(self.cluster.pids) as peak:
            self.commands.on_start = peak.watch_client
            try:
                yield peak
            finally:
                self.commands.on_start = lambda pid: None

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

    def note(self, label: Label, sample: float, limits: Mapping[str, float] | None = None) -> None:
        """One sample in the label's unit, and what the machine itself reaches, by name."""
        self.report.note(self._scenario, label, sample, limits or {})

    def note_rate(
        self, label: Label, amount: float, seconds: float, limits_s: Mapping[str, float] | None = None
    ) -> None:
        """One sample: `amount` bytes or things in `seconds`, and what the machine took for them."""
        limits = {name: rate(label.unit, amount, limit_s) for name, limit_s in (limits_s or {}).items()}
        self.note(label, rate(label.unit, amount, seconds), limits)

    def remark(self, text: str) -> None:
        """Say what this scenario leaves out, and why."""
        self.report.remark(f"{self._scenario}: {text}")

    # -- checks

    def expect(self, what: str, found: object, expected: object) -> None:
        """Raises WrongResult."""
        if found != expected:
            raise WrongResult(f"{what}: {found}, expected {expected}")

    def expect_keys(self, folder: str, count: int, size_bytes: int) -> None:
        """That so many keys of so many bytes together stand below `folder`. Raises WrongResult."""
        keys = size = 0
        with Session(self.config) as client:
            for _, key_bytes, _ in client.list_keys(folder.removeprefix(SCHEME), recursive=True):
                keys, size = keys + 1, size + key_bytes
        self.expect(f"keys below {folder}", keys, count)
        self.expect(f"bytes below {folder}", size, size_bytes)

    def expect_same_bytes(self, key: str, source: Path) -> None:
        """That a key has the bytes of a file. Raises CommandFailed."""
        script = 'source=$0; "$@" | cmp - "$source"'
        argv = ["bash", "-o", "pipefail", "-c", script, str(source), *self.argv("cp", key, "-")]
        self._spent(self.commands.run(argv))

    def expect_same_files(self, ours: Path, theirs: Path) -> None:
        """That two files, or the files in two flat folders, have equal bytes. Raises WrongResult."""
        if ours.is_file():
            self.expect(f"{theirs} is equal", filecmp.cmp(ours, theirs, shallow=False), True)
            return
        names = sorted(os.listdir(ours))
        self.expect(f"the number of files in {theirs}", len(os.listdir(theirs)), len(names))
        _, different, missing = filecmp.cmpfiles(ours, theirs, names, shallow=False)
        self.expect(f"different or missing files in {theirs}", [*different, *missing], [])


class Scenario(NamedTuple):
    """One thing to measure."""

    name: str
    """What --only takes; `map` there also chooses `map-cut`."""

    what: str
    """One line for the usage."""

    function: Callable[[Bench], None]
    """Notes its samples. Raises S4Error where s4 fails or makes something wrong."""


def _script() -> str:
    """The `s4` beside this interpreter: what a user calls. Raises ConfigError."""
    path = Path(sys.executable).with_name("s4")
    if not path.is_file():
        raise ConfigError(f"there is no s4 beside {sys.executable}: install s4zmq into that Python")
    return str(path)
