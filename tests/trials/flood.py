"""A trial of the hostile wire: a flood of nonsense against one node, and an honest client beside it.

    python -m tests.trials.flood [--messages 1000000] [--connections 10000] [--at-once 200] [--seed N]

Starts a throw-away cluster on loopback, and ends with status 1 where the node did not keep what is
promised: it stays up, memory and descriptors return to where they were, no honest value is wrong, and
an honest client gets at least half of what it gets beside a process of the flooder's CPU cost that
leaves the node alone.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s4zmq import wire
from s4zmq.errors import S4Error
from s4zmq.limits import STUCK_AT_REST

from ..harness import Cluster, Node
from .flooder import Orders
from .gauge import Held, Peak, cpu_seconds, held_by
from .honest import ROUND_VALUES, Slice

SLICES = 5
SLICE_S = 4.0
LIMIT_S = 900.0
"""However slow the node is, the flood ends."""
RETURN_S = 30.0
"""How long after the flood the node may take to give back what it held."""
MEMORY_SLACK_KIB = 12 << 10
"""What the heap may have grown by for good: pages that are kept by small things, not by connections."""
DESCRIPTORS_SLACK = STUCK_AT_REST
"""Of connections that ZeroMQ does not give back, so many may stay."""
SHARE_LEAST = 0.5
_REPO = Path(__file__).parents[2]


class Trial:
    """One run against one cluster."""

    def __init__(self, cluster: Cluster, args: argparse.Namespace) -> None:
        self._cluster = cluster
        self._args = args
        self._node = cluster.nodes[0]
        self._problems: list[str] = []

    def run(self) -> list[str]:
        """Print what happens; what went wrong."""
        idle = self._honest("alone, on an idle machine", SLICES)
        before = self._settled()
        say("node before the flood", before)
        during, cost = self._flood()
        after = self._after(before)
        beside = self._honest(
            f"beside a process that uses {cost:.2f} cores and leaves the node alone", SLICES, cost
        )
        say("node after the flood", after)
        share = during / beside if beside else 0.0
        say(
            "honest throughput during the flood",
            f"{share:.0%} of that beside the other process, {during / idle:.0%} of that on an idle machine;"
            " judged by the first",
        )
        if share < SHARE_LEAST:
            self._problems.append(f"honest throughput fell below {SHARE_LEAST:.0%}")
        return self._problems

    def hit(self) -> list[str]:
        """The flood alone, and what the node holds after it; what went wrong."""
        self._honest("before", 1)
        before = self._settled()
        self._flood()
        say("node after the flood", self._after(before))
        return self._problems

    # -- the flood

    def _flood(self) -> tuple[float, float]:
        """(median rounds/s of the honest client during it, cores that the flooder used)."""
        pid = self._node.process.pid
        orders = Orders(
            self._node.port,
            data_port(self._cluster, self._node),
            self._cluster.config.roster.digest.hex(),
            self._args.messages,
            self._args.connections,
            self._args.at_once,
            self._args.seed,
            LIMIT_S,
        )
        with Peak(pid) as peak, python("flooder") as flooder, self._client() as honest:
            started_at, cpu_before = time.perf_counter(), cpu_seconds(pid)
            assert flooder.stdin is not None
            flooder.stdin.write(json.dumps(orders._asdict()).encode())
            flooder.stdin.close()
            slices, used = self._slices_until(honest, flooder)
            seconds = time.perf_counter() - started_at
            assert flooder.stdout is not None
            counts = json.load(flooder.stdout)
            cost = used / seconds
            if self._node.is_running:
                node_cost = (cpu_seconds(pid) - cpu_before) / seconds
                rate = counts["messages"] / seconds
                costs = f"flooder {cost:.2f} cores, node {node_cost:.2f} cores"
                say("flood", f"{seconds:.0f} s, {rate:,.0f} messages/s, {costs}")
            else:
                say("flood", "the node died")
            self._tell(counts)
            say("node at the worst moment of the flood", peak.held)
        return self._note("during the flood", slices), cost

    def _slices_until(
        self, honest: subprocess.Popen[bytes], flooder: subprocess.Popen[bytes]
    ) -> tuple[list[Slice], float]:
        """The slices that were over before the flood was, and the flooder's CPU seconds."""
        slices: list[Slice] = []
        used = 0.0
        assert honest.stdout is not None
        while not _is_zombie(flooder.pid):
            used = cpu_seconds(flooder.pid)
            if select.select([honest.stdout], [], [], 0.1)[0]:
                slices.append(_read_slice(honest))
        return slices or [_read_slice(honest)], used

    def _tell(self, counts: dict[str, Any]) -> None:
        say(
            "sent",
            f"{counts['messages']:,} messages over {counts['connections']:,} connections,"
            f" {counts['cut off']:,} of which the node cut off",
        )
        for what in ("kinds", "peers"):
            say(f"  {what}", ", ".join(f"{name} {count:,}" for name, count in sorted(counts[what].items())))

    def _after(self, before: Held) -> Held:
        """What the node holds once it had time to give back."""
        try:
            self._cluster.assert_no_leftovers()
        except AssertionError as error:
            self._problems.append(str(error))
            if not self._node.is_running:
                self._problems.append("the node died")
                return Held(0, 0)
        until = time.monotonic() + RETURN_S
        while True:
            after = held_by(self._node.process.pid)
            grown = after.anonymous_kib - before.anonymous_kib > MEMORY_SLACK_KIB
            leaked = after.descriptors - before.descriptors > DESCRIPTORS_SLACK
            if not grown and not leaked:
                return after
            if time.monotonic() > until:
                self._problems.append(f"the node kept {after}, and had {before} before")
                return after
            time.sleep(0.2)

    def _settled(self) -> Held:
        """What an idle node holds that has worked before."""
        self._cluster.assert_no_leftovers()
        time.sleep(2)  # memory is given back at the next tick
        return held_by(self._node.process.pid)

    # -- the honest client

    def _honest(self, when: str, slices: int, cost: float = 0.0) -> float:
        """Median rounds/s, beside a process that uses `cost` cores."""
        with self._client() as honest, python("burner", str(cost)):
            return self._note(when, [_read_slice(honest) for _ in range(slices)])

    @contextmanager
    def _client(self) -> Iterator[subprocess.Popen[bytes]]:
        with python("honest", str(self._cluster.conf), self._node.address, str(SLICE_S)) as honest:
            yield honest

    def _note(self, when: str, slices: list[Slice]) -> float:
        for slice in slices:
            self._problems += [f"honest client {when}: {error}" for error in slice.errors[:3]]
        rates = [slice.rounds / slice.seconds for slice in slices]
        median = statistics.median(rates)
        say(
            f"honest client {when}",
            f"{median * ROUND_VALUES:,.0f} values/s put and got, median of {len(rates)} slices of"
            f" {SLICE_S:g} s"
            f" ({min(rates) * ROUND_VALUES:,.0f} .. {max(rates) * ROUND_VALUES:,.0f})",
        )
        return median


