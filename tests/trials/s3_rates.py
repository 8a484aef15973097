"""From S3 through a pipeline and back, on three nodes of this machine against rclone; what the client
costs, and how fast it is beside the AWS CLI.

    python -m tests.trials.s3_rates [--files 60] [--mb-per-file 3.4] [--distinct N] [--aws PATH-OF-AWS]

Bytes of the client are those of its sockets, from strace in a run of their own; without strace they are
not told. Changes nothing outside of a temporary folder.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import s4zmq.examples
from s4zmq.examples.make_taxi import make, months

from ..harness import BIN, Cluster
from ..s3.servers import Server, start_rclone, variables

EXAMPLES = Path(s4zmq.examples.__file__).parent
SENT_OR_RECEIVED = re.compile(r"\b(?:send|recv)\w*\(.* = (\d+)$", re.M)
PIPELINE = f"""
s4 map s4://csv/ s4://columns/ 'cut -d, -f1-5'
s4 map --file {EXAMPLES}/count_passengers.py s4://columns/ s4://counts/ 'python3 count_passengers.py'
s4 map-to-n s4://counts/ s4://together/ 'cat > counts && echo counts'
s4 map-from-n --file {EXAMPLES}/merge_counts.py s4://together/ s4://result/ \
    'xargs cat | python3 merge_counts.py | sort -t, -nrk2'
"""


class Run(NamedTuple):
    """What one process cost."""

    seconds: float
    peak_kb: int
    """The most memory that it held."""


def run(argv: Sequence[str], environment: dict[str, str]) -> Run:
    """Run it to its end, which must be good."""
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, peak_kb(process.pid))
        time.sleep(0.02)  # between two looks
    assert process.returncode == 0, argv
    return Run(time.monotonic() - start, peak)


def peak_kb(pid: int) -> int:
    """0 for a process that has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


class Trial:
    """A cluster, an S3 with files in it, and a table that grows."""

    def __init__(self, folder: Path, cluster: Cluster, server: Server, size: int) -> None:
        self.folder = folder
        self.cluster = cluster
        self.server = server
        self.size = size

    def tell(self, what: str, done: Run, size: int, sockets: str = "") -> None:
        rate = f"{size / done.seconds / 1e6:7.1f} MB/s" if size else ""
        memory = f"{done.peak_kb / 1024:6.1f} MiB" if done.peak_kb else ""
        print(f"{what:44} {done.seconds:6.1f} s {rate:>13} {memory:>10}  {sockets}", flush=True)

    def copy(self, what: str, words: Sequence[str], undo: Callable[[], object]) -> None:
        """Twice: for its time and memory, and for the bytes of its sockets."""
        argv = [str(BIN / "s4"), "cp", "-r", *words]
        done = run(argv, self.cluster.environment)
        sockets = ""
        if shutil.which("strace"):
            undo()
            trace = self.folder / "trace"
            run(["strace", "-f", "-e", "trace=network", "-o", str(trace), *argv], self.cluster.environment)
            count = sum(map(int, SENT_OR_RECEIVED.findall(trace.read_text())))
            sockets = f"{count / 1000:.1f} KB on its sockets"
        self.tell(what, done, self.size, sockets)

    def aws(self, program: str, what: str, source: str, target: str) -> None:
        words = ["s3", "cp", "--recursive", "--only-show-errors", source, target]
        environment = {**self.cluster.environment, **variables(self.server.endpoint)}
        self.tell(what, run([program, *words], environment), self.size)

    def nodes(self) -> str:
        peaks = (peak_kb(node.process.pid) / 1024 for node in self.cluster.nodes)
        return ", ".join(f"{peak:.0f}" for peak in peaks)


def fill_up(trips: Path, count: int) -> None:
    """Links, until there are so many files."""
    made = sorted(trips.iterdir())
    for number, month in enumerate(list(months(count))[len(made) :]):
        (trips / month.name).hardlink_to(made[number % len(made)])


def trial(folder: Path, trips: Path, server: Server, aws: str) -> None:
    """All of it."""
    cluster = Cluster(folder, nodes=3, variables=variables(server.endpoint))
    try:
        cluster.start()
        size = sum(path.stat().st_size for path in trips.iterdir())
        count = len(list(trips.iterdir()))
        print(f"{count} objects, {size / 1e6:.0f} MB, 3 nodes; time, rate, peak memory of the client")
        steps(Trial(folder, cluster, server, size), aws)
        cluster.assert_no_leftovers()
    finally:
        cluster.stop()


def steps(trial: Trial, aws: str) -> None:
    cluster = trial.cluster
    print(f"peak memory of the nodes before: {trial.nodes()} MiB")
    inwards = ["s3://trips/trip/", "s4://csv/"]
    trial.copy("s4 cp -r s3://trips/trip/ s4://csv/", inwards, lambda: cluster.ok("rm", "-r", "s4://csv"))
    print(f"peak memory of the nodes after it: {trial.nodes()} MiB")
    done = run(["bash", "-eu", "-c", PIPELINE], cluster.environment)
    trial.tell("the pipeline: four maps", done._replace(peak_kb=0), trial.size)
    done = run([str(BIN / "s4"), "cp", "-r", "s4://result/", "s3://trips/result/"], cluster.environment)
    trial.tell("s4 cp -r s4://result/ s3://trips/result/", done, 0)
    print((trial.folder / "root/trips/result/counts").read_text().replace("\n", " "))
    trial.copy("s4 cp -r s4://csv/ s3://trips/back/", ["s4://csv/", "s3://trips/back/"], lambda: None)
    print(f"peak memory of the nodes at the end: {trial.nodes()} MiB")
    if aws:
        local = str(trial.folder / "local")
        trial.aws(aws, "aws s3 cp --recursive s3://trips/trip/ DIR", "s3://trips/trip/", local)
        trial.aws(aws, "aws s3 cp --recursive DIR s3://trips/aws/", local, "s3://trips/aws/")


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--mb-per-file", type=float, default=3.4)
    parser.add_argument("--distinct", type=int, help="make so many files, and the others links to them")
    parser.add_argument("--aws", default=shutil.which("aws") or "", help="the program of the AWS CLI")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = start_rclone(Path(folder))
        try:
            trips = Path(folder) / "root" / "trips" / "trip"
            make(trips, args.distinct or args.files, int(args.mb_per_file * 1e6), seed=0)
            fill_up(trips, args.files)
            trial(Path(folder), trips, server, args.aws)
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
