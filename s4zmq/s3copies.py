"""Copies from and to S3 on this node: each looks, or moves bytes, until it is done or not wanted any more.

    stage-in     objects below a prefix  ->  those keys that this node owns
    stage-out    this node's keys below a folder  ->  objects

Every node lists the prefix for itself and takes what it owns: nothing is held in memory for it, and
none waits for another. Threads of their own: S3 holds up neither the control loop nor the disk threads.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Union

from . import wire
from .caller import Caller
from .codec import Body, row_of
from .crew import Crew
from .errors import (
    AwsRegion,
    AwsUnreachable,
    Cancelled,
    InternalError,
    NodeBusy,
    NoSpace,
    S4Error,
    WrongOwner,
)
from .keys import SCHEME, Folder, Key
from .limits import MAX_FAILURES_KEPT, MAX_S3_COPIES, S3_STREAMS
from .listing import walk
from .placement import Roster
from .s3bucket import Bucket, Clients
from .s3fetch import Hands, fetch
from .s3names import Intake, Listed, object_name, place_of
from .s3upload import upload
from .sessions import Sessions
from .shell import Switch
from .slots import Slots
from .store import Store
from .uploads import Uploads

log = logging.getLogger(__name__)

Request = Union[wire.StageIn, wire.StageOut]

_HOPELESS = (AwsUnreachable, AwsRegion, NoSpace)
"""What the next one would meet too."""


def _is_hopeless(error: S4Error) -> bool:
    return isinstance(error, _HOPELESS) or error.details.get("aws") == "NoSuchBucket"


class Move(NamedTuple):
    """One key and one object; which way, the request says."""

    key: Key
    object: Listed


class Tally:
    """What a copy has done so far. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.keys = self.bytes = self.skipped = self.failed = 0
        self.moved_bytes = 0
        """Of keys under way, also those that failed half-way."""
        self.failures: list[wire.FailureRow] = []

    def moved(self, count: int) -> None:
        """So many bytes, just now."""
        with self._lock:
            self.moved_bytes += count

    def done(self, size: int, *, skipped: bool = False) -> None:
        """A key is where it should be."""
        with self._lock:
            self.keys += 1
            self.bytes += size
            self.skipped += skipped
            self.moved_bytes -= 0 if skipped else size

    def note(self, error: S4Error) -> None:
        """Something failed, or is in the way."""
        with self._lock:
            self.failed += 1
            if len(self.failures) < MAX_FAILURES_KEPT:
                self.failures.append(row_of(len(self.failures), error))

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing succeeds."""
        return not self.keys and self.failed >= MAX_FAILURES_KEPT

    def reply(self) -> wire.Moved:
        """The final one."""
        return wire.Moved(self.keys, self.bytes, self.skipped, self.failed, self.failures)

    def progress(self) -> wire.Moving:
        """How far it is."""
        return wire.Moving(self.keys, self.bytes + max(0, self.moved_bytes), self.failed)


class Copy:
    """One copy on this node. `run` it in a thread of its own."""

    def __init__(self, request: Request, shop: Copies, caller: Caller) -> None:
        """Raises KeyInvalid or RequestError."""
        self.request = request
        self.caller = caller
        self.tally = Tally()
        self._shop = shop
        self._told = self.tally.progress()
        self._place = place_of(request.bucket, request.prefix)
        place = request.target if isinstance(request, wire.StageIn) else request.source
        self._folder = None if request.single else Folder.parse(place)
        self._key = Key.parse(place) if request.single else None
        store = shop.store
        if self._key and shop.roster.owner(self._key.name) != store.node:
            raise WrongOwner(f"{self._key} does not live on node {store.node}")
        self.cancel = Switch()  # a descriptor: nothing is refused after this
        self._hands = Hands(
            store,
            Bucket(shop.clients, self._place.bucket, store.node, self.cancel),
            Crew(S3_STREAMS),
            shop.streams,
            self.cancel,
            self.tally.moved,
        )

    def run(self) -> object:
        """The final reply. Raises S4Error where the objects can not be listed, or where it was ended."""
        moves = self._incoming() if isinstance(self.request, wire.StageIn) else self._outgoing()
        with self._shop.store.disk_errors("can not copy from or to S3"):
            if self.request.dry_run:
                for move in moves:
                    self._look_at(move)
            else:
                self._hands.crew.run(moves, self._move)
        if self.cancel.is_on:
            raise Cancelled("the copy was ended")
        return self.tally.reply()

    def report(self) -> None:
        """Tell the client how far it is, where that has changed."""
        progress = self.tally.progress()
        if progress != self._told and not self.request.dry_run:
            self._told = progress
            self.caller.answer(progress)

    # -- what is to move

    def _incoming(self) -> Iterator[Move]:
        bucket = self._hands.bucket
        if self._key:
            yield Move(self._key, bucket.find(self._place.path))
        if not self._folder:
            return
        store = self._shop.store
        intake = Intake(self._place, self._folder, self._shop.roster, store.node)
        for listed in bucket.listed(self._place.path):
            if self.cancel.is_on:
                return
            with self._noting():
                key = intake.key_of(listed)
                if key:
                    yield Move(key, listed)

    def _outgoing(self) -> Iterator[Move]:
        store = self._shop.store
        if self.request.dry_run:
            self._hands.bucket.look()
        if self._key:
            fd, stamp = store.open(self._key)
            os.close(fd)
            yield Move(self._key, Listed(self._place.path, stamp.size, ""))
        if not self._folder:
            return
        base = len(self._folder.path)
        for entry in walk(store, self._folder.path, recursive=True):
            if self.cancel.is_on:
                return
            with self._noting():
                name = object_name(self._place, entry.path, base)
                yield Move(Key.parse(SCHEME + entry.path), Listed(name, entry.size, ""))

    # -- what becomes of it

    def _look_at(self, move: Move) -> None:
        """For a dry run: is the way free?"""
        is_there = False
        with self._noting():
            if isinstance(self.request, wire.StageIn):
                is_there = self.request.resume and self._shop.store.exists(move.key)
                if not is_there:
                    self._shop.store.require_free(move.key)
            self.tally.done(move.object.size, skipped=is_there)

    def _move(self, move: Move) -> None:
        """One key; what fails is noted, and the rest goes on, unless it would fail as well."""
        if self.cancel.is_on:
            raise Cancelled("the copy was ended")
        resume = self.request.resume
        with self._noting(), self._shop.store.disk_errors(f"can not copy {move.key}"):
            if isinstance(self.request, wire.StageIn):
                is_new = fetch(self._hands, move.object, move.key, resume=resume)
            else:
                is_new = upload(self._hands, self._shop.uploads, move.key, move.object.name, resume=resume)
            self.tally.done(move.object.size, skipped=not is_new)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Cancelled:
            raise
        except S4Error as error:
            if self.cancel.is_on:
                raise Cancelled("the copy was ended") from None
            self.tally.note(error)
            if not self.request.dry_run and (_is_hopeless(error) or self.tally.is_hopeless):
                raise _Over from None


class _Over(Exception):
    """The rest would fail too; why, is noted."""


class Copies:
    """All copies of one node, and what they share."""

    def __init__(self, store: Store, roster: Roster, sessions: Sessions) -> None:
        """Raises OSError where the journal of uploads can not be read."""
        self.store = store
        self.roster = roster
        self.clients = Clients()
        self.streams = Slots(S3_STREAMS)
        self._sweeping = Switch()
        self.uploads = Uploads(
            store.root, lambda name: Bucket(self.clients, name, store.node, self._sweeping)
        )
        self._sessions = sessions
        self._running: dict[tuple[bytes, int], Copy] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self) -> None:
        """Give up what a kill left unfinished on S3."""
        self.uploads.start()

    def stop(self) -> None:
        """After the last copy."""
        self.uploads.stop()

    def on_copy(self, request: Request, body: Body, caller: Caller) -> None:
        """Begin a copy, or a look at one. Raises KeyInvalid, RequestError or NodeBusy."""
        if len(self._running) >= MAX_S3_COPIES:
            raise NodeBusy(f"{MAX_S3_COPIES} copies from or to S3 run on node {self.store.node}: try again")
        copy = Copy(request, self, caller)
        token = (caller.session, caller.id)
        self._running[token] = copy
        try:
            self._sessions.own(caller.session, token, copy.cancel.turn)
            threading.Thread(target=self._run, args=(token, copy), name="s3-copy", daemon=True).start()
        except BaseException:
            self._forget(token, copy)
            raise

    def report(self) -> None:
        """Progress of all copies to their clients."""
        for copy in list(self._running.values()):
            copy.report()

    def _run(self, token: tuple[bytes, int], copy: Copy) -> None:
        reply: Any
        try:
            reply = copy.run()
        except _Over:
            reply = copy.tally.reply()
        except S4Error as error:
            reply = error
        except Exception:
            log.exception("a copy from or to S3 failed")
            reply = InternalError(f"a bug on node {self.store.node}: see its log")
        finally:
            self._forget(token, copy)
        if isinstance(reply, S4Error):
            copy.caller.fail(reply)
        else:
            copy.caller.answer(reply)

    def _forget(self, token: tuple[bytes, int], copy: Copy) -> None:
        self._sessions.release(token[0], token)
        self._running.pop(token, None)
        copy.cancel.close()
