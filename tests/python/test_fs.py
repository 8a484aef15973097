"""The file system beyond what fsspec's own tests look at."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import timezone
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.callbacks import Callback
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

import s4zmq
from s4zmq.fs import S4FileSystem

from ..cluster.kit import some_bytes
from ..harness import Cluster

LARGE = some_bytes(3 << 20)


@pytest.fixture
def tree(s4: s4zmq.Client) -> list[str]:
    """Some keys, as their paths."""
    paths = ["b/a", "b/d/b", "b/d/e/c", "b/d2/x"]
    for path in paths:
        s4.put(path.encode(), f"s4://{path}")
    return paths


def test_a_url_is_enough(s4: s4zmq.Client, found: None) -> None:
    with fsspec.open("s4://b/k", "wt") as file:
        file.write("hello")
    assert s4.get("s4://b/k") == b"hello"
    with fsspec.open("s4://b/k") as file:
        assert file.read() == b"hello"
    [file] = fsspec.open_files("s4://b/*")
    assert (file.path, file.fs.protocol) == ("b/k", "s4")
    assert isinstance(fsspec.filesystem("s4"), S4FileSystem)
    assert fsspec.filesystem("s4") is fsspec.filesystem("s4")


@pytest.mark.usefixtures("tree")
def test_what_is_there_is_described(fs: S4FileSystem, s4: s4zmq.Client) -> None:
    info, stat = fs.info("s4://b/a"), s4.stat("s4://b/a")
    assert (info["name"], info["size"], info["type"]) == ("b/a", 3, "file")
    assert info["digest"] == fs.ukey("b/a") == stat.digest
    assert fs.checksum("b/a") == int(stat.digest, 16)
    assert fs.created("b/a") == fs.modified("b/a") == stat.modified
    assert fs.created("b/a").tzinfo is timezone.utc
    assert fs.info("s4://b/d/") == fs.info("b/d") == {"name": "b/d", "size": 0, "type": "directory"}
    assert fs.info("")["type"] == fs.info("b")["type"] == "directory"
    assert [fs.exists(path) for path in ("b", "b/a", "b/d", "b/none", "none", "b/a b")] == [True] * 3 + [
        False
    ] * 3
    assert fs.fsid == S4FileSystem(fs.storage_options["conf"], fs.storage_options["key"]).fsid


def test_listings(fs: S4FileSystem, tree: list[str]) -> None:
    assert fs.ls("b", detail=False) == ["b/a", "b/d", "b/d2"]
    assert [row["type"] for row in fs.ls("b")] == ["file", "directory", "directory"]
    assert fs.ls("", detail=False) == ["b"]
    assert fs.ls("b/a", detail=False) == ["b/a"]
    assert fs.find("b") == tree
    assert fs.find("") == tree
    assert fs.find("b/d") == ["b/d/b", "b/d/e/c"]
    assert fs.find("b/d", withdirs=True) == ["b/d", "b/d/b", "b/d/e", "b/d/e/c"]
    assert fs.find("b", maxdepth=1) == ["b/a"]
    assert fs.find("b/a") == ["b/a"]
    assert fs.find("none") == []
    assert fs.glob("b/*/b") == ["b/d/b"]
    assert fs.glob("b/**/c") == ["b/d/e/c"]
    assert [path for path, _, _ in fs.walk("b")] == ["b", "b/d", "b/d/e", "b/d2"]
    assert fs.du("b") == sum(map(len, tree))
    assert fs.du("b/d", total=False) == {"b/d/b": 5, "b/d/e/c": 7}
    assert fs.size("b/a") == 3
    with pytest.raises(FileNotFoundError):
        fs.ls("none")


def test_a_slash_in_front_is_dropped(fs: S4FileSystem, tree: list[str]) -> None:
    assert fs.find("/" + tree[0]) == [tree[0]]
    assert fs._strip_protocol([f"s4://{tree[0]}", "/b/c"]) == [tree[0], "b/c"]


def test_others_see_at_once_what_was_written(fs: S4FileSystem, s4: s4zmq.Client) -> None:
    assert not fs.exists("b")
    s4.put(b"", "s4://b/k")
    assert fs.ls("b", detail=False) == ["b/k"]
    s4.rm("s4://b/k")
    assert not fs.exists("b")


def test_errors_are_those_of_python_and_of_s4zmq(fs: S4FileSystem) -> None:
    fs.pipe("b/k", b"1")
    for read in (
        fs.open,
        fs.cat_file,
        fs.info,
        fs.created,
        fs.rm_file,
        lambda path: fs.cat_file(path, 0, 1),
    ):
        with pytest.raises(FileNotFoundError) as missing:
            read("b/none")
        assert isinstance(missing.value, s4zmq.KeyNotFound)
    writes: tuple[Callable[[], object], ...] = (
        lambda: fs.pipe("b/k", b"2"),
        lambda: fs.open("b/k", "wb"),
        lambda: fs.touch("b/k"),
    )
    for write in writes:
        with pytest.raises(FileExistsError, match="immutable") as there:
            write()
        assert isinstance(there.value, s4zmq.KeyExists)
    with pytest.raises(ValueError, match="a space") as bad:
        fs.pipe("b/a b", b"")
    assert isinstance(bad.value, s4zmq.KeyInvalid)
    with pytest.raises(ValueError, match="made once"):
        fs.open("b/k", "ab")
    assert fs.cat("b/k") == b"1"


@pytest.mark.parametrize(
    ("start", "end"),
    [(None, None), (2, 4), (None, 3), (2, None), (-3, None), (-3, -1), (0, 0), (4, 2), (2, 99)],
)
def test_parts_are_slices(fs: S4FileSystem, start: int | None, end: int | None) -> None:
    fs.pipe("b/k", b"value")
    assert fs.cat_file("b/k", start, end) == b"value"[start:end]
    assert fs.cat_ranges(["b/k", "b/k"], [start, 1], [end, 2]) == [b"value"[start:end], b"a"]


def test_ranges_that_fail_do_so_by_themselves(fs: S4FileSystem) -> None:
    fs.pipe("b/k", b"value")
    good, *bad = fs.cat_ranges(["b/k", "b/none", "b/none", "b/a b"], 0, [2, 2, None, 2])
    assert good == b"va"
    assert [isinstance(error, FileNotFoundError) for error in bad] == [True] * 3
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(["b/k", "b/none"], 0, 2, on_error="raise")
    assert fs.read_block("b/k", 1, 2) == b"al"
    assert (fs.head("b/k", 2), fs.tail("b/k", 2)) == (b"va", b"ue")


def test_files_go_in_and_out_with_their_progress(fs: S4FileSystem, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(LARGE)
    up, down = Callback(), Callback()
    fs.put_file(str(tmp_path / "in"), "b/k", callback=up)
    fs.get_file("b/k", str(tmp_path / "out"), callback=down)
    assert (tmp_path / "out").read_bytes() == LARGE
    assert (up.size, up.value, down.size, down.value) == (len(LARGE),) * 4
    with (tmp_path / "object").open("wb") as file:
        fs.get_file("b/k", file)
    assert (tmp_path / "object").read_bytes() == LARGE
    with pytest.raises(FileNotFoundError):
        fs.get_file("b/none", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_copies_and_moves_go_through_this_process(fs: S4FileSystem, tree: list[str]) -> None:
    fs.cp("b/a", "c/a")
    fs.mv("b/d", "c/d", recursive=True)
    assert fs.find("") == ["b/a", "b/d2/x", "c/a", "c/d/b", "c/d/e/c"]
    assert fs.cat("c/d/e/c") == b"b/d/e/c"
    with pytest.raises(FileExistsError):
        fs.cp("b/a", "c/a")
    with pytest.raises(FileNotFoundError):
        fs.mv("b/none", "c/none")


def test_a_folder_is_there_while_a_key_is_in_it(fs: S4FileSystem) -> None:
    fs.mkdir("b/d")
    fs.makedirs("b/d/e", exist_ok=False)
    assert not fs.exists("b")
    fs.pipe("b/d/k", b"")
    fs.makedirs("b/d", exist_ok=True)
    makes: tuple[Callable[[], None], ...] = (lambda: fs.makedirs("b/d"), lambda: fs.mkdir("b/d/k"))
    for make in makes:
        with pytest.raises(FileExistsError):
            make()
    with pytest.raises(ValueError, match="must not start with _"):
        fs.mkdir("_b")
    with pytest.raises(OSError, match="there are keys in it"):
        fs.rmdir("b/d")
    fs.rm("b/d/k")
    fs.rmdir("b/d")
    assert not fs.exists("b/d")


def test_removing(fs: S4FileSystem, s4: s4zmq.Client, tree: list[str]) -> None:
    fs.rm("b/d", recursive=True)
    assert fs.find("b") == ["b/a", "b/d2/x"], "a folder is no prefix of a name"
    for path in ("b/d", "b/none", "none/"):
        with pytest.raises(FileNotFoundError):
            fs.rm(path, recursive=True)
    with pytest.raises(ValueError, match="name a bucket"):
        fs.rm("", recursive=True)
    with pytest.raises(FileNotFoundError):
        fs.rm("b/d2")
    s4.put(b"", "s4://b/f/g/h")
    fs.rm("b/f", recursive=True, maxdepth=1)
    assert fs.exists("b/f/g/h")
    fs.rm(["b/a", "b/d2/*"])
    assert fs.find("b") == ["b/f/g/h"]
    fs.rm("b", recursive=True)
    assert fs.find("") == []


def test_a_transaction_makes_all_its_keys_at_the_end(fs: S4FileSystem, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LARGE)
    with fs.transaction:
        fs.pipe("b/small", b"small")
        fs.put_file(str(tmp_path / "file"), "b/file")
        with fs.open("b/large", "wb") as file:
            file.write(LARGE)
        assert not fs.exists("b")
    assert {path: len(fs.cat(path)) for path in fs.find("b")} == {
        "b/file": len(LARGE),
        "b/large": len(LARGE),
        "b/small": 5,
    }


def fail_in_transaction(fs: S4FileSystem) -> None:
    with fs.transaction:
        fs.pipe("b/small", b"small")
        fs.pipe("b/large", LARGE)
        raise LookupError


def test_a_transaction_that_fails_makes_none(fs: S4FileSystem) -> None:
    with pytest.raises(LookupError):
        fail_in_transaction(fs)
    assert not fs.exists("b")
    fs.pipe("b/small", b"small")
    assert fs.cat("b/small") == b"small"


def write_and_fail(fs: S4FileSystem, mode: str, value: Any) -> None:
    with fs.open("b/k", mode) as file:
        file.write(value)
        raise LookupError


def test_an_exception_leaves_no_key(fs: S4FileSystem) -> None:
    for mode, value in (("wb", LARGE), ("wb", b"x"), ("w", "text"), ("wt", "x" * 2_000_000)):
        with pytest.raises(LookupError):
            write_and_fail(fs, mode, value)
    assert not fs.exists("b/k")
    with fs.open("b/k", "w", encoding="utf-16") as file:
        file.write("text")
    with fs.open("b/k", "r", encoding="utf-16") as file:
        assert file.read() == "text"


def test_it_is_pickled_with_its_cluster(fs: S4FileSystem) -> None:
    fs.pipe("b/k", b"value")
    again = pickle.loads(pickle.dumps(fs))
    assert again == fs
    assert again.cat("b/k") == b"value"
    file = fsspec.core.OpenFile(fs, "b/k")
    with pickle.loads(pickle.dumps(file)) as opened:
        assert opened.read() == b"value"


def test_who_is_asynchronous_wraps_it(fs: S4FileSystem) -> None:
    fs.pipe("b/k", b"value")
    wrapped = AsyncFileSystemWrapper(fs, asynchronous=True)
    assert asyncio.run(wrapped._cat_file("b/k")) == b"value"


def test_what_one_node_has_many_of_is_looked_at_quickly(fs: S4FileSystem, cluster: Cluster) -> None:
    with cluster.client() as client:
        assert not client.holds_any("b/")
    fs.pipe({f"b/many/{n}_x": b"" for n in range(20)})
    assert fs.isdir("b/many")
    assert fs.info("b/many")["type"] == "directory"
