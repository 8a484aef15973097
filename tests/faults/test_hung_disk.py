"""A disk that answers nothing for a while, as a frozen file system does: slow is no fault."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ..harness import Cluster
from .disks import LoopDisk, no_loop
from .verbs import LARGE, Requests

HANGS_S = 11.0
"""Longer than a node may be silent, and than the promise for one that is down."""


def test_hung_disk_of_owner_during_puts_and_jobs_is_waited_for(
    frozen: tuple[Cluster, LoopDisk], tmp_path: Path
) -> None:
    cluster, disk = frozen
    (tmp_path / "large").write_bytes(LARGE)
    (tmp_path / "small").write_bytes(b"small")
    for number in range(3):
        cluster.ok("cp", tmp_path / "large", f"s4://in/{number}_x")
    disk.freeze()
    requests = Requests(cluster)
    requests.start("put", "cp", tmp_path / "large", "s4://b/0_large")
    requests.start("small put", "cp", tmp_path / "small", "s4://b/0_small")
    requests.start("map", "map", "s4://in/", "s4://map/", "cat")
    requests.start("map-to-n", "map-to-n", "s4://in/", "s4://n/", "cat > 0_y; cp 0_y 1_y; ls")
    until = time.monotonic() + HANGS_S
    while time.monotonic() < until:
        assert cluster.ok("health").count(b"\n") == 3
        assert cluster.ok("cp", "s4://in/1_x", "-") == LARGE
        assert requests.running() == {"put", "small put", "map", "map-to-n"}
        time.sleep(0.2)  # between two looks at the state
    disk.thaw()
    requests.must_succeed()
    assert cluster.ok("cp", "s4://b/0_large", "-") == LARGE
    assert cluster.ok("ls", "-r", "s4://n/").count(b"\n") == 6
    cluster.assert_no_leftovers()


def test_freezing_is_what_it_seems(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    if no_loop():
        pytest.skip(no_loop())
    disk = LoopDisk(tmp_path / "disk", tmp_path / "image", size_mib=8)
    try:
        disk.freeze()
        writer = subprocess.Popen(["touch", str(disk.path / "file")])
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(0.5)
        disk.thaw()
        assert writer.wait(10) == 0
    finally:
        disk.thaw()
        disk.unmount()
