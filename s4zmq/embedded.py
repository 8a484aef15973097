"""The cluster on one machine: nodes as background processes, their conf, data and logs in one folder.

    HOME/s4.conf        one line a node; every later `s4` finds it
    HOME/s4.key         the cluster key, beside it
    HOME/node-PORT/     data, log and pid of one node

`up` and `down` may be repeated. A pid file alone proves nothing (numbers are used again), so a
process is only taken for a node of ours if its command line says so.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .clusterkey import write_key
from .config import Config, embedded_conf, key_beside, load_config
from .errors import ConfigError, NodeUnreachable, StorageError, map_errors
from .session import Session

NODES = 3
_NODE = (sys.executable, "-m", "s4zmq.daemon")
_START_S = 20.0
_REFUSED_S = 3.0
_STOP_S = 12.0
_POLL_S = 0.05


def up(home: Path, nodes: int, program: Sequence[str] = _NODE, *, with_key: bool = True) -> str:
    """Start what does not run yet and wait until all are healthy; what to tell the user.

    `nodes` 0: as many as there are, else NODES. `program` takes the words of s4-node. `with_key` False:
    one to compare with, neither encrypted nor authenticated.
    """
    conf = embedded_conf(home)
    with map_errors({OSError: StorageError}, f"can not use {home}"):
        home.mkdir(parents=True, exist_ok=True)
        if not conf.exists():
            conf.write_text("".join(f"127.0.0.1:{port}\n" for port in free_ports(nodes or NODES)))
    if with_key and not _key(home).exists() and not any(_running_pid(folder) for folder in _folders(home)):
        write_key(str(_key(home)))
    config = embedded_config(home)
    if nodes not in (0, len(config.roster.nodes)):
        raise ConfigError(
            f"a cluster of {len(config.roster.nodes)} nodes is in {home}: keys are placed by their"
            " number, so stop and delete it first (s4 down --purge), or leave --nodes out"
        )
    for node in config.roster.nodes:
        if not _running_pid(_folder(home, node)):
            _start(home, node, config, program)
    wait_until_healthy(home, config)
    return f"{len(config.roster.nodes)} nodes are healthy; data, logs and {conf.name} are in {home}"


def down(home: Path, *, purge: bool) -> str:
    """Stop all nodes, and with `purge` delete everything; what to tell the user."""
    folders = _folders(home)
    pids = [pid for pid in map(_running_pid, folders) if pid]
    stop(pids)
    for folder in folders:
        (folder / "pid").unlink(missing_ok=True)  # this tells `config` that they are stopped
    if purge:
        for path in (*folders, embedded_conf(home), _key(home)):
            with map_errors({OSError: StorageError}, f"can not delete {path}"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with suppress(OSError):
            home.rmdir()  # only if nothing else is in it
    return f"{len(pids)} nodes stopped" + (f"; {home} is purged" if purge else "")


def embedded_config(home: Path) -> Config:
    """The cluster in `home`, whatever keys the environment names. Raises ConfigError."""
    return load_config(str(embedded_conf(home)), str(_key(home)) if _key(home).exists() else "")


def wait_until_healthy(home: Path, config: Config) -> None:
    """Raises NodeUnreachable with the end of a log where a node does not come up, and with what a node
    says where it goes on refusing us."""
    begun = time.monotonic()
    while True:
        with Session(config) as client:
            sick = {health.node: health.reason for health in client.health() if not health.is_healthy}
        dead = [node for node in sick if not _running_pid(_folder(home, node))]
        refusing = [node for node, reason in sick.items() if reason]
        waited_s = time.monotonic() - begun
        if not sick:
            return
        if dead or waited_s > (_REFUSED_S if refusing else _START_S):
            node = [*dead, *refusing, *sick][0]
            why = sick[node] if node not in dead else ""
            raise NodeUnreachable(f"node {node} did not start: {why}\n{_log_tail(_folder(home, node))}")


def stop(pids: list[int]) -> None:
    """SIGTERM, and after a while SIGKILL, until none is left."""
    until = time.monotonic() + _STOP_S
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while left := [pid for pid in pids if _is_alive(pid)]:
        if time.monotonic() > until:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def free_ports(count: int) -> list[int]:
    """Free ports below the range from which the kernel gives ports to outgoing connections: those
    would be taken by chance while the cluster is down."""
    low = 32768
    with suppress(OSError, ValueError):
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(min(10000, low - 2000), low), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise ConfigError("no free ports on this machine")


def _key(home: Path) -> Path:
    return Path(key_beside(str(embedded_conf(home))))


def _folders(home: Path) -> list[Path]:
    return [path for path in home.glob("node-*") if path.is_dir()]


def _folder(home: Path, node: str) -> Path:
    return home / f"node-{node.rpartition(':')[2]}"


def _start(home: Path, node: str, config: Config, program: Sequence[str]) -> None:
    folder = _folder(home, node)
    words = (*config.words, "--port", node.rpartition(":")[2], "--data", folder / "data")
    with map_errors({OSError: StorageError}, f"can not start a node in {folder}"):
        folder.mkdir(exist_ok=True)
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(
                [*program, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        (folder / "pid").write_text(f"{process.pid}\n")


def _running_pid(folder: Path) -> int:
    """The pid of the node that runs in `folder`, or 0."""
    try:
        pid = int((folder / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if str(folder / "data").encode() in words and _is_alive(pid) else 0


def _is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _log_tail(folder: Path) -> str:
    with suppress(OSError):
        return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-5:])
    return "it has no log"
