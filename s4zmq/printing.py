"""What a person reads on stdout: listings in the form of `aws s3 ls`, and raw bytes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

from .client import Row
from .codec import Body

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


def write_all(fd: int, data: Body) -> None:
    """Every byte to a descriptor, for as long as that takes. Raises BrokenPipeError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
