"""The cluster on one machine: ports, and whose process a pid file names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq import embedded
from s4zmq.embedded import down, free_ports
from s4zmq.errors import ConfigError


def test_ports_are_free_different_and_below_those_of_outgoing_connections() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(12)
    assert len(set(ports)) == 12
    assert all(1024 <= port < low for port in ports)
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_more_ports_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no free ports"):
        free_ports(100_000)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no node, though a pid file names it."""
    (tmp_path / "node-7000").mkdir()
    with subprocess.Popen(["sleep", "1000"]) as process:
        (tmp_path / "node-7000" / "pid").write_text(f"{process.pid}\n")
        yield process
        process.kill()


def test_a_pid_that_belongs_to_another_program_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    assert down(tmp_path, purge=True).startswith("0 nodes stopped")
    assert stranger.poll() is None
    assert not tmp_path.exists()


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "99999999"])
def test_a_pid_file_without_a_process_names_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    assert embedded._running_pid(tmp_path) == 0
    assert embedded._running_pid(tmp_path / "none") == 0


def test_stopping_ends_processes_that_ignore_a_polite_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STOP_S", 0.2)
    ignore = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); sys.stdout.flush();"
    )
    words = [sys.executable, "-c", ignore + "signal.pause()"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        embedded.stop([process.pid, process.pid])
        assert not os.path.exists(f"/proc/{process.pid}")


def test_taking_down_what_is_not_there_is_harmless(tmp_path: Path) -> None:
    for purge in (False, True, True):
        assert down(tmp_path / "home", purge=purge).startswith("0 nodes stopped")


def test_a_purge_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "node-7000").mkdir()
    (tmp_path / "s4.conf").write_text("127.0.0.1:7000\n")
    (tmp_path / "notes").write_text("mine")
    down(tmp_path, purge=False)
    assert sorted(os.listdir(tmp_path)) == ["node-7000", "notes", "s4.conf"]
    down(tmp_path, purge=True)
    assert os.listdir(tmp_path) == ["notes"]
