"""Real clusters for tests: node processes on loopback, driven through the real command line."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from s4zmq.clusterkey import write_key
from s4zmq.config import Config, load_config
from s4zmq.errors import S4Error
from s4zmq.session import Session

BIN = Path(sys.executable).parent
START_S = 30.0
LEFTOVERS_S = 12.0


def without_progress(stderr: bytes) -> bytes:
    """What a command line has said, but for how far it is, and the summary of a map: whatever takes more
    than some seconds tells that, and on a busy machine anything may."""
    return _PROGRESS.sub(b"", stderr)


_PROGRESS = re.compile(
    rb"^s4: [a-z-]+: ([0-9]+ (of [0-9]+ )?(key|group)s?, |slowest: |skew: |no command printed ).*\n",
    re.M,
)


def wait_until(is_so: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    """Wait for a state; fails with `what` it was waiting for."""
    until = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > until:
            raise AssertionError(f"timed out after {timeout_s:g} s waiting for {what}")
        time.sleep(0.01)  # between two looks at the state


class Port:
    """A port of the kernel's choice, held until the test ends. A socket that is bound but does not
    listen lets the node bind the same port, and keeps the kernel from giving it to anyone else."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, 0))
        self.number = int(self._socket.getsockname()[1])

    def release(self) -> None:
        self._socket.close()


class Node:
    """One node process."""

    def __init__(
        self, cluster: Cluster, address: str, options: Sequence[str] = (), inside: Sequence[str] = ()
    ) -> None:
        """`inside` begins the command line of a node that is to run in a place of its own."""
        self.address = address
        self.port = int(address.rpartition(":")[2])
        self.folder = cluster.folder / f"node-{address.replace(':', '-')}"
        self.data = self.folder / "data"
        self._conf, self._key_path = str(cluster.conf), cluster.key_path
        self._variables = cluster.variables
        self._options = list(options)
        self._inside = list(inside)
        self._process: subprocess.Popen[bytes] | None = None
        self._stops_itself = False
        self.folder.mkdir()

    def start(self, stop_at: str = "", key_path: str | None = None) -> None:
        """Start it; with `stop_at` it stops itself at that point, see `s4zmq.points`. `key_path`: of
        another key than the cluster's."""
        find = ("--conf", self._conf, "--key", self._key_path if key_path is None else key_path)
        argv = [str(BIN / "s4-node"), *find, "--port", str(self.port)]
        self._stops_itself = bool(stop_at)
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._inside, *argv, "--data", str(self.data), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self._variables, "S4_STOP_AT": stop_at},
                start_new_session=True,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the node was never started"
        return self._process

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    @property
    def is_as_started(self) -> bool:
        """Whether it runs, and will go on until somebody ends it."""
        return self.is_running and not self._stops_itself and not self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it, as SIGSTOP does."""
        return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    def mend(self) -> None:
        """Whatever a test has left: it runs, and will not stop itself."""
        if self.is_running and self._stops_itself:
            self.kill()
        if not self.is_running:
            self.start()
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, wait; its exit status."""
        if not self.is_running:
            return self.process.returncode
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def path_of(self, key: str) -> Path:
        """Where `s4://…` lies on this node's disk."""
        return self.data / "keys" / key.removeprefix("s4://")

    def unfinished(self) -> list[str]:
        """What lies in the node's folder for unfinished things."""
        return sorted(os.listdir(self.data / "tmp"))

    def nameless(self) -> list[str]:
        """Files without a name that the node has open: they hold space until they are closed."""
        links = []
        for fd in Path(f"/proc/{self.process.pid}/fd").iterdir() if self.is_running else ():
            with suppress(FileNotFoundError):
                links.append(os.readlink(fd))
        return [link for link in links if link.startswith(str(self.data)) and link.endswith(" (deleted)")]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True) if self.is_running else []


