"""Values into the cluster: one file, a pipe, a folder, and the files that are shipped with a job.

Small values travel many to a message with several messages in flight to each node; large ones as
chunks, a few at a time. Reading local files overlaps with the wire. Prints nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from . import wire
from .amounts import Account, Counts, Note
from .checksum import digest_of, digest_of_file
from .codec import Body, error_of
from .errors import KeyExists, LocalFileError, S4Error, map_errors
from .keys import Key
from .limits import BATCH_MAX_BYTES, BATCH_MAX_KEYS, INLINE_MAX_BYTES
from .localfiles import open_to_read
from .session import Session
from .streams import FileSource, PipeSource, Upload, check_unchanged

_UPLOADS_AT_ONCE = 8


class Item(NamedTuple):
    """A local file and where it goes."""

    path: str
    name: str
    """Full text of a key, or the name of a shipped file."""

    node: str


class _Batch:
    """Small values for one node that wait to be sent together."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, bytes]] = []
        self.values: list[bytes] = []
        self.paths: list[str] = []
        self.size = 0

    def add(self, name: str, path: str, value: bytes) -> None:
        self.entries.append((name, len(value), digest_of(value)))
        self.values.append(value)
        self.paths.append(path)
        self.size += len(value)

    @property
    def is_full(self) -> bool:
        return len(self.entries) >= BATCH_MAX_KEYS

    def has_room(self, size: int) -> bool:
        """Whether a value of `size` bytes fits in."""
        return self.size + size <= BATCH_MAX_BYTES


