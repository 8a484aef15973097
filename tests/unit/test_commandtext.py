"""Commands as text: what may be one, and how the end of a stderr is shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.commandtext import check_command, tail_of
from s4zmq.errors import RequestError
from s4zmq.limits import COMMAND_MAX_BYTES, STDERR_TAIL_LINES


@pytest.mark.parametrize(
    "text",
    ["cat", "for i in 1 2; do\n echo $i\ndone", "printf '%s' \"é\"", " true ", "x" * COMMAND_MAX_BYTES],
    ids=["word", "lines", "quotes", "spaces", "largest"],
)
def test_any_bash_is_a_command(text: str) -> None:
    check_command(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("a\0b", "holds a NUL"),
        ("a\udc80", "is not UTF-8"),
        ("é" * (COMMAND_MAX_BYTES // 2 + 1), "ship that with --file"),
    ],
    ids=["empty", "blank", "NUL", "bytes", "long"],
)
def test_what_bash_could_not_be_given_is_refused(text: str, why: str) -> None:
    with pytest.raises(RequestError, match=re.escape(why)):
        check_command(text)


def test_the_tail_of_a_stderr_is_its_last_lines() -> None:
    lines = [f"line {number}" for number in range(100)]
    assert tail_of("\n".join(lines).encode() + b"\n\n").splitlines() == lines[-STDERR_TAIL_LINES:]


def test_the_tail_of_nothing_is_nothing() -> None:
    assert tail_of(b"") == tail_of(b"\n \n") == ""


def test_the_tail_shows_what_a_terminal_would_obey() -> None:
    assert tail_of(b"\x1b[31mred\tx\x07\rback\n") == "?[31mred\tx?\nback"


@given(st.binary(max_size=400))
def test_the_tail_of_any_bytes_is_safe_to_print(stderr: bytes) -> None:
    shown = tail_of(stderr)
    assert len(shown.splitlines()) <= STDERR_TAIL_LINES
    assert all(c.isprintable() or c in "\t\n" for c in shown)
