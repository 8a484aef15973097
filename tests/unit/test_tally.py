"""The count of a node's keys stays true, whatever comes and goes while what was there is counted."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq import tally as room
from s4zmq.keys import Key
from s4zmq.recount import Recount
from s4zmq.store import Store
from s4zmq.tally import Tally

from ..harness import wait_until
from .helpers import NODE, put

PATHS = [f"b/{head}{tail}" for head in ("a", "b/", "b.", "c") for tail in ("1", "2", "d/3")]


class World:
    """Keys with sizes, as a disk would have them, and their tally."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.tally = Tally(most_fresh=1000)

    def toggle(self, path: str, size: int) -> None:
        """Make the key if it is not there, else remove it."""
        with self.tally.changing(path):
            if path in self.sizes:
                self.tally.remove(path, self.sizes.pop(path))
            else:
                self.sizes[path] = size
                self.tally.add(path, size)

    def size_of(self, path: str) -> int:
        return self.sizes.get(path, -1)

    @property
    def truth(self) -> tuple[int, int]:
        return len(self.sizes), sum(self.sizes.values())

    @property
    def told(self) -> tuple[int, int]:
        return self.tally.keys, self.tally.bytes


CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 9)), max_size=4)


@given(CHANGES, CHANGES, st.lists(CHANGES, min_size=len(PATHS), max_size=len(PATHS)), CHANGES, st.data())
def test_it_is_true_after_a_walk_whatever_changed_before_during_and_after(
    old: list[tuple[str, int]],
    early: list[tuple[str, int]],
    between: list[list[tuple[str, int]]],
    late: list[tuple[str, int]],
    data: st.DataObject,
) -> None:
    world = World()
    world.sizes = dict(old)  # from before the start: nobody has told of them
    world.tally.begin()
    for change in early:
        world.toggle(*change)
    names = sorted({*world.sizes, *data.draw(st.sets(st.sampled_from(PATHS)))})  # a reader may see more
    for path, changes in zip(names, between, strict=False):
        world.tally.meet(path, world.size_of)
        for change in changes:
            world.toggle(*change)
    world.tally.end()
    assert world.told == world.truth
    for change in late:
        world.toggle(*change)
    assert world.told == world.truth


def test_what_was_counted_before_a_second_walk_counts_no_more() -> None:
    world = World()
    for path in PATHS:
        world.toggle(path, 3)
    for _ in range(2):
        world.tally.begin()
        for path in sorted(world.sizes):
            world.tally.meet(path, world.size_of)
        world.tally.end()
        assert world.told == (len(PATHS), 3 * len(PATHS))


def test_a_key_that_grew_by_hand_makes_no_count_negative() -> None:
    tally = Tally(most_fresh=10)
    tally.begin()
    tally.end()
    tally.add("b/x", 3)
    tally.remove("b/x", 5)
    tally.remove("b/by-hand", 7)
    assert (tally.keys, tally.bytes) == (0, 0)


def test_it_is_whole_at_the_end_of_a_walk_and_overrun_by_too_many_new_keys() -> None:
    tally = Tally(most_fresh=2)
    tally.begin()
    assert not tally.is_whole
    for name in ("x", "y"):
        tally.add(name, 1)
    assert not tally.is_overrun
    tally.add("z", 1)
    assert tally.is_overrun
    tally.end()
    assert (tally.is_whole, tally.is_overrun, tally.keys) == (True, False, 3)


def keys_on_disk(store: Store) -> tuple[int, int]:
    sizes = [
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(store.keys_path)
        for name in names
    ]
    return len(sizes), sum(sizes)


def counted(store: Store) -> Tally:
    """After a walk."""
    Recount(store).start()
    wait_until(lambda: store.tally.is_whole, "the keys to be counted", 30)
    return store.tally


def test_a_new_process_counts_what_an_old_one_has_left(store: Store) -> None:
    for number in range(50):
        put(store, f"s4://b/{number % 7}/{number}", b"x" * number)
    store.delete(Key("b/0/7"))
    again = Store(store.root, NODE)
    tally = counted(again)
    assert (tally.keys, tally.bytes) == (49, sum(range(50)) - 7) == keys_on_disk(store)
    assert (tally.made, tally.removed) == (0, 0)


def test_an_empty_store_is_counted_at_once(store: Store) -> None:
    assert counted(store).keys == 0


def test_a_retry_of_the_same_writer_and_a_delete_of_nothing_count_once(store: Store) -> None:
    counted(store)
    for _ in range(2):
        put(store, "s4://b/one", b"123")
    assert (store.tally.keys, store.tally.bytes) == (1, 3)
    assert store.unlink(Key("b/one"))
    assert not store.unlink(Key("b/one"))
    assert (store.tally.keys, store.tally.bytes) == (0, 0)


@pytest.mark.parametrize("most_fresh", [5, 100_000])
def test_it_is_true_while_threads_make_and_remove_keys_under_the_walk(
    store: Store, most_fresh: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3000):
        put(store, f"s4://b/{number % 20}/{number}", b"x" * (number % 9))
    again = Store(store.root, NODE)
    again.tally = Tally(most_fresh)
    is_over = threading.Event()

    def change(seed: int) -> None:
        rng = random.Random(seed)
        while not is_over.is_set():
            number = rng.randrange(3000)
            if rng.random() < 0.5:
                again.unlink(Key(f"b/{number % 20}/{number}"))
            elif not again.exists(Key(f"b/{number % 20}/{number}")):
                put(again, f"s4://b/{number % 20}/{number}", b"y" * (number % 11))

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(3)]
    Recount(again).start()
    for thread in threads:
        thread.start()
    if most_fresh == 5:
        wait_until(lambda: again.tally.made > 50, "many keys to be made", 30)
        is_over.set()  # else it would begin anew for ever
    wait_until(lambda: again.tally.is_whole, "the keys to be counted", 30)
    is_over.set()
    for thread in threads:
        thread.join()
    assert (again.tally.keys, again.tally.bytes) == keys_on_disk(again)


def test_a_walk_that_is_stopped_ends(store: Store, tmp_path: Path) -> None:
    for number in range(600):
        put(store, f"s4://b/{number}", b"")
    walk = Recount(Store(store.root, NODE))
    walk.stop()
    walk.start()
    wait_until(lambda: not walk._thread.is_alive(), "the walk to end")
    assert room._END > "b/\U0010fffe"
