"""`s4 ls` and `s4 rm`."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from s4zmq.limits import PAGE_KEYS

from ..harness import Cluster
from .kit import put_keys, put_tree

HAS_KEY = (True, False)

TREE = {
    "key1": b"1",
    "key2": b"22",
    "dir1/key1": b"333",
    "dir1/key3": b"",
    "dir1/sub/x": b"4",
    "dir12/y": b"5",
}


@pytest.fixture
def filled(cluster: Cluster, tmp_path: Path) -> Cluster:
    """The cluster with TREE in `s4://b/` and one key in another bucket."""
    put_tree(cluster, tmp_path / "tree", "s4://b", TREE)
    put_keys(cluster, {"s4://bb/other": b"x"})
    return cluster


def listed(cluster: Cluster, *words: str) -> list[str]:
    """The last column of `s4 ls WORDS`."""
    return [line.split()[-1] for line in cluster.ok("ls", *words).decode().splitlines()]


def test_a_line_is_date_time_size_name(filled: Cluster) -> None:
    lines = filled.ok("ls", "s4://b/").decode().splitlines()
    assert lines[0] == " " * 27 + "PRE dir1/"
    assert lines[1] == " " * 27 + "PRE dir12/"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {10}1 key1", lines[2])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {10}2 key2", lines[3])
    assert len(lines) == 4


def test_times_are_local(filled: Cluster) -> None:
    made = filled.owner("key1").path_of("s4://b/key1").stat().st_mtime
    for zone, hours in {"UTC": 0, "Asia/Tokyo": 9, "XYZ+5:30": -5.5}.items():
        expected = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(made) + hours * 3600))
        assert filled.bash(f"TZ={zone} s4 ls s4://b/key1").startswith(expected), zone


LISTED: list[tuple[tuple[str, ...], list[str]]] = [
    ((), ["b/", "bb/"]),
    (("s4://b",), ["dir1/", "dir12/", "key1", "key2"]),
    (("s4://b/",), ["dir1/", "dir12/", "key1", "key2"]),
    (("s4://b/dir1",), ["dir1/", "dir12/"]),
    (("s4://b/dir1/",), ["key1", "key3", "sub/"]),
    (("s4://b/dir1/ke",), ["key1", "key3"]),
    (("s4://b/dir1/key1",), ["key1"]),
    (("-r", "s4://b"), ["dir1/key1", "dir1/key3", "dir1/sub/x", "dir12/y", "key1", "key2"]),
    (("-r", "s4://b/dir1"), ["dir1/key1", "dir1/key3", "dir1/sub/x", "dir12/y"]),
    (("-r", "s4://b/dir1/"), ["dir1/key1", "dir1/key3", "dir1/sub/x"]),
    (("-r", "s4://b/dir1/key3"), ["dir1/key3"]),
]


def test_a_prefix_is_a_prefix_of_the_text(filled: Cluster) -> None:
    for words, expected in LISTED:
        assert listed(filled, *words) == expected, words


def test_nothing_found_prints_nothing_and_exits_1(filled: Cluster) -> None:
    for prefix in ("s4://nothing", "s4://b/none", "s4://b/key1/", "s4://b/dir1/none/"):
        for words in (["ls", prefix], ["ls", "-r", prefix]):
            done = filled.s4(*words)
            assert (done.returncode, done.stdout, done.stderr) == (1, b"", b""), words


def test_an_empty_cluster_has_no_buckets(cluster: Cluster) -> None:
    done = cluster.s4("ls")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


def test_bad_prefixes_are_refused_and_say_why(cluster: Cluster) -> None:
    for prefix in ("b/x", "s4://b/../x", "s4://b//x", "s4://b/a b", "s4://_x"):
        for words in (["ls", prefix], ["rm", "-r", prefix], ["rm", prefix]):
            cluster.refused(*words)


def test_names_are_sorted_as_bytes_across_nodes(cluster: Cluster, tmp_path: Path) -> None:
    names = ["Z", "a", "a-b", "a.b", "a/x", "a0", "é", "ｚ", "𐍈", "~", "-", "0_1", "1_0", "10", "2"]
    names = [name for name in names if name != "a"]  # `a` is a folder here
    put_tree(cluster, tmp_path / "in", "s4://b", dict.fromkeys(names, b""))
    ordered = sorted(names, key=str.encode)
    assert listed(cluster, "-r", "s4://b/") == ordered
    assert len({cluster.owner(name.rpartition("/")[2]).port for name in names}) == 3


def test_a_folder_on_several_nodes_is_one_line(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://b/dir/{number}_x": b"" for number in range(3)})
    assert listed(cluster, "s4://b/") == ["dir/"]
    assert listed(cluster) == ["b/"]


def test_long_listings_come_page_by_page(cluster: Cluster, tmp_path: Path) -> None:
    count = 2 * PAGE_KEYS + 500
    names = [f"{number % 50:02}/0_{number:05}" for number in range(count)]
    names += [f"other_{number:04}" for number in range(300)]
    put_tree(cluster, tmp_path / "in", "s4://many", dict.fromkeys(names, b""))
    assert listed(cluster, "-r", "s4://many") == sorted(names)
    noise = tmp_path / "noise"
    script = f"set +o pipefail; s4 ls -r s4://many 2> {noise} | head -n1 | awk '{{print $NF}}'"
    assert cluster.bash(script) == f"{min(names)}\n"
    assert noise.read_bytes() == b""
    cluster.ok("rm", "-r", "s4://many/")
    assert cluster.keys() == []


def test_a_full_page_exactly_is_listed_whole(cluster: Cluster, tmp_path: Path) -> None:
    names = [f"0_{number:04}" for number in range(PAGE_KEYS)]
    put_tree(cluster, tmp_path / "in", "s4://page", dict.fromkeys(names, b""))
    assert listed(cluster, "s4://page/") == names


# -- rm


def test_rm_removes_one_key(filled: Cluster) -> None:
    assert filled.ok("rm", "s4://b/dir1/key1") == b""
    assert "s4://b/dir1/key1" not in filled.keys("")
    assert len(filled.keys()) == len(TREE)
    put_keys(filled, {"s4://b/dir1/key1": b"again"})


def test_rm_of_a_missing_key_is_an_error(filled: Cluster) -> None:
    before = filled.keys()
    for name in ("s4://b/none", "s4://b/dir1", "s4://b/ke"):
        assert "no such key" in filled.refused("rm", name)
        assert "no such key" in filled.refused("rm", "--dry-run", name)
    assert "it is a folder: remove it with -r" in filled.refused("rm", "s4://b/dir1")
    assert "it is a folder: copy it with -r" in filled.refused("cp", "s4://b/dir1", "-")
    filled.refused("rm", "s4://b")
    filled.refused("rm", "s4://b/dir1/")
    assert filled.keys() == before


def test_rm_r_goes_across_buckets(cluster: Cluster) -> None:
    stay = ["s4://other/step1", "s4://st/x"]
    put_keys(cluster, dict.fromkeys(["s4://step1/a", "s4://step1/d/b", "s4://step2/c", *stay], b"x"))
    assert cluster.ok("rm", "-r", "s4://step") == b""
    assert cluster.keys() == stay
    assert listed(cluster) == ["other/", "st/"]


def test_rm_r_takes_the_prefix_as_text(filled: Cluster) -> None:
    filled.ok("rm", "-r", "s4://b/dir1/key")
    assert listed(filled, "-r", "s4://b") == ["dir1/sub/x", "dir12/y", "key1", "key2"]
    filled.ok("rm", "-r", "s4://b/dir1")
    assert listed(filled, "-r", "s4://b") == ["key1", "key2"]


def test_rm_r_of_nothing_is_fine(cluster: Cluster) -> None:
    assert cluster.ok("rm", "-r", "s4://nothing") == b""
    assert cluster.ok("rm", "-r", "s4://nothing/here/") == b""


def test_rm_r_of_an_empty_prefix_is_refused(filled: Cluster) -> None:
    before = filled.keys()
    for prefix in ("s4://", "", "s4:///"):
        filled.refused("rm", "-r", prefix)
    assert filled.keys() == before


def test_a_dry_run_of_rm_says_what_and_changes_nothing(filled: Cluster) -> None:
    before = filled.keys()
    text = filled.ok("rm", "-r", "--dry-run", "s4://b").decode()
    assert [line.split()[-1] for line in text.splitlines()] == before
    assert filled.ok("rm", "--dry-run", "s4://b/key1").split()[-1] == b"s4://b/key1"
    assert filled.keys() == before


def test_a_removed_folder_leaves_nothing_on_the_disk(filled: Cluster) -> None:
    filled.ok("rm", "-r", "s4://b/")
    left = {path for node in filled.nodes for path in (node.data / "keys").rglob("*")}
    other = filled.owner("other").path_of("s4://bb/other")
    assert left == {other, other.parent}
