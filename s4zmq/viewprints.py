"""What `jobs`, `logs`, `status`, `health` and `du` say: tables for people, records for programs.

`SCHEMA.md` has the fields of the records. What a command wrote is shown without what a terminal would obey.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from .jsonlines import utc
from .session import Health
from .tables import lay_out, printable
from .units import show_bytes, show_count
from .views import JobLog, Jobs, JobView, LogEntry, NodeStatus, NodeUsage, short_ids

Record = dict[str, object]

# -- jobs


def jobs_lines(jobs: Jobs) -> Iterator[str]:
    """A head and a line for each job; nothing where there is none."""
    if not jobs.jobs:
        return
    short = short_ids(jobs.jobs)
    head = ("JOB", "KIND", "STATE", "DONE", "FAILED", "STARTED", "TIME", "INDIR -> OUTDIR", "CMD")
    rows = [head, *((short[job.job], *_job_cells(job)) for job in jobs.jobs)]
    yield from lay_out(rows, left=(0, 1, 2, 5, 7, 8))


def _job_cells(job: JobView) -> tuple[str, ...]:
    return (
        job.verb,
        job.state,
        f"{job.done}/{job.commands}",
        str(job.failed),
        _local(job.started_ns),
        show_seconds(job.seconds),
        f"{job.inputs} -> {job.outdir}",
        printable(job.command),
    )


def job_record(job: JobView) -> Record:
    """Of `jobs --json`."""
    return {
        "kind": "job",
        "job": job.job,
        "verb": job.verb,
        "indir": job.inputs,
        "outdir": job.outdir,
        "command": job.command,
        "state": job.state,
        "commands": job.commands,
        "done": job.done,
        "failed": job.failed,
        "bytes": job.bytes,
        "started": utc(job.started_ns),
        "seconds": round(job.seconds, 3),
        "nodes": list(job.nodes),
        "running_on": list(job.running_on),
    }


# -- logs


def log_lines(log: JobLog) -> Iterator[str]:
    """A head for each failed attempt, and what it wrote; then what was left out."""
    for entry in log.entries:
        yield f"==> {_local(entry.ended_ns)} attempt {entry.attempt}: {printable(entry.text)} <=="
        if entry.cut:
            yield f"[{show_count(entry.cut, 'byte')} before this were not kept]"
        text = entry.stderr.decode(errors="replace")
        yield from (_line(line) for line in text.removesuffix("\n").split("\n") if text)
    for node, count in log.omitted.items():
        yield f"[of {show_count(count, 'more failed attempt')} on node {node} nothing was kept]"


def _line(line: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in line)


def log_record(log: JobLog, entry: LogEntry) -> Record:
    """Of `logs --json`, for one attempt."""
    return {
        "kind": "log",
        "job": log.job.job,
        "node": entry.node,
        "key": entry.key,
        "attempt": entry.attempt,
        "status": entry.status,
        "ended": utc(entry.ended_ns),
        "text": entry.text,
        "stderr": entry.stderr.decode(errors="replace"),
        "bytes_cut": entry.cut,
    }


def omitted_record(log: JobLog, node: str) -> Record:
    """Of `logs --json`, for a node that could not keep all."""
    return {"kind": "log-omitted", "job": log.job.job, "node": node, "attempts": log.omitted[node]}


# -- nodes


_HEAD = ("NODE", "STATE", "CPU", "MEMORY", "DISK FREE", "KEYS", "BYTES", "JOBS", "COMMANDS", "TRANSFERS")
_LEAST_NEEDED = (9, 7, 6, 3, 8, 5, 4, 2)
"""Columns that a narrow terminal does without, the first one first."""


def status_lines(nodes: Sequence[NodeStatus], width: int = 0) -> list[str]:
    """A head, and a line for each node; with `width` no line is longer, as columns are left out."""
    rows = [_HEAD, *map(_status_cells, nodes)]
    lines = list(lay_out(rows, left=(0, 1)))
    without: set[int] = set()
    for column in _LEAST_NEEDED:
        if not width or max(map(len, lines)) <= width:
            break
        without.add(column)
        shown = [[cell for number, cell in enumerate(row) if number not in without] for row in rows]
        lines = list(lay_out(shown, left=(0, 1)))
    for number, node in enumerate(nodes, 1):
        if not node.is_up:
            lines[number] = f"{lines[number].rstrip(' -')}  {printable(node.reason)}"
    return [line[:width] if width else line for line in lines]


def _status_cells(status: NodeStatus) -> tuple[str, ...]:
    if not status.is_up:
        return (status.node, "down", *["-"] * (len(_HEAD) - 2))
    return (
        status.node,
        "up",
        f"{status.cpu:.0%}",
        show_bytes(status.amounts["memory"] + status.amounts["commands-memory"]),
        _shown_bytes(status, "disk-free"),
        str(status.amounts.get("keys", "...")),
        _shown_bytes(status, "bytes"),
        *(str(status.amounts[name]) for name in ("running-jobs", "running-commands", "transfers")),
    )


def _shown_bytes(status: NodeStatus, name: str) -> str:
    """A disk that hangs does not tell, and keys are not counted at once after a start."""
    found = status.amounts.get(name)
    return "..." if found is None else show_bytes(found)


STATUS_AMOUNTS = (
    "uptime",
    "cores",
    "memory",
    "commands-memory",
    "machine-memory",
    "machine-memory-free",
    "disk",
    "disk-free",
    "keys",
    "bytes",
    "running-jobs",
    "running-commands",
    "transfers",
)


def status_record(status: NodeStatus, time_ns: int) -> Record:
    """Of `status --json`; null is what is not known."""
    found: Record = {
        "kind": "node",
        "node": status.node,
        "time": utc(time_ns),
        "up": status.is_up,
        "reason": status.reason,
        "cpu": round(status.cpu, 4) if status.is_up else None,
        "machine_cpu": round(status.machine_cpu, 4) if status.is_up else None,
    }
    for name in STATUS_AMOUNTS:
        found[name.replace("-", "_")] = status.amounts.get(name)
    return found


def health_record(health: Health) -> Record:
    """Of `health --json`."""
    return {"kind": "node", "node": health.node, "up": health.is_healthy, "reason": health.reason}


# -- usage


def usage_lines(prefix: str, usages: Sequence[NodeUsage], *, per_node: bool) -> Iterator[str]:
    """`BYTES  HUMAN  KEYS  WHERE` for each node if `per_node`, and for all."""
    rows = [(one, one.node) for one in usages] if per_node else []
    rows.append((_sum(usages), f"s4://{prefix}"))
    cells = [
        (str(one.bytes), show_bytes(one.bytes), show_count(one.keys, "key"), where) for one, where in rows
    ]
    yield from lay_out(cells, left=(3,))


def usage_records(prefix: str, usages: Sequence[NodeUsage], *, per_node: bool) -> Iterator[Record]:
    """Of `du --json`; the one for all has null for a node."""
    for one in (*(usages if per_node else ()), _sum(usages)):
        yield {
            "kind": "usage",
            "prefix": f"s4://{prefix}",
            "node": one.node or None,
            "keys": one.keys,
            "bytes": one.bytes,
        }


def _sum(usages: Sequence[NodeUsage]) -> NodeUsage:
    return NodeUsage("", sum(one.keys for one in usages), sum(one.bytes for one in usages))


# -- words


def show_seconds(seconds: float) -> str:
    """`0.2 s`, `1:05`, `2:00:01`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _local(time_ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // 10**9))


def complain(errors: Sequence[str]) -> None:
    """Lines on stderr, each of a node that has not answered."""
    for text in errors:
        print(f"s4: {text}", file=sys.stderr)
