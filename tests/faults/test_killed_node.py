"""Nodes that are killed at named points: what was confirmed stays, what was not is whole or absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ..cluster.kit import some_bytes, values
from ..harness import Cluster, Node, wait_until
from .kit import INPUTS, SPLIT, assert_resumed, ended, put_inputs, wait_all_or_none

NewCluster = Callable[..., Cluster]

SENDER_POINTS = [
    "task.starting",
    "task.ran",
    "shipment.sent",
    "shipment.staged",
    "shipment.committed-here",
    "shipment.committed",
    "shipment.done",
    "staging.committing",
    "staging.linked",
]
RECEIVER_POINTS = [
    "inbox.wrote",
    "staging.staged",
    "staging.committing",
    "staging.linked",
    "staging.committed",
    "staging.settling",
]
PUT_POINTS = [
    (1000, "store.linking"),
    (1000, "store.linked"),
    (3_000_000, "inbox.wrote"),
    (3_000_000, "store.linking"),
    (3_000_000, "store.linked"),
]


def restart(cluster: Cluster, node: Node, stop_at: str = "") -> None:
    """Stop it, if it runs, and start it anew, with all others that do not run."""
    if node.is_running:
        node.stop()
    node.start(stop_at)
    cluster.start()


def kill_at_its_point(node: Node) -> None:
    """Wait until it has stopped itself, and kill it there."""
    wait_until(lambda: node.is_stopped, "the node to reach its point", 20)
    node.kill()


@pytest.mark.parametrize("point", SENDER_POINTS)
def test_killed_sender_during_map_to_n_and_its_outputs_are_all_or_none(
    cluster: Cluster, tmp_path: Path, point: str
) -> None:
    put_inputs(cluster, tmp_path / "in")
    sender = cluster.nodes[0]
    restart(cluster, sender, f"{point}:2")
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", SPLIT)
    kill_at_its_point(sender)
    restart(cluster, sender)
    status, stderr = ended(job)
    assert status == 3, stderr
    assert sender.address in stderr
    wait_all_or_none(cluster)
    cluster.assert_no_leftovers()
    assert_resumed(cluster, tmp_path / "out")


@pytest.mark.parametrize("point", RECEIVER_POINTS)
def test_killed_receiver_during_map_to_n_and_its_outputs_are_all_or_none(
    cluster: Cluster, tmp_path: Path, point: str
) -> None:
    inputs = {"0_in": b"0\n"}  # node 0 sends, and node 1 only receives
    put_inputs(cluster, tmp_path / "in", inputs)
    receiver = cluster.nodes[1]
    restart(cluster, receiver, point)
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", SPLIT)
    kill_at_its_point(receiver)
    restart(cluster, receiver)
    status, stderr = ended(job)
    assert status in (0, 3), stderr
    wait_all_or_none(cluster)
    cluster.assert_no_leftovers()
    assert_resumed(cluster, tmp_path / "out", inputs)


@pytest.mark.parametrize("point", ["staging.committing", "staging.linked"])
def test_killed_sender_and_receiver_during_commit_and_outputs_are_all_or_none(
    cluster: Cluster, tmp_path: Path, point: str
) -> None:
    inputs = {"0_in": b"0\n"}
    put_inputs(cluster, tmp_path / "in", inputs)
    sender, receiver = cluster.nodes[:2]
    restart(cluster, receiver, point)
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", SPLIT)
    wait_until(lambda: receiver.is_stopped, "the receiver to reach its point", 20)
    sender.kill()
    receiver.kill()
    job.kill()
    ended(job)
    restart(cluster, sender)
    wait_all_or_none(cluster)
    assert not cluster.keys("out/")
    cluster.assert_no_leftovers()
    assert_resumed(cluster, tmp_path / "out", inputs)


def test_killed_sender_after_the_decision_and_outputs_stay(cluster: Cluster, tmp_path: Path) -> None:
    inputs = {"0_in": b"0\n"}
    put_inputs(cluster, tmp_path / "in", inputs)
    sender = cluster.nodes[0]
    restart(cluster, sender, "shipment.done")
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", SPLIT)
    kill_at_its_point(sender)
    job.kill()
    ended(job)
    restart(cluster, sender)
    cluster.assert_no_leftovers()
    assert len(cluster.keys("out/")) == 4
    cluster.ok("map-to-n", "--resume", "s4://in/", "s4://out/", SPLIT)
    assert_resumed(cluster, tmp_path / "out", inputs)


@pytest.mark.parametrize("kind", ["map", "map-from-n"])
@pytest.mark.parametrize("point", ["task.starting", "task.ran", "store.linked", "task.committed"])
def test_killed_node_during_a_job_and_resume_runs_only_what_is_missing(
    cluster: Cluster, tmp_path: Path, kind: str, point: str
) -> None:
    put_inputs(cluster, tmp_path / "in")
    log = tmp_path / "log"
    command = {"map": "tr a-z A-Z", "map-from-n": "xargs cat"}[kind] + f'; echo "$filename" >> {log}'
    node = cluster.nodes[0]
    restart(cluster, node, f"{point}:2")
    job = cluster.start_s4(kind, "s4://in/", "s4://out/", command)
    kill_at_its_point(node)
    complete = {key.rpartition("/")[2] for n in cluster.nodes if n.is_running for key in on_disk(n)}
    restart(cluster, node)
    status, stderr = ended(job)
    assert (status, node.address in stderr) == (3, True), stderr
    log.unlink(missing_ok=True)
    cluster.ok(kind, "--resume", "s4://in/", "s4://out/", command)
    again = log.read_text().split() if log.exists() else []
    assert not complete.intersection(again)
    expected = {path: value.upper() if kind == "map" else value for path, value in INPUTS.items()}
    if kind == "map-from-n":
        expected = {path.rpartition("/")[2]: value for path, value in expected.items()}
        expected["0"] = expected.pop("0_in") + expected.pop("0_deep")
    assert values(cluster, tmp_path / "out", "s4://out/") == expected
    cluster.assert_no_leftovers()


def on_disk(node: Node) -> list[str]:
    """Output keys that stand on a node's disk."""
    folder = node.path_of("s4://out")
    return [str(path) for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("size", "point"), PUT_POINTS)
def test_killed_owner_during_put_leaves_the_value_whole_or_not_at_all(
    new_cluster: NewCluster, tmp_path: Path, size: int, point: str
) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    value = some_bytes(size)
    (tmp_path / "value").write_bytes(value)
    restart(cluster, node, point)
    put = cluster.start_s4("cp", tmp_path / "value", "s4://b/key")
    kill_at_its_point(node)
    is_there = node.path_of("s4://b/key").exists()
    assert is_there == (point == "store.linked")
    restart(cluster, node)
    status, stderr = ended(put)
    assert status in (0, 3), stderr
    if status and not is_there:
        assert cluster.s4("ls", "s4://b/key").returncode == 1
        cluster.ok("cp", tmp_path / "value", "s4://b/key")
    assert cluster.ok("cp", "s4://b/key", "-") == value
    cluster.assert_no_leftovers()
