"""Jobs on one node: planned, run by a few threads, and torn down in one place.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import wire
from .bashes import Bashes
from .caller import Caller
from .codec import Body, row_of
from .commandtext import check_command
from .errors import (
    Cancelled,
    InternalError,
    KeyInvalid,
    NodeBusy,
    ProtocolError,
    RequestError,
    S4Error,
)
from .inputs import Count, Item, count_groups, count_map, group_items, map_items
from .keys import Selection, parse_indir
from .limits import MAX_FAILURES_KEPT, MAX_JOBS, MAX_SHIPPED_FILES
from .listing import holds_key
from .scratch import shipped_folder
from .sessions import Sessions
from .shell import Switch
from .tasks import KINDS, Order, Workshop, run_task
from .trees import remove_tree

log = logging.getLogger(__name__)

MAX_COMMANDS_AT_ONCE = 1024


class Slots:
    """How many commands may run at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._changed = threading.Condition()

    @contextmanager
    def one(self, cancel: Switch) -> Iterator[None]:
        """Hold a slot. Raises Cancelled where the job ends before one is free."""
        if not self._take():
            with cancel.heard_by(self._wake), self._changed:
                self._changed.wait_for(lambda: self._free > 0 or cancel.is_on)
                if cancel.is_on:
                    raise Cancelled("the job was ended")
                self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _take(self) -> bool:
        """A slot that is free; a map has a thread for each, so that it nearly always finds one."""
        with self._changed:
            is_free = self._free > 0
            self._free -= is_free
            return is_free

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Job:
    """One job on this node."""

    def __init__(self, plan: wire.Plan, session: bytes, shop: Workshop, slots: Slots) -> None:
        if plan.kind not in KINDS:
            raise ProtocolError(f"no such kind of job: {plan.kind!r:.40}")
        check_command(plan.command)
        self.plan = plan
        self.session = session
        self.selection = Selection.parse(plan.inputs)
        self.outdir = parse_indir(plan.outdir)
        if self.outdir.path.startswith(self.selection.folder.path):
            raise KeyInvalid(
                f"{self.outdir} is inside {self.selection}: a map can not write into its inputs"
            )
        self.folder = shipped_folder(shop.store, plan.job)
        self.shipped = [f"{self.folder}/{_checked_file_name(name)}" for name in plan.files]
        self.cancel = Switch()
        self.caller: Caller | None = None
        self._shop = shop
        self._bashes = Bashes(shop.shell, plan.command)
        self._slots = Slots(min(plan.jobs, MAX_COMMANDS_AT_ONCE)) if plan.jobs else slots
        self._count = Count(0, 0, 0, [], [])
        self._lock = threading.Lock()
        self._items: Iterator[Item] = iter(())
        self._done = self._failed = self._bytes = self._outputs = 0
        self._failures: list[wire.FailureRow] = []
        self._threads = 0
        self._reported: wire.Progress | None = None

    # -- planning

    def count(self) -> wire.Planned:
        """Look at the inputs and for conflicts; runs nothing."""
        store = self._shop.store
        if self.plan.kind == "map-from-n":
            self._count = count_groups(store, self.selection, self.outdir)
        else:
            one_to_one = self.plan.kind == "map"
            self._count = count_map(store, self.selection, self.outdir, one_to_one=one_to_one)
        count = self._count
        used = holds_key(store, self.outdir.path)
        return wire.Planned(count.keys, count.bytes, count.items, count.conflicts, used)

    # -- running

    def start(self, caller: Caller, on_end: Callable[[Job], None]) -> None:
        """Begin; `on_end` is called once, by the last thread."""
        self.caller = caller
        store = self._shop.store
        if self.plan.kind == "map-from-n":
            self._items = group_items(store, self.selection, self._count)
        else:
            self._items = map_items(store, self.selection, self._count)
        # A task of map-to-n waits for its peers while the next one computes, so more threads
        # than slots.
        wanted = self._slots.count * (3 if self.plan.kind == "map-to-n" else 1)
        self._threads = max(1, min(wanted, self._count.items))
        for _ in range(self._threads):
            threading.Thread(target=self._work, args=(on_end,), name="job", daemon=True).start()

    def _work(self, on_end: Callable[[Job], None]) -> None:
        try:
            while not self.cancel.is_on:
                item = self._next()
                if item is None:
                    break
                self._run(item)
        except S4Error as error:
            self._note_failure(error)
        except Exception:
            log.exception("a job's thread ended")
            self._note_failure(InternalError(f"a bug on node {self._shop.node}: see its log"))
        with self._lock:
            self._threads -= 1
            is_last = self._threads == 0
        if is_last:
            on_end(self)

    def _next(self) -> Item | None:
        with self._lock:
            return next(self._items, None)

    def _run(self, item: Item) -> None:
        """One item with its retries."""
        order = self._order()
        try:
            for attempt in range(self.plan.retries + 1):
                try:
                    with self._shop.store.disk_errors(f"the task of s4://{item.path} failed"):
                        outputs = run_task(self.plan.kind, self._shop, order, item, attempt)
                except S4Error as error:
                    if attempt < self.plan.retries and _may_retry(error) and not self.cancel.is_on:
                        continue
                    if not isinstance(error, Cancelled) or not self.cancel.is_on:
                        self._note_failure(error)
                    return
                with self._lock:
                    self._done += 1
                    self._bytes += item.size
                    self._outputs += outputs
                return
        finally:
            if item.members >= 0:
                os.close(item.members)

    def _order(self) -> Order:
        plan = self.plan
        return Order(
            plan.job,
            self.outdir,
            plan.command,
            self._bashes,
            self.shipped,
            plan.timeout_s,
            self.cancel,
            lambda: self._slots.one(self.cancel),
        )

    def _note_failure(self, error: S4Error) -> None:
        with self._lock:
            self._failed += 1
            if self.cancel.is_on and self._failures:
                return  # the ones that were stopped because of the first
            if len(self._failures) < MAX_FAILURES_KEPT:
                self._failures.append(row_of(len(self._failures), error))
        if not self.plan.keep_going:
            self.cancel.turn()

    # -- reporting

    def report(self) -> None:
        """Tell the client the counts, where they have changed."""
        progress = wire.Progress(self._done, self._failed, self._bytes)
        if self.caller and progress != self._reported:
            self._reported = progress
            self.caller.answer(progress)

    def close(self) -> None:
        """After the last thread: remove what is left and answer."""
        self._close_items()
        self._bashes.close()
        remove_tree(self.folder)
        self.cancel.close()
        if self.caller is None:
            return
        if self.cancel.is_on and not self._failures:
            self.caller.fail(Cancelled("the job was ended"))
        else:
            self.caller.answer(
                wire.JobDone(self._done, self._failed, self._bytes, self._outputs, self._failures)
            )

    def _close_items(self) -> None:
        close = getattr(self._items, "close", None)
        if close:
            close()


