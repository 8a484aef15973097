"""The inbox: transfers over a real PULL, each of which ends once, with a result or an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import zmq

from s4zmq import inbox as room
from s4zmq import sockets
from s4zmq.checksum import digest_of
from s4zmq.codec import Chunk, encode_chunk
from s4zmq.errors import Cancelled, NodeBusy, StorageError
from s4zmq.inbox import Inbox
from s4zmq.limits import CUT_DATA
from s4zmq.sessions import Sessions
from s4zmq.transfer import Piece
from s4zmq.wire import Credit, Failure, Granted, Stored

from ..harness import wait_until
from .helpers import SESSION, Letters

VALUE = os.urandom(1000)


class MemorySink:
    """A sink that keeps what it gets; `fails` raises at the first byte."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.data = b""
        self.discards = 0
        self._fails = fails

    def write(self, piece: Piece, data: memoryview) -> None:
        if self._fails:
            raise self._fails
        self.data += bytes(data)

    def finish(self, digests: list[bytes]) -> Stored:
        return Stored(len(self.data), digests[0])

    def discard(self) -> None:
        self.discards += 1


class Bench:
    """An inbox that runs, and a PUSH to it."""

    def __init__(self) -> None:
        self.context = sockets.Context()
        self.sessions = Sessions()
        self.letters = Letters()
        self.inbox = Inbox(self.context, "127.0.0.1", 0, self.sessions)
        self.inbox.start()
        self.push, self._monitor = sockets.dial_data(self.context, self.inbox.address)
        assert self.push.poll(5000, zmq.POLLOUT)

    def open(self, sink: MemorySink, sizes: list[int] | None) -> Granted:
        self.inbox.open(sizes, sink, self.letters.caller())
        granted = self.letters[-1].message
        assert isinstance(granted, Granted)
        return granted

    def send(self, transfer: bytes, offset: int, data: bytes, *, last: bool = False) -> None:
        assert self.push.poll(5000, zmq.POLLOUT)
        self.push.send_multipart([encode_chunk(Chunk(transfer, offset, last)), data], zmq.NOBLOCK)

    def final(self) -> Any:
        """The final reply, once it is there."""
        interim = (Granted, Credit)
        wait_until(lambda: not isinstance(self.letters[-1].message, interim), "the final reply")
        return self.letters[-1].message

    def close(self) -> None:
        self.inbox.stop()
        sockets.close_watched(self.push, self._monitor)
        self.context.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()
    assert (len(made.inbox), len(made.sessions)) == (0, 0)


def test_a_transfer_is_granted_credited_and_finished(bench: Bench) -> None:
    sink = MemorySink()
    granted = bench.open(sink, [1000])
    assert granted.data == bench.inbox.address
    assert granted.chunks >= 1
    bench.send(granted.transfer, 0, VALUE[:600])
    bench.send(granted.transfer, 600, VALUE[600:])
    bench.send(granted.transfer, 1000, digest_of(VALUE), last=True)
    assert bench.final() == Stored(1000, digest_of(VALUE))
    assert sink.data == VALUE
    assert [type(letter.message) for letter in bench.letters] == [Granted, Stored], "no credit was needed"


def test_a_value_of_unknown_size_may_be_empty(bench: Bench) -> None:
    granted = bench.open(MemorySink(), None)
    bench.send(granted.transfer, 0, digest_of(b""), last=True)
    assert bench.final() == Stored(0, digest_of(b""))


@pytest.mark.parametrize(
    ("offset", "data", "last", "code"),
    [
        (5, b"x", False, "E_CONNECTION"),
        (0, b"x" * 1001, False, "E_PROTOCOL"),
        (0, b"", False, "E_PROTOCOL"),
        (0, b"D" * 16, True, "E_PROTOCOL"),
    ],
    ids=["lost bytes", "too much", "empty", "early end"],
)
def test_a_transfer_that_goes_wrong_fails_once_and_is_discarded(
    bench: Bench, offset: int, data: bytes, last: bool, code: str
) -> None:
    sink = MemorySink()
    granted = bench.open(sink, [1000])
    bench.send(granted.transfer, offset, data, last=last)
    assert bench.final().code == code
    bench.send(granted.transfer, 0, b"late")
    wait_until(lambda: bench.inbox.dropped == 1, "the late chunk to be dropped")
    assert sink.discards == 1
    assert [type(letter.message) for letter in bench.letters] == [Granted, Failure]


def test_more_chunks_than_were_granted_fail_the_transfer(bench: Bench) -> None:
    sink = MemorySink()
    granted = bench.open(sink, None)
    bench.inbox._arrivals[granted.transfer].incoming.credit = 0
    bench.send(granted.transfer, 0, b"x")
    assert bench.final().code == "E_PROTOCOL"


