"""Priorities for the journal, and only for the journal."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from s4zmq.logs import Prioritized, goes_to_journal, prefixed


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, 3),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
    ],
)
def test_a_level_has_its_priority(level: int, priority: int) -> None:
    assert prefixed("one line", level) == f"<{priority}>one line"


def test_every_line_of_a_traceback_has_it() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as exc:
        info = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("room", logging.ERROR, "", 0, "failed on %s", ("x",), info)
    lines = Prioritized("%(name)s: %(message)s").format(record).splitlines()
    assert lines[0] == "<3>room: failed on x"
    assert len(lines) > 4
    assert all(line.startswith("<3>") for line in lines)


def test_only_the_stream_that_the_variable_names_is_the_journal(tmp_path: Path) -> None:
    with open(tmp_path / "journal", "w") as journal, open(tmp_path / "other", "w") as other:
        found = os.fstat(journal.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert goes_to_journal(environ, journal.fileno())
        assert not goes_to_journal(environ, other.fileno())
        assert not goes_to_journal({}, journal.fileno())
    assert not goes_to_journal(environ, 987)
