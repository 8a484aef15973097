"""The store: one winner, immutable files, damage found, no folder in the way."""

from __future__ import annotations

import errno
import os
import stat
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from s4zmq.checksum import digest_of
from s4zmq.errors import (
    ChecksumMismatch,
    KeyExists,
    KeyInvalid,
    KeyNotFound,
    NoSpace,
    S4Error,
    StorageError,
)
from s4zmq.keys import Key
from s4zmq.store import XATTR, Stamp, Store, Verified, write_all

from .helpers import ONE, OTHER, change_file, flip_first_byte, put, unfinished

KEY = Key("b/d/k")


def value_of(store: Store, key: Key) -> bytes:
    fd, stamp = store.open_checked(key)
    try:
        return os.pread(fd, stamp.size, 0)
    finally:
        os.close(fd)


@pytest.fixture
def new_file(store: Store) -> Iterator[Callable[[bytes], int]]:
    """Makes files without a name that hold some bytes; they are closed at the end."""
    made: list[int] = []

    def make(value: bytes) -> int:
        made.append(store.new_file())
        write_all(made[-1], value, 0)
        return made[-1]

    yield make
    for fd in made:
        os.close(fd)


# -- making keys


def test_a_key_is_one_plain_read_only_file_below_its_bucket(store: Store) -> None:
    path = put(store, "s4://b/d/k", b"value")
    assert path == store.root / "keys" / "b" / "d" / "k"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.read_bytes() == b"value"
    assert value_of(store, KEY) == b"value"
    assert unfinished(store) == []


def test_a_file_without_a_name_is_invisible_until_it_is_committed(
    store: Store, new_file: Callable[[bytes], int]
) -> None:
    fd = new_file(b"value")
    assert unfinished(store) == []
    assert not store.exists(KEY)
    store.commit(fd, KEY, Stamp(5, digest_of(b"value"), ONE))
    assert store.exists(KEY)


def test_a_stamp_tells_size_digest_and_writer(store: Store) -> None:
    path = put(store, "s4://b/d/k", b"value", ONE)
    fd, stamp = store.open(KEY)
    os.close(fd)
    assert stamp == Stamp(5, digest_of(b"value"), ONE)
    packed = b"\x02" + digest_of(b"value") + ONE + (5).to_bytes(8, "big") + bytes(16)
    assert os.getxattr(path, XATTR) == stamp.pack() == packed
    assert len(packed) <= 64, "more would not fit into an inode of ext4"


def test_a_stamp_of_the_version_before_is_read(store: Store) -> None:
    path = put(store, "s4://b/d/k", b"value", ONE)
    before = b"\x01" + digest_of(b"value") + ONE + (5).to_bytes(8, "big")
    os.setxattr(path, XATTR, before)
    assert store.stamp_of("b/d/k") == Stamp(5, digest_of(b"value"), ONE)
    assert value_of(store, KEY) == b"value"


@pytest.mark.parametrize("stamp", [b"", b"\x02", b"\x03" + bytes(56), bytes(57), bytes(41)])
def test_a_stamp_that_can_not_be_read_is_none(store: Store, stamp: bytes) -> None:
    path = put(store, "s4://b/d/k")
    os.setxattr(path, XATTR, stamp)
    assert store.stamp_of("b/d/k") is None
    with pytest.raises(ChecksumMismatch, match="it has no checksum"):
        store.open(KEY)
    assert store.stamp_of("b/d/none") is None


def test_of_many_writers_at_once_exactly_one_wins(store: Store) -> None:
    barrier, results = threading.Barrier(8), []

    def write(number: int) -> None:
        value = b"%d" % number * 1000
        fd = store.new_file()
        try:
            write_all(fd, value, 0)
            barrier.wait()
            store.commit(fd, KEY, Stamp(len(value), digest_of(value), b"%016d" % number))
            results.append(value)
        except KeyExists:
            results.append(b"")
        finally:
            os.close(fd)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [value for value in results if value]
    assert (len(winners), len(results)) == (1, 8)
    assert value_of(store, KEY) == winners[0]


def test_the_same_writer_may_try_again_and_another_may_not(store: Store) -> None:
    put(store, "s4://b/d/k", b"value", ONE)
    put(store, "s4://b/d/k", b"value", ONE)
    with pytest.raises(KeyExists, match=r"s4://b/d/k already exists; keys are immutable") as caught:
        put(store, "s4://b/d/k", b"value", OTHER)
    whose = {"key": "s4://b/d/k", "node": store.node}
    assert caught.value.details == {"digest": digest_of(b"value"), "size": 5, **whose}
    assert value_of(store, KEY) == b"value"


