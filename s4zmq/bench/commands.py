"""Running programs, timed from their start to their end, one at a time or in the background.

Each leads a session of its own, so that Ctrl-C reaches it through us alone and all that it has
started ends with it. Knows nothing of keys.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import CommandFailed
from .procfs import Cpu

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

    cpu: Cpu


class Commands:
    """Runs programs in `folder`, which holds their stderr too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.on_start: Callable[[int], None] = lambda pid: None
        """Called with the pid of each command that is timed."""

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
            process = self._start(argv, subprocess.DEVNULL, stdout, errors)
            cpu = Cpu()
            try:
                self.on_start(process.pid)
                count = drain(process)
                _has_ended(process, TIME_LIMIT_S)
                seconds = time.perf_counter() - started_at
            finally:
                cpu = _end(process)
            if process.returncode:
                raise _failure(argv, process.returncode, seconds, errors)
        return Timed(seconds, count, cpu)

    @contextmanager
    def background(
        self, argv: Sequence[str], *, is_read: bool = False
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A program that runs meanwhile, its stdin open so long, its stdout to be read with `is_read`.
        It is ended with the context. Raises CommandFailed where it has failed before."""
        with open(self._folder / f"stderr-{os.urandom(4).hex()}", "w+b") as errors:
            started_at = time.perf_counter()
            stdout = subprocess.PIPE if is_read else subprocess.DEVNULL
            process = self._start(argv, subprocess.PIPE, stdout, errors)
            has_ended = False
            try:
                yield process
                has_ended = _has_ended(process, 0)
            finally:
                _end(process)
            if has_ended and process.returncode:
                raise _failure(argv, process.returncode, time.perf_counter() - started_at, errors)

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Give a program of the background, that was asked to end, the time to."""
        _has_ended(process, _END_S)

    def _start(
        self, argv: Sequence[str], stdin: int, stdout: int | IO[bytes], stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd=self._folder, start_new_session=True
        )


def _failure(argv: Sequence[str], status: int, seconds: float, errors: IO[bytes]) -> CommandFailed:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - _STDERR_BYTES))
    said = errors.read().decode(errors="replace").strip()
    return CommandFailed(
        f"{shlex.join(argv)[:200]} failed with status {status} after {seconds:.1f} s: {said}"
    )


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


def _end(process: subprocess.Popen[bytes]) -> Cpu:
    """Leave nothing of it: SIGTERM to the group, so that `s4` can end its session, then SIGKILL.
    What it has spent.

    The leader is reaped last: until then the number of its group is its own.
    """
    try:
        if not _has_ended(process, 0):
            os.killpg(process.pid, signal.SIGTERM)
            _has_ended(process, _END_S)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
    return Cpu(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
