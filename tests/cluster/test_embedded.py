"""`s4 up` and `s4 down`: a cluster on this machine, found without a conf."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from s4zmq.clusterkey import write_key

from ..harness import BIN, without_progress
from .kit import most_at_once


class Machine:
    """A home folder of its own, and `s4` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "s4-home"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("S4_")},
            "HOME": str(folder),
            "S4_HOME": str(self.home),
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def s4(self, *words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(BIN / "s4"), *map(str, words)],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def ok(self, *words: object, stdin: bytes = b"") -> str:
        done = self.s4(*words, stdin=stdin)
        assert (done.returncode, without_progress(done.stderr)) == (0, b""), (words, done)
        return done.stdout.decode()

    def refused(self, *words: object, status: int = 1) -> str:
        done = self.s4(*words)
        assert done.returncode == status, done
        assert done.stderr.startswith(b"s4: "), done
        return done.stderr.decode()

    def processes(self) -> set[int]:
        """Processes that have this home in their command line."""
        found = set()
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.home) in word for word in process.info["cmdline"] or ()):
                found.add(process.pid)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which nothing is left running in the end."""
    machine = Machine(tmp_path)
    yield machine
    machine.s4("down", "--purge")
    assert machine.processes() == set()
    assert not machine.home.exists()


def test_without_a_cluster_every_command_says_what_to_do(machine: Machine) -> None:
    for words in (["ls"], ["health"], ["config"], ["cp", "-", "s4://b/x"], ["rm", "-r", "s4://b/"]):
        assert "s4 up" in machine.refused(*words)


def test_up_down_and_purge_may_be_repeated(machine: Machine) -> None:
    machine.ok("down")
    machine.ok("down", "--purge")
    machine.ok("up", "--nodes", 2)
    running = machine.processes()
    assert len(running) == 2
    machine.ok("up")
    machine.ok("up", "--nodes", 2)
    assert machine.processes() == running
    machine.ok("down")
    machine.ok("down")
    assert machine.processes() == set()
    machine.ok("down", "--purge")
    machine.ok("down", "--purge")
    assert not machine.home.exists()


def test_data_survives_down_and_up_and_not_purge(machine: Machine) -> None:
    machine.ok("up")
    addresses = machine.ok("config")
    assert len(addresses.splitlines()) == 3
    machine.ok("cp", "-", "s4://b/x", stdin=b"value")
    machine.ok("down")
    assert machine.s4("health").returncode == 1
    text = machine.refused("ls", status=3)
    assert text == "s4: the cluster of `s4 up` is stopped: start it with `s4 up`\n"
    machine.ok("up")
    assert machine.ok("config") == addresses
    assert machine.ok("health") == "".join(f"healthy: {line}\n" for line in addresses.splitlines())
    assert machine.ok("cp", "s4://b/x", "-") == "value"
    machine.ok("down", "--purge")
    machine.ok("up", "--nodes", 1)
    assert machine.s4("ls").returncode == 1


def test_another_number_of_nodes_is_refused(machine: Machine) -> None:
    machine.ok("up", "--nodes", 2)
    assert "2 nodes" in machine.refused("up", "--nodes", 3)
    for number in ("0", "x", "-1"):
        machine.refused("up", f"--nodes={number}", status=2)
    assert len(machine.ok("config").splitlines()) == 2


def test_up_starts_again_what_was_killed(machine: Machine) -> None:
    machine.ok("up", "--nodes", 2)
    before = machine.processes()
    victim = psutil.Process(min(before))
    victim.kill()
    psutil.wait_procs([victim], timeout=10)
    machine.ok("up")
    assert len(machine.processes()) == 2
    assert len(machine.processes() & before) == 1


def test_nodes_on_one_machine_share_its_cores(machine: Machine) -> None:
    machine.ok("up", "--nodes", 2)
    machine.ok("cp", "-", "s4://in/0_a", stdin=b"")
    for name in ("0_b", "0_c", "0_d"):
        machine.ok("cp", "-", f"s4://in/{name}", stdin=b"")
    machine.ok("map", "s4://in/", "s4://out/", "a=$(date +%s%N); sleep 0.2; echo $a $(date +%s%N)")
    lines = [machine.ok("cp", f"s4://out/0_{name}", "-").split() for name in "abcd"]
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert most_at_once((int(start), int(end)) for start, end in lines) == min(4, share)


def test_a_conf_of_the_users_comes_first(machine: Machine) -> None:
    machine.ok("up", "--nodes", 1)
    own = machine.ok("config")
    (machine.folder / ".s4.conf").write_text("127.0.0.1:1\n")
    assert machine.ok("config") == "127.0.0.1:1\n"
    machine.environment["S4_CONF_PATH"] = str(machine.home / "s4.conf")
    assert machine.ok("config") == own
    assert machine.ok("-c", machine.folder / ".s4.conf", "config") == "127.0.0.1:1\n"


def test_up_makes_a_key_that_later_commands_find_and_purge_removes(machine: Machine) -> None:
    machine.ok("up", "--nodes", 1)
    key = machine.home / "s4.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_bytes()
    machine.ok("cp", "-", "s4://b/x", stdin=b"x")
    assert machine.ok("eval", "s4://b/x", "s4 ls").endswith("PRE b/\n")
    assert "refuses a client without" in machine.refused("--key", "", "ls")
    machine.ok("down")
    machine.ok("up")
    assert key.read_bytes() == first
    machine.ok("down", "--purge")
    machine.ok("up", "--nodes", 1)
    assert key.read_bytes() != first


def test_up_uses_its_own_key_and_says_where_others_look(machine: Machine) -> None:
    other = machine.folder / "other.key"
    write_key(str(other))
    machine.environment["S4_KEY_PATH"] = str(other)
    done = machine.s4("up", "--nodes", 1)
    assert done.returncode == 0
    note = done.stderr.decode()
    assert note.startswith(f"note: other commands use {machine.home}/s4.conf and the key {other};")
    assert "refuses this cluster key" in machine.refused("ls")
    say = note.partition(" say ")[2].split()
    machine.ok(*say, "cp", "-", "s4://b/x", stdin=b"x")
    machine.ok("down")


def test_a_key_that_was_lost_is_made_anew_once_no_node_runs(machine: Machine) -> None:
    machine.ok("up", "--nodes", 1)
    (machine.home / "s4.key").unlink()
    assert "did not start" in machine.refused("up", status=3)
    machine.ok("down")
    machine.ok("up")
    machine.ok("health")


def test_keygen_makes_a_key_where_commands_look_for_it(machine: Machine) -> None:
    said = machine.ok("keygen")
    key = machine.folder / ".s4.key"
    assert str(key) in said
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert "File exists" in machine.refused("keygen")
    assert key.read_bytes() == before
    machine.ok("keygen", "--key", machine.folder / "named.key")
    assert (machine.folder / "named.key").read_bytes() != before


def test_a_key_that_others_can_read_is_refused(machine: Machine) -> None:
    machine.ok("up", "--nodes", 1)
    (machine.home / "s4.key").chmod(0o644)
    assert "chmod 600" in machine.refused("ls")
    machine.ok("down")
    assert "chmod 600" in machine.refused("up")
    (machine.home / "s4.key").chmod(0o600)
