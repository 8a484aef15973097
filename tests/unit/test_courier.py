"""The asking side, against a node that this test plays by hand over a real ROUTER."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from s4zmq import codec, lease, lines, sockets, wire
from s4zmq import courier as room
from s4zmq.courier import Courier
from s4zmq.errors import KeyNotFound, NodeUnreachable, QueueFull, S4Error, WrongRoster, WrongVersion
from s4zmq.placement import Roster

from ..harness import wait_until


class Bench:
    """A courier, and the sockets of a node that answers only what a test tells it to."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.node = f"127.0.0.1:{probe.getsockname()[1]}"
        self.context = sockets.Context()
        self.router = sockets.bind_control(self.context, self.node)
        self.courier = Courier(Roster((self.node,)), self.context)
        self.replies: list[tuple[Any, bytes]] = []
        self.identity = b""
        self.heard: list[type] = []
        """The kind of each message that has come."""

    def request(self, message: Any, body: bytes = b"", *, resend: bool = True) -> int:
        def note(reply: Any, data: Any) -> None:
            self.replies.append((reply, bytes(data)))

        return self.courier.request(self.node, message, note, body, resend=resend)

    def listen(self, cls: type) -> codec.Envelope:
        """The next message of a class; the courier goes on meanwhile."""

        def has_heard() -> bool:
            self.courier.step(0.01)
            while self.router.poll(0):
                self.identity, *frames = self.router.recv_multipart()
                envelope = codec.decode(frames)[0]
                self.heard.append(type(envelope.message))
                if isinstance(envelope.message, cls):
                    heard.append(envelope)
            return bool(heard)

        heard: list[codec.Envelope] = []
        wait_until(has_heard, f"a {cls.__name__}")
        return heard[-1]

    def answer(self, id: int, message: Any, body: bytes = b"") -> None:
        frames = [self.identity, *codec.encode(message, id), *([body] if body else [])]
        self.router.send_multipart(frames, zmq.NOBLOCK)

    def wait_for_replies(self, count: int) -> None:
        def are_there() -> bool:
            self.courier.step(0.01)
            return len(self.replies) >= count

        wait_until(are_there, f"{count} replies")
        assert len(self.replies) == count

    def close(self) -> None:
        self.courier.close()
        self.router.close(linger=0)
        self.context.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_request_carries_roster_and_session_and_gets_its_reply(bench: Bench) -> None:
    id = bench.request(wire.Get(["s4://b/k"], True))
    heard = bench.listen(wire.Get)
    assert heard == (id, bench.courier.roster.digest, bench.courier.session, wire.Get(["s4://b/k"], True))
    bench.answer(id, wire.Values([], []), b"body")
    bench.wait_for_replies(1)
    assert bench.replies == [(wire.Values([], []), b"body")]
    assert not any(line.pending for line in bench.courier._lines.values())


def test_interim_replies_come_before_the_final_one_and_nothing_after_it(bench: Bench) -> None:
    id = bench.request(wire.Run(b"J" * 16))
    bench.listen(wire.Run)
    early, done, late = wire.Progress(1, 0, 0), wire.JobDone(1, 0, 0, 1, [], [], []), wire.Progress(2, 0, 0)
    for message in (early, done, late, wire.Ok()):
        bench.answer(id, message)
    second = bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.answer(second, wire.StatsReply({}))
    bench.wait_for_replies(3)
    assert [reply for reply, _ in bench.replies] == [early, done, wire.StatsReply({})]


def test_a_failure_comes_as_its_error(bench: Bench) -> None:
    id = bench.request(wire.Get(["s4://b/k"], True))
    bench.listen(wire.Get)
    bench.answer(id, wire.Failure("E_NOT_FOUND", "no such key", {"a": 1}))
    bench.wait_for_replies(1)
    [(error, _)] = bench.replies
    assert (type(error), error.text) == (KeyNotFound, "no such key")
    assert error.details == {"a": 1, "node": bench.node}, "who said so"


