"""Where a key lives.

Pure functions: the same name and roster give the same owner on every machine and every version of
Python. Nothing here may read the clock, the environment or a file. Changing any result strands
stored keys, so a test pins values that must never change.
"""

from __future__ import annotations

from typing import NamedTuple

from .checksum import digest_of
from .errors import ConfigError

ROSTER_DIGEST_BYTES = 8


class Roster(NamedTuple):
    """The nodes of a cluster, in the order of the conf file: `host:port` each."""

    nodes: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, source: str) -> Roster:
        """The lines of a conf file; `#` starts a comment. `source` names it in a ConfigError."""
        nodes = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if entry:
                nodes.append(_checked_address(entry, f"{source}, line {number}"))
        if not nodes:
            raise ConfigError(f"{source} names no node: it needs one host:port a line")
        twice = sorted({node for node in nodes if nodes.count(node) > 1})
        if twice:
            raise ConfigError(f"{source} names {twice[0]} twice")
        return cls(tuple(nodes))

    @property
    def digest(self) -> bytes:
        """8 bytes that differ when the list or its order differs; every request carries them."""
        return digest_of(self.text.encode())[:ROSTER_DIGEST_BYTES]

    @property
    def text(self) -> str:
        """The conf file again, without comments."""
        return "".join(f"{node}\n" for node in self.nodes)

    def owner(self, name: str) -> str:
        """The node that holds every key whose last component is `name`."""
        return self.nodes[owner_index(name, len(self.nodes))]


def _checked_address(entry: str, where: str) -> str:
    host, colon, port = entry.rpartition(":")
    if not colon or not host or any(c.isspace() for c in entry):
        raise ConfigError(f"{where}: {entry!r} is not host:port")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and port[0] != "0"):
        raise ConfigError(f"{where}: {entry!r} has no port between 1 and 65535")
    return entry


def numeric_prefix(name: str) -> str:
    """The digits that place `name` explicitly: all that stands before its first `_`, or "".

    Only ASCII digits count: `int` would also read those of other scripts.
    """
    head = name.partition("_")[0]
    return head if head.isascii() and head.isdigit() else ""


def owner_index(name: str, node_count: int) -> int:
    """0..node_count-1: by numeric prefix modulo `node_count`, else by jump hash of 64-bit mmh3."""
    prefix = numeric_prefix(name)
    if prefix:
        return int(prefix) % node_count
    import mmh3  # `s4 health` and listings do without it

    return jump_hash(mmh3.hash64(name.encode(), signed=False)[0], node_count)


def jump_hash(key: int, buckets: int) -> int:
    """Jump consistent hash (Lamping & Veach, 2014, figure 1): growing by one moves 1/(n+1)."""
    bucket, following = -1, 0
    while following < buckets:
        bucket = following
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        following = int((bucket + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return bucket
