"""Admissions: room for every connection, requests known by their session, and the ways back."""

from __future__ import annotations

import pytest

from s4zmq import admissions as room
from s4zmq import wire
from s4zmq.admissions import Admissions
from s4zmq.caller import Letter
from s4zmq.errors import QueueFull
from s4zmq.outstanding import Outstanding

MIB = 1 << 20
ALICE, BOB = b"alice...", b"bob....."
A, B, C = b"way a", b"way b", b"way c"


@pytest.fixture
def found() -> Admissions:
    return Admissions("127.0.0.1:7000", Outstanding(2 * MIB))


def letter(id: int) -> Letter:
    return Letter(A, id, ALICE, wire.Ok(), b"")


def test_a_request_is_known_by_its_session_until_it_has_ended(found: Admissions) -> None:
    found.admit(ALICE, 1, A)
    assert found.knows(ALICE, 1)
    assert not found.knows(BOB, 1)
    assert not found.knows(ALICE, 2)
    assert (len(found), found.has_any(A), found.has_any(B)) == (1, True, False)
    for _ in range(2):
        found.end(ALICE, 1)
        assert (len(found), found.total, found.knows(ALICE, 1), found.has_any(A)) == (0, 1, False, False)


def test_a_full_node_takes_a_few_requests_of_each_connection(
    found: Admissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_REQUESTS", 8)
    monkeypatch.setattr(room, "OWN_REQUESTS", 2)
    for id in range(8):
        found.admit(ALICE, id, A)
    with pytest.raises(QueueFull, match=r"127\.0\.0\.1:7000 has too much to do"):
        found.admit(ALICE, 9, A)
    for id in range(2):
        found.admit(BOB, id, B)
    with pytest.raises(QueueFull):
        found.admit(BOB, 2, B)
    found.end(ALICE, 0)
    found.end(ALICE, 1)
    found.end(ALICE, 2)
    found.admit(BOB, 2, B)


def test_one_connection_has_no_more_than_its_share_whatever_its_sessions(
    found: Admissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_REQUESTS_IN_HAND", 2)
    found.admit(ALICE, 1, A)
    found.admit(BOB, 1, A)
    with pytest.raises(QueueFull):
        found.admit(b"carol...", 1, A)
    found.admit(ALICE, 2, B)


def test_bytes_that_wait_are_bounded_and_each_connection_has_one_message_beyond(
    found: Admissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_QUEUED_BYTES", 100)
    found.admit(ALICE, 1, A, body_bytes=101)
    with pytest.raises(QueueFull):
        found.admit(ALICE, 2, A)
    found.admit(BOB, 1, B, body_bytes=1)
    found.started(A, 101)
    found.admit(ALICE, 2, A)


def test_room_for_a_reply_is_kept_until_its_request_has_ended(found: Admissions) -> None:
    found.admit(ALICE, 1, A, reply_bytes=2 * MIB)
    with pytest.raises(QueueFull, match="bytes on their way"):
        found.admit(ALICE, 2, A, reply_bytes=1)
    assert len(found) == 1
    found.end(ALICE, 1)
    found.admit(ALICE, 2, A, reply_bytes=1)


def test_the_way_back_is_the_newest_connection_of_the_session(found: Admissions) -> None:
    found.admit(ALICE, 1, A)
    assert found.ways(ALICE, 1) == (A,)
    found.hear(ALICE, B)
    found.hear(ALICE, A)  # something old
    found.hear(BOB, C)
    assert found.ways(ALICE, 1) == (B, A)
    assert found.ways(ALICE, 2) == found.ways(BOB, 1) == ()


def test_what_is_answered_in_pieces_is_lost_with_its_connection_and_told_once(found: Admissions) -> None:
    for id in (1, 2, 3):
        found.admit(ALICE, id, A)
    for id in (1, 3):
        found.note_piece(ALICE, id, A)
    found.end(ALICE, 3)
    assert not found.hear(ALICE, A)
    assert found.hear(ALICE, B) == [(ALICE, 1)]
    assert not found.hear(ALICE, C)
    assert (found.way_of_pieces(ALICE, 1), found.way_of_pieces(ALICE, 2)) == (A, b"")
    assert list(found.lost) == [(ALICE, 1)]
    assert (found.lose(ALICE, 1), found.lose(ALICE, 2), found.lose(ALICE, 9)) == (False, True, False)
    found.end(ALICE, 1)
    found.end(ALICE, 2)
    assert not found.lost


def test_a_reply_is_kept_for_a_session_that_comes_again(found: Admissions) -> None:
    found.admit(ALICE, 1, A)
    found.admit(ALICE, 2, A)
    assert found.keep(letter(1))
    assert found.keep(letter(2))
    assert not found.keep(letter(3)), "nobody waits for it"
    assert found.take_old() == []
    assert found.take_kept(BOB) == ()
    assert found.take_kept(ALICE) == [letter(1), letter(2)]
    assert found.take_kept(ALICE) == ()


def test_a_reply_is_not_kept_for_ever_and_not_more_than_some(
    found: Admissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_PARKED", 1)
    found.admit(ALICE, 1, A)
    assert found.keep(letter(1))
    assert not found.keep(letter(1))
    monkeypatch.setattr(room, "KEPT_S", -1.0)
    assert found.take_old() == [letter(1)]
    assert found.take_old() == []
    monkeypatch.setattr(room, "MAX_PARKED_IN_ALL", 0)
    assert not found.keep(letter(1))
