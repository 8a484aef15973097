"""Ranges: what is asked for, and that nothing wrong is taken, from a node that answers anything."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from s4zmq import wire
from s4zmq.checksum import digest_of
from s4zmq.errors import ChecksumMismatch, KeyNotFound, KeyReplaced, NodeUnreachable, S4Error
from s4zmq.keys import Key
from s4zmq.limits import CHUNK_BYTES, RANGES_IN_FLIGHT, READ_AHEAD_BYTES, READ_BUFFER_BYTES
from s4zmq.ranges import Part, ReadAhead, read_part, read_parts
from s4zmq.session import Session, Value

NODE = "127.0.0.1:7000"
KEY = Key("b/k")
BYTES = bytes(range(256)) * (9 * CHUNK_BYTES // 256) + b"end"
Answer = tuple[Any, bytes]


def right(fetch: wire.Fetch) -> Answer:
    """What an honest node says."""
    body = BYTES[fetch.offset : fetch.offset + fetch.length]
    return wire.Range(len(BYTES), digest_of(BYTES), digest_of(body)), body


class FakeNode:
    """A session whose node answers each request at the next step, in order."""

    def __init__(self, answer: Callable[[wire.Fetch], Answer] = right) -> None:
        self.courier = self
        self.answer = answer
        self.asked: list[wire.Fetch] = []
        self.most = 0
        self._waiting: deque[tuple[wire.Fetch, Callable[..., None]]] = deque()

    def owner(self, key: Key) -> str:
        return NODE

    def request(self, node: str, message: wire.Fetch, on_reply: Callable[..., None]) -> None:
        assert (node, message.key, message.checked) == (NODE, str(KEY), True)
        assert 0 < message.length <= CHUNK_BYTES
        self.asked.append(message)
        self._waiting.append((message, on_reply))
        self.most = max(self.most, len(self._waiting))

    def step(self) -> None:
        message, on_reply = self._waiting.popleft()
        on_reply(*self.answer(message))

    def run_until(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            self.step()

    @property
    def session(self) -> Session:
        return cast(Session, self)

    @property
    def bytes_asked(self) -> int:
        return sum(fetch.length for fetch in self.asked)


def value() -> Value:
    return Value(KEY, NODE, len(BYTES), digest_of(BYTES), 0)


# -- parts


@pytest.mark.parametrize("start", [0, 1, CHUNK_BYTES, len(BYTES) - 1, len(BYTES), len(BYTES) + 9])
@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1, 1 << 50])
def test_a_part_is_what_a_slice_would_be(start: int, length: int) -> None:
    node = FakeNode()
    assert read_part(node.session, Part(KEY, start, length)) == BYTES[start : start + length]
    assert node.most <= RANGES_IN_FLIGHT
    assert node.bytes_asked <= len(BYTES) + RANGES_IN_FLIGHT * CHUNK_BYTES, "nobody asks far beyond the end"


def damaged_on_the_way(fetch: wire.Fetch) -> Answer:
    reply, body = right(fetch)
    return reply, body[:-1] + b"?"


def shorter(fetch: wire.Fetch) -> Answer:
    body = BYTES[fetch.offset : fetch.offset + fetch.length - 1]
    return wire.Range(len(BYTES), digest_of(BYTES), digest_of(body)), body


def without_its_digest(fetch: wire.Fetch) -> Answer:
    reply, body = right(fetch)
    return reply._replace(own=b""), body


def of_another_value_from_the_second_on(fetch: wire.Fetch) -> Answer:
    reply, body = right(fetch)
    return (reply._replace(digest=b"another digest.."), body) if fetch.offset else (reply, body)


def gone(fetch: wire.Fetch) -> Answer:
    return KeyNotFound("no such key"), b""


def silent(fetch: wire.Fetch) -> Answer:
    return NodeUnreachable("no answer"), b""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (damaged_on_the_way, ChecksumMismatch),
        (shorter, ChecksumMismatch),
        (without_its_digest, ChecksumMismatch),
        (of_another_value_from_the_second_on, KeyReplaced),
        (gone, KeyNotFound),
        (silent, NodeUnreachable),
    ],
)
def test_what_is_wrong_is_not_taken(answer: Callable[[wire.Fetch], Answer], error: type[S4Error]) -> None:
    with pytest.raises(error):
        read_part(FakeNode(answer).session, Part(KEY, 0, 2 * CHUNK_BYTES))
    ahead, node = ReadAhead(value()), FakeNode(answer)

    def read_all() -> None:
        start = 0
        while start < 2 * CHUNK_BYTES:
            start += ahead.read(node.session, start, memoryview(bytearray(CHUNK_BYTES)))

    with pytest.raises(error):
        read_all()
    assert not ahead.is_asking
    node.answer = right
    assert ahead.read(FakeNode().session, 5, memoryview(bytearray(3))) == 3, "it is no worse for it"


def test_parts_fail_by_themselves() -> None:
    def some_gone(fetch: wire.Fetch) -> Answer:
        return gone(fetch) if fetch.offset == 100 else right(fetch)

    parts = [Part(KEY, start, 10) for start in range(0, 5000, 50)]
    node = FakeNode(some_gone)
    found = read_parts(node.session, parts)
    assert isinstance(found[2], KeyNotFound)
    assert found[:2] + found[3:] == [BYTES[p.start : p.start + 10] for p in parts if p.start != 100]
    assert node.most == RANGES_IN_FLIGHT


# -- read-ahead


def test_reading_in_order_asks_ahead_more_and_more_up_to_a_bound() -> None:
    node, ahead, room = FakeNode(), ReadAhead(value()), memoryview(bytearray(READ_BUFFER_BYTES))
    start, most = 0, 0
    while count := ahead.read(node.session, start, room):
        assert room[:count] == BYTES[start : start + count]
        start += count
        beyond = node.bytes_asked - start
        assert beyond <= max(2 * start, READ_BUFFER_BYTES)
        most = max(most, beyond)
    assert start == node.bytes_asked == len(BYTES), "each byte is asked for once"
    assert READ_AHEAD_BYTES - CHUNK_BYTES <= most <= READ_AHEAD_BYTES + CHUNK_BYTES


def test_jumps_ask_for_no_more_than_is_read() -> None:
    node, ahead, room = FakeNode(), ReadAhead(value()), memoryview(bytearray(1000))
    for start in range(8 * CHUNK_BYTES, 0, -100_000):
        assert ahead.read(node.session, start, room) == 1000
        assert room == BYTES[start : start + 1000]
        assert not ahead.is_asking
    assert node.bytes_asked == 1000 * len(node.asked)


def test_a_large_read_has_a_window_in_flight_and_no_more() -> None:
    node, ahead = FakeNode(), ReadAhead(value())
    room = memoryview(bytearray(len(BYTES)))
    start = 0
    while start < len(BYTES):
        start += ahead.read(node.session, start, room[start:])
    assert room == BYTES
    assert node.most == READ_AHEAD_BYTES // CHUNK_BYTES


def test_what_is_skipped_in_what_was_asked_for_is_not_asked_for_again() -> None:
    node, ahead, room = FakeNode(), ReadAhead(value()), memoryview(bytearray(READ_BUFFER_BYTES))
    start = 0
    for _ in range(8):
        start += ahead.read(node.session, start, room)
    asked = node.bytes_asked
    assert ahead.read(node.session, start + 1000, room[:10]) == 10
    assert room[:10] == BYTES[start + 1000 : start + 1010]
    assert node.bytes_asked == asked
