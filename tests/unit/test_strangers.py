"""Strangers: answered a few times, then not heard for a while, and forgotten in the end."""

from __future__ import annotations

import pytest

from s4zmq import strangers as room
from s4zmq.limits import MAX_STRANGERS, REFUSALS_ANSWERED, REFUSALS_IN_ALL, REPROACHES, STRANGER_S
from s4zmq.strangers import Strangers

A, B = b"a", b"b"


class Clock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(room, "time", made)
    return made


def refuse(strangers: Strangers, identity: bytes, times: int) -> list[bool]:
    return [strangers.refuse(identity) for _ in range(times)]


def test_a_stranger_is_answered_some_times_and_then_not_heard(clock: Clock) -> None:
    strangers = Strangers()
    assert all(refuse(strangers, A, REFUSALS_ANSWERED - 1))
    assert not strangers.is_muted(A)
    strangers.refuse(A)
    assert strangers.is_muted(A)
    assert not strangers.is_muted(B)


def test_in_a_flood_each_stranger_is_answered_once(clock: Clock) -> None:
    strangers = Strangers()
    for number in range(REFUSALS_IN_ALL):
        strangers.refuse(b"%d" % number)
    assert refuse(strangers, A, 3) == [True, False, False]
    assert strangers.is_muted(A)
    strangers.reproach(B)
    assert strangers.is_slow(B)


def test_who_asks_what_no_client_would_is_slow(clock: Clock) -> None:
    strangers = Strangers()
    for _ in range(REPROACHES):
        assert not strangers.is_slow(A)
        strangers.reproach(A)
    assert strangers.is_slow(A)
    assert not strangers.is_muted(A)


def test_what_was_wrong_is_forgotten_after_two_intervals_at_rest(clock: Clock) -> None:
    strangers = Strangers()
    refuse(strangers, A, REFUSALS_ANSWERED)
    assert not strangers.rest()
    clock.now_s += STRANGER_S
    strangers.rest()
    assert strangers.is_muted(A)
    clock.now_s += STRANGER_S
    assert strangers.rest(), "there is memory to be given back"
    assert not strangers.is_muted(A)
    clock.now_s += STRANGER_S
    assert not strangers.rest()


def test_a_flood_of_connections_takes_bounded_memory(clock: Clock) -> None:
    strangers = Strangers()
    for number in range(MAX_STRANGERS + 100):
        strangers.refuse(b"%d" % number)
    assert len(strangers._refusals._now) == MAX_STRANGERS
    assert len(strangers._muted._now) <= MAX_STRANGERS
