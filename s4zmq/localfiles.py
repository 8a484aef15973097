"""The user's own files: what a path means as source or destination, walking, writing without halves.

No network. A file appears under its final name whole or not at all.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .errors import LocalFileError, map_errors
from .limits import KEY_MAX_BYTES

_numbers = itertools.count(1)
_NAMELESS = getattr(os, "O_TMPFILE", 0)
"""0 where the system has no files without names, as macOS."""
_NOT_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
"""What file systems and kernels say that have none."""


_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_STREAMS = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}


class Found(NamedTuple):
    """A file below a folder."""

    path: str
    relative: str
    """Its path below the folder, with slashes."""


def walk_files(folder: str) -> Iterator[Found]:
    """All plain files below `folder`, links followed. Raises LocalFileError for anything that is
    neither file nor folder, and for a link that leads back up."""
    yield from _walk(folder, "", frozenset())


def _walk(folder: str, relative: str, above: frozenset[tuple[int, int]]) -> Iterator[Found]:
    if len(relative) > KEY_MAX_BYTES:
        raise LocalFileError(f"{folder[:100]}… is too deep for keys of {KEY_MAX_BYTES} bytes")
    with map_errors({OSError: LocalFileError}, f"can not read {folder}"):
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise LocalFileError(f"{folder} is a link to a folder above it")
    for entry in entries:
        with map_errors({OSError: LocalFileError}, f"can not read {entry.path}"):
            is_folder, is_file = entry.is_dir(), entry.is_file()
        if is_folder:
            yield from _walk(entry.path, f"{relative}{entry.name}/", above | {here})
        elif is_file:
            yield Found(entry.path, relative + entry.name)
        else:
            raise LocalFileError(f"{entry.path} is neither a file nor a folder")


def open_to_read(path: str) -> int:
    """A descriptor of a plain file. Raises LocalFileError."""
    with map_errors({OSError: LocalFileError}, f"can not read {path}"):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block here
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return fd
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise LocalFileError(f"{path} is a folder: copy it with -r")
        raise LocalFileError(f"{path} is neither a file nor a folder: pipe it into `s4 cp - …`")


def descriptor_of(destination: str) -> int:
    """The open descriptor that `-`, /dev/stdout or /dev/fd/N names, or -1. Opening such a path anew
    would start at the beginning of a file that others have written to."""
    found = _DESCRIPTOR.fullmatch(destination)
    return int(found.group(1)) if found else _STREAMS.get(destination, -1)


def local_target(destination: str, name: str) -> str:
    """The file that one key is copied to: `destination`, or its own name in that folder."""
    if destination in (".", "./") or destination.endswith("/") or os.path.isdir(destination):
        return os.path.join(destination, name)
    return destination


class NewFile:
    """A local file in the making: write, then `keep` it under its final name, or `discard` it.

    A device or a pipe that stands there already is written to as it is, and never replaced.
    """

    def __init__(self, path: str) -> None:
        """Makes the folders above `path`; follows a link. Raises LocalFileError."""
        self.path = path
        self._temporary = ""
        self._has_name = False
        """Whether there is a file of the temporary name."""
        with map_errors({OSError: LocalFileError}, f"can not write {path}"):
            mode = self._mode()
            if stat.S_ISDIR(mode):
                raise LocalFileError(f"can not write {path}: it is a folder")
            if mode and not stat.S_ISREG(mode):
                self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            else:
                self._make_temporary()

    def _mode(self) -> int:
        """What stands there already, 0 for nothing; a link is followed."""
        try:
            mode = os.lstat(self.path).st_mode
            if stat.S_ISLNK(mode):
                self.path = os.path.realpath(self.path)
                mode = os.stat(self.path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return mode

    def _make_temporary(self) -> None:
        folder = os.path.dirname(self.path) or "."
        self._temporary = os.path.join(folder, f".s4-{os.getpid()}-{next(_numbers)}.part")
        try:
            self._fd = self._open(folder)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            self._fd = self._open(folder)

    def _open(self, folder: str) -> int:
        """A file without a name, of which a kill leaves nothing; with one where there is no such thing."""
        self._has_name = not _NAMELESS
        if _NAMELESS:
            try:
                return os.open(folder, os.O_WRONLY | _NAMELESS | os.O_CLOEXEC, 0o666)
            except OSError as exc:
                if exc.errno not in _NOT_NAMELESS:
                    raise
        self._has_name = True
        return os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises LocalFileError."""
        view = memoryview(data)
        with map_errors({OSError: LocalFileError}, f"can not write {self.path}"):
            while view:
                view = view[os.write(self._fd, view) :]

    def keep(self) -> None:
        """Give it its name, in place of an older file. Raises LocalFileError."""
        if not self._temporary:
            self._close()
            return
        try:
            with map_errors({OSError: LocalFileError}, f"can not write {self.path}"):
                self._give_name()
        except LocalFileError:
            self.discard()
            raise
        self._close()

    def _give_name(self) -> None:
        if not self._has_name:
            try:
                self._link(self.path)
                return
            except FileExistsError:  # a link replaces nothing, and a rename does
                self._link(self._temporary)
                self._has_name = True
        os.replace(self._temporary, self.path)
        self._has_name = False

    def _link(self, path: str) -> None:
        # src_dir_fd makes CPython call linkat, which alone can follow /proc to the file.
        os.link(f"/proc/self/fd/{self._fd}", path, src_dir_fd=0)

    def discard(self) -> None:
        """Leave nothing; harmless after `keep`."""
        self._close()
        if not self._has_name:
            return
        try:
            os.unlink(self._temporary)
        except OSError:
            return

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def write_file(path: str, data: bytes | bytearray | memoryview) -> None:
    """A small file at once, whole or not at all. Raises LocalFileError."""
    file = NewFile(path)
    try:
        file.write(data)
    except BaseException:
        file.discard()
        raise
    file.keep()
