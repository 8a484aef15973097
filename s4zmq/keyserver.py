"""A node's answers to requests about keys: put, open, room, get, fetch, list, delete.

Runs on the node's disk threads, many requests at once; touches no socket but through its callers.
Every key of every request is parsed and its placement checked again: a node trusts no client.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator

from . import wire
from .caller import Caller
from .checksum import digest_of
from .codec import Body, row_of
from .counters import Counters
from .errors import (
    ConnectionLost,
    KeyInvalid,
    NodeBusy,
    ProtocolError,
    S4Error,
    WrongOwner,
)
from .inbox import Inbox
from .keys import Key, parse_prefix
from .ledger import Ledger
from .limits import (
    BATCH_MAX_BYTES,
    BATCH_MAX_KEYS,
    CHUNK_BYTES,
    INLINE_MAX_BYTES,
    MAX_LISTINGS,
    PAGE_KEYS,
    TICK_S,
)
from .listing import Entry, paths_below, walk
from .placement import Roster
from .sessions import Sessions
from .sinks import FileTarget, KeyTarget, Target, ValueSink, store_value
from .store import Stamp, Store

_ListingRow = tuple[str, int, int]


class KeyServer:
    """Keys of one node, as the wire sees them."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        inbox: Inbox,
        sessions: Sessions,
        *,
        ledger: Ledger,
        counters: Counters,
        file_folder: Callable[[bytes, str], str],
    ) -> None:
        """`file_folder(job, name)`: where a shipped file of a planned job goes; raises RequestError."""
        self._store = store
        self._roster = roster
        self._inbox = inbox
        self._ledger = ledger
        self._counters = counters
        self._file_folder = file_folder
        self._listings = Listings(store.node, sessions)

    @property
    def listing_count(self) -> int:
        """Listings of which a client has not asked for the last page."""
        return len(self._listings)

    def own_key(self, text: str) -> Key:
        """Parse a key that must live here. Raises KeyInvalid or WrongOwner."""
        key = Key.parse(text)
        owner = self._roster.owner(key.name)
        if owner != self._store.node:
            raise WrongOwner(f"{key} lives on node {owner}, not on {self._store.node}", key=str(key))
        return key

    def require_member(self, node: str) -> None:
        """Raises ProtocolError for an address that is no node of this cluster."""
        if node not in self._roster.nodes:
            raise ProtocolError(f"{node!r:.80} is no node of this cluster")

    # -- writing

    def on_put(self, put: wire.Put, body: Body, caller: Caller) -> None:
        """Store small values; each fails or succeeds by itself."""
        data = memoryview(body)
        if len(put.entries) > BATCH_MAX_KEYS or sum(e[1] for e in put.entries) != len(data):
            raise ProtocolError("put: the sizes do not add up to the body, or too many keys")
        failures, offset = [], 0
        for index, (name, size, digest) in enumerate(put.entries):
            value = data[offset : offset + size]
            offset += size
            try:
                target = self._target(name, put.job)
                store_value(self._store, target, value, Stamp(size, digest, put.writer))
            except S4Error as error:
                failures.append(row_of(index, error))
        caller.answer(wire.PutDone(failures))

    def on_open(self, request: wire.Open, body: Body, caller: Caller) -> None:
        """Start a large value; the inbox answers from here on."""
        target = self._target(request.key, request.job)
        if not request.job:
            self._store.refuse_taken(Key.parse(request.key), request.writer, request.digest)
        sink = ValueSink(self._store, target, request.writer, request.size if request.sized else 0)
        try:
            self._inbox.open([request.size] if request.sized else None, sink, caller)
        except BaseException:
            sink.discard()
            raise

    def on_room(self, room: wire.Room, body: Body, caller: Caller) -> None:
        """How much fits now."""
        space = self._store.space
        caller.answer(wire.RoomReply(space.free(), space.disk()))

    def _target(self, name: str, job: bytes) -> Target:
        if job:
            return FileTarget(self._store, self._file_folder(job, name), name)
        return _Counted(KeyTarget(self._store, self.own_key(name)), self._counters)

    # -- reading

    def on_get(self, get: wire.Get, body: Body, caller: Caller) -> None:
        """Sizes and digests of keys, and the bytes of the small ones."""
        if len(get.keys) > BATCH_MAX_KEYS:
            raise ProtocolError(f"get: more than {BATCH_MAX_KEYS} keys")
        entries: list[tuple[int, bytes, bool, int]] = []
        failures, values, left = [], [], BATCH_MAX_BYTES
        for index, text in enumerate(get.keys):
            try:
                stamp, made_ns, value = self._read_small(
                    text, min(left, INLINE_MAX_BYTES) if get.inline else -1
                )
            except S4Error as error:
                entries.append((0, b"", False, 0))
                failures.append(row_of(index, error))
                continue
            entries.append((stamp.size, stamp.digest, value is not None, made_ns))
            if value is not None:
                values.append(value)
                left -= stamp.size
        self._counters.add("gets", len(values))
        self._counters.add("get-bytes", sum(map(len, values)))
        caller.answer(wire.Values(entries, failures), values[0] if len(values) == 1 else b"".join(values))

    def _read_small(self, text: str, limit: int) -> tuple[Stamp, int, bytes | None]:
        """(stamp, time of commit in ns, the bytes if there are at most `limit`)."""
        key = self.own_key(text)
        fd, stamp = self._store.open(key)
        try:
            made_ns = os.fstat(fd).st_mtime_ns
            if stamp.size > limit:
                return stamp, made_ns, None
            with self._store.disk_errors(f"can not read {key}"):
                value = os.pread(fd, stamp.size, 0) if stamp.size else b""
        finally:
            os.close(fd)
        if len(value) != stamp.size:
            raise self._store.damaged(key, f"it has {len(value)} bytes, not {stamp.size}")
        return stamp, made_ns, value

    def on_fetch(self, fetch: wire.Fetch, body: Body, caller: Caller) -> None:
        """One range, with the size and digest of the whole value, which is read before if it must be."""
        if not 0 < fetch.length <= CHUNK_BYTES:
            raise ProtocolError(f"fetch: a length of 1 to {CHUNK_BYTES} bytes")
        key = self.own_key(fetch.key)
        fd, stamp = self._store.open_checked(key) if fetch.checked else self._store.open(key)
        try:
            with self._store.disk_errors(f"can not read {key}"):
                data = os.pread(fd, fetch.length, fetch.offset)
        finally:
            os.close(fd)
        self._counters.add("gets", fetch.offset == 0)
        self._counters.add("get-bytes", len(data))
        own = digest_of(data) if fetch.checked else b""
        caller.answer(wire.Range(stamp.size, stamp.digest, own), data)

    # -- listing

    def on_list(self, request: wire.List, body: Body, caller: Caller) -> None:
        """The first page of a listing."""
        if request.limit > PAGE_KEYS:
            raise ProtocolError(f"list: a limit of at most {PAGE_KEYS} entries, or none")
        prefix = parse_prefix("s4://" + request.prefix)
        entries = walk(self._store, prefix, recursive=request.recursive)
        if request.limit:
            rows = _rows(itertools.islice(entries, request.limit))
            caller.answer(wire.Page(rows, 0))
        else:
            caller.answer(self._listings.start(entries, caller.session))

    def on_more(self, request: wire.More, body: Body, caller: Caller) -> None:
        """The next page, or the last one again."""
        caller.answer(self._listings.page(request.cursor, request.page))

    # -- removing

    def on_delete(self, request: wire.Delete, body: Body, caller: Caller) -> None:
        """Remove single keys."""
        if len(request.keys) > BATCH_MAX_KEYS:
            raise ProtocolError(f"delete: more than {BATCH_MAX_KEYS} keys")
        failures = []
        for index, text in enumerate(request.keys):
            try:
                self._store.delete(self.own_key(text))
            except S4Error as error:
                failures.append(row_of(index, error))
        caller.answer(wire.Deleted(len(request.keys) - len(failures), failures))

    def on_delete_below(self, request: wire.DeleteBelow, body: Body, caller: Caller) -> None:
        """Remove everything that starts with a prefix, until nothing is left that does."""
        prefix = parse_prefix("s4://" + request.prefix)
        if not prefix:
            raise KeyInvalid("an empty prefix would remove every key of the cluster")
        news = _News(caller)
        before = -1
        while (
            before < news.removed
        ):  # a folder that changes while it is read may hide a name from the reader
            before = news.removed
            self._delete_once(prefix, news)
        self._ledger.forget(prefix)
        caller.answer(wire.Deleted(news.removed, []))

    def _delete_once(self, prefix: str, news: _News) -> None:
        folder, path = "", ""
        for path in paths_below(self._store, prefix):
            above = os.path.dirname(path)
            if above != folder and folder:
                self._store.prune(f"{self._store.keys_path}/{folder}/")
            folder = above
            news.removed += self._store.unlink(Key(path))
            news.tell()
        if folder:
            self._store.prune(f"{self._store.keys_path}/{folder}/")


