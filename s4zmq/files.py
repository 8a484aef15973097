"""Keys as Python files: one to read and seek in, one to write, which becomes a key when it is closed.

What is written is visible whole or not at all: an exception within a `with`, or a file that is forgotten,
leaves no key. Prints nothing.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import wire
from .errors import Cancelled, RequestError, S4Error
from .keys import Key
from .limits import INLINE_MAX_BYTES, READ_BUFFER_BYTES
from .pool import Pool
from .puts import Putter
from .ranges import ReadAhead
from .session import Session, Value
from .streams import FedSource, Upload

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class _RangeFile(io.RawIOBase):
    """The bytes of one value without a buffer. Holds a session only while ranges are on their way."""

    def __init__(self, pool: Pool, value: Value, keep: object) -> None:
        self.name = str(value.key)
        self.mode = "rb"
        self._pool = pool
        self._keep = keep
        self._size = value.size
        self._ahead = ReadAhead(value)
        self._position = 0
        self._session: Session | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if self.closed:
            raise ValueError("the file is closed")
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a position before the start of the file: {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if self.closed:
            raise ValueError("the file is closed")
        with memoryview(buffer) as view, view.cast("B") as room:
            if not len(room):
                return 0
            count = self._read(room)
        self._position += count
        return count

    def _read(self, room: memoryview) -> int:
        session = self._take_session()
        try:
            count = self._ahead.read(session, self._position, room)
        except BaseException as error:
            self._ahead.drop()
            self._pool.settle(session, error)
            raise
        if self._ahead.is_asking:
            self._session = session
        else:
            self._pool.give_back(session)
        return count

    def _take_session(self) -> Session:
        """The one by which ranges are on their way, if there are any, or another one."""
        session, self._session = self._session, None
        if session and session.pid != os.getpid():  # after a fork what was asked for is the parent's
            self._ahead.drop()
            self._pool.give_back(session)
            session = None
        return session or self._pool.take()

    def readall(self) -> bytes:
        whole = bytearray(max(0, self._size - self._position))
        view, filled = memoryview(whole), 0
        while filled < len(whole):
            filled += self.readinto(view[filled:])
        return bytes(whole)

    def close(self) -> None:
        session, self._session = self._session, None
        if session:
            self._pool.give_back(session)
        super().close()


class KeyReader(io.BufferedReader):
    """A key that is open for reading, in binary: `read`, `readline`, `readinto`, `seek`, `tell`, iteration.

    Bytes come by ranges; reading in order has up to READ_AHEAD_BYTES on their way. One reader may be used
    by several threads, which share its position. Reading raises KeyReplaced where the key was made anew
    meanwhile, KeyNotFound where it was removed, ChecksumMismatch where it is damaged.
    """

    def __init__(self, pool: Pool, value: Value, keep: object = None) -> None:
        """`keep` is not given to the garbage collector before this file is."""
        super().__init__(_RangeFile(pool, value, keep), READ_BUFFER_BYTES)
        self._value = value

    @property
    def key(self) -> str:
        """Full text."""
        return str(self._value.key)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._value.size

    @property
    def digest(self) -> str:
        """xxh3_128 of the whole value, in hexadecimal."""
        return self._value.digest.hex()


class KeyWriter(io.BufferedIOBase):
    """A key in the making, in binary: `write`, then `close`, which returns when the key is there.

    Up to INLINE_MAX_BYTES are kept until then; more travel as they are written, a few chunks ahead of the
    node's disk. `abort` leaves no key, and so does an exception within `with`.
    """

    def __init__(
        self,
        pool: Pool,
        key: Key,
        *,
        size: int | None = None,
        commits_at_close: bool = True,
        keep: object = None,
    ) -> None:
        """`size` in bytes, where it is known: room for it is kept on the node. Unless `commits_at_close`,
        the key is made by `commit`."""
        self.name = str(key)
        self.mode = "wb"
        self._pool = pool
        self._key = key
        self._size = size
        self._commits_at_close = commits_at_close
        self._keep = keep
        self._seems_seekable = False
        self._lock = threading.RLock()
        self._head = bytearray()
        self._position = 0
        self._session: Session | None = None
        self._source: FedSource | None = None
        self._upload: Upload | None = None
        self._replies: list[Any] = []
        """The last word of the node. A list, as the transfer must not refer to this file: who is forgotten
        could else not be found before its sockets are."""
        self._failure: BaseException | None = None
        self._is_over = False

    @property
    def key(self) -> str:
        """Full text of the key that it will be."""
        return self.name

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seems_seekable

    @contextmanager
    def seeming_seekable(self) -> Iterator[None]:
        """While inside, `seekable` says yes."""
        self._seems_seekable = True
        yield
        self._seems_seekable = False

    def tell(self) -> int:
        return self._position

    def write(self, data: ReadableBuffer, /) -> int:
        """All of `data`. Raises KeyExists, NoSpace, NodeUnreachable ...; then there will be no key."""
        with self._lock, memoryview(data) as view, view.cast("B") as rest:
            if self.closed:
                raise ValueError("the file is closed")
            count = len(rest)
            if self._source is None and len(self._head) + count <= INLINE_MAX_BYTES:
                self._head += rest
            else:
                self._guarded(lambda: self._send(rest))
            self._position += count
        return count

    def _guarded(self, do: Any) -> None:
        """What fails has failed for good."""
        if self._failure:
            raise self._failure
        try:
            do()
        except BaseException as error:
            self._failure = error
            self._give_up()
            raise

    def _send(self, rest: memoryview) -> None:
        source = self._source or self._start()
        while len(rest):
            rest = rest[source.feed(rest) :]
            self._pump(lambda: not source.is_ready)

    def _start(self) -> FedSource:
        """Begin a transfer with what was kept."""
        if self._session is None:
            self._session = self._pool.take()
        session, self._source = self._session, FedSource(self._head)
        self._head = bytearray()
        session.holds_work()
        self._upload = Upload(session.courier, session.owner(self._key), self._source, self._replies.append)
        sized = self._size is not None
        self._upload.start(wire.Open(self.name, self._size or 0, sized, os.urandom(16)))
        return self._source

    def _pump(self, is_enough: Any) -> None:
        """Send until it `is_enough`. Raises what the node says against it."""
        session, upload = self._session, self._upload
        assert session
        assert upload
        if session.pid != os.getpid():
            raise RequestError(f"{self._key} can not be written on after a fork")
        upload.pump()
        while not upload.is_over and not is_enough():
            session.courier.step()
            upload.pump()
        for reply in self._replies:
            if isinstance(reply, S4Error):
                raise reply

    def commit(self) -> None:
        """Make the key: only for what does not do so when it is closed."""
        with self._lock:
            self._guarded(self._finish)

    def _finish(self) -> None:
        if self._source is None:
            with self._pool.session() as session:
                Putter(session).put_value(self._key, bytes(self._head))
        else:
            self._source.end()
            self._pump(lambda: False)
        self._is_over = True
        self._failure = RequestError(f"{self._key} is made already")
        held, self._session = self._session, None
        if held:
            self._pool.give_back(held)

    def abort(self) -> None:
        """Close it and leave no key. Fine where it is closed: then it does nothing."""
        with self._lock:
            if not self._is_over and (not self.closed or not self._commits_at_close):
                self._failure = Cancelled(f"{self._key} was given up")
                self._give_up()
            super().close()

    discard = abort
    """As fsspec calls it."""

    def _give_up(self) -> None:
        self._is_over = True
        session, self._session = self._session, None
        if session:
            self._pool.give_up(session)

    def close(self) -> None:
        """Make the key; returns when it is there. Raises KeyExists, NoSpace ...; twice is fine."""
        with self._lock:
            if self.closed:
                return
            try:
                if self._commits_at_close:
                    self._guarded(self._finish)
            finally:
                super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        if self.closed or sys.is_finalizing():
            return
        warnings.warn(f"{self.name} was never closed: there is no such key", ResourceWarning, 2, self)
        self.abort()


class KeyTextWriter(io.TextIOWrapper):
    """As KeyWriter, for text."""

    def __init__(self, writer: KeyWriter, encoding: str, errors: str | None, newline: str | None) -> None:
        # UTF-16 gets its mark only at the start of a file that can seek.
        with writer.seeming_seekable():
            super().__init__(writer, encoding, errors, newline)
        self._writer = writer

    def abort(self) -> None:
        """Close it and leave no key."""
        self._writer.abort()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """What was forgotten is no key: the writer warns."""
