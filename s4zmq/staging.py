"""Outputs of map-to-n that are on this node and not visible yet, until their task commits.

    the task's spool                 rows of all of them, and the values of the small ones
    tmp/t-<task>/<parcel>.<index>    a large output that came from a peer
    the command's folder             outputs that were made here, where they were made

A task stands on several nodes. Its sender commits it on all of them when every parcel is staged
everywhere, settles it when all have committed, and aborts it when one refuses: then what was made
visible for it is removed again. A task whose sender has gone is aborted, unless it has begun to
commit: then it is in doubt, also over a restart, until its sender says what has become of it.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import points, wire
from .caller import Caller
from .checksum import digest_of, digest_of_file
from .codec import Body
from .errors import Cancelled, ChecksumMismatch, ConnectionLost, KeyExists, ProtocolError
from .inbox import Inbox
from .indoubt import Doubt, InDoubt
from .keys import Key
from .keyserver import KeyServer
from .limits import CHUNK_BYTES, PARCEL_INLINE_BYTES, PARCEL_MAX_FILES
from .outputs import Outputs
from .parcels import ParcelSink, check_digest
from .recipes import FINGERPRINT_BYTES
from .scratch import staged_folder
from .sessions import Sessions
from .sinks import KeyTarget, store_value
from .spool import Row, Spool
from .store import Stamp, Store
from .trees import remove_tree

_ABORTED_REMEMBERED = 10_000


class Group(NamedTuple):
    """What all outputs of one task have in common."""

    task: bytes
    folder: str
    """Path of the folder that all of them are in, with its slash."""

    origin: bytes

    @classmethod
    def of(cls, task: bytes, keys: Sequence[Key], origin: bytes) -> Group:
        """Raises ProtocolError where the keys are in several folders."""
        folders = {key.path[: -len(key.name)] for key in keys}
        if len(folders) != 1:
            raise ProtocolError("the outputs of one task belong in one folder")
        return cls(task, folders.pop(), origin)


class _Task:
    def __init__(self, session: bytes, spool: Spool, group: Group) -> None:
        self.session = session
        self.spool = spool
        self.group = group
        self.aborted = False
        self.has_folder = False
        self.transfers: list[bytes] = []
        """Of the large parcels; those that have ended too."""
        self.lock = threading.Lock()


class Staging:
    """Staged outputs of one node. Methods may be called from several threads."""

    def __init__(
        self,
        store: Store,
        keys: KeyServer,
        inbox: Inbox,
        sessions: Sessions,
        *,
        in_doubt: InDoubt,
        outputs: Outputs,
        later: Callable[..., Any],
    ) -> None:
        self._in_doubt = in_doubt
        self._outputs = outputs
        self._store = store
        self._keys = keys
        self._inbox = inbox
        self._sessions = sessions
        self.later = later
        """Runs disk work on another thread."""
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
        sizes = [size for _, size in offer.entries]
        self._store.space.require(sum(sizes), f"a parcel of {len(sizes)} outputs")
        keys = [self._keys.own_key(text) for text, _ in offer.entries]
        for key in keys:
            self._require_free(key)
        group = Group.of(offer.task, keys, offer.origin)
        task = self._require(group, caller.session, with_folder=max(sizes) > PARCEL_INLINE_BYTES)
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
                self._keep_for(task, self._inbox.open(sizes, sink, caller))
            except BaseException:
                sink.discard()
                raise

    def _keep_for(self, task: _Task, transfer: bytes) -> None:
        """An abort ends what still arrives: the sender's own word that it gave it up may get lost."""
        with task.lock:
            task.transfers.append(transfer)
            if task.aborted:
                self._end_transfers(task)

    def _end_transfers(self, task: _Task) -> None:
        for transfer in task.transfers:
            self._inbox.discard(transfer, Cancelled("the task was aborted"))

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
        self._keys.require_member(commit.sender)
        self.commit(commit.task, commit.parcels, commit.sender)
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

    def _require(self, group: Group, session: bytes, *, with_folder: bool) -> _Task:
        """Get or make a task. Raises ProtocolError for one whose outputs have nothing in common."""
        id = group.task
        with self._lock:
            if id in self._aborted:
                raise Cancelled("the task was aborted")  # the offer was overtaken by the abort
            task = self._tasks.get(id)
            if task is None:
                if session:
                    self._sessions.own(session, id, lambda: self.later(self._on_sender_gone, id))
                task = self._tasks[id] = _Task(session, Spool(self._store), group)
            if task.group != group:
                raise ProtocolError("the outputs of one task belong in one folder")
            if with_folder and not task.has_folder:
                with self._store.disk_errors("can not make a folder for staged outputs"):
                    os.makedirs(staged_folder(self._store, id), exist_ok=True)
                task.has_folder = True
            return task

    def _on_sender_gone(self, id: bytes) -> None:
        """One that has begun to commit stays in doubt; what was staged of it is of no use any more."""
        task = self._tasks.get(id)
        if task is None:
            return
        with task.lock:  # a commit that comes now must not be told to have succeeded
            task.aborted = self._in_doubt.of(id) is None
        if task.aborted:
            self.abort(id)
        elif self._tasks.pop(id, None):
            self._release(id, task)

    def stage_local(self, group: Group, parcel: int, outputs: Sequence[tuple[Key, str, int]]) -> None:
        """Outputs (key, path, size) made on this node. They stay where they are, so the command's
        folder must stand until the task has ended."""
        self._require(group, b"", with_folder=False)
        self._staged(group.task, parcel, [self._look_at(group, *output) for output in outputs])

    def _look_at(self, group: Group, key: Key, path: str, size: int) -> Row:
        self._require_free(key)
        with self._store.disk_errors(f"can not stage {key}"):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                found, digest = digest_of_file(fd)
                if found != size:
                    raise ChecksumMismatch(f"{key} changed after its command had ended")
                if os.fstat(fd).st_nlink > 1:
                    path = self._copy(group, fd)
            finally:
                os.close(fd)
        return Row(key, size, digest, path)

    def _copy(self, group: Group, fd: int) -> str:
        """A file with other names is copied: its bytes may be another output's, or a stranger's."""
        self._require(group, b"", with_folder=True)
        folder = staged_folder(self._store, group.task)
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
        points.reach("staging.staged")

    def commit(self, id: bytes, parcels: int, sender: str) -> None:
        """Give every staged output its name; in doubt until `settle` or `abort`. May be repeated.

        Raises KeyExists for a race lost, and ConnectionLost for a task that is not staged here.
        """
        task = self._tasks.get(id)
        if task is None or task.spool.parcels != set(range(parcels)):
            raise ConnectionLost(
                f"node {self._store.node} has lost what was staged there: it was restarted, or did not"
                " hear of the sender for too long; try again"
            )
        with task.lock, self._store.disk_errors("can not publish staged outputs"):
            if task.aborted:
                raise Cancelled("the task was aborted")
            self._in_doubt.begin(
                Doubt(id, sender, task.group.origin[:FINGERPRINT_BYTES], task.group.folder)
            )
            points.reach("staging.committing")
            for parcel in range(parcels):
                for row in task.spool.rows(parcel):
                    self._publish(row, task)
                    points.reach("staging.linked")
        points.reach("staging.committed")

    def _publish(self, row: Row, task: _Task) -> None:
        stamp = Stamp(row.size, row.digest, task.group.task, task.group.origin)
        if isinstance(row.place, int):
            value = memoryview(task.spool.read(row.size, row.place))
            store_value(self._store, KeyTarget(self._store, row.key), value, stamp)
            return
        try:
            fd = os.open(row.place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # a repeated commit: this one has its name already
        try:
            self._store.commit(fd, row.key, stamp, row.place)
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
            self._undo(id)
            return
        with task.lock:
            task.aborted = True
            self._end_transfers(task)
            self._undo(id)
        self._release(id, task)

    def _undo(self, id: bytes) -> None:
        doubt = self._in_doubt.of(id)
        if doubt:
            points.reach("staging.undoing")
            self._outputs.undo(doubt.folder, id)
            self._in_doubt.end(id)

    def settle(self, id: bytes) -> None:
        """Forget a task that has committed everywhere."""
        points.reach("staging.settling")
        self._in_doubt.end(id)
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
