"""Outputs of map-to-n that are on this node and not visible yet, until their task commits.

    tmp/t-<task>/<parcel>.<index>   an output, without its name
    tmp/t-<task>/<parcel>.rows      (key, size, digest) of each: written when the parcel is whole

A task stands on several nodes. Its sender commits it on all of them when every parcel is staged
everywhere, settles it when all have committed, and aborts it when one refuses: then what was made
visible for it is removed again. A task whose sender has gone is aborted, unless it has committed.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgpack

from . import wire
from .caller import Caller
from .checksum import DIGEST_BYTES, digest_of_file, new_digest
from .codec import Body
from .errors import Cancelled, ChecksumMismatch, KeyExists, KeyNotFound, ProtocolError
from .inbox import Inbox
from .keys import Key
from .keyserver import KeyServer
from .limits import CHUNK_BYTES, PARCEL_MAX_FILES
from .scratch import staged_folder
from .sessions import Sessions
from .store import Stamp, Store, write_all
from .transfer import Piece
from .trees import remove_tree

_ABORTED_REMEMBERED = 10_000


class Row(NamedTuple):
    """One staged output."""

    key: Key
    size: int
    digest: bytes


class _Task:
    def __init__(self, session: bytes) -> None:
        self.session = session
        self.parcels: set[int] = set()
        self.committed = False
        self.aborted = False
        self.lock = threading.Lock()


class Staging:
    """Staged outputs of one node. Methods may be called from several threads."""

    def __init__(
        self,
        store: Store,
        keys: KeyServer,
        inbox: Inbox,
        sessions: Sessions,
        later: Callable[..., Any],
    ) -> None:
        """`later(function, argument)` runs disk work on another thread."""
        self._store = store
        self._keys = keys
        self._inbox = inbox
        self._sessions = sessions
        self._later = later
        self._lock = threading.Lock()
        self._tasks: dict[bytes, _Task] = {}
        self._aborted: dict[bytes, None] = {}
        """The last aborted tasks, oldest first: requests of one peer run on several threads, so an
        offer may come after the abort of its task."""

    def __len__(self) -> int:
        return len(self._tasks)

    # -- requests of peers

    def on_offer(self, offer: wire.Offer, body: Body, caller: Caller) -> None:
        """Take a small parcel at once, or grant credit for a large one. Raises KeyExists early."""
        if not 0 < len(offer.entries) <= PARCEL_MAX_FILES:
            raise ProtocolError(f"offer: 1 to {PARCEL_MAX_FILES} outputs a parcel")
        keys = [self._free_key(text) for text, _ in offer.entries]
        sizes = [size for _, size in offer.entries]
        self._store.require_space(sum(sizes), f"a parcel of {len(keys)} outputs")
        folder = self._require(offer.task, caller.session)
        if offer.parcel in self._tasks[offer.task].parcels:
            caller.answer(wire.Staged())  # sent again: the first answer was lost
            return
        sink = ParcelSink(self, folder, offer.task, offer.parcel, keys=keys, sizes=sizes)
        if not offer.inline:
            self._inbox.open(sizes, sink, caller)
            return
        if len(offer.digests) != len(keys) or sum(sizes) != len(body):
            raise ProtocolError("offer: the sizes do not add up to the body, or digests are missing")
        try:
            sink.write_whole(memoryview(body))
            reply = sink.finish(offer.digests)
        finally:
            sink.discard()
        caller.answer(reply)

    def on_commit(self, commit: wire.Commit, body: Body, caller: Caller) -> None:
        """Make a task visible here."""
        self.commit(commit.task, commit.parcels)
        caller.answer(wire.Ok())

    def on_abort(self, abort: wire.Abort, body: Body, caller: Caller) -> None:
        """Undo a task here."""
        self.abort(abort.task)
        caller.answer(wire.Ok())

    def on_settle(self, settle: wire.Settle, body: Body, caller: Caller) -> None:
        """Forget a task that has committed everywhere."""
        self.settle(settle.task)
        caller.answer(wire.Ok())

    def _free_key(self, text: str) -> Key:
        key = self._keys.own_key(text)
        if self._store.exists(key):
            raise KeyExists(f"{key} already exists; keys are immutable: remove it first")
        return key

    # -- one task

    def _require(self, task: bytes, session: bytes) -> str:
        """Get or make a task; its folder."""
        folder = staged_folder(self._store, task)
        with self._lock:
            if task in self._aborted:
                raise Cancelled("the task was aborted")  # the offer was overtaken by the abort
            if task in self._tasks:
                return folder
            if session:
                self._sessions.own(session, task, lambda: self._later(self._on_sender_gone, task))
            with self._store.disk_errors("can not make a folder for staged outputs"):
                os.makedirs(folder, exist_ok=True)
            self._tasks[task] = _Task(session)
        return folder

    def _on_sender_gone(self, task: bytes) -> None:
        found = self._tasks.get(task)
        if found:
            self.settle(task) if found.committed else self.abort(task)

    def stage_local(self, task: bytes, parcel: int, outputs: Sequence[tuple[Key, str, int]]) -> None:
        """Outputs (key, path, size) made on this node: moved here without a copy."""
        folder = self._require(task, b"")
        rows = []
        with self._store.disk_errors("can not stage outputs"):
            for index, (key, path, size) in enumerate(outputs):
                self._free_key(str(key))
                staged = f"{folder}/{parcel}.{index}"
                _move(path, staged)
                with open(staged, "rb", buffering=0) as file:
                    found, digest = digest_of_file(file.fileno())
                if found != size:
                    raise ChecksumMismatch(f"{key} changed after its command had ended")
                rows.append(Row(key, size, digest))
        self.staged(task, parcel, rows)

    def staged(self, task: bytes, parcel: int, rows: Sequence[Row]) -> None:
        """Note that a parcel is whole. Raises Cancelled where its task has been aborted meanwhile."""
        path = f"{staged_folder(self._store, task)}/{parcel}.rows"
        with self._store.disk_errors("can not write the list of staged outputs"):
            try:
                with open(path, "wb") as file:
                    file.write(msgpack.packb([(row.key.path, row.size, row.digest) for row in rows]))
            except FileNotFoundError:
                raise Cancelled("the task was aborted") from None
        found = self._tasks.get(task)
        if found is None:
            remove_tree(staged_folder(self._store, task))
            raise Cancelled("the task was aborted")
        found.parcels.add(parcel)

    def commit(self, task: bytes, parcels: int) -> None:
        """Give every staged output its name. May be repeated. Raises KeyExists for a race lost."""
        found = self._tasks.get(task)
        if found is None or found.parcels != set(range(parcels)):
            raise Cancelled("a commit of a task that is not staged here: its sender was away too long")
        with found.lock, self._store.disk_errors("can not publish staged outputs"):
            if found.aborted:
                raise Cancelled("the task was aborted")
            found.committed = True
            folder = staged_folder(self._store, task)
            for parcel in range(parcels):
                for index, row in enumerate(self._rows(task, parcel)):
                    self._publish(f"{folder}/{parcel}.{index}", row, task)

    def _publish(self, path: str, row: Row, task: bytes) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # a repeated commit: this one has its name already
        try:
            self._store.commit(fd, row.key, Stamp(row.size, row.digest, task), path)
        finally:
            os.close(fd)

    def abort(self, task: bytes) -> None:
        """Remove what is staged, and what a commit made visible. Nothing there is fine."""
        with self._lock:
            self._aborted[task] = None
            if len(self._aborted) > _ABORTED_REMEMBERED:
                self._aborted.pop(next(iter(self._aborted)))
            found = self._tasks.pop(task, None)
        if found is None:
            return
        with found.lock:
            found.aborted = True
            for parcel in found.parcels if found.committed else ():
                for row in self._rows(task, parcel):
                    self._unpublish(row.key, task)
        self._release(task, found)

    def _unpublish(self, key: Key, task: bytes) -> None:
        try:
            fd, stamp = self._store.open(key)
        except (KeyNotFound, ChecksumMismatch):
            return
        os.close(fd)
        if stamp.writer == task:
            self._store.delete(key)

    def settle(self, task: bytes) -> None:
        """Forget a task that has committed."""
        found = self._tasks.pop(task, None)
        if found:
            self._release(task, found)

    def _release(self, task: bytes, found: _Task) -> None:
        if found.session:
            self._sessions.release(found.session, task)
        remove_tree(staged_folder(self._store, task))

    def _rows(self, task: bytes, parcel: int) -> Iterator[Row]:
        with open(f"{staged_folder(self._store, task)}/{parcel}.rows", "rb") as file:
            for path, size, digest in msgpack.unpackb(file.read()):
                yield Row(Key(path), size, digest)


class ParcelSink:
    """The outputs of one parcel on their way into the staged folder."""

    def __init__(
        self,
        staging: Staging,
        folder: str,
        task: bytes,
        parcel: int,
        *,
        keys: Sequence[Key],
        sizes: Sequence[int],
    ) -> None:
        self._staging = staging
        self._base = f"{folder}/{parcel}."
        self._task = task
        self._parcel = parcel
        self._keys = keys
        self._sizes = sizes
        self._index = -1
        self._fd = -1
        self._digest = new_digest()
        self._digests: list[bytes] = []

    def write(self, piece: Piece, data: memoryview) -> None:
        """Bytes of output `piece.number`; empty outputs before it are made on the way."""
        while self._index < piece.number:
            self._next()
        with self._staging._store.disk_errors(f"can not write {self._keys[piece.number]}"):
            write_all(self._fd, data, piece.offset)
        self._digest.update(data)

    def write_whole(self, body: memoryview) -> None:
        """All outputs from one buffer, each checked by `finish`."""
        offset = 0
        for index, size in enumerate(self._sizes):
            if size:
                self.write(Piece(index, 0, 0, size), body[offset : offset + size])
            offset += size

    def _next(self) -> None:
        self._close_one()
        self._index += 1
        with self._staging._store.disk_errors("can not make a staged output"):
            flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC
            self._fd = os.open(f"{self._base}{self._index}", flags, 0o644)

    def _close_one(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._digests.append(self._digest.digest())
            self._digest = new_digest()
            self._fd = -1

    def finish(self, digests: list[bytes]) -> wire.Staged:
        """Compare and note as staged. Raises ChecksumMismatch or Cancelled."""
        while self._index < len(self._keys) - 1:
            self._next()
        self._close_one()
        for key, ours, theirs in zip(self._keys, self._digests, digests, strict=True):
            if ours != theirs or len(theirs) != DIGEST_BYTES:
                raise ChecksumMismatch(f"{key} was damaged on its way between nodes")
        rows = [Row(*row) for row in zip(self._keys, self._sizes, self._digests, strict=True)]
        self._staging.staged(self._task, self._parcel, rows)
        return wire.Staged()

    def discard(self) -> None:
        """The files go with the task's folder when its sender aborts it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _move(path: str, staged: str) -> None:
    """Rename; a file with other names is copied, as its bytes may be another output's too."""
    if os.lstat(path).st_nlink == 1:
        os.rename(path, staged)
    else:
        with open(path, "rb") as source, open(staged, "xb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
