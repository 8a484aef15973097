"""One job on one node: counted, run by a few threads, and torn down in one place.

What it runs on comes from `inputs`, one run of the command is `tasks`' business, and who may have how
many jobs that of `jobs`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import wire
from .bashes import Bashes
from .caller import Caller
from .codec import row_of
from .commandtext import check_command, head_of
from .counting import Count, Judge
from .errors import (
    Cancelled,
    CommandFailed,
    InternalError,
    JobCancelled,
    KeyInvalid,
    ProtocolError,
    RequestError,
    S4Error,
)
from .harvest import Harvest
from .history import Record
from .inputs import Item, count_groups, count_map, group_items, map_items
from .joblogs import Entry
from .judging import FreshJudge, ResumeJudge
from .keys import Selection, parse_indir
from .limits import MAX_FAILURES_KEPT
from .recipes import NO_RECIPE, Recipe
from .scratch import shipped_folder
from .shell import Switch
from .slots import Slots
from .survey import Survey, clear
from .tasks import KINDS, Order, Workshop, run_task
from .trees import remove_tree

log = logging.getLogger(__name__)

MAX_COMMANDS_AT_ONCE = 1024


class Job:
    """One job on this node."""

    def __init__(self, plan: wire.Plan, session: bytes, shop: Workshop, slots: Slots) -> None:
        if plan.kind not in KINDS:
            raise ProtocolError(f"no such kind of job: {plan.kind!r:.40}")
        check_command(plan.command)
        self.plan = plan
        self.session = session
        self.selection = Selection.parse(plan.inputs)
        self.selection.matcher()  # a bad glob is told now
        self.outdir = parse_indir(plan.outdir)
        if self.outdir.path.startswith(self.selection.folder.path):
            raise KeyInvalid(
                f"{self.outdir} is inside {self.selection}: a map can not write into its inputs"
            )
        self.folder = shipped_folder(shop.store, plan.job)
        self.shipped = [f"{self.folder}/{_checked_file_name(name)}" for name, _ in plan.files]
        files = tuple(sorted((name, digest.hex()) for name, digest in plan.files))
        self.recipe = Recipe(plan.kind, str(self.selection), str(self.outdir), plan.command, files)
        self.fingerprint = self.recipe.fingerprint
        self.cancel = Switch()
        self.is_cancelled = False
        """Whether another client than its own has turned the switch."""
        self.caller: Caller | None = None
        self._shop = shop
        self._bashes = Bashes(shop.shell, plan.command)
        self._slots = Slots(min(plan.jobs, MAX_COMMANDS_AT_ONCE)) if plan.jobs else slots
        self._count = Count()
        self._lock = threading.Lock()
        self._items: Iterator[Item] = iter(())
        self._done = self._failed = self._bytes = 0
        self._harvest = Harvest(shop.roster.nodes)
        self._failures: list[wire.FailureRow] = []
        self._threads = 0
        self._has_begun = False
        self._reported: wire.Progress | None = None
        self._started = (time.time_ns(), time.monotonic())

    # -- planning

    def count(self) -> wire.Planned:
        """Look at the inputs and for conflicts; runs nothing. Asks the peers in a map-to-n."""
        resume = self.plan.resume
        if resume:
            self._shop.ledger.refuse_others(self.recipe)
        count = count_groups if self.plan.kind == "map-from-n" else count_map
        self._count = count(self._shop.store, self.selection, self._judge(), marked=resume)
        found = self._count
        conflicts = list(found.conflicts)
        return wire.Planned(
            found.keys, found.bytes, found.items, found.item_bytes, found.complete, conflicts
        )

    def _judge(self) -> Judge:
        store, resume = self._shop.store, self.plan.resume
        if self.plan.kind == "map-to-n":
            recipe = self.fingerprint if resume else NO_RECIPE
            return Survey(self._shop, self.outdir, recipe, self.cancel)
        return (
            ResumeJudge(store, self.outdir, self.fingerprint) if resume else FreshJudge(store, self.outdir)
        )

    # -- running

    def start(self, caller: Caller, on_end: Callable[[Job], None]) -> None:
        """Begin; `on_end` is called once, by the last thread. Raises StorageError or NoSpace."""
        self.caller = caller
        store = self._shop.store
        with store.disk_errors("can not note that a job runs"):
            self._shop.ledger.begin(self.recipe, resume=self.plan.resume)
        self._has_begun = True
        self._shop.history.begin(self.record())
        if self.plan.kind == "map-from-n":
            self._items = group_items(store, self.selection, self._count)
        else:
            self._items = map_items(store, self.selection, self._count)
        self._threads = 1
        threading.Thread(target=self._begin, args=(on_end,), name="job", daemon=True).start()

    def _begin(self, on_end: Callable[[Job], None]) -> None:
        """The first thread: make way, have the others start, and work like them."""
        with self._failing():
            self._clear_stale()
            # A task of map-to-n waits for its peers while the next one computes, so more threads
            # than slots.
            wanted = self._slots.count * (3 if self.plan.kind == "map-to-n" else 1)
            for _ in range(min(wanted, self._count.items) - 1):
                with self._lock:
                    self._threads += 1
                threading.Thread(target=self._work, args=(on_end,), name="job", daemon=True).start()
        self._work(on_end)

    def _clear_stale(self) -> None:
        """Remove what an earlier run has left of the inputs that are to run."""
        labels = self._count.stale or ()
        if self.plan.kind == "map-to-n":
            folders = (f"{self.outdir}{label}/" for label in labels)
            clear(self._shop, self.fingerprint, folders, self.cancel)
        else:
            for label in labels:
                self._shop.store.unlink(self.outdir.key(label))

    def _work(self, on_end: Callable[[Job], None]) -> None:
        with self._failing():
            while not self.cancel.is_on and (item := self._next()):
                self._run(item)
        with self._lock:
            self._threads -= 1
            is_last = self._threads == 0
        if is_last:
            on_end(self)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What goes wrong in a thread ends the job, and nothing else."""
        try:
            with self._shop.store.disk_errors("the job failed"):
                yield
        except S4Error as error:
            if not isinstance(error, Cancelled) or not self.cancel.is_on:
                self._note_failure(error)
            self.cancel.turn()
        except Exception:
            log.exception("a job's thread ended")
            self._note_failure(InternalError(f"a bug on node {self._shop.node}: see its log"))
            self.cancel.turn()

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
                        result = run_task(self.plan.kind, self._shop, order, item, attempt)
                except S4Error as error:
                    self._log(item, attempt, error)
                    if attempt < self.plan.retries and _may_retry(error) and not self.cancel.is_on:
                        continue
                    if not isinstance(error, Cancelled) or not self.cancel.is_on:
                        self._note_failure(error)
                    return
                with self._lock:
                    self._done += 1
                    self._bytes += item.size
                    self._harvest.add(self._subject(item), result)
                return
        finally:
            if item.members >= 0:
                os.close(item.members)

    def _subject(self, item: Item) -> str:
        """The key that a task is about: `$S4_KEY` of its command."""
        return str(self.outdir.key(item.label)) if item.members >= 0 else f"s4://{item.path}"

    def _order(self) -> Order:
        plan = self.plan
        return Order(
            plan.job,
            self.fingerprint,
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

    def _log(self, item: Item, attempt: int, error: S4Error) -> None:
        """Keep what the failed attempt has to say. One that was ended from outside is no failure."""
        if isinstance(error, Cancelled):
            return
        key, status, stderr, cut = f"s4://{item.path}", 0, b"", 0
        if isinstance(error, CommandFailed):
            key, status = error.details["key"], error.details.get("status", 0)
            stderr, cut = error.stderr, error.stderr_cut
        text = error.text.partition("\n")[0].rstrip(":")
        entry = Entry(str(key), attempt + 1, int(status), time.time_ns(), text, stderr, cut)
        self._shop.history.logs.note(self.plan.job, entry)

    # -- reporting

    def record(self, state: str = "running") -> Record:
        """How far it is, for who lists jobs."""
        plan, (started_ns, started) = self.plan, self._started
        numbers = (self._count.items, self._done, self._failed, self._bytes)
        return Record(
            plan.job,
            plan.kind,
            str(self.selection),
            str(self.outdir),
            head_of(plan.command),
            state,
            *numbers,
            started_ns,
            time.monotonic() - started,
        )

    def _final_state(self) -> str:
        if self._has_begun and not self._failed and self._done == self._count.items:
            return "done"
        if self.is_cancelled:
            return "cancelled"
        if self._failed:
            return "failed"
        return "stopped" if self.cancel.is_on else "done"

    def cancelled(self) -> JobCancelled:
        """The error for whoever wanted to run it."""
        return JobCancelled(
            f"the {self.plan.kind} from {self.selection} to {self.outdir} was cancelled by another client"
            f" (s4 cancel {self.plan.job.hex()[:8]}): what it has made stays, and --resume would finish it"
        )

    def report(self) -> None:
        """Tell the client the counts, where they have changed."""
        progress = wire.Progress(self._done, self._failed, self._bytes)
        if self.caller and progress != self._reported:
            self._reported = progress
            self.caller.answer(progress)

    def close(self) -> None:
        """After the last thread: remove what is left."""
        self._close_items()
        self._count.close()
        self._bashes.close()
        remove_tree(self.folder)
        self.cancel.close()
        if self._has_begun:
            self._shop.ledger.end(self.fingerprint)
        if self._has_begun or self.is_cancelled:
            self._shop.history.end(self.record(self._final_state()))

    def answer(self) -> None:
        """After `close`: tell the client how it ended, if it was run."""
        if self.caller is None:
            return
        state = self._final_state()
        if state == "cancelled":
            self.caller.fail(self.cancelled())
        elif state == "stopped":
            self.caller.fail(Cancelled("the job was ended, as its client stopped it or was not heard of"))
        else:
            counts, made = (self._done, self._failed, self._bytes), self._harvest
            self.caller.answer(wire.JobDone(*counts, made.outputs, made.made, made.slowest, self._failures))

    def _close_items(self) -> None:
        close = getattr(self._items, "close", None)
        if close:
            close()


def _may_retry(error: S4Error) -> bool:
    """A command or the world may do better next time; a request that is wrong stays wrong."""
    return not isinstance(error, RequestError)


def _checked_file_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > 255:
        raise RequestError(f"a shipped file can not have the name {name!r:.80}")
    return name
