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

from ..client import Client
from ..config import Config, embedded_conf, load_config
from ..embedded import down, up
from ..errors import ConfigError, NodeUnreachable, NoSpace, StorageError, map_errors

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


class Place(NamedTuple):
    """Where a run happens."""

    config: Config
    folder: Path
    """For files; gone afterwards."""

    is_throw_away: bool
    """Whether the cluster was started for this run."""


@contextmanager
def place(work_dir: Path, conf: str | None, nodes: int, signals: Signals) -> Iterator[Place]:
    """A folder in `work_dir`, and the cluster of `conf` or a new one. Raises S4Error."""
    signals.hold()
    home: Path | None = None
    with map_errors({OSError: ConfigError}, f"can not use {work_dir}"):
        folder = Path(tempfile.mkdtemp(prefix="s4-bench-", dir=work_dir)).resolve()
    try:
        if conf is None:
            home = folder / "home"
            up(home, nodes)
            conf = str(embedded_conf(home))
        config = load_config(conf)
        signals.release()
        _require_health(config)
        yield Place(config, folder, home is not None)
    finally:
        signals.hold()
        try:
            if home:
                down(home, purge=True)
        finally:
            with map_errors({OSError: StorageError}, f"can not remove {folder}"):
                shutil.rmtree(folder)
            signals.release()


def _require_health(config: Config) -> None:
    with Client(config) as client:
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
