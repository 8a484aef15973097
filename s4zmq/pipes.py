"""Pipes with room for a whole chunk. Nothing else lives here."""

from __future__ import annotations

import fcntl
from contextlib import suppress

_PIPE_BYTES = 1 << 20
"""The most that the kernel lets everybody have."""


def widen_pipe(fd: int) -> None:
    """Fewer wake-ups on a busy pipe, where the kernel allows it; anything else is left as it is.

    Measured with 1 GiB to a `cat`: 0.7 to 1.6 GB/s with the 64 KiB that a pipe has at first, 1.9 to
    2.2 with this.
    """
    with suppress(OSError, AttributeError):  # macOS has no such call
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
