"""Ending processes, all of them: groups, orphans, and what a killed node left running.

A command leads a process group of its own, or is a child of a bash that runs the commands of a job
one by one. Its descendants carry the marker that stands in its environment, and when their parents
die they become children of the node, which is a subreaper. One that scrubbed its environment is
ended as soon as the node runs no command at all. Linux only; nothing here knows what the commands
are for.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .descriptors import narrow

MARKER = "S4_TASK"
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 2.0
_EXEC_TRIES = 50
_EXEC_PAUSE_S = 0.0005


def become_subreaper(wanted: bool = True) -> None:
    """Make orphans of this process's descendants its children, so that they can be found; or no more."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def kill_group(pgid: int) -> None:
    """SIGKILL a whole process group; none left is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, signal.SIGKILL)


def kill_groups_below(pid: int) -> None:
    """SIGKILL the groups that the children of a process lead."""
    for child in list(_children(pid)):
        kill_group(child)


class Registry:
    """The commands that run now, and the bashes that wait for one: their markers and their leaders."""

    def __init__(self, data_folder: Path) -> None:
        self._tag = hashlib.blake2b(str(data_folder).encode(), digest_size=8).hexdigest()
        self._lock = threading.Lock()
        self._counter = 0
        self._leaders: dict[str, int] = {}

    def new_marker(self) -> str:
        """A value for the environment variable MARKER that no other command has."""
        with self._lock:
            self._counter += 1
            marker = f"{self._tag}.{os.getpid()}.{self._counter}"
            self._leaders[marker] = 0
            return marker

    def started(self, marker: str, pid: int) -> None:
        """The command with `marker` leads group `pid`."""
        narrow(pid)
        with self._lock:
            self._leaders[marker] = pid

    def ended(self, marker: str) -> None:
        """The command and its group are gone; whatever else carries the marker is an orphan."""
        with self._lock:
            self._leaders.pop(marker, None)

    @property
    def running(self) -> int:
        """Commands that run now, and bashes that wait for one."""
        return len(self._leaders)

    def end_descendants(self, marker: str) -> None:
        """Kill and reap what a command left, before its outputs are looked at: it may still hold them
        open. Call it when the leader has ended, as orphans are this process's children only then."""
        until = time.monotonic() + _PATIENCE_S
        while left := self._left_by(marker):
            for pid in left:
                self._end(pid)
            if time.monotonic() > until:
                return

    def _left_by(self, marker: str) -> list[int]:
        adopted = _adopted()  # nearly always empty, and this is done once for each command
        return [pid for pid in adopted if not self._leads(pid) and self._belongs_to(pid, marker)]

    def _belongs_to(self, pid: int, marker: str) -> bool:
        """By its session, or where it has left that by its environment."""
        with suppress(ProcessLookupError):
            if os.getsid(pid) == self._leaders.get(marker):
                return True
        for _ in range(_EXEC_TRIES):
            if not _is_in_exec(pid):
                break
            time.sleep(_EXEC_PAUSE_S)
        return _marker_of(pid) == marker

    def _leads(self, pid: int) -> bool:
        with self._lock:
            return pid in self._leaders.values()

    def _end(self, pid: int) -> None:
        """Kill an orphan with its whole group, so that no sibling has the time to start more."""
        with suppress(ProcessLookupError, PermissionError, ChildProcessError):
            group = os.getpgid(pid)
            if not self._leads(group):
                kill_group(group)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def sweep_orphans(self) -> int:
        """Kill and reap what ended commands left behind; how many that were."""
        count = 0
        for pid in _children(os.getpid()):
            if self._is_orphan(pid):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                count += 1
        return count

    def _is_orphan(self, pid: int) -> bool:
        """Asks what runs now, after `pid` was seen: a command is registered before it starts."""
        marker = _marker_of(pid)
        with self._lock:
            markers, leaders = set(self._leaders), set(self._leaders.values())
        if pid in leaders:
            return False
        if marker.startswith(self._tag):
            return marker not in markers
        if 0 in leaders:
            return False  # a command is being started: this may be it, before its exec
        # No marker to be read: a zombie, or one that scrubbed its environment.
        return _is_zombie(pid) or not leaders

    def kill_left_over(self) -> None:
        """At the start of a node: end what an earlier one on this data folder left running."""
        for pid in _all_processes():
            if _marker_of(pid).startswith(self._tag):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def _children(parent: int) -> Iterator[int]:
    """Direct children of all threads of `parent`."""
    with suppress(FileNotFoundError):
        for thread in os.listdir(f"/proc/{parent}/task"):
            with suppress(OSError):
                yield from map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())


def _adopted() -> list[int]:
    """Children of the main thread: the kernel gives it the orphans. So it does with what ended threads
    have started, so that leaders may be among them."""
    with suppress(OSError):
        pid = os.getpid()
        fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY)
        with os.fdopen(fd, "rb", buffering=0) as file:
            return [int(word) for word in file.readall().split()]
    return []


def _all_processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _marker_of(pid: int) -> str:
    """The value of MARKER in the process's environment, or ""."""
    with suppress(OSError):
        for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if item.startswith(MARKER.encode() + b"="):
                return item.partition(b"=")[2].decode(errors="replace")
    return ""


def _is_in_exec(pid: int) -> bool:
    """Whether a process shows neither words nor environment, as it does in the middle of an exec."""
    with suppress(OSError):
        folder = Path(f"/proc/{pid}")
        shown = (folder / "environ").read_bytes() or (folder / "cmdline").read_bytes()
        return not shown and not _is_zombie(pid)
    return False


def _is_zombie(pid: int) -> bool:
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False
