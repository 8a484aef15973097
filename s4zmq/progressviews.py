"""How progress looks where no terminal is: a line on stderr now and then, or records on stdout. On a
terminal it is drawn by `bars`, with the words that are made here.
"""

from __future__ import annotations

from typing import Protocol, TextIO

from .amounts import Counts, State
from .jsonlines import print_json
from .units import show_bytes, show_count

_KEY_BYTES = 256 << 10
"""A key takes as long as so many bytes, more or less."""


class View(Protocol):
    """Where the drawings of one command go."""

    interval_s: float

    def draw(self, state: State) -> None:
        """Show this instead of the last one."""

    def close(self, state: State | None) -> None:
        """No more drawings; with a state, that is what stays."""


class Lines:
    """A line every few seconds."""

    interval_s = 5.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def draw(self, state: State) -> None:
        """One more line."""
        write_line(self._stream, line_of(state))

    def close(self, state: State | None) -> None:
        """The last line."""
        if state:
            write_line(self._stream, line_of(state, is_over=True))


class Records:
    """A record every second."""

    interval_s = 1.0

    def draw(self, state: State) -> None:
        """One more record. Raises BrokenPipeError."""
        counts, total = state.counts, state.total
        print_json(
            {
                "kind": "progress",
                "verb": state.verb,
                **_amounts(counts, total),
                "seconds": round(state.spent_s, 3),
                "nodes": [
                    {"node": share.node, **_amounts(share.counts, share.total)} for share in state.shares
                ],
            }
        )

    def close(self, state: State | None) -> None:
        """What was done stands in the summary, or here where there is none."""
        if state:
            self.draw(state)


def _amounts(counts: Counts, total: Counts | None) -> dict[str, int | None]:
    return {
        "keys": counts.keys,
        "all_keys": total.keys if total else None,
        "bytes": counts.bytes,
        "all_bytes": total.bytes if total else None,
        "failed": counts.failed,
    }


def write_line(stream: TextIO, text: str) -> None:
    """`s4: text`; a stream that went away is no reason to end the work."""
    try:
        stream.write(f"s4: {text}\n")
        stream.flush()
    except OSError:
        pass


# -- words


def line_of(state: State, *, is_over: bool = False) -> str:
    """All of it in a line."""
    left_s = left_s_of(state)
    rate = state.counts.bytes / state.spent_s if is_over and state.spent_s else state.rate
    parts = [keys_of(state, long=True)]
    if state.counts.bytes or (state.total and state.total.bytes):
        parts.append(bytes_of(state.counts, state.total, long=True))
    parts += [f"{show_bytes(int(rate))}/s"] if rate >= 1 else []
    parts += [failed_of(state)] if state.counts.failed else []
    parts += [f"{state.counts.skipped} were there"] if state.counts.skipped else []
    if is_over:
        parts.append(f"in {state.spent_s:.1f} s" if state.spent_s < 60 else f"in {show_s(state.spent_s)}")
    else:
        parts.append(f"{show_s(left_s)} left" if left_s else show_s(state.spent_s))
    return f"{state.verb}: {', '.join(parts)}"


def keys_of(state: State, *, long: bool) -> str:
    """`3 of 4 keys`, or short `3/4 keys`."""
    counts, total, noun = state.counts, state.total, state.noun
    if total is None or total.keys < counts.keys or (total.keys == counts.keys and long):
        return show_count(counts.keys, noun)
    return f"{counts.keys}{' of ' if long else '/'}{show_count(total.keys, noun)}"


def bytes_of(counts: Counts, total: Counts | None, *, long: bool) -> str:
    """`1.0 MB of 2.0 MB`, or short `1.0 MB/2.0 MB`."""
    if total is None or total.bytes < counts.bytes or (total.bytes == counts.bytes and long):
        return show_bytes(counts.bytes)
    return f"{show_bytes(counts.bytes)}{' of ' if long else '/'}{show_bytes(total.bytes)}"


def failed_of(state: State) -> str:
    """`2 failed`."""
    return f"{state.counts.failed} {state.failed}"


def share_of(counts: Counts, total: Counts | None) -> float:
    """How much of all is done, 0 to 1. A small key costs more than its bytes, so each counts as some bytes
    more; one that failed is done with."""
    if total is None:
        return 0.0
    done = (counts.keys + counts.failed) * _KEY_BYTES + counts.bytes
    of = total.keys * _KEY_BYTES + total.bytes
    return min(1.0, done / of) if of else 0.0


def left_s_of(state: State) -> float:
    """A guess; 0: no idea."""
    share = share_of(state.counts, state.total)
    return state.spent_s / share - state.spent_s if share else 0.0


def show_s(seconds: float) -> str:
    """`0:05`, `1:06:40`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
