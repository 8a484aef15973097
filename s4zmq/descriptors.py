"""How many descriptors this process may have open, and the commands that it starts."""

from __future__ import annotations

import functools
import resource


@functools.cache
def _given() -> tuple[int, int]:
    """The (soft, hard) limit that the process was started with; hard may be -1, for none."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def widen() -> None:
    """Let this process have as many as the system allows it."""
    _, hard = _given()
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def narrow(pid: int) -> None:
    """Give a command the limit that this process was given: there are programs that walk through all
    numbers up to it, and some that know of the first thousand only. One that has ended is fine."""
    if resource.getrlimit(resource.RLIMIT_NOFILE) != _given():
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, _given())
        except ProcessLookupError:
            pass


def share_of(count: int, share: float) -> int:
    """`count`, or so many as that share of this process's descriptors, if those are fewer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return count if soft < 0 else min(count, int(soft * share))
