"""Starting a job on every node and waiting for its end: the client's side of the three maps.

First every node plans, so that a missing input or a conflict anywhere is an error before any command
runs; then scripts are shipped; then all nodes run. The client holds counts only. Prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from . import wire
from .client import Client, nothing_below, raise_first
from .codec import Body, error_of
from .commandtext import check_command
from .errors import Cancelled, CommandFailed, KeyExists, LocalFileError, S4Error
from .keys import Selection, parse_indir, show
from .puts import Item, Putter

_CHECKED_AT_ONCE = 100


class JobOptions(NamedTuple):
    """What a user may say about a run."""

    retries: int = 0
    timeout_s: float = 0
    """Per command; 0: none."""
    jobs: int = 0
    """Commands at once per node; 0: the node's own number."""
    keep_going: bool = False
    files: Sequence[str] = ()
    """Local paths of files that are shipped with the job."""


class Summary(NamedTuple):
    """What a job did on all nodes."""

    done: int
    """Commands that ended well."""

    bytes: int
    """Of their inputs."""

    outputs: int


def run_job(
    client: Client,
    kind: str,
    indir: str,
    outdir: str,
    command: str,
    *,
    options: JobOptions = JobOptions(),
) -> Summary:
    """Run `kind` (map, map-to-n or map-from-n) to its end. Raises the first failure, after all
    nodes have ended the job."""
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
        list(shipped),
        options.retries,
        options.timeout_s,
        options.jobs,
        options.keep_going,
    )
    client.holds_work()
    _plan(client, plan, selection, target.path)
    _ship(client, plan.job, shipped)
    return _Running(client, plan).run()


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


def _plan(client: Client, plan: wire.Plan, selection: Selection, outdir: str) -> None:
    """Raises KeyNotFound where nothing is selected, KeyExists where an output is in the way."""
    replies = client.courier.ask_each({node: plan for node in client.roster.nodes}, resend=False)
    planned = [reply for reply, _ in replies.values()]
    if not sum(reply.keys for reply in planned):
        raise nothing_below(selection)
    conflicts = [key for reply in planned for key in reply.conflicts]
    if plan.kind == "map-to-n" and any(reply.outdir_used for reply in planned):
        conflicts = list(_occupied(client, selection, outdir))
    if conflicts:
        raise KeyExists(
            f"{min(conflicts)} already exists, so no command was run: remove what is in"
            f" s4://{outdir}, or name another folder"
        )


def _occupied(client: Client, selection: Selection, outdir: str) -> Iterator[str]:
    """The first keys below `OUTDIR/<path of K>/` of any input K, on any node."""
    matcher, base = selection.matcher(), len(selection.folder.path)
    paths = (
        path[base:]
        for path, _, _ in client.list_keys(selection.folder.path, recursive=True)
        if not matcher or matcher.fullmatch(path, base)
    )
    while some := [f"s4://{outdir}{path}/" for path in islice(paths, _CHECKED_AT_ONCE)]:
        for reply in client.courier.ask_all(wire.Occupied(some)).values():
            if reply.keys:
                yield from reply.keys
                return


def _ship(client: Client, job: bytes, shipped: dict[str, str]) -> None:
    putter = Putter(client, job=job)
    putter.put_all(Item(path, name, node) for name, path in shipped.items() for node in client.roster.nodes)


class _Running:
    """A job on all nodes: the first failure stops the others, and the end is when all have ended."""

    def __init__(self, client: Client, plan: wire.Plan) -> None:
        self._courier = client.courier
        self._plan = plan
        self._left = set(client.roster.nodes)
        self._stopped = False
        self.ended: list[wire.JobDone] = []
        self.errors: list[S4Error] = []

    def run(self) -> Summary:
        """Start, and wait for every node. Raises the first failure."""
        for node in sorted(self._left):
            message = wire.Run(self._plan.job)
            self._courier.request(node, message, self._on_reply_from(node), resend=False)
        self._courier.run_until(lambda: not self._left)
        _raise_failures(self.ended, self.errors, keep_going=self._plan.keep_going)
        return Summary(
            sum(reply.done for reply in self.ended),
            sum(reply.bytes for reply in self.ended),
            sum(reply.outputs for reply in self.ended),
        )

    def _on_reply_from(self, node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
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
