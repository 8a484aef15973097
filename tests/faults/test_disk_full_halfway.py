"""Disks without room: refused early where sizes are known, by name, and nothing is left half-way."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..cluster.kit import make_tree, names, put_keys, some_bytes, transfers_open
from ..harness import Cluster, wait_until
from .disks import SmallDisk, fill

MIB = 1 << 20
NewSmallDisk = Callable[..., SmallDisk]


def full(cluster: Cluster, *words: object, stdin: bytes = b"", status: int = 1) -> str:
    """A command that finds the disk of node 0 full, and says so; nothing of it stays."""
    text = cluster.refused(*words, stdin=stdin, status=status)
    assert cluster.nodes[0].address in text, text
    told = ("disk is full", " free, needs ", "No space left on device")
    assert any(words in text for words in told), text
    cluster.assert_no_leftovers()
    return text


def free(cluster: Cluster) -> int:
    """Bytes that are free on the disk of node 0."""
    status = os.statvfs(cluster.nodes[0].data)
    return status.f_bavail * status.f_frsize


@pytest.mark.parametrize("size", [40_000, 4 * MIB], ids=["small", "large"])
def test_full_disk_of_receiver_during_map_to_n_leaves_nothing_and_resume_finishes(
    crowded: Cluster, size: int
) -> None:
    count = 8 * MIB // size + 2
    put_keys(crowded, {"s4://in/1_x": b"x"})
    command = f"for i in {{1..{count}}}; do head -c {size} /dev/zero > 0_$i; done; touch 1_y; ls"
    before = free(crowded)
    full(crowded, "map-to-n", "s4://in/", "s4://out/", command)
    assert names(crowded, "out/") == []
    wait_until(lambda: free(crowded) >= before - (64 << 10), "the room to be free again")
    crowded.ok("eval", "s4://in/1_x", "cat")


def test_full_disk_during_map_and_merge_fails_them_and_resume_finishes(crowded: Cluster) -> None:
    put_keys(crowded, {"s4://in/0_x": b"x\n", "s4://in/1_x": b"x\n"})
    filler = crowded.nodes[0].data / "filler"
    filler.write_bytes(bytes(free(crowded) - 2 * MIB))
    command = "cat > /dev/null; head -c 5000000 /dev/zero"
    full(crowded, "map", "s4://in/", "s4://out/", command)
    full(crowded, "map-from-n", "s4://in/", "s4://merged/", command)
    filler.unlink()
    crowded.ok("map", "--resume", "s4://in/", "s4://out/", command)
    assert names(crowded, "out/") == ["0_x", "1_x"]
    crowded.ok("rm", "s4://out/0_x")


def test_full_disk_during_commit_of_map_to_n_leaves_none_visible_and_resume_finishes(
    crowded: Cluster, tmp_path: Path
) -> None:
    """What came fits; what it takes to give it names does not."""
    put_keys(crowded, {"s4://in/1_x": b"x"})
    command = "for i in {1..1000}; do printf '%02000d' $i > 0_$i; done; touch 1_y; ls"
    filler = crowded.nodes[0].data / "filler"
    filler.write_bytes(bytes(free(crowded) - 3 * MIB))
    before = free(crowded)
    full(crowded, "map-to-n", "s4://in/", "s4://out/", command)
    assert names(crowded, "out/") == []
    wait_until(lambda: free(crowded) >= before - (64 << 10), "the room to be free again")
    filler.unlink()
    crowded.ok("map-to-n", "--resume", "s4://in/", "s4://out/", command)
    assert len(names(crowded, "out/")) == 1001
    assert crowded.ok("cp", "s4://out/1_x/0_7", "-") == b"%02000d" % 7


def test_full_disk_during_two_transfers_fails_what_does_not_fit_and_leaves_nothing_of_it(
    crowded: Cluster,
) -> None:
    value = some_bytes(5 * MIB)
    pipes = {key: crowded.start_s4("cp", "-", key) for key in ("s4://b/0_x", "s4://b/0_y")}
    for process in pipes.values():
        assert process.stdin
        process.stdin.write(value[:MIB])
        process.stdin.flush()
    wait_until(lambda: transfers_open(crowded) == 2, "both puts to begin")
    with ThreadPoolExecutor() as pool:
        said = dict(
            zip(pipes, pool.map(lambda one: one.communicate(value[MIB:]), pipes.values()), strict=True)
        )
    stored = [key for key, process in pipes.items() if process.returncode == 0]
    assert len(stored) < 2
    for key in set(pipes) - set(stored):
        node = crowded.nodes[0].address
        assert said[key][1].decode() == f"s4: node {node}: can not write {key}: its disk is full\n"
    assert crowded.keys() == stored
    crowded.assert_no_leftovers()
    assert all(crowded.ok("cp", key, "-") == value for key in stored)
    crowded.ok("rm", "-r", "s4://b/")
    crowded.ok("cp", "-", "s4://b/0_x", stdin=value)


def test_no_inodes_left_on_owner_fail_by_name_and_others_go_on(
    tmp_path: Path, small_disk: NewSmallDisk
) -> None:
    cluster = Cluster(tmp_path, 2)
    disk = small_disk(cluster.nodes[0].data, files=300)
    try:
        cluster.start()
        put_keys(cluster, {"s4://in/1_x": b"x"})
        before = disk.free_files
        command = "for i in {1..300}; do echo $i > 0_$i; done; touch 1_y; ls"
        full(cluster, "map-to-n", "s4://in/", "s4://out/", command)
        assert names(cluster, "out/") == []
        files = {f"{number % 2}_{number}": b"x" for number in range(600)}
        full(cluster, "cp", "-r", make_tree(tmp_path / "many", files), "s4://b/")
        full(cluster, "cp", "-", "s4://b/0_one", stdin=b"x")
        cluster.ok("cp", "-", "s4://b/1_one", stdin=b"x")
        cluster.ok("rm", "-r", "s4://b/")
        wait_until(lambda: disk.free_files >= before - 10, "the inodes to be free again")
        cluster.ok("cp", "-", "s4://b/0_one", stdin=b"x")
        cluster.assert_no_leftovers()
    finally:
        cluster.stop()


@pytest.mark.parametrize(("verb", "status"), [("cp {} -", 1), ("eval {} 'cat; sleep 1000'", 255)])
def test_full_disk_under_stdout_of_client_ends_it_by_name_and_its_work_on_the_node(
    cluster: Cluster, verb: str, status: int
) -> None:
    put_keys(cluster, {"s4://b/0_large": some_bytes(3 * MIB)})
    words = verb.format("s4://b/0_large")
    said = cluster.bash(f"{{ s4 {words} > /dev/full; }} 2>&1 || echo status $?").splitlines()
    assert len(said) == 2, said
    assert said[0].startswith("s4: ")
    assert "No space left on device" in said[0]
    assert said[1] == f"status {status}"


def test_full_disk_before_anything_lets_keys_be_read_listed_removed_and_a_node_start(
    crowded: Cluster, tmp_path: Path
) -> None:
    put_keys(crowded, {"s4://b/0_x": b"x", "s4://b/d/0_y": b"y"})
    node = crowded.nodes[0]
    filler = fill(node.data)
    full(crowded, "cp", "-", "s4://b/0_new", stdin=b"new")
    full(crowded, "map", "s4://b/0*", "s4://out/", "cat")
    node.stop()
    crowded.start()
    assert crowded.ok("cp", "s4://b/0_x", "-") == b"x"
    assert crowded.ok("eval", "s4://b/d/0_y", "cat; echo out") == b"yout\n"
    crowded.ok("verify")
    crowded.ok("rm", "s4://b/0_x")
    crowded.ok("rm", "-r", "s4://b/d/")
    filler.unlink()
    crowded.ok("cp", "-", "s4://b/0_new", stdin=b"new")


def test_full_disk_of_client_during_get_leaves_no_half_written_file(
    cluster: Cluster, tmp_path: Path, small_disk: NewSmallDisk
) -> None:
    put_keys(cluster, {"s4://b/0_x": some_bytes(9 * MIB), "s4://b/1_y": b"y", "s4://b/2_z": b"z"})
    disk = small_disk("local", size_mib=4)
    for words in (("cp", "s4://b/0_x", disk.path / "x"), ("cp", "-r", "s4://b/", disk.path / "all")):
        text = cluster.refused(*words)
        assert "No space left on device" in text
        left = [path for path in disk.path.rglob("*") if path.is_file()]
        assert all(path.read_bytes() in (b"y", b"z") for path in left)
    assert disk.free_bytes > 3 * MIB
