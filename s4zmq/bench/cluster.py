"""The nodes that are measured: a throw-away cluster, and a place for files, both gone at the end.

Ctrl-C, SIGTERM and SIGHUP unwind like an error, but never in the middle of starting or stopping
nodes: a node that was started and not yet noted would be left behind.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from ..config import Config, load_config
from ..embedded import down, embedded_config, up
from ..errors import ConfigError, NodeUnreachable, NoSpace, StorageError, map_errors
from ..session import Session
from .sampler import sampled

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks for the end; `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Signals:
    """Signals as an exception, held back while `held`."""

    def __init__(self) -> None:
        self._is_held = False
        self._noted = 0

    def install(self) -> None:
        """From now on; main thread only."""
        for signum in _SIGNALS:
            signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, _: FrameType | None) -> None:
        if not self._is_held:
            raise Interrupted(signum)
        self._noted = signum

    def hold(self) -> None:
        """Only note what comes."""
        self._is_held = True

    def release(self) -> None:
        """Raises Interrupted for what came meanwhile."""
        self._is_held = False
        noted, self._noted = self._noted, 0
        if noted:
            raise Interrupted(noted)


class Cluster(NamedTuple):
    """The nodes that are measured."""

    config: Config
    home: Path | None
    """Of a cluster that was started for this run; else None, and its processes are not ours to see."""

    @property
    def pids(self) -> list[int]:
        """The processes of our nodes."""
        return [int((path / "pid").read_text()) for path in self.home.glob("node-*")] if self.home else []


@contextmanager
def working_folder(work_dir: Path, signals: Signals) -> Iterator[Path]:
    """A new folder in `work_dir`, gone afterwards. Raises S4Error."""
    signals.hold()
    with map_errors({OSError: ConfigError}, f"can not use {work_dir}"):
        folder = Path(tempfile.mkdtemp(prefix="s4-bench-", dir=work_dir)).resolve()
    try:
        signals.release()
        yield folder
    finally:
        signals.hold()
        with map_errors({OSError: StorageError}, f"can not remove {folder}"):
            shutil.rmtree(folder)
        signals.release()


@contextmanager
def existing(conf: str) -> Iterator[Cluster]:
    """The cluster of a conf file. Raises S4Error where it is not healthy."""
    cluster = Cluster(load_config(conf), None)
    _require_health(cluster.config)
    yield cluster


@contextmanager
def throw_away(
    home: Path, nodes: int, signals: Signals, samples: Path | None, *, with_key: bool = False
) -> Iterator[Cluster]:
    """New nodes in the new folder `home`, gone afterwards. With `samples`, each leaves there what
    its functions have used of the CPU. Without a key, as the figures of others are, unless `with_key`.
    Raises S4Error."""
    signals.hold()
    try:
        up(home, nodes, *([sampled("node", samples)] if samples else []), with_key=with_key)
        config = embedded_config(home)
        signals.release()
        yield Cluster(config, home)
    finally:
        signals.hold()
        down(home, purge=True)
        signals.release()


def _require_health(config: Config) -> None:
    with Session(config) as client:
        for health in client.health():
            if not health.is_healthy:
                raise NodeUnreachable(f"node {health.node} is not healthy: {health.reason or 'no answer'}")


def require_space(folder: Path, wanted_bytes: int) -> None:
    """Raises NoSpace where a run would fill the disk half-way."""
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise NoSpace(
            f"{folder} has {free / 1e9:.1f} GB free and a run needs {wanted_bytes / 1e9:.1f}:"
            " choose another folder with --work-dir, or --quick"
        )
