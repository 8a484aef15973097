"""Keys as files: reading by ranges, and writing what becomes a key at its end."""

from __future__ import annotations

import csv
import gzip
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import s4zmq
from s4zmq.limits import CHUNK_BYTES, READ_BUFFER_BYTES

from ..cluster.kit import some_bytes, transfers_open
from ..harness import Cluster, wait_until
from ..unit.helpers import flip_first_byte

VALUE = some_bytes(6 * CHUNK_BYTES + 7)


@pytest.fixture
def key(s4: s4zmq.Client) -> str:
    return s4.put(VALUE, "s4://b/large")


# -- ranges


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, 1),
        (0, 0),
        (5, CHUNK_BYTES),
        (CHUNK_BYTES - 1, 2),
        (3, 4 * CHUNK_BYTES + 1),
        (len(VALUE) - 3, 10),
        (len(VALUE), 10),
        (1 << 40, 10),
        (10, 1 << 40),
    ],
)
def test_a_range_is_what_a_file_would_give(s4: s4zmq.Client, key: str, start: int, length: int) -> None:
    assert s4.read(key, start, length) == VALUE[start : start + length]


def test_many_ranges_come_at_once_and_fail_by_themselves(s4: s4zmq.Client, key: str) -> None:
    s4.put(b"small", "s4://b/small")
    ranges = [(key, 100 * n, 50) for n in range(100)]
    wanted = [("s4://b/none", 0, 1), *ranges, ("s4://b/small", 1, 2), (key, 1, 3 * CHUNK_BYTES)]
    first, *found, small, large = s4.read_many(wanted)
    assert isinstance(first, s4zmq.KeyNotFound)
    assert found == [VALUE[start : start + length] for _, start, length in ranges]
    assert (small, large) == (b"ma", VALUE[1 : 1 + 3 * CHUNK_BYTES])
    assert s4.read_many([]) == []


def test_a_range_before_the_start_is_refused(s4: s4zmq.Client, key: str) -> None:
    for start, length in ((-1, 5), (0, -5)):
        with pytest.raises(s4zmq.RequestError, match="from 0 on"):
            s4.read(key, start, length)


def test_a_part_of_a_damaged_value_is_refused(s4: s4zmq.Client, cluster: Cluster, key: str) -> None:
    reader = s4.open(key)
    reader.seek(len(VALUE) - 100)
    flip_first_byte(cluster.owner("large").path_of(key))
    reads: tuple[Callable[[], bytes], ...] = (lambda: s4.read(key, len(VALUE) - 100, 10), reader.read)
    for read in reads:
        with pytest.raises(s4zmq.ChecksumMismatch, match=r"s4://b/large on node .* is damaged"):
            read()
    reader.close()


# -- reading


def test_a_reader_is_a_file(s4: s4zmq.Client, key: str) -> None:
    with s4.open(key) as file:
        assert (file.key, file.size, file.name, file.mode) == (key, len(VALUE), key, "rb")
        assert file.digest == s4.stat(key).digest
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.read(3) == VALUE[:3]
        assert file.tell() == 3
        assert file.seek(-7, os.SEEK_END) == len(VALUE) - 7
        assert file.read() == VALUE[-7:]
        assert file.read() == b""
        assert file.seek(10) == 10
        assert file.seek(5, os.SEEK_CUR) == 15
        assert file.read1(4) == VALUE[15:19]
        room = bytearray(2 * CHUNK_BYTES)
        assert file.readinto(room) == len(room)
        assert room == VALUE[19 : 19 + len(room)]
        assert file.seek(len(VALUE) + 5) == len(VALUE) + 5
        assert file.read(1) == b""
        with pytest.raises(ValueError, match="before the start"):
            file.seek(-1)
        file.seek(0)
        assert file.read() == VALUE
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


@pytest.mark.parametrize("seed", range(3))
def test_reads_and_jumps_in_any_order_see_the_same_bytes(s4: s4zmq.Client, key: str, seed: int) -> None:
    chance = random.Random(seed)
    position = 0
    with s4.open(key) as file:
        for _ in range(100):
            if chance.random() < 0.3:
                position = chance.choice(
                    (chance.randrange(len(VALUE)), position + chance.randrange(2 * CHUNK_BYTES))
                )
                file.seek(position)
            count = chance.choice((1, 1000, READ_BUFFER_BYTES, 300_000, 2 * CHUNK_BYTES))
            found = file.read(count)
            assert found == VALUE[position : position + count]
            position += len(found)


def test_text_is_read_line_by_line(s4: s4zmq.Client) -> None:
    lines = [f"line {n} \N{SNOWMAN}\n" for n in range(50_000)]
    s4.put("".join(lines).encode(), "s4://b/text")
    with s4.open("s4://b/text", "r") as file:
        assert list(file) == lines
    with s4.open("s4://b/text") as binary:
        assert [line.decode() for line in binary] == lines
    s4.put("\N{SNOWMAN}".encode("utf-16"), "s4://b/utf-16")
    with s4.open("s4://b/utf-16", "r", encoding="utf-16") as file:
        assert file.read() == "\N{SNOWMAN}"


def test_an_empty_key_is_an_empty_file(s4: s4zmq.Client) -> None:
    with s4.open("s4://b/empty", "wb"):
        pass
    with s4.open("s4://b/empty") as file:
        assert file.read() == file.readline() == b""


def test_a_key_that_is_made_anew_is_not_read_on(s4: s4zmq.Client, key: str) -> None:
    with s4.open(key) as file:
        file.read(10)
        s4.rm(key)
        with pytest.raises(s4zmq.KeyNotFound, match="removed while it was read"):
            file.read()
        s4.put(VALUE[1:], key)
        with pytest.raises(s4zmq.KeyReplaced, match="made anew while it was read"):
            file.read()


