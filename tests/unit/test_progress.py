"""When it is shown how far long work is, and in which words."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence

import pytest

from s4zmq.amounts import Account, Counts, Share, State, sum_of
from s4zmq.progress import Progress
from s4zmq.progressviews import left_s_of, line_of, share_of, show_s


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Work:
    """Something whose counts and seconds are what they are told to be."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counts = Counts()
        self.on_step: Callable[[], object] | None = None

    def clock(self) -> float:
        return self.now

    def step(self, at_s: float, counts: Counts) -> None:
        self.now, self.counts = 100 + at_s, counts
        if self.on_step:
            self.on_step()


def shown(
    *news: tuple[float, Counts], total: Counts | None = None, how: str = "shown", has_summary: bool = False
) -> str:
    """What stands on a stderr that is no terminal after each of the counts came at its second."""
    stream, work = Terminal(False), Work()
    with Progress("verify", how, stream=stream, clock=work.clock, has_summary=has_summary) as progress:
        progress.follow(work, lambda: work.counts, lambda: total)
        for at_s, counts in news:
            work.step(at_s, counts)
    assert work.on_step is None, "who goes on with other work is not shown any more"
    return stream.getvalue()


def state(
    counts: Counts,
    total: Counts | None = None,
    spent_s: float = 10,
    rate: float = 0,
    shares: Sequence[Share] = (),
) -> State:
    return State("cp", counts, total, spent_s, rate, shares, "key", "failed")


def test_there_is_a_line_every_few_seconds_and_one_at_the_end() -> None:
    news = [(second, Counts(second, 1000 * second)) for second in range(1, 13)]
    assert shown(*news) == (
        "s4: verify: 5 keys, 5.0 KB, 1.0 KB/s, 0:05\n"
        "s4: verify: 10 keys, 10.0 KB, 1.0 KB/s, 0:10\n"
        "s4: verify: 12 keys, 12.0 KB, 1.0 KB/s, in 12.0 s\n"
    )


def test_short_work_shows_nothing() -> None:
    assert shown((0.05, Counts(5, 5)), (4.9, Counts(9, 9))) == ""


def test_nothing_is_shown_where_nobody_wants_it() -> None:
    assert shown((60, Counts(5, 5)), how="") == ""


def test_what_is_summed_up_elsewhere_has_no_last_line_unless_it_fails() -> None:
    assert shown((6, Counts(5, 5)), has_summary=True).count("\n") == 1
    stream, work = Terminal(False), Work()
    progress = Progress("map", "shown", stream=stream, clock=work.clock, has_summary=True)
    progress.follow(work, lambda: work.counts, lambda: Counts(8, 8))
    work.step(6, Counts(3, 3))
    progress.__exit__(KeyboardInterrupt, None, None)
    assert stream.getvalue().splitlines()[-1] == "s4: map: 3 of 8 keys, 3 bytes of 8 bytes, in 6.0 s"


def test_records_come_each_second_and_the_last_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(*((n / 2, Counts(n, 0)) for n in range(6)), total=Counts(9, 0), how="json") == ""
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(record["keys"], record["all_keys"], record["seconds"]) for record in records] == [
        (2, 9, 1.0),
        (4, 9, 2.0),
        (5, 9, 2.5),
    ]


def test_a_stream_that_went_away_ends_nothing() -> None:
    work = Work()
    with open("/dev/full", "w", encoding="utf-8") as full:
        with Progress("verify", "shown", stream=full, clock=work.clock) as progress:
            progress.follow(work, lambda: work.counts)
            work.step(10, Counts(1, 1))
        os.dup2(null := os.open(os.devnull, os.O_WRONLY), full.fileno())  # what is buffered goes here
        os.close(null)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    news = [(second, Counts(1, 0 if second < 60 else 1000 * (second - 60))) for second in range(5, 101, 5)]
    assert "1.0 KB/s" in shown(*news).splitlines()[-2]


# -- words


@pytest.mark.parametrize(
    ("counts", "total", "is_over", "line"),
    [
        (Counts(2, 1000), None, False, "cp: 2 keys, 1.0 KB, 0:10"),
        (Counts(1, 5), Counts(4, 20), False, "cp: 1 of 4 keys, 5 bytes of 20 bytes, 0:30 left"),
        (Counts(4, 20), Counts(4, 20), True, "cp: 4 keys, 20 bytes, 2 bytes/s, in 10.0 s"),
        (Counts(4, 20, 0, 3), Counts(4, 20), False, "cp: 4 keys, 20 bytes, 3 were there, 0:10"),
        (Counts(1, 0, 1), Counts(4, 0), False, "cp: 1 of 4 keys, 1 failed, 0:10 left"),
        (Counts(), None, False, "cp: 0 keys, 0:10"),
    ],
)
def test_a_line_says_how_much_and_how_long(
    counts: Counts, total: Counts | None, is_over: bool, line: str
) -> None:
    assert line_of(state(counts, total), is_over=is_over) == line


def test_times_are_read_as_on_a_clock() -> None:
    assert [show_s(seconds) for seconds in (0.9, 59, 61, 4000)] == ["0:00", "0:59", "1:01", "1:06:40"]


@pytest.mark.parametrize(
    ("counts", "total", "share"),
    [
        (Counts(), Counts(4, 4), 0),
        (Counts(4, 4), Counts(4, 4), 1),
        (Counts(0, 1 << 29), Counts(1, (1 << 30) - (1 << 18)), 0.5),
        (Counts(1, 1 << 18), Counts(2, 3 << 18), 0.4),
        (Counts(2, 0, 1), Counts(4, 0), 0.75),
        (Counts(1, 0), Counts(2, 0), 0.5),
        (Counts(9, 9), Counts(4, 4), 1),
        (Counts(9, 9), None, 0),
        (Counts(), Counts(), 0),
    ],
)
def test_a_share_is_made_of_bytes_and_keys(counts: Counts, total: Counts | None, share: float) -> None:
    assert share_of(counts, total) == share
    assert left_s_of(state(counts, total)) == (10 / share - 10 if share else 0)


# -- counting


def test_counts_of_several_nodes_add_up() -> None:
    assert sum_of([Counts(1, 2, 3, 4), Counts(10, 20)]) == Counts(11, 22, 3, 4)
    assert sum_of([]) == Counts()


def test_an_account_counts_each_key_and_tells_of_it() -> None:
    told: list[tuple[str, str, int, bool]] = []
    account = Account(lambda *key: told.append(key))
    account.done("s4://b/a", "a", 5)
    account.done("s4://b/c", "c", 7, skipped=True)
    assert told == [("s4://b/a", "a", 5, False), ("s4://b/c", "c", 7, True)]
    assert account.counts(100, 1) == Counts(2, 112, 1, 1)
