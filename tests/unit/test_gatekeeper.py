"""Who is admitted: a bound socket and those who dial it, with the key, another one, or none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import zmq

from s4zmq import sockets
from s4zmq.clusterkey import ClusterKey
from s4zmq.gatekeeper import Gatekeeper
from s4zmq.handshakes import Handshake

from ..harness import Port, wait_until

KEY, OTHER = (ClusterKey(name, os.urandom(32)) for name in ("key", "other"))
PATIENCE_MS = 5000


class Gate:
    """A control socket with a key."""

    def __init__(self, key: ClusterKey, *, is_kept: bool) -> None:
        self.context = sockets.Context(key)
        self.keeper = Gatekeeper(self.context) if is_kept else None
        if self.keeper:
            self.keeper.start()
        self._port = Port()
        self.address = f"127.0.0.1:{self._port.number}"
        self.router = sockets.bind_control(self.context, self.address)

    def close(self) -> None:
        self.router.close()
        self._port.release()
        if self.keeper:
            self.keeper.stop()
        self.context.term()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate(KEY, is_kept=True)
    yield made
    made.close()


def is_admitted(address: str, key: ClusterKey | None) -> bool:
    """Whether a connection gets through; how its handshake ends is waited for, not guessed from silence."""
    context = sockets.Context(key)
    watched, monitor = sockets.dial_watched(context, address)
    try:
        while monitor.poll(PATIENCE_MS):
            for event in sockets.read_events(monitor):
                if event in ENDS:
                    return event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        raise AssertionError("the handshake does not end")
    finally:
        sockets.close_watched(watched, monitor)
        context.close()


ENDS = (zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_DISCONNECTED)


def test_only_holders_of_the_key_are_admitted(gate: Gate) -> None:
    assert is_admitted(gate.address, KEY)
    assert not is_admitted(gate.address, OTHER)
    assert not is_admitted(gate.address, None)
    assert is_admitted(gate.address, KEY)


def test_without_a_gatekeeper_nobody_is_admitted() -> None:
    """libzmq alone would admit everybody who knows the public half."""
    unkept = Gate(KEY, is_kept=False)
    try:
        assert not is_admitted(unkept.address, KEY)
    finally:
        unkept.close()


def test_what_a_holder_sends_arrives(gate: Gate) -> None:
    context = sockets.Context(KEY)
    dealer = sockets.dial_control(context, gate.address)
    dealer.send(b"message")
    assert gate.router.poll(PATIENCE_MS)
    assert gate.router.recv_multipart()[1] == b"message"
    dealer.close()
    context.close()


@pytest.mark.parametrize(
    ("key", "says"), [(OTHER, "refuses this cluster key"), (None, "refuses a client without a cluster key")]
)
def test_a_refusal_is_told_with_what_to_do(gate: Gate, key: ClusterKey | None, says: str) -> None:
    context = sockets.Context(key)
    handshake = Handshake(context, gate.address)
    found: list[str] = []

    def is_told() -> bool:
        denied = handshake.verdict(time.monotonic())
        if denied:
            found.append(denied.text)
        return bool(found)

    wait_until(is_told, "the refusal")
    assert says in found[0]
    assert gate.address in found[0]
    assert "$S4_KEY_PATH" in found[0]
    handshake.close()
    context.close()


def test_a_node_that_admits_us_refuses_nothing(gate: Gate) -> None:
    context = sockets.Context(KEY)
    handshake = Handshake(context, gate.address)
    assert handshake.monitor.poll(PATIENCE_MS)
    assert handshake.verdict(1e9) is None
    assert handshake.verdict(2e9) is None
    handshake.close()
    context.close()