def test_a_key_that_is_made_anew_with_the_same_bytes_is_read_on(s4: s4zmq.Client, key: str) -> None:
    with s4.open(key) as file:
        head = file.read(10)
        s4.rm(key)
        s4.put(VALUE, key)
        assert head + file.read() == VALUE


def test_threads_may_share_a_reader(s4: s4zmq.Client, key: str) -> None:
    found: list[bytes] = []
    with s4.open(key) as file:

        def work() -> None:
            while data := file.read(50_000):
                found.append(data)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
    assert sorted(found) == sorted(VALUE[n : n + 50_000] for n in range(0, len(VALUE), 50_000))


def test_many_readers_are_open_at_once(s4: s4zmq.Client, key: str) -> None:
    files = [s4.open(key) for _ in range(12)]
    for _ in range(3):
        assert len({file.read(400_000) for file in files}) == 1
    for file in files:
        file.close()


# -- writing


@pytest.mark.parametrize("piece", [1000, 300_000, 5 * CHUNK_BYTES])
def test_what_is_written_is_visible_at_its_end(s4: s4zmq.Client, piece: int) -> None:
    with s4.open("s4://b/new", "wb") as file:
        assert file.writable()
        assert not file.readable()
        for start in range(0, len(VALUE), piece):
            assert file.write(VALUE[start : start + piece]) == len(VALUE[start : start + piece])
            assert file.tell() == min(len(VALUE), start + piece)
        file.flush()
        assert not s4.exists("s4://b/new")
    assert s4.get("s4://b/new") == VALUE
    file.close()
    file.abort()
    with pytest.raises(ValueError, match="closed"):
        file.write(b"more")
    assert s4.exists("s4://b/new")


@pytest.mark.parametrize("size", [10, len(VALUE)])
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_exception_leaves_no_key(s4: s4zmq.Client, size: int, mode: str) -> None:
    def fail() -> None:
        with s4.open("s4://b/new", mode) as file:  # type: ignore[call-overload]
            file.write(VALUE[:size] if mode == "wb" else "x" * size)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert not s4.exists("s4://b/new")
    s4.put(b"", "s4://b/new")


@pytest.mark.parametrize("size", [10, len(VALUE)])
@pytest.mark.parametrize("mode", ["wb", "w"])
def test_a_file_that_is_forgotten_leaves_no_key(
    s4: s4zmq.Client, cluster: Cluster, size: int, mode: str
) -> None:
    only = [s4.open("s4://b/new", mode)]  # type: ignore[call-overload]
    only[0].write(VALUE[:size] if mode == "wb" else "x" * size)
    with pytest.warns(ResourceWarning, match="s4://b/new was never closed: there is no such key"):
        only.clear()
    wait_until(lambda: not transfers_open(cluster), "the transfer to be given up")
    assert not s4.exists("s4://b/new")


def test_libraries_write_through_it(s4: s4zmq.Client) -> None:
    with s4.open("s4://b/rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", 1], ["b", 2]])
    assert s4.get("s4://b/rows.csv") == b"a,1\r\nb,2\r\n"
    with s4.open("s4://b/packed.gz", "wb") as raw, gzip.open(raw, "wt") as packed:
        packed.write("hello")
    with s4.open("s4://b/packed.gz") as reader, gzip.open(reader, "rt") as packed:
        assert packed.read() == "hello"


@pytest.mark.parametrize("size", [10, len(VALUE)])
def test_of_two_writers_one_wins(s4: s4zmq.Client, size: int) -> None:
    first, second = s4.open("s4://b/new", "wb"), s4.open("s4://b/new", "wb")
    first.write(VALUE[:size])
    second.write(VALUE[1 : size + 1])
    second.close()
    with pytest.raises(s4zmq.KeyExists):
        first.close()
    first.close()
    assert s4.get("s4://b/new") == VALUE[1 : size + 1]


def test_a_known_size_is_looked_at_before_bytes_move(s4: s4zmq.Client) -> None:
    with pytest.raises(s4zmq.NoSpace), s4.open("s4://b/new", "wb", size=1 << 60) as file:
        file.write(VALUE)
    with s4.open("s4://b/new", "wb", size=len(VALUE)) as file:
        file.write(VALUE)
    assert s4.get("s4://b/new") == VALUE


def test_what_is_not_committed_is_no_key(s4: s4zmq.Client) -> None:
    files = [s4.open_uncommitted(f"s4://b/{n}") for n in range(3)]
    for file in files:
        file.write(VALUE)
        file.close()
    assert list(s4.ls("s4://b/")) == []
    files[0].commit()
    files[1].discard()
    assert [row.key for row in s4.ls("s4://b/")] == ["s4://b/0"]
    with pytest.raises(s4zmq.RequestError, match="made already"):
        files[0].commit()
    with pytest.raises(s4zmq.S4Error, match="given up"):
        files[1].commit()
    files[2].discard()


def test_other_modes_are_refused(s4: s4zmq.Client, key: str) -> None:
    for mode in ("a", "r+b", "wb+", "br", ""):
        with pytest.raises(s4zmq.RequestError, match="keys do not change"):
            s4.open(key, mode)  # type: ignore[call-overload]


def test_a_local_file_is_never_half_written(
    s4: s4zmq.Client, cluster: Cluster, key: str, tmp_path: Path
) -> None:
    flip_first_byte(cluster.owner("large").path_of(key))
    with pytest.raises(s4zmq.ChecksumMismatch):
        s4.get(key, tmp_path / "file")
    assert os.listdir(tmp_path) == []
