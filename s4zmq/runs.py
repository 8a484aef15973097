"""Starting a job on every node and waiting for its end: the client's side of the three maps.

First every node plans, so that a missing input or a conflict anywhere is an error before any command
runs; then scripts are shipped; then all nodes run. The client holds counts only. Prints nothing.

A run that resumes an earlier one says so in the plan: the nodes know what of it is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import wire
from .checksum import digest_of_file
from .codec import Body, error_of
from .commandtext import check_command
from .errors import Cancelled, CommandFailed, JobCancelled, KeyExists, LocalFileError, S4Error, map_errors
from .keys import Selection, parse_indir, show
from .limits import SLOWEST_KEPT
from .localfiles import open_to_read
from .puts import Item, Putter
from .session import Session, nothing_below, raise_first
from .units import times_mean


class JobOptions(NamedTuple):
    """What a user may say about a run."""

    retries: int = 0
    timeout_s: float = 0
    """Per command; 0: none."""
    jobs: int = 0
    """Commands at once per node; 0: the node's own number."""
    keep_going: bool = False
    resume: bool = False
    """Finish an earlier run of the same kind, inputs, outdir, command and files."""
    files: Sequence[str] = ()
    """Local paths of files that are shipped with the job."""


class NodeProgress(NamedTuple):
    """How far a job is on one node."""

    node: str
    done: int = 0
    """Commands that ended well."""

    failed: int = 0
    """Inputs that failed, after their retries."""

    bytes: int = 0
    """Of the inputs that are done."""

    commands: int = 0
    """How many are to run."""

    command_bytes: int = 0
    """Of their inputs."""


class Progress(NamedTuple):
    """How far a job is, on all nodes together. The fields are the sums of those of NodeProgress."""

    done: int
    failed: int
    bytes: int
    commands: int
    command_bytes: int
    nodes: Sequence[NodeProgress]


OnProgress = Callable[[Progress], object]
OnPlanned = Callable[[Mapping[str, wire.Planned]], object]
OnEnd = Callable[["Summary", Sequence["Failed"]], object]


class Failed(NamedTuple):
    """An input that failed, or a node that did."""

    node: str
    error: S4Error


class Slow(NamedTuple):
    """An input, or in a merge an output, whose command took long."""

    key: str
    node: str
    seconds: float


class NodeSummary(NamedTuple):
    """What a job did on one node."""

    node: str
    done: int
    bytes: int
    """Of the inputs that are done."""

    made_bytes: int
    """Of the outputs that are on this node now, wherever they were made."""


class Summary(NamedTuple):
    """What a job did on all nodes."""

    done: int
    """Commands that ended well."""

    bytes: int
    """Of their inputs."""

    outputs: int
    """Keys that were made."""

    made_bytes: int
    """Of the outputs."""

    moved_bytes: int
    """Of the outputs that are on another node than their input."""

    failed: int
    complete: int
    """Inputs, or groups of a merge, that an earlier run had done."""

    seconds: float
    """From the first question to the last reply."""

    slowest: Sequence[Slow]
    """A few, the slowest first."""

    nodes: Sequence[NodeSummary]
    """In the order of the roster."""

    @property
    def input_skew(self) -> float:
        """Bytes of inputs on the node that has most of them, as a multiple of the mean."""
        return times_mean([node.bytes for node in self.nodes])

    @property
    def output_skew(self) -> float:
        """The same of the outputs."""
        return times_mean([node.made_bytes for node in self.nodes])


class Job(NamedTuple):
    """What the three maps do to what. Made by `parse`, which checks all that needs no node."""

    plan: wire.Plan
    selection: Selection
    shipped: Mapping[str, str]
    """Local paths of shipped files by their names."""

    @classmethod
    def parse(cls, kind: str, indir: str, outdir: str, command: str, options: JobOptions) -> Job:
        """`kind` is map, map-to-n or map-from-n. Raises KeyInvalid, RequestError or LocalFileError."""
        check_command(command)
        selection, target = Selection.parse(indir), parse_indir(outdir)
        selection.matcher()  # a bad glob is told before any node is asked
        shipped = {_shipped_name(path): path for path in options.files}
        if len(shipped) < len(options.files):
            raise LocalFileError("two files given with --file have the same name")
        plan = wire.Plan(
            os.urandom(16),
            kind,
            str(selection),
            str(target),
            command,
            [(name, _digest_of(path)) for name, path in shipped.items()],
            options.retries,
            options.timeout_s,
            options.jobs,
            options.keep_going,
            options.resume,
            dry_run=False,
        )
        return cls(plan, selection, shipped)


