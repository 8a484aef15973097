"""The node: one loop that owns the control socket and hands every request to the room it belongs to.

    this thread     ROUTER: receive, decode, dispatch, send replies; deadlines
    disk threads    requests about keys (`keyserver`), plans, staged parcels
    inbox           PULL: chunks to disk
    shuffle         DEALER and PUSH to the peers
    job threads     wait for commands; evals and verifies have one each

No handler in this thread touches the disk, so a ping is answered while a disk hangs. Other threads
reply through a mailbox. What a client started is registered under its session and ends with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import zmq

from . import codec, sockets, wire
from .caller import Caller, Letter
from .codec import Body
from .courier import Courier
from .errors import Cancelled, InternalError, NodeBusy, ProtocolError, QueueFull, S4Error, WrongRoster
from .evals import Evals
from .inbox import Inbox
from .jobs import Jobs
from .keyserver import KeyServer
from .limits import (
    BATCH_MAX_BYTES,
    DRAIN_S,
    MAX_PARKED,
    MAX_QUEUED_BYTES,
    MAX_REPLY_BYTES,
    MAX_REQUESTS,
    TICK_S,
)
from .mailbox import Mailbox
from .memory import release_freed_buffers
from .outstanding import Outstanding
from .placement import Roster
from .processes import Registry
from .sessions import Sessions
from .shell import Shell
from .shuffle import Shuffle
from .staging import Staging
from .store import Store
from .tasks import Workshop
from .verifier import Verifier

log = logging.getLogger(__name__)

_STOPPING_S = 3.0
_RECEIVE_AT_ONCE = 256
Handler = Callable[[Any, Body, Caller], None]


class NodeOptions(NamedTuple):
    """How one node is to run."""

    address: str
    """host:port of its own line in the roster."""

    data_port: int
    """0: the kernel chooses."""

    commands: int
    """Commands of maps at once."""

    disk_threads: int


class Node:
    """One node of a cluster. `run` serves until `drain` was called."""

    def __init__(
        self, options: NodeOptions, roster: Roster, store: Store, shell: Shell, registry: Registry
    ) -> None:
        self.boot = os.urandom(8)
        self.address = options.address
        self._roster_digest = roster.digest
        self._context = sockets.new_context()
        self._control = sockets.bind_control(self._context, options.address)
        self._outgoing: Mailbox[Letter | None] = Mailbox()
        self._parked: dict[bytes, deque[Letter]] = {}
        self._requests: set[tuple[bytes, int]] = set()
        self._queued_bytes = 0
        self._outstanding = Outstanding(MAX_REPLY_BYTES)
        self._lock = threading.Lock()
        self._drain_until = 0.0
        self._next_tick = 0.0
        self._has_worked = False
        self._registry = registry
        self._store = store
        self._disk = ThreadPoolExecutor(options.disk_threads, thread_name_prefix="disk")
        self._sessions = sessions = Sessions()
        host = options.address.rpartition(":")[0]
        self._inbox = Inbox(self._context, host, options.data_port, sessions)
        self._keys = KeyServer(store, roster, self._inbox, sessions, self._file_folder)
        self._staging = Staging(store, self._keys, self._inbox, sessions, self._later)
        self._shuffle = Shuffle(lambda: Courier(roster, self._context), options.address, self._staging)
        shop = Workshop(options.address, roster, store, shell, self._shuffle)
        self._jobs = Jobs(shop, options.commands, sessions, self._later)
        self._evals = Evals(store, shell, self._keys, sessions)
        self._verifier = Verifier(store, sessions)
        self._quick: Mapping[type, Handler] = self._quick_handlers()
        self._slow: Mapping[type, Handler] = self._slow_handlers()

    def _quick_handlers(self) -> Mapping[type, Handler]:
        """Handlers of this thread: they must not touch the disk."""
        return {
            wire.Ping: self._on_ping,
            wire.Stats: self._on_stats,
            wire.Close: self._on_close,
            wire.Drop: self._on_drop,
            wire.Allow: lambda allow, _, caller: self._evals.on_allow(allow, caller),
            wire.CancelJob: self._jobs.on_cancel,
        }

    def _slow_handlers(self) -> Mapping[type, Handler]:
        """Handlers of the disk threads."""
        return {
            wire.Put: self._keys.on_put,
            wire.Open: self._keys.on_open,
            wire.Room: self._keys.on_room,
            wire.Get: self._keys.on_get,
            wire.Fetch: self._keys.on_fetch,
            wire.List: self._keys.on_list,
            wire.More: self._keys.on_more,
            wire.Occupied: self._keys.on_occupied,
            wire.Delete: self._keys.on_delete,
            wire.DeleteBelow: self._keys.on_delete_below,
            wire.Verify: self._verifier.on_verify,
            wire.Eval: self._evals.on_eval,
            wire.Plan: self._jobs.on_plan,
            wire.Run: self._jobs.on_run,
            wire.Offer: self._staging.on_offer,
            wire.Commit: self._staging.on_commit,
            wire.Abort: self._staging.on_abort,
            wire.Settle: self._staging.on_settle,
        }

    # -- the loop

    def run(self) -> None:
        """Serve until drained. Owns the control socket: no other thread may touch it."""
        self._inbox.start()
        self._shuffle.start()
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        poller.register(self._outgoing.fd, zmq.POLLIN)
        while not self._is_drained():
            poller.poll(int((0.01 if self._parked else TICK_S) * 1000))
            self._send_replies()
            self._receive()
            self._send_replies()
            self._look_at_deadlines(time.monotonic())
        self._stop()

    def _receive(self) -> None:
        for _ in range(_RECEIVE_AT_ONCE):
            try:
                frames = self._control.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._dispatch([frame.buffer for frame in frames])

    def _dispatch(self, frames: list[memoryview]) -> None:
        identity = bytes(frames[0])
        try:
            envelope, body = codec.decode(frames[1:])
        except S4Error as error:
            Caller(identity, codec.salvage_id(frames[1:]), b"", self._outgoing.put).fail(error)
            return
        caller = Caller(identity, envelope.id, envelope.session, self._outgoing.put)
        try:
            self._check(envelope)
            self._hand_over(envelope.message, body, caller)
        except S4Error as error:
            caller.fail(error)

    def _check(self, envelope: codec.Envelope) -> None:
        if envelope.roster != self._roster_digest:
            raise WrongRoster(
                f"this conf file and that of node {self.address} name different nodes, or in another"
                " order: give client and nodes the same file"
            )
        if len(envelope.session) != 8:
            raise ProtocolError("a request without a session of 8 bytes")
        self._sessions.touch(envelope.session)

    def _hand_over(self, message: Any, body: Body, caller: Caller) -> None:
        quick = self._quick.get(type(message))
        if quick:
            quick(message, body, caller)
            return
        slow = self._slow.get(type(message))
        if slow is None:
            raise ProtocolError(f"{wire.OPS[type(message)]} is not a request")
        token = (caller.identity, caller.id)
        if token in self._requests:
            return  # sent again, but the first one had arrived
        if self._drain_until and not isinstance(message, (wire.Commit, wire.Abort, wire.Settle)):
            raise NodeBusy(f"node {self.address} is shutting down")
        if len(self._requests) >= MAX_REQUESTS or self._queued_bytes > MAX_QUEUED_BYTES:
            raise QueueFull(f"node {self.address} has too much to do: try again")
        if not self._outstanding.reserve(caller.identity, caller.id, _reply_bytes(message)):
            raise QueueFull(f"node {self.address} has too many bytes on their way: try again")
        self._requests.add(token)
        self._has_worked = True
        self._count_queued(len(body))
        self._disk.submit(self._on_disk_thread, slow, message, body, caller)

    def _on_disk_thread(self, handler: Handler, message: Any, body: Body, caller: Caller) -> None:
        try:
            with self._store.disk_errors(wire.OPS[type(message)]):
                handler(message, body, caller)
        except S4Error as error:
            caller.fail(error)
        except Exception:
            log.exception("%s failed", wire.OPS[type(message)])
            caller.fail(InternalError(f"a bug on node {self.address}: see its log"))
        finally:
            self._count_queued(-len(body))

    def _count_queued(self, change_bytes: int) -> None:
        with self._lock:
            self._queued_bytes += change_bytes

    def _later(self, function: Callable[..., object], *args: object) -> None:
        """Disk work that no request waits for."""

        def run() -> None:
            try:
                function(*args)
            except Exception:
                log.exception("%s failed", function.__name__)

        self._disk.submit(run)

    def _file_folder(self, job: bytes, name: str) -> str:
        return self._jobs.file_folder(job, name)

    # -- replies

    def _send_replies(self) -> None:
        for identity in list(self._parked):
            waiting = self._parked.pop(identity)
            while waiting and self._try_send(waiting[0]):
                waiting.popleft()
            if waiting:
                self._parked[identity] = waiting
        for letter in self._outgoing.take():
            if letter is not None:
                self._send(letter)

    def _send(self, letter: Letter) -> None:
        waiting = self._parked.get(letter.identity)
        if waiting is None and self._try_send(letter):
            return
        if waiting is None:
            waiting = self._parked[letter.identity] = deque()
        waiting.append(letter)
        if len(waiting) > MAX_PARKED:
            log.warning("a client takes no replies: %d are dropped", len(waiting))
            for dropped in self._parked.pop(letter.identity):
                self._forget(dropped)

    def _try_send(self, letter: Letter) -> bool:
        """False where the client is too slow for now; a client that is gone counts as sent."""
        frames: list[Body] = [letter.identity, *codec.encode(letter.message, letter.id)]
        if len(letter.body):
            frames.append(self._outstanding.watch(letter.identity, letter.body))
        try:
            self._control.send_multipart(frames, zmq.NOBLOCK, copy=len(letter.body) < 65536)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
        if type(letter.message) not in wire.INTERIM:
            self._forget(letter)
        return True

    def _forget(self, letter: Letter) -> None:
        """The request has had its final reply."""
        self._requests.discard((letter.identity, letter.id))
        self._outstanding.settle(letter.identity, letter.id)

    # -- requests that this thread answers

    def _on_ping(self, ping: wire.Ping, body: Body, caller: Caller) -> None:
        lost = [id for id in ping.pending if (caller.identity, id) not in self._requests]
        # A reply that waits in the mailbox belongs to a request that still counts as pending here,
        # and is sent before this pong.
        caller.answer(wire.Pong(self.boot, lost))

    def _on_stats(self, stats: wire.Stats, body: Body, caller: Caller) -> None:
        caller.answer(wire.StatsReply(self.counts()))

    def counts(self) -> dict[str, int]:
        """What is under way; all zero on an idle node."""
        return {
            "requests": len(self._requests),
            "sessions": len(self._sessions),
            "transfers": len(self._inbox),
            "reserved": self._store.space.reserved,
            "listings": self._keys.listing_count,
            "jobs": len(self._jobs),
            "evals": len(self._evals),
            "verifies": len(self._verifier),
            "commands": self._registry.running,
            "staged": len(self._staging),
            "shuffle": len(self._shuffle),
        }

    def _on_close(self, close: wire.Close, body: Body, caller: Caller) -> None:
        self._sessions.close(caller.session)
        caller.answer(wire.Ok())

    def _on_drop(self, drop: wire.Drop, body: Body, caller: Caller) -> None:
        self._inbox.discard(drop.transfer, Cancelled("the transfer was given up"))
        caller.answer(wire.Ok())

    # -- deadlines and the end

    def _look_at_deadlines(self, now: float) -> None:
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_S
        self._jobs.report()
        self._sessions.expire()
        self._registry.sweep_orphans()
        self._rest()

    def _rest(self) -> None:
        """When the last request has ended, give memory back; once for each time of work."""
        if self._requests or self._parked:
            self._has_worked = True
        elif self._has_worked:
            self._has_worked = False
            self._later(release_freed_buffers)

    def drain(self) -> None:
        """Refuse new work and end `run` when the old is done, or after DRAIN_S. For signal handlers."""
        self._drain_until = self._drain_until or time.monotonic() + DRAIN_S
        self._outgoing.put(None)

    def _is_drained(self) -> bool:
        if not self._drain_until:
            return False
        return not self._requests or time.monotonic() >= self._drain_until

    def _stop(self) -> None:
        """Tear down what is left, give its replies a moment to go out, and close."""
        self._sessions.close_all()
        until = time.monotonic() + _STOPPING_S
        held = (self._jobs, self._evals, self._verifier, self._staging, self._inbox)
        while any(held) and time.monotonic() < until:
            self._send_replies()
            time.sleep(0.01)
        self._shuffle.stop()
        self._inbox.stop()
        self._disk.shutdown(wait=True, cancel_futures=True)
        self._send_replies()
        self._control.close(linger=500)
        self._registry.sweep_orphans()
        self._context.term()


def _reply_bytes(message: Any) -> int:
    """How many bytes of values the reply to a request may carry."""
    if isinstance(message, wire.Fetch):
        return message.length
    return BATCH_MAX_BYTES if isinstance(message, wire.Get) and message.inline else 0
