"""Nodes and clients that are cut off: both directions of a cable are dead, and nobody is told."""

from __future__ import annotations

from pathlib import Path

from ..cluster.kit import commands_running, make_tree, names, put_keys, put_tree, some_bytes
from ..harness import wait_until
from .netns import CLIENT, NetCluster
from .verbs import (
    Requests,
    assert_health_names,
    assert_others_are_usable,
    command_pids,
    every_map,
    every_verb,
    fill,
    is_arriving,
    wait_gone,
)

ENDLESS = "setsid sleep 1000 & sleep 1000"
SPLIT = "for i in 0 1 2; do head -c 20000000 /dev/zero > ${i}_y; done; ls"


def test_cut_owner_before_any_request_fails_each_by_name(net: NetCluster, tmp_path: Path) -> None:
    fill(net, tmp_path)
    net.cut(net.nodes[1])
    requests = Requests(net)
    requests.start_all(every_verb(tmp_path, "cut"))
    requests.start("rm", "rm", "s4://b/1_small")
    assert_others_are_usable(net, "cut")
    requests.must_name(net.nodes[1])
    assert_health_names(net, net.nodes[1])
    net.heal()
    assert net.ok("health").count(b"\n") == 3
    again = Requests(net)
    again.start_all(every_verb(tmp_path, "healed"))
    again.must_succeed()


def test_cut_owner_during_any_request_fails_each_by_name(net: NetCluster, tmp_path: Path) -> None:
    fill(net, tmp_path)
    put_keys(net, {"s4://b/1_huge": some_bytes(16 << 20)})
    requests = Requests(net)
    pipe = requests.start_half_a_put("s4://half/1_x")
    requests.start_half_a_get("s4://b/1_huge")
    requests.start("eval", "eval", "s4://b/1_small", ENDLESS)
    requests.start_all(every_map("s4://out", ENDLESS))
    wait_until(lambda: commands_running(net) == 10, "three commands a job and the eval to run")
    pids = command_pids(net)
    net.cut(net.nodes[1])
    requests.must_name(net.nodes[1])
    wait_gone(pids)
    pipe.close()
    net.heal()
    net.assert_no_leftovers()
    assert names(net, "out/") == names(net, "half/") == []


def test_cut_owner_during_copies_of_folders_is_waited_for_once(net: NetCluster, tmp_path: Path) -> None:
    """More files than all batches that are in flight: those behind must not wait as long again."""
    files = make_tree(tmp_path / "files", {f"{number % 3}_{number}": b"x" for number in range(6000)})
    net.ok("cp", "-r", files, "s4://b/")
    requests = Requests(net)
    get = tmp_path / "out"
    requests.start("get", "cp", "-r", "s4://b/", get)
    wait_until(get.exists, "the get to begin")
    net.cut(net.nodes[1])
    requests.start("put", "cp", "-r", files, "s4://new/")
    requests.must_name(net.nodes[1], within_s=11)


def test_cut_peers_during_map_to_n_fail_it_by_name_while_the_client_reaches_all(
    net: NetCluster, tmp_path: Path
) -> None:
    """Eight commands at once on a node: their outputs stand in line for the peer."""
    fill(net, tmp_path)
    put_tree(net, tmp_path / "many", "s4://many/", {f"{n % 3}_{n}": b"" for n in range(120)})
    requests = Requests(net)
    go = tmp_path / "go"
    command = f"until [ -e {go} ]; do sleep 0.1; done; touch 0_y 1_y 2_y; ls"
    requests.start("map-to-n", "map-to-n", "--jobs", 8, "s4://many/", "s4://out/", command)
    wait_until(lambda: commands_running(net) == 24, "all commands to run")
    net.cut(net.nodes[1], net.nodes[0], net.nodes[2])
    go.touch()
    others = Requests(net)
    verbs = every_verb(tmp_path, "cut")
    others.start_all({name: words for name, words in verbs.items() if name != "map-to-n"})
    others.must_succeed()
    assert net.ok("health").count(b"\n") == 3
    requests.must_name(*net.nodes)
    net.heal()
    wait_until(lambda: can_shuffle(net, "s4://again"), "a map-to-n to succeed")
    wait_until(lambda: is_all_or_none(net), "the outputs of each input to be all or none")


def can_shuffle(net: NetCluster, outdir: str) -> bool:
    """Peers dial each other anew, which may take a moment after the cut."""
    net.ok("rm", "-r", outdir)
    done = net.s4("map-to-n", "s4://in/", f"{outdir}/", "touch 0_y 1_y 2_y; ls")
    return done.returncode == 0 and len(names(net, f"{outdir.removeprefix('s4://')}/")) == 9


def is_all_or_none(net: NetCluster, outputs: int = 3) -> bool:
    """Of each input below s4://out/."""
    made = [name.rpartition("/")[0] for name in names(net, "out/")]
    return all(made.count(path) == outputs for path in set(made))


def test_cut_peers_during_transfer_of_map_to_n_leave_nothing_half_done(
    net: NetCluster, tmp_path: Path
) -> None:
    fill(net, tmp_path)
    cut_is_made = tmp_path / "cut"  # or all might have arrived before
    last = f"[ $filename != 2_x ] || until [ -e {cut_is_made} ]; do sleep 0.05; done"
    requests = Requests(net)
    requests.start("map-to-n", "map-to-n", "s4://in/", "s4://out/", f"{SPLIT}; {last}")
    wait_until(lambda: is_arriving(net) or names(net, "out/"), "outputs to travel, or be there")
    net.cut(net.nodes[1], net.nodes[0], net.nodes[2])
    cut_is_made.touch()
    requests.must_name(*net.nodes)
    net.heal()
    net.assert_no_leftovers()
    assert is_all_or_none(net), "an input may have been done before the cut"
    wait_until(lambda: can_shuffle(net, "s4://again"), "a map-to-n to succeed")


def test_cut_client_during_jobs_ends_its_commands_on_all_nodes(net: NetCluster, tmp_path: Path) -> None:
    """Also those that have left their session."""
    fill(net, tmp_path)
    requests = Requests(net)
    pipe = requests.start_half_a_put("s4://half/1_x")
    requests.start("eval", "eval", "s4://b/0_small", ENDLESS)
    requests.start_all(every_map("s4://out", ENDLESS))
    wait_until(lambda: commands_running(net) == 10, "three commands a job and the eval to run")
    pids = command_pids(net)
    net.cut(CLIENT)
    wait_gone(pids)
    for ended in requests.end().values():
        assert ended.status in (3, 255), ended
        assert ended.stderr.startswith("s4: "), ended
    pipe.close()
    net.heal()
    net.assert_no_leftovers()
    assert names(net, "out/") == names(net, "half/") == []
