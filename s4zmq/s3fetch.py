"""One S3 object to one key of this node."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import points
from .checksum import digest_of_file
from .crew import Crew
from .errors import ChecksumMismatch, KeyExists, RequestError
from .keys import Key
from .limits import S3_PIECE_BYTES
from .s3bucket import Bucket
from .s3names import Listed
from .s3sums import has_bytes_of
from .shell import Switch
from .slots import Slots
from .store import Stamp, Store, write_all


class Hands(NamedTuple):
    """What one copy works with."""

    store: Store
    bucket: Bucket
    crew: Crew
    streams: Slots
    """Of the node: whoever moves bytes holds one."""

    cancel: Switch
    on_bytes: Callable[[int], object]
    """Told of bytes as they move."""


def ranges(size: int, piece: int) -> Iterator[tuple[int, int]]:
    """(start, length) of all pieces; one of length 0 for nothing."""
    for start in range(0, max(size, 1), piece):
        yield start, min(piece, size - start)


def fetch(hands: Hands, listed: Listed, key: Key, *, resume: bool) -> bool:
    """Have the object as `key`; False where it was there with equal bytes and `resume` is set.

    Raises KeyExists, NoSpace, ObjectChanged, ChecksumMismatch, and whatever S3 refuses.
    """
    if resume and hands.store.exists(key):
        with hands.streams.one(hands.cancel):
            _require_same(hands, listed, key)
        return False
    hands.store.require_free(key)
    room = hands.store.space.reserve(listed.size, key)
    fd = -1
    try:
        fd = hands.store.new_file()

        def take(offset: int, data: bytes) -> None:
            with hands.store.disk_errors(f"can not write {key}"):
                write_all(fd, memoryview(data), offset)
            hands.on_bytes(len(data))

        def read(piece: tuple[int, int]) -> None:
            with hands.streams.one(hands.cancel):
                hands.bucket.read(listed, *piece, take)

        hands.crew.share(ranges(listed.size, S3_PIECE_BYTES), read)
        points.reach("s3fetch.read")
        with hands.streams.one(hands.cancel):
            _publish(hands, listed, key, fd)
    finally:
        if fd >= 0:
            os.close(fd)
        room.release()
    return True


def _publish(hands: Hands, listed: Listed, key: Key, fd: int) -> None:
    with hands.store.disk_errors(f"can not read what was fetched for {key}"):
        size, digest = digest_of_file(fd)
        if has_bytes_of(fd, size, listed, hands.bucket.head) is False:
            raise ChecksumMismatch(
                f"node {hands.store.node} got other bytes than {hands.bucket.place(listed.name)} has by its"
                " checksum: try again"
            )
    hands.store.commit(fd, key, Stamp(size, digest, os.urandom(16)))


def _require_same(hands: Hands, listed: Listed, key: Key) -> None:
    """Raises KeyExists where the key has other bytes, RequestError where nothing tells."""
    place = hands.bucket.place(listed.name)
    fd, stamp = hands.store.open_checked(key)
    try:
        is_same = has_bytes_of(fd, stamp.size, listed, hands.bucket.head)
    finally:
        os.close(fd)
    if is_same is None:
        raise RequestError(
            f"{key} exists, and S3 has no checksum that tells whether {place} has its bytes: remove it,"
            " and it is fetched anew"
        )
    if not is_same:
        raise KeyExists(f"{key} already exists with other bytes than {place}: remove it first")
