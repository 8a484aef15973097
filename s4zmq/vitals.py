"""What a node takes of its machine: processor, memory, disk. By psutil, which is loaded when somebody first
asks: a node starts without it.

A thread of its own measures when it is asked, as /proc may take some milliseconds, and answers all who
have asked meanwhile. The disk is asked by yet another one: it may hang, and then only its figures are
missing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .errors import InternalError, NodeBusy, S4Error
from .limits import DISK_PATIENCE_S, MAX_ONLOOKERS, VITALS_S

if TYPE_CHECKING:
    import psutil

log = logging.getLogger(__name__)

_FRESH_S = 10.0
"""What was measured longer ago says little about the present."""


class Disk(NamedTuple):
    """The file system of the data folder, in bytes; what users may have of it."""

    size: int
    free: int


class DiskGauge:
    """Asks a disk that may hang. Safe to call from several threads."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._found: Disk | None = None

    def read(self) -> Disk | None:
        """None where the disk says nothing for DISK_PATIENCE_S, or refuses."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="disk-gauge", daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(DISK_PATIENCE_S)
        return None if asking.is_alive() else self._found

    def _ask(self) -> None:
        self._found = None
        with suppress(OSError):
            status = os.statvfs(self._folder)
            self._found = Disk(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)


class Vitals(NamedTuple):
    """One measurement. Bytes, and seconds of processor time a second."""

    cpu: float
    machine_cpu: float
    cores: int
    memory: int
    """Of the node's process."""

    commands_memory: int
    """Of all that it has started; what they share counts for each."""

    machine_memory: int
    machine_memory_free: int
    """That could be had without swapping."""


class _Clock(NamedTuple):
    """Processor time that was taken up to a moment, in seconds."""

    at: float
    tree: float
    machine: float


Take = Callable[["Vitals | S4Error"], None]


class Gauge:
    """Measures when somebody asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, Take] = {}
        self._thread: threading.Thread | None = None
        self._before: _Clock | None = None
        self._last: Vitals | None = None

    def ask(self, token: object, take: Take) -> None:
        """`take` is called soon, on another thread. Raises NodeBusy where too many wait already."""
        with self._lock:
            if len(self._waiting) >= MAX_ONLOOKERS:
                raise NodeBusy(f"{MAX_ONLOOKERS} clients ask for the state of this node at once: try again")
            self._waiting[token] = take
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            found: Vitals | S4Error
            try:
                found = self._measure()
            except Exception:
                log.exception("the state of the node can not be measured")
                found = InternalError("the state of the node can not be measured: see its log")
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            for take in waiting.values():
                take(found)
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return

    def _measure(self) -> Vitals:
        """Compares with the last time, or where that is long ago waits a moment."""
        import psutil

        now = time.monotonic()
        if self._before is None or now - self._before.at > _FRESH_S:
            self._before = self._clock(psutil.Process())
        elif self._last and now - self._before.at < VITALS_S:
            return self._last
        time.sleep(max(0.0, self._before.at + VITALS_S - time.monotonic()))
        process = psutil.Process()
        clock = self._clock(process)
        spent_s = clock.at - self._before.at
        machine = psutil.virtual_memory()
        self._last = Vitals(
            cpu=max(0.0, clock.tree - self._before.tree) / spent_s,
            machine_cpu=max(0.0, clock.machine - self._before.machine) / spent_s,
            cores=psutil.cpu_count() or 1,
            memory=process.memory_info().rss,
            commands_memory=_memory_of(process.children(recursive=True)),
            machine_memory=machine.total,
            machine_memory_free=machine.available,
        )
        self._before = clock
        return self._last

    def _clock(self, process: psutil.Process) -> _Clock:
        """A process that has ended counts with its parent, once that has reaped it."""
        import psutil

        tree = 0.0
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                tree += sum(member.cpu_times()[:4])  # user, system, and those of children that were reaped
        machine = psutil.cpu_times()
        idle = machine.idle + machine.iowait + machine.guest + machine.guest_nice
        return _Clock(time.monotonic(), tree, sum(machine) - idle)


def _memory_of(processes: list[psutil.Process]) -> int:
    import psutil

    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total
