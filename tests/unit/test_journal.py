"""Lines that outlive a kill: each is there whole, or is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.journal import Journal, read_lines

from .test_sinks import files_end_at

LINES = ["one", "", "two\twith a tab", "three " * 50, "vier\udcff"]
TEXT = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)


def written(path: Path, lines: list[str]) -> Path:
    journal = Journal(path)
    for line in lines:
        journal.append(line)
    journal.close()
    return path


def test_lines_come_back_in_their_order_also_to_another_process(tmp_path: Path) -> None:
    assert list(read_lines(written(tmp_path / "j", LINES))) == LINES
    later = Journal(tmp_path / "j")
    later.append("more")
    assert list(later.lines()) == [*LINES, "more"]
    later.close()


def test_a_journal_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "none")) == []


def test_a_cut_at_any_byte_loses_the_last_line_at_most_and_more_lines_can_follow(tmp_path: Path) -> None:
    data = written(tmp_path / "whole", LINES).read_bytes()
    ends = [index + 1 for index, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path = tmp_path / "cut"
        path.write_bytes(data[:cut])
        whole = sum(end - 1 <= cut for end in ends)  # only its newline may be missing
        assert list(read_lines(path)) == LINES[:whole]
        assert list(read_lines(written(path, ["next"]))) == [*LINES[:whole], "next"]


@given(st.lists(TEXT, max_size=6), st.integers(0, 1000), st.integers(0, 255))
def test_a_flipped_byte_costs_the_lines_that_it_touches_and_makes_none_up(
    tmp_path: Path, lines: list[str], place: int, flip: int
) -> None:
    path = tmp_path / "flipped"
    path.unlink(missing_ok=True)
    data = bytearray(written(path, lines).read_bytes())
    if data:
        data[place % len(data)] ^= flip
    path.write_bytes(data)
    found = list(read_lines(path))
    assert len(found) >= len(lines) - 2
    assert all(line in lines for line in found)


def test_a_line_that_the_disk_did_not_take_is_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append("first")
    with files_end_at(journal.size + 5), pytest.raises(OSError, match="large"):
        journal.append("second")
    journal.append("third")
    assert list(journal.lines()) == ["first", "third"]
    journal.close()


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_journal_can_be_written_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append("old")
    journal.replace(["kept"])
    journal.append("new")
    assert list(journal.lines()) == ["kept", "new"]
    with files_end_at(3), pytest.raises(OSError, match="large"):
        journal.replace(["too long"])
    assert list(journal.lines()) == ["kept", "new"]
    journal.append("still")
    assert list(read_lines(tmp_path / "j")) == ["kept", "new", "still"]
    journal.close()
    assert os.stat(tmp_path / "j").st_mode & 0o077 == 0


@pytest.mark.parametrize("missing", [1, 3, 10])
def test_a_disk_that_was_full_when_a_torn_journal_was_opened_costs_no_further_line(
    tmp_path: Path, missing: int
) -> None:
    path = written(tmp_path / "j", LINES)
    os.truncate(path, path.stat().st_size - missing)
    before = list(read_lines(path))
    with files_end_at(path.stat().st_size):
        journal = Journal(path)
        with pytest.raises(OSError, match="large"):
            journal.append("no room")
    journal.append("next")
    journal.append("last")
    journal.close()
    assert list(read_lines(path)) == [*before, "next", "last"]


def test_a_replacement_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(written(tmp_path / "j", LINES))
    with files_end_at(3), pytest.raises(OSError, match="large"):
        journal.replace(["too long"])
    journal.close()
    assert os.listdir(tmp_path) == ["j"], "it would be in the way on a full disk"


@given(st.lists(TEXT, max_size=6), st.floats(0, 1), st.lists(TEXT, max_size=3))
def test_whatever_is_cut_off_what_stood_before_stays_and_more_can_follow(
    tmp_path: Path, lines: list[str], part: float, further: list[str]
) -> None:
    path = tmp_path / "cut"
    path.unlink(missing_ok=True)
    data = written(path, lines).read_bytes()
    os.truncate(path, round(len(data) * part))
    kept = list(read_lines(path))
    assert kept == lines[: len(kept)]
    assert len(kept) >= path.read_bytes().count(b"\n")
    assert list(read_lines(written(path, further))) == [*kept, *further]
