"""The commands that look on: jobs, cancel, logs, status, du; and health --json. As `keyverbs`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .usage import Args, client_of

if TYPE_CHECKING:
    from .errors import S4Error
    from .session import Session
    from .views import NodeStatus


def _jobs(args: Args) -> int:
    from .jsonlines import print_json
    from .viewprints import job_record, jobs_lines
    from .views import list_jobs

    with client_of(args) as client:
        jobs = list_jobs(client)
    if args["--json"]:
        for job in jobs.jobs:
            print_json(job_record(job))
    else:
        for line in jobs_lines(jobs):
            print(line)
    return _tell(jobs.errors)


def _cancel(args: Args) -> int:
    from .views import cancel_job

    with client_of(args) as client:
        cancel_job(client, args["JOB"])
    return 0


def _logs(args: Args) -> int:
    from .jsonlines import print_json
    from .keys import Key
    from .viewprints import log_lines, log_record, omitted_record
    from .views import job_log

    key = str(Key.parse(args["KEY"])) if args["KEY"] else ""
    with client_of(args) as client:
        log = job_log(client, args["JOB"], key)
    if args["--json"]:
        for entry in log.entries:
            print_json(log_record(log, entry))
        for node in log.omitted:
            print_json(omitted_record(log, node))
    else:
        for line in log_lines(log):
            print(line)
    return _tell(log.errors)


def _status(args: Args) -> int:
    with client_of(args, if_stopped=True) as client:
        if args["--watch"]:
            return _watch(client, as_json=args["--json"])
        return _status_once(client, as_json=args["--json"])


def _status_once(client: Session, *, as_json: bool) -> int:
    from .viewprints import status_lines
    from .views import status

    nodes = status(client)
    if as_json:
        _print_status(nodes)
    else:
        print("\n".join(status_lines(nodes)))
    return 0 if all(node.is_up for node in nodes) else 1


def _print_status(nodes: Sequence[NodeStatus]) -> None:
    from .jsonlines import print_json
    from .viewprints import status_record

    now_ns = time.time_ns()
    for node in nodes:
        print_json(status_record(node, now_ns))


def _watch(client: Session, *, as_json: bool) -> int:
    """Until Ctrl-C, which is how this ends and no fault: nothing is said of it."""
    from functools import partial

    from .screen import Screen
    from .viewprints import status_lines
    from .views import status

    screen = Screen()
    if as_json:
        while True:
            _print_status(status(client))
            time.sleep(screen.interval_s)
    try:
        with screen:
            while True:
                begun = time.monotonic()
                nodes = status(client)
                screen.draw(partial(status_lines, nodes))
                time.sleep(max(0.1, begun + screen.interval_s - time.monotonic()))
    except KeyboardInterrupt:
        return 130


def _du(args: Args) -> int:
    from .jsonlines import print_json
    from .keys import parse_prefix
    from .viewprints import usage_lines, usage_records
    from .views import usage

    prefix, per_node = parse_prefix(args["PREFIX"]), args["--per-node"]
    if prefix and "/" not in prefix:
        prefix += "/"  # a bucket is meant whole, as in ls
    with client_of(args) as client:
        usages = usage(client, prefix)
    if not any(one.keys for one in usages):
        return 1
    if args["--json"]:
        for record in usage_records(prefix, usages, per_node=per_node):
            print_json(record)
    else:
        for line in usage_lines(prefix, usages, per_node=per_node):
            print(line)
    return 0


def _tell(errors: Mapping[str, S4Error]) -> int:
    """What nodes have said instead of an answer, or that they said nothing: the exit status."""
    from .viewprints import complain

    complain([error.text for error in errors.values()])
    return max((error.exit_status for error in errors.values()), default=0)


VERBS: Mapping[str, Callable[[Args], int]] = {
    "jobs": _jobs,
    "cancel": _cancel,
    "logs": _logs,
    "status": _status,
    "du": _du,
}
