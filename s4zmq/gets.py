"""Values out of the cluster: one key to a file or a stream, or everything below a prefix.

A get needs no connection from the node to the client: ranges come back over the connection that the
client dialled. Every value is compared to the digest that its ranges carry. Prints nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from . import wire
from .amounts import Account, Counts, Note
from .checksum import digest_of, digest_of_file, new_digest
from .codec import Body, error_of
from .courier import Courier
from .errors import ChecksumMismatch, KeyReplaced, ProtocolError, S4Error
from .keys import Key
from .limits import BATCH_MAX_BYTES, CHUNK_BYTES, INLINE_MAX_BYTES, WINDOW_CHUNKS
from .localfiles import NewFile, open_to_read, write_file
from .memory import keep_freed_buffers
from .session import Session

_RANGES_AT_ONCE = 12
"""Ranges in flight for all downloads together: what bounds the memory that they need."""
_GET_KEYS = 64
Write = Callable[[Body], None]


class Wanted(NamedTuple):
    """A key and the local file that it becomes."""

    key: Key
    path: str
    size: int


class Download:
    """One large value as a window of ranges, delivered in order."""

    def __init__(
        self, courier: Courier, node: str, key: Key, *, size: int, write: Write, digest: bytes = b""
    ) -> None:
        """Without a `digest`, that of the first range that comes is what all must have."""
        self._courier = courier
        self._node = node
        self._key = key
        self._size = size
        self._expected = digest
        self._write = write
        self._digest = new_digest()
        self._asked = 0
        self.written = 0
        self._early: dict[int, Body] = {}
        self.error: S4Error | None = None

    def start(self) -> None:
        """Ask for the first ranges."""
        keep_freed_buffers()
        for _ in range(WINDOW_CHUNKS):
            self._ask()

    def _ask(self) -> None:
        offset = self._asked
        if offset < self._size and not self.error:
            count = min(CHUNK_BYTES, self._size - offset)
            self._asked += count
            self._courier.request(
                self._node,
                wire.Fetch(str(self._key), offset, count),
                lambda reply, body: self._on_range(offset, count, reply, body),
            )

    def _on_range(self, offset: int, count: int, reply: Any, body: Body) -> None:
        if self.error:
            return
        if isinstance(reply, S4Error):
            self.error = reply
        elif (
            reply.digest != (self._expected or reply.digest)
            or reply.size != self._size
            or len(body) != count
        ):
            self.error = KeyReplaced(
                f"{self._key} was removed and made anew while it was read", key=str(self._key)
            )
        else:
            self._expected = reply.digest
            self._early[offset] = body
            self._deliver()
            self._ask()

    def _deliver(self) -> None:
        while self.written in self._early:
            body = self._early.pop(self.written)
            self._digest.update(body)
            self.written += len(body)
            try:
                self._write(body)
            except S4Error as error:
                self.error = error
                return

    @property
    def ranges(self) -> int:
        """Ranges that are on their way."""
        return -(-(self._asked - self.written) // CHUNK_BYTES)

    @property
    def is_over(self) -> bool:
        """Whether all bytes were written, or it has failed."""
        return self.error is not None or self.written == self._size

    def finish(self) -> None:
        """Raises the error, or ChecksumMismatch where the bytes are wrong."""
        if self.error:
            raise self.error
        if self._digest.digest() != self._expected:
            raise damaged(self._key, self._node)


class Getter:
    """Gets of one command. The first error stops it; nothing half-written is left."""

    def __init__(self, client: Session, *, resume: bool = False, note: Note | None = None) -> None:
        """`resume`: a local file with equal bytes is fine as it is."""
        self._client = client
        self._courier = client.courier
        self._resume = resume
        self._in_flight: dict[str, int] = defaultdict(int)
        self._account = Account(note)
        self._downloads: list[tuple[Download, NewFile, Wanted]] = []
        self._one: Download | None = None
        self._errors: list[S4Error] = []
        self.one: Counts | None = None
        """What `get_to` and `get_file` read, as soon as that is known."""

    def counts(self) -> Counts:
        """How far it is."""
        under_way = [download for download, _, _ in self._downloads] + ([self._one] if self._one else [])
        return self._account.counts(sum(download.written for download in under_way), len(self._errors))

    # -- one

    def get_to(self, key: Key, write: Write, path: str = "-") -> None:
        """One value to `write`, in order. Raises ChecksumMismatch at the end of wrong bytes."""
        size = self._read_to(key, write)
        self._one = None
        self._account.done(str(key), path, size)

    def _read_to(self, key: Key, write: Write) -> int:
        """Its size."""
        node = self._client.owner(key)
        reply, body = self._courier.ask(node, wire.Get([str(key)], True))
        _raise_failures(reply, 1)
        size, digest, inline, _ = reply.entries[0]
        self.one = Counts(1, size)
        if inline:
            if len(body) != size or digest_of(body) != digest:
                raise damaged(key, node)
            write(body)
            return int(size)
        download = self._one = Download(self._courier, node, key, size=size, digest=digest, write=write)
        download.start()
        self._courier.run_until(lambda: download.is_over)
        download.finish()
        return int(size)

    def get_file(self, key: Key, path: str) -> None:
        """One value to a local file, whole or not at all."""
        file = NewFile(path)
        try:
            size = self._read_to(key, file.write)
            file.keep()
            self._one = None
            self._account.done(str(key), path, size)
        finally:
            file.discard()

    # -- many

    def get_all(self, wanted: Iterable[Wanted]) -> None:
        """Every key to its file. Raises the first error."""
        batches: dict[str, list[Wanted]] = defaultdict(list)
        sizes: dict[str, int] = defaultdict(int)
        try:
            for item in wanted:
                if self._errors:
                    break
                node = self._client.owner(item.key)
                if item.size > INLINE_MAX_BYTES:
                    self._ask_large(node, item)
                    continue
                if len(batches[node]) >= _GET_KEYS or sizes[node] + item.size > BATCH_MAX_BYTES:
                    self._ask(node, batches.pop(node))
                    sizes[node] = 0
                batches[node].append(item)
                sizes[node] += item.size
            for node, batch in batches.items():
                self._ask(node, batch)
            self._wait(lambda: not self._downloads and not any(self._in_flight.values()))
        finally:
            for _, file, _ in self._downloads:
                file.discard()
        if self._errors:
            raise self._errors[0]

    def _ask_large(self, node: str, item: Wanted) -> None:
        wanted = min(WINDOW_CHUNKS, -(-item.size // CHUNK_BYTES))
        self._wait(lambda: wanted + sum(d.ranges for d, _, _ in self._downloads) <= _RANGES_AT_ONCE)
        if self._errors:
            return
        if self._resume and os.path.isfile(item.path):
            self._ask(node, [item])  # it may be the same
        else:
            self._start(node, item, item.size, b"")

    def _ask(self, node: str, batch: list[Wanted]) -> None:
        self._wait(lambda: self._in_flight[node] < self._courier.window(node))
        if self._errors:  # perhaps of this node: it would be waited for all over again
            return
        there = self._resume and any(os.path.isfile(item.path) for item in batch)
        self._request(node, batch, inline=not there)

    def _request(self, node: str, batch: list[Wanted], *, inline: bool) -> None:
        def on_reply(reply: Any, body: Body) -> None:
            self._in_flight[node] -= 1
            try:
                if isinstance(reply, S4Error):
                    raise reply
                _raise_failures(reply, len(batch))
                self._on_values(node, batch, reply, body) if inline else self._compare(node, batch, reply)
            except S4Error as error:
                self._errors.append(error)

        self._in_flight[node] += 1
        self._courier.request(node, wire.Get([str(item.key) for item in batch], inline), on_reply)

    def _compare(self, node: str, batch: list[Wanted], reply: wire.Values) -> None:
        """Resuming: leave alone what is here with the right bytes, and ask for the rest."""
        missing = []
        for item, (size, digest, *_) in zip(batch, reply.entries, strict=True):
            if _has_digest(item.path, size, digest):
                self._account.done(str(item.key), item.path, size, skipped=True)
            else:
                missing.append(item)
        if missing:
            self._request(node, missing, inline=True)

    def _on_values(self, node: str, batch: list[Wanted], reply: wire.Values, body: Body) -> None:
        values, offset = memoryview(body), 0
        for item, (size, digest, inline, _) in zip(batch, reply.entries, strict=True):
            if not inline:
                self._start(node, item, size, digest)
                continue
            value = values[offset : offset + size]
            offset += size
            if len(value) != size or digest_of(value) != digest:
                raise damaged(item.key, node)
            write_file(item.path, value)
            self._account.done(str(item.key), item.path, size)

    def _start(self, node: str, item: Wanted, size: int, digest: bytes) -> None:
        file = NewFile(item.path)
        download = Download(self._courier, node, item.key, size=size, digest=digest, write=file.write)
        self._downloads.append((download, file, item))
        download.start()

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Keep everything moving until `is_over`."""
        while not is_over():
            self._courier.step()
            self._finish_downloads()

    def _finish_downloads(self) -> None:
        for entry in [entry for entry in self._downloads if entry[0].is_over]:
            self._downloads.remove(entry)
            download, file, item = entry
            try:
                download.finish()
                file.keep()
                self._account.done(str(item.key), item.path, download.written)
            except S4Error as error:
                self._errors.append(error)
            finally:
                file.discard()


def _has_digest(path: str, size: int, digest: bytes) -> bool:
    """Whether a local file holds exactly these bytes."""
    if not os.path.isfile(path) or os.path.getsize(path) != size:
        return False
    fd = open_to_read(path)
    try:
        return digest_of_file(fd) == (size, digest)
    finally:
        os.close(fd)


def _raise_failures(reply: wire.Values, asked: int) -> None:
    for row in reply.failures:
        raise error_of(row)
    if len(reply.entries) != asked:
        raise ProtocolError(f"{asked} keys were asked for, {len(reply.entries)} answered")


def damaged(key: Key, node: str) -> ChecksumMismatch:
    """The error for bytes that do not have the digest that came with them."""
    return ChecksumMismatch(
        f"{key} on node {node} is damaged: its bytes are not those that were stored;"
        " remove it and make it anew",
        key=str(key),
        node=node,
    )
