"""The line that says how far long work is."""

from __future__ import annotations

import io
import os

import pytest

from s4zmq.progress import Counts, Progress, sum_of


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(terminal: bool, *news: tuple[float, Counts], total: Counts | None = None) -> str:
    """What stands on stderr after each of the counts came at its second."""
    stream, clock = Terminal(terminal), Clock()
    with Progress("verify", total, stream=stream, clock=clock) as progress:
        for at_s, counts in news:
            clock.now = 100 + at_s
            progress.show(counts)
    return stream.getvalue()


CLEAR = "\r\x1b[K"


def test_on_a_terminal_a_line_is_rewritten_and_taken_away_at_the_end() -> None:
    text = shown(True, (1, Counts(2, 1000)), (2.5, Counts(5, 16_800_000, 1)))
    lines = ["verify: 2 keys, 1.0 KB, 0:01", "verify: 5 keys, 16.8 MB, 1 failed, 0:02"]
    assert text == CLEAR + CLEAR.join(lines) + CLEAR


def test_elsewhere_there_is_a_line_every_few_seconds() -> None:
    news = [(second, Counts(second, 0)) for second in range(1, 13)]
    assert shown(False, *news) == "s4: verify: 5 keys, 0 bytes, 0:05\ns4: verify: 10 keys, 0 bytes, 0:10\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_short_work_shows_nothing(terminal: bool) -> None:
    assert shown(terminal, (0.05, Counts(5, 5)), (0.1, Counts(9, 9))) == ""


def test_where_all_is_known_the_line_says_how_much_and_how_long() -> None:
    text = shown(True, (30, Counts(1, 500_000)), total=Counts(4, 2_000_000))
    assert text.strip(CLEAR) == "verify: 1 of 4 keys, 500.0 KB of 2.0 MB, 1:30 left"
    text = shown(True, (4000, Counts(0, 0)), total=Counts(4, 0))
    assert text.strip(CLEAR) == "verify: 0 of 4 keys, 0 bytes of 0 bytes, 1:06:40"


def test_the_line_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((12, 5)))
    stream, clock = Terminal(True), Clock()
    monkeypatch.setattr(stream, "fileno", lambda: 2)
    progress = Progress("verify", stream=stream, clock=clock)
    clock.now += 1
    progress.show(Counts(5, 5))
    assert stream.getvalue() == f"{CLEAR}verify: 5 k"


def test_it_is_cleared_for_others_and_comes_back() -> None:
    stream, clock = Terminal(True), Clock()
    progress = Progress("verify", stream=stream, clock=clock)
    for _ in range(2):
        clock.now += 1
        progress.show(Counts(1, 1))
        progress.clear()
        progress.clear()
    assert stream.getvalue().count(CLEAR) == 4
    assert stream.getvalue().endswith("0:02" + CLEAR)


def test_a_terminal_that_went_away_ends_nothing() -> None:
    clock = Clock()
    with open("/dev/full", "w", encoding="utf-8") as full:
        progress = Progress("verify", stream=full, clock=clock)
        clock.now += 10
        progress.show(Counts(1, 1))
        os.dup2(null := os.open(os.devnull, os.O_WRONLY), full.fileno())  # what is buffered goes here
        os.close(null)


def test_counts_of_several_nodes_add_up() -> None:
    assert sum_of([Counts(1, 2, 3), Counts(10, 20)]) == Counts(11, 22, 3)
    assert sum_of([]) == Counts()
