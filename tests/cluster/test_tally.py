"""The counts of keys and bytes that a node tells stay true, whatever is done to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from s4zmq import views

from ..harness import Cluster, Node, wait_until
from .kit import put_keys, put_tree


def on_disk(node: Node) -> tuple[int, int]:
    sizes = [
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(node.data / "keys")
        for name in names
    ]
    return len(sizes), sum(sizes)


def told(cluster: Cluster) -> list[tuple[int, int]]:
    with cluster.client() as client:
        found = views.status(client)
    return [(one.amounts.get("keys", -1), one.amounts.get("bytes", -1)) for one in found]


def assert_true(cluster: Cluster) -> None:
    """Right after a command: no time passes until it is so."""
    assert told(cluster) == [on_disk(node) for node in cluster.nodes]


def wait_counted(cluster: Cluster) -> None:
    wait_until(lambda: (-1, -1) not in told(cluster), "the keys to be counted", 30)


def test_counts_are_true_after_each_verb(cluster: Cluster, tmp_path: Path) -> None:
    wait_counted(cluster)
    files = {f"{number}_x": b"y" * number for number in range(40)}
    put_tree(cluster, tmp_path / "files", "s4://in/", files)
    put_keys(cluster, {"s4://in/large": b"x" * 3_000_000, "s4://in/empty": b""})
    assert_true(cluster)
    cluster.refused("cp", "-", "s4://in/large", stdin=b"another")
    assert_true(cluster)
    cluster.ok("map", "s4://in/", "s4://loud/", "cat; cat <<< more")
    assert_true(cluster)
    cluster.ok("map-to-n", "s4://in/", "s4://n/", "cat > 1_a; cp 1_a b; head -c 600000 /dev/zero > 2_c; ls")
    assert_true(cluster)
    cluster.ok("map-from-n", "s4://n/", "s4://one/", "xargs cat | wc -c")
    assert_true(cluster)
    cluster.refused("map-to-n", "s4://in/", "s4://bad/", "cat > 1_a; echo 1_a; exit 1")
    cluster.refused("map-to-n", "s4://in/", "s4://bad/", "cat > 1_a; cp 1_a 2_a; ls; echo no")
    assert_true(cluster)
    cluster.ok("rm", "s4://in/large")
    cluster.ok("rm", "-r", "s4://n/1")
    cluster.ok("rm", "-r", "s4://loud")
    assert_true(cluster)
    assert sum(keys for keys, _ in told(cluster)) == len(cluster.keys())


def test_counts_are_true_after_kills(new_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = new_cluster()
    files = {f"{number}_x": b"y" * number for number in range(150)}
    put_tree(cluster, tmp_path / "files", "s4://in/", files)
    for number, stop_at in enumerate(("store.linked", "store.unlinked", "staging.linked")):
        node = cluster.nodes[1]
        node.stop()
        node.start(stop_at=stop_at)
        cluster.wait_healthy()
        running = [
            cluster.start_s4("cp", "-r", tmp_path / "files", f"s4://again{number}/"),
            cluster.start_s4("map-to-n", "s4://in/", f"s4://n{number}/", "cat > 1_a; cp 1_a b; ls"),
            cluster.start_s4("rm", "-r", f"s4://again{number - 1}/"),
        ]
        wait_until(lambda node=node: node.is_stopped, f"the node to reach {stop_at}", 30)  # type: ignore[misc]
        node.kill()
        node.start()
        for process in running:
            process.communicate(timeout=60)
        cluster.wait_healthy()
        cluster.assert_no_leftovers()
        wait_counted(cluster)
        assert_true(cluster)
