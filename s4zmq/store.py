"""The keys of one node on its disk: the only room that makes a key visible, and that removes one.

    DIR/keys/bucket/dir/name   the values, mode 0444; the folder tree is the index
    DIR/tmp/                   whatever is not finished (see `scratch`)
    DIR/nameless/, lock, roster    see `datadir`

A value is written to a file without a name, stamped with its checksum in an extended attribute, and
linked to its name. `link` refuses to overwrite, so of any number of writers one wins. No fsync: the
data is ephemeral, and a key torn by a power cut is found by its checksum. A stored file is never
truncated or rewritten.

Safe to call from several threads: the kernel decides every race.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import points
from .checksum import digest_of_file, new_digest, read_chunks
from .errors import (
    ChecksumMismatch,
    KeyExists,
    KeyInvalid,
    KeyNotFound,
    NoSpace,
    S4Error,
    StorageError,
)
from .keys import Key
from .limits import TALLY_FRESH_KEYS, VERIFIED_KEYS
from .recipes import NO_ORIGIN
from .space import Space
from .tally import Tally

XATTR = "user.s4zmq"
_STAMP = struct.Struct("!B16s16sQ16s")
_STAMP_VERSION = 2
_STAMP_WITHOUT_ORIGIN = struct.Struct("!B16s16sQ")
_STATE = struct.Struct("=qq")
_LINK_TRIES = 100

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the file system says when its bytes, its inodes or a quota are used up."""


class Stamp(NamedTuple):
    """What stands in a value's extended attribute."""

    size: int
    """Bytes."""

    digest: bytes
    """xxh3_128 of the value."""

    writer: bytes
    """16 bytes that name the request or task that made it: its own retry is no conflict."""

    origin: bytes = NO_ORIGIN
    """16 bytes that name what a job made it from, see `recipes`."""

    def pack(self) -> bytes:
        """57 bytes: version 1, digest 16, writer 16, size 8, origin 16. With up to 64 ext4 has room for
        it in the inode; with more, each file would take a block."""
        return _STAMP.pack(_STAMP_VERSION, self.digest, self.writer, self.size, self.origin)

    @classmethod
    def unpack(cls, data: bytes) -> Stamp:
        """What `pack` gave, or version 1, which had no origin. Raises struct.error."""
        if data[:1] == b"\1":
            _, digest, writer, size = _STAMP_WITHOUT_ORIGIN.unpack(data)
            return cls(size, digest, writer)
        version, digest, writer, size, origin = _STAMP.unpack(data)
        if version != _STAMP_VERSION:
            raise struct.error("a stamp of another version")
        return cls(size, digest, writer, origin)


