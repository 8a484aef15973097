"""What is printed: listings in the form of `aws s3 ls`, and raw bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from s4zmq import wire
from s4zmq.printing import print_listing, print_rehearsal, write_all

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


# -- dry runs

PLAN = wire.Plan(b"J" * 16, "map", "s4://in/*", "s4://out/", "cat", [], 0, 0, 0, False, False, True)
PLANNED = {
    "10.0.0.1:80": wire.Planned(3, 3_000_000, 2, 2_000_000, 1, []),
    "10.0.0.2:80": wire.Planned(1, 1_000_000, 1, 1_000_000, 0, []),
}


def test_a_dry_run_is_a_table_of_the_nodes_with_a_sum(capsys: pytest.CaptureFixture[str]) -> None:
    print_rehearsal(PLAN, PLANNED)
    assert capsys.readouterr().out == (
        "dry run: map s4://in/* s4://out/: nothing is run or changed\n"
        "dry run: node         keys      bytes  complete  commands  outputs\n"
        "dry run: 10.0.0.1:80     3  3,000,000         1         2        3\n"
        "dry run: 10.0.0.2:80     1  1,000,000         0         1        1\n"
        "dry run: all             4  4,000,000         1         3        4\n"
        "dry run: skew: of the bytes the busiest node has 1.50 times the mean, of the outputs 1.50 times;"
        " outputs stay with their inputs\n"
    )


def test_a_dry_run_of_a_map_to_n_promises_no_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    print_rehearsal(PLAN._replace(kind="map-to-n"), PLANNED)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("dry run: ") for line in lines)
    assert [line.split()[-1] for line in lines[2:5]] == ["?"] * 3
    assert lines[-1].endswith("1.50 times the mean; where the outputs go their names will tell")


def test_a_dry_run_of_empty_inputs_is_not_skewed(capsys: pytest.CaptureFixture[str]) -> None:
    print_rehearsal(
        PLAN, {"10.0.0.1:80": wire.Planned(2, 0, 0, 0, 2, []), "b:1": wire.Planned(0, 0, 0, 0, 0, [])}
    )
    assert "has 1.00 times the mean, of the outputs 2.00 times" in capsys.readouterr().out
