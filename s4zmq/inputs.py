"""What a job runs on: the inputs of a map, the groups of a merge, counted first and then handed out.

Bounded memory, however many keys there are: the first thousands are kept, and with more the inputs
are walked twice; the members of a group go through a file. Reads the store, changes nothing, runs
nothing.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from .counting import JUDGED_AT_ONCE, Candidate, Count, Judge, KeptGroup, Tally
from .keys import Key, Selection
from .limits import KEPT_MEMBERS, LARGEST_FIRST_KEYS
from .linefile import LineFile, read_lines
from .listing import Entry, Group, OutputName, groups, inputs
from .recipes import GroupMark, mark_of
from .store import Store


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


# -- of a map


def count_map(store: Store, selection: Selection, judge: Judge, *, marked: bool) -> Count:
    """Walk the inputs once. `marked`: the judge looks for outputs of an earlier run."""
    tally = Tally(store)
    largest: list[tuple[int, Entry]] = []
    walked = inputs(store, selection)
    try:
        while batch := list(islice(walked, JUDGED_AT_ONCE)):
            candidates = [_candidate(store, selection, entry, marked=marked) for entry in batch]
            for entry, candidate, verdict in zip(batch, candidates, judge(candidates), strict=True):
                tally.keys, tally.bytes = tally.keys + 1, tally.bytes + entry.size
                if tally.add(candidate.label, candidate, verdict, entry.size):
                    _keep_largest(largest, entry)
    except BaseException:
        tally.close()
        raise
    return tally.count([entry for _, entry in sorted(largest, reverse=True)])


def _candidate(store: Store, selection: Selection, entry: Entry, *, marked: bool) -> Candidate:
    stamp = store.stamp_of(entry.path) if marked else None
    return Candidate(relative(selection, entry.path), mark_of(stamp.digest) if stamp else b"")


def _keep_largest(largest: list[tuple[int, Entry]], entry: Entry) -> None:
    if len(largest) < LARGEST_FIRST_KEYS:
        heapq.heappush(largest, (entry.size, entry))
    elif entry.size > largest[0][0]:
        heapq.heapreplace(largest, (entry.size, entry))


def map_items(store: Store, selection: Selection, count: Count) -> Iterator[Item]:
    """Largest first, so that no straggler is left at the end; then the rest, by path."""
    started = {entry.path for entry in count.largest}
    for entry in count.largest:
        yield _item(selection, entry)
    if count.items > len(started):
        is_skipped = _skipping(count.skips)
        for entry in inputs(store, selection):
            if not is_skipped(relative(selection, entry.path)) and entry.path not in started:
                yield _item(selection, entry)


def _item(selection: Selection, entry: Entry) -> Item:
    return Item(relative(selection, entry.path), entry.path, entry.size, 1, -1)


def _skipping(skips: LineFile | None) -> Callable[[str], bool]:
    """Whether a label is in the file; both come sorted."""
    lines = iter(skips or ())
    line = next(lines, None)

    def is_skipped(label: str) -> bool:
        nonlocal line
        while line is not None and line < label:
            line = next(lines, None)
        return line == label

    return is_skipped


def relative(selection: Selection, path: str) -> str:
    """The path of an input below the selection's folder."""
    return path[len(selection.folder.path) :]


# -- of a merge


class _Seen(NamedTuple):
    """A group that was walked once."""

    keys: int
    candidate: Candidate
    kept: KeptGroup
    """Its first members only, where there are more than may be kept."""


def count_groups(store: Store, selection: Selection, judge: Judge, *, marked: bool) -> Count:
    """Walk the groups once. `marked`: the judge looks for outputs of an earlier run."""
    tally = Tally(store)
    kept: list[KeptGroup] | None = []
    try:
        for group in groups(store, selection):
            seen = _look_through(store, group, KEPT_MEMBERS - tally.keys, marked=marked)
            tally.keys, tally.bytes = tally.keys + seen.keys, tally.bytes + seen.kept.size
            (verdict,) = judge([seen.candidate])
            is_to_run = tally.add(group.label, seen.candidate, verdict, seen.kept.size)
            if tally.keys > KEPT_MEMBERS:
                kept = None
            elif is_to_run and kept is not None:
                kept.append(seen.kept)
    except BaseException:
        tally.close()
        raise
    if kept:
        kept.sort(key=lambda group: group.size, reverse=True)
    return tally.count(groups=kept)


def _look_through(store: Store, group: Group, keep: int, *, marked: bool) -> _Seen:
    """Its members are read here; the first `keep` of them are kept."""
    keys = size = 0
    members: list[str] = []
    name, mark = OutputName(group.label), GroupMark()
    for path in group.members:
        keys, size = keys + 1, size + size_of(store, path)
        name.see(path)
        if keys <= keep:
            members.append(path)
        stamp = store.stamp_of(path) if marked else None
        if stamp:
            mark.see(path, stamp.digest)
    return _Seen(keys, Candidate(name.name, mark.mark), KeptGroup(name.name, size, members))


def group_items(store: Store, selection: Selection, count: Count) -> Iterator[Item]:
    """One item a group; whoever takes it closes its list of members."""
    if count.groups is not None:
        for kept in count.groups:
            yield _spool(store, kept.name, kept.members, kept.size)
        return
    is_skipped = _skipping(count.skips)
    for group in groups(store, selection):
        if not is_skipped(group.label):
            yield _spool(store, group.label, group.members)


def _spool(store: Store, label: str, members: Iterable[str], size: int | None = None) -> Item:
    """Write the paths of the members' files to a file without a name. Where `size` is not known
    yet, `label` is what they share and not the name of the output."""
    file, found = LineFile(store, "the list of a group"), 0
    name, first = OutputName(label), ""
    try:
        for path in members:
            first = first or path
            if size is None:
                name.see(path)
                found += size_of(store, path)
            file.add(f"{store.keys_path}/{path}")
        file.flush()
    except BaseException:
        file.close()
        raise
    return Item(name.name, first, found if size is None else size, file.count, file.fd)


def members_of(store: Store, fd: int) -> Iterator[Key]:
    """The keys in a list that `group_items` wrote. Leaves the descriptor's offset at the start."""
    base = len(store.keys_path) + 1
    return (Key(line[base:]) for line in read_lines(fd))


def size_of(store: Store, path: str) -> int:
    """Bytes of a key by its path; 0 where it has just been removed."""
    try:
        return os.stat(f"{store.keys_path}/{path}").st_size
    except OSError:
        return 0
