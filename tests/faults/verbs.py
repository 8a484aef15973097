"""What the tests of faults share: every verb at once, and the deadlines of the contract."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ..cluster.kit import is_gone, make_tree, put_tree, some_bytes, transfers_open
from ..harness import Cluster, Node, wait_until, without_progress

FAILS_WITHIN_S = 13.0
"""A node that is down, hung or cut off fails a request within 10 s; the rest is for a small machine on
which three tests run at once."""
ENDS_WITHIN_S = 13.0
"""So do the commands of a client that has gone."""
HEALTH_WITHIN_S = 2.0
SMALL = b"small\n"
LARGE = some_bytes(3 << 20)
Words = Sequence[object]


class Ended(NamedTuple):
    """How one command line ended."""

    status: int
    stdout: bytes
    stderr: str


class Requests:
    """Command lines that run at once, by a name for messages."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._words: dict[str, Words] = {}

    def start(self, name: str, *words: object) -> subprocess.Popen[bytes]:
        self._words[name] = words
        self._running[name] = self._cluster.start_s4(*words)
        return self._running[name]

    def start_all(self, requests: Mapping[str, Words]) -> None:
        for name, words in requests.items():
            self.start(name, *words)

    def end(self, within_s: float = FAILS_WITHIN_S) -> dict[str, Ended]:
        """All of them, which must end in time."""
        until, ended = time.monotonic() + within_s, {}
        for name, process in self._running.items():
            try:
                stdout, stderr = process.communicate(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{name} has not ended after {within_s:g} s") from None
            ended[name] = Ended(process.returncode, stdout, without_progress(stderr).decode())
        return ended

    def send(self, signum: int) -> None:
        """A signal to each."""
        for process in self._running.values():
            process.send_signal(signum)

    def running(self) -> set[str]:
        """The names of those that have not ended."""
        return {name for name, process in self._running.items() if process.poll() is None}

    def must_succeed(self, within_s: float = 30.0) -> None:
        for name, ended in self.end(within_s).items():
            assert (ended.status, ended.stderr) == (0, ""), (name, ended)

    def must_name(self, *nodes: Node, within_s: float = FAILS_WITHIN_S) -> None:
        """Each fails in time with one clear error that names one of the nodes; trying again may help."""
        for name, ended in self.end(within_s).items():
            assert ended.status == (255 if self._words[name][0] == "eval" else 3), (name, ended)
            assert ended.stderr.startswith("s4: "), (name, ended)
            assert ended.stderr.count("\n") == 1, (name, ended)
            assert any(node.address in ended.stderr for node in nodes), (name, ended)

    def start_half_a_put(self, key: str) -> IO[bytes]:
        """A large value of which half has come, and the pipe that it comes from."""
        process = self.start("half a put", "cp", "-", key)
        pipe, process.stdin = process.stdin, None  # else waiting for its end would close it
        assert pipe
        pipe.write(LARGE)
        pipe.flush()
        wait_until(lambda: transfers_open(self._cluster) > 0, "the put to begin")
        return pipe

    def start_half_a_get(self, key: str) -> None:
        """A value that is larger than all pipes and windows, of which nobody reads more than the start."""
        process = self.start("half a get", "cp", key, "-")
        assert process.stdout
        assert process.stdout.read(1)

    def kill(self) -> None:
        for process in self._running.values():
            process.kill()
            process.communicate()


def fill(cluster: Cluster, folder: Path) -> None:
    """A small and a large key on each of three nodes in `s4://b/`, and inputs in `s4://in/`."""
    tree = {f"{number}_{size}": value for number in range(3) for size, value in SIZES.items()}
    put_tree(cluster, folder / "filled", "s4://b/", tree)
    put_tree(cluster, folder / "inputs", "s4://in/", {f"{number}_x": SMALL for number in range(3)})


SIZES = {"small": SMALL, "large": LARGE}


def every_verb(folder: Path, round: str) -> dict[str, Words]:
    """A request of each kind that needs node 1, on what `fill` has made. `round` makes names that no
    other call has used."""
    files = make_tree(folder / round, {f"{number}_{size}": SIZES[size] for number, size in PLACES})
    new, out = f"s4://new-{round}", folder / f"out-{round}"
    return {
        "put small": ["cp", files / "1_small", f"{new}/one/"],
        "put large": ["cp", files / "1_large", f"{new}/one/"],
        "put folder": ["cp", "-r", files, f"{new}/all/"],
        "get small": ["cp", "s4://b/1_small", out / "small"],
        "get large": ["cp", "s4://b/1_large", out / "large"],
        "get folder": ["cp", "-r", "s4://b/", out / "all"],
        "ls": ["ls", "s4://b/"],
        "rm dry": ["rm", "--dry-run", "s4://b/1_small"],
        "rm folder": ["rm", "-r", "s4://nothing/"],
        "eval": ["eval", "s4://b/1_small", "wc -c"],
        **every_map(f"s4://map-{round}"),
    }


PLACES = [(number, size) for number in range(3) for size in SIZES]


def every_map(outdir: str, command: str = "cat > 0_y; cp 0_y 1_y; cp 0_y 2_y; ls") -> dict[str, Words]:
    """A job of each kind over `s4://in/`. Four at once on a node: none shall wait for another."""
    return {
        kind: [kind, "--jobs", 4, "s4://in/", f"{outdir}/{kind}/", command]
        for kind in ("map", "map-to-n", "map-from-n")
    }


def assert_others_are_usable(cluster: Cluster, round: str) -> None:
    """Keys of nodes 0 and 2, while node 1 is in trouble."""
    for number in (0, 2):
        assert cluster.ok("cp", f"s4://b/{number}_large", "-") == LARGE
        cluster.ok("cp", "-", f"s4://others-{round}/{number}_x", stdin=LARGE)
        assert cluster.ok("eval", f"s4://others-{round}/{number}_x", "wc -c") == b"%d\n" % len(LARGE)
        cluster.ok("rm", f"s4://others-{round}/{number}_x")


def assert_health_names(cluster: Cluster, *sick: Node) -> None:
    """`s4 health` within 2 s: exit 1, and the sick nodes by name."""
    lines = [f"{'unhealthy' if node in sick else 'healthy'}: {node.address}" for node in cluster.nodes]
    took_s = []
    for _ in range(3):
        begun = time.monotonic()
        done = cluster.s4("health")
        took_s.append(time.monotonic() - begun)
        assert (done.returncode, done.stdout.decode().splitlines()) == (1, lines), done
        if took_s[-1] < HEALTH_WITHIN_S:
            return
    raise AssertionError(f"the best of three, as a busy machine is slow to start a process: {took_s}")


def wait_gone(pids: Sequence[int]) -> None:
    """Until none of these processes runs, in time."""
    wait_until(lambda: all(map(is_gone, pids)), f"processes {pids} to end", ENDS_WITHIN_S)


def command_pids(cluster: Cluster) -> list[int]:
    """Every process that runs for commands of users now, on all nodes."""
    return [child.pid for node in cluster.nodes for child in node.children()]


def is_arriving(cluster: Cluster) -> bool:
    """Whether large values are on their way to a node."""
    return transfers_open(cluster) > 0
