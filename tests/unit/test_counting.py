"""Tallies: what a job would do, item by item, with nothing left when the count fails."""

from __future__ import annotations

import pytest

from s4zmq.counting import Candidate, Count, Tally, Verdict
from s4zmq.store import Store

from .helpers import unfinished

TO_RUN, COMPLETE, STALE = Verdict(), Verdict(is_complete=True), Verdict(is_stale=True)


def add(tally: Tally, label: str, verdict: Verdict) -> bool:
    return tally.add(f"walked {label}", Candidate(label, b""), verdict, 10)


@pytest.mark.usefixtures("no_descriptor_left")
def test_items_are_counted_by_their_verdicts(store: Store) -> None:
    tally = Tally(store)
    verdicts = {"a": TO_RUN, "b": COMPLETE, "c": STALE, "d": COMPLETE, "e": Verdict(conflict="s4://out/e")}
    to_run = [label for label, verdict in verdicts.items() if add(tally, label, verdict)]
    tally.keys, tally.bytes = 7, 70
    count = tally.count()
    assert to_run == ["a", "c", "e"]
    assert count[:6] == (7, 70, 3, 30, 2, ["s4://out/e"])
    assert list(count.skips or ()) == ["walked b", "walked d"]
    assert list(count.stale or ()) == ["c"]
    assert unfinished(store) == []
    count.close()


@pytest.mark.usefixtures("no_descriptor_left")
def test_without_an_earlier_run_no_file_is_made(store: Store) -> None:
    tally = Tally(store)
    add(tally, "a", TO_RUN)
    count = tally.count()
    assert (count.items, count.skips, count.stale) == (1, None, None)


def test_only_the_first_conflicts_are_kept(store: Store) -> None:
    tally = Tally(store)
    for number in range(9):
        add(tally, str(number), Verdict(conflict=f"s4://out/{number}"))
    assert tally.count().conflicts == [f"s4://out/{number}" for number in range(3)]
    assert tally.count().items == 9


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_count_that_failed_gives_its_files_back(store: Store) -> None:
    tally = Tally(store)
    add(tally, "a", COMPLETE)
    add(tally, "b", STALE)
    tally.close()


def test_a_count_of_nothing_is_all_zero() -> None:
    assert Count()[:6] == (0, 0, 0, 0, 0, ())
    Count().close()
