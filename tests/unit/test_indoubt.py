"""Tasks in doubt: noted before their first output shows, and found again after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4zmq import indoubt as room
from s4zmq.indoubt import Doubt, InDoubt

from .test_sinks import files_end_at


def doubt(number: int) -> Doubt:
    return Doubt(b"%016d" % number, "10.0.0.1:80", b"recipe..", f"out/{number}/")


def test_what_is_in_doubt_is_found_after_a_kill(tmp_path: Path) -> None:
    before = InDoubt(tmp_path)
    for number in range(3):
        before.begin(doubt(number))
        before.begin(doubt(number))
    before.end(doubt(1).task)
    before.end(b"unknown " * 2)
    for each in (before, InDoubt(tmp_path)):
        assert each.all() == [doubt(0), doubt(2)]
        assert (len(each), each.of(doubt(0).task), each.of(doubt(1).task)) == (2, doubt(0), None)
        each.close()


def test_the_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_COMPACT_BYTES", 2000)
    kept = InDoubt(tmp_path)
    kept.begin(doubt(0))
    for number in range(1, 500):
        kept.begin(doubt(number))
        kept.end(doubt(number).task)
    assert (tmp_path / "indoubt").stat().st_size < 5000
    kept.close()
    later = InDoubt(tmp_path)
    assert later.all() == [doubt(0)]
    later.close()


def test_on_a_full_disk_no_task_begins_but_each_can_end(tmp_path: Path) -> None:
    kept = InDoubt(tmp_path)
    kept.begin(doubt(0))
    with files_end_at((tmp_path / "indoubt").stat().st_size):
        with pytest.raises(OSError, match="large"):
            kept.begin(doubt(1))
        kept.end(doubt(0).task)
    assert kept.all() == []
    kept.close()
    later = InDoubt(tmp_path)
    assert later.all() == [doubt(0)], "its sender is asked again"
    later.close()
