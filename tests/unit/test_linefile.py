"""Files of lines: without a name, read as often as one likes, gone when closed."""

from __future__ import annotations

import os

import pytest

from s4zmq.errors import StorageError
from s4zmq.linefile import LineFile, read_lines
from s4zmq.store import Store

from .helpers import unfinished
from .test_sinks import files_end_at


@pytest.mark.usefixtures("no_descriptor_left")
def test_lines_come_back_as_often_as_they_are_asked_for(store: Store) -> None:
    file = LineFile(store, "lines")
    lines = ["one", "", "two words", os.fsdecode(b"no utf-8 \xff"), "ü"]
    for line in lines:
        file.add(line)
    assert (list(file), list(file)) == (lines, lines)
    file.add("later")
    assert list(file) == [*lines, "later"]
    assert file.count == 6
    assert unfinished(store) == []
    file.close()
    file.close()


@pytest.mark.usefixtures("no_descriptor_left")
def test_more_lines_than_are_kept_in_memory_are_all_there(store: Store) -> None:
    file = LineFile(store, "lines")
    lines = [f"{number} {'x' * (number % 500)}" for number in range(2000)]
    for line in lines:
        file.add(line)
    assert list(file) == lines
    file.close()


def test_a_reader_of_the_descriptor_finds_all_after_a_flush(store: Store) -> None:
    file = LineFile(store, "lines")
    file.add("one")
    assert os.pread(file.fd, 100, 0) == b""
    file.flush()
    assert os.pread(file.fd, 100, 0) == b"one\n"
    for _ in range(2):
        assert list(read_lines(file.fd)) == ["one"]
        assert os.lseek(file.fd, 0, os.SEEK_CUR) == 0
    file.close()


def test_no_lines_are_none(store: Store) -> None:
    file = LineFile(store, "lines")
    assert (list(file), file.count) == ([], 0)
    file.close()


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_disk_that_takes_no_more_is_an_error_that_says_what_it_was_for(store: Store) -> None:
    file = LineFile(store, "the inputs of a job")
    file.add("more than that")
    with files_end_at(4), pytest.raises(StorageError, match="can not write the inputs of a job"):
        file.flush()
    file.close()