@pytest.mark.parametrize(
    ("error", "code"), [(StorageError("full"), "E_STORAGE"), (RuntimeError("bug"), "E_INTERNAL")]
)
def test_a_sink_that_fails_ends_its_transfer_alone(bench: Bench, error: Exception, code: str) -> None:
    healthy = bench.open(MemorySink(), [1000])
    sick = MemorySink(error)
    granted = bench.open(sick, [1000])
    bench.send(granted.transfer, 0, VALUE)
    assert bench.final().code == code
    assert sick.discards == 1
    bench.send(healthy.transfer, 0, VALUE)
    bench.send(healthy.transfer, 1000, digest_of(VALUE), last=True)
    wait_until(lambda: isinstance(bench.letters[-1].message, Stored), "the healthy one to finish")


def test_strangers_are_counted_and_dropped(bench: Bench) -> None:
    for frames in ([b"GET / HTTP/1.1"], [b"", b""], [encode_chunk(Chunk(b"?" * 16, 0, False)), b"x"]):
        assert bench.push.poll(5000, zmq.POLLOUT)
        bench.push.send_multipart(frames, zmq.NOBLOCK)
    wait_until(lambda: bench.inbox.dropped == 3, "three messages to be dropped")
    assert bench.letters == []


def _has_dropped(bench: Bench, count: int) -> bool:
    return bench.inbox.dropped >= count


def _go_on(bench: Bench, transfer: bytes) -> None:
    for number in range(CUT_DATA):
        assert bench.push.poll(5000, zmq.POLLOUT)
        bench.push.send_multipart([encode_chunk(Chunk(transfer, 0, False)), b"x"], zmq.NOBLOCK)
        wait_until(partial(_has_dropped, bench, number + 1), "it to be dropped")


def test_who_goes_on_with_chunks_of_no_transfer_is_cut_off(bench: Bench) -> None:
    _go_on(bench, b"?" * 16)
    wait_until(lambda: bench.inbox._bouncer.cuts == 1, "the connection to be cut")


def test_who_goes_on_with_late_chunks_is_not_cut_off(bench: Bench) -> None:
    sink = MemorySink()
    granted = bench.open(sink, [1000])
    bench.inbox.discard(granted.transfer, Cancelled("ended"))
    assert bench.final().code == Cancelled.code
    _go_on(bench, granted.transfer)
    healthy = bench.open(MemorySink(), [1000])
    bench.send(healthy.transfer, 0, VALUE)
    bench.send(healthy.transfer, 1000, digest_of(VALUE), last=True)
    wait_until(lambda: isinstance(bench.letters[-1].message, Stored), "the value to be taken")
    assert bench.inbox._bouncer.cuts == 0


def test_transfers_that_have_ended_are_remembered_up_to_a_bound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LATE_TRANSFERS", 2)
    ids = [bench.open(MemorySink(), None).transfer for _ in range(3)]
    for transfer in ids:
        bench.inbox.discard(transfer)
    wait_until(lambda: list(bench.inbox._ended) == ids[1:], "the oldest to be forgotten")


def test_a_transfer_ends_with_its_session(bench: Bench) -> None:
    sink = MemorySink()
    bench.open(sink, [1000])
    bench.sessions.close(SESSION)
    assert bench.final().code == "E_CANCELLED"
    assert sink.discards == 1


def test_a_transfer_that_is_dropped_without_a_word_is_discarded(bench: Bench) -> None:
    sink = MemorySink()
    granted = bench.open(sink, [1000])
    bench.inbox.discard(granted.transfer)
    bench.inbox.discard(granted.transfer)
    wait_until(lambda: sink.discards, "the transfer to be discarded")
    wait_until(lambda: len(bench.inbox) == 0, "it to be forgotten")
    assert len(bench.letters) == 1


def test_the_end_of_the_inbox_discards_what_is_under_way(bench: Bench) -> None:
    sink = MemorySink()
    bench.open(sink, [1000])
    other = Inbox(bench.context, "127.0.0.1", 0, bench.sessions)
    other.start()
    other.stop()
    assert sink.discards == 0
    bench.sessions.close_all()


def test_one_transfer_too_many_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_TRANSFERS", 1)
    granted = bench.open(MemorySink(), [0])
    with pytest.raises(NodeBusy, match="try again"):
        bench.inbox.open([0], MemorySink(), bench.letters.caller())
    bench.send(granted.transfer, 0, digest_of(b""), last=True)
    assert isinstance(bench.final(), Stored)


def test_a_client_that_may_hold_nothing_leaves_no_transfer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s4zmq.sessions.MAX_SESSIONS", 0)
    with pytest.raises(NodeBusy):
        bench.inbox.open([0], MemorySink(), bench.letters.caller())
    assert len(bench.inbox) == 0


def test_many_transfers_share_the_window(bench: Bench) -> None:
    credits = [bench.open(MemorySink(), [1]).chunks for _ in range(40)]
    assert credits == sorted(credits, reverse=True)
    assert min(credits) == 1
    bench.sessions.close_all()
