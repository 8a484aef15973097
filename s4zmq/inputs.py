"""What a job runs on: the inputs of a map, the groups of a merge, counted first and then handed out.

Bounded memory, however many keys there are: inputs are walked twice rather than kept, and the
members of a group go through a file. Reads the store, changes nothing, runs nothing.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import NamedTuple

from .keys import Folder, Key, Selection
from .limits import LARGEST_FIRST_KEYS
from .listing import Entry, Group, OutputName, groups, inputs
from .store import Store, write_all

_CONFLICTS_SHOWN = 3


class Item(NamedTuple):
    """One run of the command."""

    label: str
    """Path of the input below INDIR; in a merge the name of the output."""

    path: str
    """Full path of the input; in a merge that of the first member."""

    size: int
    """Bytes of all inputs together."""

    keys: int
    members: int
    """In a merge a descriptor of the list of members, a line each, owned by the holder; else -1."""


class Count(NamedTuple):
    """What a job would do on this node."""

    keys: int
    bytes: int
    items: int
    conflicts: list[str]
    """The first few outputs that are here already."""

    largest: list[Entry]


def count_map(store: Store, selection: Selection, outdir: Folder, *, one_to_one: bool) -> Count:
    """Walk the inputs once. `one_to_one`: outputs are on this node, so look for those too."""
    keys = size = 0
    conflicts: list[str] = []
    largest: list[tuple[int, Entry]] = []
    for entry in inputs(store, selection):
        keys, size = keys + 1, size + entry.size
        if len(largest) < LARGEST_FIRST_KEYS:
            heapq.heappush(largest, (entry.size, entry))
        elif entry.size > largest[0][0]:
            heapq.heapreplace(largest, (entry.size, entry))
        if one_to_one and len(conflicts) < _CONFLICTS_SHOWN:
            output = outdir.key(relative(selection, entry.path))
            if store.exists(output):
                conflicts.append(str(output))
    ordered = [entry for _, entry in sorted(largest, reverse=True)]
    return Count(keys, size, keys, conflicts, ordered)


def count_groups(store: Store, selection: Selection, outdir: Folder) -> Count:
    """Walk the groups once."""
    keys = size = items = 0
    conflicts: list[str] = []
    for group in groups(store, selection):
        items += 1
        name = OutputName(group.label)
        for path in group.members:
            keys, size = keys + 1, size + size_of(store, path)
            name.see(path)
        output = outdir.key(name.name)
        if len(conflicts) < _CONFLICTS_SHOWN and store.exists(output):
            conflicts.append(str(output))
    return Count(keys, size, items, conflicts, [])


def map_items(store: Store, selection: Selection, largest: list[Entry]) -> Iterator[Item]:
    """Largest first, so that no straggler is left at the end; then the rest, by path."""
    started = {entry.path for entry in largest}
    for entry in largest:
        yield _item(selection, entry)
    for entry in inputs(store, selection):
        if entry.path not in started:
            yield _item(selection, entry)


def _item(selection: Selection, entry: Entry) -> Item:
    return Item(relative(selection, entry.path), entry.path, entry.size, 1, -1)


def group_items(store: Store, selection: Selection) -> Iterator[Item]:
    """One item a group; whoever takes it closes its list of members."""
    for group in groups(store, selection):
        yield _spool(store, group)


def _spool(store: Store, group: Group) -> Item:
    """Write the members' paths to a file without a name."""
    fd, offset, keys, size = store.new_file(), 0, 0, 0
    name, first, lines = OutputName(group.label), "", bytearray()
    try:
        for path in group.members:
            first = first or path
            keys, size = keys + 1, size + size_of(store, path)
            name.see(path)
            lines += f"{path}\n".encode()
            if len(lines) > 1 << 16:
                offset, lines = _flush(store, fd, offset, lines)
        _flush(store, fd, offset, lines)
    except BaseException:
        os.close(fd)
        raise
    return Item(name.name, first, size, keys, fd)


def _flush(store: Store, fd: int, offset: int, lines: bytearray) -> tuple[int, bytearray]:
    with store.disk_errors("can not write the list of a group"):
        write_all(fd, lines, offset)
    return offset + len(lines), bytearray()


def members_of(fd: int) -> Iterator[Key]:
    """The keys in a list that `group_items` wrote."""
    with os.fdopen(os.dup(fd), "r", encoding="utf-8", newline="\n") as file:
        file.seek(0)
        for line in file:
            yield Key(line.rstrip("\n"))


def size_of(store: Store, path: str) -> int:
    """Bytes of a key by its path; 0 where it has just been removed."""
    try:
        return os.stat(f"{store.keys_path}/{path}").st_size
    except OSError:
        return 0


def relative(selection: Selection, path: str) -> str:
    """The path of an input below the selection's folder."""
    return path[len(selection.folder.path) :]