class Store:
    """Keys below one data folder."""

    def __init__(self, root: Path, node: str, nameless: Sequence[str] = ()) -> None:
        """`node` is this node's host:port, for messages; `nameless` folders to make files in."""
        self.root = root
        self.node = node
        self.keys_path = str(root / "keys")
        self.tmp_path = str(root / "tmp")
        self._nameless = itertools.cycle(nameless or (self.tmp_path,))
        self.space = Space(str(root), node)
        self._verified = Verified(VERIFIED_KEYS)
        self.tally = Tally(TALLY_FRESH_KEYS)

    def path_of(self, key: Key) -> str:
        """Where `key` lies, whether or not it is there. A parsed key can not leave the folder."""
        return f"{self.keys_path}/{key.path}"

    # -- writing

    def new_file(self) -> int:
        """A descriptor of a file without a name, to be written and committed. A crash leaves nothing."""
        with self.disk_errors("can not make a file"):
            return os.open(next(self._nameless), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def commit(self, fd: int, key: Key, stamp: Stamp, source: str = "") -> None:
        """Publish the file behind `fd` as `key`, once. The only place a key becomes visible.

        `source` is a name that the file has already and is to lose. Raises KeyExists, unless the
        key was made by the same writer: then this is a retry whose first reply was lost.
        """
        with self.disk_errors(f"can not store {key}"):
            _stamp(fd, stamp)
            points.reach("store.linking")
            if not self._link(fd, key, stamp):
                return
            points.reach("store.linked")
            if source:
                os.unlink(source)
            self._verified.add(os.fstat(fd), stamp.digest)

    def _link(self, fd: int, key: Key, stamp: Stamp) -> bool:
        """True where the key is new, False where this very writer had made it before."""
        path = self.path_of(key)
        for _ in range(_LINK_TRIES):
            try:
                with self.tally.changing(key.path):
                    # src_dir_fd makes CPython call linkat, which alone can follow /proc to the file.
                    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=0)
                    self.tally.add(key.path, stamp.size)
                return True
            except FileExistsError:
                if os.path.isdir(path) and not _remove_empty_folders(path):
                    raise self._taken(key, f"is a folder on node {self.node}, so no key") from None
                if self.refuse_taken(key, stamp.writer, stamp.digest):
                    return False
            except (FileNotFoundError, NotADirectoryError):
                self._make_folders(key)
        raise self._refused("store", key, "its folder vanishes each time")

    def refuse_taken(self, key: Key, writer: bytes, digest: bytes = b"") -> bool:
        """Whether `writer` has made `key` already. Raises KeyExists where another one's value stands;
        one that should have this `digest` is read, so that nobody takes torn bytes for his own."""
        try:
            fd, found = self.open(key)
            try:
                if found.digest == digest and found.writer != writer:
                    self.check(fd, key, found)
            finally:
                os.close(fd)
        except KeyNotFound:
            return False
        except ChecksumMismatch:
            raise self._taken(key, f"already exists on node {self.node}, and is damaged") from None
        if found.writer == writer:
            return True
        how = "already exists; keys are immutable: remove it first, or choose another name"
        raise self._taken(key, how, digest=found.digest, size=found.size)

    def require_free(self, key: Key) -> None:
        """Raises KeyExists where `key` could not be made now, because a key or a folder is in the way."""
        path = self.path_of(key)
        if os.path.isdir(path) and any(files for _, _, files in os.walk(path)):
            raise self._taken(key, f"is a folder on node {self.node}, so no key")
        if self.exists(key):
            raise self._taken(key, "already exists; keys are immutable: remove it first")
        above = self._key_above(key)
        if above:
            raise self._taken(key, f"can not be made: {above} is a key on node {self.node}, so no folder")

    def _make_folders(self, key: Key) -> None:
        try:
            os.makedirs(os.path.dirname(self.path_of(key)), exist_ok=True)
        except FileNotFoundError:
            return  # another thread has just pruned a part of it: the next try makes it again
        except (FileExistsError, NotADirectoryError):
            above = self._key_above(key)
            if above:  # else a folder has just been pruned, as before
                how = f"can not be made: {above} is a key on node {self.node}, so no folder"
                raise self._taken(key, how) from None

    def _key_above(self, key: Key) -> str:
        """The key that stands where a folder of `key` would have to be, or ""."""
        parts = key.path.split("/")
        for count in range(1, len(parts)):
            head = "/".join(parts[:count])
            if os.path.isfile(f"{self.keys_path}/{head}"):
                return f"s4://{head}"
        return ""

    # -- reading

    def open(self, key: Key) -> tuple[int, Stamp]:
        """(descriptor, stamp). Raises KeyNotFound, or ChecksumMismatch for a file without a stamp
        or of another size than its stamp says. The bytes themselves are not checked here."""
        try:
            fd = os.open(self.path_of(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
                raise self.not_found(key) from None
            raise self._refused("read", key, exc.strerror) from exc
        try:
            return fd, self._read_stamp(fd, key)
        except BaseException:
            os.close(fd)
            raise

    def _read_stamp(self, fd: int, key: Key) -> Stamp:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise self.not_found(key)
        try:
            stamp = Stamp.unpack(os.getxattr(fd, XATTR))
        except (OSError, struct.error):
            raise self.damaged(key, "it has no checksum") from None
        if stamp.size != status.st_size:
            raise self.damaged(key, f"it has {status.st_size} bytes, not {stamp.size}")
        return stamp

    def stamp_of(self, path: str) -> Stamp | None:
        """The stamp of the key at `path` below the data, without a look at its bytes or its size; None
        where there is no key, or it has no stamp that can be read."""
        try:
            return Stamp.unpack(os.getxattr(f"{self.keys_path}/{path}", XATTR, follow_symlinks=False))
        except (OSError, struct.error):
            return None

    def open_checked(self, key: Key) -> tuple[int, Stamp]:
        """As `open`, with every byte compared to the checksum, or known to be right already."""
        fd, stamp = self.open(key)
        try:
            self.check(fd, key, stamp)
        except BaseException:
            os.close(fd)
            raise
        return fd, stamp

    def check(self, fd: int, key: Key, stamp: Stamp) -> None:
        """Raises ChecksumMismatch. Remembered for as long as the file is not touched."""
        before = os.fstat(fd)
        if self._verified.digest_of(before):
            return
        with self.disk_errors(f"can not read {key}"):
            if digest_of_file(fd) != (stamp.size, stamp.digest):
                raise self.damaged(key, "its bytes are not those that were stored")
        self._verified.add(before, stamp.digest)

    def check_anew(self, fd: int, key: Key, stamp: Stamp, on_read: Callable[[int], None]) -> None:
        """As `check`, but every byte is read whatever is remembered, and from the disk where the
        kernel lets its copy go. `on_read(bytes)` is told of each chunk, and may raise."""
        before = os.fstat(fd)
        self._verified.discard(before)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        digest, size = new_digest(), 0
        try:
            for chunk in read_chunks(fd):
                digest.update(chunk)
                size += len(chunk)
                on_read(len(chunk))
        except OSError as exc:
            raise self.damaged(key, f"its bytes can not be read ({exc.strerror})") from exc
        if (size, digest.digest()) != (stamp.size, stamp.digest):
            raise self.damaged(key, "its bytes are not those that were stored")
        self._verified.add(before, stamp.digest)

    def require_sound(self, key: Key) -> bytes:
        """As `open_checked`, for a key that others open; its digest. One look where its bytes are known."""
        try:
            known = self._verified.digest_of(os.stat(self.path_of(key), follow_symlinks=False))
        except OSError:
            known = b""
        if known:
            return known
        fd, stamp = self.open_checked(key)
        os.close(fd)
        return stamp.digest

    def exists(self, key: Key) -> bool:
        """Whether a key of this name stands here, sound or not."""
        return os.path.isfile(self.path_of(key))

    def not_found(self, key: Key) -> KeyNotFound:
        """The error for a key that is not here."""
        text = f"no such key: {key} (its node would be {self.node})"
        return KeyNotFound(text, key=str(key), node=self.node)

    def damaged(self, key: Key, how: str) -> ChecksumMismatch:
        """The error for a key whose bytes are not those that were stored."""
        text = f"{key} on node {self.node} is damaged: {how}; remove it and make it anew"
        return ChecksumMismatch(text, key=str(key), node=self.node)

    def _taken(self, key: Key, how: str, **details: object) -> KeyExists:
        return KeyExists(f"{key} {how}", key=str(key), node=self.node, **details)

    def _refused(self, verb: str, key: Key, why: str | None) -> StorageError:
        text = f"can not {verb} {key} on node {self.node}: {why}"
        return StorageError(text, key=str(key), node=self.node)

    # -- removing

    def delete(self, key: Key) -> None:
        """Remove a key, and the folders that it leaves empty. Raises KeyNotFound."""
        if not self.unlink(key):
            raise self.not_found(key)
        self.prune(self.path_of(key))

    def unlink(self, key: Key) -> bool:
        """Remove a key but leave its folders; whether it was there. The only place a key vanishes."""
        path = self.path_of(key)
        try:
            with self.tally.changing(key.path):
                status = os.lstat(path)
                os.unlink(path)
                if stat.S_ISREG(status.st_mode):
                    self.tally.remove(key.path, status.st_size)
            points.reach("store.unlinked")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        except OSError as exc:
            raise self._refused("remove", key, exc.strerror) from exc
        return True

    def prune(self, path: str) -> None:
        """Remove the empty folders above `path`."""
        folder = os.path.dirname(path)
        while len(folder) > len(self.keys_path):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    # -- errors

    @contextmanager
    def disk_errors(self, what: str) -> Iterator[None]:
        """Name the node and the reason when the file system refuses."""
        try:
            yield
        except S4Error:
            raise
        except OSError as exc:
            if exc.errno in FULL:
                raise NoSpace(f"node {self.node}: {what}: its disk is full", node=self.node) from exc
            if exc.errno == errno.ENAMETOOLONG:
                raise KeyInvalid(f"node {self.node}: {what}: its path is too long") from exc
            raise StorageError(f"node {self.node}: {what}: {exc.strerror}", node=self.node) from exc


class Verified:
    """Digests of files whose checksum was found right, by inode, time of change and size.

    Any write, and any change of the attributes, moves the time of change: it can not be set back. Two
    generations: when the younger one has half of the limit, the older one is forgotten. An ordered dict
    of tuples took 330 bytes a file, this 140.
    """

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def add(self, status: os.stat_result, digest: bytes) -> None:
        """Remember the file as it is now. `digest`: 16 bytes."""
        with self._lock:
            if len(self._young) >= self._half:
                self._old, self._young = self._young, {}
            self._young[status.st_ino] = _state_of(status) + digest

    def discard(self, status: os.stat_result) -> None:
        """Forget it: the file is to be checked again."""
        with self._lock:
            for files in (self._young, self._old):
                files.pop(status.st_ino, None)

    def digest_of(self, status: os.stat_result) -> bytes:
        """The digest of the file, or b"" where it is not known."""
        found = self._young.get(status.st_ino) or self._old.get(status.st_ino, b"")
        state = _state_of(status)
        return found[len(state) :] if found.startswith(state) else b""


def _state_of(status: os.stat_result) -> bytes:
    """What changes with a file: 16 bytes."""
    return _STATE.pack(status.st_ctime_ns, status.st_size)


def _remove_empty_folders(path: str) -> bool:
    """Remove `path` if nothing but empty folders is in it; whether it is gone."""
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True


def _stamp(fd: int, stamp: Stamp) -> None:
    """Attach the checksum, and make the file read-only."""
    try:
        os.setxattr(fd, XATTR, stamp.pack())
    except PermissionError:  # a repeated commit finds 0444, which only root could stamp
        os.fchmod(fd, 0o600)
        os.setxattr(fd, XATTR, stamp.pack())
    os.fchmod(fd, 0o444)


def write_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """pwrite until every byte is written."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view = view[count:]
        offset += count
