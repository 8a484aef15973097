"""Connections that are lost while both ends live: the right bytes or an error, no gap and no hang."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..cluster.kit import commands_running, names, put_keys, some_bytes, transfers_open
from ..harness import Cluster, wait_until
from . import connections
from .connections import lose_connections
from .kit import SPLIT, assert_resumed, put_inputs, wait_all_or_none
from .verbs import Ended, Requests, command_pids, every_map, fill, wait_gone

STORMS = 10


@pytest.fixture
def lossy(cluster: Cluster) -> Iterator[Cluster]:
    """Three nodes whose connections the test can lose. In the end nothing may be left over."""
    if connections.why_not():
        pytest.skip(connections.why_not())
    yield cluster
    cluster.assert_no_leftovers()


def lose_all(cluster: Cluster) -> int:
    """Every connection of every node; how many there were."""
    return sum(lose_connections(node.process.pid) for node in cluster.nodes)


def read_some(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout
    return os.read(process.stdout.fileno(), 1 << 16)


def assert_right_or_named(name: str, ended: Ended) -> None:
    """It has succeeded, or says in one error that trying again may help."""
    if ended.status == 0:
        assert ended.stderr == "", (name, ended)
        return
    assert ended.status == 3, (name, ended)
    assert ended.stderr.startswith("s4: "), (name, ended)
    assert "try again" in ended.stderr, (name, ended)


def test_lost_connection_during_output_of_eval_ends_it_by_name_and_without_a_gap(lossy: Cluster) -> None:
    put_keys(lossy, {"s4://b/0_x": b"x"})
    requests = Requests(lossy)
    command = "for i in {10000..99999}; do echo $i; sleep 0.001; done"
    process = requests.start("eval", "eval", "s4://b/0_x", command)
    begun = read_some(process)
    pids = command_pids(lossy)
    lose_all(lossy)
    ended = requests.end()["eval"]
    owner = lossy.nodes[0].address
    assert (ended.status, ended.stderr) == (
        255,
        f"s4: node {owner} lost its connection meanwhile: try again\n",
    )
    whole = b"".join(b"%d\n" % number for number in range(10000, 100000))
    assert whole.startswith(begun + ended.stdout)
    wait_gone(pids)


def test_lost_connection_during_paused_output_of_eval_ends_it(lossy: Cluster) -> None:
    """The client's word that it takes more may be lost too."""
    put_keys(lossy, {"s4://b/0_x": b"x"})
    requests = Requests(lossy)
    process = requests.start("eval", "eval", "s4://b/0_x", "head -c 30000000 /dev/zero")
    assert read_some(process)
    wait_until(lambda: commands_running(lossy) == 1, "the output to be paused")
    lose_all(lossy)
    ended = requests.end()["eval"]
    assert ended.status == 255, ended
    assert "lost its connection meanwhile: try again" in ended.stderr


def test_lost_connection_during_eval_without_output_is_no_fault(lossy: Cluster, tmp_path: Path) -> None:
    put_keys(lossy, {"s4://b/0_x": b"x"})
    requests, go = Requests(lossy), tmp_path / "go"
    process = requests.start(
        "eval", "eval", "s4://b/0_x", f"until [ -e {go} ]; do sleep 0.1; done; cat; exit 7"
    )
    wait_until(lambda: commands_running(lossy) == 1, "the command to run")
    for _ in range(2):
        wait_until(lambda: lose_connections(process.pid), "a connection to lose")
    wait_until(lambda: connections.count(process.pid), "the client to dial again")
    go.touch()
    assert requests.end()["eval"] == Ended(7, b"x", "")


def test_lost_connection_during_put_of_a_pipe_ends_it_and_leaves_nothing(lossy: Cluster) -> None:
    requests = Requests(lossy)
    pipe = requests.start_half_a_put("s4://half/1_x")
    lose_all(lossy)
    ended = requests.end()["half a put"]
    pipe.close()
    assert ended.status == 3, ended
    assert_right_or_named("half a put", ended)
    wait_until(lambda: transfers_open(lossy) == 0, "the put to be forgotten")
    assert names(lossy, "half/") == []


def test_lost_connections_during_any_request_end_it_right_or_by_name(
    lossy: Cluster, tmp_path: Path
) -> None:
    """Every connection, again and again, while all of them are at work."""
    fill(lossy, tmp_path)
    large = tmp_path / "large"
    large.write_bytes(some_bytes(40 << 20))
    lossy.ok("cp", large, "s4://b/1_huge")
    requests = Requests(lossy)
    requests.start("put", "cp", large, "s4://new/1_huge")
    requests.start("get", "cp", "s4://b/1_huge", tmp_path / "got")
    requests.start("get folder", "cp", "-r", "s4://b/", tmp_path / "all")
    requests.start("ls", "ls", "-r", "s4://b/")
    command = "sleep 0.3; cat > 0_y; cp 0_y 1_y; cp 0_y 2_y; ls"
    requests.start_all(every_map("s4://out", command))
    lose_often(lossy, requests)
    ended = requests.end()
    for name, one in ended.items():
        assert_right_or_named(name, one)
    if ended["get"].status == 0:
        assert (tmp_path / "got").read_bytes() == large.read_bytes()
    if ended["put"].status == 0:
        assert lossy.ok("cp", "s4://new/1_huge", "-") == large.read_bytes()
    for kind, words in every_map("s4://out", command).items():
        lossy.ok(kind, "--resume", *words[1:])
        assert len(names(lossy, f"out/{kind}/")) == {"map-to-n": 9}.get(kind, 3)


def lose_often(cluster: Cluster, requests: Requests) -> None:
    """Every connection of the nodes, each time that there are some, while requests are under way."""
    for _ in range(STORMS):
        wait_until(lambda: not requests.running() or lose_all(cluster), "connections to lose")


def test_lost_connections_of_peers_during_map_to_n_leave_all_or_none_and_resume_finishes(
    lossy: Cluster, tmp_path: Path
) -> None:
    put_inputs(lossy, tmp_path / "in")
    requests = Requests(lossy)
    requests.start("map-to-n", "map-to-n", "s4://in/", "s4://out/", SPLIT)
    wait_until(lambda: is_shuffling(lossy), "outputs to travel")
    lose_often(lossy, requests)
    assert_right_or_named("map-to-n", requests.end()["map-to-n"])
    wait_all_or_none(lossy)
    assert_resumed(lossy, tmp_path / "made")


def is_shuffling(cluster: Cluster) -> bool:
    """Whether outputs are on their way between nodes, or there already."""
    with cluster.client() as client:
        return any(counts["shuffle"] or counts["staged"] for counts in client.stats().values())
