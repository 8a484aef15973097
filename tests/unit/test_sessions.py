"""Sessions: what a client owns ends with its word, its lease, or the node."""

from __future__ import annotations

import threading

import pytest

from s4zmq import sessions as room
from s4zmq.errors import NodeBusy
from s4zmq.sessions import Sessions

from ..harness import wait_until

ALICE, BOB = b"alice...", b"bob....."


@pytest.fixture
def ended() -> list[str]:
    return []


def own(sessions: Sessions, session: bytes, token: str, ended: list[str]) -> None:
    sessions.own(session, token, lambda: ended.append(token))


def test_closing_a_session_ends_all_that_it_owns_and_nothing_else(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    own(sessions, ALICE, "job", ended)
    own(sessions, BOB, "eval", ended)
    sessions.close(ALICE)
    assert ended == ["put", "job"]
    assert len(sessions) == 1


def test_what_has_ended_by_itself_is_not_torn_down(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    own(sessions, ALICE, "job", ended)
    sessions.release(ALICE, "put")
    sessions.close(ALICE)
    assert ended == ["job"]


def test_one_thing_can_be_ended_alone_and_is_released_by_itself(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    own(sessions, ALICE, "job", ended)
    sessions.end(ALICE, "put")
    sessions.end(ALICE, "eval")
    sessions.end(BOB, "put")
    assert (ended, len(sessions)) == (["put"], 1)
    sessions.release(ALICE, "put")
    sessions.end(ALICE, "put")
    assert ended == ["put"]


def test_a_session_is_forgotten_with_the_last_thing_that_it_owned(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    sessions.release(ALICE, "put")
    sessions.release(ALICE, "put")
    sessions.release(BOB, "put")
    assert (len(sessions), ended) == (0, [])


def test_nothing_is_torn_down_twice(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    sessions.close(ALICE)
    sessions.close(ALICE)
    sessions.close_all()
    assert ended == ["put"]


def test_a_session_that_stays_silent_expires_and_one_that_shows_life_does_not(
    ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LEASE_S", 0.7)
    sessions = Sessions()
    own(sessions, ALICE, "alice's", ended)
    own(sessions, BOB, "bob's", ended)

    def has_expired() -> int:
        sessions.touch(ALICE)
        return sessions.expire()

    wait_until(has_expired, "a lease to run out")
    assert ended == ["bob's"]
    assert len(sessions) == 1


def test_a_fresh_session_does_not_expire(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    assert (sessions.expire(), ended) == (0, [])


def test_all_leases_that_ran_out_end_at_once(ended: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LEASE_S", -1.0)
    sessions = Sessions()
    own(sessions, ALICE, "alice's", ended)
    own(sessions, BOB, "bob's", ended)
    assert sessions.expire() == 2
    assert (sorted(ended), len(sessions)) == (["alice's", "bob's"], 0)


def test_touching_a_session_that_owns_nothing_keeps_nothing() -> None:
    sessions = Sessions()
    sessions.touch(ALICE)
    assert len(sessions) == 0


def test_the_end_of_the_node_ends_everything(ended: list[str]) -> None:
    sessions = Sessions()
    own(sessions, ALICE, "alice's", ended)
    own(sessions, BOB, "bob's", ended)
    sessions.close_all()
    assert sorted(ended) == ["alice's", "bob's"]


def test_one_client_too_many_is_refused_and_those_that_work_go_on(
    ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_SESSIONS", 1)
    sessions = Sessions()
    own(sessions, ALICE, "put", ended)
    with pytest.raises(NodeBusy, match="try again"):
        own(sessions, BOB, "put", ended)
    own(sessions, ALICE, "job", ended)
    sessions.close(ALICE)
    own(sessions, BOB, "eval", ended)
    assert len(sessions) == 1


def test_a_teardown_may_release_what_it_tears_down(ended: list[str]) -> None:
    sessions = Sessions()
    sessions.own(ALICE, "job", lambda: sessions.release(ALICE, "job"))
    own(sessions, ALICE, "put", ended)
    sessions.close(ALICE)
    assert ended == ["put"]


def test_many_threads_leave_nothing_behind() -> None:
    sessions = Sessions()

    def come_and_go(number: int) -> None:
        session = b"%08d" % number
        for token in range(300):
            sessions.own(session, token, lambda: None)
            sessions.release(session, token)

    threads = [threading.Thread(target=come_and_go, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 0
