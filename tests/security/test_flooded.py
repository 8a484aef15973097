"""Strangers at the door of nodes with a key: they harm themselves alone, and leave nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import zmq

from ..harness import Cluster, wait_until

HANDSHAKES = 1500
AT_ONCE = 50
MORE_KIB = 12 << 10
MORE_DESCRIPTORS = 8
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""How a ZMTP 3.1 connection begins; a handshake is to follow."""


def anonymous_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError("no RssAnon")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def half_a_handshake(port: int, number: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    with suppress(OSError):  # the node may have hung up already
        peer.sendall([b"", GREETING[:30], GREETING, GREETING + os.urandom(200)][number % 4])
    return peer


def test_half_handshakes_of_thousands_leave_memory_and_descriptors_as_they_were(
    new_cluster: Callable[..., Cluster],
) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    cluster.ok("cp", "-", "s4://b/x", stdin=b"x")
    before_kib, before = anonymous_kib(node.process.pid), descriptors(node.process.pid)
    for start in range(0, HANDSHAKES, AT_ONCE):
        with ExitStack() as held:
            for number in range(start, start + AT_ONCE):
                held.enter_context(half_a_handshake(node.port, number))
            if start % (AT_ONCE * 10) == 0:
                assert cluster.ok("cp", "s4://b/x", "-") == b"x"
    wait_until(lambda: descriptors(node.process.pid) <= before + MORE_DESCRIPTORS, "descriptors", 20)
    wait_until(lambda: anonymous_kib(node.process.pid) <= before_kib + MORE_KIB, "memory", 20)
    cluster.assert_no_leftovers()


def test_holders_of_another_key_are_turned_away_and_the_node_goes_on(
    new_cluster: Callable[..., Cluster],
) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    public, secret = zmq.curve_keypair()
    with zmq.Context() as context, ExitStack() as held:
        for _ in range(200):
            dealer = held.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.setsockopt(zmq.CURVE_SERVERKEY, public)
            dealer.setsockopt(zmq.CURVE_PUBLICKEY, public)
            dealer.setsockopt(zmq.CURVE_SECRETKEY, secret)
            dealer.connect(f"tcp://{node.address}")
            dealer.send(b"anything")
        cluster.ok("cp", "-", "s4://b/x", stdin=b"x")
        assert cluster.ok("eval", "s4://b/x", "cat") == b"x"
    cluster.assert_no_leftovers()
    assert "Traceback" not in node.log
