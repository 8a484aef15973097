"""A node under a supervisor that speaks systemd's protocol: a real socket, a real node."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..harness import BIN, Cluster, Port, wait_until

WATCHDOG_S = 30


class Supervised:
    """One node, and all that it has said."""

    def __init__(self, folder: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.listener.bind(str(folder / "notify"))
        self.listener.setblocking(False)
        self.said: list[str] = []
        self.port = Port()
        self.conf = folder / "s4.conf"
        self.conf.write_text(f"127.0.0.1:{self.port.number}\n")
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            stream = os.fstat(log.fileno())
            self.process = subprocess.Popen(
                [BIN / "s4-node", "--conf", self.conf, "--data", folder / "data"],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": str(folder / "notify"),
                    "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000),
                    "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}",
                },
            )

    def hear(self) -> list[str]:
        """All that the node has said, since it was started."""
        try:
            while True:
                self.said.append(self.listener.recv(4096).decode())
        except BlockingIOError:
            return self.said

    def beats(self) -> int:
        return self.hear().count("WATCHDOG=1")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.listener.close()
        self.port.release()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Supervised]:
    node = Supervised(tmp_path)
    yield node
    node.close()


def s4(node: Supervised, *words: str) -> str:
    argv = [str(BIN / "s4"), "-c", str(node.conf), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True, input="x").stdout


def test_a_supervisor_hears_of_a_nodes_life_and_its_commands_do_not_hear_of_the_supervisor(
    node: Supervised,
) -> None:
    wait_until(lambda: "READY=1" in node.hear(), "the node to be ready", 30)
    assert s4(node, "health").startswith("healthy")
    before = node.beats()
    wait_until(lambda: node.beats() > before + 1, "the loop to feed the watchdog")

    node.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T" in _state(node.process.pid), "the node to stand still")
    before = node.beats()
    with pytest.raises(AssertionError, match="timed out"):  # three periods of the loop
        wait_until(lambda: node.beats() > before, "a beat of a node that stands still", 1.5)
    node.process.send_signal(signal.SIGCONT)
    wait_until(lambda: node.beats() > before, "the watchdog to be fed again")

    s4(node, "cp", "-", "s4://b/k")
    seen = s4(node, "eval", "s4://b/k", "env")
    assert "PATH=" in seen
    assert not any(word in seen for word in ("NOTIFY_SOCKET", "WATCHDOG", "JOURNAL_STREAM"))

    assert "STOPPING=1" not in node.hear()
    node.process.terminate()
    assert node.process.wait(timeout=20) == 0
    assert node.hear().count("READY=1") == node.said.count("STOPPING=1") == 1
    lines = node.log.read_text().splitlines()
    assert lines
    assert all(line.startswith("<6>s4zmq.daemon: node 127.0.0.1:") for line in lines), lines


def test_a_node_that_can_not_start_says_so_with_the_priority_of_an_error(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        stream = os.fstat(log.fileno())
        done = subprocess.run(
            [BIN / "s4-node", "--conf", tmp_path / "none"],
            stderr=log,
            env={**os.environ, "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"},
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert (tmp_path / "log").read_text().startswith("<3>s4-node: can not read the conf file")


def test_without_a_journal_log_lines_say_their_level(cluster: Cluster) -> None:
    assert cluster.nodes[0].log.startswith("INFO s4zmq.daemon: node ")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
