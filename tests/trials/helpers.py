"""Processes of a flood trial: the flooder, the honest client and the one that only burns time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from s4zmq import wire
from s4zmq.errors import S4Error

from ..harness import Cluster, Node
from .flooder import Orders
from .gauge import cpu_seconds
from .honest import Slice

_REPO = Path(__file__).parents[2]


@contextmanager
def python(module: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module of this folder in a process of its own, which is killed at the end."""
    argv = [sys.executable, "-m", f"{__package__}.{module}", *args]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_REPO)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


class Honest:
    """The honest client, at work as long as the context is open."""

    def __init__(self, cluster: Cluster, node: Node, slice_s: float) -> None:
        self._context = python("honest", str(cluster.conf), cluster.key_path, node.address, str(slice_s))
        self._slices: list[Slice] = []

    def __enter__(self) -> Honest:
        process = self._context.__enter__()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._context.__exit__(*exc)

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            self._slices.append(Slice(*json.loads(line)))

    def slices(self, since: float, until: float) -> list[Slice]:
        """Those that lie between two times of the monotonic clock, or overlap, where none lies there."""
        inside = [s for s in self._slices if s.started_at >= since and s.ended_at <= until]
        return inside or [s for s in self._slices if s.ended_at > since and s.started_at < until]

    def wait_for(self, count: int, since: float) -> None:
        """Until so many slices have begun and ended after `since`."""
        while sum(s.started_at >= since for s in self._slices) < count:
            time.sleep(0.05)


class Flood:
    """One flood: what it cost, how long it took, what was sent."""

    def __init__(self, orders: Orders) -> None:
        """Runs it to its end; with a key in the orders by a member, else by a stranger."""
        self.started_at = time.monotonic()
        with python("member" if orders.key else "flooder") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(orders._asdict()).encode())
            process.stdin.close()
            used_s = 0.0
            while not _has_ended(process.pid):
                used_s = cpu_seconds(process.pid)
                time.sleep(0.05)
            self.counts: dict[str, Any] = json.load(process.stdout)
        self.ended_at = time.monotonic()
        self.seconds = self.ended_at - self.started_at
        self.cores = used_s / self.seconds


def _has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def data_port(cluster: Cluster, node: Node) -> int:
    """Where a node's data socket listens, as it tells whoever opens a transfer."""
    replies: list[Any] = []
    number = cluster.nodes.index(node)
    with cluster.client() as client:
        message = wire.Open(f"s4://absurd/{number}_port", 1, True, os.urandom(16))
        client.courier.request(node.address, message, lambda reply, _: replies.append(reply), resend=False)
        client.courier.run_until(lambda: bool(replies))
        client.end_session()
    assert not isinstance(replies[0], S4Error), replies
    return int(replies[0].data.rpartition(":")[2])