@pytest.mark.parametrize(
    ("code", "cls"), [("E_ROSTER", WrongRoster), ("E_VERSION", WrongVersion), ("E_NEW", S4Error)]
)
def test_a_refusal_of_all_that_is_said_ends_everything_that_waits(
    bench: Bench, code: str, cls: type[S4Error]
) -> None:
    for _ in range(3):
        bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.answer(0, wire.Failure(code, "refused", {}))
    bench.wait_for_replies(3)
    assert {type(reply) for reply, _ in bench.replies} == {cls}
    assert not any(line.pending for line in bench.courier._lines.values())


def test_an_answer_in_another_version_names_the_node(bench: Bench) -> None:
    bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.router.send_multipart([bench.identity, b"s4z\x09", b"?"])
    bench.wait_for_replies(1)
    [(error, _)] = bench.replies
    assert isinstance(error, WrongVersion)
    assert error.text.startswith(f"node {bench.node}: the other side speaks version 9")


def test_a_node_that_owes_an_answer_is_pinged_with_what_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    ids = [bench.request(wire.Run(b"J" * 16)) for _ in range(2)]
    assert bench.listen(wire.Ping).message == wire.Ping(ids)


def test_a_lost_request_is_sent_again_if_that_does_no_harm(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    id = bench.request(wire.Get(["s4://b/k"], True), b"body")
    bench.answer(bench.listen(wire.Ping).id, wire.Pong(b"boot....", [id]))
    assert bench.listen(wire.Get).id == id
    assert bench.replies == []


FULL = wire.Failure("E_QUEUE", "too much to do", {})


@pytest.mark.parametrize("resend", [True, False])
def test_what_a_full_node_sends_back_goes_out_again_until_it_is_taken(bench: Bench, resend: bool) -> None:
    id = bench.request(wire.Get(["s4://b/k"], True), b"body", resend=resend)
    for _ in range(3):
        assert bench.listen(wire.Get).id == id
        bench.answer(id, FULL)
    bench.listen(wire.Get)
    bench.answer(id, wire.Values([], []))
    bench.wait_for_replies(1)
    assert bench.replies == [(wire.Values([], []), b"")]
    assert not bench.courier._line(bench.node).refused


def test_a_node_that_stays_full_is_an_error_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "FULL_LIMIT_S", 0.0)
    id = bench.request(wire.Stats())
    for _ in range(2):
        bench.listen(wire.Stats)
        bench.answer(id, FULL)
    bench.wait_for_replies(1)
    assert isinstance(bench.replies[0][0], QueueFull)


def test_a_full_node_gets_fewer_at_once_and_more_again_later(bench: Bench) -> None:
    def round_trip(message: Any) -> None:
        id = bench.request(wire.Stats())
        bench.listen(wire.Stats)
        bench.answer(id, message)

    assert bench.courier.window(bench.node) == 8
    for expected in (4, 2, 1, 1):
        round_trip(FULL)
        wait_until(lambda: bench.courier.step(0.01) or bench.courier._line(bench.node).refused, "a refusal")
        assert bench.courier.window(bench.node) == expected
        bench.courier._line(bench.node).refused.clear()
    for _ in range(40):
        round_trip(wire.StatsReply({}))
    bench.wait_for_replies(40)
    assert bench.courier.window(bench.node) == 8


def test_a_ping_does_not_ask_for_what_was_sent_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(lines, "FULL_PAUSE_S", 0.4)
    refused, other = bench.request(wire.Stats(), resend=False), bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.answer(refused, FULL)
    ping = bench.listen(wire.Ping)
    while refused in ping.message.pending:  # sent before the refusal came
        bench.answer(ping.id, wire.Pong(b"boot", [refused]))
        ping = bench.listen(wire.Ping)
    assert ping.message.pending == [other]
    assert bench.replies == []


def test_all_nodes_together_get_no_more_batches_than_a_client_may_hold(bench: Bench) -> None:
    many = Courier(Roster(tuple(f"127.0.0.1:{port}" for port in range(7000, 7016))), bench.context)
    assert [many.window(node) for node in many.roster.nodes] == [2] * 16
    many.close()


