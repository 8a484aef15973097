"""The sending side of map-to-n: outputs to their owners, and the barrier before they become visible.

One thread owns the sockets to the peers. A task's thread hands it parcels and waits; many parcels of
many tasks are in flight to each peer over one connection. A small parcel travels inside its Offer,
in one round trip; a large one as chunks with credit, where small files share a chunk.

    task's thread              this thread                   peer
    send(parcel) ------------> OFFER ----------------------> staged, hidden
                               CHUNK ... LAST =============>
    commit(): barrier <------- STAGED <---------------------
              local commit
              ---------------> COMMIT to every peer -------> visible
              <--------------- OK from all; SETTLE --------> forgotten
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import wire
from .checksum import digest_of
from .codec import Body
from .courier import Courier, unreachable
from .errors import Cancelled, NodeUnreachable, S4Error
from .keys import Key
from .limits import PARCEL_INLINE_BYTES, REQUEST_WINDOW
from .mailbox import Mailbox
from .shell import Switch
from .staging import Staging
from .streams import FilesSource, Upload

log = logging.getLogger(__name__)

_UNDONE_REMEMBERED = 10_000
_ASK_AGAIN_S = 1.0
_PARCELS_A_TASK = 8
"""Parcels of one task that wait or are in flight; its thread pauses beyond that."""


class Output(NamedTuple):
    """One file that a command made."""

    key: Key
    path: str
    size: int


class _Job(NamedTuple):
    """Work for the shuffle's thread: a request to a peer, in chunks where a source is given."""

    node: str
    message: Any
    body: Body
    source: FilesSource | None
    on_end: Callable[[Any], None]


class Shuffle(threading.Thread):
    """This node's connections to its peers."""

    def __init__(self, make_courier: Callable[[], Courier], node: str, staging: Staging) -> None:
        """`make_courier` is called in the thread: sockets belong to one thread."""
        super().__init__(name="shuffle", daemon=True)
        self.node = node
        self.staging = staging
        self._make_courier = make_courier
        self._inbox: Mailbox[_Job | None] = Mailbox()
        self._queues: dict[str, deque[_Job]] = {}
        self._in_flight: dict[str, int] = {}
        self._uploads: list[Upload] = []
        self._undone: deque[tuple[float, str, wire.Abort]] = deque(maxlen=_UNDONE_REMEMBERED)
        """Aborts that a peer did not answer: (when to ask again, node, message). A peer that was
        paused goes on with the offers and commits that it had got, so it must hear of the end."""
        self._stopping = False

    def post(self, job: _Job) -> None:
        """Hand over work; from any thread."""
        self._inbox.put(job)

    def stop(self) -> None:
        """End the thread. Tasks that still wait must have been cancelled before."""
        self._stopping = True
        self._inbox.put(None)
        self.join()

    def __len__(self) -> int:
        return sum(self._in_flight.values()) + sum(map(len, self._queues.values()))

    # -- the thread

    def run(self) -> None:
        """Until stopped."""
        courier = self._make_courier()
        try:
            while not self._stopping:
                courier.step(watch_fd=self._inbox.fd)
                for job in self._inbox.take():
                    self._accept(courier, job)
                for upload in self._uploads:
                    upload.pump()
                self._uploads = [upload for upload in self._uploads if not upload.is_over]
                self._ask_again(courier)
        except Exception:
            log.exception("the shuffle's thread ended")
            raise
        finally:
            courier.close()
            self._inbox.close()

    def _ask_again(self, courier: Courier) -> None:
        while self._undone and self._undone[0][0] <= time.monotonic():
            _, node, abort = self._undone.popleft()
            courier.request(node, abort, self._note_if_undone(node, abort))

    def _note_if_undone(self, node: str, abort: wire.Abort) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, NodeUnreachable):
                self._undone.append((time.monotonic() + _ASK_AGAIN_S, node, abort))

        return on_reply

    def _accept(self, courier: Courier, job: _Job | None) -> None:
        if job is None:
            return
        courier.keep_lease()
        self._queues.setdefault(job.node, deque()).append(job)
        self._start_next(courier, job.node)

    def _start_next(self, courier: Courier, node: str) -> None:
        queue = self._queues[node]
        while queue and self._in_flight.get(node, 0) < REQUEST_WINDOW:
            self._in_flight[node] = self._in_flight.get(node, 0) + 1
            self._start(courier, queue.popleft())

    def _start(self, courier: Courier, job: _Job) -> None:
        def on_end(reply: Any, _: Body = b"") -> None:
            if type(reply) in wire.INTERIM:
                return
            self._in_flight[job.node] -= 1
            if isinstance(job.message, wire.Abort):
                self._note_if_undone(job.node, job.message)(reply, b"")
            job.on_end(reply)
            self._start_next(courier, job.node)

        if isinstance(job.message, wire.Abort) and job.node in courier.silent:
            on_end(unreachable(job.node))  # asked again until it answers; nobody waits for that
        elif job.source is None:
            courier.request(job.node, job.message, on_end, job.body)
        else:
            upload = Upload(courier, job.node, job.source, on_end)
            self._uploads.append(upload)
            upload.start(job.message)


