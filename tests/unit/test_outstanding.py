"""Replies on their way: room for every connection, and a bound for all of them together."""

from __future__ import annotations

import gc

import pytest
import zmq

from s4zmq.outstanding import Outstanding

from ..harness import wait_until

MIB = 1 << 20
A, B = b"a", b"b"


def test_replies_fit_until_the_limit_and_each_connection_has_one_beyond_it() -> None:
    room = Outstanding(2 * MIB)
    assert [room.reserve(A, id, MIB) for id in (1, 2, 3)] == [True, True, False]
    assert [room.reserve(B, id, MIB) for id in (1, 2)] == [True, False]
    assert room.reserve(A, 4, 0), "what carries no values is always taken"
    room.settle(A, 1)
    room.settle(A, 1)
    assert room.total_bytes == 2 * MIB
    for identity, id in ((A, 2), (B, 1), (A, 4)):
        room.settle(identity, id)
    assert room.total_bytes == 0
    assert room.reserve(A, 5, 9 * MIB), "one alone may be larger than the limit"


def test_bytes_count_until_nobody_holds_them() -> None:
    room = Outstanding(MIB)
    view = room.watch(A, bytes(MIB))
    assert bytes(view) == bytes(MIB)
    assert not room.reserve(A, 1, 1)
    del view
    assert room.reserve(A, 1, 1)
    assert room.total_bytes == 1


def test_small_bodies_are_copied_and_so_do_not_count() -> None:
    room = Outstanding(MIB)
    body = b"x" * 1000
    assert room.watch(A, body) is body
    assert room.total_bytes == 0


@pytest.mark.parametrize("taken", [True, False])
def test_a_body_counts_while_a_socket_holds_it(taken: bool) -> None:
    room = Outstanding(MIB)
    context = zmq.Context()
    sender, receiver = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    try:
        receiver.setsockopt(zmq.RCVHWM, 1)
        sender.setsockopt(zmq.SNDHWM, 1)
        port = receiver.bind_to_random_port("tcp://127.0.0.1")
        sender.connect(f"tcp://127.0.0.1:{port}")
        sender.send(room.watch(A, bytes(MIB)), copy=False)
        if taken:
            assert len(receiver.recv()) == MIB
    finally:
        sender.close(linger=0)
        receiver.close(linger=0)
        context.term()

    def is_free() -> bool:
        gc.collect()
        return room.reserve(A, 2, 1) and room.total_bytes < MIB

    wait_until(is_free, "the bytes to be let go, sent or dropped with the socket")
