"""Ctrl-C and SIGTERM as exceptions that can not get lost.

A handler may run while ZeroMQ's binding frees a frame, and what it raises there goes to Python's hooks and
nowhere else; or while the binding looks at an error of its own, which then takes its place. So a handler
also notes what it raises, and whoever waits for replies raises it again, unless it is on its way already.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

_raised: list[type[BaseException]] = []
"""What handlers have raised, and `check` has not looked after."""


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


def _interrupt(*_: object) -> None:
    _raised.append(KeyboardInterrupt)
    raise KeyboardInterrupt


def _terminate(*_: object) -> None:
    _raised.append(Terminated)
    raise Terminated


_HANDLERS: dict[signal.Signals, Callable[..., Any]] = {
    signal.SIGINT: _interrupt,
    signal.SIGTERM: _terminate,
    signal.SIGHUP: _terminate,
}


def _on_unraisable(dropped: Any) -> None:
    if not issubclass(dropped.exc_type, (KeyboardInterrupt, Terminated)):
        sys.__unraisablehook__(dropped)


def _on_uncaught(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
    """ZeroMQ's binding shows an exception here before it drops it."""
    if not issubclass(kind, (KeyboardInterrupt, Terminated)):
        sys.__excepthook__(kind, value, traceback)


def check() -> None:
    """Raises what was lost. Who unwinds because of it, and waits for a reply while he cleans up, is left
    alone."""
    if _raised:
        kind = _raised.pop()
        _raised.clear()
        if not _is_on_its_way(sys.exc_info()[1]):
            raise kind


def _is_on_its_way(handled: BaseException | None) -> bool:
    """Whether an exception that is being handled is one of ours, or came while one was."""
    while handled is not None and not isinstance(handled, (KeyboardInterrupt, Terminated)):
        handled = handled.__context__
    return handled is not None
