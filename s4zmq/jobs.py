"""The jobs of a node: planned, run, stopped, and ended in one place.

    Plan ---> planned ---> Run ---> running ---> JobDone     (with what failed, if anything did)
                 \\                     \\------> Failure     (CancelJob, a lost lease)
                  \\---> gone                                 in each case nothing is left but outputs

The client has Run a job only when every node has planned it, so a conflict anywhere is found before
any command starts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from . import wire
from .caller import Caller
from .codec import Body
from .errors import (
    Cancelled,
    ConnectionLost,
    InternalError,
    JobCancelled,
    NodeBusy,
    ProtocolError,
    RequestError,
    S4Error,
)
from .history import Record
from .job import Job
from .limits import LEASE_S, MAX_JOBS, MAX_SHIPPED_FILES
from .sessions import Sessions
from .slots import Slots
from .tasks import Workshop

log = logging.getLogger(__name__)

_TEARDOWN_S = 4.0


class Jobs:
    """The jobs of one node."""

    def __init__(self, shop: Workshop, slots: int, sessions: Sessions, later: Callable[..., Any]) -> None:
        self._shop = shop
        self._slots = Slots(slots)
        self._sessions = sessions
        self._later = later
        self._lock = threading.RLock()  # who listens to a job's switch may need it while it is turned
        self._ended = threading.Condition(self._lock)
        self._jobs: dict[bytes, Job] = {}
        self._planning: set[bytes] = set()
        self._running: set[bytes] = set()
        self._closing: set[bytes] = set()

    def on_plan(self, plan: wire.Plan, body: Body, caller: Caller) -> None:
        """Plan a job and make room for its shipped files, in a thread: it may have to wait for peers,
        who plan the same job."""
        if len(self._jobs) >= MAX_JOBS:
            raise NodeBusy(f"{MAX_JOBS} jobs are under way on node {self._shop.node}: try again")
        if len(plan.files) > MAX_SHIPPED_FILES:
            raise RequestError(f"more than {MAX_SHIPPED_FILES} shipped files")
        job = Job(plan, caller.session, self._shop, self._slots)
        try:
            self._register(job)
        except BaseException:
            job.close()
            raise
        threading.Thread(target=self._plan, args=(job, caller), name="plan", daemon=True).start()

    def _plan(self, job: Job, caller: Caller) -> None:
        reply: object
        try:
            with self._shop.store.disk_errors("can not plan the job"):
                self._wait_for_same(job)
                reply = job.count()
                if job.shipped and not job.plan.dry_run:
                    os.mkdir(job.folder)
        except S4Error as error:
            reply = error
        except Exception:
            log.exception("a plan failed")
            reply = InternalError(f"a bug on node {self._shop.node}: see its log")
        with self._lock:
            self._planning.discard(job.plan.job)
            is_over = job.cancel.is_on or job.plan.dry_run or isinstance(reply, S4Error)
        if is_over:
            self._close(job)
        if job.is_cancelled:
            caller.fail(job.cancelled())
        elif isinstance(reply, S4Error):
            caller.fail(reply)
        else:
            caller.answer(reply)

    def _wait_for_same(self, job: Job) -> None:
        """The same run may still be under way for a client that is gone, until its lease ends. Raises
        NodeBusy where it goes on."""
        with job.cancel.heard_by(self._wake), self._ended:
            is_free = self._ended.wait_for(
                lambda: job.cancel.is_on or not self._has_same(job), LEASE_S + _TEARDOWN_S
            )
        if not is_free:
            raise self._busy(job)

    def _has_same(self, job: Job) -> bool:
        """Under the lock."""
        return any(self._jobs[id].fingerprint == job.fingerprint for id in self._running)

    def _busy(self, job: Job) -> NodeBusy:
        return NodeBusy(
            f"the same {job.plan.kind} from {job.selection} to {job.outdir} is under way on node"
            f" {self._shop.node}: wait for its end, or stop it"
        )

    def _wake(self) -> None:
        with self._ended:
            self._ended.notify_all()

    def _register(self, job: Job) -> None:
        id = job.plan.job
        with self._lock:
            if id in self._jobs:
                raise ProtocolError("a job with this id is planned already")
            self._jobs[id] = job
            self._planning.add(id)
        try:
            self._sessions.own(job.session, id, lambda: self.stop(id))
        except BaseException:
            del self._jobs[id]
            self._planning.discard(id)
            raise

    def on_run(self, run: wire.Run, body: Body, caller: Caller) -> None:
        """Start a planned job; the reply comes at its end."""
        job = self._jobs.get(run.job)
        self._refuse_cancelled(run.job)
        if job is None or run.job in self._running | self._planning:
            raise self._lost()
        missing = [path for path in job.shipped if not os.path.exists(path)]
        if missing:
            raise RequestError(f"the shipped file {os.path.basename(missing[0])} did not arrive")
        with self._lock:
            if job.is_cancelled:
                raise job.cancelled()
            if job.cancel.is_on:
                raise Cancelled("the job was ended")
            if self._has_same(job):
                raise self._busy(job)
            self._running.add(run.job)
        try:
            job.start(caller, self._close)
        except BaseException:
            job.caller = None  # this request's failure is the answer
            self._close(job)
            raise

    def _refuse_cancelled(self, id: bytes) -> None:
        """Raises JobCancelled where that has come between the plan and the run."""
        ended = self._shop.history.find(id)
        if ended and ended.state == "cancelled":
            raise JobCancelled(f"the job {id.hex()[:8]} was cancelled by another client before it ran")

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(
            f"node {self._shop.node} has lost the plan of this job: it was restarted, or did not hear of"
            " the client for too long; try again"
        )

    def on_cancel(self, request: wire.CancelJob, body: Body, caller: Caller) -> None:
        """Stop a job; its Run gets the reply that tells when all is gone. Its own client does so when it
        has failed elsewhere; any other one is a person who wants it to end."""
        job = self._jobs.get(request.job)
        if job and caller.session != job.session and not job.cancel.is_on:
            job.is_cancelled = True
        self.stop(request.job)
        caller.answer(wire.Ok())

    def file_folder(self, job: bytes, name: str) -> str:
        """Where a shipped file of a planned job goes. Raises RequestError for any other name."""
        found = self._jobs.get(job)
        if found is None:
            self._refuse_cancelled(job)
            raise self._lost()
        if name not in dict(found.plan.files):
            raise RequestError(f"no job expects the file {name!r:.80}")
        return found.folder

    def stop(self, id: bytes) -> None:
        """Tear a job down, whatever it is at. Does not block."""
        job = self._jobs.get(id)
        if job is None:
            return
        with self._lock:
            job.cancel.turn()
            has_a_thread = id in self._running | self._planning
        if not has_a_thread:
            self._later(self._close, job)

    def _close(self, job: Job) -> None:
        """The one end of every job."""
        id = job.plan.job
        with self._lock:
            if self._jobs.get(id) is not job or id in self._closing:
                return
            self._closing.add(id)
        self._sessions.release(job.session, id)
        job.close()
        with self._ended:
            del self._jobs[id]
            self._closing.discard(id)
            self._running.discard(id)
            self._ended.notify_all()
        job.answer()

    def records(self) -> Sequence[Record]:
        """The jobs under way, then those that have ended, newest first. Does not touch the disk."""
        running = [job.record() for job in list(self._jobs.values()) if not job.plan.dry_run]
        known = {record.job for record in running}
        ended = [record for record in self._shop.history.newest_first() if record.job not in known]
        return [*running[::-1], *ended]

    def report(self) -> None:
        """Progress of all running jobs to their clients."""
        for job in list(self._jobs.values()):
            job.report()

    def __len__(self) -> int:
        return len(self._jobs)
