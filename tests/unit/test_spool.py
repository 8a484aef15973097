"""The spool of a task: rows and values without a name, gone when it closes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from s4zmq.errors import Cancelled, StorageError
from s4zmq.keys import Key
from s4zmq.spool import Row, Spool
from s4zmq.store import Store

from .helpers import unfinished
from .test_sinks import files_end_at

D = b"d" * 16


@pytest.fixture
def spool(store: Store) -> Iterator[Spool]:
    made = Spool(store)
    yield made
    made.close()


def test_rooms_do_not_overlap_and_keep_their_bytes(spool: Spool) -> None:
    first, second = spool.reserve(5), spool.reserve(3)
    spool.write(b"two", second, "two")
    spool.write(b"first", first, "first")
    assert (spool.read(5, first), spool.read(3, second)) == (b"first", b"two")


def test_the_rows_of_a_parcel_come_back_in_order(spool: Spool) -> None:
    rows = [Row(Key("b/0_a"), 3, D, 17), Row(Key("b/d/2_b"), 1 << 40, D, "/data/tmp/t-1/0.1")]
    spool.add(2, rows)
    spool.add(0, [])
    assert spool.parcels == {0, 2}
    assert list(spool.rows(2)) == rows
    assert list(spool.rows(0)) == []


def test_a_path_that_is_no_utf_8_comes_back(spool: Spool) -> None:
    path = os.fsdecode(b"/data/\xff/0.1")
    spool.add(0, [Row(Key("b/a"), 1, D, path)])
    assert [row.place for row in spool.rows(0)] == [path]


@pytest.mark.usefixtures("no_descriptor_left")
def test_it_has_no_name_and_is_gone_when_closed(store: Store) -> None:
    spool = Spool(store)
    spool.write(b"x" * 5000, spool.reserve(5000), "x")
    assert unfinished(store) == []
    spool.close()
    spool.close()


@pytest.mark.parametrize(
    "use", [lambda s: s.write(b"x", 0, "x"), lambda s: s.read(1, 0), lambda s: s.add(0, [])]
)
def test_after_the_end_nothing_is_written_to_a_number_that_was_given_back(
    spool: Spool, use: object
) -> None:
    spool.write(b"x", spool.reserve(1), "x")
    spool.close()
    with pytest.raises(Cancelled):
        use(spool)  # type: ignore[operator]


def test_a_disk_that_takes_no_more_is_an_error_with_a_name(spool: Spool) -> None:
    with files_end_at(2), pytest.raises(StorageError, match="can not write s4://b/a"):
        spool.write(b"value", spool.reserve(5), "s4://b/a")
