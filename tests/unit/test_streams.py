"""Sources of large values: files that may change, pipes, many small files as one stream."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s4zmq.checksum import digest_of
from s4zmq.errors import LocalFileError
from s4zmq.limits import CHUNK_BYTES
from s4zmq.streams import FileSource, FilesSource, PipeSource, check_unchanged

from ..harness import wait_until


def read_all(source: Any) -> list[bytes]:
    """All chunks of a source that always has some."""
    chunks = []
    while data := source.read():
        assert 0 < len(data) <= CHUNK_BYTES
        chunks.append(bytes(data))
    assert not source.read(), "the end stays the end"
    return chunks


def open_source(path: Path) -> FileSource:
    return FileSource(os.open(path, os.O_RDONLY | os.O_CLOEXEC), str(path))


# -- one file


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
def test_a_file_comes_in_whole_chunks_with_its_digest(tmp_path: Path, size: int) -> None:
    value = os.urandom(size)
    (tmp_path / "file").write_bytes(value)
    source = open_source(tmp_path / "file")
    chunks = read_all(source)
    assert b"".join(chunks) == value
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks[:-1])
    assert source.digests() == digest_of(value)
    source.close()
    source.close()


def shrink(path: Path) -> None:
    os.truncate(path, CHUNK_BYTES + 7)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """In place, until the clock of the file system has moved."""
    before = path.stat().st_mtime_ns

    def has_changed() -> bool:
        with path.open("r+b") as file:
            file.write(b"other")
        return path.stat().st_mtime_ns != before

    wait_until(has_changed, "the time of modification to move")


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("change", [shrink, empty, grow, rewrite])
def test_a_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3 * CHUNK_BYTES)
    source = open_source(path)
    assert len(source.read()) == CHUNK_BYTES
    change(path)
    with pytest.raises(LocalFileError, match="file changed while it was read: nothing was stored"):
        read_all(source)
    source.close()


def test_a_file_that_is_only_unlinked_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2 * CHUNK_BYTES)
    source = open_source(tmp_path / "file")
    source.read()
    os.unlink(tmp_path / "file")
    assert len(b"".join(read_all(source))) == CHUNK_BYTES
    source.close()


def test_a_small_file_that_gave_fewer_bytes_than_it_has_has_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"value")
    with open(tmp_path / "file", "rb") as file:
        before = os.fstat(file.fileno())
        check_unchanged(file.fileno(), "file", before, 5)
        with pytest.raises(LocalFileError, match="file changed"):
            check_unchanged(file.fileno(), "file", before, 4)


# -- a pipe


def test_a_pipe_gives_whole_chunks_and_then_the_rest() -> None:
    value = os.urandom(2 * CHUNK_BYTES + 5)
    with open(os.memfd_create("stdin"), "w+b", buffering=0) as stdin:
        stdin.write(value[3:])
        stdin.seek(0)
        source, chunks = PipeSource(stdin.fileno(), value[:3]), []
        while True:
            data = source.read()
            if data is None:
                source.fill()
            elif data:
                chunks.append(bytes(data))
            else:
                break
    assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, CHUNK_BYTES, 5]
    assert b"".join(chunks) == value
    assert source.digests() == digest_of(value)


def test_a_pipe_that_has_no_whole_chunk_yet_gives_nothing() -> None:
    reader, writer = os.pipe()
    try:
        source = PipeSource(reader, b"")
        assert source.read() is None
        os.write(writer, b"abc")
        source.fill()
        assert (source.is_ready, source.read()) == (False, None)
    finally:
        os.close(writer)
    source.fill()
    assert source.is_ready
    assert [bytes(source.read() or b"-"), bytes(source.read() or b"")] == [b"abc", b""]
    source.close()
    os.close(reader)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES])
def test_what_was_read_already_comes_first_and_what_follows_is_not_mixed_up(
    size: int, tmp_path: Path
) -> None:
    head, rest = os.urandom(size), os.urandom(2 * CHUNK_BYTES + 1)
    (tmp_path / "rest").write_bytes(rest)
    with open(tmp_path / "rest", "rb", buffering=0) as file:
        source = PipeSource(file.fileno(), head)
        chunks: list[bytes] = []
        while not chunks or chunks[-1]:
            while not source.is_ready:
                source.fill()
            chunks.append(bytes(source.read() or b""))
    assert b"".join(chunks) == head + rest
    assert {len(chunk) for chunk in chunks[:-2]} == {CHUNK_BYTES}


# -- many files


def files(folder: Path, sizes: list[int]) -> tuple[list[str], list[bytes]]:
    values = [os.urandom(size) for size in sizes]
    paths = [str(folder / str(number)) for number in range(len(sizes))]
    for path, value in zip(paths, values, strict=True):
        Path(path).write_bytes(value)
    return paths, values


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize(
    "sizes",
    [
        [5],
        [0],
        [0, 0],
        [3, 0, 4],
        [0, 3, 0],
        [CHUNK_BYTES, 0, 1],
        [CHUNK_BYTES - 1, 2, CHUNK_BYTES, 0],
        [2 * CHUNK_BYTES + 3, 7],
        [1] * 300,
    ],
    ids=lambda sizes: f"{len(sizes)} of {sum(sizes)}",
)
def test_many_files_are_one_stream_with_a_digest_each(tmp_path: Path, sizes: list[int]) -> None:
    paths, values = files(tmp_path, sizes)
    source = FilesSource(paths, sizes)
    chunks = read_all(source)
    assert b"".join(chunks) == b"".join(values)
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks[:-1]), "small files share a chunk"
    assert source.digests() == b"".join(map(digest_of, values))
    source.close()


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_a_file_of_another_size_than_was_announced_is_an_error(tmp_path: Path, change: int) -> None:
    paths, _ = files(tmp_path, [4, 5, 6])
    source = FilesSource(paths, [4, 5 - change, 6])
    with pytest.raises(LocalFileError, match="changed while it was sent"):
        read_all(source)
    source.close()


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    source = FilesSource([str(tmp_path / "link")], [10])
    with pytest.raises(OSError, match="symbolic links"):
        source.read()
    source.close()
