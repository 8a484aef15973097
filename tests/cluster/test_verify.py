"""`s4 verify`: all keys of all nodes read anew."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from s4zmq.store import XATTR, Stamp

from ..harness import BIN, Cluster, wait_until, without_progress
from ..terminal import Pane
from .kit import put_keys, put_tree, some_bytes

KEYS = {
    "s4://step1/0_x": b"zero",
    "s4://step1/d/1_x": b"one",
    "s4://step2/2_x": some_bytes(700_000),
    "s4://other/0_y": b"",
}


def flip(path: Path) -> None:
    value = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(value[:-1] + bytes([value[-1] ^ 1]))


def test_sound_keys_are_counted(cluster: Cluster) -> None:
    assert cluster.ok("verify") == b"0 keys, 0 bytes: every checksum is right\n"
    put_keys(cluster, KEYS)
    for words, counted in (
        ([], "4 keys, 700.0 KB"),
        (["s4://"], "4 keys, 700.0 KB"),
        (["s4://step"], "3 keys, 700.0 KB"),
        (["s4://step1"], "2 keys, 7 bytes"),
        (["s4://step1/d/1"], "1 key, 3 bytes"),
        (["--", "s4://other/"], "1 key, 0 bytes"),
    ):
        assert cluster.ok("verify", *words).decode() == f"{counted}: every checksum is right\n"


def test_many_keys_of_all_nodes_are_counted(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"d{number % 7}/{number}_x": b"x" * 1000 for number in range(1000)}
    put_tree(cluster, tmp_path / "in", "s4://many", tree)
    assert cluster.ok("verify", "s4://many/") == b"1000 keys, 1.0 MB: every checksum is right\n"


def test_a_prefix_under_which_nothing_stands_is_an_error(cluster: Cluster) -> None:
    put_keys(cluster, KEYS)
    for prefix in ("s4://none", "s4://step1/d/2"):
        assert f"no key starts with {prefix}" in cluster.refused("verify", prefix)
    assert "does not start with s4://" in cluster.refused("verify", "step1")


def test_each_damaged_key_is_named_with_its_node_and_the_others_are_counted(cluster: Cluster) -> None:
    put_keys(cluster, KEYS)
    for node, key in ((0, "s4://step1/0_x"), (2, "s4://step2/2_x")):
        flip(cluster.nodes[node].path_of(key))
    done = cluster.s4("verify")
    assert (done.returncode, done.stdout) == (1, b"")
    what = "is damaged: its bytes are not those that were stored; remove it and make it anew"
    assert done.stderr.decode().splitlines() == [
        f"s4: s4://step1/0_x on node {cluster.nodes[0].address} {what}",
        f"s4: s4://step2/2_x on node {cluster.nodes[2].address} {what}",
        "s4: 4 keys, 700.0 KB: 2 keys damaged",
    ]
    assert cluster.ok("verify", "s4://other") == b"1 key, 0 bytes: every checksum is right\n"


# -- long ones


@pytest.fixture
def endless(cluster: Cluster) -> str:
    """The text of a key whose file has a hole that takes minutes to read."""
    size = 1 << 40
    put_keys(cluster, {"s4://b/0_endless": b""})
    path = cluster.nodes[0].path_of("s4://b/0_endless")
    stamp = Stamp.unpack(os.getxattr(path, XATTR))
    path.chmod(0o644)
    os.truncate(path, size)
    os.setxattr(path, XATTR, stamp._replace(size=size).pack())
    return "s4://b/0_endless"


def verifies(cluster: Cluster) -> int:
    with cluster.client() as client:
        return sum(counts["verifies"] for counts in client.stats().values())


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_its_client(cluster: Cluster, endless: str, signum: int) -> None:
    process = cluster.start_s4("verify", endless)
    wait_until(lambda: verifies(cluster) == 1, "the verify to begin")
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == (130 if signum == signal.SIGINT else -signal.SIGKILL)
    assert without_progress(stderr) == (b"s4: interrupted\n" if signum == signal.SIGINT else b"")
    wait_until(lambda: verifies(cluster) == 0, "the verify to end")


def test_on_a_terminal_it_says_how_far_it_is_and_cleans_up(cluster: Cluster, endless: str) -> None:
    """How much there is the nodes tell while they read."""
    with Pane([str(BIN / "s4"), "verify", endless], cluster.environment) as screen:
        screen.read_until(
            lambda: re.search(r"^verify .*% +0/1 key +[1-9].* left$", screen.text, re.M), "a bar"
        )
        screen.type(b"\x03")
        assert screen.finish() == 130
        *_, counts, end = screen.lines
        assert re.match(r"(\^C)?s4: verify: 0 of 1 key, [1-9]", counts)
        assert end == "s4: interrupted"
        assert screen.is_cursor_shown
