"""What is printed: listings in the form of `aws s3 ls`, and raw bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from s4zmq.printing import print_listing, write_all

NS = 1_700_000_000 * 10**9


@pytest.fixture(autouse=True)
def far_away() -> Iterator[None]:
    """A local time that differs from UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XYZ-05:30")
        time.tzset()
        yield
    time.tzset()


def test_a_line_is_date_time_size_and_name_in_local_time(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("b/d/", 0, 0), ("b/key", 5, NS), ("b/large", 12345678901, NS)]
    assert print_listing(rows, "b/", recursive=False) == 3
    assert capsys.readouterr().out == (
        "                           PRE d/\n"
        "2023-11-15 03:43:20          5 key\n"
        "2023-11-15 03:43:20 12345678901 large\n"
    )


@pytest.mark.parametrize(
    ("prefix", "recursive", "name"),
    [
        ("b/", True, "d/e/k"),
        ("b/d/e/", True, "d/e/k"),
        ("b/d/", False, "e/k"),
        ("b/d/e/", False, "k"),
        ("b/d/e/k", False, "k"),
        ("b/d/e/k", True, "d/e/k"),
    ],
)
def test_the_name_is_the_path_below_the_bucket_or_below_the_last_slash(
    capsys: pytest.CaptureFixture[str], prefix: str, recursive: bool, name: str
) -> None:
    print_listing([("b/d/e/k", 1, NS)], prefix, recursive=recursive)
    assert capsys.readouterr().out.split(maxsplit=3)[3] == f"{name}\n"


def test_nothing_is_printed_where_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_listing([], "b/", recursive=True) == 0
    assert capsys.readouterr().out == ""


def test_a_long_listing_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = ((f"b/{number:05}", number, NS) for number in range(3000))
    assert print_listing(rows, "b/", recursive=True) == 3000
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == [f"{number:05}" for number in range(3000)]


def test_every_byte_is_written_and_a_reader_that_left_is_an_error() -> None:
    reader, writer = os.pipe()
    write_all(writer, memoryview(b"a\0\xff\n"))
    write_all(writer, b"")
    assert os.read(reader, 10) == b"a\0\xff\n"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        write_all(writer, b"x")
    os.close(writer)
