"""`s4 cp`: one file, a stream, a folder; into the cluster and back."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from s4zmq.limits import CHUNK_BYTES, INLINE_MAX_BYTES

from ..harness import BIN, Cluster, wait_until
from .kit import make_tree, names, put_keys, put_tree, read_tree, some_bytes, transfers_open

HAS_KEY = (True, False)

SIZES = [
    0,
    1,
    INLINE_MAX_BYTES,
    INLINE_MAX_BYTES + 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    4 * CHUNK_BYTES,
    5 * CHUNK_BYTES + 12345,
]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_byte_for_byte(cluster: Cluster, tmp_path: Path, size: int) -> None:
    value = some_bytes(size)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(value)
    assert cluster.ok("cp", source, "s4://b/file") == b""
    assert cluster.ok("cp", "s4://b/file", target) == b""
    assert target.read_bytes() == value
    assert cluster.ok("cp", "s4://b/file", "-") == value


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_comes_back_byte_for_byte(cluster: Cluster, size: int) -> None:
    value = some_bytes(size)
    cluster.ok("cp", "-", "s4://b/stream", stdin=value)
    assert cluster.ok("cp", "s4://b/stream", "-") == value


def test_a_key_is_one_plain_read_only_file_on_its_owner(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/dir/name": b"value", "s4://b/001_x": b"one", "s4://b/5": b"five"})
    path = cluster.owner("name").path_of("s4://b/dir/name")
    assert path.read_bytes() == b"value"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert cluster.nodes[1].path_of("s4://b/001_x").exists()
    assert cluster.nodes[5 % 3].path_of("s4://b/5").exists()
    assert sum(node.path_of("s4://b/dir/name").exists() for node in cluster.nodes) == 1


INTO = {
    ".": "name.txt",
    "./": "name.txt",
    "made/": "made/name.txt",
    "there": "there/name.txt",
    "there/": "there/name.txt",
    "..": "../name.txt",
    "other.txt": "other.txt",
    "made/deep/other.txt": "made/deep/other.txt",
}


def test_one_key_to_a_folder_keeps_its_own_name(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/dir/name.txt": b"value"})
    for number, (target, path) in enumerate(INTO.items()):
        here = tmp_path / f"{number}" / "here"
        (here / "there").mkdir(parents=True)
        cluster.ok("cp", "s4://b/dir/name.txt", target, cwd=here)
        assert (here / path).read_bytes() == b"value", target
        assert list(read_tree(here.parent).values()) == [b"value"], target


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("s4://b/", "s4://b/name.txt"),
        ("s4://b/dir/", "s4://b/dir/name.txt"),
        ("s4://b/dir", "s4://b/dir"),
    ],
)
def test_one_file_to_a_folder_keeps_its_own_name(
    cluster: Cluster, tmp_path: Path, target: str, key: str
) -> None:
    make_tree(tmp_path, {"name.txt": b"value"})
    cluster.ok("cp", "name.txt", target, cwd=tmp_path)
    assert cluster.keys() == [key]


def test_a_stream_into_a_folder_is_refused_as_it_has_no_name(cluster: Cluster) -> None:
    assert "name" in cluster.refused("cp", "-", "s4://b/dir/", stdin=b"x")
    assert cluster.keys() == []


def test_a_folder_is_put_the_same_with_and_without_slashes(cluster: Cluster, tmp_path: Path) -> None:
    make_tree(tmp_path / "foo", {"1.txt": b"1", "3/4.txt": b"34", "3/.hidden": b"h"})
    for source in ("foo", "foo/", "./foo/"):
        for target in ("s4://b/x", "s4://b/x/"):
            cluster.ok("cp", "-r", source, target, cwd=tmp_path)
            assert names(cluster, "b/") == ["x/1.txt", "x/3/.hidden", "x/3/4.txt"], (source, target)
            cluster.ok("rm", "-r", "s4://b/")


GOT = [
    ("s4://b/x/dir", "out", "out"),
    ("s4://b/x/dir/", "out/", "out"),
    ("s4://b/x/dir", ".", "dir"),
    ("s4://b/x/dir/", ".", "dir"),
    ("s4://b/x/dir", "./", "dir"),
    ("s4://b/x", ".", "x/dir"),
    ("s4://b", ".", "x/dir"),
    ("s4://b/", ".", "x/dir"),
    ("s4://b", "out", "out/x/dir"),
]


def test_a_folder_is_got_the_same_with_and_without_slashes(cluster: Cluster, tmp_path: Path) -> None:
    put_tree(cluster, tmp_path / "in", "s4://b/x/dir/", {"1": b"1", "3/4": b"34"})
    for number, (source, target, below) in enumerate(GOT):
        here = tmp_path / f"here-{number}"
        here.mkdir()
        cluster.ok("cp", "-r", source, target, cwd=here)
        assert read_tree(here) == {f"{below}/1": b"1", f"{below}/3/4": b"34"}, (source, target)


def test_a_folder_is_not_a_prefix(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/dir/a": b"a", "s4://b/dir2/b": b"b"})
    cluster.ok("cp", "-r", "s4://b/dir", tmp_path / "out")
    assert read_tree(tmp_path) == {"out/a": b"a"}


def test_a_folder_of_every_size_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"d{size % 3}/{size}": some_bytes(size, size) for size in SIZES}
    put_tree(cluster, tmp_path / "in", "s4://b/t", tree)
    cluster.ok("cp", "-r", "s4://b/t", tmp_path / "out")
    assert read_tree(tmp_path / "out") == tree


def test_a_key_can_not_be_put_twice(cluster: Cluster, tmp_path: Path) -> None:
    for value in (b"small", some_bytes(2 * CHUNK_BYTES)):
        key = f"s4://b/{len(value)}"
        file = tmp_path / "file"
        file.write_bytes(value)
        cluster.ok("cp", file, key)
        assert f"{key} already exists" in cluster.refused("cp", file, key)
        assert f"{key} already exists" in cluster.refused("cp", "-", key, stdin=value + b"!")
        assert cluster.ok("cp", key, "-") == value


def test_of_many_writers_of_one_key_one_wins(cluster: Cluster) -> None:
    writers = [cluster.start_s4("cp", "-", "s4://b/race") for _ in range(4)]
    for number, writer in enumerate(writers):
        assert writer.stdin
        writer.stdin.write(b"%d" % number)
    for writer in writers:  # all of them wait for the end of their stdin
        assert writer.stdin
        writer.stdin.close()
        writer.stdin = None
    errors = [writer.communicate()[1] for writer in writers]
    won = [number for number, writer in enumerate(writers) if writer.returncode == 0]
    assert len(won) == 1
    assert cluster.ok("cp", "s4://b/race", "-") == b"%d" % won[0]
    assert sum(b"already exists" in error for error in errors) == 3
    assert {writer.returncode for writer in writers} == {0, 1}


def test_a_key_and_a_folder_of_one_name_do_not_share_a_node(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/0_key": b"x", "s4://b/0_folder/0_key": b"x"})
    text = cluster.refused("cp", "-", "s4://b/0_key/0_below", stdin=b"y")
    assert "s4://b/0_key is a key" in text
    assert "s4://b/0_folder is a folder" in cluster.refused("cp", "-", "s4://b/0_folder", stdin=b"y")
    assert cluster.keys() == ["s4://b/0_folder/0_key", "s4://b/0_key"]


def test_bad_names_in_a_folder_are_all_listed_and_nothing_moves(cluster: Cluster, tmp_path: Path) -> None:
    bad = ["a b", "it's", "new\nline", "st*r", "dir/wh?t"]
    make_tree(tmp_path / "in", dict.fromkeys(["good", "dir/good", *bad], b"x"))
    (tmp_path / "in" / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"x")
    text = cluster.refused("cp", "-r", tmp_path / "in", "s4://b/x")
    for shown in ("a b", "it's", "new\\nline", "st*r", "wh?t", "not-utf8-"):
        assert shown in text
    assert "nothing was copied" in text
    assert cluster.keys() == []


@pytest.mark.has_key(True)
def test_bad_keys_are_refused_with_a_reason(cluster: Cluster) -> None:
    reasons = {
        "s4://b/a b": "a space",
        "s4://b/a\nb": "a newline",
        "s4://b/a'b": "'",
        "s4://b/a*": "*",
        "s4://b//a": "empty component",
        "s4://b/../a": "'..'",
        "s4://_b/a": "_",
        "s4://b/" + "x" * 256: "255 bytes",
        "s4://b/" + "/".join("yyyyyyyyy" for _ in range(103)): "1024 bytes",
        "s4://b/a\u00a0b": "U+00A0",
        "s4://b": "bucket",
    }
    for key, reason in reasons.items():
        assert reason in cluster.refused("eval", key, "cat", status=255)
    assert reasons["s4://b/a b"] in cluster.refused("cp", "-", "s4://b/a b", stdin=b"x")
    assert cluster.keys() == []


def test_names_that_look_like_bookkeeping_are_ordinary(cluster: Cluster, tmp_path: Path) -> None:
    tree = dict.fromkeys([".tmp", "a.tmp", "a.xxh", "lock", "roster", "tmp/x", "-", "é_ü", "0", "~"], b"x")
    put_tree(cluster, tmp_path / "in", "s4://keys", tree)
    cluster.ok("cp", "-r", "s4://keys", tmp_path / "out")
    assert read_tree(tmp_path / "out") == tree


def test_copies_that_stay_on_one_side_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/a": b"x"})
    (tmp_path / "a").write_bytes(b"x")
    for words in (
        ["s4://b/a", "s4://b/c"],
        ["-r", "s4://b/", "s4://c/"],
        [str(tmp_path / "a"), str(tmp_path / "c")],
        ["-r", "-", "s4://b/x"],
    ):
        cluster.refused("cp", *words)
    assert cluster.keys() == ["s4://b/a"]
    assert read_tree(tmp_path) == {"a": b"x"}


def test_resume_of_a_put_skips_equal_keys_and_refuses_others(cluster: Cluster, tmp_path: Path) -> None:
    large = some_bytes(CHUNK_BYTES + 5)
    put_keys(cluster, {"s4://b/x/small": b"same", "s4://b/x/large": large})
    folder = make_tree(tmp_path / "in", {"small": b"same", "large": large, "new": b"new"})
    cluster.refused("cp", "-r", folder, "s4://b/x")
    cluster.ok("cp", "-r", "--resume", folder, "s4://b/x")
    assert names(cluster, "b/x/") == ["large", "new", "small"]
    cluster.ok("cp", "--resume", folder / "large", "s4://b/x/large")
    for name in ("small", "large"):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(b"diff" + before[4:])
        text = cluster.refused("cp", "--resume", "-r", folder, "s4://b/x")
        assert f"s4://b/x/{name} already exists" in text
        (folder / name).write_bytes(before)


def test_resume_of_a_get_replaces_what_differs(cluster: Cluster, tmp_path: Path) -> None:
    tree = {"small": b"small", "large": some_bytes(CHUNK_BYTES + 5), "new": b"new"}
    put_tree(cluster, tmp_path / "in", "s4://b/x", tree)
    out = make_tree(tmp_path / "out", {"small": b"SMALL", "large": tree["large"]})
    before = (out / "large").stat().st_mtime_ns
    cluster.ok("cp", "-r", "--resume", "s4://b/x", out)
    assert read_tree(out) == tree
    assert (out / "large").stat().st_mtime_ns == before


def test_a_get_of_a_missing_key_leaves_local_files_alone(cluster: Cluster, tmp_path: Path) -> None:
    out = make_tree(tmp_path / "out", {"file": b"before"})
    assert "no such key: s4://b/missing" in cluster.refused("cp", "s4://b/missing", out / "file")
    assert "no such key: s4://b/missing" in cluster.refused("cp", "s4://b/missing", out)
    assert "no such key: s4://b/missing" in cluster.refused("cp", "s4://b/missing", "-")
    assert "s4://b/missing" in cluster.refused("cp", "-r", "s4://b/missing", out / "new")
    assert read_tree(out) == {"file": b"before"}


def test_missing_and_odd_local_files_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert str(tmp_path / "no") in cluster.refused("cp", tmp_path / "no", "s4://b/x")
    assert "-r" in cluster.refused("cp", tmp_path, "s4://b/x")
    cluster.refused("cp", "-r", tmp_path / "no", "s4://b/x")
    assert "fifo" in cluster.refused("cp", "-r", tmp_path, "s4://b/x")
    assert cluster.keys() == []


def test_a_fifo_is_not_a_plain_file(cluster: Cluster, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = cluster.s4("cp", tmp_path / "fifo", "s4://b/x", timeout_s=8)
    assert done.returncode == 1
    assert b"fifo" in done.stderr


def upload_of_sparse_file(
    cluster: Cluster, path: Path, then: Callable[[], object]
) -> subprocess.CompletedProcess[bytes]:
    """`s4 cp PATH s4://b/sparse`, stopped in its midst to do something to the file."""
    with open(path, "wb") as file:
        file.truncate(2 << 30)
    command = [str(BIN / "s4"), "cp", str(path), "s4://b/sparse"]
    with subprocess.Popen(command, env=cluster.environment, stderr=subprocess.PIPE) as upload:
        reader = psutil.Process(upload.pid)
        wait_until(lambda: reader.io_counters().read_chars > 64 << 20, "the upload to be under way")
        upload.send_signal(signal.SIGSTOP)
        then()
        upload.send_signal(signal.SIGCONT)
        _, stderr = upload.communicate(timeout=60)
    return subprocess.CompletedProcess(command, upload.returncode, b"", stderr)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    done = upload_of_sparse_file(cluster, path, lambda: os.truncate(path, 1000))
    assert done.returncode == 1
    assert done.stderr.startswith(b"s4: ")
    assert b"changed while it was read" in done.stderr
    assert cluster.keys() == []


@pytest.mark.has_key(True)
def test_a_file_that_changes_while_it_is_read_is_an_error(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "sparse"

    def shrink_and_grow() -> None:
        os.truncate(path, 1000)
        os.truncate(path, 200 << 20)

    done = upload_of_sparse_file(cluster, path, shrink_and_grow)
    assert done.returncode == 1
    assert b"changed while it was read" in done.stderr
    assert cluster.keys() == []


def test_a_paused_stdin_is_no_fault(cluster: Cluster) -> None:
    first, second = some_bytes(CHUNK_BYTES + 1), some_bytes(3 * CHUNK_BYTES, 1)
    put = cluster.start_s4("cp", "-", "s4://b/paused")
    assert put.stdin
    put.stdin.write(first)
    put.stdin.flush()
    wait_until(lambda: transfers_open(cluster) == 1, "the upload to begin")
    assert put.communicate(second) == (b"", b"")
    assert put.returncode == 0
    assert cluster.ok("cp", "s4://b/paused", "-") == first + second


def test_a_reader_that_has_enough_makes_no_noise(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/big": some_bytes(8 * CHUNK_BYTES)})
    script = f"set +o pipefail; s4 cp s4://b/big - 2> {tmp_path}/noise | head -c 10 | wc -c"
    assert cluster.bash(script).strip() == "10"
    assert (tmp_path / "noise").read_bytes() == b""
