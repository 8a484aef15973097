"""Mailboxes: order, waking up, many putters."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from s4zmq.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox[tuple[int, int]]]:
    box: Mailbox[tuple[int, int]] = Mailbox()
    yield box
    box.close()


def is_readable(fd: int, timeout_s: float = 0) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


def test_an_item_wakes_the_taker_and_taking_it_lets_it_sleep(mailbox: Mailbox[tuple[int, int]]) -> None:
    assert not is_readable(mailbox.fd)
    mailbox.put((1, 1))
    mailbox.put((1, 2))
    assert is_readable(mailbox.fd)
    assert len(mailbox) == 2
    assert list(mailbox.take()) == [(1, 1), (1, 2)]
    assert not is_readable(mailbox.fd)
    assert list(mailbox.take()) == []


def test_what_is_put_while_taking_is_not_lost(mailbox: Mailbox[tuple[int, int]]) -> None:
    mailbox.put((1, 1))
    taken = []
    for item in mailbox.take():
        taken.append(item)
        if item == (1, 1):
            mailbox.put((1, 2))
    taken.extend(mailbox.take())
    assert taken == [(1, 1), (1, 2)]


def test_a_taker_that_stops_early_finds_the_rest_later(mailbox: Mailbox[tuple[int, int]]) -> None:
    for number in range(3):
        mailbox.put((0, number))
    assert next(mailbox.take()) == (0, 0)
    assert list(mailbox.take()) == [(0, 1), (0, 2)]


def test_many_putters_lose_nothing_and_keep_their_order(mailbox: Mailbox[tuple[int, int]]) -> None:
    def put_all(putter: int) -> None:
        for number in range(2000):
            mailbox.put((putter, number))

    putters = [threading.Thread(target=put_all, args=(putter,)) for putter in range(4)]
    for thread in putters:
        thread.start()
    taken: list[tuple[int, int]] = []
    while len(taken) < 4 * 2000:
        assert is_readable(mailbox.fd, 10), "items are left, but nothing wakes the taker"
        taken.extend(mailbox.take())
    for thread in putters:
        thread.join()
    for putter in range(4):
        assert [number for who, number in taken if who == putter] == list(range(2000))
