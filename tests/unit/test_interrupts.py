"""Signals as exceptions: raised where they come, and again where that got lost, but never twice."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from s4zmq import interrupts
from s4zmq.interrupts import Terminated

HANDLERS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated, signal.SIGHUP: Terminated}


def lose(signum: signal.Signals) -> None:
    """A handler runs, and something drops what it raises."""
    with pytest.raises(BaseException) as raised:
        interrupts._HANDLERS[signum](signum, None)
    assert raised.type is HANDLERS[signum]


@pytest.mark.parametrize("signum", HANDLERS)
def test_what_was_lost_is_raised_once_more(signum: signal.Signals) -> None:
    lose(signum)
    lose(signum)
    with pytest.raises(BaseException) as raised:
        interrupts.check()
    assert raised.type is HANDLERS[signum]
    interrupts.check()


@pytest.mark.parametrize("signum", HANDLERS)
def test_who_cleans_up_because_of_it_is_left_alone(signum: signal.Signals) -> None:
    try:
        interrupts._HANDLERS[signum](signum, None)
    except (KeyboardInterrupt, Terminated):
        try:
            raise ValueError("in the midst of it")
        except ValueError:
            interrupts.check()
    interrupts.check()


def test_nothing_was_raised_and_nothing_is() -> None:
    interrupts.check()


def test_hooks_are_silent_about_signals_and_about_nothing_else() -> None:
    code = (
        "import sys; from s4zmq import interrupts; interrupts.install()\n"
        "class A:\n"
        "    def __init__(self, error): self.error = error\n"
        "    def __del__(self): raise self.error\n"
        "A(KeyboardInterrupt()); A(interrupts.Terminated()); A(ValueError('told'))\n"
        "sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("ValueError: told") == 1
    assert "Interrupt" not in done.stderr
    assert "Terminated" not in done.stderr
