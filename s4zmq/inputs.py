"""What a job runs on: the inputs of a map, the groups of a merge, counted first and then handed out.

Bounded memory, however many keys there are: the first thousands are kept, and with more the inputs
are walked twice; the members of a group go through a file. Reads the store, changes nothing, runs
nothing.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .keys import Folder, Key, Selection
from .limits import KEPT_MEMBERS, LARGEST_FIRST_KEYS
from .listing import Entry, OutputName, groups, inputs
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
    """In a merge a descriptor of the paths of the members' files, a line each, owned by the holder;
    else -1."""


class KeptGroup(NamedTuple):
    """A group of a merge in memory."""

    name: str
    """Of its output."""

    size: int
    members: list[str]


class Count(NamedTuple):
    """What a job would do on this node."""

    keys: int
    bytes: int
    items: int
    conflicts: list[str]
    """The first few outputs that are here already."""

    largest: list[Entry]
    """Of a map, LARGEST_FIRST_KEYS at most."""

    groups: list[KeptGroup] | None = None
    """Of a merge, all of them, largest first; None where they have more than KEPT_MEMBERS."""


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
    kept: list[KeptGroup] | None = []
    for group in groups(store, selection):
        items += 1
        name, members, group_size = OutputName(group.label), [], 0
        for path in group.members:
            keys, group_size = keys + 1, group_size + size_of(store, path)
            name.see(path)
            if keys <= KEPT_MEMBERS:
                members.append(path)
        size += group_size
        if keys > KEPT_MEMBERS:
            kept = None
        elif kept is not None:
            kept.append(KeptGroup(name.name, group_size, members))
        if len(conflicts) < _CONFLICTS_SHOWN and store.exists(outdir.key(name.name)):
            conflicts.append(str(outdir.key(name.name)))
    if kept:
        kept.sort(key=lambda group: group.size, reverse=True)
    return Count(keys, size, items, conflicts, [], kept)


def map_items(store: Store, selection: Selection, count: Count) -> Iterator[Item]:
    """Largest first, so that no straggler is left at the end; then the rest, by path."""
    started = {entry.path for entry in count.largest}
    for entry in count.largest:
        yield _item(selection, entry)
    for entry in inputs(store, selection) if count.keys > len(started) else ():
        if entry.path not in started:
            yield _item(selection, entry)


def _item(selection: Selection, entry: Entry) -> Item:
    return Item(relative(selection, entry.path), entry.path, entry.size, 1, -1)


def group_items(store: Store, selection: Selection, count: Count) -> Iterator[Item]:
    """One item a group; whoever takes it closes its list of members."""
    if count.groups is not None:
        for kept in count.groups:
            yield _spool(store, kept.name, kept.members, kept.size)
        return
    for group in groups(store, selection):
        yield _spool(store, group.label, group.members)


def _spool(store: Store, label: str, members: Iterable[str], size: int | None = None) -> Item:
    """Write the paths of the members' files to a file without a name. Where `size` is not known
    yet, `label` is what they share and not the name of the output."""
    fd, offset, keys, found = store.new_file(), 0, 0, 0
    name, first, lines = OutputName(label), "", bytearray()
    try:
        for path in members:
            first = first or path
            keys += 1
            if size is None:
                name.see(path)
                found += size_of(store, path)
            lines += os.fsencode(f"{store.keys_path}/{path}\n")
            if len(lines) > 1 << 16:
                offset, lines = _flush(store, fd, offset, lines)
        _flush(store, fd, offset, lines)
    except BaseException:
        os.close(fd)
        raise
    return Item(name.name, first, found if size is None else size, keys, fd)


def _flush(store: Store, fd: int, offset: int, lines: bytearray) -> tuple[int, bytearray]:
    with store.disk_errors("can not write the list of a group"):
        write_all(fd, lines, offset)
    return offset + len(lines), bytearray()


def members_of(store: Store, fd: int) -> Iterator[Key]:
    """The keys in a list that `group_items` wrote. Leaves the descriptor's offset at the start."""
    base = len(os.fsencode(store.keys_path)) + 1
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        for line in file:
            yield Key(os.fsdecode(line[base:-1]))
    os.lseek(fd, 0, os.SEEK_SET)


def size_of(store: Store, path: str) -> int:
    """Bytes of a key by its path; 0 where it has just been removed."""
    try:
        return os.stat(f"{store.keys_path}/{path}").st_size
    except OSError:
        return 0


def relative(selection: Selection, path: str) -> str:
    """The path of an input below the selection's folder."""
    return path[len(selection.folder.path) :]
