"""The spool of one task: a file without a name that holds what its peers sent for it.

It keeps the rows of each staged parcel and, one behind another, the values of the small outputs,
so that a file is made for each of them only once: as its key. Bounded memory, however many outputs
a task has; a crash leaves nothing. Nothing here makes a key visible.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Union

import msgpack

from .codec import Body
from .errors import Cancelled
from .keys import Key
from .store import Store, write_all

_ERRORS = "surrogateescape"
"""The path of the data folder may be anything."""


class Row(NamedTuple):
    """One staged output."""

    key: Key
    size: int
    digest: bytes
    place: Union[int, str]
    """Where its bytes are: an offset in the spool, or the path of a file of its own."""


class Spool:
    """Rows and small values of one task. Safe to call from several threads, also while it closes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._fd = -1
        self._closed = False
        self._end = 0
        self._parcels: dict[int, tuple[int, int]] = {}
        """(offset, length) of the rows of each whole parcel."""

    @property
    def parcels(self) -> set[int]:
        """Numbers of the parcels that are whole."""
        return set(self._parcels)

    def reserve(self, size: int) -> int:
        """Room for `size` bytes; its offset."""
        with self._lock:
            offset = self._end
            self._end += size
            return offset

    def write(self, data: Body, offset: int, what: object) -> None:
        """Bytes of `what` into room that was reserved. Raises Cancelled, NoSpace or StorageError."""
        with self._lock, self._store.disk_errors(f"can not write {what}"):
            write_all(self._open(), data, offset)

    def read(self, size: int, offset: int) -> bytes:
        """Raises Cancelled or StorageError; fewer bytes than `size` come back only from a bad disk."""
        with self._lock, self._store.disk_errors("can not read staged outputs"):
            return os.pread(self._open(), size, offset)

    def add(self, parcel: int, rows: Iterable[Row]) -> None:
        """The parcel is whole: its values are in their places."""
        packed = msgpack.packb([(row.key.path, *row[1:]) for row in rows], unicode_errors=_ERRORS)
        offset = self.reserve(len(packed))
        self.write(packed, offset, "the list of staged outputs")
        self._parcels[parcel] = (offset, len(packed))

    def rows(self, parcel: int) -> Iterator[Row]:
        """The outputs of a whole parcel, in order."""
        offset, length = self._parcels[parcel]
        for path, *rest in msgpack.unpackb(self.read(length, offset), unicode_errors=_ERRORS):
            yield Row(Key(path), *rest)

    def _open(self) -> int:
        """The descriptor, under the lock: nobody may write to a number that was given back."""
        if self._closed:
            raise Cancelled("the task has ended")
        if self._fd < 0:
            self._fd = self._store.new_file()
        return self._fd

    def close(self) -> None:
        """Everything in it is gone."""
        with self._lock:
            self._closed = True
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)
