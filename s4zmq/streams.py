"""Sending the bytes of large values: sources, and the pump that moves them as credit allows.

Used by the client for puts and by a node for the parcels of a shuffle. A source reads into fresh
buffers and never maps a file: a mapped file that is truncated meanwhile would kill the process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Protocol

from .checksum import new_digest
from .codec import Body, Chunk
from .courier import Courier
from .errors import ConnectionLost, LocalFileError, S4Error
from .limits import CHUNK_BYTES
from .lines import DataLine
from .memory import keep_freed_buffers
from .transfer import Outgoing
from .wire import Credit, Drop, Granted

_LAST_WORD_S = 0.3
"""A node that ends says why on another connection than the one that is lost first."""


class Source(Protocol):
    """Where the bytes of a transfer come from."""

    def read(self) -> Body | None:
        """The next chunk of at most CHUNK_BYTES; empty at the end, None where nothing is there yet."""

    @property
    def is_spent(self) -> bool:
        """Whether all bytes were read, where that is known before `read` says so."""

    def digests(self) -> bytes:
        """After the end: 16 bytes for each value."""

    def close(self) -> None:
        """Give back what is held; may be called twice."""


class Upload:
    """One transfer from its Open or Offer to its final reply. `pump` it after every step."""

    def __init__(self, courier: Courier, node: str, source: Source, on_end: Callable[[Any], None]) -> None:
        """`on_end` gets the final reply, or an S4Error; once."""
        self._courier = courier
        self._node = node
        self._source = source
        self._on_end = on_end
        self._outgoing: Outgoing | None = None
        self._line: DataLine | None = None
        self._held: Body | None = None
        self._ended = False
        self.sent_bytes = 0
        self.is_over = False

    def start(self, message: Any) -> None:
        """Send the Open or Offer that asks for the first credit."""
        keep_freed_buffers()
        self._courier.request(self._node, message, self._on_reply, resend=False)

    def _on_reply(self, reply: Any, _: Body) -> None:
        if isinstance(reply, Granted):
            self._outgoing = Outgoing(reply.transfer, reply.chunks)
            self._line = self._courier.data_line(self._node, reply.data)
            if self.is_over:  # given up before the node had answered
                self._drop()
        elif isinstance(reply, Credit):
            if self._outgoing:
                self._outgoing.grant(reply.chunks)
        elif not self.is_over:
            self._end(reply)

    def pump(self) -> None:
        """Send what credit and the queue allow; never blocks."""
        if self._line and self._line.lost_at < inf:
            if time.monotonic() - self._line.lost_at > _LAST_WORD_S:
                self.give_up(self._connection_lost())
            return
        try:
            while not self.is_over and not self._ended and self._send_one():
                pass
        except S4Error as error:
            self.give_up(error)
        except OSError as exc:
            self.give_up(LocalFileError(f"can not read: {exc.strerror}"))

    def _connection_lost(self) -> ConnectionLost:
        asker = self._courier.asker
        where = f"from node {asker} to its peer {self._node}" if asker else f"to node {self._node}"
        return ConnectionLost(f"the data connection {where} was lost: try again")

    def _send_one(self) -> bool:
        outgoing, line = self._outgoing, self._line
        if outgoing is None or line is None:
            return False
        if not (outgoing.may_send or self._held is not None or self._source.is_spent):
            return False  # the LAST alone needs no credit
        data = self._source.read() if self._held is None else self._held
        if data is None:
            return False
        last = not len(data)
        chunk = Chunk(outgoing.transfer, outgoing.sent, last)
        if not line.push(chunk, self._source.digests() if last else data):
            self._held = data
            return False
        self._held = None
        if last:
            self._ended = True
        else:
            outgoing.chunk(len(data))
            self.sent_bytes += len(data)
        return True

    @property
    def wants_data(self) -> bool:
        """Whether it waits for its source rather than for the node."""
        return bool(self._outgoing and self._outgoing.may_send and self._held is None and not self._ended)

    def give_up(self, error: S4Error) -> None:
        """End it from this side; the node forgets what it has got."""
        if not self.is_over:
            self._drop()
            self._end(error)

    def _drop(self) -> None:
        if self._outgoing:
            self._courier.request(self._node, Drop(self._outgoing.transfer), lambda *_: None)

    def _end(self, reply: Any) -> None:
        self.is_over = True
        self._source.close()
        self._on_end(reply)


class FileSource:
    """A local file of the user's, which may change while it is read."""

    def __init__(self, fd: int, name: str) -> None:
        """Owns `fd`."""
        self._fd = fd
        self._name = name
        self._before = os.fstat(fd)
        self._digest = new_digest()
        self._offset = 0

    def read(self) -> bytes:
        """Raises LocalFileError where the file is not what it was at the start."""
        data = os.pread(self._fd, min(CHUNK_BYTES, self._before.st_size - self._offset), self._offset)
        self._digest.update(data)
        self._offset += len(data)
        if not data:
            check_unchanged(self._fd, self._name, self._before, self._offset)
        return data

    @property
    def is_spent(self) -> bool:
        """Whether all bytes were read."""
        return self._offset >= self._before.st_size

    def digests(self) -> bytes:
        """16 bytes."""
        return self._digest.digest()

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def check_unchanged(fd: int, name: str, before: os.stat_result, read_bytes: int) -> None:
    """Raises LocalFileError where a file changed since `before` or gave another number of bytes."""
    now = os.fstat(fd)
    if (now.st_size, now.st_mtime_ns, read_bytes) != (
        before.st_size,
        before.st_mtime_ns,
        before.st_size,
    ):
        raise LocalFileError(f"{name} changed while it was read: nothing was stored, try again")