def run_job(
    client: Session,
    job: Job,
    on_progress: OnProgress | None = None,
    *,
    on_planned: OnPlanned | None = None,
    on_end: OnEnd | None = None,
) -> Summary:
    """Run it to its end. Raises the first failure, after all nodes have ended the job. `on_progress` is
    called when commands begin and when its counts have changed, `on_planned` once before, and `on_end` with
    what was done and what failed, also where a failure is raised then."""
    started_at = time.monotonic()
    client.holds_work()
    planned = _plan(client, job)
    if on_planned:
        on_planned(planned)
    _ship(client, job.plan.job, job.shipped)
    running = _Running(client, job.plan, planned, on_progress)
    running.run()
    summary = running.summary(time.monotonic() - started_at)
    if on_end:
        on_end(summary, running.failures())
    running.raise_failures()
    return summary


def rehearse(client: Session, job: Job) -> Mapping[str, wire.Planned]:
    """What each node would do, in the order of the roster; changes nothing. Raises what `run_job`
    would raise before any command runs."""
    client.holds_work()
    return _plan(client, job._replace(plan=job.plan._replace(dry_run=True)))


def _shipped_name(path: str) -> str:
    """The name under which a file stands in the folders of the commands. Raises LocalFileError."""
    name = os.path.basename(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LocalFileError(f"the name {show(name)} of a shipped file is not UTF-8") from None
    if not os.path.isfile(path):
        raise LocalFileError(f"--file {show(path)}: there is no such plain file")
    return name


def _digest_of(path: str) -> bytes:
    fd = open_to_read(path)
    try:
        with map_errors({OSError: LocalFileError}, f"can not read {show(path)}"):
            return digest_of_file(fd)[1]
    finally:
        os.close(fd)


def _plan(client: Session, job: Job) -> Mapping[str, wire.Planned]:
    """Raises KeyNotFound where nothing is selected, KeyExists where an output is in the way."""
    replies = client.courier.ask_each({node: job.plan for node in client.roster.nodes}, resend=False)
    planned = {node: replies[node][0] for node in client.roster.nodes}
    if not sum(reply.keys for reply in planned.values()):
        raise nothing_below(job.selection)
    conflicts = [key for reply in planned.values() for key in reply.conflicts]
    if conflicts:
        whose = " and was not made by this run" if job.plan.resume else ""
        first = "" if job.plan.resume else "finish an earlier run of the same words with --resume, or "
        raise KeyExists(
            f"{min(conflicts)} already exists{whose}, so no command was run: {first}remove what is in"
            f" {job.plan.outdir}, or name another folder",
            key=min(conflicts),
        )
    return planned


def _ship(client: Session, job: bytes, shipped: Mapping[str, str]) -> None:
    putter = Putter(client, job=job)
    putter.put_all(Item(path, name, node) for name, path in shipped.items() for node in client.roster.nodes)


class _Running:
    """A job on all nodes: the first failure stops the others, and the end is when all have ended."""

    def __init__(
        self,
        client: Session,
        plan: wire.Plan,
        planned: Mapping[str, wire.Planned],
        on_progress: OnProgress | None,
    ) -> None:
        self._courier = client.courier
        self._plan = plan
        self._planned = planned
        self._on_progress = on_progress
        self._left = set(client.roster.nodes)
        self._stopped = False
        self._nodes = {
            node: NodeProgress(node, commands=reply.commands, command_bytes=reply.command_bytes)
            for node, reply in planned.items()
        }
        self._ended: dict[str, wire.JobDone] = {}
        self._errors: list[Failed] = []

    def run(self) -> None:
        """Start, and wait for every node."""
        self._tell()
        for node in sorted(self._left):
            message = wire.Run(self._plan.job)
            self._courier.request(node, message, self._on_reply_from(node), resend=False)
        self._courier.run_until(lambda: not self._left)

    def raise_failures(self) -> None:
        """The first, if there is one; see `_raise_failures`."""
        errors = [failed.error for failed in self._errors]
        _raise_failures(list(self._ended.values()), errors, keep_going=self._plan.keep_going)

    def failures(self) -> list[Failed]:
        """Of the inputs that the nodes have told of, and of whole nodes."""
        rows = [(node, row) for node, reply in self._ended.items() for row in reply.failures]
        return [*(Failed(node, error_of(row)) for node, row in rows), *self._errors]

    def summary(self, seconds: float) -> Summary:
        """After `run`."""
        ended, roster = self._ended, self._courier.roster.nodes
        made = {node: sum(reply.made[i] for reply in ended.values()) for i, node in enumerate(roster)}
        stayed = sum(reply.made[roster.index(node)] for node, reply in ended.items())
        slow = [Slow(key, node, spent) for node, reply in ended.items() for key, spent in reply.slowest]
        return Summary(
            done=sum(reply.done for reply in ended.values()),
            bytes=sum(reply.bytes for reply in ended.values()),
            outputs=sum(reply.outputs for reply in ended.values()),
            made_bytes=sum(made.values()),
            moved_bytes=sum(made.values()) - stayed,
            failed=sum(reply.failed for reply in ended.values()),
            complete=sum(reply.complete for reply in self._planned.values()),
            seconds=seconds,
            slowest=sorted(slow, key=lambda one: one.seconds, reverse=True)[:SLOWEST_KEPT],
            nodes=[NodeSummary(node, n.done, n.bytes, made[node]) for node, n in self._nodes.items()],
        )

    def _tell(self) -> None:
        if self._on_progress:
            nodes = list(self._nodes.values())
            done, failed, size, commands, command_bytes = (
                sum(column) for column in zip(*(node[1:] for node in nodes), strict=True)
            )
            self._on_progress(Progress(done, failed, size, commands, command_bytes, nodes))

    def _on_reply_from(self, node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, (wire.Progress, wire.JobDone)):
                before = self._nodes[node]
                now = before._replace(done=reply.done, failed=reply.failed, bytes=reply.bytes)
                self._nodes[node] = now
                if now != before:
                    self._tell()
            if type(reply) not in wire.INTERIM:
                self._left.discard(node)
                self._on_end(node, reply)

        return on_reply

    def _on_end(self, node: str, reply: Any) -> None:
        if isinstance(reply, S4Error):
            self._errors.append(Failed(node, reply))
            self._stop_others()
            return
        self._ended[node] = reply
        if reply.failed and not self._plan.keep_going:
            self._stop_others()

    def _stop_others(self) -> None:
        if not self._stopped:
            self._stopped = True
            for node in self._left:
                self._courier.request(node, wire.CancelJob(self._plan.job), lambda *_: None)


def _raise_failures(ended: Sequence[wire.JobDone], errors: Sequence[S4Error], *, keep_going: bool) -> None:
    """That it was cancelled, else the first reason, or with `keep_going` one error that lists all. What was
    merely stopped because of another's failure is no reason."""
    raise_first([error for error in errors if isinstance(error, JobCancelled)])
    reasons = [error_of(row) for reply in ended for row in reply.failures]
    reasons += [error for error in errors if not isinstance(error, Cancelled)]
    count = sum(reply.failed for reply in ended)
    if keep_going and len(reasons) > 1:
        text = "\n".join(f"{number}. {error.text}" for number, error in enumerate(reasons, 1))
        told = f"{max(count, len(reasons))} inputs failed:\n{text}"
        raise _same_kind(reasons)(
            told, failures=[{**error.details, "text": error.text} for error in reasons]
        )
    raise_first(reasons or list(errors))


def _same_kind(reasons: Sequence[S4Error]) -> type[S4Error]:
    """The class that decides the exit status of a job with several failures."""
    kinds = {type(error) for error in reasons}
    return kinds.pop() if len(kinds) == 1 else CommandFailed
