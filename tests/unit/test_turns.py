"""Turns: who has used least of the threads' time is next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from s4zmq import turns as room
from s4zmq.turns import Turns

from ..harness import wait_until

A, B = b"a", b"b"


@pytest.fixture
def turns() -> Iterator[Turns]:
    """One thread, so that there is an order."""
    made = Turns(1, "turns")
    yield made
    made.stop()


class Done(list[str]):
    """What was done, in order."""

    def work(self, what: str) -> Callable[[], None]:
        return lambda: self.append(what)


def wait_for(turns: Turns, done: Done, count: int) -> None:
    wait_until(lambda: len(done) == count, f"{count} pieces of work")


def test_the_work_of_one_is_done_in_order(turns: Turns) -> None:
    done = Done()
    for number in range(20):
        turns.submit(A, done.work(str(number)))
    wait_for(turns, done, 20)
    assert done == [str(number) for number in range(20)]


def test_one_request_does_not_wait_behind_the_many_of_another(turns: Turns) -> None:
    done = Done()
    turns.hold()
    for number in range(100):
        turns.submit(A, done.work(f"a{number}"))
    turns.submit(B, done.work("b"))
    assert len(turns) == 2
    turns.go_on()
    wait_for(turns, done, 101)
    assert done.index("b") <= 2
    assert len(turns) == 0


def test_a_higher_price_comes_later(turns: Turns) -> None:
    done = Done()
    turns.hold()
    for number in range(8):
        turns.submit(A, done.work(f"a{number}"), 8.0)
        turns.submit(B, done.work(f"b{number}"))
    turns.go_on()
    wait_for(turns, done, 16)
    assert done.index("b7") < done.index("a4")


def test_nothing_starts_while_it_is_held(turns: Turns) -> None:
    done = Done()
    turns.hold()
    turns.submit(A, done.work("a"))
    assert len(turns) == 1
    assert done == []
    turns.go_on()
    wait_for(turns, done, 1)


def test_what_runs_is_waited_for_and_what_waits_is_dropped() -> None:
    made, done, go = Turns(1, "turns"), Done(), threading.Event()
    begun = threading.Event()

    def slow() -> None:
        begun.set()
        go.wait()
        done.append("slow")

    made.submit(A, slow)
    made.submit(A, done.work("never"))
    assert begun.wait(10)
    stopper = threading.Thread(target=made.stop)
    stopper.start()
    go.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert done == ["slow"]


def test_what_each_has_used_is_forgotten_at_rest_and_bounded_before(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_STRANGERS", 50)
    done = Done()
    for number in range(200):
        turns.submit(b"%d" % number, done.work("x"))
    wait_for(turns, done, 200)
    assert len(turns._used_s) <= 51
    turns.forget()
    assert not turns._used_s
    turns.submit(A, done.work("x"))
    wait_for(turns, done, 201)


def test_work_that_waits_is_not_forgotten(turns: Turns) -> None:
    done = Done()
    turns.hold()
    turns.submit(A, done.work("a"))
    turns.forget()
    turns.go_on()
    wait_for(turns, done, 1)