def test_a_damaged_key_still_holds_its_name(store: Store) -> None:
    path = put(store, "s4://b/d/k")
    change_file(path, lambda fd: os.truncate(fd, 2))
    with pytest.raises(KeyExists, match=r"already exists on node .* and is damaged"):
        put(store, "s4://b/d/k", b"value", OTHER)
    store.delete(KEY)
    put(store, "s4://b/d/k", b"value", OTHER)


def test_a_commit_can_move_a_file_that_has_a_name_already(store: Store) -> None:
    staged = Path(store.tmp_path, "staged")
    staged.write_bytes(b"value")
    with open(staged, "rb") as file:
        store.commit(file.fileno(), KEY, Stamp(5, digest_of(b"value"), ONE), str(staged))
    assert value_of(store, KEY) == b"value"
    assert unfinished(store) == []


# -- keys and folders


def test_a_folder_of_keys_can_not_be_a_key(store: Store) -> None:
    put(store, "s4://b/a/b")
    with pytest.raises(KeyExists, match=r"s4://b/a is a folder on node .*, so no key"):
        put(store, "s4://b/a")


@pytest.mark.parametrize("text", ["s4://b/a/b", "s4://b/a/c/d/e"])
def test_a_key_can_not_be_a_folder_of_keys(store: Store, text: str) -> None:
    put(store, "s4://b/a")
    with pytest.raises(
        KeyExists, match=rf"{text} can not be made: s4://b/a is a key on node .*, so no folder"
    ):
        put(store, text)
    assert not store.exists(Key.parse(text))


def test_empty_folders_are_no_obstacle(store: Store) -> None:
    (store.root / "keys/b/a/empty/deep").mkdir(parents=True)
    (store.root / "keys/b/a/other").mkdir()
    assert put(store, "s4://b/a").is_file()


def test_the_last_key_takes_its_folders_with_it(store: Store) -> None:
    for text in ("s4://b/d/e/k", "s4://b/d/l", "s4://c/k"):
        put(store, text)
    store.delete(Key("b/d/e/k"))
    assert sorted(os.listdir(store.root / "keys/b/d")) == ["l"]
    store.delete(Key("b/d/l"))
    assert os.listdir(store.keys_path) == ["c"]
    store.delete(Key("c/k"))
    assert os.listdir(store.keys_path) == []
    put(store, "s4://b/d")


def test_writers_and_removers_in_one_folder_do_not_disturb_each_other(store: Store) -> None:
    errors: list[S4Error] = []

    def come_and_go(number: int) -> None:
        text = f"s4://b/x/y/z/k{number}"
        for _ in range(300):
            try:
                put(store, text, writer=b"%016d" % number)
                store.delete(Key.parse(text))
            except S4Error as error:
                errors.append(error)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, f"{len(errors)} failed, the first: {errors[0]}"
    assert os.listdir(store.keys_path) == []


# -- reading


@pytest.mark.parametrize("path", ["b/d/none", "none/k", "b/d", "b/d/k/below", "b/d/k/below/it"])
def test_a_key_that_is_not_there_is_not_found(store: Store, path: str) -> None:
    put(store, "s4://b/d/k")
    for ask in (store.open, store.open_checked, store.delete):
        with pytest.raises(KeyNotFound, match=f"no such key: s4://{path}"):
            ask(Key(path))
    assert not store.exists(Key(path))
    assert not store.unlink(Key(path))


def test_a_link_among_the_keys_is_not_followed(store: Store) -> None:
    (store.root / "keys/b").mkdir()
    (store.root / "keys/b/k").symlink_to("/etc/passwd")
    with pytest.raises(KeyNotFound):
        store.open(Key("b/k"))


@pytest.mark.usefixtures("no_descriptor_left")
def test_reading_and_failing_to_read_leave_no_descriptor_open(store: Store) -> None:
    put(store, "s4://b/d/k")
    flip_first_byte(put(store, "s4://b/d/torn"))
    os.close(store.open(KEY)[0])
    os.close(store.open_checked(KEY)[0])
    for path in ("b/d", "b/d/none", "b/d/torn"):
        with pytest.raises((KeyNotFound, ChecksumMismatch)):
            store.open_checked(Key(path))


# -- damage


def truncate(path: Path) -> None:
    change_file(path, lambda fd: os.truncate(fd, 3))


def append(path: Path) -> None:
    change_file(path, lambda fd: os.pwrite(fd, b"more", 5))


