"""SIGTERM of a node: what can finish does, what can not is told that the node is shutting down."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from ..cluster.kit import commands_running, names, put_keys
from ..harness import Cluster, wait_until
from .verbs import LARGE, Requests, is_arriving

NewCluster = Callable[..., Cluster]


def test_terminated_node_during_everything_says_that_it_is_shutting_down(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    put_keys(cluster, {"s4://in/x": b"x"})
    requests = Requests(cluster)
    pipe = requests.start_half_a_put("s4://b/x")
    requests.start("eval", "eval", "s4://in/x", "sleep 1000")
    for kind in ("map", "map-to-n", "map-from-n"):
        requests.start(
            kind, kind, "--jobs", 1, "s4://in/", f"s4://{kind}/", "setsid sleep 1000 & sleep 1000"
        )
    wait_until(lambda: commands_running(cluster) == 4, "commands to run")
    node.send(signal.SIGTERM)
    for name, ended in requests.end().items():
        assert ended.status == (255 if name == "eval" else 3), (name, ended)
        assert f"node {node.address} is shutting down: try again" in ended.stderr, (name, ended)
    assert node.process.wait(timeout=15) == 0
    pipe.close()
    node.start()
    cluster.wait_healthy()
    cluster.assert_no_leftovers()
    assert cluster.keys() == ["s4://in/x"]


def test_terminated_node_during_a_put_lets_it_finish(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    requests = Requests(cluster)
    pipe = requests.start_half_a_put("s4://b/x")
    node.send(signal.SIGTERM)
    pipe.write(LARGE)
    pipe.close()
    requests.must_succeed()
    assert node.process.wait(timeout=15) == 0
    assert node.path_of("s4://b/x").read_bytes() == LARGE * 2


def test_terminated_sender_during_map_to_n_and_resume_finishes(
    new_cluster: NewCluster, tmp_path: Path
) -> None:
    cluster = new_cluster()
    put_keys(cluster, {f"s4://in/{number}_x": b"x" for number in range(3)})
    command = "for i in 0 1 2; do head -c 30000000 /dev/zero > ${i}_y; done; ls"
    requests = Requests(cluster)
    requests.start("map-to-n", "map-to-n", "s4://in/", "s4://out/", command)
    wait_until(lambda: is_arriving(cluster) or names(cluster, "out/"), "outputs to travel, or be there")
    cluster.nodes[0].send(signal.SIGTERM)
    ended = requests.end()["map-to-n"]
    assert ended.status in (0, 3), ended
    cluster.nodes[0].process.wait(timeout=15)
    cluster.start()
    cluster.assert_no_leftovers()
    cluster.ok("map-to-n", "--resume", "s4://in/", "s4://out/", command)
    assert len(names(cluster, "out/")) == 9
