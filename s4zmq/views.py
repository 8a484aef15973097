"""A look at a cluster from a client: its jobs and their logs, the state of its nodes, what is below a
prefix; and stopping a job. Prints nothing.

What only looks does not wait for a node that is silent: it answers within two seconds, and names it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from . import wire
from .errors import KeyNotFound, NodeUnreachable, RequestError, S4Error, WorldError
from .limits import CANCEL_S, HEALTH_TIMEOUT_S, SHORT_ID, STATUS_TIMEOUT_S
from .session import Session

_POLL_S = 0.05


class NodeJob(NamedTuple):
    """A job on one node, as `wireviews.JobRow` has it."""

    job: bytes
    verb: str
    inputs: str
    outdir: str
    command: str
    state: str
    commands: int
    done: int
    failed: int
    bytes: int
    started_ns: int
    seconds: float


class JobView(NamedTuple):
    """A job on all nodes that know it."""

    job: str
    """32 hexadecimal digits."""

    verb: str
    """map, map-to-n or map-from-n."""

    inputs: str
    outdir: str
    command: str
    """Its first line."""

    state: str
    """running, done, failed or cancelled. The last also where its own client has ended early."""

    commands: int
    """To be run."""

    done: int
    failed: int
    bytes: int
    """Of the inputs that are done."""

    started_ns: int
    """Since 1970, by the clock of the node that was first."""

    seconds: float
    """That it has taken so far, or in all."""

    nodes: Sequence[str]
    """Those that know it."""

    running_on: Sequence[str]


class Jobs(NamedTuple):
    """The jobs of a cluster."""

    jobs: Sequence[JobView]
    """Those that run first, then the newest first."""

    errors: Mapping[str, S4Error]
    """By node: why it has not told of its own."""


class LogEntry(NamedTuple):
    """One failed attempt at one input."""

    node: str
    key: str
    """The input, or of a merge the output."""

    attempt: int
    """From 1."""

    status: int
    """Exit status; 0 where it was no command that failed."""

    ended_ns: int
    """Since 1970, by the node's clock."""

    text: str
    """What happened, one line."""

    stderr: bytes
    cut: int
    """Bytes of stderr before these that were not kept."""


class JobLog(NamedTuple):
    """What is kept of a job's failed attempts."""

    job: JobView
    entries: Sequence[LogEntry]
    """In the order in which they ended."""

    omitted: Mapping[str, int]
    """By node: failed attempts of which nothing was kept."""

    errors: Mapping[str, S4Error]


class NodeStatus(NamedTuple):
    """How one node is."""

    node: str
    is_up: bool
    reason: str
    """Why not."""

    cpu: float
    """Seconds of processor time a second that it and its commands take."""

    machine_cpu: float
    amounts: Mapping[str, int]
    """As in the message `status-reply`; what is not known now is missing."""


class NodeUsage(NamedTuple):
    """What one node has below a prefix."""

    node: str
    keys: int
    bytes: int


# -- jobs


def list_jobs(client: Session) -> Jobs:
    """The jobs of all nodes that answer, merged by their ids."""
    rows: dict[bytes, list[tuple[str, NodeJob]]] = {}
    replies, errors = _glance(client, wire.ListJobs())
    for node, (reply, _) in replies.items():
        for row in reply.jobs:
            found = NodeJob(*row)
            rows.setdefault(found.job, []).append((node, found))
    jobs = [_merged(parts) for parts in rows.values()]
    jobs.sort(key=lambda job: (job.state != "running", -job.started_ns))
    return Jobs(jobs, errors)


def _merged(parts: Sequence[tuple[str, NodeJob]]) -> JobView:
    first, rows = parts[0][1], [row for _, row in parts]
    return JobView(
        first.job.hex(),
        first.verb,
        first.inputs,
        first.outdir,
        first.command,
        _state_of({row.state for row in rows}),
        commands=sum(row.commands for row in rows),
        done=sum(row.done for row in rows),
        failed=sum(row.failed for row in rows),
        bytes=sum(row.bytes for row in rows),
        started_ns=min(row.started_ns for row in rows),
        seconds=max(row.seconds for row in rows),
        nodes=[node for node, _ in parts],
        running_on=[node for node, row in parts if row.state == "running"],
    )


def _state_of(states: set[str]) -> str:
    """Of several nodes. Where it has failed on one, its client has stopped it on the others."""
    for state in ("running", "cancelled", "failed"):
        if state in states:
            return state
    return "cancelled" if "stopped" in states else "done"


