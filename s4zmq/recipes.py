"""What a job does to what: by that a run that is resumed finds what an earlier one has done.

Every output carries its origin: the fingerprint of the recipe that made it, and a mark of the input
that it was made from. An output with the right origin is complete; one of the same recipe and
another mark is left over from another state of the input; any other is a stranger's.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from .checksum import digest_of, new_digest

FINGERPRINT_BYTES = 8
MARK_BYTES = 8
NO_ORIGIN = bytes(FINGERPRINT_BYTES + MARK_BYTES)
"""Of a key that no job has made."""

NO_RECIPE = b"\xff" * FINGERPRINT_BYTES
"""The fingerprint of no run: to it every key is a stranger's."""


class Recipe(NamedTuple):
    """A run, told apart from every other one. How often and how fast it tries is no part of it."""

    kind: str
    inputs: str
    """The folder or glob."""

    outdir: str
    """Full text, with its slash."""

    command: str
    files: tuple[tuple[str, str], ...]
    """(name, hexadecimal digest) of each shipped file, sorted."""

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that differ wherever anything above differs."""
        return digest_of(self.pack().encode())[:FINGERPRINT_BYTES]

    def pack(self) -> str:
        """One line of text."""
        return json.dumps(self)

    @classmethod
    def unpack(cls, line: str) -> Recipe:
        """What `pack` gave. Raises ValueError for anything else."""
        try:
            kind, inputs, outdir, command, files = json.loads(line)
            return cls(kind, inputs, outdir, command, tuple((name, digest) for name, digest in files))
        except TypeError as exc:  # JSON of another shape
            raise ValueError("no recipe") from exc

    def differences(self, other: Recipe) -> str:
        """What tells another run into the same folder from this one, for an error message."""
        found = [
            what
            for what, mine, theirs in (
                (f"was a {other.kind}", self.kind, other.kind),
                (f"read {other.inputs}", self.inputs, other.inputs),
                ("had another command", self.command, other.command),
                ("shipped other files", self.files, other.files),
            )
            if mine != theirs
        ]
        return " and ".join(found)


def origin_of(fingerprint: bytes, mark: bytes) -> bytes:
    """16 bytes for the stamp of an output."""
    return fingerprint + mark


def mark_of(digest: bytes) -> bytes:
    """The mark of one input, by the digest of its value."""
    return digest[:MARK_BYTES]


class GroupMark:
    """The mark of a group: of the paths and values of all its members, seen in order."""

    def __init__(self) -> None:
        self._state = new_digest()

    def see(self, path: str, digest: bytes) -> None:
        """The next member."""
        self._state.update(path.encode() + b"\0" + digest)

    @property
    def mark(self) -> bytes:
        """After the last one."""
        return mark_of(self._state.digest())
