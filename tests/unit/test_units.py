"""Amounts as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.units import show_bytes, show_count, show_two

COUNTS = st.integers(0, 10**16)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1.0 MB"),
        (16_777_216, "16.8 MB"),
        (7_900_000_000, "7.9 GB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_bytes_are_shown_in_the_unit_that_fits(count: int, text: str) -> None:
    assert show_bytes(count) == text


def test_a_count_has_its_noun() -> None:
    assert [show_count(count, "key") for count in (0, 1, 4096)] == ["0 keys", "1 key", "4096 keys"]


@pytest.mark.parametrize(
    ("first", "second", "texts"),
    [
        (3_100_000_000, 7_900_000_000, ("3.1 GB", "7.9")),
        (40_000_000, 7_900_000_000, ("40.0 MB", "7900.0")),
        (0, 5000, ("0 KB", "5.0")),
        (3_140_000_000, 3_149_000_000, ("3140.0 MB", "3149.0")),
        (5, 7, ("5 bytes", "7")),
    ],
)
def test_two_amounts_share_a_unit_in_which_they_can_be_compared(
    first: int, second: int, texts: tuple[str, str]
) -> None:
    assert show_two(first, second) == texts


@given(COUNTS, COUNTS)
def test_two_amounts_that_differ_never_read_the_same_or_as_nothing(first: int, second: int) -> None:
    one, two = show_two(first, second)
    assert (one.split()[0] == two) == (first == second)
    assert "0.0" not in (one.split()[0], two)
