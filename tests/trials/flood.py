"""A trial of the hostile wire: floods of nonsense against one node, and an honest client beside them.

    python -m tests.trials.flood [--messages 1000000] [--connections 10000] [--at-once 200] [--seed N]
                                 [--key]

With --key the cluster has one, and who floods holds it. Starts a throw-away cluster on loopback, and ends
with status 1 where the node did not keep what is
promised: it stays up, memory and descriptors return to where they were, no honest value is wrong, and
an honest client gets at least half of what it gets beside a process that costs the machine as much as
the flooder does and leaves the node alone. Floods and such times alternate, so that whatever else the
machine does meanwhile hits both. Before, the node has met a request for S3, as there are some in the
flood: it keeps the library for that, some 30 MiB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from s4zmq import wire
from s4zmq.errors import S4Error
from s4zmq.limits import STUCK_AT_REST

from ..harness import Cluster
from .flooder import Orders
from .gauge import Held, Peak, cpu_seconds, held_by
from .helpers import Flood, Honest, data_port, python
from .honest import Slice

BURSTS = 5
SLICE_S = 1.5
SLICES_LEAST = 3
LIMIT_S = 300.0
"""However slow the node is, a burst ends."""
RETURN_S = 30.0
"""How long after the flood the node may take to give back what it held."""
MEMORY_SLACK_KIB = 12 << 10
"""What the heap may have grown by: pages that something small keeps."""
DESCRIPTORS_SLACK = 2 * STUCK_AT_REST
"""Fewer stuck connections of either socket are left alone, as each client would have to dial anew."""
SHARE_LEAST = 0.5


class Pair(NamedTuple):
    """Median rates of the honest client: during a flood, and beside its cost alone."""

    during: float
    beside: float


class Trial:
    """One run against one cluster."""

    def __init__(self, cluster: Cluster, args: argparse.Namespace) -> None:
        self._cluster = cluster
        self._args = args
        self._node = cluster.nodes[0]
        self._problems: list[str] = []
        self._kinds: Counter[str] = Counter()
        self._peers: Counter[str] = Counter()

    def run(self) -> list[str]:
        """Print what happens; what went wrong."""
        self._load_s3()
        with Honest(self._cluster, self._node, SLICE_S) as honest:
            since = time.monotonic()
            honest.wait_for(SLICES_LEAST, since)
            idle = self._median("on an idle machine", honest.slices(since, time.monotonic()))
        before = self._settled()
        say("node before", before)
        with Peak(self._node.process.pid) as peak, Honest(self._cluster, self._node, SLICE_S) as honest:
            pairs = [self._burst(number, honest) for number in range(BURSTS)]
        say("node at the worst moment", peak.held)
        say("node after", self._after(before))
        for what, counts in (("kinds", self._kinds), ("peers", self._peers)):
            say(what, ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
        self._judge(idle, pairs)
        return self._problems

    def hit(self) -> list[str]:
        """One flood alone, and what the node holds after it; what went wrong."""
        self._load_s3()
        with Honest(self._cluster, self._node, SLICE_S) as honest:
            honest.wait_for(1, time.monotonic())  # a node that has worked holds more than a new one
        before = self._settled()
        with Honest(self._cluster, self._node, SLICE_S) as honest:
            honest.wait_for(1, time.monotonic())
            flood = Flood(self._orders(0))
            honest.wait_for(1, flood.ended_at)
            self._median("with the flood", honest.slices(flood.started_at, flood.ended_at))
        say("node after", self._after(before))
        return self._problems

    def _burst(self, number: int, honest: Honest) -> Pair:
        pid = self._node.process.pid
        honest.wait_for(1, time.monotonic())
        cpu_before_s = cpu_seconds(pid)
        flood = Flood(self._orders(number))
        node_cores = (cpu_seconds(pid) - cpu_before_s) / flood.seconds
        counts = flood.counts
        self._kinds.update(counts["kinds"])
        self._peers.update(counts["peers"])
        say(
            f"flood {number + 1}",
            f"{counts['messages']:,} messages over {counts['connections']:,} connections in"
            f" {flood.seconds:.0f} s, {counts['cut off']:,} cut off; flooder {flood.cores:.2f} cores,"
            f" node {node_cores:.2f}",
        )
        honest.wait_for(1, flood.ended_at)
        during = self._median("  during it", honest.slices(flood.started_at, flood.ended_at))
        with python("burner", f"{flood.cores:.3f}"):
            since = time.monotonic()
            honest.wait_for(max(SLICES_LEAST, round(flood.seconds / SLICE_S)), since)
            beside = self._median("  beside its cost alone", honest.slices(since, time.monotonic()))
        return Pair(during, beside)

    def _orders(self, number: int) -> Orders:
        return Orders(
            self._node.port,
            data_port(self._cluster, self._node),
            self._cluster.config.roster.digest.hex(),
            self._args.messages // BURSTS,
            self._args.connections // BURSTS,
            self._args.at_once,
            self._args.seed + number,
            LIMIT_S,
            self._cluster.key_path,
        )

    def _median(self, when: str, slices: list[Slice]) -> float:
        for slice in slices:
            self._problems += [f"honest client {when.strip()}: {error}" for error in slice.errors[:3]]
        rates = [slice.values_a_second for slice in slices]
        median = statistics.median(rates)
        say(
            f"{when}, an honest client puts, gets and removes",
            f"{median:,.0f} values/s, median of {len(rates)} slices"
            f" ({min(rates):,.0f} .. {max(rates):,.0f})",
        )
        return median

    def _load_s3(self) -> None:
        with self._cluster.client() as client, suppress(S4Error):
            request = wire.StageIn("text", "", "s4://absurd/", False, False, True)
            client.courier.ask(self._node.address, request, resend=False)

    # -- what is left

    def _settled(self) -> Held:
        """What an idle node holds that has worked before."""
        self._cluster.assert_no_leftovers()
        time.sleep(2)  # memory is given back at the next tick
        return held_by(self._node.process.pid)

    def _after(self, before: Held) -> Held:
        """What the node holds once it had time to give back."""
        try:
            self._cluster.assert_no_leftovers()
        except AssertionError as error:
            self._problems.append(str(error))
        if not self._node.is_running:
            return Held(0, 0)
        until = time.monotonic() + RETURN_S
        while True:
            after = held_by(self._node.process.pid)
            is_grown = after.anonymous_kib - before.anonymous_kib > MEMORY_SLACK_KIB
            if not is_grown and after.descriptors - before.descriptors <= DESCRIPTORS_SLACK:
                return after
            if time.monotonic() > until:
                self._problems.append(f"the node kept {after}; it had {before}")
                return after
            time.sleep(0.2)  # between two looks

    def _judge(self, idle: float, pairs: list[Pair]) -> None:
        share = statistics.median(pair.during / pair.beside for pair in pairs)
        during = statistics.median(pair.during for pair in pairs)
        say(
            "honest throughput during a flood",
            f"{share:.0%} of that beside the flooder's cost alone, by which it is judged (median of"
            f" {len(pairs)} pairs: {', '.join(f'{pair.during / pair.beside:.0%}' for pair in pairs)});"
            f" {during / idle:.0%} of that on an idle machine",
        )
        if share < SHARE_LEAST:
            self._problems.append(f"honest throughput fell below {SHARE_LEAST:.0%}")


def say(what: str, value: object) -> None:
    """One line of the report."""
    print(f"{what}: {value}", flush=True)


def main() -> int:
    """Run the trial; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.trials.flood")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=200, help="connections at the same time")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--key", action="store_true", help="who floods holds the cluster key")
    args = parser.parse_args()
    say("seed", args.seed)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), nodes=2, has_key=args.key)
        try:
            cluster.start()
            problems = Trial(cluster, args).run()
            say("node is up", cluster.nodes[0].is_running)
            log = cluster.nodes[0].log
        finally:
            cluster.stop()
    say("node's log", f"{log.count(chr(10))} lines, {log.count('Traceback')} tracebacks")
    if "Traceback" in log or "Assertion" in log:
        problems.append("the log:\n" + log[-3000:])
    for problem in problems:
        say("FAILED", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
