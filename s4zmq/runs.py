"""Starting a job on every node and waiting for its end: the client's side of the three maps.

First every node plans, so that a missing input or a conflict anywhere is an error before any command
runs; then scripts are shipped; then all nodes run. The client holds counts only. Prints nothing.

A run that resumes an earlier one says so in the plan: the nodes know what of it is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import wire
from .checksum import digest_of_file
from .client import Client, nothing_below, raise_first
from .codec import Body, error_of
from .commandtext import check_command
from .errors import Cancelled, CommandFailed, KeyExists, LocalFileError, S4Error, map_errors
from .keys import Selection, parse_indir, show
from .localfiles import open_to_read
from .puts import Item, Putter


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


class Summary(NamedTuple):
    """What a job did on all nodes."""

    done: int
    """Commands that ended well."""

    bytes: int
    """Of their inputs."""

    outputs: int


class Progress(NamedTuple):
    """How far a job is, on all nodes together."""

    done: int
    """Commands that ended well."""

    failed: int
    """Inputs that failed, after their retries."""

    bytes: int
    """Of the inputs that are done."""

    commands: int
    """How many are to run."""


OnProgress = Callable[[Progress], None]


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


def run_job(client: Client, job: Job, on_progress: OnProgress | None = None) -> Summary:
    """Run it to its end. Raises the first failure, after all nodes have ended the job. `on_progress` is
    called when the counts have changed, and once at the end."""
    client.holds_work()
    planned = _plan(client, job)
    _ship(client, job.plan.job, job.shipped)
    running = _Running(client, job.plan)
    running.commands = sum(reply.commands for reply in planned.values())
    return running.run(on_progress)


def rehearse(client: Client, job: Job) -> Mapping[str, wire.Planned]:
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


def _plan(client: Client, job: Job) -> Mapping[str, wire.Planned]:
    """Raises KeyNotFound where nothing is selected, KeyExists where an output is in the way."""
    replies = client.courier.ask_each({node: job.plan for node in client.roster.nodes}, resend=False)
    planned = {node: replies[node][0] for node in client.roster.nodes}
    if not sum(reply.keys for reply in planned.values()):
        raise nothing_below(job.selection)
    conflicts = [key for reply in planned.values() for key in reply.conflicts]
    if conflicts:
        whose = " and was not made by this run" if job.plan.resume else ""
        raise KeyExists(
            f"{min(conflicts)} already exists{whose}, so no command was run: remove what is in"
            f" {job.plan.outdir}, or name another folder"
        )
    return planned


def _ship(client: Client, job: bytes, shipped: Mapping[str, str]) -> None:
    putter = Putter(client, job=job)
    putter.put_all(Item(path, name, node) for name, path in shipped.items() for node in client.roster.nodes)


class _Running:
    """A job on all nodes: the first failure stops the others, and the end is when all have ended."""

    def __init__(self, client: Client, plan: wire.Plan) -> None:
        self._courier = client.courier
        self._plan = plan
        self._left = set(client.roster.nodes)
        self._stopped = False
        self._counts: dict[str, tuple[int, int, int]] = {}
        self.commands = 0
        self.ended: list[wire.JobDone] = []
        self.errors: list[S4Error] = []

    def run(self, on_progress: OnProgress | None) -> Summary:
        """Start, and wait for every node. Raises the first failure."""
        for node in sorted(self._left):
            message = wire.Run(self._plan.job)
            self._courier.request(node, message, self._on_reply_from(node), resend=False)
        shown = None
        while self._left:
            self._courier.step()
            if on_progress and self._counts:
                now = self._progress()
                if now != shown:
                    on_progress(now)
                shown = now
        _raise_failures(self.ended, self.errors, keep_going=self._plan.keep_going)
        return Summary(
            sum(reply.done for reply in self.ended),
            sum(reply.bytes for reply in self.ended),
            sum(reply.outputs for reply in self.ended),
        )

    def _progress(self) -> Progress:
        done, failed, size = (sum(counts) for counts in zip(*self._counts.values(), strict=True))
        return Progress(done, failed, size, self.commands)

    def _on_reply_from(self, node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, (wire.Progress, wire.JobDone)):
                self._counts[node] = (reply.done, reply.failed, reply.bytes)
            if type(reply) not in wire.INTERIM:
                self._left.discard(node)
                self._on_end(reply)

        return on_reply

    def _on_end(self, reply: Any) -> None:
        if isinstance(reply, S4Error):
            self.errors.append(reply)
            self._stop_others()
            return
        self.ended.append(reply)
        if reply.failed and not self._plan.keep_going:
            self._stop_others()

    def _stop_others(self) -> None:
        if not self._stopped:
            self._stopped = True
            for node in self._left:
                self._courier.request(node, wire.CancelJob(self._plan.job), lambda *_: None)


def _raise_failures(ended: Sequence[wire.JobDone], errors: Sequence[S4Error], *, keep_going: bool) -> None:
    """The first reason, or with `keep_going` one error that lists all. What was merely stopped
    because of another's failure is no reason."""
    reasons = [error_of(row) for reply in ended for row in reply.failures]
    reasons += [error for error in errors if not isinstance(error, Cancelled)]
    count = sum(reply.failed for reply in ended)
    if keep_going and len(reasons) > 1:
        text = "\n".join(f"{number}. {error.text}" for number, error in enumerate(reasons, 1))
        raise _same_kind(reasons)(f"{max(count, len(reasons))} inputs failed:\n{text}")
    raise_first(reasons or list(errors))


def _same_kind(reasons: Sequence[S4Error]) -> type[S4Error]:
    """The class that decides the exit status of a job with several failures."""
    kinds = {type(error) for error in reasons}
    return kinds.pop() if len(kinds) == 1 else CommandFailed
