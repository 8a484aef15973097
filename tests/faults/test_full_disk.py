"""A disk that can not hold what is to be stored: told before bytes move, where sizes are known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s4zmq import wire
from s4zmq.session import Session
from s4zmq.streams import FileSource, Upload

from ..cluster.kit import make_tree, put_keys, some_bytes, transfers_open
from ..harness import Cluster, wait_until, without_progress
from .disks import SmallDisk

MIB = 1 << 20
DISK_BYTES = 48 * MIB
KEY = "s4://b/key"


@pytest.fixture
def cluster(tmp_path: Path, small_disk: Callable[..., SmallDisk]) -> Iterator[Cluster]:
    """Two nodes that share the small disk."""
    made = Cluster(small_disk("disk", DISK_BYTES // MIB).path, nodes=2)
    try:
        made.start()
        yield made
        made.assert_no_leftovers()
    finally:
        made.stop()


class Put:
    """A large put that goes on only when told to."""

    def __init__(self, client: Session, node: str, file: Path, key: str) -> None:
        self._courier = client.courier
        client.holds_work()
        self.ended: list[Any] = []
        source = FileSource(os.open(file, os.O_RDONLY), str(file))
        self._upload = Upload(client.courier, node, source, self.ended.append)
        self._upload.start(wire.Open(key, file.stat().st_size, True, os.urandom(16)))

    def finish(self) -> Any:
        """The final reply."""
        while not self.ended:
            self._upload.pump()
            self._courier.step()
        return self.ended[0]


def file_of(folder: Path, name: str, size: int) -> Path:
    (folder / name).write_bytes(some_bytes(size))
    return folder / name


def test_full_disk_of_an_owner_during_put_refuses_before_bytes_move(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = file_of(tmp_path, "large", DISK_BYTES + 2 * MIB)
    text = cluster.refused("cp", file, KEY)
    owner = cluster.owner("key").address
    assert text.startswith(f"s4: node {owner} has 50")
    assert text.endswith(f"B free, needs 52.4 for {KEY}\n")
    assert cluster.keys() == []


def test_full_disk_of_an_owner_during_put_refuses_what_does_not_fit_beside_another(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = file_of(tmp_path, "large", 30 * MIB)
    owner = cluster.owner("key").address
    with cluster.client() as client:
        first = Put(client, owner, file, KEY)
        wait_until(lambda: transfers_open(cluster) == 1, "the first put to begin")
        text = cluster.refused("cp", file, "s4://other/key")
        assert f"s4: node {owner} has " in text
        assert "MB free (and 31.5 MB for transfers under way), needs 31.5 for s4://other/key" in text
        assert isinstance(first.finish(), wire.Stored)
    assert cluster.keys() == [KEY]
    cluster.ok("rm", KEY)
    cluster.ok("cp", file, "s4://other/key")


def test_full_disk_of_an_owner_after_a_put_that_was_killed_has_its_room_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = file_of(tmp_path, "large", 30 * MIB)
    with cluster.client() as client:
        Put(client, cluster.owner("key").address, file, KEY)
        wait_until(lambda: transfers_open(cluster) == 1, "the put to begin")
    # Nothing was said: the node learns of the end from the lease.
    wait_until(lambda: transfers_open(cluster) == 0, "the put to be forgotten")
    cluster.ok("cp", file, KEY)


def test_full_disk_during_put_of_a_folder_refuses_before_bytes_move(
    cluster: Cluster, tmp_path: Path
) -> None:
    files = {f"{number}_x": some_bytes(3 * MIB, number) for number in range(18)}
    folder = make_tree(tmp_path / "in", files)
    text = cluster.refused("cp", "-r", folder, "s4://b/dir")
    both = ", ".join(node.address for node in cluster.nodes)
    assert text.startswith(f"s4: nodes {both} share a disk with ")
    assert text.endswith(" MB free, need 56.6 for s4://b/dir/; nothing was copied\n")
    assert cluster.keys() == []
    for number in range(0, 18, 2):
        (folder / f"{number}_x").unlink()
    cluster.ok("cp", "-r", folder, "s4://b/dir")
    text = cluster.refused("cp", "-r", folder, "s4://b/other")
    assert f"s4: node {cluster.nodes[1].address} has " in text
    assert " MB free, needs 28.3 for its part of s4://b/other/; nothing was copied" in text
    cluster.ok("cp", "-r", "--resume", folder, "s4://b/dir")
    assert len(cluster.keys()) == 9


def test_full_disk_of_an_owner_during_put_of_a_pipe_ends_that_put_alone(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/0_x": b"x"})
    pipe = cluster.start_s4("cp", "-", "s4://b/0_pipe")
    other = cluster.start_s4("cp", "-", "s4://b/1_pipe")
    for process in (pipe, other):
        assert process.stdin
        process.stdin.write(some_bytes(2 * MIB))
        process.stdin.flush()
    wait_until(lambda: transfers_open(cluster) == 2, "both puts to begin")
    _, stderr = pipe.communicate(some_bytes(DISK_BYTES), timeout=30)
    assert pipe.returncode == 1
    owner = cluster.nodes[0].address
    said = f"s4: node {owner}: can not write s4://b/0_pipe: its disk is full\n"
    assert without_progress(stderr).decode() == said
    _, stderr = other.communicate(timeout=30)
    assert without_progress(stderr) == b""
    assert cluster.keys() == ["s4://b/0_x", "s4://b/1_pipe"]
    cluster.assert_no_leftovers()
    cluster.ok("cp", "-", "s4://b/0_pipe", stdin=some_bytes(DISK_BYTES // 2))


def test_full_disk_of_a_peer_during_map_to_n_fails_the_job_by_name(
    cluster: Cluster, tmp_path: Path
) -> None:
    put_keys(cluster, {"s4://in/0_x": b"x"})
    command = f"head -c {30 * MIB} /dev/zero > 1_out; echo 1_out"
    text = cluster.refused("map-to-n", "s4://in/", "s4://out/", command)
    assert f"node {cluster.nodes[1].address} has " in text
    assert " MB free, needs 31.5 for a parcel of 1 outputs" in text
    assert cluster.keys() == ["s4://in/0_x"]
