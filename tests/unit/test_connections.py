"""Connections of this process: found, hung up and cut by what they are, not by their descriptor alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from s4zmq.bouncer import Bouncer
from s4zmq.connections import connections_to, cut, hang_up, inode_of
from s4zmq.limits import STRANGER_S

from ..harness import wait_until

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """(the dialling end, the end that was dialled)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dialled = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with dialled, accepted:
        dialled.settimeout(5)
        accepted.settimeout(5)
        yield dialled, accepted


def test_what_was_hung_up_can_still_be_read_to_its_end(pair: Pair) -> None:
    dialled, accepted = pair
    dialled.sendall(b"last words")
    hang_up(accepted.fileno(), inode_of(accepted.fileno()))
    assert dialled.recv(1) == b""
    assert accepted.recv(100) == b"last words"
    assert accepted.recv(100) == b""


def test_what_was_cut_is_gone_with_all_that_had_come(pair: Pair) -> None:
    dialled, accepted = pair
    dialled.sendall(b"x" * 100_000)
    cut(accepted.fileno(), inode_of(accepted.fileno()))
    with pytest.raises(OSError):
        accepted.recv(100)
    with pytest.raises(ConnectionResetError):
        dialled.recv(1)


@pytest.mark.parametrize("end", [hang_up, cut])
def test_another_connection_with_that_descriptor_is_left_alone(pair: Pair, end: type) -> None:
    dialled, accepted = pair
    end(accepted.fileno(), inode_of(accepted.fileno()) + 1)
    end(-1, 0)
    end(0, 1)
    accepted.sendall(b"here")
    assert dialled.recv(4) == b"here"


def test_a_connection_is_found_by_the_port_that_it_came_to(pair: Pair) -> None:
    _, accepted = pair
    port = accepted.getsockname()[1]
    (found,) = connections_to([port])
    assert (found.fd, found.port, found.is_over) == (accepted.fileno(), port, False)
    assert found.inode == os.fstat(accepted.fileno()).st_ino


def is_reset(dialled: socket.socket) -> bool:
    dialled.settimeout(0)
    try:
        return dialled.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_the_bouncer_cuts_off_at_the_end_of_its_patience(pair: Pair) -> None:
    dialled, accepted = pair
    bouncer = Bouncer(3)
    bouncer.note(accepted.fileno())
    bouncer.note(accepted.fileno())
    assert not is_reset(dialled)
    bouncer.note(accepted.fileno())
    wait_until(lambda: is_reset(dialled), "the cut")
    assert bouncer.cuts == 1


def test_messages_of_one_that_has_gone_are_not_laid_on_the_next_one(pair: Pair) -> None:
    dialled, accepted = pair
    other, other_end = socket.socketpair()
    bouncer = Bouncer(3)
    kept = os.dup(accepted.fileno())
    bouncer.note(kept)
    bouncer.note(kept)
    os.dup2(other.fileno(), kept)
    bouncer.note(kept)
    bouncer.note(-1)
    assert bouncer.cuts == 0
    assert not is_reset(dialled)
    os.close(kept)
    other.close()
    other_end.close()


def test_old_messages_do_not_count(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, accepted = pair
    now_s = 100.0
    monkeypatch.setattr("s4zmq.bouncer.time.monotonic", lambda: now_s)
    bouncer = Bouncer(3)
    bouncer.note(accepted.fileno())
    bouncer.note(accepted.fileno())
    now_s += STRANGER_S + 1
    bouncer.note(accepted.fileno())
    bouncer.note(accepted.fileno())
    assert bouncer.cuts == 0
    bouncer.note(accepted.fileno())
    assert bouncer.cuts == 1