def say(what: str, value: object) -> None:
    """One line of the report."""
    print(f"{what}: {value}", flush=True)


@contextmanager
def python(module: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module of this folder in a process of its own; its stdin ends with the context."""
    argv = [sys.executable, "-m", f"{__package__}.{module}", *args]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_REPO)
    try:
        yield process
    finally:
        for pipe in (process.stdout, process.stdin):
            assert pipe is not None
            pipe.close()
        process.kill()
        process.wait()


def _read_slice(honest: subprocess.Popen[bytes]) -> Slice:
    assert honest.stdout is not None
    line = honest.stdout.readline()
    assert line, "the honest client ended"
    return Slice(**json.loads(line))


def _is_zombie(pid: int) -> bool:
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


def main() -> int:
    """Run the trial; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.trials.flood", description="see the module's docstring"
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    say("seed", args.seed)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), nodes=2)
        try:
            cluster.start()
            problems = Trial(cluster, args).run()
            log = cluster.nodes[0].log
        finally:
            cluster.stop()
    say("node's log", f"{log.count(chr(10))} lines, {log.count('Traceback')} tracebacks")
    if "Traceback" in log:
        problems.append("tracebacks in the log:\n" + log[log.index("Traceback") :][:3000])
    for problem in problems:
        say("FAILED", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
