"""Links that carry packets in one direction only: for good, for a moment, for longer than a lease."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from s4zmq.limits import LEASE_S

from ..cluster.kit import commands_running, names
from ..harness import wait_until
from .kit import FAULT_DEADLINE_S, OUTPUTS, SPLIT, assert_resumed, put_inputs, wait_all_or_none
from .netns import NetCluster
from .verbs import Requests, assert_health_names, assert_others_are_usable, every_verb, fill

MANY = {f"{number % 3}_{number}": b"%d\n" % number for number in range(60)}
SLOW = f"sleep 0.3; {SPLIT}"
WAYS = pytest.mark.parametrize("way", ["cut_from", "cut_to"])


@WAYS
def test_one_way_cut_owner_for_a_moment_during_everything_is_no_fault(
    net: NetCluster, tmp_path: Path, way: str
) -> None:
    fill(net, tmp_path)
    requests = Requests(net)
    requests.start_all(every_verb(tmp_path, "moment"))
    getattr(net, way)(net.nodes[1])
    time.sleep(2)  # the moment
    net.heal()
    requests.must_succeed()


@WAYS
def test_one_way_cut_peer_for_longer_than_its_lease_during_commit_of_map_to_n_leaves_all_or_none(
    net: NetCluster, tmp_path: Path, way: str
) -> None:
    put_inputs(net, tmp_path / "in", MANY)
    requests = Requests(net)
    requests.start("map-to-n", "map-to-n", "--jobs", 2, "s4://in/", "s4://out/", SLOW)
    wait_until(lambda: names(net, "out/"), "the first outputs")
    getattr(net, way)(net.nodes[1], net.nodes[0], net.nodes[2])
    cut_at = time.monotonic()
    requests.must_name(*net.nodes)
    assert len(names(net, "out/")) < len(MANY) * len(OUTPUTS)
    time.sleep(max(0.0, cut_at + LEASE_S + 2 - time.monotonic()))  # the length of the cut
    net.heal()
    wait_all_or_none(net)
    wait_until(lambda: is_resumed(net), "peers to have dialled each other anew", FAULT_DEADLINE_S)
    assert_resumed(net, tmp_path / "made", MANY, SLOW)


def is_resumed(net: NetCluster) -> bool:
    """Whether `--resume` ends well; it may say that trying again helps."""
    done = net.s4("map-to-n", "--resume", "s4://in/", "s4://out/", SLOW)
    assert done.returncode in (0, 3), done
    return done.returncode == 0


@WAYS
def test_one_way_cut_owner_before_any_request_fails_each_by_name(
    net: NetCluster, tmp_path: Path, way: str
) -> None:
    fill(net, tmp_path)
    getattr(net, way)(net.nodes[1])
    requests = Requests(net)
    requests.start_all(every_verb(tmp_path, "cut"))
    assert_others_are_usable(net, "cut")
    requests.must_name(net.nodes[1])
    assert_health_names(net, net.nodes[1])
    net.heal()
    again = Requests(net)
    again.start_all(every_verb(tmp_path, "healed"))
    again.must_succeed()


@WAYS
def test_one_way_cut_peer_during_map_to_n_fails_it_and_resume_finishes(
    net: NetCluster, tmp_path: Path, way: str
) -> None:
    fill(net, tmp_path)
    go, words = tmp_path / "go", ("s4://in/", "s4://out/")
    command = f"until [ -e {go} ]; do sleep 0.1; done; touch 0_y 1_y 2_y; ls"
    requests = Requests(net)
    requests.start("map-to-n", "map-to-n", *words, command)
    wait_until(lambda: commands_running(net) == 3, "all commands to run")
    getattr(net, way)(net.nodes[1], net.nodes[0], net.nodes[2])
    go.touch()
    requests.must_name(*net.nodes)
    net.heal()
    wait_until(lambda: net.s4("map-to-n", "--resume", *words, command).returncode == 0, "it to succeed", 20)
    assert len(names(net, "out/")) == 9
