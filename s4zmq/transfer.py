"""The state of one transfer: credit, offsets, and which bytes belong to which value.

No sockets, files or clocks. A transfer is a stream of bytes that one or more values share: a large
put has one value, a parcel of a shuffle many. The receiver cuts the stream by the sizes that were
announced, so that thousands of small files travel in chunks of one mebibyte.

    sender                     receiver
    (credit 4) chunk 0 ------>
               chunk 1 ------> written: credit 2
               ...             completion is a condition on bytes, never the arrival of a message
               LAST    ------> digests compared: the value is whole, or the transfer has failed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .checksum import DIGEST_BYTES
from .errors import ConnectionLost, ProtocolError
from .limits import CHUNK_BYTES


class Piece(NamedTuple):
    """Part of a chunk that belongs to one value: `chunk[start:stop]` goes to `offset` of it."""

    number: int
    """Which value, from 0."""

    offset: int
    start: int
    stop: int


class Incoming:
    """The receiving side. After an error it must not be used again."""

    def __init__(self, sizes: Sequence[int] | None, credit: int) -> None:
        """`sizes` in bytes of the values that follow; None for one value of unknown size."""
        self.sizes = sizes
        self.total = None if sizes is None else sum(sizes)
        self.received = 0
        self.credit = credit
        """Chunks that the sender may still send."""
        self._window = credit
        self.digests: list[bytes] = []
        self._index = 0
        self._offset = 0

    def chunk(self, offset: int, count: int) -> Iterator[Piece]:
        """The pieces of a chunk that arrived. One PUSH to one PULL keeps order, so the next offset
        is the only good one; a reconnect can lose chunks, and then this raises ConnectionLost."""
        if offset != self.received:
            raise ConnectionLost(
                f"bytes were lost on their way: {self.received} arrived, then came byte {offset}; try again"
            )
        if self.credit <= 0 or not count:
            raise ProtocolError("a chunk that was not granted")
        if self.total is not None and offset + count > self.total:
            raise ProtocolError(f"more than the {self.total} bytes that were announced")
        self.credit -= 1
        self.received += count
        return self._cut(count)

    def _cut(self, count: int) -> Iterator[Piece]:
        if self.sizes is None:
            yield Piece(0, self.received - count, 0, count)
            return
        start = 0
        while start < count:
            left = self.sizes[self._index] - self._offset
            taken = min(left, count - start)
            if taken:
                yield Piece(self._index, self._offset, start, start + taken)
            start += taken
            self._offset += taken
            if taken == left:
                self._index, self._offset = self._index + 1, 0

    def grant(self) -> int:
        """How many chunks more the sender may send, now that all that came is written.

        Half a window at a time, and none that it can not need: each grant is a message.
        """
        lacking = self._window - self.credit
        if self.total is not None:
            lacking = min(lacking, -(-(self.total - self.received) // CHUNK_BYTES) - self.credit)
        if self.credit > self._window // 2 or lacking <= 0:
            return 0
        self.credit += lacking
        return lacking

    def last(self, offset: int, digests: bytes) -> None:
        """The end of the stream. Raises ConnectionLost where bytes are missing that the sender sent,
        ProtocolError where it did not send what it had announced."""
        if offset != self.received:
            raise ConnectionLost(f"bytes were lost: {self.received} of {offset} arrived; try again")
        if self.total is not None and offset != self.total:
            raise ProtocolError(f"the transfer ended at byte {offset} of {self.total}")
        count = 1 if self.sizes is None else len(self.sizes)
        if len(digests) != count * DIGEST_BYTES:
            raise ProtocolError("the transfer ended without a digest for each value")
        self.digests = [digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES)]


class Outgoing:
    """The sending side: how far it is, and whether it may go on."""

    def __init__(self, transfer: bytes, credit: int) -> None:
        self.transfer = transfer
        self.credit = credit
        self.sent = 0

    @property
    def may_send(self) -> bool:
        """Whether a chunk may go out now."""
        return self.credit > 0

    def chunk(self, count: int) -> int:
        """Account for a chunk of `count` bytes; its offset."""
        if self.credit <= 0:
            raise ProtocolError("no credit for another chunk")
        offset = self.sent
        self.credit -= 1
        self.sent += count
        return offset

    def grant(self, chunks: int) -> None:
        """The receiver has written `chunks` chunks."""
        self.credit += chunks