class Jobs:
    """The jobs of one node."""

    def __init__(self, shop: Workshop, slots: int, sessions: Sessions, later: Callable[..., Any]) -> None:
        self._shop = shop
        self._slots = Slots(slots)
        self._sessions = sessions
        self._later = later
        self._lock = threading.Lock()
        self._jobs: dict[bytes, Job] = {}
        self._running: set[bytes] = set()

    def on_plan(self, plan: wire.Plan, body: Body, caller: Caller) -> None:
        """Plan a job and make room for its shipped files."""
        if len(self._jobs) >= MAX_JOBS:
            raise NodeBusy(f"{MAX_JOBS} jobs are under way on node {self._shop.node}: try again")
        if len(plan.files) > MAX_SHIPPED_FILES:
            raise RequestError(f"more than {MAX_SHIPPED_FILES} shipped files")
        job = Job(plan, caller.session, self._shop, self._slots)
        try:
            planned = job.count()
            if job.shipped:
                with self._shop.store.disk_errors("can not make a folder for shipped files"):
                    os.mkdir(job.folder)
            self._register(job)
        except BaseException:
            job.close()
            raise
        caller.answer(planned)

    def _register(self, job: Job) -> None:
        id = job.plan.job
        with self._lock:
            if id in self._jobs:
                raise ProtocolError("a job with this id is planned already")
            self._jobs[id] = job
        try:
            self._sessions.own(job.session, id, lambda: self.stop(id))
        except BaseException:
            del self._jobs[id]
            raise

    def on_run(self, run: wire.Run, body: Body, caller: Caller) -> None:
        """Start a planned job; the reply comes at its end."""
        job = self._jobs.get(run.job)
        if job is None or run.job in self._running:
            raise RequestError("no such planned job on this node: it was ended, or the node restarted")
        missing = [path for path in job.shipped if not os.path.exists(path)]
        if missing:
            raise RequestError(f"the shipped file {os.path.basename(missing[0])} did not arrive")
        with self._lock:
            if job.cancel.is_on:
                raise Cancelled("the job was ended")
            self._running.add(run.job)
        job.start(caller, self._close)

    def on_cancel(self, request: wire.CancelJob, body: Body, caller: Caller) -> None:
        """Stop a job; its Run gets the reply that tells when all is gone."""
        self.stop(request.job)
        caller.answer(wire.Ok())

    def file_folder(self, job: bytes, name: str) -> str:
        """Where a shipped file of a planned job goes. Raises RequestError for any other name."""
        found = self._jobs.get(job)
        if found is None or name not in found.plan.files:
            raise RequestError(f"no job expects the file {name!r:.80}")
        return found.folder

    def stop(self, id: bytes) -> None:
        """Tear a job down, whatever it is at. Does not block."""
        job = self._jobs.get(id)
        if job is None:
            return
        with self._lock:
            job.cancel.turn()
            is_running = id in self._running
        if not is_running:
            self._later(self._close, job)

    def _close(self, job: Job) -> None:
        """The one end of every job."""
        if self._jobs.pop(job.plan.job, None) is None:
            return
        self._running.discard(job.plan.job)
        self._sessions.release(job.session, job.plan.job)
        job.close()

    def report(self) -> None:
        """Progress of all running jobs to their clients."""
        for job in list(self._jobs.values()):
            job.report()

    def __len__(self) -> int:
        return len(self._jobs)


def _may_retry(error: S4Error) -> bool:
    """A command or the world may do better next time; a request that is wrong stays wrong."""
    return not isinstance(error, RequestError)


def _checked_file_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > 255:
        raise RequestError(f"a shipped file can not have the name {name!r:.80}")
    return name
