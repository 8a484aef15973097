"""How much of some work is done, as all who count and all who show it write it down. Nothing here knows
what is done, or looks at a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

Note = Callable[[str, str, int, bool], object]
"""Told of each key that is done: its text, the local path, bytes, whether it was there already."""


class Counts(NamedTuple):
    """How much is done, or is to be done."""

    keys: int = 0
    bytes: int = 0
    """With those of keys under way."""
    failed: int = 0
    skipped: int = 0
    """Of `keys`: they were there already."""


def sum_of(parts: Iterable[Counts]) -> Counts:
    """The counts of several nodes together."""
    return Counts(*map(sum, zip(Counts(), *parts, strict=True)))


class Account:
    """The keys that one command has done, each counted once."""

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self.keys = self.bytes = self.skipped = 0

    def done(self, name: str, path: str, size: int, *, skipped: bool = False) -> None:
        """One more; see `Note`."""
        self.keys += 1
        self.bytes += size
        self.skipped += skipped
        if self._note:
            self._note(name, path, size, skipped)

    def counts(self, under_way_bytes: int, failed: int) -> Counts:
        """Of all that is done, with the bytes so far of what is not."""
        return Counts(self.keys, self.bytes + under_way_bytes, failed, self.skipped)


class Share(NamedTuple):
    """What one node has done of its part."""

    node: str
    counts: Counts
    total: Counts | None


class State(NamedTuple):
    """All that a drawing shows."""

    verb: str
    counts: Counts
    total: Counts | None
    """None where nobody knows how much there is."""
    spent_s: float
    rate: float
    """Bytes a second, lately."""
    shares: Sequence[Share]
    """Of the nodes, where they are told apart."""
    noun: str
    failed: str
    """What becomes of a bad key."""
