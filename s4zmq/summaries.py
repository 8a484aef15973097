"""What is said when a job has ended: some lines on stderr, or a record. Nothing is counted here.

One line for any job, since scripts run many; more where one has taken so long that somebody may wonder why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from . import wire
from .errors import S4Error
from .limits import SHORT_ID
from .runs import Failed, Job, Summary
from .units import show_bytes, show_count, times_mean

LONG_S = 10.0
"""A job that takes longer is told of in full."""

LONG_ON_TERMINAL_S = 1.0

_SLOWEST_SHOWN = 3


def noun_of(kind: str) -> str:
    """What a job runs its command for each of."""
    return "group" if kind == "map-from-n" else "key"


def lines_of(kind: str, summary: Summary, *, is_long: bool) -> Iterator[str]:
    """One line, or a few."""
    yield f"{kind}: {', '.join(_parts(kind, summary))}"
    if kind == "map-to-n" and summary.done and not summary.outputs:
        yield f"{kind}: no command printed the name of a file, so nothing was made: let it end with `; ls`"
    if is_long and summary.slowest:
        told = ", ".join(f"{slow.key} {slow.seconds:.1f} s" for slow in summary.slowest[:_SLOWEST_SHOWN])
        yield f"{kind}: slowest: {told}"
    if is_long and len(summary.nodes) > 1:
        yield f"{kind}: skew: {', '.join(_skews(summary))}"


def _parts(kind: str, summary: Summary) -> Iterator[str]:
    yield show_count(summary.done, noun_of(kind))
    if summary.complete:
        yield f"{summary.complete} done before"
    yield f"{show_bytes(summary.bytes)} in"
    made = f"{show_bytes(summary.made_bytes)} out"
    yield made if summary.outputs == summary.done else f"{made} in {show_count(summary.outputs, 'key')}"
    if kind == "map-to-n":
        yield f"{show_bytes(summary.moved_bytes)} between nodes"
    yield f"{summary.seconds:.1f} s"


def rest_of(job: Job, summary: Summary) -> str:
    """What can be done about a job that has failed."""
    done = show_count(summary.done + summary.complete, noun_of(job.plan.kind))
    return (
        f"{done} done, {summary.failed} failed: the same words with --resume do the others;"
        f" `s4 logs {job.plan.job.hex()[:SHORT_ID]}` has what failed commands wrote"
    )


def _skews(summary: Summary) -> Iterator[str]:
    """Which node has most; where shares are even that tells nothing."""
    for what, sizes in (
        ("inputs", [node.bytes for node in summary.nodes]),
        ("outputs", [node.made_bytes for node in summary.nodes]),
    ):
        largest = summary.nodes[sizes.index(max(sizes))].node
        share = times_mean(sizes)
        yield f"{what} {share:.2f} x mean" + (f" ({largest})" if share > 1.05 else "")


# -- records


def planned_records(
    kind: str, planned: Mapping[str, wire.Planned], *, dry_run: bool
) -> Iterator[dict[str, object]]:
    """One a node, in the order of the roster."""
    for node, reply in planned.items():
        yield {
            "kind": "planned",
            "verb": kind,
            "node": node,
            "keys": reply.keys,
            "bytes": reply.bytes,
            "commands": reply.commands,
            "complete": reply.complete,
            "dry_run": dry_run,
        }


def failure_records(kind: str, failures: Sequence[Failed]) -> Iterator[dict[str, object]]:
    """One for each input that failed, as far as the nodes tell of them singly."""
    for node, error in failures:
        yield {"kind": "failure", "verb": kind, **error_fields(error), "node": node}


def error_fields(error: S4Error) -> dict[str, object]:
    """What a program may want to know of an error."""
    return {
        "code": error.code,
        "text": error.text,
        "key": error.details.get("key"),
        "node": error.details.get("node"),
        "status": error.details.get("status"),
    }


def summary_record(job: Job, summary: Summary) -> dict[str, object]:
    """The last record of a job, but for that of its error."""
    return {
        "kind": "summary",
        "verb": job.plan.kind,
        "inputs": job.plan.inputs,
        "outdir": job.plan.outdir,
        "keys": summary.done,
        "failed": summary.failed,
        "complete": summary.complete,
        "outputs": summary.outputs,
        "bytes_in": summary.bytes,
        "bytes_out": summary.made_bytes,
        "bytes_between_nodes": summary.moved_bytes,
        "seconds": round(summary.seconds, 3),
        "input_skew": round(summary.input_skew, 3),
        "output_skew": round(summary.output_skew, 3),
        "slowest": [
            {"key": slow.key, "node": slow.node, "seconds": round(slow.seconds, 3)}
            for slow in summary.slowest
        ],
        "nodes": [
            {"node": node.node, "keys": node.done, "bytes_in": node.bytes, "bytes_out": node.made_bytes}
            for node in summary.nodes
        ],
    }
