"""The door: what the kernel tells of connections, and the end of those that are of no use."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from s4zmq import door as room
from s4zmq.connections import connections_to
from s4zmq.door import Door, Rest
from s4zmq.limits import REST_TICKS, STUCK_AT_REST

from ..harness import wait_until


class Bench:
    """Connections to a port of this process, seen from both ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.door = Door(self.port)
        self._ends: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """(the dialling end, the end of this process that was dialled)."""
        dialled = socket.create_connection(("127.0.0.1", self.port))
        accepted, _ = self._listener.accept()
        self._ends += [dialled, accepted]
        return dialled, accepted

    def close(self) -> None:
        for end in [*self._ends, self._listener]:
            end.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def is_ended(dialled: socket.socket) -> bool:
    """Whether the other end has closed; fails where something is still to come."""
    dialled.settimeout(0)
    try:
        return dialled.recv(1) == b""
    except BlockingIOError:
        return False


def test_only_connections_to_its_ports_count(bench: Bench) -> None:
    bench.connect()
    bench.connect()
    other = socket.create_server(("127.0.0.1", 0))
    dialled = socket.create_connection(other.getsockname())
    bench.door.look()
    assert (bench.door.looks, bench.door.count, bench.door.stuck[bench.port]) == (1, 2, 0)
    dialled.close()
    other.close()


def test_what_is_over_and_not_given_back_is_stuck_at_the_second_look(bench: Bench) -> None:
    dialled, accepted = bench.connect()
    bench.connect()
    dialled.close()
    bench.door.look()
    assert (bench.door.count, bench.door.stuck[bench.port]) == (2, 0)
    bench.door.look()
    assert (bench.door.count, bench.door.stuck[bench.port]) == (2, 1)
    accepted.close()
    bench.door.look()
    assert (bench.door.count, bench.door.stuck[bench.port]) == (1, 0)


def test_a_silent_connection_is_ended_and_one_that_speaks_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SILENT_CONNECTION_S", 0.3)
    silent, _ = bench.connect()
    speaks, _ = bench.connect()

    def has_ended() -> bool:
        speaks.send(b"x")
        bench.door.look()
        return is_ended(silent)

    wait_until(has_ended, "the silent one to be ended")
    assert not is_ended(speaks)


def test_of_too_many_those_that_have_said_least_are_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (bench.connect()[0] for _ in range(3))

    first.send(b"xx")
    third.send(b"xx")
    second.send(b"x")  # the last to speak

    def have_come() -> bool:
        return sum(one.received_bytes for one in connections_to([bench.port])) == 5

    wait_until(have_come, "what they say to come")
    monkeypatch.setattr(bench.door, "_most", 2)
    bench.door.look()
    wait_until(lambda: is_ended(second), "it to be ended")
    assert not is_ended(first)
    assert not is_ended(third)


def test_the_thread_looks_again_and_again_until_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_LOOK_S", 0.01)
    bench.door.start()
    wait_until(lambda: bench.door.looks >= 3, "three looks")
    bench.door.stop()
    assert not bench.door.is_alive()


def test_a_rest_is_due_once_for_each_time_of_quiet_with_many_stuck_connections(bench: Bench) -> None:
    rest = Rest(bench.door, bench.port)
    ends = [bench.connect() for _ in range(STUCK_AT_REST)]

    def ticks(count: int, *, is_idle: bool = True) -> int:
        return sum(rest.is_due(is_idle=is_idle, seen=1) for _ in range(count))

    for dialled, _ in ends:
        dialled.close()
    bench.door.look()
    assert ticks(2 * REST_TICKS) == 0, "they may be given back yet"
    bench.door.look()
    assert ticks(REST_TICKS, is_idle=False) == 0
    assert ticks(REST_TICKS) == 1
    bench.door.look()
    assert ticks(2 * REST_TICKS) == 0, "that look may have begun before the socket was bound anew"
    bench.door.look()
    assert ticks(2 * REST_TICKS) == 1


def test_connections_to_another_port_are_not_what_a_rest_is_for(bench: Bench) -> None:
    rest = Rest(bench.door, bench.port + 1)
    for dialled, _ in [bench.connect() for _ in range(STUCK_AT_REST)]:
        dialled.close()
    bench.door.look()
    bench.door.look()
    assert not any(rest.is_due(is_idle=True, seen=1) for _ in range(2 * REST_TICKS))
