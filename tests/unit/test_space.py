"""Room on the disk: free bytes, less those that are promised."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s4zmq.errors import NoSpace
from s4zmq.space import Space

from .helpers import NODE


class SmallDisk(Space):
    """A disk of 1000 bytes."""

    written = 0

    def free(self) -> int:
        return 1000 - self.written - self.reserved


@pytest.fixture
def space() -> Iterator[SmallDisk]:
    made = SmallDisk("/", NODE)
    yield made
    assert made.reserved == 0


def test_what_can_not_fit_is_refused_with_both_figures_in_one_unit(space: SmallDisk) -> None:
    space.require(1000, "a value")
    with pytest.raises(NoSpace, match=f"^node {NODE} has 1000 bytes free, needs 1001 for a value$"):
        space.require(1001, "a value")


def test_room_that_is_kept_is_not_given_twice(space: SmallDisk) -> None:
    first = space.reserve(600, "one")
    text = f"node {NODE} has 400 bytes free (and 600 bytes for transfers under way), needs 600 for two"
    with pytest.raises(NoSpace) as caught:
        space.reserve(600, "two")
    assert caught.value.text == text
    first.release()
    space.reserve(600, "two").release()


def test_what_is_written_is_counted_by_the_disk_alone(space: SmallDisk) -> None:
    first = space.reserve(600, "one")
    for _ in range(3):
        space.written += 200
        first.use(200)
        assert space.free() == 400
    first.use(200)  # more than was announced
    first.release()
    first.release()
    assert (space.free(), space.reserved) == (400, 0)


def test_of_many_that_do_not_fit_together_only_some_begin(space: SmallDisk) -> None:
    held = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        with suppress(NoSpace):
            held.append(space.reserve(300, "one of many"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 3
    for reservation in held:
        reservation.release()


def test_the_free_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    space = Space(str(tmp_path), NODE)
    status = os.statvfs(tmp_path)
    total = status.f_blocks * status.f_frsize
    assert 0 < space.free() < total
    with pytest.raises(NoSpace, match="free, needs"):
        space.require(total, "a value")


def test_a_disk_is_known_again_from_each_of_its_folders(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there, proc = (Space(str(path), NODE).disk() for path in (tmp_path, tmp_path / "other", "/proc"))
    assert here == there
    assert here != proc
    assert len(here) == 16
