"""What the machine itself does with the same work: the floor under every figure.

Python and the tools that a node needs anyway (bash, coreutils, xargs), and GNU parallel where it is;
no cluster, no s4. Functions give seconds.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .commands import Commands

_STREAM_BYTES = 1 << 20
_ASK_S = 10.0


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


def copy_through_pipe(commands: Commands, source: Path, target: Path) -> float:
    """`cat | cat` into a file, which is gone afterwards."""
    seconds = commands.run(["bash", "-c", 'cat "$0" | cat > "$1"', str(source), str(target)]).seconds
    target.unlink()
    return seconds


def start_python(commands: Commands) -> float:
    """An interpreter that does nothing."""
    return commands.run([sys.executable, "-c", "pass"]).seconds


def copy_tree(commands: Commands, source: Path, target: Path) -> float:
    """`cp -r` to a folder that is not there yet."""
    return commands.run(["cp", "-r", str(source), str(target)]).seconds


def list_trees(commands: Commands, folders: Sequence[Path]) -> float:
    """`ls -lR`."""
    return commands.run(["ls", "-lR", *map(str, folders)]).seconds


def remove_tree(commands: Commands, folder: Path) -> float:
    """`rm -r`."""
    return commands.run(["rm", "-r", str(folder)]).seconds


# -- shell commands under xargs and GNU parallel, as many at once as there are cores

XARGS, PARALLEL = "xargs", "GNU parallel"

_EACH = 'cd "$1"; ls | head -n "$5" | xargs -P"$3" -n1 bash -c "$4" "$2"'
_EACH_PARALLEL = 'cd "$1"; ls | head -n "$5" | parallel --will-cite -q -j"$3" bash -c "$4" "$2"'
_NAMES = 'cd "$1"; set -- "$@" *; ls "$6" | xargs -P"$3" -n1 bash -c "$4" "$2"'
_GROUPS = 'cd "$1"; ls | cut -d_ -f1 | sort -u | xargs -P"$3" -n1 bash -c "$4" "$2"'
_ALL = 1 << 40


class Plain(NamedTuple):
    """The same work without a cluster: files of `source` into the new folder `target`."""

    commands: Commands
    cores: int
    source: Path
    target: Path

    def map(self, command: str) -> float:
        """`command` for each file, stdin to stdout."""
        return self._run(_EACH, _map_script(command))

    def map_parallel(self, command: str, files: int) -> float:
        """The same by GNU parallel for the first so many files; `target` is gone afterwards."""
        seconds = self._run(_EACH_PARALLEL, _map_script(command), files)
        shutil.rmtree(self.target)
        return seconds

    def split(self, command: str) -> float:
        """`command` for each file as stdin, each in a folder of its own."""
        return self._run(_EACH, f'mkdir "$0/$1"; exec < "$1" > /dev/null; cd "$0/$1"; {command}')

    def merge(self, command: str) -> float:
        """`command` for each name in the folders of `source`, the paths of that name as stdin."""
        return self._run(_NAMES, f'printf "%s\\n" */"$1" | ({command}) > "$0/$1"')

    def merge_groups(self, command: str) -> float:
        """`command` for each prefix up to `_` in `source`, the paths of its files as stdin."""
        return self._run(_GROUPS, f'printf "%s\\n" "$1"_* | ({command}) > "$0/$1"')

    def _run(self, loop: str, script: str, files: int = _ALL) -> float:
        self.target.mkdir()
        words = [str(self.source), str(self.target), str(self.cores), script, str(files)]
        return self.commands.run(["bash", "-c", loop, "-", *words]).seconds


def _map_script(command: str) -> str:
    return f'exec < "$1" > "$0/$1"; {command}'


def has_parallel() -> bool:
    """Whether GNU parallel is installed; another program has the same name."""
    return "GNU parallel" in _said("parallel", "--version")


def facts(folder: Path) -> dict[str, Any]:
    """What this machine is; `folder` is where nodes and files live."""
    import zmq

    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "machine": platform.platform(),
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "load_average": os.getloadavg()[0],
        "file_system": _said("stat", "-f", "-c", "%T", str(folder)).strip(),
        "python": platform.python_version(),
        "pyzmq": zmq.__version__,
        "libzmq": zmq.zmq_version(),
    }


def _said(*argv: str) -> str:
    """What a program prints, or "" where it is missing."""
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=_ASK_S, check=False, start_new_session=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
