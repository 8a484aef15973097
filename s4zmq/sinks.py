"""Where arriving bytes are written: a key, or a file that is shipped with a job.

A sink writes to a file without a name and compares digests before anything becomes visible.
"""

from __future__ import annotations

import os
from typing import Protocol

from .checksum import DIGEST_BYTES, digest_of, new_digest
from .errors import ChecksumMismatch, KeyExists
from .keys import Key
from .store import Stamp, Store, write_all
from .transfer import Piece
from .wire import Stored


class Target(Protocol):
    """What a value becomes once it is whole."""

    def publish(self, fd: int, stamp: Stamp) -> None:
        """Give the file its name. Raises KeyExists."""

    def __str__(self) -> str: ...


class KeyTarget:
    """A value that becomes a key."""

    def __init__(self, store: Store, key: Key) -> None:
        self._store = store
        self._key = key

    def publish(self, fd: int, stamp: Stamp) -> None:
        """Commit it. Raises KeyExists."""
        self._store.commit(fd, self._key, stamp)

    def __str__(self) -> str:
        return str(self._key)


class FileTarget:
    """A value that becomes a shipped file of a job."""

    def __init__(self, store: Store, folder: str, name: str) -> None:
        self._store = store
        self._folder = folder
        self._name = name

    def publish(self, fd: int, stamp: Stamp) -> None:
        """Link it into the job's folder; executable, so that a shipped script can be called."""
        with self._store.disk_errors(f"can not keep the shipped file {self._name}"):
            os.fchmod(fd, 0o555)
            try:
                os.link(f"/proc/self/fd/{fd}", f"{self._folder}/{self._name}", src_dir_fd=0)
            except FileExistsError:
                raise KeyExists(f"two shipped files have the name {self._name}") from None

    def __str__(self) -> str:
        return f"the shipped file {self._name}"


class ValueSink:
    """One value that comes as chunks."""

    def __init__(self, store: Store, target: Target, writer: bytes, size: int = 0) -> None:
        """`size` in bytes, where it is known: room for it is kept. Raises NoSpace."""
        self._store = store
        self._target = target
        self._writer = writer
        self._room = store.space.reserve(size, target)
        try:
            self._fd = store.new_file()
        except BaseException:
            self._room.release()
            raise
        self._size = 0
        self._digest = new_digest()

    def write(self, piece: Piece, data: memoryview) -> None:
        """Append; raises NoSpace or StorageError."""
        with self._store.disk_errors(f"can not write {self._target}"):
            write_all(self._fd, data, piece.offset)
        self._room.use(len(data))
        self._digest.update(data)
        self._size += len(data)

    def finish(self, digests: list[bytes]) -> Stored:
        """Publish. Raises ChecksumMismatch or KeyExists."""
        stamp = Stamp(self._size, self._digest.digest(), self._writer)
        if digests != [stamp.digest]:
            raise ChecksumMismatch(f"{self._target} was damaged on its way to node {self._store.node}")
        self._target.publish(self._fd, stamp)
        self.discard()
        return Stored(stamp.size, stamp.digest)

    def discard(self) -> None:
        """The file without a name is gone with its descriptor, and what was kept for it is free."""
        self._room.release()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def store_value(store: Store, target: Target, data: memoryview, stamp: Stamp) -> None:
    """Publish a small value that came whole. Raises ChecksumMismatch, KeyExists, NoSpace."""
    if len(stamp.digest) != DIGEST_BYTES or digest_of(data) != stamp.digest:
        raise ChecksumMismatch(f"{target} was damaged on its way to node {store.node}")
    fd = store.new_file()
    try:
        with store.disk_errors(f"can not write {target}"):
            write_all(fd, data, 0)
        target.publish(fd, stamp)
    finally:
        os.close(fd)
