"""What a person reads on stdout: listings in the form of `aws s3 ls`, dry runs, and raw bytes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import starmap

from . import wire
from .codec import Body
from .keys import Key
from .session import Row

_LINES_AT_ONCE = 512


def print_listing(rows: Iterable[Row], prefix: str, *, recursive: bool) -> int:
    """`DATE TIME SIZE NAME` a key, `PRE name/` a folder; how many lines.

    NAME is the path below the bucket where `recursive`, else the last component.
    """
    cut = prefix.find("/") + 1 if recursive else prefix.rfind("/") + 1
    count, lines = 0, []
    for path, size, mtime_ns in rows:
        lines.append(_line(path[cut:], size, mtime_ns))
        count += 1
        if len(lines) >= _LINES_AT_ONCE:
            sys.stdout.write("".join(lines))
            lines = []
    sys.stdout.write("".join(lines))
    sys.stdout.flush()
    return count


def _line(name: str, size: int, mtime_ns: int) -> str:
    if name.endswith("/"):
        return f"{'PRE':>30} {name}\n"
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(mtime_ns // 10**9))
    return f"{stamp} {size:>10} {name}\n"


def tell_listing(rows: Iterable[Row], owner: Callable[[Key], str]) -> int:
    """A record for each key or folder; how many."""
    from .jsonlines import print_json, utc
    from .keys import SCHEME

    count = 0
    for path, size, mtime_ns in rows:
        count += 1
        if path.endswith("/"):
            print_json({"kind": "folder", "key": SCHEME + path})
            continue
        node = owner(Key(path))
        print_json(
            {"kind": "key", "key": SCHEME + path, "bytes": size, "made": utc(mtime_ns), "node": node}
        )
    return count


def print_rehearsal(plan: wire.Plan, planned: Mapping[str, wire.Planned]) -> None:
    """What a job would do on each node, in the order of the roster."""
    rows = [
        ("node", "keys", "bytes", "complete", "commands", "outputs"),
        *(_rehearsed(plan, node, reply) for node, reply in planned.items()),
        _rehearsed(plan, "all", _sum(planned.values())),
    ]
    head = f"{plan.kind} {plan.inputs} {plan.outdir}: nothing is run or changed"
    _print_dry_run([head, *_table(rows), _skew(plan, planned)])


def print_staging(what: str, planned: Mapping[str, wire.Moved]) -> None:
    """What a copy from or to S3 would move on each node."""
    rows: list[tuple[str, ...]] = [("node", "keys", "bytes", "there", "to move")]
    for node, reply in planned.items():
        numbers = (reply.keys, reply.bytes, reply.skipped, reply.keys - reply.skipped)
        rows.append((node, *(f"{number:,}" for number in numbers)))
    _print_dry_run([f"{what}: nothing is moved or changed", *_table(rows)])


def tell_staging(planned: Mapping[str, wire.Moved]) -> None:
    """The same as records."""
    from .jsonlines import print_json

    for node, reply in planned.items():
        print_json(
            {
                "kind": "planned",
                "verb": "cp",
                "node": node,
                "keys": reply.keys,
                "bytes": reply.bytes,
                "skipped": reply.skipped,
                "dry_run": True,
            }
        )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for node, *numbers in rows:
        cells = starmap(str.rjust, zip(numbers, widths[1:], strict=True))
        yield "  ".join((node.ljust(widths[0]), *cells))


def _print_dry_run(lines: Iterable[str]) -> None:
    print("\n".join(f"dry run: {line}" for line in lines), flush=True)


def _sum(planned: Iterable[wire.Planned]) -> wire.Planned:
    columns = zip(*(reply[:5] for reply in planned), strict=True)
    keys, size, commands, command_bytes, complete = map(sum, columns)
    return wire.Planned(keys, size, commands, command_bytes, complete, [])


def _rehearsed(plan: wire.Plan, node: str, planned: wire.Planned) -> tuple[str, ...]:
    keys, size, commands, _, complete, _ = planned
    outputs = "?" if plan.kind == "map-to-n" else f"{commands + complete:,}"
    return (node, f"{keys:,}", f"{size:,}", f"{complete:,}", f"{commands:,}", outputs)


def _skew(plan: wire.Plan, planned: Mapping[str, wire.Planned]) -> str:
    """How uneven the work and the outputs are."""
    from .units import times_mean

    sizes = [reply.bytes for reply in planned.values()]
    counts = [reply.commands + reply.complete for reply in planned.values()]
    work = f"of the bytes the busiest node has {times_mean(sizes):.2f} times the mean"
    if plan.kind == "map-to-n":
        return f"skew: {work}; where the outputs go their names will tell"
    return f"skew: {work}, of the outputs {times_mean(counts):.2f} times; outputs stay with their inputs"


def write_all(fd: int, data: Body) -> None:
    """Every byte to a descriptor, for as long as that takes. Raises BrokenPipeError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
