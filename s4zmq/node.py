"""The node: one loop that owns the control socket and hands every request to the room it belongs to.

    this thread     ROUTER: receive, decode, dispatch, send replies; deadlines
    disk threads    requests about keys (`keyserver`), plans, staged parcels; in turns
    inbox           PULL: chunks to disk
    shuffle         DEALER and PUSH to the peers
    job threads     wait for commands; evals and verifies have one each
    gatekeeper      admits connections of holders of the cluster key
    S3 threads      copies from and to S3 (`s3copies`)

No handler in this thread touches the disk, so a ping is answered while a disk hangs. Other threads
reply through a mailbox. What a client started is registered under its session and ends with it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from . import codec, sockets, wire
from .caller import Caller, Letter
from .clusterkey import ClusterKey
from .codec import Body, failure_of
from .counters import Counters
from .courier import Courier
from .door import Door, Rest
from .errors import Cancelled, InternalError, NodeBusy, ProtocolError, S4Error, WrongRoster
from .evals import Evals
from .fates import Fates, Resolver
from .gatekeeper import Gatekeeper
from .history import History
from .inbox import Inbox
from .indoubt import InDoubt
from .jobs import Jobs
from .keyserver import KeyServer
from .ledger import Ledger
from .limits import (
    BATCH_MAX_BYTES,
    DRAIN_S,
    LOG_BYTES_PER_JOB,
    REQUEST_HEADER_MAX_BYTES,
    TICK_S,
)
from .lookout import Lookout
from .memory import release_freed_buffers
from .outputs import Outputs
from .placement import Roster
from .processes import Registry
from .reception import Reception
from .recount import Recount
from .s3copies import Copies
from .sessions import Sessions
from .shell import Shell
from .shipment import Dock
from .shuffle import Shuffle
from .staging import Staging
from .store import Store
from .supervisor import Supervisor
from .tasks import Workshop
from .turns import Turns
from .usages import Usages
from .verifier import Verifier

log = logging.getLogger(__name__)

_STOPPING_S = 3.0
_STRANGERS_PRICE = 8.0
_TAKEN_WHILE_DRAINING = (wire.Commit, wire.Abort, wire.Settle, wire.Fates)
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

    key: ClusterKey | None = None
    """None: whoever reaches a port is heard."""

    supervisor: Supervisor = Supervisor()
    """Hears when the node serves, lives and stops."""


class Node:
    """One node of a cluster. `run` serves until `drain` was called."""

    def __init__(
        self, options: NodeOptions, roster: Roster, store: Store, shell: Shell, registry: Registry
    ) -> None:
        self.boot = os.urandom(8)
        self.address = options.address
        self._roster_digest = roster.digest
        self._context = sockets.Context(options.key)
        self._gatekeeper = Gatekeeper(self._context) if options.key else None
        if self._gatekeeper:
            self._gatekeeper.start()  # before any socket is bound
        self._drain_until = 0.0
        self._next_tick = 0.0
        self._has_worked = False
        self._held_before = (0, 0)
        self._registry = registry
        self._supervisor = options.supervisor
        self._store = store
        self._disk = Turns(options.disk_threads, "disk")
        self._sessions = sessions = Sessions()
        host = options.address.rpartition(":")[0]
        self._inbox = Inbox(self._context, host, options.data_port, sessions)
        control_port = int(options.address.rpartition(":")[2])
        self._door = Door(control_port, self._inbox.port)
        self._data_rest = Rest(self._door, self._inbox.port)
        self._reception = reception = Reception(
            self._context,
            options.address,
            self._door,
            self._disk,
            take=self._dispatch,
            end_lost=lambda session, id: sessions.end(session, (session, id)),
        )
        self._admissions, self._replies = reception.admissions, reception.replies
        with store.disk_errors("can not read what earlier runs have left"):
            ledger, in_doubt = Ledger(store.root, roster), InDoubt(store.root)
            self._history = History(store.root)
            self._copies = Copies(store, roster, sessions)
        counters = Counters()
        self._keys = KeyServer(
            store,
            roster,
            self._inbox,
            sessions,
            ledger=ledger,
            counters=counters,
            file_folder=self._file_folder,
        )
        self._outputs, self._in_doubt = Outputs(store), in_doubt
        self._staging = Staging(
            store,
            self._keys,
            self._inbox,
            sessions,
            in_doubt=in_doubt,
            outputs=self._outputs,
            later=self._later,
        )
        self._open_workshop(options, roster, shell, ledger, counters)
        self._quick: Mapping[type, Handler] = self._quick_handlers()
        self._slow: Mapping[type, Handler] = self._slow_handlers()

    def _open_workshop(
        self, options: NodeOptions, roster: Roster, shell: Shell, ledger: Ledger, counters: Counters
    ) -> None:
        """What runs commands, walks over keys, and tells of all that."""
        store, sessions = self._store, self._sessions
        self._fates = Fates(ledger)
        resolver = Resolver(options.address, self._in_doubt, self._fates, self._staging)
        self._shuffle = Shuffle(
            lambda: Courier(roster, self._context, options.address), options.address, resolver
        )
        dock = Dock(self._shuffle, self._staging, self._fates)
        shop = Workshop(
            options.address, roster, store, shell, dock, self._outputs, ledger, self._history, counters
        )
        self._jobs = Jobs(shop, options.commands, sessions, self._later)
        self._evals = Evals(store, shell, self._keys, sessions)
        self._verifier = Verifier(store, sessions)
        self._usages = Usages(store, sessions)
        self._recount = Recount(store)
        self.lookout = Lookout(
            store, self._jobs, self._history, counters, counts=self.counts, totals=self._totals
        )

    def _quick_handlers(self) -> Mapping[type, Handler]:
        """Handlers of this thread: they must not touch the disk."""
        return {
            wire.Ping: self._on_ping,
            wire.Stats: self._on_stats,
            wire.Close: self._on_close,
            wire.Drop: self._on_drop,
            wire.Allow: lambda allow, _, caller: self._evals.on_allow(allow, caller),
            wire.CancelJob: self._jobs.on_cancel,
            wire.ListJobs: self.lookout.on_list_jobs,
            wire.Status: self.lookout.on_status,
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
            wire.Fates: self._fates.on_fates,
            wire.Census: self._outputs.on_census,
            wire.Clear: self._outputs.on_clear,
            wire.StageIn: self._copies.on_copy,
            wire.StageOut: self._copies.on_copy,
            wire.JobLogs: self.lookout.on_job_logs,
            wire.Usage: self._usages.on_usage,
        }

    # -- the loop

    def run(self) -> None:
        """Serve until drained. Owns the control socket: no other thread may touch it."""
        self._inbox.start()
        self._shuffle.start()
        self._door.start()
        self._copies.start()
        self._recount.start()
        self._supervisor.ready()
        while not self._is_drained():
            self._reception.wait()
            self._reception.serve()
            self._look_at_deadlines(time.monotonic())
        self._stop()

    def _dispatch(self, identity: bytes, frames: Sequence[memoryview]) -> None:
        try:
            envelope, body = codec.decode(frames)
            caller = Caller(identity, envelope.id, envelope.session, self._post)
            self._check(envelope, len(frames[1]))
            if envelope.id:  # the pings of a lease have none, and a connection of their own
                self._reception.hear(envelope.session, identity)
            handler = self._handler(envelope.message)
        except S4Error as error:
            self._has_worked = True
            self._reception.refuse(identity, frames, error)
            return
        try:
            handler(envelope.message, body, caller)
        except S4Error as error:
            caller.fail(error)

    def _post(self, letter: Letter) -> None:
        """A reply, from any thread. What a node cuts short is no fault of the request."""
        failure = letter.message
        if isinstance(failure, wire.Failure) and failure.code == Cancelled.code:
            letter = letter._replace(message=failure_of(self._why_ended(failure.text)))
        self._replies.put(letter)

    def _why_ended(self, text: str) -> S4Error:
        if self._drain_until:
            return NodeBusy(f"node {self.address} is shutting down: try again")
        return Cancelled(f"node {self.address}: {text}: try again")

    def _check(self, envelope: codec.Envelope, header_bytes: int) -> None:
        if envelope.roster != self._roster_digest:
            raise WrongRoster(
                f"this conf file and that of node {self.address} name different nodes, or in another"
                " order: give client and nodes the same file"
            )
        if len(envelope.session) != 8:
            raise ProtocolError("a request without a session of 8 bytes")
        if header_bytes > REQUEST_HEADER_MAX_BYTES and not isinstance(envelope.message, wire.Offer):
            raise ProtocolError(f"a header of more than {REQUEST_HEADER_MAX_BYTES} bytes")
        self._sessions.touch(envelope.session)

    def _handler(self, message: Any) -> Handler:
        quick = self._quick.get(type(message))
        if quick:
            return quick
        if type(message) not in self._slow:
            raise ProtocolError(f"{wire.OPS[type(message)]} is not a request")
        return self._admit

    def _admit(self, message: Any, body: Body, caller: Caller) -> None:
        """Hand a request to a disk thread."""
        identity, size = caller.identity, len(body)
        if self._admissions.knows(*caller.token):
            return  # sent again, but the first one had arrived
        if self._drain_until and not isinstance(message, _TAKEN_WHILE_DRAINING):
            raise NodeBusy(f"node {self.address} is shutting down")
        self._admissions.admit(
            *caller.token,
            identity,
            body_bytes=size,
            reply_bytes=_reply_bytes(message),
        )
        self._has_worked = True
        price = _STRANGERS_PRICE if self._reception.strangers.is_slow(identity) else 1.0
        self._disk.submit(identity, partial(self._on_disk_thread, message, body, caller), price)

    def _on_disk_thread(self, message: Any, body: Body, caller: Caller) -> None:
        try:
            with self._store.disk_errors(wire.OPS[type(message)]):
                self._slow[type(message)](message, body, caller)
        except S4Error as error:
            caller.fail(error)
        except Exception:
            log.exception("%s failed", wire.OPS[type(message)])
            caller.fail(InternalError(f"a bug on node {self.address}: see its log"))
        finally:
            self._admissions.started(caller.identity, len(body))

    def _later(self, function: Callable[..., object], *args: object) -> None:
        """Disk work that no request waits for."""

        def run() -> None:
            try:
                function(*args)
            except Exception:
                log.exception("%s failed", function.__name__)

        self._disk.submit(b"", run)

    def _file_folder(self, job: bytes, name: str) -> str:
        return self._jobs.file_folder(job, name)

    # -- requests that this thread answers

    def _on_ping(self, ping: wire.Ping, body: Body, caller: Caller) -> None:
        lost = [id for id in ping.pending if not self._admissions.knows(caller.session, id)]
        # A reply that waits in the mailbox belongs to a request that still counts as pending here,
        # and is sent before this pong.
        caller.answer(wire.Pong(self.boot, lost))

    def _on_stats(self, stats: wire.Stats, body: Body, caller: Caller) -> None:
        caller.answer(wire.StatsReply(self.counts()))

    def counts(self) -> dict[str, int]:
        """What is under way; all zero on an idle node."""
        return {
            "requests": len(self._admissions),
            "sessions": len(self._sessions),
            "transfers": len(self._inbox),
            "reserved": self._store.space.reserved,
            "listings": self._keys.listing_count,
            "jobs": len(self._jobs),
            "evals": len(self._evals),
            "verifies": len(self._verifier),
            "usages": len(self._usages),
            "commands": self._registry.running,
            "staged": len(self._staging),
            "in-doubt": len(self._in_doubt),
            "shuffle": len(self._shuffle),
            "copies": len(self._copies),
            "uploads": len(self._copies.uploads),
        }

    def _totals(self) -> dict[str, int]:
        return {
            "s4_transfers_total": self._inbox.opened,
            "s4_refused_messages_total": self._reception.nonsense,
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
        self._supervisor.alive()
        self._jobs.report()
        self._copies.report()
        self._sessions.expire()
        self._registry.sweep_orphans()
        self._rest()

    def _rest(self) -> None:
        """When the last request has ended, give memory back; once for each time of work."""
        held = (self._door.count, self._inbox.dropped)
        if len(self._admissions) or self._replies.parked or held != self._held_before:
            self._has_worked = True
        elif self._has_worked:
            self._has_worked = False
            self._disk.forget()
            self._later(release_freed_buffers)
        self._held_before = held
        if self._reception.rest():
            self._has_worked = True
        is_idle = not len(self._admissions) and not len(self._inbox)
        if self._data_rest.is_due(is_idle=is_idle, seen=(self._admissions.total, self._inbox.dropped)):
            self._inbox.bind_anew()
            self._has_worked = True

    def drain(self) -> None:
        """Refuse new work and end `run` when the old is done, or after DRAIN_S. For signal handlers."""
        self._drain_until = self._drain_until or time.monotonic() + DRAIN_S
        self._replies.wake()

    def _is_drained(self) -> bool:
        if not self._drain_until:
            return False
        self._supervisor.stopping()
        return not len(self._admissions) or time.monotonic() >= self._drain_until

    def _stop(self) -> None:
        """Tear down what is left, give its replies a moment to go out, and close."""
        self._sessions.close_all()
        until = time.monotonic() + _STOPPING_S
        self._recount.stop()
        works = (self._jobs, self._evals, self._verifier, self._usages)
        held = (*works, self._staging, self._inbox, self._copies)
        while any(held) and time.monotonic() < until:
            self._replies.send()
            time.sleep(0.01)
        self._copies.stop()
        self._shuffle.stop()
        self._inbox.stop()
        self._disk.stop()
        self._door.stop()
        self._reception.close()
        self._in_doubt.close()
        self._history.close()
        self._registry.sweep_orphans()
        if self._gatekeeper:
            self._gatekeeper.stop()
        self._context.term()


def _reply_bytes(message: Any) -> int:
    """How many bytes of values the reply to a request may carry."""
    if isinstance(message, wire.Fetch):
        return message.length
    if isinstance(message, wire.JobLogs):
        return LOG_BYTES_PER_JOB
    return BATCH_MAX_BYTES if isinstance(message, wire.Get) and message.inline else 0