class Putter:
    """Puts of one command. The first error stops it; `counts` tells how far it came."""

    def __init__(
        self, client: Session, *, resume: bool = False, job: bytes = b"", note: Note | None = None
    ) -> None:
        """`resume`: a key that is there with equal bytes is fine. `job`: ship files with that job."""
        self._client = client
        self._courier = client.courier
        self._resume = resume
        self._job = job
        self._account = Account(note)
        self._writer = os.urandom(16)
        self._batches: dict[str, _Batch] = defaultdict(_Batch)
        self._in_flight: dict[str, int] = defaultdict(int)
        self._uploads: list[Upload] = []
        self._errors: list[S4Error] = []

    def counts(self) -> Counts:
        """How far it is."""
        under_way = sum(upload.sent_bytes for upload in self._uploads if not upload.is_over)
        return self._account.counts(under_way, len(self._errors))

    # -- many

    def put_all(self, items: Iterable[Item]) -> None:
        """Store every item. Raises the first error, after what was in flight has ended."""
        for item in items:
            if self._errors:
                break
            self._put_file(item)
        for node, batch in self._batches.items():
            self._send(node, batch)
        self._batches.clear()
        self._wait(lambda: not self._uploads and not any(self._in_flight.values()))
        if self._errors:
            raise self._errors[0]

    def _put_file(self, item: Item) -> None:
        fd = open_to_read(item.path)
        before = os.fstat(fd)
        if before.st_size > INLINE_MAX_BYTES:
            self._put_large(item, fd, before.st_size)
            return
        try:
            with map_errors({OSError: LocalFileError}, f"can not read {item.path}"):
                value = os.read(fd, before.st_size + 1)
                check_unchanged(fd, item.path, before, len(value))
        finally:
            os.close(fd)
        self._put_small(item.node, item.name, item.path, value)

    def put_value(self, key: Key, value: bytes) -> None:
        """Store one small value that is in memory, of INLINE_MAX_BYTES at most. Raises KeyExists."""
        self._put_small(self._client.owner(key), str(key), "-", value)
        self.put_all(())

    def _put_small(self, node: str, name: str, path: str, value: bytes) -> None:
        batch = self._batches[node]
        if not batch.has_room(len(value)):
            self._send(node, batch)
            batch = self._batches[node] = _Batch()
        batch.add(name, path, value)
        if batch.is_full:
            del self._batches[node]
            self._send(node, batch)

    def _send(self, node: str, batch: _Batch) -> None:
        self._wait(lambda: self._in_flight[node] < self._courier.window(node))
        if self._errors:  # perhaps of this node: it would be waited for all over again
            return

        def on_reply(reply: Any, _: Body) -> None:
            self._in_flight[node] -= 1
            if isinstance(reply, S4Error):
                self._errors.append(reply)
            else:
                self._note(batch, reply)

        self._in_flight[node] += 1
        body = batch.values[0] if len(batch.values) == 1 else b"".join(batch.values)
        message = wire.Put(batch.entries, self._writer, self._job)
        self._courier.request(node, message, on_reply, body, resend=not self._job)

    def _note(self, batch: _Batch, reply: wire.PutDone) -> None:
        failures = {row[0]: error_of(row) for row in reply.failures}
        for index, (name, size, digest) in enumerate(batch.entries):
            error = failures.get(index)
            if error is None or self._is_same(error, digest):
                self._account.done(name, batch.paths[index], size, skipped=error is not None)
            else:
                self._errors.append(error)

    def _is_same(self, error: S4Error, digest: bytes) -> bool:
        return self._resume and isinstance(error, KeyExists) and error.details.get("digest") == digest

    def _put_large(self, item: Item, fd: int, size: int) -> None:
        self._wait(lambda: len(self._uploads) < _UPLOADS_AT_ONCE)
        if self._errors:
            os.close(fd)
            return
        self._client.holds_work()
        same = self._digest_if_resuming(fd, item.path)

        def on_end(reply: Any) -> None:
            if not isinstance(reply, S4Error):
                self._account.done(item.name, item.path, size)
            elif self._is_same(reply, same):
                self._account.done(item.name, item.path, size, skipped=True)
            else:
                self._errors.append(reply)

        self._start(item, FileSource(fd, item.path), size, on_end, same)

    def _digest_if_resuming(self, fd: int, path: str) -> bytes:
        if not self._resume:
            return b""
        with map_errors({OSError: LocalFileError}, f"can not read {path}"):
            return digest_of_file(fd)[1]

    def _start(
        self, item: Item, source: Any, size: int | None, on_end: Callable[[Any], None], digest: bytes = b""
    ) -> Upload:
        upload = Upload(self._courier, item.node, source, on_end)
        self._uploads.append(upload)
        sized = size is not None
        upload.start(wire.Open(item.name, size or 0, sized, self._writer, self._job, digest))
        return upload

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Keep everything moving until `is_over`."""
        self._pump()
        while not is_over():
            self._courier.step()
            self._pump()

    def _pump(self) -> None:
        for upload in self._uploads:
            upload.pump()
        self._uploads = [upload for upload in self._uploads if not upload.is_over]

    # -- standard input

    def put_pipe(self, fd: int, key: Key) -> None:
        """Store what comes out of `fd` until its end, however long that takes."""
        head = bytearray()
        while len(head) <= INLINE_MAX_BYTES:
            data = self._read_pipe(fd)
            if not data:
                self.put_value(key, bytes(head))
                return
            head += data
        self._client.holds_work()
        source = PipeSource(fd, bytes(head))

        def on_end(reply: Any) -> None:
            if isinstance(reply, S4Error):
                self._errors.append(reply)
            else:
                self._account.done(str(key), "-", reply.size)

        upload = self._start(Item("-", str(key), self._client.owner(key)), source, None, on_end)
        while not upload.is_over:
            if upload.wants_data and not source.is_ready:
                if self._courier.step(watch_fd=fd):
                    source.fill()
            else:
                self._courier.step()
            upload.pump()
        if self._errors:
            raise self._errors[0]

    def _read_pipe(self, fd: int) -> bytes:
        with map_errors({OSError: LocalFileError}, "can not read standard input"):
            return os.read(fd, INLINE_MAX_BYTES)
