"""Clients that are killed or interrupted: their commands end on all nodes, and nothing is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from ..cluster.kit import commands_running, make_tree, transfers_open, values
from ..harness import Cluster, wait_until
from .kit import FAULT_DEADLINE_S, INPUTS, SPLIT, assert_resumed, ended, put_inputs, wait_all_or_none

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143, signal.SIGKILL: -signal.SIGKILL}
EVERY_CHILD = (
    "setsid {sleep} & (setsid bash -c '{sleep} & disown; {sleep}' > /dev/null &);"
    " sh -c '{sleep}' & {sleep} | {sleep}"
)
"""Leaves its group in several ways, and waits; six processes sleep."""


def sleeping(seconds: str) -> int:
    """How many processes sleep for just so long."""
    found = 0
    for process in psutil.process_iter(["cmdline", "status"]):
        is_one = process.info["cmdline"] == ["sleep", seconds]
        found += is_one and process.info["status"] != psutil.STATUS_ZOMBIE
    return found


@pytest.mark.parametrize(
    ("kind", "signum"),
    [
        *(("map-to-n", signum) for signum in SIGNALS),
        *((kind, signum) for kind in ("map", "map-from-n") for signum in (signal.SIGINT, signal.SIGKILL)),
    ],
)
def test_ended_client_during_a_job_ends_all_descendants_on_all_nodes(
    cluster: Cluster, tmp_path: Path, kind: str, signum: signal.Signals
) -> None:
    put_inputs(cluster, tmp_path / "in")
    seconds = f"{1000 + time.monotonic():.6f}"  # nobody else's
    command = EVERY_CHILD.format(sleep=f"sleep {seconds}")
    job = cluster.start_s4(kind, "s4://in/", "s4://out/", command)
    wait_until(lambda: sleeping(seconds) >= 3 * 6, "commands to run on all nodes", 20)
    job.send_signal(signum)
    status, _ = ended(job)
    assert status == SIGNALS[signum]
    wait_until(lambda: not sleeping(seconds), "all descendants to be gone", FAULT_DEADLINE_S)
    cluster.assert_no_leftovers()
    assert not cluster.keys("out/")


@pytest.mark.parametrize("point", ["shipment.staged", "shipment.committed-here", "shipment.committed"])
def test_killed_client_during_map_to_n_and_outputs_are_all_or_none(
    cluster: Cluster, tmp_path: Path, point: str
) -> None:
    put_inputs(cluster, tmp_path / "in")
    sender = cluster.nodes[0]
    sender.stop()
    sender.start(f"{point}:2")
    cluster.wait_healthy()
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", SPLIT)
    wait_until(lambda: sender.is_stopped, "the sender to reach its point", 20)
    job.kill()
    ended(job)
    sender.send(signal.SIGCONT)
    wait_all_or_none(cluster)
    cluster.assert_no_leftovers()
    assert_resumed(cluster, tmp_path / "out")


def test_killed_client_during_map_and_resume_waits_for_its_lease(cluster: Cluster, tmp_path: Path) -> None:
    put_inputs(cluster, tmp_path / "in")
    slow = tmp_path / "slow"
    slow.touch()
    command = f"cat; echo $filename >> {tmp_path}/log; while [ -e {slow} ]; do sleep 0.1; done"
    job = cluster.start_s4("map", "s4://in/", "s4://out/", command)
    wait_until(lambda: commands_running(cluster) >= 3, "commands to run", 20)
    job.kill()
    ended(job)
    slow.unlink()
    cluster.ok("map", "--resume", "s4://in/", "s4://out/", command)
    assert values(cluster, tmp_path / "out", "s4://out/") == INPUTS


def test_killed_client_during_put_from_a_paused_pipe_leaves_nothing(cluster: Cluster) -> None:
    put = cluster.start_s4("cp", "-", "s4://b/key")
    assert put.stdin
    os.write(put.stdin.fileno(), bytes(2_000_000))
    wait_until(lambda: transfers_open(cluster) == 1, "the transfer to be under way", 20)
    put.kill()
    ended(put)
    cluster.assert_no_leftovers()
    assert not cluster.keys()


def test_killed_client_during_cp_r_leaves_whole_keys_and_resume_finishes(
    cluster: Cluster, tmp_path: Path
) -> None:
    files = {f"d{number % 10}/{number}_f": b"%d" % number * 50 for number in range(4000)}
    source = make_tree(tmp_path / "in", files)
    copy = cluster.start_s4("cp", "-r", source, "s4://b/")
    wait_until(lambda: len(cluster.keys("b/")) > 50, "some keys to be there", 20)
    copy.kill()
    ended(copy)
    cluster.assert_no_leftovers()
    there = values(cluster, tmp_path / "there", "s4://b/")
    assert there.items() <= files.items()
    cluster.ok("cp", "-r", "--resume", source, "s4://b/")
    assert values(cluster, tmp_path / "out", "s4://b/") == files


def test_killed_client_during_rm_leaves_whole_keys_and_rm_again_finishes(
    cluster: Cluster, tmp_path: Path
) -> None:
    files = {f"d{number}/{number}_{name}": b"x" for number in range(500) for name in "abcdefgh"}
    cluster.ok("cp", "-r", make_tree(tmp_path / "in", files), "s4://b/")
    removal = cluster.start_s4("rm", "-r", "s4://b/")
    wait_until(
        lambda: removal.poll() is not None or len(cluster.keys("b/")) < len(files), "keys to vanish", 20
    )
    removal.kill()
    ended(removal)
    cluster.assert_no_leftovers()
    if cluster.keys("b/"):
        assert values(cluster, tmp_path / "there", "s4://b/").items() <= files.items()
    cluster.ok("rm", "-r", "s4://b/")
    assert not cluster.keys("b/")
