"""Parts of values: many ranges at once, and one value as a stream that reads ahead.

A part can not be compared with the digest of the whole. So the node compares the whole value before it
gives the first range of it, and remembers that; each range comes with the digest of its own bytes, and
with that of the value, which must be the same in all of them. Prints nothing, and knows no threads:
`files` does.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from . import wire
from .checksum import digest_of
from .codec import Body
from .courier import Courier
from .errors import ChecksumMismatch, KeyNotFound, KeyReplaced, S4Error
from .keys import Key
from .limits import CHUNK_BYTES, RANGES_IN_FLIGHT, READ_AHEAD_BYTES
from .session import Session, Value


class Part(NamedTuple):
    """What is wanted of a key: bytes `start` to before `start + length`."""

    key: Key
    start: int
    length: int


class _Piece:
    """One range on its way, CHUNK_BYTES at most; then its bytes."""

    def __init__(self, key: Key, node: str, start: int, length: int, digest: bytes) -> None:
        """`digest` is that of the value that it must be of, or empty."""
        self.start = start
        self.length = length
        self.digest = digest
        """Of the value, once it is here."""
        self.reply: S4Error | Body | None = None
        """None while it is on its way; fewer bytes than `length` where the value ends."""
        self._key = key
        self._node = node

    def ask(self, courier: Courier) -> None:
        """Send the request. The reply is delivered by the courier."""
        message = wire.Fetch(str(self._key), self.start, self.length, checked=True)
        courier.request(self._node, message, self._on_reply)

    def _on_reply(self, reply: Any, body: Body) -> None:
        if isinstance(reply, KeyNotFound) and self.digest:
            self.reply = KeyNotFound(f"{self._key} was removed while it was read", key=str(self._key))
        elif isinstance(reply, S4Error):
            self.reply = reply
        elif self.digest not in (b"", reply.digest):
            self.reply = _replaced(self._key)
        elif len(body) != min(self.length, max(0, reply.size - self.start)) or digest_of(body) != reply.own:
            self.reply = ChecksumMismatch(
                f"bytes of {self._key} were damaged on the way from node {self._node}: try again"
            )
        else:
            self.digest = reply.digest
            self.reply = body

    @property
    def end(self) -> int:
        """Where the next piece begins."""
        return self.start + self.length

    @property
    def is_here(self) -> bool:
        """Whether it is not on its way any more."""
        return self.reply is not None

    @property
    def is_sound(self) -> bool:
        """Whether its bytes are here."""
        return self.is_here and not isinstance(self.reply, S4Error)

    @property
    def is_last(self) -> bool:
        """Whether the value ends in it, or it has failed."""
        return isinstance(self.reply, S4Error) or (self.reply is not None and len(self.reply) < self.length)

    def taken(self) -> Body:
        """Its bytes. Raises what has happened instead of them."""
        if isinstance(self.reply, S4Error):
            raise self.reply
        return self.reply or b""


def read_part(client: Session, part: Part) -> bytes:
    """The bytes of a part; fewer where the value ends. Raises KeyNotFound, KeyReplaced,
    ChecksumMismatch."""
    [found] = read_parts(client, [part])
    if isinstance(found, S4Error):
        raise found
    return found


def read_parts(client: Session, parts: Sequence[Part]) -> list[bytes | S4Error]:
    """The bytes of each part, or why there are none, in their order. RANGES_IN_FLIGHT at the same time,
    of whatever keys."""
    wanted = [_Wanted(part, client.owner(part.key)) for part in parts]
    pieces = itertools.chain.from_iterable(each.pieces() for each in wanted)
    in_flight: list[_Piece] = []
    while True:
        for piece in itertools.islice(pieces, RANGES_IN_FLIGHT - len(in_flight)):
            piece.ask(client.courier)
            in_flight.append(piece)
        if not in_flight:
            return [each.result() for each in wanted]
        client.courier.step()
        in_flight = [piece for piece in in_flight if not piece.is_here]


class _Wanted:
    """One part, and the pieces that it was asked for in."""

    def __init__(self, part: Part, node: str) -> None:
        self._part = part
        self._node = node
        self._pieces: list[_Piece] = []

    def pieces(self) -> Iterator[_Piece]:
        """The next ones to ask for, until it is known that the value ends before them."""
        key, start, length = self._part
        for offset in range(0, length, CHUNK_BYTES):
            if any(piece.is_last for piece in self._pieces):
                return
            piece = _Piece(key, self._node, start + offset, min(CHUNK_BYTES, length - offset), b"")
            self._pieces.append(piece)
            yield piece

    def result(self) -> bytes | S4Error:
        """Once all pieces are here."""
        if len({piece.digest for piece in self._pieces if piece.is_sound}) > 1:
            return _replaced(self._part.key)
        try:
            return b"".join(piece.taken() for piece in self._pieces)
        except S4Error as error:
            return error


class ReadAhead:
    """One value as a stream of pieces, some of them on their way before they are wanted.

    What is asked for ahead of the reader is as much as it has read in order, READ_AHEAD_BYTES at most; a
    jump makes it nothing again.
    """

    def __init__(self, value: Value) -> None:
        self.value = value
        self._pieces: deque[_Piece] = deque()
        """Without gaps between them; the reader is in the first one."""
        self._reader_at = 0
        """Where the last read ended."""
        self._in_order = 0
        """Bytes that were read up to there without a jump."""

    @property
    def is_asking(self) -> bool:
        """Whether a piece is on its way: then only the client that was given goes on with it."""
        return any(not piece.is_here for piece in self._pieces)

    def drop(self) -> None:
        """Want nothing of what was asked for."""
        self._pieces.clear()
        self._in_order = 0

    def read(self, client: Session, start: int, room: memoryview) -> int:
        """Fill `room` from `start` on with what is there, one byte at least; how many. 0 at the end.
        While `is_asking` after that, the same `client` is to be given the next time."""
        if start >= self.value.size:
            return 0
        self._go_to(start)
        self._ask(client, start, len(room))
        piece = self._pieces[0]
        client.courier.run_until(lambda: piece.is_here)
        try:
            found = memoryview(piece.taken())[start - piece.start :][: len(room)]
        except S4Error:
            self.drop()
            raise
        room[: len(found)] = found
        self._in_order += len(found)
        self._reader_at = start + len(found)
        if self._reader_at == piece.end:
            self._pieces.popleft()
        return len(found)

    def _go_to(self, start: int) -> None:
        """Drop what is not at `start` or after it without a gap."""
        if start != self._reader_at:
            self._in_order = 0
        while self._pieces and not self._pieces[0].start <= start < self._pieces[0].end:
            self._pieces.popleft()

    def _ask(self, client: Session, start: int, count: int) -> None:
        """Have as much on its way as is wanted now, and as is worth while ahead of it."""
        ahead = min(READ_AHEAD_BYTES, self._in_order)
        until = min(self.value.size, start + min(count + ahead, READ_AHEAD_BYTES))
        end = self._pieces[-1].end if self._pieces else start
        while end < until:
            length = min(CHUNK_BYTES, max(count, ahead), self.value.size - end)
            piece = _Piece(self.value.key, self.value.node, end, length, self.value.digest)
            piece.ask(client.courier)
            self._pieces.append(piece)
            end = piece.end


def _replaced(key: Key) -> KeyReplaced:
    text = f"{key} was removed and made anew while it was read: read it from the start"
    return KeyReplaced(text, key=str(key))
