"""What a job would do on a node, counted item by item: how much is to run, done already, or in the way.

Whether an output is there is a judge's business (`judging`, `survey`). Bounded memory: labels of
which there may be many go to files without names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .linefile import LineFile
from .listing import Entry
from .store import Store

_CONFLICTS_SHOWN = 3
JUDGED_AT_ONCE = 100
"""Items in one look, which for map-to-n is a request to every peer."""


class Candidate(NamedTuple):
    """An item that may have to run."""

    label: str
    """Path of its output below OUTDIR; for map-to-n of the folder of its outputs."""

    mark: bytes
    """Of its input, see `recipes`; b"" where no earlier run is looked for."""


class Verdict(NamedTuple):
    """What an item's outputs look like now. None at all is the usual case."""

    is_complete: bool = False
    is_stale: bool = False
    """An earlier run of the same recipe has left some that must go first."""
    conflict: str = ""
    """A key that stands in the way, and is not this run's to remove."""


Judge = Callable[[Sequence[Candidate]], Sequence[Verdict]]
"""A verdict for each candidate; they come sorted by what they are found by. May ask peers."""


class KeptGroup(NamedTuple):
    """A group of a merge in memory."""

    name: str
    """Of its output."""

    size: int
    members: list[str]


class Count(NamedTuple):
    """What a job would do on this node."""

    keys: int = 0
    bytes: int = 0
    items: int = 0
    """Commands to run."""

    item_bytes: int = 0
    """Of their inputs."""

    complete: int = 0
    """Items that need no command."""

    conflicts: Sequence[str] = ()
    """The first few keys that are in the way."""

    largest: Sequence[Entry] = ()
    """Of a map the largest of those to run, LARGEST_FIRST_KEYS at most."""

    groups: Sequence[KeptGroup] | None = None
    """Of a merge, all to run, largest first; None where they have more than KEPT_MEMBERS."""

    skips: LineFile | None = None
    """Labels of the complete ones, in the order of the walk."""

    stale: LineFile | None = None
    """Labels below OUTDIR of what must go before the job starts."""

    def close(self) -> None:
        """Give the files back."""
        for file in (self.skips, self.stale):
            if file:
                file.close()


class Tally:
    """A count in the making."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.keys = self.bytes = 0
        self._items = self._item_bytes = self._complete = 0
        self._conflicts: list[str] = []
        self._skips: LineFile | None = None
        self._stale: LineFile | None = None

    def add(self, walked: str, candidate: Candidate, verdict: Verdict, size: int) -> bool:
        """One item with `size` bytes of inputs; whether it is to run. `walked` is what it is found by when
        all are walked again."""
        if verdict.conflict and len(self._conflicts) < _CONFLICTS_SHOWN:
            self._conflicts.append(verdict.conflict)
        if verdict.is_complete:
            self._complete += 1
            self._skips = self._skips or self._file()
            self._skips.add(walked)
            return False
        self._items += 1
        self._item_bytes += size
        if verdict.is_stale:
            self._stale = self._stale or self._file()
            self._stale.add(candidate.label)
        return True

    def _file(self) -> LineFile:
        return LineFile(self._store, "the inputs of a job")

    def close(self) -> None:
        """The count has failed."""
        self.count().close()

    def count(self, largest: Sequence[Entry] = (), groups: Sequence[KeptGroup] | None = None) -> Count:
        """What was found. The files are the caller's now."""
        return Count(
            self.keys,
            self.bytes,
            self._items,
            self._item_bytes,
            self._complete,
            self._conflicts,
            largest,
            groups,
            self._skips,
            self._stale,
        )