class PipeSource:
    """Standard input, or whatever else has no size. Reads only when told that bytes are there."""

    def __init__(self, fd: int, head: bytes) -> None:
        """`head` was read from `fd` already; less than a chunk."""
        self._fd = fd
        self._digest = new_digest()
        self._chunk = memoryview(bytearray(CHUNK_BYTES))
        self._chunk[: len(head)] = head
        self._filled = len(head)
        self._at_end = False

    @property
    def is_ready(self) -> bool:
        """Whether `read` would give a chunk or the end."""
        return self._at_end or self._filled == CHUNK_BYTES

    def fill(self) -> None:
        """Read once; blocks if nothing is there."""
        count = os.readv(self._fd, [self._chunk[self._filled :]])
        self._filled += count
        self._at_end = not count

    def read(self) -> memoryview | None:
        """A whole chunk, or what is left at the end."""
        if not self.is_ready:
            return None
        data = self._chunk[: self._filled]
        if data:
            self._chunk, self._filled = memoryview(bytearray(CHUNK_BYTES)), 0
        self._digest.update(data)
        return data

    @property
    def is_spent(self) -> bool:
        """Whether all bytes were read."""
        return self._at_end and not self._filled

    def digests(self) -> bytes:
        """16 bytes."""
        return self._digest.digest()

    def close(self) -> None:
        """Standard input is not ours to close."""


class FilesSource:
    """Several files one behind another, as one stream; small ones share a chunk."""

    def __init__(self, paths: Sequence[str], sizes: Sequence[int]) -> None:
        self._paths = paths
        self._sizes = sizes
        self._left = sum(sizes)
        self._index = 0
        self._offset = 0
        self._fd = -1
        self._digest = new_digest()
        self._digests: list[bytes] = []

    def read(self) -> Body:
        """Raises LocalFileError where a file is shorter or longer than it was."""
        room = memoryview(bytearray(min(CHUNK_BYTES, self._left)))
        filled = 0
        while self._index < len(self._paths) and (filled < len(room) or not self._sizes[self._index]):
            filled += self._read_part(room[filled:])
        self._left -= filled
        return room

    def _read_part(self, room: memoryview) -> int:
        if self._fd < 0:
            self._open_file()
        left = self._sizes[self._index] - self._offset
        part = room[:left]
        if os.preadv(self._fd, [part], self._offset) < len(part):
            raise LocalFileError(f"{self._paths[self._index]} changed while it was sent")
        self._digest.update(part)
        self._offset += len(part)
        if len(part) == left:
            self._next_file()
        return len(part)

    def _open_file(self) -> None:
        path = self._paths[self._index]
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        if os.fstat(self._fd).st_size != self._sizes[self._index]:
            raise LocalFileError(f"{path} changed while it was sent")

    def _next_file(self) -> None:
        self._digests.append(self._digest.digest())
        self._digest = new_digest()
        self._index, self._offset = self._index + 1, 0
        self.close()

    @property
    def is_spent(self) -> bool:
        """Whether all bytes were read."""
        return self._index >= len(self._paths)

    def digests(self) -> bytes:
        """16 bytes a file."""
        return b"".join(self._digests)

    def close(self) -> None:
        """Close the file that is being read."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