def remove_checksum(path: Path) -> None:
    path.chmod(0o644)
    os.removexattr(path, XATTR)


def garble_checksum(path: Path) -> None:
    path.chmod(0o644)
    os.setxattr(path, XATTR, b"garbage")


def change_version(path: Path) -> None:
    path.chmod(0o644)
    os.setxattr(path, XATTR, b"\x07" + os.getxattr(path, XATTR)[1:])


@pytest.mark.parametrize("damage", [truncate, append, remove_checksum, garble_checksum, change_version])
def test_a_torn_key_is_refused_as_soon_as_it_is_opened(
    store: Store, damage: Callable[[Path], None]
) -> None:
    damage(put(store, "s4://b/d/k"))
    for ask in (store.open, store.open_checked):
        with pytest.raises(ChecksumMismatch, match=r"s4://b/d/k on node 127\.0\.0\.1:7000 is damaged"):
            ask(KEY)
    assert store.exists(KEY)


def test_a_flipped_byte_is_found_when_the_bytes_are_checked(store: Store) -> None:
    flip_first_byte(put(store, "s4://b/d/k"))
    with pytest.raises(ChecksumMismatch, match="its bytes are not those that were stored"):
        store.open_checked(KEY)


def test_a_checked_file_is_remembered_until_it_is_touched(store: Store) -> None:
    path = put(store, "s4://b/d/k")
    for _ in range(2):
        assert value_of(store, KEY) == b"value"
        assert store._verified.digest_of(path.stat()) == digest_of(b"value")
    change_file(path, lambda fd: os.pwrite(fd, b"X", 0))
    assert not store._verified.digest_of(path.stat())
    with pytest.raises(ChecksumMismatch):
        store.open_checked(KEY)
    change_file(path, lambda fd: os.pwrite(fd, b"v", 0))
    assert value_of(store, KEY) == b"value"


def test_setting_the_time_of_change_back_fools_nobody(store: Store) -> None:
    path = put(store, "s4://b/d/k")
    before = path.stat()
    flip_first_byte(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChecksumMismatch):
        store.open_checked(KEY)


def test_a_store_that_was_just_opened_trusts_no_file(store: Store) -> None:
    path = put(store, "s4://b/d/k")
    later = Store(store.root, store.node)
    assert not later._verified.digest_of(path.stat())
    assert value_of(later, KEY) == b"value"
    assert later._verified.digest_of(path.stat())


def test_the_memory_of_checked_files_is_bounded_and_the_last_ones_are_in_it(tmp_path: Path) -> None:
    verified, statuses = Verified(limit=4), []
    for number in range(7):
        (tmp_path / str(number)).write_bytes(b"")
        statuses.append((tmp_path / str(number)).stat())
        verified.add(statuses[-1], b"digest of 16 by.")
    known = [verified.digest_of(status) for status in statuses]
    assert known == [b""] * 4 + [b"digest of 16 by."] * 3
    verified.discard(statuses[-1])
    assert not verified.digest_of(statuses[-1])


def test_a_checked_file_takes_little_memory() -> None:
    verified = Verified(limit=20_000)
    tracemalloc.start()
    try:
        for number in range(20_000):
            status = SimpleNamespace(st_ino=1_000_000 + number, st_ctime_ns=1 << 60, st_size=5)
            verified.add(cast(os.stat_result, status), number.to_bytes(16, "big"))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 165 * 20_000


# -- the disk says no


@pytest.mark.parametrize(
    ("number", "cls"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.ENAMETOOLONG, KeyInvalid),
        (errno.EIO, StorageError),
        (errno.EROFS, StorageError),
    ],
)
def test_an_error_of_the_disk_names_node_and_reason(store: Store, number: int, cls: type[S4Error]) -> None:
    with (
        pytest.raises(cls, match=r"node 127\.0\.0\.1:7000: can not write it"),
        store.disk_errors("can not write it"),
    ):
        raise OSError(number, os.strerror(number))


def test_a_named_error_passes_the_disk_unchanged(store: Store) -> None:
    with pytest.raises(KeyNotFound), store.disk_errors("can not write"):
        raise KeyNotFound("no such key")


def test_every_byte_is_written_to_its_place(tmp_path: Path) -> None:
    with open(tmp_path / "f", "w+b", buffering=0) as file:
        for data in (b"456", bytearray(b"456"), memoryview(b"456"), b""):
            write_all(file.fileno(), data, 3)
        write_all(file.fileno(), b"123", 0)
        assert os.pread(file.fileno(), 10, 0) == b"123456"
