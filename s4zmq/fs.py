"""A file system for fsspec: `s4://bucket/dir/name` wherever pandas, pyarrow, Dask or DuckDB take a URL.

Needs fsspec (`pip install 's4zmq[fsspec]'`). What fsspec wants of a file system stands here, and follows
from what keys are: made once, never changed, and in folders that are there for as long as a key is in them.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike

from .answers import Entry, Stat
from .api import Client
from .errors import KeyExists, KeyInvalid, KeyNotFound, S4Error
from .files import KeyReader, KeyTextWriter, KeyWriter
from .keys import SCHEME, Folder, Key

Info = dict[str, Any]


class NotFound(KeyNotFound, FileNotFoundError):
    """As Python says it."""


class Exists(KeyExists, FileExistsError):
    """As Python says it."""


class BadName(KeyInvalid, ValueError):
    """As Python says it."""


@contextmanager
def _errors_of_python(*, reading: bool = True) -> Iterator[None]:
    """Errors that the callers of a file system look for; they are still those of s4zmq too. What can be
    no name is just not there for who reads."""
    try:
        yield
    except OSError:
        raise
    except KeyNotFound as error:
        raise NotFound(error.text, **error.details) from error
    except KeyExists as error:
        raise Exists(error.text, **error.details) from error
    except KeyInvalid as error:
        raise (NotFound if reading else BadName)(error.text) from error


class S4FileSystem(AbstractFileSystem):
    """Keys of an s4 cluster as files.

        fs = fsspec.filesystem("s4")                          # the cluster that `s4` finds
        fs = fsspec.filesystem("s4", conf="/etc/s4.conf")     # another one

    Reading is by ranges, with read-ahead of our own: `block_size` and `cache_type` change nothing. A file
    that is written becomes a key when it is closed. Keys are immutable: to write one that is there, in
    whatever mode, raises FileExistsError; remove it first.

    Folders do not exist by themselves. `mkdir` looks whether the name is good and free, and makes nothing.
    `cp` and `mv` go through this process; for many keys `Client.map(a, b, "cat")` leaves them where
    they are. `mv` removes the source once the copy is made.

    Within `with fs.transaction` keys are made at its end, one after the other; an exception makes none.
    Listings are never cached, as others write too. Any number of threads may use one instance; it survives
    a fork and being pickled, and connects anew. It is not asynchronous itself: fsspec wraps it
    (AsyncFileSystemWrapper) for who is.
    """

    protocol = "s4"
    root_marker = ""

    def __init__(self, conf: str | None = None, key: str | None = None, **storage_options: Any) -> None:
        """`conf` and `key` are paths, as of Client. Raises ConfigError."""
        super().__init__(conf=conf, key=key, **storage_options)
        self.client = Client(conf, key)
        weakref.finalize(self, self.client.close)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """bucket/dir/name. Some join a root to it that has none, so a slash in front is dropped."""
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return super()._strip_protocol(path).lstrip("/")

    @property
    def fsid(self) -> str:
        """The same for all instances of one cluster."""
        return f"s4_{'_'.join(self.client.nodes)}"

    # -- looking

    def info(self, path: str, **kwargs: Any) -> Info:
        """name, size, type, and of a key digest, created and mtime. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        with _errors_of_python():
            if not path:
                return _folder_info("")
            if "/" in path:
                try:
                    return _info_of(self.client.stat(SCHEME + path))
                except KeyNotFound:
                    pass
            if self.client.is_folder(SCHEME + path):
                return _folder_info(path)
        raise NotFound(f"neither a key nor a folder: {SCHEME}{path}")

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether it is a key, or a folder of keys."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What is directly in a folder, sorted by name, or the key itself. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        with _errors_of_python():
            rows = [_row_of(entry) for entry in self.client.ls(f"{SCHEME}{path}/" if path else SCHEME)]
        if not rows and path:
            rows = [self.info(path)]
        return rows if detail else [row["name"] for row in rows]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Every key below `path`, with one listing."""
        path = self._strip_protocol(path)
        if maxdepth is not None or not path:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        found: dict[str, Info] = {}
        try:
            with _errors_of_python():
                for entry in self.client.ls(f"{SCHEME}{path}/", recursive=True):
                    row = _row_of(entry)
                    if withdirs:
                        found.update(_folders_of(row["name"], path))
                    found[row["name"]] = row
                if not found:
                    found[path] = self.info(path)
        except FileNotFoundError:
            found = {}
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Bytes of all keys below `path`, or with `total=False` of each."""
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: row["size"] for name, row in found.items()}
        return sum(sizes.values()) if total else sizes

    def created(self, path: str) -> datetime:
        """When the key was made; it never changes after that. Raises FileNotFoundError."""
        found: datetime = self._info_of_key(path)["created"]
        return found

    modified = created

    def checksum(self, path: str) -> int:
        """xxh3_128 of the value."""
        return int(self._info_of_key(path)["digest"], 16)

    def ukey(self, path: str) -> str:
        """The same for equal values only."""
        found: str = self._info_of_key(path)["digest"]
        return found

    def _info_of_key(self, path: str) -> Info:
        with _errors_of_python():
            return _info_of(self.client.stat(self._key(path)))

    def _key(self, path: str) -> str:
        return SCHEME + str(self._strip_protocol(path))

    # -- reading

    def open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        """As of fsspec; a text file that an exception ends within its `with` leaves no key either."""
        text = {name: kwargs.pop(name) for name in ("encoding", "errors", "newline") if name in kwargs}
        if "b" in mode or mode.startswith("r") or kwargs.get("compression"):
            return super().open(path, mode, *args, **text, **kwargs)
        writer = super().open(path, f"{mode.replace('t', '')}b", *args, **kwargs)
        return KeyTextWriter(
            writer, text.get("encoding") or "utf-8", text.get("errors"), text.get("newline")
        )

    def _open(
        self, path: str, mode: str = "rb", block_size: Any = None, autocommit: bool = True, **kwargs: Any
    ) -> KeyReader | KeyWriter:
        key = self._key(path)
        with _errors_of_python(reading=mode == "rb"):
            if mode == "rb":
                return self.client.open(key)
            if mode not in ("wb", "xb"):
                raise ValueError(f"a key is made once: it can be opened with rb, wb or xb, not {mode!r}")
            return self.client.open(key, "wb") if autocommit else self.client.open_uncommitted(key)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a key, or some of them; negative numbers count from its end."""
        key = self._key(path)
        with _errors_of_python():
            if start is None and end is None:
                return self.client.get(key)
            return self.client.read(*self._range(key, start, end))

    def _range(self, key: str, start: int | None, end: int | None) -> tuple[str, int, int]:
        if end is None or end < 0 or (start or 0) < 0:
            start, end, _ = slice(start, end).indices(self.client.stat(key).size)
        start = start or 0
        return key, start, max(0, end - start)

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Many ranges at the same time; so they are not merged, whatever `max_gap`."""
        starts, ends = (each if isinstance(each, list) else [each] * len(paths) for each in (starts, ends))
        wanted: list[Any] = []
        for path, start, end in zip(paths, starts, ends, strict=True):
            try:
                with _errors_of_python():
                    wanted.append(self._range(str(Key.parse(self._key(path))), start, end))
            except S4Error as error:
                wanted.append(error)
        found = iter(self.client.read_many([each for each in wanted if not isinstance(each, S4Error)]))
        results = [_in_python(each if isinstance(each, S4Error) else next(found)) for each in wanted]
        for each in results if on_error == "raise" else ():
            if isinstance(each, S4Error):
                raise each
        return results

    def get_file(
        self,
        rpath: str,
        lpath: Any = None,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """One key to a local file, whole or not at all."""
        target = outfile if outfile is not None or not isfilelike(lpath) else lpath
        if target is None and self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        info = self.info(rpath)
        callback.set_size(info["size"])
        with _errors_of_python():
            self.client.get(self._key(rpath), os.fspath(lpath) if target is None else target)
        callback.absolute_update(info["size"])

    # -- writing

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Make a key. There is no overwriting, whatever `mode`: raises FileExistsError."""
        if self._intrans:
            super().pipe_file(path, value, **kwargs)
            return
        with _errors_of_python(reading=False):
            self.client.put(value, self._key(path))

    def put_file(
        self,
        lpath: Any,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """One local file to a key. Raises FileExistsError, as `pipe_file`."""
        if os.path.isdir(lpath):
            self.mkdir(rpath)
        elif self._intrans:
            super().put_file(lpath, rpath, callback, **kwargs)
        else:
            callback.set_size(os.path.getsize(lpath))
            with _errors_of_python(reading=False):
                self.client.put(os.fspath(lpath), str(Key.parse(self._key(rpath))))
            callback.absolute_update(os.path.getsize(lpath))

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """One key to another, through this process."""
        if self.isdir(path1):
            self.mkdir(path2)
            return
        with self.open(path2, "wb") as writer, _errors_of_python():
            self.client.get(self._key(path1), writer)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Makes nothing. Raises ValueError for a name that no key could have,
        FileExistsError where a key has it."""
        path = self._strip_protocol(path)
        with _errors_of_python(reading=False):
            Folder.parse(SCHEME + path)
            if "/" in path and self.client.exists(SCHEME + path):
                raise KeyExists(f"{SCHEME}{path} is a key, so no folder")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """As `mkdir`; unless `exist_ok` a folder that holds keys raises FileExistsError too."""
        self.mkdir(path)
        if not exist_ok and self.isdir(path):
            raise Exists(f"there are keys in {self._key(path)}/ already")

    def rmdir(self, path: str) -> None:
        """Removes nothing, as an empty folder is none. Raises OSError for one with keys in it."""
        if self.isdir(path):
            raise OSError(errno.ENOTEMPTY, "there are keys in it: remove it with recursive=True", path)

    # -- removing

    def rm_file(self, path: str) -> None:
        """One key. Raises FileNotFoundError."""
        with _errors_of_python():
            self.client.rm(self._key(path))

    _rm = rm_file

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Keys, folders with `recursive`, or what globs find. Raises FileNotFoundError where there is
        nothing."""
        for each in reversed(self.expand_path(path, recursive=False)):
            if maxdepth is not None and recursive:
                for name in self.find(each, maxdepth=maxdepth):
                    self.rm_file(name)
            elif recursive:
                self._rm_tree(each)
            else:
                self.rm_file(each)

    def _rm_tree(self, path: str) -> None:
        if not path:
            raise BadName("the root of a cluster is not removed: name a bucket")
        with _errors_of_python():
            removed = self.client.rm(f"{SCHEME}{path}/", recursive=True)
            if "/" in path and self.client.exists(SCHEME + path):
                removed += self.client.rm(SCHEME + path)
        if not removed:
            raise NotFound(f"neither a key nor a folder: {SCHEME}{path}")


def _in_python(found: bytes | S4Error) -> bytes | S4Error:
    """What failed, as `_errors_of_python` would raise it."""
    if isinstance(found, KeyNotFound) and not isinstance(found, OSError):
        return NotFound(found.text, **found.details)
    return found


def _info_of(stat: Stat) -> Info:
    return {**_key_info(stat.key, stat.size, stat.modified), "digest": stat.digest, "node": stat.node}


def _row_of(entry: Entry) -> Info:
    if entry.is_folder:
        return _folder_info(entry.key.removeprefix(SCHEME).rstrip("/"))
    return _key_info(entry.key, entry.size, entry.modified)


def _key_info(key: str, size: int, made: datetime | None) -> Info:
    return {
        "name": key.removeprefix(SCHEME),
        "size": size,
        "type": "file",
        "created": made,
        "mtime": made.timestamp() if made else None,
    }


def _folder_info(path: str) -> Info:
    return {"name": path, "size": 0, "type": "directory"}


def _folders_of(name: str, top: str) -> Mapping[str, Info]:
    """The folders above a key, from `top` down."""
    found = {}
    folder = name.rpartition("/")[0]
    while len(folder) >= len(top):
        found[folder] = _folder_info(folder)
        folder = folder.rpartition("/")[0]
    return found