def find_job(jobs: Jobs, prefix: str) -> JobView:
    """The one job whose id starts with these hexadecimal digits. Raises RequestError where there is none,
    or more than one."""
    digits = prefix.lower()
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        raise RequestError(
            f"{prefix!r:.80} is no job: say the first digits of its id as `s4 jobs` shows it"
        )
    found = [job for job in jobs.jobs if job.job.startswith(digits)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(short_ids(found)[job.job] for job in found[:5])
        raise RequestError(f"{len(found)} jobs begin with {prefix} ({ids}): say more digits")
    silent = f"; not asked: {', '.join(jobs.errors)}" if jobs.errors else ""
    raise RequestError(f"no job begins with {prefix}: `s4 jobs` shows those that are known{silent}")


def short_ids(jobs: Iterable[JobView]) -> dict[str, str]:
    """By full id: as many digits as tell each from the others, SHORT_ID at least."""
    ids = sorted(job.job for job in jobs)
    size = SHORT_ID
    while len({id[:size] for id in ids}) < len(ids):
        size += 1
    return {id: id[:size] for id in ids}


def cancel_job(client: Session, prefix: str) -> JobView:
    """Stop a job on all nodes, and wait until nothing of it is left; how it was before. Raises RequestError
    where it has ended already, NodeUnreachable where a node did not answer, WorldError where it still goes
    on after CANCEL_S."""
    job = find_job(list_jobs(client), prefix)
    if job.state != "running":
        raise RequestError(f"job {job.job[:SHORT_ID]} has ended already, as {job.state}")
    id = bytes.fromhex(job.job)
    _, errors = _glance(client, wire.CancelJob(id))
    until = time.monotonic() + CANCEL_S
    while True:
        jobs = list_jobs(client)
        now = next((other for other in jobs.jobs if other.job == job.job), None)
        if now is None or not now.running_on:
            break
        if time.monotonic() > until:
            raise WorldError(f"job {job.job[:SHORT_ID]} still runs on {', '.join(now.running_on)}")
        time.sleep(_POLL_S)
    if errors or jobs.errors:
        silent = ", ".join(sorted({*errors, *jobs.errors}))
        raise NodeUnreachable(
            f"job {job.job[:SHORT_ID]} was cancelled, but {silent} did not answer: where it runs there, it"
            " ends with its client"
        )
    if now and now.state in ("done", "failed"):
        raise RequestError(f"job {job.job[:SHORT_ID]} had just ended by itself, as {now.state}")
    return job


def job_log(client: Session, prefix: str, key: str = "") -> JobLog:
    """What failed attempts of a job, or only those on `key`, have written to stderr. Raises RequestError as
    `find_job` does, and KeyNotFound where nothing is kept of `key`."""
    jobs = list_jobs(client)
    job = find_job(jobs, prefix)
    replies, errors = _ask(client, job.nodes, wire.JobLogs(bytes.fromhex(job.job), key))
    entries: list[LogEntry] = []
    for node, (reply, body) in replies.items():
        offset = 0
        for name, attempt, status, ended_ns, text, size, cut in reply.entries:
            stderr = bytes(body[offset : offset + size])
            offset += size
            entries.append(LogEntry(node, name, attempt, status, ended_ns, text, stderr, cut))
    entries.sort(key=lambda entry: (entry.ended_ns, entry.key, entry.attempt))
    omitted = {node: reply.omitted for node, (reply, _) in replies.items() if reply.omitted}
    if key and not entries and not errors:
        raise KeyNotFound(f"no failed command of job {job.job[:SHORT_ID]} on {key} is known")
    return JobLog(job, entries, omitted, {**jobs.errors, **errors})


# -- nodes


def status(client: Session) -> list[NodeStatus]:
    """Every node, in order, within STATUS_TIMEOUT_S."""
    replies, errors = _glance(client, wire.Status(), STATUS_TIMEOUT_S)
    return [
        NodeStatus(node, False, errors[node].text.removeprefix(f"node {node} "), 0.0, 0.0, {})
        if node in errors
        else NodeStatus(node, True, "", *replies[node][0])
        for node in client.roster.nodes
    ]


# -- keys


def usage(client: Session, prefix: str) -> list[NodeUsage]:
    """Keys that start with the text `prefix` of a path, and their bytes, by node in order. Takes as long as
    the disks need. Raises NodeUnreachable, KeyInvalid or NodeBusy."""
    client.holds_work()
    replies = client.courier.ask_all(wire.Usage(prefix))
    return [NodeUsage(node, *reply) for node, reply in replies.items()]


# -- asking

_Replies = dict[str, tuple[Any, Any]]
_Errors = dict[str, S4Error]


def _glance(client: Session, message: Any, timeout_s: float = HEALTH_TIMEOUT_S) -> tuple[_Replies, _Errors]:
    """(reply and body by node, error by node), each node in one of the two."""
    found = client.glance(message, timeout_s)
    errors = {node: reply for node, (reply, _) in found.items() if isinstance(reply, S4Error)}
    for node in client.roster.nodes:
        if node not in found:
            errors[node] = NodeUnreachable(
                f"node {node} does not answer within {timeout_s:g} s: it is down, hung or cut off"
            )
    return {node: answer for node, answer in found.items() if node not in errors}, errors


def _ask(client: Session, nodes: Iterable[str], message: Any) -> tuple[_Replies, _Errors]:
    """As `_glance`, of some nodes, for as long as they live."""
    found: _Replies = {}
    errors: _Errors = {}
    for node in nodes:
        try:
            found[node] = client.courier.ask(node, message)
        except S4Error as error:
            errors[node] = error
    return found, errors
