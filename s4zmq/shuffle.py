"""This node's connections to its peers, and waiting for what they answer.

One thread owns the sockets. Other threads hand it requests and wait: many requests of many tasks are
in flight to each peer over one connection. It also asks on about tasks that are in doubt here, and
goes on telling a peer that did not hear it that a task was aborted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import wire
from .codec import Body
from .courier import Courier, unreachable
from .errors import Cancelled, NodeUnreachable, S4Error
from .fates import Resolver
from .limits import REQUEST_WINDOW
from .mailbox import Mailbox
from .shell import Switch
from .streams import FilesSource, Upload

log = logging.getLogger(__name__)

_UNDONE_REMEMBERED = 10_000
_ASK_AGAIN_S = 1.0


class _Job(NamedTuple):
    """Work for the shuffle's thread: a request to a peer, in chunks where a source is given."""

    node: str
    message: Any
    body: Body
    source: FilesSource | None
    on_end: Callable[[Any], None]


class Shuffle(threading.Thread):
    """This node's connections to its peers."""

    def __init__(self, make_courier: Callable[[], Courier], node: str, resolver: Resolver) -> None:
        """`make_courier` is called in the thread: sockets belong to one thread."""
        super().__init__(name="shuffle", daemon=True)
        self.node = node
        self._resolver = resolver
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
                self._ask_for_fates(courier)
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

    def _ask_for_fates(self, courier: Courier) -> None:
        for sender, fates in self._resolver.due(time.monotonic()):
            courier.request(sender, fates, self._resolver.taking(sender, fates))

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
            is_silent = isinstance(reply, NodeUnreachable)
            for ended in (job, *(self._take_waiting(courier, job.node) if is_silent else ())):
                if isinstance(ended.message, wire.Abort):
                    self._note_if_undone(ended.node, ended.message)(reply, b"")
                ended.on_end(reply)
            self._start_next(courier, job.node)

        if isinstance(job.message, wire.Abort) and job.node in courier.silent:
            on_end(unreachable(job.node, self.node))  # asked again until it answers; nobody waits for that
        elif job.source is None:
            courier.request(job.node, job.message, on_end, job.body)
        else:
            upload = Upload(courier, job.node, job.source, on_end)
            self._uploads.append(upload)
            upload.start(job.message)

    def _take_waiting(self, courier: Courier, node: str) -> Sequence[_Job]:
        """What stands in line for a node that does not answer, and would wait as long all over again."""
        if node not in courier.silent:
            return ()  # only one of its connections was lost
        waiting = list(self._queues[node])
        self._queues[node].clear()
        return waiting


class Errand:
    """Requests to peers that one thread sends, and waits for together."""

    def __init__(self, shuffle: Shuffle, cancel: Switch) -> None:
        self._shuffle = shuffle
        self._cancel = cancel
        self._changed = threading.Condition()
        self._waiting = 0
        self._error: S4Error | None = None

    def post(
        self,
        node: str,
        message: Any,
        body: Body = b"",
        source: FilesSource | None = None,
        take: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Send; returns at once. `take` gets the reply, in the shuffle's thread, if it is no error."""

        def on_end(reply: Any) -> None:
            if not isinstance(reply, S4Error):
                take(reply)
            self._on_end(reply)

        with self._changed:
            self._waiting += 1
        self._shuffle.post(_Job(node, message, body, source, on_end))

    def _on_end(self, reply: Any) -> None:
        with self._changed:
            self._waiting -= 1
            if isinstance(reply, S4Error) and self._error is None:
                self._error = reply
            self._changed.notify()

    def wait(self, at_most: int = 0) -> None:
        """Until at most so many requests are out. Raises the first error, or Cancelled."""
        with self._cancel.heard_by(self._wake), self._changed:
            self._changed.wait_for(lambda: self._waiting <= at_most or self._error or self._cancel.is_on)
        if self._cancel.is_on:
            raise Cancelled("the job was ended")
        self._raise_error()

    def wait_for_all(self, limit_s: float | None = None) -> None:
        """Until all have answered, whatever becomes of the job. Raises the first error, and
        NodeUnreachable where the limit is over before."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting == 0, limit_s):
                raise NodeUnreachable("a node has not answered yet")
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error:
            raise self._error

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()