class Shipment:
    """All outputs of one task on their way to their owners. Used by the task's thread."""

    def __init__(self, shuffle: Shuffle, task: bytes, cancel: Switch) -> None:
        self._shuffle = shuffle
        self._staging = shuffle.staging
        self._task = task
        self._cancel = cancel
        self._changed = threading.Condition()
        self._waiting = 0
        self._error: S4Error | None = None
        self._parcels: dict[str, int] = {}
        """Parcels sent so far, by owner."""

    def send(self, owner: str, outputs: Sequence[Output]) -> None:
        """Stage a parcel on its owner; returns before it is there. Raises the task's first error.

        The files must stand until `commit` or `abort` has returned.
        """
        number = self._parcels.get(owner, 0)
        self._parcels[owner] = number + 1
        if owner == self._shuffle.node:
            self._staging.stage_local(self._task, number, outputs)
        else:
            self._wait_for(_PARCELS_A_TASK - 1)
            self._post(owner, *self._offer(number, outputs))

    def _offer(self, number: int, outputs: Sequence[Output]) -> tuple[Any, Body, FilesSource | None]:
        entries = [(str(output.key), output.size) for output in outputs]
        if sum(output.size for output in outputs) > PARCEL_INLINE_BYTES:
            source = FilesSource([o.path for o in outputs], [o.size for o in outputs])
            return wire.Offer(self._task, number, entries, [], False), b"", source
        values = []
        for output in outputs:
            with open(output.path, "rb", buffering=0) as file:
                values.append(file.read(output.size))
        digests = [digest_of(value) for value in values]
        return wire.Offer(self._task, number, entries, digests, True), b"".join(values), None

    def _post(self, owner: str, message: Any, body: Body = b"", source: FilesSource | None = None) -> None:
        with self._changed:
            self._waiting += 1
        self._shuffle.post(_Job(owner, message, body, source, self._on_end))

    def _on_end(self, reply: Any) -> None:
        with self._changed:
            self._waiting -= 1
            if isinstance(reply, S4Error) and self._error is None:
                self._error = reply
            self._changed.notify()

    def _wait_for(self, at_most: int) -> None:
        """Until at most so many requests of the task are out. Raises its first error, or Cancelled."""
        with self._cancel.heard_by(self._wake), self._changed:
            self._changed.wait_for(lambda: self._waiting <= at_most or self._error or self._cancel.is_on)
        if self._cancel.is_on:
            raise Cancelled("the job was ended")
        self._raise_error()

    def _wait_for_all(self) -> None:
        """Until all have answered, whatever becomes of the job: the task's fate is decided. Raises
        its first error."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0)
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def commit(self) -> None:
        """The barrier, then visible everywhere. Raises, with nothing visible, if any node refuses."""
        self._wait_for(0)
        for owner, count in self._parcels.items():
            if owner == self._shuffle.node:
                self._staging.commit(self._task, count)
        for owner, count in self._parcels.items():
            if owner != self._shuffle.node:
                self._post(owner, wire.Commit(self._task, count))
        self._wait_for_all()
        self._staging.settle(self._task)
        for owner in self._parcels:
            if owner != self._shuffle.node:  # nobody waits for the answer
                self._shuffle.post(_Job(owner, wire.Settle(self._task), b"", None, lambda _: None))

    def abort(self) -> None:
        """Undo on every node; waits until each has answered or is unreachable. Never raises."""
        self._error = None
        for owner in self._parcels:
            if owner == self._shuffle.node:
                self._staging.abort(self._task)
            else:
                self._post(owner, wire.Abort(self._task))
        try:
            self._wait_for_all()
        except S4Error as error:
            log.warning("a task could not be undone everywhere: %s", error)
