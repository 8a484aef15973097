"""The reception: sessions found again over new connections, strangers unheard, a new door at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import zmq

from s4zmq import admissions, codec, sockets, wire
from s4zmq.caller import Caller
from s4zmq.door import Door
from s4zmq.errors import Cancelled, ProtocolError, S4Error
from s4zmq.limits import CUT_CONTROL, REFUSALS_ANSWERED, REST_TICKS, STUCK_AT_REST
from s4zmq.reception import Reception
from s4zmq.turns import Turns

from ..harness import Port, wait_until

SESSION = b"session."
GAP = "lost its connection meanwhile: try again"


class Bench:
    """A reception, and the node behind it, which admits all that comes."""

    def __init__(self) -> None:
        self._port = Port()
        self.port = self._port.number
        self.address = f"127.0.0.1:{self.port}"
        self.context = sockets.Context()
        self.door = Door(self._port.number)
        self._threads = Turns(1, "disk")
        self.ended: list[int] = []
        self.callers: dict[int, Caller] = {}
        self.messages: list[Any] = []
        self._dealers: list[sockets.Socket] = []
        self.reception = Reception(
            self.context,
            self.address,
            self.door,
            self._threads,
            take=self._take,
            end_lost=lambda _, id: self.ended.append(id),
        )

    def _take(self, identity: bytes, frames: Sequence[memoryview]) -> None:
        try:
            envelope, _ = codec.decode(frames)
        except S4Error as error:
            self.reception.refuse(identity, frames, error)
            return
        self.reception.hear(envelope.session, identity)
        self.messages.append(envelope.message)
        caller = Caller(identity, envelope.id, envelope.session, self.reception.replies.put)
        if not isinstance(envelope.message, wire.Ping):
            self.reception.admissions.admit(*caller.token, identity)
            self.callers[envelope.id] = caller

    def dial(self) -> sockets.Socket:
        self._dealers.append(sockets.dial_control(self.context, self.address))
        return self._dealers[-1]

    def serve_until(self, is_so: Any, what: str) -> None:
        def has_come() -> bool:
            if is_so():
                return True
            self.reception.wait()
            self.reception.serve()
            return bool(is_so())

        wait_until(has_come, what)

    def say(self, dealer: sockets.Socket, message: Any, id: int = 1) -> None:
        """Send it, and have it heard."""
        count = len(self.messages)
        dealer.send_multipart(codec.encode(message, id, b"roster..", SESSION))
        self.serve_until(lambda: len(self.messages) > count, "the message")

    def hear(self, dealer: sockets.Socket) -> Any:
        """The next message that comes to a client."""
        self.serve_until(lambda: dealer.poll(20), "a reply")
        return codec.decode(dealer.recv_multipart())[0].message

    def hang_up(self, dealer: sockets.Socket, id: int) -> None:
        """Until the node has seen that this connection is gone."""
        dealer.close(linger=0)
        identity = self.callers[id].identity

        def is_gone() -> bool:
            try:
                self.reception._socket.send_multipart([identity, b""], zmq.NOBLOCK)
            except zmq.ZMQError:
                return True
            return False

        wait_until(is_gone, "the connection to be gone")

    def close(self) -> None:
        for dealer in self._dealers:
            dealer.close(linger=0)
        self.reception.close()
        self.reception.replies._new.close()
        self._threads.stop()
        self.context.close()
        self._port.release()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_request_is_answered_by_the_connection_that_it_came_by(bench: Bench) -> None:
    dealer, other = bench.dial(), bench.dial()
    bench.say(other, wire.Ping([]), 9)
    bench.say(dealer, wire.Stats())
    bench.callers[1].answer(wire.Ok())
    assert bench.hear(dealer) == wire.Ok()
    assert (len(bench.reception.admissions), other.poll(0)) == (0, 0)


def test_a_final_reply_goes_to_the_newest_connection_of_its_session(bench: Bench) -> None:
    first = bench.dial()
    bench.say(first, wire.Stats())
    second = bench.dial()
    bench.say(second, wire.Ping([1]), 2)
    bench.callers[1].answer(wire.Ok())
    assert bench.hear(second) == wire.Ok()
    assert not first.poll(0)


def test_replies_wait_for_a_client_that_dials_again_and_keep_their_order(bench: Bench) -> None:
    first = bench.dial()
    bench.say(first, wire.Stats())
    bench.hang_up(first, 1)
    bench.callers[1].answer(wire.Output(1), b"x")
    bench.reception.serve()
    assert len(bench.reception.admissions) == 1
    second = bench.dial()
    second.send_multipart(codec.encode(wire.Ping([1]), 2, b"roster..", SESSION))
    assert second.poll(100, zmq.POLLOUT)
    bench.callers[1].answer(wire.Output(2), b"y")
    bench.callers[1].answer(wire.EvalDone(0))
    assert [bench.hear(second) for _ in range(3)] == [wire.Output(1), wire.Output(2), wire.EvalDone(0)]
    assert bench.ended == []


def test_replies_to_a_client_that_does_not_come_again_are_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.dial()
    bench.say(first, wire.Stats())
    bench.hang_up(first, 1)
    bench.callers[1].answer(wire.Ok())
    bench.reception.serve()
    bench.reception.rest()
    assert len(bench.reception.admissions) == 1
    monkeypatch.setattr(admissions, "KEPT_S", -1.0)
    bench.reception.rest()
    assert len(bench.reception.admissions) == 0


@pytest.mark.parametrize("last", [wire.EvalDone(0), wire.Failure(Cancelled.code, "it was ended", {})])
def test_what_is_answered_in_pieces_ends_in_an_error_by_the_new_connection(bench: Bench, last: Any) -> None:
    first = bench.dial()
    bench.say(first, wire.Eval("s4://b/k", "true", 8))
    bench.callers[1].answer(wire.Output(1), b"x")
    assert bench.hear(first) == wire.Output(1)
    second = bench.dial()
    bench.say(second, wire.Ping([1]), 2)
    assert bench.ended == [1]
    bench.callers[1].answer(wire.Output(1), b"behind the gap")
    bench.reception.serve()
    bench.reception.rest()
    assert bench.ended == [1, 1], "until it has ended"
    bench.callers[1].answer(last)
    failure = bench.hear(second)
    assert failure == wire.Failure("E_CONNECTION", f"node {bench.address} {GAP}", {})
    bench.reception.rest()
    assert bench.ended == [1, 1]


def test_a_piece_that_can_not_be_sent_ends_its_request(bench: Bench) -> None:
    first = bench.dial()
    bench.say(first, wire.Eval("s4://b/k", "true", 8))
    bench.callers[1].answer(wire.Output(1), b"x")
    assert bench.hear(first) == wire.Output(1)
    bench.hang_up(first, 1)
    bench.callers[1].answer(wire.Output(1), b"y")
    bench.reception.serve()
    assert bench.ended == [1]


def test_a_transfer_that_is_whole_is_told_also_over_another_connection(bench: Bench) -> None:
    first = bench.dial()
    bench.say(first, wire.Open("s4://b/k", 1, True, bytes(16)))
    bench.callers[1].answer(wire.Granted(bytes(16), 1, bench.address))
    bench.hear(first)
    second = bench.dial()
    bench.say(second, wire.Ping([1]), 2)
    bench.callers[1].answer(wire.Stored(1, bytes(16)))
    assert bench.hear(second) == wire.Stored(1, bytes(16))


def test_nonsense_is_refused_some_times_and_then_not_heard(bench: Bench) -> None:
    dealer = bench.dial()
    for _ in range(REFUSALS_ANSWERED + 10):
        dealer.send(b"nonsense")
    bench.serve_until(lambda: bench.reception.nonsense == REFUSALS_ANSWERED + 10, "the nonsense")
    for _ in range(REFUSALS_ANSWERED):
        assert bench.hear(dealer).code == ProtocolError.code
    assert not dealer.poll(50)
    honest = bench.dial()
    bench.say(honest, wire.Stats())


def test_who_goes_on_is_cut_off_and_who_has_its_descriptor_then_is_not(bench: Bench) -> None:
    dealer = bench.dial()
    count = REFUSALS_ANSWERED + CUT_CONTROL
    for _ in range(count):
        dealer.send(b"nonsense")
    bench.serve_until(lambda: bench.reception.nonsense == count, "the nonsense")
    bouncer = bench.reception._bouncer
    assert bouncer.cuts == 1

    def is_heard_again() -> bool:
        with suppress(zmq.Again):
            dealer.send(b"nonsense", zmq.NOBLOCK)  # may still go to the connection that was cut
        return bench.reception.nonsense > count

    bench.serve_until(is_heard_again, "it to dial again")
    assert bouncer.cuts == 1
    honest = bench.dial()
    bench.say(honest, wire.Stats())


def test_a_door_with_stuck_connections_is_opened_anew_at_rest_and_clients_come_again(bench: Bench) -> None:
    dealer = bench.dial()
    bench.say(dealer, wire.Stats())
    bench.door.stuck, bench.door.looks = Counter({bench.port: STUCK_AT_REST}), 1
    for _ in range(REST_TICKS + 2):
        bench.reception.rest()
    before = bench.reception._socket
    assert not before.closed, "there is a request"
    bench.callers[1].answer(wire.Ok())
    assert bench.hear(dealer) == wire.Ok()
    for _ in range(REST_TICKS + 2):
        bench.reception.rest()
    assert before.closed

    def is_heard() -> bool:
        dealer.send_multipart(codec.encode(wire.Stats(), 2, b"roster..", SESSION), zmq.NOBLOCK)
        bench.reception.serve()
        return 2 in bench.callers

    wait_until(is_heard, "the client to come again")
    bench.callers[2].answer(wire.Ok())
    assert bench.hear(dealer) == wire.Ok()
