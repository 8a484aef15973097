"""Fixtures: clusters on a network that can be cut, and clusters with a small disk."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from ..harness import Cluster
from . import disks, netns
from .disks import SmallDisk
from .netns import NetCluster


@cache
def _no_network() -> str:
    netns.remove_left_over()
    return netns.why_not()


@pytest.fixture
def net(tmp_path: Path) -> Iterator[NetCluster]:
    """Three healthy nodes on a network of their own; the test is where the client is. In the end
    every packet arrives again, and nothing may be left over."""
    if _no_network():
        pytest.skip(_no_network())
    cluster = NetCluster(tmp_path)
    try:
        with cluster.at_client():
            cluster.start()
            yield cluster
            cluster.heal()
            cluster.assert_no_leftovers()
    finally:
        cluster.stop()


@pytest.fixture
def stoppable(new_cluster: Callable[..., Cluster]) -> Iterator[Cluster]:
    """Three healthy nodes that the test may stop with SIGSTOP. In the end all go on, and nothing may be
    left over."""
    cluster = new_cluster()
    yield cluster
    for node in cluster.nodes:
        node.send(signal.SIGCONT)
    cluster.assert_no_leftovers()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., SmallDisk]]:
    """Makes file systems of few bytes: `small_disk("name", size_mib=8)`."""
    if disks.why_not():
        pytest.skip(disks.why_not())
    made: list[SmallDisk] = []

    def make(folder: str | Path, size_mib: int = 8, files: int = 0) -> SmallDisk:
        made.append(SmallDisk(tmp_path / folder, size_mib, files))
        return made[-1]

    yield make
    for disk in made:
        disk.unmount()


@pytest.fixture
def crowded(tmp_path: Path, small_disk: Callable[..., SmallDisk]) -> Iterator[Cluster]:
    """Two nodes, of which the first has a disk of 8 MiB. In the end nothing may be left over."""
    cluster = Cluster(tmp_path, 2)
    small_disk(cluster.nodes[0].data)
    try:
        cluster.start()
        yield cluster
        cluster.assert_no_leftovers()
    finally:
        cluster.stop()


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[tuple[Cluster, disks.LoopDisk]]:
    """Three nodes, of which the first has a disk that can be frozen."""
    if disks.no_loop():
        pytest.skip(disks.no_loop())
    cluster = Cluster(tmp_path)
    disk = disks.LoopDisk(cluster.nodes[0].data, tmp_path / "image", size_mib=200)
    try:
        cluster.start()
        yield cluster, disk
    finally:
        disk.thaw()
        cluster.stop()
        disk.unmount()
