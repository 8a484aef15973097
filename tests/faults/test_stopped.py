"""Processes that are stopped with SIGSTOP: a node hangs and is named, a client's lease runs out.

A slow command and a paused pipe are no faults: they may take as long as they like.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from ..cluster.kit import commands_running, names, put_keys, some_bytes
from ..harness import Cluster, wait_until
from .verbs import (
    LARGE,
    SMALL,
    Requests,
    assert_health_names,
    assert_others_are_usable,
    command_pids,
    every_verb,
    fill,
    is_arriving,
    wait_gone,
)


def test_stopped_owner_before_any_request_fails_each_by_name(stoppable: Cluster, tmp_path: Path) -> None:
    fill(stoppable, tmp_path)
    stoppable.nodes[1].send(signal.SIGSTOP)
    requests = Requests(stoppable)
    requests.start_all(every_verb(tmp_path, "stopped"))
    requests.start("rm", "rm", "s4://b/1_large")
    assert_others_are_usable(stoppable, "stopped")
    requests.must_name(stoppable.nodes[1])
    assert_health_names(stoppable, stoppable.nodes[1])
    stoppable.nodes[1].send(signal.SIGCONT)
    again = Requests(stoppable)
    again.start_all(every_verb(tmp_path, "continued"))
    again.must_succeed()


def test_stopped_receiver_during_transfer_of_map_to_n_fails_it_and_resume_finishes(
    stoppable: Cluster, tmp_path: Path
) -> None:
    fill(stoppable, tmp_path)
    is_stopped = tmp_path / "stopped"  # or all might have arrived before
    command = "for i in 0 1 2; do head -c 30000000 /dev/zero > ${i}_y; done; ls;"
    command += f" [ $filename != 2_x ] || until [ -e {is_stopped} ]; do sleep 0.05; done"
    requests = Requests(stoppable)
    requests.start("map-to-n", "map-to-n", "s4://in/", "s4://out/", command)
    wait_until(lambda: is_arriving(stoppable) or names(stoppable, "out/"), "outputs to travel, or be there")
    stoppable.nodes[1].send(signal.SIGSTOP)
    is_stopped.touch()
    requests.must_name(stoppable.nodes[1])
    stoppable.nodes[1].send(signal.SIGCONT)
    stoppable.assert_no_leftovers()
    stoppable.ok("map-to-n", "--resume", "s4://in/", "s4://out/", command)
    assert len(names(stoppable, "out/")) == 9


def test_stopped_client_for_longer_than_its_lease_ends_its_work_and_says_on_which_node(
    stoppable: Cluster, tmp_path: Path
) -> None:
    fill(stoppable, tmp_path)
    requests = Requests(stoppable)
    endless = "setsid sleep 1000 & sleep 1000"
    pipe = requests.start_half_a_put("s4://half/1_x")
    requests.start("eval", "eval", "s4://b/0_small", endless)
    requests.start("map", "map", "s4://in/", "s4://out/", endless)
    wait_until(lambda: commands_running(stoppable) == 4, "commands to run")
    pids = command_pids(stoppable)
    requests.send(signal.SIGSTOP)
    wait_gone(pids)
    stoppable.assert_no_leftovers()
    requests.send(signal.SIGCONT)
    requests.must_name(*stoppable.nodes)
    pipe.close()


def test_stopped_owner_for_a_moment_during_everything_is_no_fault(
    stoppable: Cluster, tmp_path: Path
) -> None:
    fill(stoppable, tmp_path)
    stoppable.nodes[1].send(signal.SIGSTOP)
    requests = Requests(stoppable)
    requests.start_all(every_verb(tmp_path, "moment"))
    time.sleep(2)  # the moment
    stoppable.nodes[1].send(signal.SIGCONT)
    requests.must_succeed()


def test_slow_commands_and_paused_pipes_for_longer_than_any_limit_are_no_faults(
    stoppable: Cluster, tmp_path: Path
) -> None:
    fill(stoppable, tmp_path)
    huge = some_bytes(16 << 20)
    put_keys(stoppable, {"s4://b/1_huge": huge})
    requests = Requests(stoppable)
    pipe = requests.start_half_a_put("s4://half/1_x")
    requests.start_half_a_get("s4://b/1_huge")
    slow = "sleep 12; cat"
    requests.start("eval", "eval", "s4://b/0_small", slow)
    requests.start("map", "map", "--jobs", 4, "s4://in/", "s4://map/", slow)
    requests.start("map-to-n", "map-to-n", "--jobs", 4, "s4://in/", "s4://n/", "sleep 12; cat > 0_y; ls")
    until = time.monotonic() + 11
    while time.monotonic() < until:  # longer than a node may be silent, and a lease unused
        assert requests.running() == {"half a put", "half a get", "eval", "map", "map-to-n"}
        time.sleep(0.1)  # between two looks at the state
    pipe.write(LARGE)
    pipe.close()
    requests.must_succeed()
    assert stoppable.ok("cp", "s4://half/1_x", "-") == LARGE * 2
    assert stoppable.ok("cp", "s4://map/2_x", "-") == SMALL
