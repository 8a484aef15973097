"""What the tasks of a job have made on one node, for the summary at its end. Bounded, whatever there is of
them: bytes for each node, and the few inputs that took longest. The job holds the lock.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .limits import SLOWEST_KEPT


class Result(NamedTuple):
    """What one task has made."""

    outputs: int
    bytes: Mapping[str, int]
    """Of its outputs, by the node that they are on."""

    seconds: float
    """That its command ran."""


class Harvest:
    """The sum of many results."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.outputs = 0
        self._bytes = dict.fromkeys(nodes, 0)
        self._slowest: list[tuple[float, str]] = []

    def add(self, key: str, result: Result) -> None:
        """One more task, of this input, or in a merge for this output."""
        self.outputs += result.outputs
        for node, count in result.bytes.items():
            self._bytes[node] += count
        if len(self._slowest) < SLOWEST_KEPT:
            heapq.heappush(self._slowest, (result.seconds, key))
        else:
            heapq.heappushpop(self._slowest, (result.seconds, key))

    @property
    def made(self) -> list[int]:
        """Bytes of outputs on each node, in the order of the roster."""
        return list(self._bytes.values())

    @property
    def slowest(self) -> list[tuple[str, float]]:
        """(key, seconds), the slowest first."""
        return [(key, seconds) for seconds, key in sorted(self._slowest, reverse=True)]
