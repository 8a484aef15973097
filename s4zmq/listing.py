"""Finding keys: sorted walks over the folder tree, and the groups of a merge.

Reads folders, never values, and changes nothing. A walk keeps one sorted folder a level in memory;
`sorting` bounds that too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from .keys import Selection
from .placement import numeric_prefix
from .sorting import sorted_lines
from .store import Store


class Entry(NamedTuple):
    """A key, or with a `path` that ends in a slash a folder of keys."""

    path: str
    size: int
    mtime_ns: int
    """Time of the commit, ns since 1970."""


def walk(store: Store, prefix: str, *, recursive: bool) -> Iterator[Entry]:
    """What starts with the text `prefix`, sorted by path as bytes.

    Not recursive: a folder below the last slash of `prefix` is one entry.
    """
    folder, slash, start = prefix.rpartition("/")
    return _walk_folder(store, folder + slash, start, recursive)


def _walk_folder(store: Store, folder: str, start: str, recursive: bool) -> Iterator[Entry]:
    for name in _sorted_names(store, folder, start):
        path = folder + name
        if not name.endswith("/"):
            entry = _entry(store, path)
            if entry:
                yield entry
        elif recursive:
            yield from _walk_folder(store, path, "", True)
        elif holds_key(store, path):
            yield Entry(path, 0, 0)


def sorted_paths(store: Store, folder: str) -> Iterator[str]:
    """The path of every key below a folder that ends in a slash or is "", sorted as bytes, without a look
    at the files."""
    for name in _sorted_names(store, folder, ""):
        if name.endswith("/"):
            yield from sorted_paths(store, folder + name)
        else:
            yield folder + name


def _sorted_names(store: Store, folder: str, start: str) -> Iterator[str]:
    return sorted_lines(_names(f"{store.keys_path}/{folder}", start), store.tmp_path)


def _names(path: str, start: str) -> Iterator[str]:
    """Names in a folder that start with `start`; folders with a slash, so that they sort as in a path.

    What is not UTF-8 is a stranger's: no key has such a name, and no message could carry it.
    """
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(start) and (entry.name.isascii() or _is_text(entry.name)):
                    yield entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
    except (FileNotFoundError, NotADirectoryError):
        return  # removed meanwhile, or never there


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _entry(store: Store, path: str) -> Entry | None:
    try:
        status = os.stat(f"{store.keys_path}/{path}", follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(path, status.st_size, status.st_mtime_ns)


def first_key(store: Store, prefix: str) -> str:
    """Any key that starts with `prefix`, as a path; "" where there is none. Stops at the first."""
    folder, slash, start = prefix.rpartition("/")
    return next(_unsorted(f"{store.keys_path}/", folder + slash, start), "")


def holds_key(store: Store, prefix: str) -> bool:
    """Whether any key starts with `prefix`."""
    return bool(first_key(store, prefix))


def paths_below(store: Store, prefix: str) -> Iterator[str]:
    """Every key that starts with `prefix`, in no order, without looking at the files."""
    folder, slash, start = prefix.rpartition("/")
    return _unsorted(f"{store.keys_path}/", folder + slash, start)


def _unsorted(base: str, folder: str, start: str) -> Iterator[str]:
    for name in _names(base + folder, start):
        if name.endswith("/"):
            yield from _unsorted(base, folder + name, "")
        else:
            yield folder + name


# -- inputs of maps


def inputs(store: Store, selection: Selection) -> Iterator[Entry]:
    """The keys of a selection, sorted by path."""
    matcher, base = selection.matcher(), len(selection.folder.path)
    for entry in walk(store, selection.folder.path, recursive=True):
        if not matcher or matcher.fullmatch(entry.path, base):
            yield entry


class Group(NamedTuple):
    """Keys that a merge puts together. `members` can be read once, in order."""

    label: str
    """The name or numeric prefix that the members share."""

    members: Iterator[str]
    """Paths, sorted."""


def groups(store: Store, selection: Selection) -> Iterator[Group]:
    """The groups of a merge in the order of their labels: same name, or same numeric prefix.

    All members of a group are on this node, because placement looks at just that.
    """
    matcher, base = selection.matcher(), len(selection.folder.path)
    lines = (
        f"{group_label(path)}\t{path}"
        for path in paths_below(store, selection.folder.path)
        if not matcher or matcher.fullmatch(path, base)
    )
    ordered = sorted_lines(lines, store.tmp_path)
    for label, members in groupby(ordered, key=lambda line: line.partition("\t")[0]):
        yield Group(label, (line.partition("\t")[2] for line in members))


def group_label(path: str) -> str:
    """What a merge groups by: the numeric prefix of the name, or the whole name."""
    name = path.rpartition("/")[2]
    return numeric_prefix(name) or name


class OutputName:
    """Finds the name of a group's output while its members go by: the label, plus `_suffix` where
    all members share the suffix."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._names: set[str] = set()

    def see(self, path: str) -> None:
        """Take note of one member. Two different names settle the matter."""
        if len(self._names) < 2:
            self._names.add(path.rpartition("/")[2])

    @property
    def name(self) -> str:
        """The output's name, after all members were seen."""
        return next(iter(self._names)) if len(self._names) == 1 else self.label