class Cluster:
    """Some nodes, their conf file, and the command line that speaks to them."""

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        options: Sequence[str] = (),
        *,
        has_key: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`variables` are in the environment of the nodes, and of nobody else."""
        self.folder = folder
        self.variables = dict(variables or {})
        self.conf = folder / "s4.conf"
        self.key_path = str(folder / "s4.key") if has_key else ""
        if has_key:
            write_key(self.key_path)
        self._ports: list[Port] = []
        self.nodes = [self.make_node(number, options) for number in range(nodes)]
        self.conf.write_text("".join(f"{node.address}\n" for node in self.nodes))
        self.environment = {
            **os.environ,
            "S4_CONF_PATH": str(self.conf),
            "S4_KEY_PATH": self.key_path,
            "AWS_EC2_METADATA_DISABLED": "true",  # who is asked for S3 does not look for it beyond loopback
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def make_node(self, number: int, options: Sequence[str]) -> Node:
        """Node `number` of the conf file, not started yet."""
        port = Port()
        self._ports.append(port)
        return Node(self, f"127.0.0.1:{port.number}", options)

    @property
    def config(self) -> Config:
        return load_config(str(self.conf), self.key_path)

    def start(self) -> None:
        for node in self.nodes:
            if not node.is_running:
                node.start()
        self.wait_healthy()

    def mend(self) -> None:
        """A test that failed half-way may have left nodes stopped, dead, or about to stop themselves."""
        if not all(node.is_as_started for node in self.nodes):
            for node in self.nodes:
                node.mend()
            self.wait_healthy()
            self.remove_all_keys()

    def wait_healthy(self) -> None:
        wait_until(lambda: all(self.health()), "all nodes to be healthy", START_S)

    def health(self) -> list[bool]:
        for node in self.nodes:
            assert node.is_running, f"node {node.address} ended:\n{node.log}"
        with Session(self.config) as client:
            return [health.is_healthy for health in client.health()]

    def stop(self) -> None:
        for node in self.nodes:
            if node.is_running:
                node.stop()
        for port in self._ports:
            port.release()

    # -- the command line

    def s4(
        self,
        *words: object,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout_s: float = 30.0,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `s4 WORDS` to its end, whatever its status. Lines of progress are left out of its stderr."""
        done = subprocess.run(
            [str(BIN / "s4"), *map(str, words)],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env=self.environment,
            timeout=timeout_s,
            check=False,
        )
        done.stderr = without_progress(done.stderr)
        return done

    def ok(self, *words: object, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        """Run `s4 WORDS`, which must succeed without a word on stderr; its stdout."""
        done = self.s4(*words, stdin=stdin, cwd=cwd)
        assert (done.returncode, done.stderr) == (0, b""), (words, done)
        return done.stdout

    def refused(self, *words: object, stdin: bytes = b"", status: int = 1) -> str:
        """Run `s4 WORDS`, which must fail with `status` and one clear error; its stderr."""
        done = self.s4(*words, stdin=stdin)
        text = done.stderr.decode()
        assert done.returncode == status, (words, done)
        assert text.startswith("s4: "), text
        assert "Traceback" not in text
        return text

    def bash(self, script: str, cwd: Path | None = None) -> str:
        """A script in which `s4` is ours; its stdout. It must succeed."""
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=self.environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def start_s4(self, *words: object, **kwargs: object) -> subprocess.Popen[bytes]:
        """`s4 WORDS` in the background, its streams as pipes."""
        return subprocess.Popen(
            [str(BIN / "s4"), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )

    def keys(self, prefix: str = "") -> list[str]:
        """Full text of all keys that start with bucket/dir/..., sorted."""
        with self.client() as client:
            return [f"s4://{path}" for path, _, _ in client.list_keys(prefix, recursive=True)]

    @contextmanager
    def client(self) -> Iterator[Session]:
        with Session(self.config) as client:
            yield client

    def owner(self, name: str) -> Node:
        """The node that holds keys called `name`."""
        address = self.config.roster.owner(name)
        return next(node for node in self.nodes if node.address == address)

    # -- leaving nothing

    def leftovers(self) -> dict[str, object]:
        """Whatever running nodes hold though no client has work for them."""
        found: dict[str, object] = {}
        with self.client() as client:
            counts = client.stats()
        for node in self.nodes:
            held = {what: count for what, count in counts[node.address].items() if count}
            children = [child.cmdline() for child in node.children()]
            files = node.unfinished() + node.nameless()
            if held or children or files:
                found[node.address] = (held, children, files)
        return found

    def assert_no_leftovers(self) -> None:
        """No temporary file, process, transfer, job or session, at the latest some seconds later."""
        until = time.monotonic() + LEFTOVERS_S
        while True:
            try:
                found = self.leftovers()
            except (S4Error, psutil.NoSuchProcess) as exc:
                found = {"not to be asked": exc}
            if not found:
                return
            assert time.monotonic() < until, f"left over: {found}"
            time.sleep(0.02)  # between two looks at the state

    def remove_all_keys(self) -> None:
        with self.client() as client:
            buckets = [path for path, _, _ in client.list_keys("", recursive=False)]
            for bucket in buckets:
                client.delete_below(bucket)
