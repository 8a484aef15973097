"""What the Python face gives: rows of listings, facts about keys, how commands ended. Types only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple


class Entry(NamedTuple):
    """A row of a listing."""

    key: str
    """Full text; that of a folder ends in a slash."""

    size: int
    """Bytes; 0 for a folder."""

    made_ns: int
    """Time of the commit, ns since 1970; 0 for a folder."""

    @property
    def is_folder(self) -> bool:
        """Whether it stands for the keys below it."""
        return self.key.endswith("/")

    @property
    def modified(self) -> datetime | None:
        """Time of the commit, in UTC; None for a folder."""
        return datetime.fromtimestamp(self.made_ns / 1e9, timezone.utc) if self.made_ns else None


class Stat(NamedTuple):
    """What one key holds."""

    key: str
    size: int
    """Bytes."""

    digest: str
    """xxh3_128 of the value in hexadecimal: the same bytes have the same."""

    made_ns: int
    """Time of the commit, ns since 1970."""

    node: str
    """host:port of the node that holds it."""

    @property
    def modified(self) -> datetime:
        """Time of the commit, in UTC."""
        return datetime.fromtimestamp(self.made_ns / 1e9, timezone.utc)


class Verified(NamedTuple):
    """What all nodes found when they read their keys anew."""

    keys: int
    """That were read."""

    bytes: int
    damaged: int
    """Of the keys."""

    damages: Sequence[str]
    """A line for each damaged key, with its node, up to a hundred or so a node."""


class EvalResult(NamedTuple):
    """How a command ended, and all that it wrote."""

    status: int
    """Exit status; 128 + n for signal n."""

    stdout: bytes
    stderr: bytes
