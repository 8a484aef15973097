"""Kills at random instants of a map-to-n, each followed by `--resume`.

    python -m tests.trials.kill_points [--kills 500] [--seed N] [--clusters 2]

A run is hit by SIGKILL of a sender, a receiver or the client, at a random instant or at a random
named point, and then resumed: every second time at once, else when nothing is in doubt any more. The
end state must be that of an undisturbed run, byte for byte; no command is run again for an input
that was complete, and nothing may be left over. A kill that comes after the end of its run does not
count. Prints what was under way when the kills came. Exit status 1 where any end state differs.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from s4zmq.errors import S4Error

from ..cluster.kit import make_tree, values
from ..faults.kit import INPUTS, SPLIT, partial, split_makes
from ..harness import Cluster, Node, wait_until, without_progress

POINTS = (
    "task.starting",
    "task.ran",
    "shipment.sent",
    "shipment.staged",
    "shipment.committed-here",
    "shipment.committed",
    "shipment.done",
    "staging.staged",
    "staging.committing",
    "staging.linked",
    "staging.committed",
    "staging.settling",
    "inbox.wrote",
)
VICTIMS = ("node", "node", "client")
LONGEST_RUN_S = 60.0


class Hit(NamedTuple):
    """One kill that came in time."""

    victim: str
    phase: str
    """What the run had come to, or the point at which a node was killed."""

    resume_s: float


class Trial:
    """One cluster, hit again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._round = 0
        self._expected = split_makes(INPUTS)
        self._log = folder / "log"
        self._command = f'{SPLIT}; echo "$S4_KEY" >> {self._log}'
        self.missed = 0
        self.cluster = Cluster(folder)

    def prepare(self) -> None:
        """Start the nodes, and put the inputs."""
        self.cluster.start()
        self.cluster.ok("cp", "-r", make_tree(self._folder / "in", INPUTS), "s4://in/")

    def hit(self) -> Hit:
        """Kill once within a run, resume it, and compare. Raises AssertionError."""
        while True:
            found = self._at_a_point() if self._random.random() < 0.5 else self._at_an_instant()
            if found:
                victim, phase = found
                return Hit(victim, phase, self._resume())
            self.missed += 1
            self._clean()

    def _at_a_point(self) -> tuple[str, str] | None:
        point, node = self._random.choice(POINTS), self._random.choice(self.cluster.nodes)
        node.stop()
        node.start(f"{point}:{self._random.randint(1, 8)}")
        self.cluster.wait_healthy()
        job = self._start()
        until = time.monotonic() + LONGEST_RUN_S
        while job.poll() is None and not node.is_stopped and time.monotonic() < until:
            time.sleep(0.005)  # between two looks at the state
        reached = node.is_stopped and job.poll() is None
        kills_client = reached and self._random.random() < 0.25
        if kills_client:
            job.kill()
        node.kill()
        node.start()
        self._end(job)
        if not reached:
            return None
        return "client and node" if kills_client else "node", point

    def _at_an_instant(self) -> tuple[str, str] | None:
        victim, node = self._random.choice(VICTIMS), self._random.choice(self.cluster.nodes)
        job = self._start()
        time.sleep(self._random.uniform(0.0, 0.6))  # the instant
        if job.poll() is not None:
            self._end(job)
            return None
        phase = self._phase()
        if victim == "client":
            job.kill()
        else:
            node.kill()
        is_in_time = job.poll() != 0
        if victim == "node":
            node.start()
        self._end(job)
        is_in_time = is_in_time and job.returncode != 0
        return (victim, phase) if is_in_time else None

    def _phase(self) -> str:
        """How far the run is, by what lies on the disks."""
        visible = sum(len(keys_on(node)) for node in self.cluster.nodes)
        if not visible:
            begun = any(list((node.data / "runs").iterdir()) for node in self.cluster.nodes)
            return "before the first output" if begun else "before the first command"
        return "between outputs" if visible < len(self._expected) else "after the last output"

    def _start(self) -> subprocess.Popen[bytes]:
        return self.cluster.start_s4("map-to-n", "s4://in/", "s4://out/", self._command)

    def _end(self, job: subprocess.Popen[bytes]) -> None:
        _, stderr = job.communicate(timeout=LONGEST_RUN_S)
        assert b"Traceback" not in stderr, stderr
        said = without_progress(stderr)
        assert (job.returncode == 0) == (not said) or job.returncode < 0, (job.returncode, stderr)

    def _resume(self) -> float:
        self.cluster.wait_healthy()
        complete = self._settled() if self._random.random() < 0.5 else set()
        self._log.unlink(missing_ok=True)
        before = time.monotonic()
        words = ("map-to-n", "--resume", "s4://in/", "s4://out/", self._command)
        done = self.cluster.s4(*words, timeout_s=LONGEST_RUN_S)
        if done.returncode == 3:  # who is told that it may help to try again does so
            done = self.cluster.s4(*words, timeout_s=LONGEST_RUN_S)
        assert (done.returncode, done.stderr) == (0, b""), done
        took_s = time.monotonic() - before
        self._round += 1
        assert values(self.cluster, self._folder / f"out-{self._round}", "s4://out/") == self._expected
        self.cluster.assert_no_leftovers()
        assert not partial(self.cluster)
        again = self._log.read_text().split() if self._log.exists() else []
        assert not complete.intersection(again), "a complete input was run again"
        self._clean()
        return took_s

    def _settled(self) -> set[str]:
        """The inputs that are complete, once no task is in doubt any more."""
        self.cluster.assert_no_leftovers()
        assert not partial(self.cluster)
        return {
            key.rpartition("/")[0].replace("s4://out/", "s4://in/") for key in self.cluster.keys("out/")
        }

    def _clean(self) -> None:
        def is_clean() -> bool:
            try:
                self.cluster.wait_healthy()
                self.cluster.ok("rm", "-r", "s4://out/")
                self.cluster.assert_no_leftovers()
                return not self.cluster.keys("out/")
            except S4Error:
                return False

        wait_until(is_clean, "the cluster to be as it was", LONGEST_RUN_S)


