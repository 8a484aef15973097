"""What the kernel counts for a process: anonymous memory and CPU seconds.

Reads /proc only. Whose the processes are is the caller's business.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_EVERY_S = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


def anonymous_bytes(pid: int) -> int:
    """Memory that no file backs, or 0 for a process that is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


class PeakMemory(threading.Thread):
    """The most anonymous memory that processes had while this context was open, looked at every
    10 ms. (VmHWM would count mapped files too, and can not be reset for one scenario.)"""

    def __init__(self, nodes: Iterable[int]) -> None:
        super().__init__(name="peak-memory", daemon=True)
        self.node_bytes = dict.fromkeys(nodes, 0)
        self.sum_bytes = 0
        """Of all nodes at one moment."""
        self.client_bytes = 0
        self._client = 0
        self._ended = threading.Event()

    def watch_client(self, pid: int) -> None:
        """From now on this process is the client."""
        self._client = pid

    @property
    def largest_bytes(self) -> int:
        """Of the node that had most."""
        return max(self.node_bytes.values(), default=0)

    def run(self) -> None:
        """Until the context ends."""
        while not self._ended.wait(_EVERY_S):
            now = {pid: anonymous_bytes(pid) for pid in self.node_bytes}
            self.sum_bytes = max(self.sum_bytes, sum(now.values()))
            self.node_bytes = {pid: max(now[pid], peak) for pid, peak in self.node_bytes.items()}
            if self._client:
                self.client_bytes = max(self.client_bytes, anonymous_bytes(self._client))

    def __enter__(self) -> PeakMemory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


class Cpu(NamedTuple):
    """CPU seconds."""

    user_s: float = 0.0
    system_s: float = 0.0

    def plus(self, other: Cpu) -> Cpu:
        """Both together."""
        return Cpu(self.user_s + other.user_s, self.system_s + other.system_s)

    def minus(self, before: Cpu) -> Cpu:
        """What came since."""
        return Cpu(self.user_s - before.user_s, self.system_s - before.system_s)


class _Stat(NamedTuple):
    """A line of /proc/PID/stat."""

    parent: int
    own: Cpu
    reaped: Cpu
    """Of the children that it has waited for."""


def cpu_of(pids: Iterable[int]) -> tuple[Cpu, Cpu]:
    """(of the processes themselves, of all that they have started), since their start."""
    stats = _all_stats()
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.parent, []).append(pid)
    own, below = Cpu(), Cpu()
    for pid in pids:
        if pid not in stats:
            continue
        own, below = own.plus(stats[pid].own), below.plus(stats[pid].reaped)
        left = list(children.get(pid, ()))
        while left:
            child = left.pop()
            left += children.get(child, ())
            below = below.plus(stats[child].own).plus(stats[child].reaped)
    return own, below


def _all_stats() -> dict[int, _Stat]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks = [int(word) / _TICKS for word in words[11:15]]
            found[int(name)] = _Stat(int(words[1]), Cpu(*ticks[:2]), Cpu(*ticks[2:]))
    return found
