"""Running one program at a time, timed from its start to its end.

Each leads a session of its own, so that Ctrl-C reaches it through us alone and all that it has
started ends with it. Knows nothing of keys.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import CommandFailed

TIME_LIMIT_S = 600.0
"""For one command; a figure that takes longer is none."""

_END_S = 10.0
_STDERR_BYTES = 1000
_PIPE_BYTES = 1 << 20


class Timed(NamedTuple):
    """How a command went."""

    seconds: float
    stdout_bytes: int
    """Where its stdout was counted, else 0."""


class Commands:
    """Runs programs in `folder`, which holds their stderr too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, argv: Sequence[str], *, stdout: int | IO[bytes] = subprocess.DEVNULL) -> Timed:
        """Run to the end. Raises CommandFailed for any status but 0."""
        return self._run(argv, stdout, lambda _: 0)

    def run_counted(self, argv: Sequence[str]) -> Timed:
        """Run with stdout to a pipe whose reader takes pages without a copy, and counts bytes."""
        return self._run(argv, subprocess.PIPE, _count)

    def output(self, argv: Sequence[str]) -> tuple[Timed, str]:
        """Run, and all that it printed."""
        with open(self._folder / "stdout", "w+b") as file:
            timed = self.run(argv, stdout=file)
            file.seek(0)
            return timed, file.read().decode()

    def _run(
        self,
        argv: Sequence[str],
        stdout: int | IO[bytes],
        drain: Callable[[subprocess.Popen[bytes]], int],
    ) -> Timed:
        with open(self._folder / "stderr", "w+b") as errors:
            started_at = time.perf_counter()
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=errors,
                cwd=self._folder,
                start_new_session=True,
            )
            try:
                count = drain(process)
                _has_ended(process, TIME_LIMIT_S)
                seconds = time.perf_counter() - started_at
            finally:
                _end(process)
            if process.returncode:
                errors.seek(0)
                said = errors.read(_STDERR_BYTES).decode(errors="replace").strip()
                raise CommandFailed(
                    f"{shlex.join(argv)[:200]} failed with status {process.returncode}"
                    f" after {seconds:.1f} s: {said}"
                )
        return Timed(seconds, count)


def _count(process: subprocess.Popen[bytes]) -> int:
    """Bytes that come out of the stdout of `process` until its end."""
    assert process.stdout is not None
    fd, count = process.stdout.fileno(), 0
    with suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    try:
        while poller.poll(TIME_LIMIT_S * 1000) and (moved := os.splice(fd, nowhere, _PIPE_BYTES)):
            count += moved
    finally:
        os.close(nowhere)
    return count


def _has_ended(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for it, but leave it to be reaped. `Popen.wait` with a timeout sleeps up to 50 ms beyond
    the end."""
    pidfd = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return bool(poller.poll(timeout_s * 1000))
    finally:
        os.close(pidfd)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of it: SIGTERM, so that `s4` can end its session, then SIGKILL to the group.

    The leader is reaped last: until then the number of its group is its own.
    """
    try:
        if not _has_ended(process, 0):
            os.killpg(process.pid, signal.SIGTERM)
            _has_ended(process, _END_S)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
