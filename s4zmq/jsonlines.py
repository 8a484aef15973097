"""Results for programs: one JSON object a line on stdout. `SCHEMA.md` says which fields each kind has.

Layer 0: whoever prints has put the record together. Bytes are whole numbers, times are text as `utc` makes
it, nodes are host:port, keys are full s4:// text.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping


def print_json(record: Mapping[str, object]) -> None:
    """One line, flushed, so that who reads along sees it at once. Raises BrokenPipeError."""
    import json

    sys.stdout.write(json.dumps(record, ensure_ascii=False, separators=(", ", ": ")) + "\n")
    sys.stdout.flush()


def utc(time_ns: int) -> str:
    """A time in ns since 1970 as ISO 8601 in UTC: `2009-01-31T23:59:58.123Z`."""
    import time

    seconds, rest = divmod(time_ns, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 10**6:03}Z"
