"""Running one command of a user's: bash, its own process group, its own folder, its end.

A bash is started for each command here, as `s4 eval` wants it; those of a job are run by `bashes`.

Knows nothing of keys beyond their names, of jobs, or of sockets. A command is never limited in time
unless asked; what it leaves running is killed when it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from .commandtext import check_command
from .errors import StorageError
from .processes import MARKER, Registry, kill_group
from .watching import Take, feed_rest, watch

_SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Command(NamedTuple):
    """What to run, and what it sees."""

    text: str
    filename: str
    """`$filename`: the name of the input, or in a merge of the output."""

    key: str
    """`$S4_KEY`: its full key."""

    folder: str
    """The working folder: empty but for shipped files, gone afterwards."""


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    """Its exit status; 128 + n for signal n, as a shell says it."""

    stderr: bytes
    """The end of what it wrote there, STDERR_TAIL_BYTES at most."""

    timed_out: bool = False
    cancelled: bool = False
    cut: int = 0
    """Bytes of stderr before those."""


class Switch:
    """Turned once, from any thread; everyone who polls its descriptor, or listens, wakes up."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.is_on = False
        self._lock = threading.Lock()
        self._listeners: dict[object, Callable[[], None]] = {}

    def turn(self) -> None:
        """For good."""
        with self._lock:
            self.is_on = True
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """While inside, `listener` is called when the switch is turned, or at once if it is on."""
        token = object()  # several may listen with one function
        with self._lock:
            self._listeners[token] = listener
        try:
            if self.is_on:
                listener()
            yield
        finally:
            with self._lock:
                del self._listeners[token]

    def close(self) -> None:
        """Give the descriptor back; `is_on` stays readable."""
        with self._lock:
            fd, self.fd = self.fd, -1
            if fd >= 0:
                os.close(fd)


class Shell:
    """Starts commands on behalf of one node."""

    def __init__(self, registry: Registry, conf_path: str, key_path: str) -> None:
        """`key_path` is "" where there is no cluster key."""
        self.registry = registry
        self.environment: Mapping[str, str] = base_environment(os.environ, conf_path, key_path)
        """What every command sees; `filename` and its like come on top."""

    def start(self, command: Command, *, stdin: int, stdout: int) -> Process:
        """A running command. `stdout` may be subprocess.PIPE. Raises StorageError or RequestError."""
        check_command(command.text)
        marker = self.registry.new_marker()
        environment = {
            **self.environment,
            "filename": command.filename,
            "S4_KEY": command.key,
            "TMPDIR": command.folder,
            MARKER: marker,
        }
        try:
            popen = subprocess.Popen(
                ["bash", "-eou", "pipefail", "-c", "--", command.text],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=command.folder,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as exc:
            self.registry.ended(marker)
            raise StorageError(f"can not start bash: {exc.strerror}") from exc
        self.registry.started(marker, popen.pid)
        return Process(popen, marker, self.registry)


class Process:
    """One running command. Leaving its context kills and reaps whatever is left of it."""

    def __init__(self, popen: subprocess.Popen[bytes], marker: str, registry: Registry) -> None:
        self._popen = popen
        self._marker = marker
        self._registry = registry
        assert popen.stderr is not None
        self.stderr = popen.stderr.fileno()
        self.stdout = popen.stdout.fileno() if popen.stdout else -1
        for fd in (self.stderr, self.stdout):
            if fd >= 0:
                os.set_blocking(fd, False)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        for pipe in (self._popen.stderr, self._popen.stdout):
            if pipe:
                pipe.close()

    def watch(self, readers: Mapping[int, Take], cancel: Switch, timeout_s: float) -> str:
        """Feed the readers until the leader ends, then with what is left in their pipes.

        "end", "timeout" or "cancel". A reader may block: that is how a slow client slows a command.
        """
        pidfd = os.pidfd_open(self._popen.pid)
        try:
            ended = watch(pidfd, readers, cancel.fd, timeout_s)
        finally:
            os.close(pidfd)
        kill_group(self._popen.pid)
        if ended != "cancel":
            for fd, take in readers.items():
                feed_rest(fd, take)
        return ended

    def finish(self) -> int:
        """Kill what is left of the group, reap the leader; its exit status."""
        if self._popen.returncode is None:
            kill_group(self._popen.pid)  # before the leader is reaped: the number is still its own
            self._popen.wait()
            self._registry.end_descendants(self._marker)
            self._registry.ended(self._marker)
        return status_of(self._popen)


def status_of(ended: subprocess.Popen[bytes]) -> int:
    """As a shell says it: 128 + n for signal n."""
    code: int = ended.returncode
    return code if code >= 0 else 128 - code


def base_environment(environ: Mapping[str, str], conf_path: str, key_path: str) -> dict[str, str]:
    """The variables that every command sees. Nothing else of the node's own reaches a command."""
    scripts = os.path.dirname(sys.executable)  # where `s4` is installed
    path = ":".join((environ.get("PATH") or _SAFE_PATH, scripts))
    variables = {
        "PATH": path,
        "HOME": environ.get("HOME", "/"),
        "LANG": environ.get("LANG", "C.UTF-8"),
        "LC_ALL": "C",
        "S4_CONF_PATH": conf_path,
        "S4_KEY_PATH": key_path,
    }
    variables.update({name: value for name, value in environ.items() if name.startswith("AWS_")})
    return variables
