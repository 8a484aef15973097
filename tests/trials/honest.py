"""An honest client in a process of its own: puts, gets and removes values, and compares every byte.

Works in slices of the same length until its stdin ends, and prints a line of JSON for each. Every round
is the same work over a connection of its own: single small values, a batch of them, a large value.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from s4zmq.config import Config, load_config
from s4zmq.errors import S4Error
from s4zmq.gets import Getter, Wanted
from s4zmq.keys import Key
from s4zmq.puts import Item, Putter
from s4zmq.session import Session

_SINGLE = 8
_BATCH = 40
_SMALL_MAX_BYTES = 16 << 10
_LARGE_BYTES = 6 << 20
ROUND_VALUES = _SINGLE + _BATCH + 1


class Slice(NamedTuple):
    """What one slice of time has brought."""

    started_at: float
    """On the monotonic clock, which all processes share."""

    ended_at: float
    rounds: int
    errors: list[str]
    """What went wrong, and values that came back changed."""

    @property
    def values_a_second(self) -> float:
        """Values that were put, got and removed."""
        return self.rounds * ROUND_VALUES / (self.ended_at - self.started_at)


class Rounds:
    """The same values again and again, under a new name each time."""

    def __init__(self, config: Config, node: str, folder: Path) -> None:
        self._config = config
        r = random.Random(1)
        sizes = [r.randrange(_SMALL_MAX_BYTES) for _ in range(_SINGLE + _BATCH)]
        self._values = [r.randbytes(size) for size in [*sizes, _LARGE_BYTES]]
        self._paths = [folder / f"{number}" for number in range(len(self._values))]
        for path, value in zip(self._paths, self._values, strict=True):
            path.write_bytes(value)
        self._number = config.roster.nodes.index(node)
        self._count = 0

    def one(self) -> None:
        """Put, get, compare and remove all values. Raises S4Error; AssertionError for wrong bytes."""
        self._count += 1
        folder = f"honest/{os.getpid()}/{self._count}/"
        keys = [Key.parse(f"s4://{folder}{self._number}_{n}") for n in range(len(self._values))]
        with Session(self._config) as client:
            items = [
                Item(str(path), str(key), client.owner(key))
                for path, key in zip(self._paths, keys, strict=True)
            ]
            for item in items[:_SINGLE]:
                Putter(client).put_all([item])
            Putter(client).put_all(items[_SINGLE:])
            for key, value in zip(keys[:_SINGLE], self._values, strict=False):
                got = bytearray()
                Getter(client).get_to(key, got.extend)
                assert got == value, f"{key} came back changed"
            self._get_rest(client, keys)
            client.delete_below(folder)

    def _get_rest(self, client: Session, keys: list[Key]) -> None:
        wanted = [
            Wanted(key, f"{path}.got", len(value))
            for key, path, value in zip(keys, self._paths, self._values, strict=True)
        ]
        Getter(client).get_all(wanted[_SINGLE:])
        for item, value in zip(wanted[_SINGLE:], self._values[_SINGLE:], strict=True):
            assert Path(item.path).read_bytes() == value, f"{item.key} came back changed"


def work(rounds: Rounds, slice_s: float) -> Slice:
    """Rounds for one slice of time; only whole ones count, with the time that they took."""
    errors, count, started_at = [], 0, time.monotonic()
    while time.monotonic() - started_at < slice_s:
        try:
            rounds.one()
            count += 1
        except (S4Error, AssertionError) as error:
            errors.append(f"{type(error).__name__}: {error}")
    return Slice(started_at, time.monotonic(), count, errors)


def main() -> int:
    """`honest CONF KEY NODE SLICE_SECONDS`"""
    conf, key_path, node, slice_s = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(load_config(conf, key_path), node, Path(folder))
        rounds.one()  # imports, and the first connection
        while not select.select([sys.stdin], [], [], 0)[0]:
            print(json.dumps(work(rounds, float(slice_s))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