@pytest.mark.parametrize(("boots", "what"), [([b"1"], "lost its connection"), ([b"1", b"2"], "restarted")])
def test_a_lost_request_that_must_not_be_repeated_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, boots: list[bytes], what: str
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    id = bench.request(wire.Run(b"J" * 16), resend=False)
    for boot in boots:
        ping = bench.listen(wire.Ping)
        bench.answer(ping.id, wire.Pong(boot * 8, [id] if boot == boots[-1] else []))
    bench.wait_for_replies(1)
    [(error, _)] = bench.replies
    assert isinstance(error, NodeUnreachable)
    assert f"node {bench.node} {what} meanwhile" in error.text


def test_a_node_that_stays_silent_is_unreachable_by_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(room, "SILENCE_LIMIT_S", 0.4)
    for _ in range(2):
        bench.request(wire.Run(b"J" * 16))
    bench.wait_for_replies(2)
    assert {type(reply) for reply, _ in bench.replies} == {NodeUnreachable}
    assert f"node {bench.node} does not answer" in bench.replies[0][0].text
    assert bench.replies[0][0].details == {"node": bench.node}
    bench.request(wire.Stats())
    bench.listen(wire.Stats)


def test_a_lost_ping_goes_out_again_and_a_later_pong_will_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(room, "SILENCE_LIMIT_S", 2.0)
    id = bench.request(wire.Run(b"J" * 16))
    for _ in range(3):
        pings = [bench.listen(wire.Ping) for _ in range(10)]  # but the last, as if lost
        bench.answer(pings[-1].id, wire.Pong(b"boot....", []))
    assert bench.replies == []
    bench.answer(id, wire.JobDone(0, 0, 0, 0, [], [], []))
    bench.wait_for_replies(1)


def test_what_was_sent_again_is_not_lost_for_an_older_ping(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    id = bench.request(wire.Get(["s4://b/k"], True))
    bench.listen(wire.Get)
    first, second = bench.listen(wire.Ping), bench.listen(wire.Ping)
    bench.answer(first.id, wire.Pong(b"boot....", [id]))
    bench.answer(second.id, wire.Pong(b"boot....", [id]))
    bench.listen(wire.Get)
    bench.answer(bench.listen(wire.Ping).id, wire.Pong(b"boot....", []))
    bench.answer(id, wire.Values([], []))
    bench.wait_for_replies(1)
    bench.request(wire.Stats())
    bench.listen(wire.Stats)  # and whatever was sent before it
    assert bench.heard.count(wire.Get) == 2


def test_a_node_that_answers_pings_may_take_as_long_as_it_likes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(room, "SILENCE_LIMIT_S", 2.0)
    id = bench.request(wire.Run(b"J" * 16))
    for _ in range(10):
        bench.answer(bench.listen(wire.Ping).id, wire.Pong(b"boot....", []))
    assert bench.replies == []
    bench.answer(id, wire.JobDone(0, 0, 0, 0, [], [], []))
    bench.wait_for_replies(1)


def test_asking_and_waiting_raises_what_the_node_said_or_that_it_said_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(room, "SILENCE_LIMIT_S", 0.2)
    with pytest.raises(NodeUnreachable, match=f"node {bench.node} does not answer"):
        bench.courier.ask_all(wire.Stats())


def test_a_lease_is_kept_whatever_its_client_waits_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_INTERVAL_S", 0.05)
    bench.courier.keep_lease()
    bench.courier.keep_lease()
    for _ in range(3):
        assert bench.router.poll(5000), "no ping came"
        envelope, _ = codec.decode(bench.router.recv_multipart()[1:])
        assert envelope.message == wire.Ping([])
        assert envelope.session == bench.courier.session


def test_nothing_more_is_heard_of_what_was_forgotten(bench: Bench) -> None:
    id = bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.courier.forget()
    bench.answer(id, wire.StatsReply({}))
    second = bench.request(wire.Stats())
    bench.listen(wire.Stats)
    bench.answer(second, wire.StatsReply({"jobs": 1}))
    bench.wait_for_replies(1)
    assert bench.replies[0][0] == wire.StatsReply({"jobs": 1})
