"""What a process holds: anonymous memory and descriptors, now and at the worst moment. Reads /proc only."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import NamedTuple

_EVERY_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class Held(NamedTuple):
    """What a process holds at one moment."""

    anonymous_kib: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.anonymous_kib / 1024:.1f} MiB, {self.descriptors} descriptors"


def held_by(pid: int) -> Held:
    """Of a living process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return Held(int(line.split()[1]), len(os.listdir(f"/proc/{pid}/fd")))


def cpu_seconds(pid: int) -> float:
    """That a process has used so far, with all of its threads, and its children that have ended."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / _TICKS


class Peak(threading.Thread):
    """The most that a process held while this context was open, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="peak", daemon=True)
        self.held = Held(0, 0)
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        """Until the context ends, or the process."""
        while not self._ended.wait(_EVERY_S):
            try:
                now = held_by(self._pid)
            except (OSError, ValueError):
                return
            self.held = Held(*map(max, self.held, now))

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
