"""What the machine itself does with the same work: the floor under every figure.

Python and the tools that a node needs anyway (bash, coreutils, xargs); no cluster, no s4. Functions
give seconds.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .commands import Commands

_STREAM_BYTES = 1 << 20


def timed(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def copy_file(source: Path, target: Path) -> float:
    """A plain copy in this process; `target` is gone afterwards."""
    seconds = timed(lambda: shutil.copyfile(source, target))
    target.unlink()
    return seconds


def stream(size_bytes: int) -> float:
    """Bytes through one TCP connection over loopback, from memory to memory."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=_send, args=(server.getsockname(), size_bytes), daemon=True)
        started_at = time.perf_counter()
        sender.start()
        receiver, _ = server.accept()
        buffer = bytearray(_STREAM_BYTES)
        with receiver:
            while receiver.recv_into(buffer):
                pass
        seconds = time.perf_counter() - started_at
        sender.join()
    return seconds


def _send(address: tuple[str, int], size_bytes: int) -> None:
    chunk = memoryview(bytearray(_STREAM_BYTES))
    with socket.create_connection(address) as sender:
        for start in range(0, size_bytes, _STREAM_BYTES):
            sender.sendall(chunk[: size_bytes - start])


def start_python(commands: Commands) -> float:
    """An interpreter that does nothing."""
    return commands.run([sys.executable, "-c", "pass"]).seconds


def copy_tree(commands: Commands, source: Path, target: Path) -> float:
    """`cp -r` to a folder that is not there yet."""
    return commands.run(["cp", "-r", str(source), str(target)]).seconds


def list_tree(commands: Commands, folder: Path) -> float:
    """`ls -lR`."""
    return commands.run(["ls", "-lR", str(folder)]).seconds


def remove_tree(commands: Commands, folder: Path) -> float:
    """`rm -r`."""
    return commands.run(["rm", "-r", str(folder)]).seconds


# -- shell commands under xargs, as many at once as there are cores

_EACH = 'cd "$1"; ls | xargs -P"$3" -n1 bash -c "$4" "$2"'
_GROUPS = 'cd "$1"; set -- "$@" *; ls "$5" | xargs -P"$3" -n1 bash -c "$4" "$2"'


class Plain(NamedTuple):
    """The same work without a cluster: files of `source` into the new folder `target`."""

    commands: Commands
    cores: int
    source: Path
    target: Path

    def map(self, command: str) -> float:
        """`command` for each file, stdin to stdout."""
        return self._xargs(_EACH, f'exec < "$1" > "$0/$1"; {command}')

    def split(self, command: str) -> float:
        """`command` for each file as stdin, each in a folder of its own."""
        return self._xargs(_EACH, f'mkdir "$0/$1"; exec < "$1" > /dev/null; cd "$0/$1"; {command}')

    def merge(self, command: str) -> float:
        """`command` for each name in the folders of `source`, the paths of that name as stdin."""
        return self._xargs(_GROUPS, f'printf "%s\\n" */"$1" | ({command}) > "$0/$1"')

    def _xargs(self, loop: str, script: str) -> float:
        self.target.mkdir()
        words = [str(self.source), str(self.target), str(self.cores), script]
        return self.commands.run(["bash", "-c", loop, "-", *words]).seconds
