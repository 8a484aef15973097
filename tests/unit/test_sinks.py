"""Sinks: bytes that arrive become a key or a shipped file once they are whole and right, or nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from s4zmq.checksum import digest_of
from s4zmq.errors import ChecksumMismatch, KeyExists, NoSpace, StorageError
from s4zmq.keys import Key
from s4zmq.sinks import FileTarget, KeyTarget, ValueSink, store_value
from s4zmq.store import Stamp, Store
from s4zmq.transfer import Piece
from s4zmq.wire import Stored

from .helpers import ONE, OTHER, unfinished

KEY = Key("b/k")


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """While inside, the disk takes no more than `size` bytes a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def stamp(value: bytes, writer: bytes) -> Stamp:
    return Stamp(len(value), digest_of(value), writer)


def feed(sink: ValueSink, *parts: bytes) -> None:
    offset = 0
    for part in parts:
        sink.write(Piece(0, offset, 0, len(part)), memoryview(part))
        offset += len(part)


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("parts", [(b"va", b"lue"), (b"value",), ()])
def test_a_value_in_chunks_becomes_a_key_when_it_is_whole(store: Store, parts: tuple[bytes, ...]) -> None:
    value, sink = b"".join(parts), ValueSink(store, KeyTarget(store, KEY), ONE)
    feed(sink, *parts)
    assert not store.exists(KEY)
    assert sink.finish([digest_of(value)]) == Stored(len(value), digest_of(value))
    sink.discard()
    assert Path(store.path_of(KEY)).read_bytes() == value
    assert unfinished(store) == []


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("digests", [[digest_of(b"other")], [], [digest_of(b"value")] * 2])
def test_a_value_with_the_wrong_digest_leaves_nothing(store: Store, digests: list[bytes]) -> None:
    sink = ValueSink(store, KeyTarget(store, KEY), ONE)
    feed(sink, b"value")
    with pytest.raises(ChecksumMismatch, match="s4://b/k was damaged on its way to node"):
        sink.finish(digests)
    sink.discard()
    assert not store.exists(KEY)
    assert unfinished(store) == []


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_value_whose_name_was_taken_meanwhile_is_refused(store: Store) -> None:
    sink = ValueSink(store, KeyTarget(store, KEY), ONE)
    feed(sink, b"value")
    store_value(store, KeyTarget(store, KEY), memoryview(b"first"), stamp(b"first", OTHER))
    with pytest.raises(KeyExists):
        sink.finish([digest_of(b"value")])
    sink.discard()
    assert Path(store.path_of(KEY)).read_bytes() == b"first"


@pytest.mark.parametrize("part", [b"value", b"wrong"])
def test_room_is_kept_for_what_is_still_to_come(store: Store, part: bytes) -> None:
    sink = ValueSink(store, KeyTarget(store, KEY), ONE, 10)
    assert store.space.reserved == 10
    feed(sink, part)
    assert store.space.reserved == 5
    with suppress(ChecksumMismatch):
        sink.finish([digest_of(b"value")])
    sink.discard()
    assert store.space.reserved == 0


@pytest.mark.usefixtures("no_descriptor_left")
def test_what_does_not_fit_is_refused_and_holds_nothing(store: Store) -> None:
    with pytest.raises(NoSpace, match=r"free, needs .* for s4://b/k"):
        ValueSink(store, KeyTarget(store, KEY), ONE, 1 << 60)
    os.rmdir(store.tmp_path)
    with pytest.raises(StorageError):
        ValueSink(store, KeyTarget(store, KEY), ONE, 10)
    assert store.space.reserved == 0


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_disk_that_takes_no_more_is_an_error_that_names_the_key(store: Store) -> None:
    sink = ValueSink(store, KeyTarget(store, KEY), ONE)
    with files_end_at(3), pytest.raises(StorageError, match="can not write s4://b/k"):
        feed(sink, b"value")
    sink.discard()
    with files_end_at(3), pytest.raises(StorageError, match="can not write s4://b/k"):
        store_value(store, KeyTarget(store, KEY), memoryview(b"value"), stamp(b"value", ONE))
    assert not store.exists(KEY)


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("digest", [digest_of(b"other"), b"", digest_of(b"value")[:-1]])
def test_a_small_value_with_the_wrong_digest_leaves_nothing(store: Store, digest: bytes) -> None:
    with pytest.raises(ChecksumMismatch):
        store_value(store, KeyTarget(store, KEY), memoryview(b"value"), Stamp(5, digest, ONE))
    assert not store.exists(KEY)


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_shipped_file_can_be_run_and_has_no_name_twice(store: Store, tmp_path: Path) -> None:
    target = FileTarget(store, str(tmp_path), "tool.py")
    store_value(store, target, memoryview(b"value"), stamp(b"value", ONE))
    assert (tmp_path / "tool.py").read_bytes() == b"value"
    assert os.access(tmp_path / "tool.py", os.X_OK)
    with pytest.raises(KeyExists, match=r"two shipped files have the name tool\.py"):
        store_value(store, target, memoryview(b"value"), stamp(b"value", OTHER))


def test_a_job_that_has_ended_takes_no_shipped_file(store: Store, tmp_path: Path) -> None:
    target = FileTarget(store, str(tmp_path / "gone"), "tool.py")
    with pytest.raises(StorageError, match=r"can not keep the shipped file tool\.py"):
        store_value(store, target, memoryview(b"value"), stamp(b"value", ONE))
