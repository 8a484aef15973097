"""The outputs of one parcel of a shuffle that comes as chunks: written, compared, and then staged.

Small ones go to the spool of their task, large ones to files of their own. What becomes of them is
the business of `staging`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from . import wire
from .checksum import DIGEST_BYTES, new_digest
from .errors import ChecksumMismatch
from .keys import Key
from .limits import PARCEL_INLINE_BYTES
from .spool import Row, Spool
from .store import Store, write_all
from .transfer import Piece


class ParcelSink:
    """The outputs of one parcel that comes as chunks: small ones to the spool, large ones to files."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        base: str,
        *,
        keys: Sequence[Key],
        sizes: Sequence[int],
        on_whole: Callable[[Sequence[Row]], None],
    ) -> None:
        """`base` begins the path of each file."""
        self._store = store
        self._spool = spool
        self._keys = keys
        self._sizes = sizes
        self._on_whole = on_whole
        self._places = _places(spool, base, sizes)
        self._room = store.space.reserve(sum(sizes), f"a parcel of {len(keys)} outputs")
        self._index = -1
        self._fd = -1
        self._digest = new_digest()
        self._digests: list[bytes] = []

    def write(self, piece: Piece, data: memoryview) -> None:
        """Bytes of output `piece.number`; empty outputs before it are passed on the way."""
        self._go_to(piece.number)
        place = self._places[piece.number]
        if isinstance(place, int):
            self._spool.write(data, place + piece.offset, self._keys[piece.number])
        else:
            with self._store.disk_errors(f"can not write {self._keys[piece.number]}"):
                write_all(self._fd, data, piece.offset)
        self._room.use(len(data))
        self._digest.update(data)

    def _go_to(self, number: int) -> None:
        while self._index < number:
            self._close_one()
            self._index += 1
            place = self._places[self._index]
            if isinstance(place, str):
                with self._store.disk_errors("can not make a staged output"):
                    self._fd = os.open(place, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def _close_one(self) -> None:
        if self._index >= 0:
            self._digests.append(self._digest.digest())
            self._digest = new_digest()
        self._close_file()

    def finish(self, digests: list[bytes]) -> wire.Staged:
        """Compare and note as staged. Raises ChecksumMismatch or Cancelled."""
        self._go_to(len(self._keys) - 1)
        self._close_one()
        for key, ours, theirs in zip(self._keys, self._digests, digests, strict=True):
            check_digest(key, ours, theirs)
        columns = (self._keys, self._sizes, self._digests, self._places)
        self._on_whole([Row(*row) for row in zip(*columns, strict=True)])
        self.discard()
        return wire.Staged()

    def discard(self) -> None:
        """What was written goes with the task, when its sender aborts it."""
        self._room.release()
        self._close_file()

    def _close_file(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _places(spool: Spool, base: str, sizes: Sequence[int]) -> list[int | str]:
    """Room in the spool for every small output, and a path for every large one."""
    return [
        spool.reserve(size) if size <= PARCEL_INLINE_BYTES else f"{base}{index}"
        for index, size in enumerate(sizes)
    ]


def check_digest(key: Key, ours: bytes, theirs: bytes) -> None:
    """Raises ChecksumMismatch."""
    if ours != theirs or len(theirs) != DIGEST_BYTES:
        raise ChecksumMismatch(f"{key} was damaged on its way between nodes")
