"""Disks without room: refused early where sizes are known, by name, and nothing is left half-way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ..cluster.kit import make_tree, names, put_keys, some_bytes
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


def test_full_disk_of_owner_before_put_is_told_early_and_by_name(crowded: Cluster, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(some_bytes(20 * MIB))
    before = free(crowded)
    text = full(crowded, "cp", tmp_path / "large", "s4://b/0_large")
    assert " free, needs 21" in text
    assert free(crowded) == before
    crowded.ok("cp", tmp_path / "large", "s4://b/1_large")


def test_full_disk_of_owner_before_cp_r_is_told_before_anything_moves(
    crowded: Cluster, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "in", {f"{n % 2}_{n}": bytes(100_000) for n in range(300)})
    text = full(crowded, "cp", "-r", tree, "s4://b/")
    assert " free, needs 15" in text
    assert crowded.keys() == []


def test_full_disk_of_owner_during_put_from_a_pipe_fails_it_alone(crowded: Cluster) -> None:
    put_keys(crowded, {"s4://b/0_there": b"there", "s4://b/1_there": b"there"})
    before = free(crowded)
    full(crowded, "cp", "-", "s4://b/0_x", stdin=bytes(20 * MIB))
    assert crowded.keys() == ["s4://b/0_there", "s4://b/1_there"]
    wait_until(lambda: free(crowded) == before, "the room to be free again")
    crowded.ok("cp", "-", "s4://b/1_x", stdin=bytes(20 * MIB))
    crowded.ok("cp", "-", "s4://b/0_x", stdin=bytes(2 * MIB))


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
