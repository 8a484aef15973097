"""SIGKILL of a node or the client at random instants of every verb, and short runs of the trials.

Whatever an instant hits: keys are whole or absent, what was confirmed is there, and the same command
again, with `--resume` where it has that, leaves what an undisturbed one leaves.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ..cluster.kit import make_tree, some_bytes, values
from ..harness import Cluster
from ..trials.kill_points import Trial
from ..trials.soak import soak
from .kit import ended

FILES = {f"d{number % 5}/{number}_f": b"%d\n" % number * 20 for number in range(1500)}
FEW = {path: FILES[path] for path in list(FILES)[:60]}
VALUE = some_bytes(40_000_000)
KILLS = 2


class Verb(NamedTuple):
    """A command line, and what it is about."""

    words: tuple[str, ...]
    again: tuple[str, ...]
    """What finishes it."""

    before: Mapping[str, bytes]
    """Keys below s4://in/ that it starts with."""

    after: Mapping[str, bytes]
    """Keys below s4://out/ that it leaves, whole."""


MERGED = {path.rpartition("/")[2].partition("_")[0] + "_f": value for path, value in FEW.items()}
VERBS = {
    "put": Verb(("cp", "{local}/large", "s4://out/large"), ("cp", "--resume"), {}, {"large": VALUE}),
    "cp-r": Verb(("cp", "-r", "{local}/files", "s4://out/"), ("cp", "--resume"), {}, FILES),
    "map": Verb(("map", "s4://in/", "s4://out/", "cat"), ("map", "--resume"), FEW, FEW),
    "map-from-n": Verb(
        ("map-from-n", "s4://in/", "s4://out/", "xargs cat"), ("map-from-n", "--resume"), FEW, MERGED
    ),
    "rm": Verb(("rm", "-r", "s4://in/"), ("rm",), FILES, {}),
}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    make_tree(tmp_path / "files", FILES)
    make_tree(tmp_path / "few", FEW)
    (tmp_path / "large").write_bytes(VALUE)
    return tmp_path


def below(cluster: Cluster, folder: Path, prefix: str) -> dict[str, bytes]:
    """All keys there are below s4://PREFIX/."""
    return values(cluster, folder, f"s4://{prefix}/") if cluster.keys(f"{prefix}/") else {}


@pytest.mark.parametrize("victim", ["node", "client"])
@pytest.mark.parametrize("name", VERBS)
def test_killed_at_random_instants_and_the_same_again_finishes(
    cluster: Cluster, local: Path, name: str, victim: str
) -> None:
    verb = VERBS[name]
    for number in range(KILLS):
        if verb.before:
            source = local / ("few" if verb.before is FEW else "files")
            cluster.ok("cp", "-r", "--resume", source, "s4://in/")
        words = [word.format(local=local) for word in verb.words]
        kill_within(cluster, words, victim)
        cluster.start()
        there = below(cluster, local / f"there-{number}", "out")
        assert there.items() <= verb.after.items()
        left = below(cluster, local / f"left-{number}", "in")
        assert left.items() <= verb.before.items()
        cluster.ok(*verb.again, *words[1:])
        assert below(cluster, local / f"out-{number}", "out") == verb.after
        cluster.assert_no_leftovers()
        cluster.ok("rm", "-r", "s4://out")
        cluster.ok("rm", "-r", "s4://in")


def kill_within(cluster: Cluster, words: list[str], victim: str) -> None:
    """Kill at an instant of the command; it ends in time, whatever the instant was."""
    process = cluster.start_s4(*words)
    time.sleep(random.uniform(0.05, 0.5))  # the instant
    process.kill() if victim == "client" else random.choice(cluster.nodes).kill()
    if victim == "node":
        for node in cluster.nodes:
            if not node.is_running:
                node.start()
    ended(process, 30)


def test_killed_client_at_random_instants_of_get_leaves_whole_files(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(VALUE)
    cluster.ok("cp", tmp_path / "large", "s4://b/large")
    for number in range(KILLS):
        folder = tmp_path / f"got-{number}"
        folder.mkdir()
        get = cluster.start_s4("cp", "s4://b/large", folder / "large")
        time.sleep(random.uniform(0.05, 0.3))  # the instant
        get.kill()
        ended(get)
        assert [(path.name, path.read_bytes()) for path in folder.iterdir()] in ([], [("large", VALUE)])
        shutil.rmtree(folder)


def test_killed_processes_during_map_to_n_and_resume_is_as_if_undisturbed(tmp_path: Path) -> None:
    trial = Trial(tmp_path, random.randrange(1 << 32))
    try:
        trial.prepare()
        for _ in range(6):
            trial.hit()
    finally:
        trial.cluster.stop()


def test_killed_stopped_and_restarted_nodes_under_clients_lose_nothing(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    found = soak(tmp_path, seed, minutes=0.25, clients=2, nodes=3)
    assert not found.wrongs, seed
    assert found.counts["put ok"]
