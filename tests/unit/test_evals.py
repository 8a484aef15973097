"""Evals on one node: output as it comes, paused by the client, ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq import wire
from s4zmq.errors import ChecksumMismatch, KeyNotFound, NodeBusy, ProtocolError, RequestError, S4Error
from s4zmq.evals import Evals
from s4zmq.limits import EVAL_WINDOW
from s4zmq.store import Store

from ..harness import wait_until
from .helpers import SESSION, Letters, Rooms, flip_first_byte, is_running, put, unfinished

KEY = "s4://b/d/k"


class Bench:
    """The evals of a cluster of one node."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self.store = store
        self.rooms = Rooms(store)
        self.sessions = self.rooms.sessions
        self.evals = Evals(store, self.rooms.shell, self.rooms.keys, self.sessions)
        self.letters = Letters()

    def start(self, command: str, key: str = KEY, window: int = EVAL_WINDOW) -> None:
        self.evals.on_eval(wire.Eval(key, command, window), b"", self.letters.caller(id=7))

    def allow(self, messages: int) -> None:
        self.evals.on_allow(wire.Allow(7, messages), self.letters.caller(id=8))

    def output(self, stream: int) -> bytes:
        return b"".join(
            bytes(letter.body) for letter in self.letters if letter.message == wire.Output(stream)
        )

    def final(self) -> object:
        """The final reply; what was put out meanwhile is allowed."""

        def has_ended() -> bool:
            self.allow(EVAL_WINDOW)
            return bool(self.letters) and not isinstance(self.letters[-1].message, wire.Output)

        wait_until(has_ended, "the eval to end", 30)
        return self.letters[-1].message

    def close(self) -> None:
        wait_until(lambda: not len(self.evals), "the evals to end")
        assert unfinished(self.store) == []
        assert len(self.sessions) == 0
        self.rooms.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(store, tmp_path)
    put(store, KEY, b"value\n")
    yield made
    made.close()


def test_a_command_gets_the_key_on_stdin_and_its_streams_come_back_apart(bench: Bench) -> None:
    bench.start("cat; echo problem >&2; echo $filename $S4_KEY; exit 3")
    assert bench.final() == wire.EvalDone(3)
    assert bench.output(1) == b"value\nk s4://b/d/k\n"
    assert bench.output(2) == b"problem\n"
    assert {letter.id for letter in bench.letters} == {7}


def test_bytes_come_back_as_they_are(bench: Bench) -> None:
    value = bytes(range(256)) * 8192
    put(bench.store, "s4://b/binary", value)
    bench.start("cat", "s4://b/binary")
    assert bench.final() == wire.EvalDone(0)
    assert bench.output(1) == value


def test_a_signal_is_told_as_a_shell_tells_it(bench: Bench) -> None:
    bench.start("kill -TERM $$")
    assert bench.final() == wire.EvalDone(128 + 15)


def test_a_client_that_takes_nothing_pauses_the_command(bench: Bench) -> None:
    bench.start("seq 1 2000000", window=1)
    wait_until(lambda: bench.letters, "the first output")
    assert (len(bench.letters), len(bench.evals)) == (1, 1)
    bench.allow(2)
    wait_until(lambda: len(bench.letters) == 3, "two more messages")
    assert bench.final() == wire.EvalDone(0)
    assert bench.output(1).endswith(b"1999999\n2000000\n")


@pytest.mark.parametrize("command", ["sleep 1000", "yes", "trap '' TERM HUP; sleep 1000 | cat"])
def test_an_eval_ends_with_its_client(bench: Bench, tmp_path: Path, command: str) -> None:
    bench.start(f"echo $$ > {tmp_path}/pid; {command}", window=1)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command to start")
    bench.sessions.close(SESSION)
    wait_until(lambda: not len(bench.evals), "the eval to end")
    assert not is_running(int(pid.read_text()))
    failure = bench.final()
    assert isinstance(failure, wire.Failure)
    assert failure.code == "E_CANCELLED"


@pytest.mark.parametrize(
    ("key", "command", "window", "error"),
    [
        ("s4://b/none", "cat", 8, KeyNotFound),
        ("s4://b/torn", "cat", 8, ChecksumMismatch),
        (KEY, "  ", 8, RequestError),
        (KEY, "cat", 0, ProtocolError),
        (KEY, "cat", EVAL_WINDOW + 1, ProtocolError),
    ],
    ids=["missing", "damaged", "no command", "no window", "too wide"],
)
@pytest.mark.usefixtures("no_descriptor_left")
def test_what_can_not_be_run_is_refused_before_anything_runs(
    bench: Bench, key: str, command: str, window: int, error: type[S4Error]
) -> None:
    flip_first_byte(put(bench.store, "s4://b/torn"))
    with pytest.raises(error):
        bench.start(command, key, window)
    assert (bench.letters, len(bench.evals)) == ([], 0)


def test_one_eval_too_many_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s4zmq.evals.MAX_EVALS", 0)
    with pytest.raises(NodeBusy):
        bench.start("cat")


def test_a_client_that_may_hold_nothing_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s4zmq.sessions.MAX_SESSIONS", 0)
    bench.start("cat")
    failure = bench.final()
    assert isinstance(failure, wire.Failure)
    assert failure.code == "E_BUSY"


def test_credit_for_an_eval_that_has_ended_is_harmless(bench: Bench) -> None:
    bench.allow(1)
    assert bench.letters == []
