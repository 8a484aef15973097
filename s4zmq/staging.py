"""Outputs of map-to-n that are on this node and not visible yet, until their task commits.

    the task's spool                 rows of all of them, and the values of the small ones
    tmp/t-<task>/<parcel>.<index>    a large output that came from a peer
    the command's folder             outputs that were made here, where they were made

A task stands on several nodes. Its sender commits it on all of them when every parcel is staged
everywhere, settles it when all have committed, and aborts it when one refuses: then what was made
visible for it is removed again. A task whose sender has gone is aborted, unless it has committed.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import Any

from . import wire
from .caller import Caller
from .checksum import DIGEST_BYTES, digest_of, digest_of_file, new_digest
from .codec import Body
from .errors import Cancelled, ChecksumMismatch, KeyExists, KeyNotFound, ProtocolError
from .inbox import Inbox
from .keys import Key
from .keyserver import KeyServer
from .limits import CHUNK_BYTES, PARCEL_INLINE_BYTES, PARCEL_MAX_FILES
from .scratch import staged_folder
from .sessions import Sessions
from .sinks import KeyTarget, store_value
from .spool import Row, Spool
from .store import Stamp, Store, write_all
from .transfer import Piece
from .trees import remove_tree

_ABORTED_REMEMBERED = 10_000


class _Task:
    def __init__(self, session: bytes, spool: Spool) -> None:
        self.session = session
        self.spool = spool
        self.committed = False
        self.aborted = False
        self.has_folder = False
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
        keys = [self._keys.own_key(text) for text, _ in offer.entries]
        sizes = [size for _, size in offer.entries]
        for key in keys:
            self._require_free(key)
        self._store.space.require(sum(sizes), f"a parcel of {len(keys)} outputs")
        task = self._require(offer.task, caller.session, with_folder=max(sizes) > PARCEL_INLINE_BYTES)
        if offer.parcel in task.spool.parcels:
            caller.answer(wire.Staged())  # sent again: the first answer was lost
        elif offer.inline:
            self._take_inline(offer, task, keys, sizes, memoryview(body))
            caller.answer(wire.Staged())
        else:
            base = f"{staged_folder(self._store, offer.task)}/{offer.parcel}."
            sink = ParcelSink(
                self._store,
                task.spool,
                base,
                keys=keys,
                sizes=sizes,
                on_whole=lambda rows: self._staged(offer.task, offer.parcel, rows),
            )
            try:
                self._inbox.open(sizes, sink, caller)
            except BaseException:
                sink.discard()
                raise

    def _take_inline(
        self, offer: wire.Offer, task: _Task, keys: Sequence[Key], sizes: Sequence[int], body: memoryview
    ) -> None:
        """Check a parcel that came whole, and keep it in one piece."""
        if len(offer.digests) != len(keys) or sum(sizes) != len(body):
            raise ProtocolError("offer: the sizes do not add up to the body, or digests are missing")
        start = 0
        place = task.spool.reserve(len(body))
        rows = []
        for key, size, digest in zip(keys, sizes, offer.digests, strict=True):
            check_digest(key, digest_of(body[start : start + size]), digest)
            rows.append(Row(key, size, digest, place + start))
            start += size
        task.spool.write(body, place, keys[0])
        self._staged(offer.task, offer.parcel, rows)

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

    def _require_free(self, key: Key) -> None:
        if self._store.exists(key):
            raise KeyExists(f"{key} already exists; keys are immutable: remove it first")

    # -- one task

    def _require(self, id: bytes, session: bytes, *, with_folder: bool) -> _Task:
        """Get or make a task."""
        with self._lock:
            if id in self._aborted:
                raise Cancelled("the task was aborted")  # the offer was overtaken by the abort
            task = self._tasks.get(id)
            if task is None:
                if session:
                    self._sessions.own(session, id, lambda: self._later(self._on_sender_gone, id))
                task = self._tasks[id] = _Task(session, Spool(self._store))
            if with_folder and not task.has_folder:
                with self._store.disk_errors("can not make a folder for staged outputs"):
                    os.makedirs(staged_folder(self._store, id), exist_ok=True)
                task.has_folder = True
            return task

    def _on_sender_gone(self, id: bytes) -> None:
        task = self._tasks.get(id)
        if task:
            self.settle(id) if task.committed else self.abort(id)

    def stage_local(self, id: bytes, parcel: int, outputs: Sequence[tuple[Key, str, int]]) -> None:
        """Outputs (key, path, size) made on this node. They stay where they are, so the command's
        folder must stand until the task has ended."""
        self._require(id, b"", with_folder=False)
        self._staged(id, parcel, [self._look_at(id, *output) for output in outputs])

    def _look_at(self, id: bytes, key: Key, path: str, size: int) -> Row:
        self._require_free(key)
        with self._store.disk_errors(f"can not stage {key}"):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                found, digest = digest_of_file(fd)
                if found != size:
                    raise ChecksumMismatch(f"{key} changed after its command had ended")
                if os.fstat(fd).st_nlink > 1:
                    path = self._copy(id, fd, digest)
            finally:
                os.close(fd)
        return Row(key, size, digest, path)

    def _copy(self, id: bytes, fd: int, digest: bytes) -> str:
        """A file with other names is copied: its bytes may be another output's, or a stranger's."""
        self._require(id, b"", with_folder=True)
        folder = staged_folder(self._store, id)
        path = f"{folder}/copy.{len(os.listdir(folder))}"
        with open(fd, "rb", closefd=False) as source, open(path, "xb") as target:
            source.seek(0)
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        return path

    def _staged(self, id: bytes, parcel: int, rows: Sequence[Row]) -> None:
        """Note that a parcel is whole. Raises Cancelled where its task has been aborted meanwhile."""
        task = self._tasks.get(id)
        if task is None:
            remove_tree(staged_folder(self._store, id))
            raise Cancelled("the task was aborted")
        task.spool.add(parcel, rows)

    def commit(self, id: bytes, parcels: int) -> None:
        """Give every staged output its name. May be repeated. Raises KeyExists for a race lost."""
        task = self._tasks.get(id)
        if task is None or task.spool.parcels != set(range(parcels)):
            raise Cancelled("a commit of a task that is not staged here: its sender was away too long")
        with task.lock, self._store.disk_errors("can not publish staged outputs"):
            if task.aborted:
                raise Cancelled("the task was aborted")
            task.committed = True
            for parcel in range(parcels):
                for row in task.spool.rows(parcel):
                    self._publish(row, id, task.spool)

    def _publish(self, row: Row, id: bytes, spool: Spool) -> None:
        if isinstance(row.place, int):
            value = memoryview(spool.read(row.size, row.place))
            store_value(self._store, KeyTarget(self._store, row.key), value, row.digest, id)
            return
        try:
            fd = os.open(row.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # a repeated commit: this one has its name already
        try:
            self._store.commit(fd, row.key, Stamp(row.size, row.digest, id), row.place)
        finally:
            os.close(fd)

    def abort(self, id: bytes) -> None:
        """Remove what is staged, and what a commit made visible. Nothing there is fine."""
        with self._lock:
            self._aborted[id] = None
            if len(self._aborted) > _ABORTED_REMEMBERED:
                self._aborted.pop(next(iter(self._aborted)))
            task = self._tasks.pop(id, None)
        if task is None:
            return
        with task.lock:
            task.aborted = True
            for parcel in task.spool.parcels if task.committed else ():
                for row in task.spool.rows(parcel):
                    self._unpublish(row.key, id)
        self._release(id, task)

    def _unpublish(self, key: Key, id: bytes) -> None:
        try:
            fd, stamp = self._store.open(key)
        except (KeyNotFound, ChecksumMismatch):
            return
        os.close(fd)
        if stamp.writer == id:
            self._store.delete(key)

    def settle(self, id: bytes) -> None:
        """Forget a task that has committed."""
        task = self._tasks.pop(id, None)
        if task:
            self._release(id, task)

    def _release(self, id: bytes, task: _Task) -> None:
        if task.session:
            self._sessions.release(task.session, id)
        with task.lock:  # a commit that is under way ends first
            task.spool.close()
        if task.has_folder:
            remove_tree(staged_folder(self._store, id))


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