def keys_on(node: Node) -> list[Path]:
    """Outputs that are visible on one node's disk."""
    return [path for path in node.path_of("s4://out").rglob("*") if path.is_file()]


def run_some(folder: Path, seed: int, kills: int) -> tuple[list[Hit], int]:
    """(hits, kills that came too late) of one cluster."""
    trial = Trial(folder, seed)
    hits = []
    try:
        trial.prepare()
        for number in range(kills):
            hits.append(trial.hit())
            print(f"{folder.name} {number + 1}: {hits[-1]}", flush=True)
    finally:
        trial.cluster.stop()
    return hits, trial.missed


def report(hits: list[Hit], missed: int, seed: int, seconds: float) -> None:
    """The histogram."""
    print(f"seed {seed}: {len(hits)} kills during map-to-n, {len(hits)} end states equal, {seconds:.0f} s")
    print(f"not counted: {missed} runs that had ended before the kill, or never came to their point")
    for (victim, phase), count in sorted(Counter((hit.victim, hit.phase) for hit in hits).items()):
        print(f"{count:>6}  {victim:<16} {phase}")
    times = sorted(hit.resume_s for hit in hits)
    print(f"--resume took {times[len(times) // 2]:.1f} s at the median, {times[-1]:.1f} s at most")


def main() -> int:
    """Run the trial; its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--clusters", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int.from_bytes(random.randbytes(4), "big"))
    options = parser.parse_args()
    shares = [options.kills // options.clusters] * options.clusters
    shares[0] += options.kills - sum(shares)
    before = time.monotonic()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.clusters) as pool:
        runs = []
        for number, kills in enumerate(shares):
            place = Path(folder) / f"cluster-{number}"
            place.mkdir()
            runs.append(pool.submit(run_some, place, options.seed + number, kills))
        results = [run.result() for run in runs]
    hits = [hit for found, _ in results for hit in found]
    report(hits, sum(missed for _, missed in results), options.seed, time.monotonic() - before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
