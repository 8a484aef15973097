"""Ctrl-C and SIGTERM as exceptions that can not get lost.

A handler may run while ZeroMQ frees a frame; what it raises there goes to Python's hooks and
nowhere else. So the hooks note it, and whoever waits for replies raises it again.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

_dropped: list[type[BaseException]] = []


class Terminated(BaseException):
    """SIGTERM: unwinds like Ctrl-C, so that what was begun is cleaned up."""


def install() -> None:
    """From now on SIGTERM, SIGHUP and SIGINT raise, in the main thread. What is ignored (`nohup`, a
    shell's background) stays ignored."""
    for signum, handler in _HANDLERS.items():
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)
    sys.unraisablehook = _on_unraisable
    sys.excepthook = _on_uncaught


def _terminate(*_: object) -> None:
    raise Terminated


_HANDLERS: dict[signal.Signals, Callable[..., Any]] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: _terminate,
    signal.SIGHUP: _terminate,
}


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
