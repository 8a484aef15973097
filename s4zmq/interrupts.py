"""Ctrl-C and SIGTERM as exceptions that can not get lost.

A handler may run while ZeroMQ frees a frame; what it raises there goes to Python's hooks and
nowhere else. So the hooks note it, and whoever waits for replies raises it again.
"""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Any

_dropped: list[type[BaseException]] = []


class Terminated(BaseException):
    """SIGTERM: unwinds like Ctrl-C, so that what was begun is cleaned up."""


def install() -> None:
    """From now on SIGTERM raises as SIGINT does, in the main thread."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _on_unraisable
    sys.excepthook = _on_uncaught


def _terminate(*_: object) -> None:
    raise Terminated


def _on_unraisable(dropped: Any) -> None:
    if issubclass(dropped.exc_type, (KeyboardInterrupt, Terminated)):
        _dropped.append(dropped.exc_type)
    else:
        sys.__unraisablehook__(dropped)


def _on_uncaught(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
    """ZeroMQ's binding shows an exception here before it drops it."""
    if not issubclass(kind, (KeyboardInterrupt, Terminated)):
        sys.__excepthook__(kind, value, traceback)


def check() -> None:
    """Raises what was dropped."""
    if _dropped:
        raise _dropped.pop()
