"""Named points at which a process can be told to stop itself, so that a fault can hit it just there.

`S4_STOP_AT=name`, or `name:3` for the third time, in the environment of a node: it sends itself
SIGSTOP when it gets there. A test kills it, or continues it. Without the variable a point is one
look at an empty text.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading

_name, _, _nth = os.environ.get("S4_STOP_AT", "").partition(":")
_passed = itertools.count(1)


def reach(name: str) -> None:
    """The process is at point `name`."""
    if _name and name == _name and next(_passed) == int(_nth or 1):
        # To this thread: one to the process could be taken by another thread, while this one goes on.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
