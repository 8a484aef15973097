"""Replies: in order, a few kept for a connection that does not take them, from any thread."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator, Sequence

import pytest

from s4zmq import codec, wire
from s4zmq import replies as room
from s4zmq.caller import Letter
from s4zmq.codec import Body
from s4zmq.outstanding import LARGE_BYTES, Outstanding
from s4zmq.replies import Replies

A, B = b"way a", b"way b"


class Door:
    """An exit through which only some connections take something."""

    def __init__(self) -> None:
        self.slow: set[bytes] = set()
        self.useless: set[int] = set()
        self.sent: list[tuple[bytes, int]] = []
        self.copied: list[bool] = []
        self.dropped: list[int] = []

    def amend(self, letter: Letter) -> Letter | None:
        return None if letter.id in self.useless else letter

    def send(self, letter: Letter, frames: Sequence[Body], copy: bool) -> bool:
        if letter.identity in self.slow:
            return False
        assert codec.decode(frames)[0].message == letter.message
        self.sent.append((letter.identity, letter.id))
        self.copied.append(copy)
        return True

    def on_dropped(self, letter: Letter) -> None:
        self.dropped.append(letter.id)


class Bench:
    def __init__(self) -> None:
        self.door = Door()
        self.outstanding = Outstanding(1 << 20)
        self.replies = Replies(self.door, self.outstanding)

    def put(self, identity: bytes, *ids: int, body: bytes = b"") -> None:
        for id in ids:
            self.replies.put(Letter(identity, id, b"session.", wire.Values([], []), body))

    @property
    def is_awake(self) -> bool:
        return bool(select.select([self.replies.fd], [], [], 0)[0])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(room, "_RETRY_S", 0.0)
    made = Bench()
    yield made
    made.replies._new.close()


def test_replies_go_out_in_order_with_their_body(bench: Bench) -> None:
    bench.put(A, 1, body=b"x")
    bench.put(B, 2)
    bench.put(A, 3)
    assert bench.is_awake
    bench.replies.send()
    assert bench.door.sent == [(A, 1), (B, 2), (A, 3)]
    assert not bench.is_awake


def test_a_slow_connection_holds_up_nobody_else_and_gets_all_in_order(bench: Bench) -> None:
    bench.door.slow = {A}
    bench.put(A, 1)
    bench.replies.send()
    bench.put(A, 2)
    bench.put(B, 3)
    bench.replies.send()
    assert bench.door.sent == [(B, 3)]
    assert (bench.replies.parked, bench.replies.is_parked(A), bench.replies.is_parked(B)) == (
        2,
        True,
        False,
    )
    bench.door.slow = set()
    bench.put(A, 4)
    bench.replies.send()
    assert bench.door.sent == [(B, 3), (A, 1), (A, 2), (A, 4)]
    assert (bench.replies.parked, bench.replies.is_parked(A)) == (0, False)


@pytest.mark.parametrize("bound", ["MAX_PARKED", "MAX_PARKED_IN_ALL"])
def test_what_a_connection_does_not_take_for_too_long_is_dropped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(room, bound, 2)
    bench.door.slow = {A}
    bench.put(A, 1, 2, 3)
    bench.put(B, 4)
    bench.replies.send()
    assert bench.door.dropped == [1, 2, 3]
    assert (bench.door.sent, bench.replies.parked) == ([(B, 4)], 0)


def test_what_is_of_no_use_any_more_is_not_sent_and_holds_up_nothing(bench: Bench) -> None:
    bench.door.slow = {A}
    bench.put(A, 1, 2)
    bench.replies.send()
    bench.door.slow, bench.door.useless = set(), {1}
    bench.replies.send()
    assert bench.door.sent == [(A, 2)]


def test_what_is_sent_now_is_sent_before_what_was_put(bench: Bench) -> None:
    bench.put(A, 1)
    bench.replies.send_now(Letter(A, 2, b"session.", wire.Ok(), b""))
    bench.replies.send()
    assert bench.door.sent == [(A, 2), (A, 1)]


def test_only_large_bodies_are_sent_without_a_copy_and_watched(bench: Bench) -> None:
    bench.put(A, 1, body=bytes(LARGE_BYTES - 1))
    bench.put(A, 2, body=bytes(LARGE_BYTES))
    bench.replies.send()
    assert bench.door.copied == [True, False]


def test_any_thread_wakes_the_one_that_sends(bench: Bench) -> None:
    threads = [threading.Thread(target=bench.put, args=(A, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.replies.wake()
    assert bench.is_awake
    bench.replies.send()
    assert sorted(id for _, id in bench.door.sent) == list(range(8))
