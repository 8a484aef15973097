"""Sorting: the same as `sorted`, with runs on disk, and nothing left there."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.sorting import sorted_lines

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=6)


@given(lines=st.lists(LINES, max_size=40), run_lines=st.integers(1, 12))
def test_lines_come_out_as_sorted_would_give_them(tmp_path: Path, lines: list[str], run_lines: int) -> None:
    assert list(sorted_lines(lines, str(tmp_path), run_lines)) == sorted(lines)


@given(st.lists(LINES, max_size=20))
def test_the_order_is_that_of_the_bytes(tmp_path: Path, lines: list[str]) -> None:
    found = [line.encode() for line in sorted_lines(lines, str(tmp_path), 3)]
    assert found == sorted(line.encode() for line in lines)


def test_lines_are_only_cut_at_newlines(tmp_path: Path) -> None:
    lines = ["a\r", "a\rb", "b\x85", "c\u2028d", "d\ve", "", "\t"]
    assert list(sorted_lines(reversed(lines), str(tmp_path), 2)) == sorted(lines)


def test_many_runs_are_merged(tmp_path: Path) -> None:
    lines = [f"{number:06}" for number in range(5000)]
    mixed = random.Random(1).sample(lines, len(lines))
    assert list(sorted_lines(mixed, str(tmp_path), 100)) == lines


@pytest.mark.usefixtures("no_descriptor_left")
def test_nothing_is_left_whether_the_merge_is_read_to_its_end_or_not(tmp_path: Path) -> None:
    lines = [str(number) for number in range(100)]
    list(sorted_lines(lines, str(tmp_path), 7))
    merged = sorted_lines(lines, str(tmp_path), 7)
    assert isinstance(merged, Iterator)
    assert next(merged) == "0"
    assert os.listdir(tmp_path) == [], "the runs have no names"
    merged.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[str]:
        yield from ("b", "a", "c")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(sorted_lines(failing(), str(tmp_path), 2))
    assert os.listdir(tmp_path) == []


def test_a_short_input_does_not_touch_the_disk() -> None:
    assert list(sorted_lines(["b", "a"], "/nonexistent", 3)) == ["a", "b"]


def test_no_more_than_a_run_is_read_ahead(tmp_path: Path) -> None:
    taken = []

    def source() -> Iterator[str]:
        for number in range(10):
            taken.append(number)
            yield str(number)

    sorted_lines(source(), str(tmp_path), 4)
    assert len(taken) == 4
