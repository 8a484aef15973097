"""`s4 cp` from and to S3: the nodes move the bytes, the client plans and reports.

First every node looks: at names, at what is in the way, at its room; then all of them move what they
own. The client holds counts only, and asks nothing of S3 itself. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from . import wire
from .amounts import Counts, Share, sum_of
from .codec import Body, error_of
from .copying import key_for, require_room
from .errors import AwsMissing, Cancelled, RequestError, S4Error, WorldError
from .keys import SCHEME, Folder, Key
from .progress import Progress
from .s3names import S3_SCHEME, Place
from .session import Session, nothing_below
from .units import show_count

_SHOWN = 50
"""Failures that are named; the others are counted."""

Request = Union[wire.StageIn, wire.StageOut]


class _Task(NamedTuple):
    """What is to be copied."""

    request: Request
    nodes: Sequence[str]
    """Who takes part: all, or the owner of the one key."""

    nothing: S4Error
    """What to say where there is nothing to copy."""


def copy_s3(
    client: Session, source: str, target: str, *, recursive: bool, resume: bool, progress: Progress
) -> Counts:
    """Copy one object or key, or with `recursive` everything below; what was copied. Raises S4Error."""
    task, planned = plan_s3(client, source, target, recursive=recursive, resume=resume)
    if isinstance(task.request, wire.StageIn) and not resume:
        require_room(client, {node: reply.bytes for node, reply in planned.items()}, target)
    return _Moving(client, task, planned).run(progress)


def plan_s3(
    client: Session, source: str, target: str, *, recursive: bool, resume: bool
) -> tuple[_Task, Mapping[str, wire.Moved]]:
    """What each node would do; nothing moves. Raises what `copy_s3` would raise before anything does."""
    _refuse_others(source, target)
    if source.startswith(S3_SCHEME):
        task = _task_in(client, source, target, recursive, resume)
    else:
        task = _task_out(client, source, target, recursive, resume)
    client.holds_work()
    return task, _plan(client, task)


def _refuse_others(source: str, target: str) -> None:
    if source.startswith(S3_SCHEME) and target.startswith(S3_SCHEME):
        raise RequestError("cp does not copy from S3 to S3: use `aws s3 cp`")
    if not source.startswith(SCHEME) and not target.startswith(SCHEME):
        raise RequestError("cp does not copy between S3 and local files: use `aws s3 cp`, or go by s4://")


def _task_in(client: Session, source: str, target: str, recursive: bool, resume: bool) -> _Task:
    place = Place.parse(source)
    nothing = AwsMissing(f"no object in {place.below()}: is its name right?")
    if recursive:
        place, folder = place.below(), Folder.parse(target)
        request = wire.StageIn(*place, str(folder), False, resume, False)
        return _Task(request, client.roster.nodes, nothing)
    if place.is_folder:
        raise RequestError(f"{place} is a folder: copy it with -r")
    key = key_for(source, target)
    return _Task(wire.StageIn(*place, str(key), True, resume, False), [client.owner(key)], nothing)


def _task_out(client: Session, source: str, target: str, recursive: bool, resume: bool) -> _Task:
    place = Place.parse(target)
    if recursive:
        folder, place = Folder.parse(source), place.below()
        request = wire.StageOut(str(folder), *place, False, resume, False)
        return _Task(request, client.roster.nodes, nothing_below(folder))
    key = Key.parse(source)
    if place.is_folder:
        place = place._replace(path=place.path + key.name)
    return _Task(
        wire.StageOut(str(key), *place, True, resume, False), [client.owner(key)], nothing_below(key)
    )


# -- planning


def _plan(client: Session, task: _Task) -> Mapping[str, wire.Moved]:
    """What each node would do, in the order of the roster. Raises where anything is in the way: then
    nothing has moved."""
    request = task.request._replace(dry_run=True)
    replies = client.courier.ask_each({node: request for node in task.nodes}, resend=False)
    planned = {node: replies[node][0] for node in task.nodes}
    _raise_failures(planned.values(), [], "nothing was copied", "can not be copied")
    if not sum(reply.keys for reply in planned.values()):
        raise task.nothing
    return planned


# -- moving


class _Moving:
    """A copy on all its nodes. What fails on one does not end the others, but for a node that is gone."""

    def __init__(self, client: Session, task: _Task, planned: Mapping[str, wire.Moved]) -> None:
        self._courier = client.courier
        self._task = task
        self._totals = {node: Counts(reply.keys, reply.bytes) for node, reply in planned.items()}
        self._counts = dict.fromkeys(task.nodes, Counts())
        self._ended: list[wire.Moved] = []
        self._errors: list[S4Error] = []

    def run(self, progress: Progress) -> Counts:
        """Start, and wait for every node; what was done. Raises what failed."""
        total = sum_of(self._totals.values())
        progress.follow(self._courier, self._sum, lambda: total, self._shares)
        for node in self._task.nodes:
            self._courier.request(node, self._task.request, self._on_reply_from(node), resend=False)
        self._courier.run_until(self._is_over)
        _raise_failures(self._ended, self._errors, "--resume copies the rest", "were not copied")
        return self._sum()

    def _sum(self) -> Counts:
        return sum_of(self._counts.values())

    def _shares(self) -> Sequence[Share]:
        return [Share(node, part, self._totals[node]) for node, part in self._counts.items()]

    def _is_over(self) -> bool:
        return bool(self._errors) or len(self._ended) == len(self._task.nodes)

    def _on_reply_from(self, node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, S4Error):
                self._errors.append(reply)
                return
            skipped = reply.skipped if isinstance(reply, wire.Moved) else 0
            self._counts[node] = Counts(reply.keys, reply.bytes, reply.failed, skipped)
            if isinstance(reply, wire.Moved):
                self._ended.append(reply)

        return on_reply


def _raise_failures(replies: Any, errors: Sequence[S4Error], then: str, what: str) -> None:
    """One error that names what failed, up to _SHOWN of it."""
    reasons = [error for error in errors if not isinstance(error, Cancelled)] or list(errors)
    rows = sorted((row for reply in replies for row in reply.failures), key=lambda row: row[2])
    reasons += map(error_of, rows)
    count = sum(reply.failed for reply in replies) + len(reasons) - len(rows)
    if not count:
        return
    if count == 1:
        raise type(reasons[0])(f"{reasons[0].text}; {then}")
    lines = [f"{number}. {error.text}" for number, error in enumerate(reasons[:_SHOWN], 1)]
    if count > len(lines):
        lines.append(f"... and {count - len(lines)} more")
    raise _kind_of(reasons)("\n".join((f"{show_count(count, 'object')} {what}; {then}:", *lines)))


def _kind_of(reasons: Sequence[S4Error]) -> type[S4Error]:
    """The class that decides the exit status: trying again helps only where it does for all."""
    if len({type(error) for error in reasons}) == 1 or all(error.exit_status == 3 for error in reasons):
        return type(reasons[0])
    return WorldError