class _News:
    """How far a removal is, told now and then."""

    def __init__(self, caller: Caller) -> None:
        self.removed = 0
        self._caller = caller
        self._due = time.monotonic() + TICK_S

    def tell(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + TICK_S
            self._caller.answer(wire.Removing(self.removed))


class _Counted:
    """A key that a client stores: one more put, once it is there."""

    def __init__(self, target: Target, counters: Counters) -> None:
        self._target = target
        self._counters = counters

    def publish(self, fd: int, stamp: Stamp) -> None:
        self._target.publish(fd, stamp)
        self._counters.add("puts")
        self._counters.add("put-bytes", stamp.size)

    def __str__(self) -> str:
        return str(self._target)


class _Cursor:
    """A listing that is being read page by page."""

    def __init__(self, entries: Iterator[Entry], session: bytes) -> None:
        self.entries = entries
        self.session = session
        self.number = 0
        self.page = wire.Page([], 0)
        self.lock = threading.Lock()


class Listings:
    """Listings under way. A cursor ends when its last page is given."""

    def __init__(self, node: str, sessions: Sessions) -> None:
        self._node = node
        self._sessions = sessions
        self._cursors: dict[int, _Cursor] = {}
        self._numbers = itertools.count(1)

    def start(self, entries: Iterator[Entry], session: bytes) -> wire.Page:
        """The first page; a cursor is kept only if there is another."""
        rows = _rows(entries)
        if len(rows) < PAGE_KEYS:
            return wire.Page(rows, 0)
        if len(self._cursors) >= MAX_LISTINGS:
            raise NodeBusy(f"{MAX_LISTINGS} listings are under way on this node: try again")
        number = next(self._numbers)
        self._sessions.own(session, ("listing", number), lambda: self._drop(number))
        self._cursors[number] = cursor = _Cursor(entries, session)
        cursor.page = wire.Page(rows, number)
        return cursor.page

    def page(self, number: int, index: int) -> wire.Page:
        """Page `index` (0 was the first) of a cursor. Raises ConnectionLost for one that is not known
        (any more), ProtocolError for a page long gone."""
        cursor = self._cursors.get(number)
        if cursor is None:
            raise ConnectionLost(
                f"node {self._node} has lost this listing: it was restarted, or did not hear of the client"
                " for too long; try again"
            )
        with cursor.lock:
            if index == cursor.number + 1:
                rows = _rows(cursor.entries)
                cursor.number = index
                cursor.page = wire.Page(rows, number if len(rows) == PAGE_KEYS else 0)
            elif index != cursor.number:
                raise ProtocolError(f"page {index} of a listing that is at page {cursor.number}")
        if not cursor.page.cursor:
            self._sessions.release(cursor.session, ("listing", number))
            self._drop(number)
        return cursor.page

    def _drop(self, number: int) -> None:
        self._cursors.pop(number, None)

    def __len__(self) -> int:
        return len(self._cursors)


def _rows(entries: Iterator[Entry]) -> list[_ListingRow]:
    return [(path, size, mtime_ns) for path, size, mtime_ns in itertools.islice(entries, PAGE_KEYS)]
