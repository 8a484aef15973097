"""Sessions that are lent: to one at a time, kept for the next, and never used after a fork or a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s4zmq import pool as room
from s4zmq import wire
from s4zmq.config import Config
from s4zmq.errors import KeyNotFound, RequestError
from s4zmq.placement import Roster
from s4zmq.pool import Pool
from s4zmq.session import Session

from .helpers import NODE


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = Pool(Config(str(tmp_path / "s4.conf"), Roster((NODE,))))
    yield made
    made.close()


def the_next(pool: Pool) -> Session:
    """The session that whoever comes next is lent."""
    session = pool.take()
    pool.give_back(session)
    return session


def raised(error: BaseException) -> Callable[[Pool], None]:
    def use(pool: Pool) -> None:
        with pool.session():
            raise error

    return use


def test_a_session_is_lent_to_one_at_a_time_and_kept(pool: Pool) -> None:
    with pool.session() as first:
        with pool.session() as second:
            assert first is not second
        with pool.session() as third:
            assert third is second
    with pool.session() as fourth:
        assert fourth is first


@pytest.mark.usefixtures("no_descriptor_left")
def test_only_some_are_kept(tmp_path: Path) -> None:
    pool = Pool(Config(str(tmp_path / "s4.conf"), Roster((NODE,))))
    lent = [pool.take() for _ in range(20)]
    for session in lent:
        session.courier.request(NODE, wire.Stats(), lambda *_: None)
        pool.give_back(session)
    kept = [pool.take() for _ in range(8)]
    assert all(session in lent for session in kept)
    for session in kept:
        pool.give_back(session)
    pool.close()


def test_an_error_of_a_request_does_no_harm_to_a_session(pool: Pool) -> None:
    with pool.session() as session:
        pass
    with pytest.raises(KeyNotFound):
        raised(KeyNotFound("no such key"))(pool)
    assert the_next(pool) is session


@pytest.mark.parametrize("error", [LookupError(), KeyboardInterrupt()])
def test_after_any_other_exception_it_is_not_used_again(pool: Pool, error: BaseException) -> None:
    with pool.session() as session:
        pass
    with pytest.raises(type(error)):
        raised(error)(pool)
    assert the_next(pool) is not session


def test_with_work_on_a_node_it_is_not_used_again_after_an_error(pool: Pool) -> None:
    session = pool.take()
    session.has_work = True
    ended: list[str] = []
    session.end_session = lambda: ended.append("ended")  # type: ignore[method-assign]
    pool.settle(session, KeyNotFound("no such key"))
    assert ended == ["ended"]
    assert the_next(pool) is not session


def test_a_child_leaves_the_sessions_of_its_parent_alone(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, idle = pool.take(), pool.take()
    pool.give_back(idle)
    inherited: list[object] = []
    monkeypatch.setattr(room, "_inherited", inherited)
    for session in (lent, idle):
        session.pid -= 1  # as it looks to the child
    assert the_next(pool) not in (lent, idle)
    pool.give_back(lent)
    assert inherited == [idle, lent]
    for session in (lent, idle):
        session.pid += 1
        session.close()


def test_a_closed_pool_lends_nothing_and_closes_what_comes_back(pool: Pool) -> None:
    session = pool.take()
    pool.close()
    pool.close()
    pool.give_back(session)
    with pytest.raises(RequestError, match="this Client is closed"):
        pool.take()
