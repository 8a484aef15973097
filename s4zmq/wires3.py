"""The messages about S3: a node moves what it owns, and tells how far it is.

Types only, see `wire`.
"""

from typing import NamedTuple

from .wirekeys import FailureRow


class StageIn(NamedTuple):
    """Fetch those S3 objects below a prefix whose keys belong on this node."""

    bucket: str
    prefix: str
    """Text that the names of the objects start with; with `single` the whole name of one."""

    target: str
    """A folder of keys, or with `single` one key."""

    single: bool
    resume: bool
    """Pass over keys that are there with equal bytes."""

    dry_run: bool
    """Only say what would move, and what is in the way; changes nothing."""


class StageOut(NamedTuple):
    """Write this node's keys below a folder to S3."""

    source: str
    """A folder of keys, or with `single` one key."""

    bucket: str
    prefix: str
    """What the names of the objects start with; with `single` the whole name of one."""

    single: bool
    resume: bool
    """Pass over objects that are there with equal bytes."""

    dry_run: bool
    """Only say what would move, and what is in the way; changes nothing."""


class Moving(NamedTuple):
    """Counts since the start on this node."""

    keys: int
    """That are done: moved, or passed over."""

    bytes: int
    failed: int


class Moved(NamedTuple):
    """All is done on this node, or with `dry_run` looked at."""

    keys: int
    bytes: int
    """Of `keys`."""

    skipped: int
    """Of `keys`: they were there already."""

    failed: int
    """With `dry_run`: what stands in the way."""

    failures: list[FailureRow]
    """The first few; `failed` counts all."""
