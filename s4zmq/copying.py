"""`s4 cp`: what SRC and DST mean, and which puts or gets follow from it."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from . import wire
from .amounts import Counts, sum_of
from .errors import KeyInvalid, KeyNotFound, LocalFileError, NoSpace, RequestError, map_errors
from .gets import Getter, Wanted
from .keys import SCHEME, Folder, Key, show
from .localfiles import descriptor_of, local_target, walk_files
from .pipes import widen_pipe
from .printing import write_all
from .progress import Watch
from .puts import Item, Putter
from .session import Session, nothing_below

SILENT = Watch()


def copy(
    client: Session, source: str, target: str, *, recursive: bool, resume: bool, watch: Watch = SILENT
) -> Counts:
    """Copy one key or file, or with `recursive` everything below; what was copied. Raises S4Error."""
    up, down = target.startswith(SCHEME), source.startswith(SCHEME)
    if up == down:
        where = "within the cluster: use `s4 map ... cat`" if up else "between local files: use cp"
        raise RequestError(f"cp does not copy {where}; one of SRC and DST starts with s4://")
    if recursive and "-" in (source, target):
        raise RequestError("cp -r copies folders; - is one stream")
    if recursive:
        return (put_tree if up else get_tree)(client, source, target, resume, watch)
    return (put_one if up else get_one)(client, source, target, resume, watch)


def put_one(client: Session, source: str, target: str, resume: bool, watch: Watch = SILENT) -> Counts:
    """A file or standard input to one key."""
    if os.path.isdir(source):
        raise LocalFileError(f"{source} is a folder: copy it with -r")
    putter = Putter(client, resume=resume, note=watch.note)
    key = key_for(source, target)
    total = Counts(1, size) if (size := _size_of(source)) else None
    watch.progress.follow(client.courier, putter.counts, lambda: total)
    if source == "-":
        widen_pipe(0)
        putter.put_pipe(0, key)
    else:
        putter.put_all([Item(source, str(key), client.owner(key))])
    return putter.counts()


def _size_of(source: str) -> int:
    """Bytes of a plain file, also where it is standard input; 0: nobody knows."""
    try:
        status = os.fstat(0) if source == "-" else os.stat(source)
    except OSError:  # whoever opens it says what is wrong
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def key_for(source: str, target: str) -> Key:
    """`target`, or where that is a bucket or ends in a slash the file's own name in it."""
    path = target[len(SCHEME) :]
    if path and "/" in path and not path.endswith("/"):
        return Key.parse(target)
    if source == "-":
        raise KeyInvalid(f"{show(target)} is a folder, and standard input has no name: name the key")
    return Folder.parse(target).key(os.path.basename(source))


def get_one(client: Session, source: str, target: str, resume: bool, watch: Watch = SILENT) -> Counts:
    """One key to a file or standard output."""
    if source.endswith("/"):
        raise KeyInvalid(f"{show(source)} is a folder: copy it with -r")
    key = Key.parse(source)
    try:
        return _get_key(client, key, target, resume, watch)
    except KeyNotFound as error:
        raise client.missing(error, key, "copy it with -r") from None


def _get_key(client: Session, key: Key, target: str, resume: bool, watch: Watch) -> Counts:
    descriptor = descriptor_of(target)
    getter = Getter(client, resume=resume, note=watch.note)
    watch.progress.follow(client.courier, getter.counts, lambda: getter.one)
    if descriptor >= 0:
        widen_pipe(descriptor)
        getter.get_to(key, lambda data: write_all(descriptor, data))
        return getter.counts()
    path = local_target(target, key.name)
    if resume:
        getter.get_all([Wanted(key, path, 0)])
    else:
        getter.get_file(key, path)
    return getter.counts()


