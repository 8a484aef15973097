"""How much of everything a run measures: constants only.

The defaults let a run with three samples of each figure end within 3.5 minutes on two cores.
"""

from __future__ import annotations

from typing import NamedTuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

SMALL_BYTES = 100
"""A small value."""

LINE_BYTES = 1024
"""A key of a map of many small ones."""

TREE_FILE_BYTES = 4096


class Sizes(NamedTuple):
    """Of one run."""

    value_bytes: int = 512 * MIB
    """The one large value."""

    small_values: int = 8
    tree_files: int = 2000
    map_keys: int = 1000
    parallel_keys: int = 100
    """Of these, how many GNU parallel gets: it starts some hundred programs a second."""

    fan: int = 64
    """Small files: so many inputs, each to so many outputs."""

    tables: int = 24
    table_bytes: int = 16 * MIB
    parts: int = 12
    """Of each table."""

    ping_window_s: float = 2.5
    """Pings for one sample of the percentiles."""

    load_bytes: int = 128 * MIB
    """The values that stream in and out meanwhile."""

    memory_bytes: tuple[int, ...] = (64 * MIB, GIB)
    """Values whose transfer's memory is measured."""

    listed_keys: int = 100_000
    """A thousand times a power of ten; `ls -r` is measured at every power of ten below."""

    grown_keys: tuple[int, int] = (1_000, 10_000)
    node_counts: tuple[int, ...] = (1, 2, 4, 8, 16)
    node_files: int = 1000
    node_keys: int = 300
    node_tables: int = 16
    node_table_bytes: int = 6 * MIB
    node_parts: int = 16

    @property
    def disk_bytes(self) -> int:
        """What a run needs at most at once: a large value as file, key and copy, or the tables,
        their parts, and both again as keys."""
        large = max(self.value_bytes, *self.memory_bytes)
        return max(3 * large, 5 * self.tables * self.table_bytes, 10 * KIB * self.listed_keys)


DEFAULT = Sizes()

QUICK = Sizes(
    small_values=3,
    value_bytes=256 * MIB,
    tree_files=1000,
    map_keys=300,
    parallel_keys=50,
    tables=12,
    ping_window_s=1.0,
    memory_bytes=(64 * MIB, 256 * MIB),
    listed_keys=10_000,
    grown_keys=(300, 3_000),
    node_counts=(1, 2, 4),
    node_keys=100,
)

FULL = Sizes(
    value_bytes=GIB,
    memory_bytes=(64 * MIB, GIB, 4 * GIB),
    listed_keys=1_000_000,
    grown_keys=(10_000, 100_000),
)
