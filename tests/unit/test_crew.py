"""Threads that work on items and on pieces of them together."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from s4zmq.crew import Crew

from ..harness import wait_until


@pytest.mark.parametrize("size", [1, 4])
def test_every_item_and_every_piece_is_done_once(size: int) -> None:
    crew, lock, done = Crew(size), threading.Lock(), []

    def note(piece: tuple[int, int]) -> None:
        with lock:
            done.append(piece)

    crew.run(iter(range(20)), lambda item: crew.share([(item, n) for n in range(item % 5)], note))
    assert sorted(done) == [(item, n) for item in range(20) for n in range(item % 5)]
    assert not [thread for thread in threading.enumerate() if thread.name == "s3"]


def test_the_pieces_of_one_item_are_worked_on_at_once() -> None:
    crew, together = Crew(3), threading.Barrier(3)
    crew.run(iter(["large"]), lambda _: crew.share(range(3), lambda _: together.wait(10)))


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []
    go_on = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    crew = Crew(2)
    thread = threading.Thread(target=crew.run, args=(items(), lambda _: go_on.wait(10)))
    thread.start()
    wait_until(lambda: len(taken) == 2, "both threads to have an item")
    assert taken == [0, 1]
    go_on.set()
    thread.join()
    assert len(taken) == 100


def test_the_first_error_ends_it_and_is_raised() -> None:
    crew, done = Crew(3), []

    def work(item: int) -> None:
        if item == 5:
            raise ValueError("five")
        done.append(item)

    with pytest.raises(ValueError, match="five"):
        crew.run(itertools.count(), work)
    assert len(done) < 1000


def test_an_error_of_a_piece_drops_the_others_and_comes_to_the_one_that_shares() -> None:
    crew, done, seen = Crew(2), [], []

    def piece(number: int) -> None:
        if number == 3:
            raise OSError("three")
        done.append(number)

    def work(_: int) -> None:
        try:
            crew.share(range(1000), piece)
        except OSError as exc:
            seen.append(str(exc))

    crew.run(iter([1, 2]), work)
    assert seen == ["three", "three"]
    assert len(done) < 100


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("listing")

    with pytest.raises(KeyError):
        Crew(3).run(items(), lambda item: item)
