"""What real shells do to a command line: closed and full streams, odd descriptors, odd names, and
commands that do not clean up after themselves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness import Cluster, wait_until
from .kit import put_keys

NewCluster = Callable[..., Cluster]


def test_closed_streams_harm_nobody(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/eight": b"8 bytes\n"})
    for script in ("s4 cp s4://b/eight - >&-", "s4 ls s4://b/ >&-", "s4 cp - s4://b/empty <&-"):
        assert cluster.bash(f"{script}; echo $?") == "0\n"
    assert cluster.ok("cp", "s4://b/empty", "-") == b""
    assert cluster.bash("s4 ls nothing 2>&- || true") == ""


@pytest.mark.parametrize("words", ["ls s4://b/", "cp s4://b/x -", "config", "health", "eval s4://b/x cat"])
def test_a_full_stdout_is_an_error_and_no_traceback(cluster: Cluster, words: str) -> None:
    put_keys(cluster, {"s4://b/x": b"x" * 100})
    said = cluster.bash(f"{{ s4 {words} > /dev/full; }} 2>&1 || echo status $?")
    assert "No space left" in said
    assert "Traceback" not in said
    assert f"status {255 if words.startswith('eval') else 1}\n" in said


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
def test_a_descriptor_is_written_to_where_it_stands(cluster: Cluster, tmp_path: Path, target: str) -> None:
    put_keys(cluster, {"s4://b/x": b"value\n"})
    cluster.bash(f"{{ echo head; s4 cp s4://b/x {target}; echo tail; }} > out", cwd=tmp_path)
    assert (tmp_path / "out").read_text() == "head\nvalue\ntail\n"


def test_names_with_a_leading_dash_follow_two_dashes(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "-dash").write_bytes(b"x")
    cluster.ok("cp", "--", "-dash", "s4://b/k", cwd=tmp_path)
    assert cluster.ok("cp", "--", "s4://b/k", "-") == b"x"


def test_words_that_do_not_fit_are_usage_errors(cluster: Cluster) -> None:
    for words in (("nothing",), ("map", "s4://in/"), ("map", "--jobs=0", "s4://a/", "s4://b/", "cat")):
        assert "Warning" not in cluster.refused(*words, status=2)


def test_bytes_that_are_no_text_are_refused(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/x": b"x"})
    assert "not UTF-8" in cluster.refused(
        "eval", "s4://b/x", b"echo \xff".decode(errors="surrogateescape"), status=255
    )
    name = b"\xff".decode(errors="surrogateescape")
    assert "not UTF-8" in cluster.refused("map", "--file", name, "s4://b/", "s4://c/", "cat")


def test_a_tree_too_deep_for_keys_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    path = str(tmp_path)
    os.makedirs(path + "/t")
    here = os.open(path + "/t", os.O_RDONLY)
    for _ in range(700):
        os.mkdir("dd", dir_fd=here)
        below = os.open("dd", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "too deep" in cluster.refused("cp", "-r", path + "/t", "s4://b/")


@pytest.mark.parametrize("kind", ["map", "map-to-n"])
def test_a_detached_process_can_not_change_an_output(cluster: Cluster, kind: str) -> None:
    put_keys(cluster, {f"s4://in/{number}_k": b"data\n" for number in range(3)})
    detached = "setsid bash -c 'while :; do echo junk; done' >> $out &"
    command = f"out=/dev/stdout; [ {kind} = map ] || out=$PWD/a; {detached} sleep .1; "
    command += "cat" if kind == "map" else "cat >> a; echo a"
    cluster.ok(kind, "s4://in/", "s4://out/", command)
    for key in cluster.keys("out/"):
        assert b"data\n" in cluster.ok("eval", key, "cat")


def test_a_shipped_file_is_each_commands_own(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0\n")
    put_keys(cluster, {f"s4://in/0_{number}": b"x" for number in range(4)})
    command = "echo x >> counter; wc -l < counter"
    cluster.ok("map", "--file", tmp_path / "counter", "s4://in/", "s4://out/", command)
    assert {cluster.ok("cp", key, "-") for key in cluster.keys("out/")} == {b"2\n"}


def test_a_hangup_leaves_no_half_file(cluster: Cluster, tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 28)
    cluster.ok("cp", tmp_path / "sparse", "s4://b/sparse")
    get = cluster.start_s4("cp", "s4://b/sparse", tmp_path / "out")
    wait_until(lambda: list(tmp_path.glob(".s4-*.part")) or get.poll() is not None, "the get to begin")
    get.send_signal(signal.SIGHUP)
    get.communicate(timeout=10)
    assert list(tmp_path.glob(".s4-*.part")) == []


def test_a_paused_node_hears_of_the_end_of_a_shuffle(new_cluster: NewCluster) -> None:
    cluster = new_cluster()
    put_keys(cluster, {f"s4://in/{number % 3}_{number}": b"x" for number in range(60)})
    command = "for i in 0 1 2; do echo > ${i}_x; done; ls; sleep .05"
    job = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", command)
    wait_until(lambda: cluster.keys("out/"), "the first outputs")
    cluster.nodes[1].send(signal.SIGSTOP)
    assert job.wait(10) == 3
    cluster.nodes[1].send(signal.SIGCONT)
    cluster.assert_no_leftovers()
    made = [key.rpartition("/")[0] for key in cluster.keys("out/")]
    assert {made.count(folder) for folder in made} <= {3}, "all outputs of an input or none"
    job.communicate()
