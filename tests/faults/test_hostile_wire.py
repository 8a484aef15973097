"""Strangers on the wire: whatever they send, the node stays up and gives back what it held for them."""

from __future__ import annotations

import random
import socket
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq import codec
from s4zmq.errors import S4Error
from s4zmq.limits import STUCK_AT_REST

from ..harness import Cluster, wait_until
from ..trials.flood import Trial
from ..trials.nonsense import mutations
from ..unit.wire_examples import EXAMPLES

HAS_KEY = (False,)
NewCluster = Callable[..., Cluster]
FRAME = st.binary(max_size=200) | st.sampled_from([b"", codec.PRELUDE, b"s4z", b"\xc1", b"\x81\xa2op"])


def test_hostile_messages_over_many_connections_leave_the_node_as_it_was(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=2)
    seed = random.randrange(1 << 32)
    trial = Trial(cluster, Namespace(messages=40_000, connections=800, at_once=50, seed=seed))
    assert trial.hit() == [], seed
    assert "Traceback" not in cluster.nodes[0].log


def test_half_open_peers_and_reconnects_leave_no_descriptor(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    cluster.ok("cp", "-", "s4://b/x", stdin=b"x")

    def descriptors() -> int:
        return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))

    before = descriptors()
    for number in range(1500):
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as peer:
            peer.sendall([b"", b"\xff", b"GET / HTTP/1.1\r\n\r\n", bytes(64)][number % 4])
    held = [socket.create_connection(("127.0.0.1", node.port), timeout=10) for _ in range(50)]
    assert cluster.ok("cp", "s4://b/x", "-") == b"x"
    for peer in held:
        peer.close()
    wait_until(lambda: descriptors() <= before + STUCK_AT_REST, "the descriptors to be given back", 20)
    cluster.assert_no_leftovers()


@given(st.lists(FRAME, max_size=4))
def test_any_frames_end_in_a_message_or_an_error_with_a_name(frames: Sequence[bytes]) -> None:
    for decode in (codec.decode, lambda frames: codec.decode_chunk(frames[0] if frames else b"")):
        try:
            decode(frames)
        except S4Error:
            continue


@pytest.mark.parametrize("message", [message for message, _ in EXAMPLES], ids=lambda m: type(m).__name__)
def test_a_mutated_message_ends_in_a_message_or_an_error_with_a_name(message: Any) -> None:
    for header in mutations(message):
        try:
            codec.decode([codec.PRELUDE, header])
        except S4Error:
            continue
