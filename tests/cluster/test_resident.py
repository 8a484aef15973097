"""Maps whose commands are run by bashes that stay for the length of a job, on real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..harness import Cluster, wait_until
from .kit import is_gone, names, put_tree, values

KEYS = {f"{number}_key": b"value %d\n" % number for number in range(300)}


@pytest.fixture
def filled(cluster: Cluster, tmp_path: Path) -> Cluster:
    put_tree(cluster, tmp_path / "inputs", "s4://in", KEYS)
    return cluster


def bashes(cluster: Cluster) -> list[int]:
    """Processes below the nodes."""
    return [child.pid for node in cluster.nodes for child in node.children()]


def test_a_map_of_builtins_over_many_keys(filled: Cluster, tmp_path: Path) -> None:
    filled.ok("map", "s4://in/", "s4://out/", "read x; echo $filename: $x; unset filename; cd /; umask 777")
    expected = {name: name.encode() + b": " + value for name, value in KEYS.items()}
    assert values(filled, tmp_path / "out", "s4://out") == expected
    assert bashes(filled) == []


def test_one_program_over_many_keys(filled: Cluster, tmp_path: Path) -> None:
    filled.ok("map", "s4://in/", "s4://out/", "sed 's/value/is/'")
    expected = {name: value.replace(b"value", b"is") for name, value in KEYS.items()}
    assert values(filled, tmp_path / "out", "s4://out") == expected


def test_few_bashes_run_many_commands(filled: Cluster, tmp_path: Path) -> None:
    filled.ok("map", "--jobs", "2", "s4://in/", "s4://out/", "echo $$")
    assert len(set(values(filled, tmp_path / "out", "s4://out").values())) <= 2 * len(filled.nodes)


def test_a_command_that_kills_its_bash_fails_and_the_rest_goes_on(filled: Cluster) -> None:
    text = "case $filename in 7_key) kill -9 $$; sleep 1000;; esac; echo fine"
    said = filled.refused("map", "--keep-going", "s4://in/", "s4://out/", text)
    assert "status 137" in said
    assert "7_key" in said
    assert sorted(names(filled, "out/")) == sorted(set(KEYS) - {"7_key"})
    wait_until(lambda: bashes(filled) == [], "all commands to end")
    filled.ok("map", "s4://in/", "s4://again/", "echo $filename")


def test_a_timeout_ends_what_left_the_group_too(filled: Cluster, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"setsid sleep 1000 & echo $! >> {pids}; sleep 1000"
    said = filled.refused("map", "--timeout", "0.5", "s4://in/*_key", "s4://out/", text)
    assert "ran over its 0.5 s" in said
    wait_until(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()), "descendants to end")
    wait_until(lambda: bashes(filled) == [], "all commands to end")


def test_a_killed_node_leaves_no_bash_after_its_restart(filled: Cluster, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"setsid sleep 1000 & echo $! $$ $BASHPID >> {pids}; sleep 1000"
    client = filled.start_s4("map", "s4://in/", "s4://out/", text)
    try:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) >= 9, "commands to start")
        for node in filled.nodes:
            node.kill()
        for node in filled.nodes:
            node.start()
        filled.wait_healthy()
        wait_until(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()), "all to end")
    finally:
        client.kill()
        client.communicate()
