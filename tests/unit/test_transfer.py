"""Transfers: credit, offsets, and the cutting of one stream into many values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.errors import ConnectionLost, ProtocolError
from s4zmq.transfer import Incoming, Outgoing, Piece

TRANSFER = b"T" * 16
DIGEST = b"D" * 16


def test_small_values_share_a_chunk() -> None:
    incoming = Incoming([2, 0, 3], credit=1)
    assert list(incoming.chunk(0, 5)) == [Piece(0, 0, 0, 2), Piece(2, 0, 2, 5)]


def test_a_large_value_spans_chunks() -> None:
    incoming = Incoming([5, 4], credit=3)
    assert list(incoming.chunk(0, 3)) == [Piece(0, 0, 0, 3)]
    assert list(incoming.chunk(3, 3)) == [Piece(0, 3, 0, 2), Piece(1, 0, 2, 3)]
    assert list(incoming.chunk(6, 3)) == [Piece(1, 1, 0, 3)]


def test_a_value_of_unknown_size_is_one_piece_a_chunk() -> None:
    incoming = Incoming(None, credit=2)
    assert list(incoming.chunk(0, 3)) == [Piece(0, 0, 0, 3)]
    assert list(incoming.chunk(3, 1)) == [Piece(0, 3, 0, 1)]
    incoming.last(4, DIGEST)
    assert (incoming.received, incoming.digests) == (4, [DIGEST])


@given(st.lists(st.integers(0, 30), max_size=12), st.lists(st.integers(1, 25), max_size=30))
def test_the_pieces_are_exactly_the_announced_values(sizes: list[int], lengths: list[int]) -> None:
    stream = bytes(number % 251 for number in range(sum(sizes)))
    incoming = Incoming(sizes, credit=1)
    values = [bytearray() for _ in sizes]
    chunk_at = 0
    chunks = [*lengths, len(stream)]
    for length in chunks:
        count = min(length, len(stream) - chunk_at)
        for piece in incoming.chunk(chunk_at, count) if count else ():
            assert piece.offset == len(values[piece.number]), "pieces of a value come in order"
            assert piece.stop > piece.start
            values[piece.number] += stream[chunk_at + piece.start : chunk_at + piece.stop]
        incoming.credit += bool(count)
        chunk_at += count
    assert list(map(len, values)) == sizes
    assert b"".join(values) == stream
    incoming.last(len(stream), DIGEST * len(sizes))
    assert len(incoming.digests) == len(sizes)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 4))
def test_sender_and_receiver_agree_on_credit_and_offsets(counts: list[int], window: int) -> None:
    outgoing, incoming = Outgoing(TRANSFER, window), Incoming([sum(counts)], window)
    left, written = list(counts), 0
    while left:
        while left and outgoing.may_send:
            count = left.pop(0)
            written += sum(p.stop - p.start for p in incoming.chunk(outgoing.chunk(count), count))
            assert outgoing.credit == incoming.credit
        assert not left or not outgoing.may_send
        outgoing.grant(incoming.grant())
        assert outgoing.credit == incoming.credit >= bool(left), "a sender never starves"
    assert written == outgoing.sent == incoming.received == sum(counts)
    incoming.last(outgoing.sent, DIGEST)


MIB = 1 << 20


@pytest.mark.parametrize(
    ("total", "grants"),
    [
        (MIB, [0]),
        (4 * MIB, [0, 0, 0, 0]),
        (5 * MIB, [0, 1, 0, 0, 0]),
        (8 * MIB + 1, [0, 2, 0, 2, 0, 1, 0, 0, 0]),
        (None, [0, 2, 0, 2, 0, 2]),
    ],
)
def test_credit_comes_half_a_window_at_a_time_and_no_more_than_is_needed(
    total: int | None, grants: list[int]
) -> None:
    incoming = Incoming(None if total is None else [total], credit=4)
    given = []
    for offset in range(0, len(grants) * MIB, MIB):
        list(incoming.chunk(offset, min(MIB, (total or 1 << 30) - offset)))
        given.append(incoming.grant())
    assert given == grants


def test_small_chunks_get_as_many_credits_as_they_need() -> None:
    incoming = Incoming([MIB], credit=2)
    for offset in range(0, MIB, 1 << 16):
        list(incoming.chunk(offset, 1 << 16))
        incoming.grant()
    incoming.last(MIB, DIGEST)


# -- what breaks a transfer


@pytest.mark.parametrize("offset", [0, 2, 4, 1 << 60])
def test_a_chunk_that_was_lost_repeated_or_displaced_is_refused(offset: int) -> None:
    incoming = Incoming([10], credit=4)
    list(incoming.chunk(0, 3))
    with pytest.raises(ConnectionLost, match=f"3 arrived, then came byte {offset}; try again"):
        incoming.chunk(offset, 3)


def test_a_chunk_beyond_the_credit_is_refused() -> None:
    incoming = Incoming([10], credit=1)
    list(incoming.chunk(0, 3))
    with pytest.raises(ProtocolError, match="not granted"):
        incoming.chunk(3, 3)
    assert incoming.grant() == 1
    assert list(incoming.chunk(3, 3)) == [Piece(0, 3, 0, 3)]


def test_an_empty_chunk_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not granted"):
        Incoming([10], credit=1).chunk(0, 0)


@pytest.mark.parametrize("sizes", [[3], [1, 2], [], [0, 0]])
def test_more_than_was_announced_is_refused(sizes: list[int]) -> None:
    incoming = Incoming(sizes, credit=4)
    with pytest.raises(ProtocolError, match="more than the"):
        incoming.chunk(0, sum(sizes) + 1)


@pytest.mark.parametrize("sizes", [[5], [2, 3], [5, 0]])
def test_an_end_before_all_bytes_is_refused(sizes: list[int]) -> None:
    incoming = Incoming(sizes, credit=4)
    list(incoming.chunk(0, 4))
    with pytest.raises(ProtocolError, match="ended at byte 4 of 5"):
        incoming.last(4, DIGEST * len(sizes))


def test_an_end_that_does_not_count_the_same_bytes_is_refused() -> None:
    for sizes in ([4], None):
        incoming = Incoming(sizes, credit=4)
        list(incoming.chunk(0, 4))
        with pytest.raises(ConnectionLost, match="4 of 5 arrived"):
            incoming.last(5, DIGEST)


def test_an_end_before_all_that_was_announced_is_refused() -> None:
    incoming = Incoming([4], credit=4)
    list(incoming.chunk(0, 3))
    with pytest.raises(ProtocolError, match="ended at byte 3 of 4"):
        incoming.last(3, DIGEST)


@pytest.mark.parametrize("digests", [b"", DIGEST, DIGEST * 3, DIGEST * 2 + b"x", b"x"])
def test_an_end_without_a_digest_for_each_value_is_refused(digests: bytes) -> None:
    incoming = Incoming([1, 1], credit=4)
    list(incoming.chunk(0, 2))
    with pytest.raises(ProtocolError, match="without a digest for each value"):
        incoming.last(2, digests)


@pytest.mark.parametrize("sizes", [[0], [0, 0, 0], []])
def test_values_without_bytes_need_no_chunk(sizes: list[int]) -> None:
    incoming = Incoming(sizes, credit=0)
    incoming.last(0, DIGEST * len(sizes))
    assert incoming.digests == [DIGEST] * len(sizes)


def test_a_sender_without_credit_may_not_send() -> None:
    outgoing = Outgoing(TRANSFER, 1)
    assert outgoing.chunk(7) == 0
    assert not outgoing.may_send
    with pytest.raises(ProtocolError, match="no credit"):
        outgoing.chunk(7)
    outgoing.grant(2)
    assert (outgoing.may_send, outgoing.chunk(1), outgoing.sent) == (True, 7, 8)