def put_tree(client: Session, source: str, target: str, resume: bool, watch: Watch = SILENT) -> Counts:
    """Every file below `source`. All names are checked, and whether they fit, before anything moves."""
    if not os.path.isdir(source):
        raise LocalFileError(f"{source} is not a folder: without -r cp copies one file")
    folder = Folder.parse(target)
    wanted = _survey(source, folder, client.owner)
    if not resume:  # else much of it may be there
        require_room(client, {node: part.bytes for node, part in wanted.items()}, folder)
    total = sum_of(wanted.values())
    putter = Putter(client, resume=resume, note=watch.note)
    watch.progress.follow(client.courier, putter.counts, lambda: total)
    putter.put_all(_tree_items(client, source, folder))
    return putter.counts()


def _tree_items(client: Session, source: str, folder: Folder) -> Iterator[Item]:
    for found in walk_files(source):
        key = folder.key(found.relative)
        yield Item(found.path, str(key), client.owner(key))


def _survey(source: str, folder: Folder, owner: Callable[[Key], str]) -> Mapping[str, Counts]:
    """How much goes to each node. Raises KeyInvalid that lists every name that no key may have."""
    bad = []
    wanted: dict[str, Counts] = defaultdict(Counts)
    for found in walk_files(source):
        try:
            node = owner(folder.key(found.relative))
        except KeyInvalid as error:
            bad.append(f"{show(found.path)}: {error.text}")
            continue
        with map_errors({OSError: LocalFileError}, f"can not read {found.path}"):
            keys, size, *_ = wanted[node]
            wanted[node] = Counts(keys + 1, size + os.stat(found.path).st_size)
    if len(bad) == 1:
        raise KeyInvalid(f"{bad[0]}; nothing was copied: rename it first")
    if bad:
        head = f"{len(bad)} names can not be keys; nothing was copied: rename these first"
        raise KeyInvalid("\n".join((f"{head}:", *bad)))
    return wanted


def require_room(client: Session, wanted: Mapping[str, int], folder: object) -> None:
    """Raises NoSpace where what goes to a disk does not fit there now. Nodes may share a disk."""
    asked = {node: wire.Room() for node in client.roster.nodes if wanted.get(node)}
    replies = client.courier.ask_each(asked)
    free: dict[bytes, int] = {}
    nodes: dict[bytes, list[str]] = defaultdict(list)
    for node in asked:
        reply, _ = replies[node]
        free[reply.disk] = min(reply.free, free.get(reply.disk, reply.free))
        nodes[reply.disk].append(node)
    for disk, names in nodes.items():
        needed = sum(wanted[name] for name in names)
        if needed > free[disk]:
            raise _no_space(names, free[disk], needed, folder)


def _no_space(nodes: Sequence[str], free: int, needed: int, folder: object) -> NoSpace:
    from .units import show_two

    has, needs = show_two(free, needed)
    if len(nodes) == 1:
        text = f"node {nodes[0]} has {has} free, needs {needs} for its part of {folder}"
    else:
        text = f"nodes {', '.join(nodes)} share a disk with {has} free, need {needs} for {folder}"
    return NoSpace(f"{text}; nothing was copied")


def get_tree(client: Session, source: str, target: str, resume: bool, watch: Watch = SILENT) -> Counts:
    """Every key below `source` to below `target`."""
    from .totals import Totals

    folder = Folder.parse(source)
    base = target
    if target in (".", "./") and "/" in folder.path.rstrip("/"):
        base = folder.path.rstrip("/").rpartition("/")[2]  # the last folder is kept
    getter = Getter(client, resume=resume, note=watch.note)
    watch.progress.follow(client.courier, getter.counts, Totals(client, folder.path).all)
    getter.get_all(_tree_wanted(client, folder, base))
    if not getter.counts().keys:
        raise nothing_below(folder)
    return getter.counts()


def _tree_wanted(client: Session, folder: Folder, base: str) -> Iterator[Wanted]:
    for path, size, _ in client.list_keys(folder.path, recursive=True):
        relative = path[len(folder.path) :]
        # Parsed again: a node that lies must not write outside the folder either.
        yield Wanted(Key.parse(SCHEME + path), os.path.join(base, relative), size)
