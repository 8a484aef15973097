"""The data folder as a whole: who may use it, and what a crash left in it.

Runs once, before a node serves. Refuses a folder that another node holds, that belongs to another
roster, whose path commands could not use, or whose file system can not keep a checksum.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from .errors import ConfigError, StorageError, map_errors
from .placement import Roster
from .store import FULL, XATTR, Store
from .trees import remove_tree

log = logging.getLogger(__name__)

_UNSAFE_PATH = re.compile(r"""[\s'"\\]""")


def open_store(root: Path, node: str, roster: Roster) -> Store:
    """Lock, check and sweep `root`; the store of `node`. Raises ConfigError or StorageError."""
    root = root.absolute()
    if _UNSAFE_PATH.search(str(root)):
        raise ConfigError(
            f"the data folder {str(root)!r} has a space or quote in its path: xargs would break it"
        )
    os.umask(0o022)
    with map_errors({OSError: StorageError}, f"can not use the data folder {root}"):
        for folder in (root, root / "keys", root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        _lock(root)
        _check_attributes(root)
        _check_roster(root, node, roster)
        _sweep(root / "tmp")
        nameless = _spread(root)
    return Store(root, node, nameless)


_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_TOP_FOLDER = 0x20000
_SPREAD_FOLDERS = 64


def _spread(root: Path) -> Sequence[str]:
    """Folders to make nameless files in, which ext4 keeps in different places of the disk.

    ext4 puts a file's inode into the block group of its folder, and looks at every inode there that
    was freed in the last five seconds before it takes one (`recently_deleted` in fs/ext4/ialloc.c).
    With the churn of one group that was measured at 600 us a file; with folders below one marked as
    a top folder, which get groups of their own, at 66. Other file systems have no such mark: one
    folder serves them.
    """
    tmp, nameless = root / "tmp", root / "nameless"
    nameless.mkdir(exist_ok=True)
    if not (_mark_as_top(tmp) and _mark_as_top(nameless)):
        return (str(tmp),)
    folders = [nameless / f"{number:02}" for number in range(_SPREAD_FOLDERS)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    return tuple(map(str, folders))


def _mark_as_top(folder: Path) -> bool:
    """Like `chattr +T`; whether the file system knows it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, _GET_FLAGS, bytes(struct.calcsize("l"))))
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("l", flags | _TOP_FOLDER))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _lock(root: Path) -> None:
    """Held until the process ends; the descriptor is left open on purpose."""
    fd = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ConfigError(f"another node uses the data folder {root}") from None


def _check_roster(root: Path, node: str, roster: Roster) -> None:
    """Keys are placed by the roster: another one would look for them on other nodes."""
    mine = f"{node}\n\n{roster.text}"
    path = root / "roster"
    if not path.exists():
        temporary = root / "tmp" / "roster"
        temporary.write_text(mine, encoding="utf-8")
        temporary.rename(path)
    elif path.read_text(encoding="utf-8") != mine:
        raise ConfigError(
            f"the data folder {root} belongs to another roster or another node of it (see {path}):"
            " use that conf, or another data folder"
        )


def _sweep(tmp: Path) -> None:
    """Remove what a crash left unfinished."""
    for name in os.listdir(tmp):
        path = tmp / name
        try:
            if path.is_dir() and not path.is_symlink():
                remove_tree(str(path))
            else:
                path.unlink()
        except OSError as exc:  # what another user's process made there is no reason not to start
            log.warning("%s can not be removed: %s", path, exc)


def _check_attributes(root: Path) -> None:
    """The same calls that a commit makes: a nameless file and a user attribute on it."""
    try:
        fd = os.open(root / "tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.setxattr(fd, XATTR, b"\0")
        finally:
            os.close(fd)
    except OSError as exc:
        if exc.errno in FULL:  # says nothing about the file system, and rm must work on a full disk
            return
        raise ConfigError(
            f"the file system of {root} keeps no user xattrs or nameless files ({exc.strerror}):"
            " use ext4, xfs, btrfs or tmpfs"
        ) from exc
