"""The Python face of keys: what `s4zmq.Client` does with values, listings and folders.

Says what each method means, and hands over to the rooms that the command line uses too. Prints nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Literal, Union, overload

from .amounts import Counts
from .answers import Entry, Stat
from .copying import get_tree, key_for, put_tree
from .errors import KeyExists, KeyInvalid, KeyNotFound, RequestError, S4Error
from .files import KeyReader, KeyTextWriter, KeyWriter
from .gets import Getter
from .keys import SCHEME, Folder, Key, parse_prefix, strip_scheme
from .limits import CHUNK_BYTES
from .localfiles import local_target
from .pool import Pool
from .puts import Item, Putter
from .ranges import Part, read_part, read_parts
from .session import Value

Path = Union[str, "os.PathLike[str]"]
Buffer = Union[bytes, bytearray, memoryview]
Source = Union[Path, Buffer, IO[bytes], Iterable[Buffer]]
_MODES = ("rb", "r", "rt", "wb", "w", "wt", "xb", "x", "xt")


class KeyVerbs:
    """Methods of a Client about keys."""

    _pool: Pool

    # -- values

    def put(self, source: Source, key: str) -> str:
        """Make a key; its full text. It is visible once all of it is there, and until then not at all.

            s4.put("trips.csv", "s4://csv/")            # a file, under its own name
            s4.put(pathlib.Path("a"), "s4://csv/b")     # a file, under another
            s4.put(b"bytes", "s4://csv/c")              # what is in memory
            s4.put(open("d", "rb"), "s4://csv/d")       # whatever has read()
            s4.put((row.encode() for row in rows), "s4://csv/e")

        Memory does not grow with the size. Raises KeyExists, NoSpace, LocalFileError.
        """
        if not isinstance(key, str):
            raise TypeError(f"put takes a source and then a key, as text; not {type(key).__name__}")
        if isinstance(source, (str, os.PathLike)):
            return self._put_file(os.fspath(source), key)
        parsed = Key.parse(key)
        if isinstance(source, (bytes, bytearray, memoryview)):
            with KeyWriter(self._pool, parsed, size=memoryview(source).nbytes) as writer:
                writer.write(source)
            return str(parsed)
        if not (hasattr(source, "read") or isinstance(source, Iterable)):
            raise _no_bytes(source)
        self._require_free(parsed)  # before anything is taken from an iterator
        with KeyWriter(self._pool, parsed) as writer:
            for piece in _pieces(source):
                writer.write(piece)
        return str(parsed)

    def _put_file(self, path: str, key: str) -> str:
        parsed = key_for(path, key)
        with self._pool.session() as session:
            Putter(session).put_all([Item(path, str(parsed), session.owner(parsed))])
        return str(parsed)

    @overload
    def get(self, key: str) -> bytes: ...

    @overload
    def get(self, key: str, target: Path | IO[bytes]) -> None: ...

    def get(self, key: str, target: Path | IO[bytes] | None = None) -> bytes | None:
        """A value: as bytes, or into a local file, or a binary file object.

            value = s4.get("s4://csv/c")
            s4.get("s4://csv/c", "out/c")      # whole or not at all; "out/" is a folder to put it into

        All bytes are compared with the checksum. Raises KeyNotFound, ChecksumMismatch, LocalFileError.
        """
        parsed = Key.parse(key)
        with self._pool.session() as session:
            getter = Getter(session)
            if target is None:
                parts: list[bytes | bytearray | memoryview] = []
                getter.get_to(parsed, parts.append)
                return b"".join(parts)
            if isinstance(target, (str, os.PathLike)):
                getter.get_file(parsed, local_target(os.fspath(target), parsed.name))
            else:
                getter.get_to(parsed, _writer_of(target))
        return None

    def read(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, in one round trip; fewer where the value ends.

        The node has compared the whole value with its checksum; these bytes are checked on their way.
        Raises KeyNotFound, ChecksumMismatch.
        """
        with self._pool.session() as session:
            return read_part(session, _part(key, start, length))

    def read_many(self, ranges: Iterable[tuple[str, int, int]]) -> list[bytes | S4Error]:
        """Many ranges, of whatever keys, at the same time: (key, start, length) each. For each its bytes,
        as `read` gives them, or what it would have raised."""
        parts = [_part(*each) for each in ranges]
        with self._pool.session() as session:
            return read_parts(session, parts)

    @overload
    def open(self, key: str, mode: Literal["rb"] = "rb") -> KeyReader: ...

    @overload
    def open(self, key: str, mode: Literal["wb", "xb"], *, size: int | None = None) -> KeyWriter: ...

    @overload
    def open(
        self,
        key: str,
        mode: Literal["r", "rt", "w", "wt", "x", "xt"],
        *,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.TextIOWrapper: ...

    def open(
        self,
        key: str,
        mode: str = "rb",
        *,
        size: int | None = None,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any] | KeyReader | KeyWriter | io.TextIOWrapper:
        """A key as a file: rb, wb, r, w; x means the same as w, as keys are made once.

            with s4.open("s4://csv/big", "r") as file:
                header = file.readline()
            with s4.open("s4://csv/new", "w") as file:
                file.write("a,b\\n")

        A reader can seek and fetches what it needs, ahead where it is read in order. A writer makes the
        key when it is closed; an exception within its `with` leaves no key, and neither does one that is
        forgotten. `size` in bytes, where it is known, has the node keep room. Raises KeyNotFound to read,
        KeyExists to write, RequestError for another mode.
        """
        if mode not in _MODES:
            raise RequestError(
                f"open takes one of the modes {', '.join(_MODES)}, not {mode!r}: keys do not change"
            )
        parsed = Key.parse(key)
        if mode.startswith("r"):
            reader = KeyReader(self._pool, self._look(parsed), self)
            return reader if mode == "rb" else io.TextIOWrapper(reader, encoding, errors, newline)
        self._require_free(parsed)
        writer = KeyWriter(self._pool, parsed, size=size, keep=self)
        return writer if mode.endswith("b") else KeyTextWriter(writer, encoding, errors, newline)

    def open_uncommitted(self, key: str) -> KeyWriter:
        """A file to write, of which `close` makes no key: `commit` does, then or later, and `discard`
        forgets it."""
        parsed = Key.parse(key)
        self._require_free(parsed)
        return KeyWriter(self._pool, parsed, commits_at_close=False, keep=self)

    def _look(self, key: Key) -> Value:
        with self._pool.session() as session:
            return session.look(key)

    def _require_free(self, key: Key) -> None:
        """Raises KeyExists before anything is written; that nobody else is faster shows at the end only."""
        if self.exists(str(key)):
            raise KeyExists(
                f"{key} already exists; keys are immutable: remove it first, or choose another name",
                key=str(key),
            )

    def stat(self, key: str) -> Stat:
        """Size, digest, time and node of a key. Raises KeyNotFound."""
        value = self._look(Key.parse(key))
        return Stat(str(value.key), value.size, value.digest.hex(), value.made_ns, value.node)

    def exists(self, key: str) -> bool:
        """Whether there is such a key. A bucket or folder is none: ask `is_folder`."""
        strip_scheme(key)
        try:
            self._look(Key.parse(key))
        except (KeyInvalid, KeyNotFound):
            return False
        return True

    def is_folder(self, prefix: str) -> bool:
        """Whether there is a key below this folder. A folder does not exist by itself."""
        path = Folder.parse(prefix).path
        with self._pool.session() as session:
            return session.holds_any(path)

    # -- many

    def ls(self, prefix: str = SCHEME, *, recursive: bool = False) -> Iterator[Entry]:
        """What starts with the text `prefix`, sorted by key; without `recursive`, what lies in folders
        below its last slash is shown as the folder. A bucket is taken whole, with or without its slash.

            for entry in s4.ls("s4://csv/"):
                print(entry.key, entry.size, entry.modified)

        Memory does not grow with the number of keys. Nothing found: nothing is given.
        """
        path = parse_prefix(prefix)
        if path and "/" not in path:
            path += "/"
        with self._pool.session() as session:
            for name, size, made_ns in session.list_keys(path, recursive=recursive):
                yield Entry(SCHEME + name, size, made_ns)

    def rm(self, key: str, *, recursive: bool = False) -> int:
        """Remove one key, or with `recursive` every key that starts with this text, across buckets; how
        many.

            s4.rm("s4://csv/c")
            s4.rm("s4://csv/", recursive=True)

        Raises KeyNotFound for one key that is not there; none is fine with `recursive`.
        """
        with self._pool.session() as session:
            if not recursive:
                session.delete(Key.parse(key))
                return 1
            prefix = parse_prefix(key)
            if not prefix:
                raise KeyInvalid("an empty prefix would remove every key of the cluster: name a bucket")
            return session.delete_below(prefix)

    def put_tree(self, folder: Path, target: str, *, resume: bool = False) -> Counts:
        """Every file below a local folder, to below `target`; keys, bytes, skipped. With `resume` keys
        that are there with equal bytes are passed over.

            s4.put_tree("trips", "s4://csv/2009/")

        Raises KeyInvalid where names can not be keys, and NoSpace, before anything moves; KeyExists.
        """
        with self._pool.session() as session:
            return put_tree(session, os.fspath(folder), target, resume)

    def get_tree(self, source: str, folder: Path, *, resume: bool = False) -> Counts:
        """Every key below `source`, to below a local folder, which is made; keys, bytes, skipped. With
        `resume` files that are there with equal bytes are passed over.

            s4.get_tree("s4://csv/2009/", "trips")

        Raises KeyNotFound where there is none.
        """
        target = os.path.abspath(os.fspath(folder))  # `.` alone would keep the last folder of the source
        with self._pool.session() as session:
            return get_tree(session, source, target, resume)


def _part(key: str, start: int, length: int) -> Part:
    if start < 0 or length < 0:
        raise RequestError(f"a range has a start and a length from 0 on, not {start} and {length}")
    return Part(Key.parse(key), start, length)


def _pieces(source: Any) -> Iterator[Buffer]:
    """The bytes of a file object, or what an iterable of bytes gives. Raises TypeError for text."""
    read = getattr(source, "read", None)
    pieces = iter(lambda: read(CHUNK_BYTES), b"") if read else iter(source)
    for piece in pieces:
        if isinstance(piece, str):
            kind = type(source).__name__
            raise TypeError(
                f"put takes bytes, not text as {kind} gives it: open the file in binary, or encode it"
            )
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise _no_bytes(source)
        yield piece


def _no_bytes(source: object) -> TypeError:
    return TypeError(
        "put takes a path, bytes, a binary file, or an iterable of bytes; what it got is"
        f" {type(source).__name__}, or gives no bytes"
    )


def _writer_of(target: Any) -> Callable[[Any], None]:
    """All bytes to a binary file object, which may take fewer at once than it is given."""

    def write(data: Any) -> None:
        view = memoryview(data)
        while view:
            count = target.write(view)
            view = view[len(view) if count is None else count :]

    return write
