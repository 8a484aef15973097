"""What is said to a supervisor, over a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s4zmq.supervisor import Supervisor


@pytest.fixture
def listen() -> Iterator[Callable[[str], socket.socket]]:
    """Binds a datagram socket to a path, `@` for an abstract one."""
    bound: list[socket.socket] = []

    def bind(path: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bound.append(listener)
        listener.bind("\0" + path[1:] if path.startswith("@") else path)
        listener.setblocking(False)
        return listener

    yield bind
    for listener in bound:
        listener.close()


def heard(listener: socket.socket) -> list[str]:
    """All that has been said so far."""
    found = []
    try:
        while True:
            found.append(listener.recv(4096).decode())
    except BlockingIOError:
        return found


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_supervisor_hears_ready_alive_status_and_one_stopping(
    tmp_path: Path, listen: Callable[[str], socket.socket], is_abstract: bool
) -> None:
    path = f"@s4-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    listener = listen(path)
    environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000", "PATH": "/bin"}
    supervisor = Supervisor.take(environ)
    assert environ == {"PATH": "/bin"}, "a child must not speak for its parent"
    supervisor.ready()
    supervisor.alive()
    supervisor.status("waits")
    supervisor.stopping()
    supervisor.stopping()
    assert heard(listener) == ["READY=1", "WATCHDOG=1", "STATUS=waits", "STOPPING=1"]


def test_only_who_watches_hears_of_life(tmp_path: Path, listen: Callable[[str], socket.socket]) -> None:
    path = str(tmp_path / "notify")
    listener = listen(path)
    for watchdog in ({}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getppid())}):
        supervisor = Supervisor.take({"NOTIFY_SOCKET": path, **watchdog})
        supervisor.alive()
        assert heard(listener) == []
        supervisor.ready()
        assert heard(listener) == ["READY=1"]


def test_nobody_to_hear_is_no_fault(tmp_path: Path, listen: Callable[[str], socket.socket]) -> None:
    Supervisor.take({}).ready()
    Supervisor(str(tmp_path / "nobody")).ready()
    path = str(tmp_path / "full")
    listener = listen(path)
    supervisor = Supervisor(path, watches=True)
    for _ in range(2000):  # more than the queue of a socket takes: it must not block
        supervisor.alive()
    assert heard(listener)
