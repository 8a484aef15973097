"""Looking on and cancelling while a node is stopped, gone, started again, or has a disk that hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s4zmq import views
from s4zmq.limits import SILENCE_LIMIT_S

from ..cluster.kit import commands_running, put_tree
from ..harness import Cluster, wait_until
from .disks import LoopDisk
from .kit import ended

AT_ONCE_S = 5.0
"""The promised 2 s, and what starting a program takes on a busy machine."""

INPUTS = {f"{number}_x": b"%d\n" % number for number in range(6)}


def timed(cluster: Cluster, *words: str) -> tuple[int, list[Any], str]:
    """(exit status, objects on stdout, stderr) of a look, which comes at once."""
    begun = time.monotonic()
    done = cluster.s4(*words, "--json")
    assert time.monotonic() - begun < AT_ONCE_S
    assert b"Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def wait_status(cluster: Cluster, *are_up: bool) -> list[Any]:
    """Until the nodes that live have answered in time, which on a busy machine one may not: the rows."""
    found: list[Any] = []

    def is_so() -> bool:
        found[:] = timed(cluster, "status")[1]
        return [one["up"] for one in found] == list(are_up)

    wait_until(is_so, f"{sum(are_up)} nodes to be up", 30)
    return found


def start_slow(cluster: Cluster, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A job that runs on all nodes and does not end, and its id."""
    put_tree(cluster, folder, "s4://in/", INPUTS)
    process = cluster.start_s4("map", "s4://in/", "s4://out/", "echo begun >&2; sleep 1000")
    wait_until(lambda: len(jobs(cluster)[0].running_on) == 3 if jobs(cluster) else False, "the job to run")
    return process, jobs(cluster)[0].job


def jobs(cluster: Cluster) -> list[views.JobView]:
    with cluster.client() as client:
        return list(views.list_jobs(client).jobs)


def test_stopped_and_gone_nodes_are_named_at_once_and_the_others_are_shown(
    stoppable: Cluster, tmp_path: Path
) -> None:
    process, id = start_slow(stoppable, tmp_path / "in")
    stoppable.nodes[1].send(signal.SIGSTOP)
    stoppable.nodes[2].kill()
    assert timed(stoppable, "status")[::2] == (1, "")
    found = wait_status(stoppable, True, False, False)
    assert all("does not answer" in one["reason"] for one in found[1:])
    assert found[1]["keys"] is None
    status, found, stderr = timed(stoppable, "jobs")
    assert (status, found[0]["job"], found[0]["nodes"]) == (3, id, [stoppable.nodes[0].address])
    assert [node.address in stderr for node in stoppable.nodes] == [False, True, True]
    ended(process)
    stoppable.nodes[1].send(signal.SIGCONT)
    stoppable.nodes[2].start()
    stoppable.wait_healthy()
    stoppable.assert_no_leftovers()
    wait_status(stoppable, True, True, True)


def test_cancel_stops_a_job_where_it_can_and_names_the_node_that_is_stopped(
    stoppable: Cluster, tmp_path: Path
) -> None:
    process, id = start_slow(stoppable, tmp_path / "in")
    stoppable.nodes[1].send(signal.SIGSTOP)
    stopped_at = time.monotonic()
    told = stoppable.s4("cancel", id)
    is_in_time = time.monotonic() - stopped_at < SILENCE_LIMIT_S - 1
    status, text = ended(process)
    if is_in_time:  # else the job's own client has found the stopped node first, and given up
        assert told.returncode == 3
        assert f"was cancelled, but {stoppable.nodes[1].address} did not answer" in told.stderr.decode()
        assert (status, "was cancelled by another client" in text) == (1, True)
    stoppable.nodes[1].send(signal.SIGCONT)
    wait_until(lambda: jobs(stoppable)[0].state == "cancelled", "the job to have ended everywhere", 30)


def test_hung_disk_does_not_keep_a_node_from_telling_how_it_is_nor_a_job_from_being_cancelled(
    frozen: tuple[Cluster, LoopDisk], tmp_path: Path
) -> None:
    cluster, disk = frozen
    process, id = start_slow(cluster, tmp_path / "in")
    disk.freeze()
    writer = cluster.start_s4("cp", "-", "s4://b/0_y")
    found = wait_status(cluster, True, True, True)
    assert found[0]["keys"] == 2
    assert timed(cluster, "jobs")[1][0]["state"] == "running"
    cancel = cluster.start_s4("cancel", id)
    wait_until(
        lambda: id not in {job.job for job in jobs(cluster) if len(job.running_on) > 1},
        "the job to end where the disk lives",
    )
    disk.thaw()
    assert ended(cancel) == (0, "")
    assert ended(process)[0] == 1
    assert ended(writer)[0] == 0
    cluster.assert_no_leftovers()


def test_killed_node_knows_after_its_start_what_has_failed_and_what_was_written(
    new_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = new_cluster(1)
    put_tree(cluster, tmp_path / "in", "s4://in/", INPUTS)
    cluster.s4("map", "--keep-going", "s4://in/", "s4://bad/", "echo bad >&2; [ $filename != 3_x ]")
    cluster.s4("map", "--keep-going", "s4://in/", "s4://out/", "echo cut >&2; exit 1")
    slow = cluster.start_s4("map", "s4://in/", "s4://slow/", "sleep 1000")
    wait_until(lambda: commands_running(cluster), "a command of the third job to run")
    before = [(job.job, job.state, job.failed) for job in jobs(cluster)]
    cluster.nodes[0].kill()
    assert ended(slow)[0] == 3
    cluster.start()
    after = [(job.job, job.state, job.failed) for job in jobs(cluster)]
    assert [state for _, state, _ in before] == ["running", "failed", "failed"]
    assert after == [(before[0][0], "failed", 0), *before[1:]]
    (log,) = timed(cluster, "logs", after[2][0])[1]
    assert (log["key"], log["stderr"]) == ("s4://in/3_x", "bad\n")
    assert len(timed(cluster, "logs", after[1][0])[1]) == 6
    assert "has ended already, as failed" in cluster.refused("cancel", after[0][0])
