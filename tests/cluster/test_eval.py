"""`s4 eval`: a command beside one key, as ssh would run it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from ..harness import BIN, Cluster, wait_until
from .kit import commands_running, is_gone, names, peak_memory_kb, put_keys, some_bytes

HAS_KEY = (True, False)

KEY = "s4://b/dir/name"


@pytest.fixture
def filled(cluster: Cluster) -> Cluster:
    """The cluster with KEY in it."""
    put_keys(cluster, {KEY: b"line 1\nline 2\n"})
    return cluster


ANY_BASH = {
    "cat": "line 1\nline 2\n",
    "printf '100%%d'": "100%d",
    "printf %s%%n x": "x%n",
    "x=1; cat": "line 1\nline 2\n",
    "for i in 1 2; do echo $i; done": "1\n2\n",
    "while read -r a b; do echo \"$b\" '$a'; done": "1 $a\n2 $a\n",
    'echo "it\'s" \'a "quote"\' \\\\ \\$x': 'it\'s a "quote" \\ $x\n',
    "\n\ncat > f\n\nwc -l < f\n": "2\n",
    "cat <<'END'\n$(here) %s \"x\"\nEND": '$(here) %s "x"\n',
    "awk '{ printf \"%d;\", $2 }'": "1;2;",
    "# only a comment": "",
    "head -n1 # a comment": "line 1\n",
    "tac | { read -r x; echo $x; }": "line 2\n",
    "echo ünï {1..3}": "ünï 1 2 3\n",
    "diff <(echo a) <(echo a) && echo same": "same\n",
}

STATUS = {
    "exit 7": 7,
    "false": 1,
    "false; true": 1,
    "false | cat": 1,
    "echo $undefined_variable": 1,
    "grep nothing": 1,
    "no-such-command-here": 127,
    "kill -TERM $$": 143,
    "kill -KILL $$": 137,
    "exit 255": 255,
}


def test_any_bash_works(filled: Cluster) -> None:
    for command, expected in ANY_BASH.items():
        assert filled.ok("eval", KEY, command).decode() == expected, command


def test_the_exit_status_is_the_commands(filled: Cluster) -> None:
    for command, status in STATUS.items():
        done = filled.s4("eval", KEY, command)
        assert (done.returncode, done.stdout) == (status, b""), command
        assert b"s4: " not in done.stderr, command


def test_own_failures_exit_255(filled: Cluster) -> None:
    assert "no such key: s4://b/none" in filled.refused("eval", "s4://b/none", "cat", status=255)
    assert "empty" in filled.refused("eval", KEY, " \n", status=255)
    filled.refused("eval", "s4://b/", "cat", status=255)
    filled.refused("eval", "b/x", "cat", status=255)


def test_both_streams_come_byte_for_byte(filled: Cluster) -> None:
    put_keys(filled, {"s4://b/raw": bytes(range(256)) * 100})
    done = filled.s4("eval", "s4://b/raw", "tee /dev/stderr; printf '\\377\\0' >&2; exit 3")
    assert done.returncode == 3
    assert done.stdout == bytes(range(256)) * 100
    assert done.stderr == bytes(range(256)) * 100 + b"\xff\0"


def test_output_comes_as_it_is_written(filled: Cluster, tmp_path: Path) -> None:
    go = tmp_path / "go"
    command = f"echo first; until [ -e {go} ]; do read -t 0.02 <> <(:) || true; done; echo second >&2"
    process = filled.start_s4("eval", KEY, command)
    assert process.stdout
    assert process.stdout.readline() == b"first\n"
    assert process.poll() is None
    go.touch()
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == (b"", b"second\n", 0)


def test_a_large_output_needs_no_large_client(cluster: Cluster) -> None:
    value = some_bytes(30 << 20)
    put_keys(cluster, {"s4://b/big": value})
    process = cluster.start_s4("eval", "s4://b/big", "cat")
    assert process.stdout
    read, peaks = bytearray(), []
    while len(read) < len(value):
        data = process.stdout.read(1 << 20)
        assert data, process.communicate()
        read += data
        if process.poll() is None:
            peaks.append(peak_memory_kb(process.pid))
    assert process.communicate(timeout=20) == (b"", b"")
    assert process.returncode == 0
    assert read == value
    assert max(peaks) < 64 << 10, "kB, of which 30 MB would be the value"


def test_a_paused_stdout_pauses_the_command(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/one": b"1"})
    process = cluster.start_s4("eval", "s4://b/one", "head -c 40000000 /dev/zero")
    node = cluster.owner("one")
    assert process.stdout
    total = len(os.read(process.stdout.fileno(), 1000))
    before = peak_memory_kb(node.process.pid)
    wait_until(lambda: node_writes_no_more(cluster), "the command to wait")
    assert commands_running(cluster) == 1
    assert peak_memory_kb(node.process.pid) - before < 16 << 10
    stdout, stderr = process.communicate(timeout=30)
    assert (total + len(stdout), stderr, process.returncode) == (40_000_000, b"", 0)


def node_writes_no_more(cluster: Cluster) -> bool:
    """Whether every process of a command sleeps."""
    children = [child for node in cluster.nodes for child in node.children()]
    return bool(children) and all(child.status() == "sleeping" for child in children)


def test_a_command_sees_its_key_and_nothing_of_the_nodes(filled: Cluster) -> None:
    lines = filled.ok("eval", KEY, "env").decode().splitlines()
    seen = dict(line.split("=", 1) for line in lines)
    assert seen["filename"] == "name"
    assert seen["S4_KEY"] == KEY
    assert seen["S4_CONF_PATH"] == str(filled.conf)
    assert seen["LC_ALL"] == "C"
    others = {name for name in seen if not name.startswith(("S4_", "AWS_"))}
    ours = {"filename", "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"}
    assert others <= ours


def test_a_command_runs_in_an_empty_folder_that_goes(filled: Cluster) -> None:
    command = "ls -A; pwd; mkdir -p a/b; touch a/b/c; chmod 000 a"
    (folder,) = filled.ok("eval", KEY, command).decode().split()
    assert folder.startswith(str(filled.owner("name").data))
    assert not Path(folder).exists()


def test_s4_works_inside_a_command(filled: Cluster) -> None:
    put_keys(filled, {"s4://b/0_x": b"zero", "s4://b/1_x": b"one"})
    command = """
    s4 cp s4://b/0_x - ; echo
    s4 ls s4://b/1_ | awk '{print $NF}'
    s4 eval s4://b/1_x 's4 eval s4://b/0_x "cat; echo"'
    echo new | s4 cp - s4://c/$filename
    s4 cp s4://b/1_x . && cat 1_x
    """
    assert filled.ok("eval", KEY, command).decode() == "zero\n1_x\nzero\none"
    assert names(filled, "c/") == ["name"]


def test_a_reader_that_stops_early_ends_the_command(filled: Cluster, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    script = f"set +o pipefail; s4 eval {KEY} 'yes' 2> {noise} | head -c 100000 | wc -c"
    assert filled.bash(script).strip() == "100000"
    assert noise.read_bytes() == b""
    wait_until(lambda: commands_running(filled) == 0, "the command to end, told by its client", 4)


def test_what_a_command_leaves_running_is_ended(filled: Cluster) -> None:
    command = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; (setsid sleep 1001 &)"
    pids = [int(line) for line in filled.ok("eval", KEY, command).split()]
    wait_until(lambda: all(map(is_gone, pids)), "the children to end")


@pytest.mark.has_key(True)
@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_client_that_ends_takes_its_command_along(filled: Cluster, signum: int, status: int) -> None:
    process = filled.start_s4("eval", KEY, "echo $$; sleep 1000 & echo $!; wait")
    assert process.stdout
    pids = [int(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == status
    assert b"Traceback" not in stderr
    wait_until(lambda: all(map(is_gone, pids)), "the command to end", 10)
    filled.assert_no_leftovers()


@pytest.mark.has_key(True)
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_not_lost_while_output_streams(filled: Cluster, signum: int, status: int) -> None:
    """An exception that a handler raises while a frame of ZeroMQ is freed goes nowhere."""
    for _ in range(8):
        command = [str(BIN / "s4"), "eval", KEY, "echo begun >&2; yes"]
        with subprocess.Popen(
            command, env=filled.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr
            assert process.stderr.readline() == b"begun\n"
            process.send_signal(signum)
            try:
                _, stderr = process.communicate(timeout=5)
            finally:
                process.kill()
        assert process.returncode == status
        assert b"Traceback" not in stderr


def test_many_evals_run_at_once(filled: Cluster) -> None:
    processes = [filled.start_s4("eval", KEY, "cat; read -t 0.2 <> <(:) || true") for _ in range(12)]
    for process in processes:
        assert process.communicate(timeout=30) == (b"line 1\nline 2\n", b"")
