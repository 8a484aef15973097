"""Nodes that stop, die, hang, start again, or are set up wrongly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ..harness import BIN, Cluster, Port, wait_until
from .kit import commands_running, is_gone, names, put_keys, put_tree, some_bytes, transfers_open

NewCluster = Callable[..., Cluster]
LARGE = some_bytes(700_000)


def run_node(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A node that is expected to refuse to start."""
    environment = {name: value for name, value in os.environ.items() if name != "S4_CONF_PATH"}
    return subprocess.run(
        [str(BIN / "s4-node"), *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=20,
        check=False,
    )


def refuses_to_start(*words: object, cwd: Path) -> str:
    done = run_node(*words, cwd=cwd)
    assert done.returncode not in (0, -9), done
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("s4-node: "), done.stderr
    return done.stderr


# -- starting


def test_wrong_set_ups_are_refused_and_say_why(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("127.0.0.1:18080\n127.0.0.1:18081\n192.0.2.1:18082\n")
    start = ["--conf", conf, "--data", tmp_path / "data"]
    assert "--port" in refuses_to_start(*start, cwd=tmp_path)
    assert "port 1 " in refuses_to_start(*start, "--port", 1, cwd=tmp_path)
    assert "no line" in refuses_to_start(*start, "--port", 18082, cwd=tmp_path)
    assert "--data-port" in refuses_to_start(*start, "--port", 18080, "--data-port", "x", cwd=tmp_path)
    spaced = ["--conf", conf, "--port", 18080, "--data", tmp_path / "a b"]
    assert "space" in refuses_to_start(*spaced, cwd=tmp_path)
    quoted = ["--conf", conf, "--port", 18080, "--data", tmp_path / "a'b"]
    assert "quote" in refuses_to_start(*quoted, cwd=tmp_path)
    assert "none" in refuses_to_start("--conf", tmp_path / "none", cwd=tmp_path)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "host\n", "host:0\n", "host:x\n", "a:1\na:1\n", "a b:1\n"]
)
def test_bad_conf_files_are_refused_by_node_and_client(tmp_path: Path, text: str) -> None:
    conf = tmp_path / "conf"
    conf.write_text(text)
    assert str(conf) in refuses_to_start("--conf", conf, cwd=tmp_path)
    done = subprocess.run([BIN / "s4", "-c", conf, "ls"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"s4: {conf}"), done.stderr


def test_an_address_beyond_loopback_needs_insecure(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.write_text("0.0.0.0:18080\n")
    assert "--insecure" in refuses_to_start("--conf", conf, "--data", tmp_path / "data", cwd=tmp_path)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    port = Port()
    port._socket.listen()
    conf = tmp_path / "conf"
    conf.write_text(f"127.0.0.1:{port.number}\n")
    text = refuses_to_start("--conf", conf, "--data", tmp_path / "data", cwd=tmp_path)
    port.release()
    assert f"127.0.0.1:{port.number}" in text


def test_two_nodes_can_not_share_a_data_folder(cluster: Cluster) -> None:
    first, second = cluster.nodes[:2]
    for port in (first.port, second.port):
        words = ["--conf", cluster.conf, "--port", port, "--data", first.data]
        assert "another node uses" in refuses_to_start(*words, cwd=cluster.folder)
    assert all(cluster.health())


def test_a_data_folder_remembers_its_roster(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=2)
    put_keys(cluster, {"s4://b/0_x": b"x"})
    first, second = cluster.nodes
    assert (first.stop(), second.stop()) == (0, 0)
    text = cluster.conf.read_text()
    for other in ("".join(reversed(text.splitlines(keepends=True))), text + "127.0.0.1:1\n"):
        cluster.conf.write_text(other)
        words = ["--conf", cluster.conf, "--port", first.port, "--data", first.data]
        assert "another roster" in refuses_to_start(*words, cwd=cluster.folder)
    cluster.conf.write_text("# a comment changes nothing\n" + text)
    cluster.start()
    assert cluster.ok("cp", "s4://b/0_x", "-") == b"x"
    cluster.assert_no_leftovers()


# -- ending


def test_sigterm_lets_what_is_under_way_finish(new_cluster: NewCluster, tmp_path: Path) -> None:
    cluster = new_cluster(nodes=1)
    put_keys(cluster, {"s4://b/x": b"x"})
    go = tmp_path / "go"
    command = f"echo begun; until [ -e {go} ]; do sleep 0.02; done; echo done"
    process = cluster.start_s4("eval", "s4://b/x", command)
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    (node,) = cluster.nodes
    node.send(signal.SIGTERM)
    text = cluster.refused("cp", "-", "s4://b/y", stdin=b"y", status=3)
    assert node.address in text
    go.touch()
    assert process.communicate(timeout=10) == (b"done\n", b"")
    assert process.returncode == 0
    assert node.process.wait(timeout=10) == 0


def test_sigterm_ends_what_does_not_finish(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=1)
    put_keys(cluster, {"s4://b/x": b"x"})
    process = cluster.start_s4("eval", "s4://b/x", "echo $$; sleep 1000")
    assert process.stdout
    pid = int(process.stdout.readline())
    assert cluster.nodes[0].stop() == 0
    _, stderr = process.communicate(timeout=15)
    assert process.returncode == 255
    assert stderr.startswith(b"s4: ")
    wait_until(lambda: is_gone(pid), "the command to end")
    assert cluster.nodes[0].unfinished() == []


def test_an_idle_node_ends_at_once_and_keeps_its_keys(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=2)
    put_keys(cluster, {"s4://b/0_x": LARGE, "s4://b/1_x": b"x"})
    begun = time.monotonic()
    assert [node.stop() for node in cluster.nodes] == [0, 0]
    assert time.monotonic() - begun < 4
    cluster.start()
    assert cluster.ok("cp", "s4://b/0_x", "-") == LARGE
    assert cluster.ok("eval", "s4://b/1_x", "cat") == b"x"
    cluster.assert_no_leftovers()


# -- crashing


def test_after_kill_9_a_restart_sweeps_and_keys_are_whole(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=1)
    (node,) = cluster.nodes
    put_keys(cluster, {"s4://b/x": LARGE})
    upload = cluster.start_s4("cp", "-", "s4://b/half")
    command = cluster.start_s4("eval", "s4://b/x", "echo $$; touch f; sleep 1000")
    assert upload.stdin
    assert command.stdout
    pid = int(command.stdout.readline())
    upload.stdin.write(LARGE)
    upload.stdin.flush()
    wait_until(lambda: transfers_open(cluster) == 1, "the upload to begin")
    node.kill()
    assert node.unfinished() != []
    node.start()
    upload.communicate(LARGE, timeout=20)
    command.communicate(timeout=20)
    assert (upload.returncode, command.returncode) == (3, 255)
    cluster.wait_healthy()
    wait_until(lambda: is_gone(pid), "the command of the killed node to end")
    assert cluster.keys() == ["s4://b/x"]
    assert cluster.ok("cp", "s4://b/x", "-") == LARGE
    cluster.assert_no_leftovers()


def test_a_map_over_a_node_that_dies_fails_and_can_run_again(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=2)
    put_keys(cluster, {"s4://in/0_x": b"0", "s4://in/1_x": b"1"})
    process = cluster.start_s4("map-to-n", "s4://in/", "s4://out/", "touch 0_y 1_y; ls; sleep 1000")
    wait_until(lambda: commands_running(cluster) == 2, "both commands to run")
    cluster.nodes[1].kill()
    begun = time.monotonic()
    _, stderr = process.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert process.returncode == 3
    assert cluster.nodes[1].address in stderr.decode()
    cluster.nodes[1].start()
    cluster.wait_healthy()
    cluster.assert_no_leftovers()
    assert names(cluster, "out/") == []
    cluster.ok("map-to-n", "s4://in/", "s4://out/", "touch 0_y 1_y; ls")
    assert len(names(cluster, "out/")) == 4
    cluster.assert_no_leftovers()


# -- hanging and missing


@pytest.mark.parametrize("signum", [signal.SIGSTOP, signal.SIGKILL])
def test_health_names_a_sick_node_within_2_seconds(new_cluster: NewCluster, signum: int) -> None:
    cluster = new_cluster()
    assert cluster.ok("health").decode() == "".join(f"healthy: {node.address}\n" for node in cluster.nodes)
    cluster.nodes[1].send(signum)
    wait_until(lambda: state_of(cluster, 1) in ("stopped", "gone"), "the node to stop")
    took, done = timed_health(cluster)
    for _ in range(2):  # a busy machine may be slow to start a process
        if took >= 2:
            took, done = timed_health(cluster)
    assert took < 2, "the best of three"
    assert done.returncode == 1
    words = ["healthy", "unhealthy", "healthy"]
    expected = [f"{word}: {node.address}" for word, node in zip(words, cluster.nodes, strict=True)]
    assert done.stdout.decode().splitlines() == expected
    cluster.nodes[1].send(signal.SIGCONT) if signum == signal.SIGSTOP else None


def timed_health(cluster: Cluster) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    begun = time.monotonic()
    done = cluster.s4("health")
    return time.monotonic() - begun, done


def state_of(cluster: Cluster, index: int) -> str:
    node = cluster.nodes[index]
    return psutil.Process(node.process.pid).status() if node.is_running else "gone"


@pytest.mark.has_key(True, False)
@pytest.mark.parametrize(
    ("signum", "commands"),
    [
        (
            signal.SIGSTOP,
            ["cp s4://b/2_x -", "cp s4.conf s4://b/2_y", "ls s4://b/", "eval s4://b/2_x cat", "verify"],
        ),
        (
            signal.SIGKILL,
            [
                "cp s4://b/2_x -",
                "rm s4://b/2_x",
                "rm -r s4://b/",
                "map s4://b/ s4://out/ cat",
                "verify s4://b",
            ],
        ),
    ],
    ids=["stopped", "killed"],
)
def test_what_needs_a_missing_node_fails_by_name_within_10_seconds(
    new_cluster: NewCluster, signum: int, commands: list[str]
) -> None:
    cluster = new_cluster()
    put_keys(cluster, {f"s4://b/{number}_x": LARGE for number in range(3)})
    cluster.nodes[2].send(signum)
    running = []
    for command in commands:
        words = command.replace("s4.conf", str(cluster.conf)).split()
        running.append((command, time.monotonic(), cluster.start_s4(*words)))
    for command, begun, process in running:
        stdout, stderr = process.communicate(timeout=20)
        assert time.monotonic() - begun < 10, command
        status = 255 if command.startswith("eval") else 3
        assert (process.returncode, stdout) == (status, b""), (command, stderr)
        assert cluster.nodes[2].address in stderr.decode(), command
    cluster.nodes[2].send(signal.SIGCONT) if signum == signal.SIGSTOP else None


@pytest.mark.has_key(True, False)
@pytest.mark.parametrize("signum", [signal.SIGSTOP, signal.SIGKILL])
def test_other_keys_stay_usable_while_a_node_is_missing(new_cluster: NewCluster, signum: int) -> None:
    cluster = new_cluster()
    put_keys(cluster, {"s4://b/0_x": LARGE})
    cluster.nodes[2].send(signum)
    begun = time.monotonic()
    assert cluster.ok("cp", "s4://b/0_x", "-") == LARGE
    assert cluster.ok("eval", "s4://b/0_x", "wc -c").strip() == b"700000"
    cluster.ok("cp", "-", "s4://b/1_y", stdin=LARGE)
    assert cluster.ok("cp", "s4://b/1_y", "-") == LARGE
    assert time.monotonic() - begun < 4
    cluster.nodes[2].send(signal.SIGCONT) if signum == signal.SIGSTOP else None


def test_a_key_is_removed_while_another_node_is_missing(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=2)
    put_keys(cluster, {"s4://b/0_x": b"x"})
    cluster.nodes[1].kill()
    assert cluster.ok("rm", "--dry-run", "s4://b/0_x").split()[-1] == b"s4://b/0_x"
    cluster.ok("rm", "s4://b/0_x")
    assert "no such key" in cluster.refused("rm", "s4://b/0_x")


def test_a_node_that_hung_for_a_while_goes_on(new_cluster: NewCluster) -> None:
    cluster = new_cluster(nodes=1)
    process = cluster.start_s4("cp", "-", "s4://b/x")
    assert process.stdin
    process.stdin.write(LARGE)
    process.stdin.flush()
    wait_until(lambda: transfers_open(cluster) == 1, "the upload to begin")
    cluster.nodes[0].send(signal.SIGSTOP)
    wait_until(lambda: state_of(cluster, 0) == "stopped", "the node to stop")
    cluster.nodes[0].send(signal.SIGCONT)
    assert process.communicate(LARGE, timeout=20) == (b"", b"")
    assert cluster.ok("cp", "s4://b/x", "-") == LARGE * 2
    cluster.assert_no_leftovers()


@pytest.mark.has_key(True, False)
def test_client_and_node_that_disagree_about_the_conf_say_so(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/0_x": b"x"})
    lines = cluster.conf.read_text().splitlines(keepends=True)
    for other in (lines[::-1], lines[:2]):
        conf = tmp_path / "other.conf"
        conf.write_text("".join(other))
        for words in (
            ["cp", "s4://b/0_x", "-"],
            ["cp", cluster.conf, "s4://b/0_y"],
            ["ls"],
            ["rm", "s4://b/0_x"],
            ["map", "s4://b/", "s4://o/", "cat"],
        ):
            assert "conf file" in cluster.refused("-c", conf, *words)
        assert "conf file" in cluster.refused("-c", conf, "eval", "s4://b/0_x", "cat", status=255)
        done = cluster.s4("-c", conf, "health")
        assert done.returncode == 1
        assert b"conf file" in done.stderr
    assert cluster.keys() == ["s4://b/0_x"]


# -- what lies on the disk


def test_a_foreign_link_in_the_data_folder_is_not_followed(cluster: Cluster, tmp_path: Path) -> None:
    put_keys(cluster, {"s4://b/0_x": b"x"})
    make = cluster.nodes[0].path_of("s4://b/0_x").parent
    (tmp_path / "secret").write_bytes(b"secret")
    os.symlink(tmp_path / "secret", make / "0_link")
    assert b"secret" not in cluster.s4("cp", "s4://b/0_link", "-").stdout
    assert b"secret" not in cluster.s4("eval", "s4://b/0_link", "cat").stdout
    cluster.ok("rm", "-r", "s4://b/")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_every_node_holds_only_plain_keys(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"d/{number}_x": b"x" for number in range(6)}
    put_tree(cluster, tmp_path / "in", "s4://b", tree)
    for node in cluster.nodes:
        found = [path for path in (node.data / "keys").rglob("*") if path.is_file()]
        assert len(found) == 2
        names = sorted(path.name for path in node.data.iterdir())
        assert names == [
            "history",
            "indoubt",
            "keys",
            "lock",
            "nameless",
            "roster",
            "runs",
            "tmp",
            "uploads",
        ]
