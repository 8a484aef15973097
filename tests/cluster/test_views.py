"""Looking on: jobs, logs, status, du, health; and cancel."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any

import pytest

from s4zmq import views
from s4zmq.limits import LOGS_PER_JOB, STDERR_TAIL_BYTES

from ..harness import BIN, Cluster, wait_until
from .kit import put_keys, put_tree

NUMBERS = {f"{number}_x": b"%d\n" % number for number in range(6)}


def newest(cluster: Cluster) -> views.JobView:
    """The job that runs, or was the last one to run."""
    with cluster.client() as client:
        while (jobs := views.list_jobs(client)).errors:
            pass  # a look waits for no node, and on a busy machine one may be late
        return jobs.jobs[0]


@contextmanager
def started(cluster: Cluster, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`s4 WORDS` while it runs; it does no more afterwards, whatever fails meanwhile."""
    process = cluster.start_s4(*words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def numbers(cluster: Cluster, tmp_path: Path) -> Cluster:
    """A cluster with NUMBERS in `s4://in/`, two on each node."""
    put_tree(cluster, tmp_path / "numbers", "s4://in/", NUMBERS)
    return cluster


@pytest.fixture
def slow(numbers: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    """A job whose commands have all begun, and do not end."""
    words = ("map", "--jobs", "2", "s4://in/", "s4://out/", "echo begun >&2; sleep 1000")
    with started(numbers, *words) as process:
        wait_for_commands(numbers, process, 6)
        yield process


def wait_for_commands(cluster: Cluster, process: subprocess.Popen[bytes], count: int) -> None:
    """Until so many commands of a job run, which must not end before."""

    def have_begun() -> bool:
        assert process.poll() is None, process.communicate()
        return running_commands(cluster) >= count

    wait_until(have_begun, f"{count} commands to run", 30)


def running_commands(cluster: Cluster) -> int:
    with cluster.client() as client:
        return sum(status.amounts.get("running-commands", 0) for status in views.status(client))


def status(cluster: Cluster, *words: str) -> bytes:
    """What `s4 status WORDS` prints when all nodes are up: on a busy machine one may be late."""
    printed = b""

    def are_up() -> bool:
        nonlocal printed
        done = cluster.s4("status", *words)
        printed = done.stdout
        return done.returncode == 0

    wait_until(are_up, "all nodes to be up", 30)
    return printed


def objects(out: bytes) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


# -- jobs


def test_a_job_that_runs_is_shown_first_and_ends_as_it_did(
    cluster: Cluster, slow: subprocess.Popen[bytes]
) -> None:
    head, first, *_ = cluster.ok("jobs").decode().splitlines()
    assert head.split()[:5] == ["JOB", "KIND", "STATE", "DONE", "FAILED"]
    job = newest(cluster)
    assert first.startswith(f"{job.job[:8]}  map ")
    assert re.search(r" running +0/6 +0  .* s4://in/ -> s4://out/ +echo begun >&2; sleep 1000$", first)
    assert sorted(job.running_on) == sorted(cluster.config.roster.nodes)
    slow.send_signal(signal.SIGINT)
    slow.wait(timeout=10)
    wait_until(lambda: newest(cluster).state == "cancelled", "the job to have ended")
    assert newest(cluster).job == job.job


@pytest.mark.parametrize(
    ("kind", "command", "state", "counts"),
    [
        ("map", "cat\necho more", "done", (6, 6, 0)),
        ("map-to-n", "cat > x; echo x", "done", (6, 6, 0)),
        ("map-from-n", "xargs cat", "done", (6, 6, 0)),
        ("map", "read x; [ $x != 4 ]", "failed", (6, 5, 1)),
    ],
)
def test_what_has_ended_is_told_with_its_counts(
    numbers: Cluster, kind: str, command: str, state: str, counts: tuple[int, ...]
) -> None:
    numbers.s4(kind, "--keep-going", "s4://in/", "s4://out/", command)
    job = newest(numbers)
    assert (job.verb, job.state) == (kind, state)
    assert (job.commands, job.done, job.failed) == counts
    assert (job.inputs, job.outdir) == ("s4://in/", "s4://out/")
    assert job.bytes == 2 * job.done
    assert abs(job.started_ns - time.time_ns()) < 60e9
    assert 0 < job.seconds < 60


def test_a_rehearsal_and_a_refused_job_are_no_jobs(numbers: Cluster) -> None:
    numbers.ok("map", "s4://in/", "s4://out/", "cat")
    before = newest(numbers).job
    numbers.refused("map", "s4://in/", "s4://out/", "cat")
    numbers.s4("map", "--dry-run", "s4://in/", "s4://other/", "cat")
    assert newest(numbers).job == before


# -- cancel


def test_a_cancelled_job_leaves_nothing_and_its_client_says_why(
    cluster: Cluster, slow: subprocess.Popen[bytes]
) -> None:
    id = newest(cluster).job
    assert cluster.ok("cancel", id[:12]) == b""
    assert running_commands(cluster) == 0
    _, stderr = slow.communicate(timeout=10)
    text = stderr.decode()
    assert slow.returncode == 1
    assert text.startswith("s4: the map from s4://in/ to s4://out/ was cancelled by another client")
    assert f"(s4 cancel {id[:8]})" in text
    assert text.count("\n") == 1
    assert newest(cluster).state == "cancelled"
    again = cluster.refused("cancel", id)
    assert again == f"s4: job {id[:8]} has ended already, as cancelled\n"
    cluster.assert_no_leftovers()
    assert cluster.keys("out/") == []


def test_what_was_cancelled_is_finished_by_resume(numbers: Cluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    words = (
        "s4://in/",
        "s4://out/",
        f"read x; [ $x = 0 ] || while [ ! -e {gate} ]; do sleep 0.05; done; echo $x",
    )
    with started(numbers, "map", "--jobs", "2", "--keep-going", *words) as process:
        wait_until(lambda: numbers.keys("out/") == ["s4://out/0_x"], "the first output")
        numbers.ok("cancel", newest(numbers).job)
        assert process.wait(timeout=10) == 1
    gate.touch()
    numbers.ok("map", "--resume", *words)
    assert len(numbers.keys("out/")) == 6
    job = newest(numbers)
    assert (job.state, job.commands, job.done) == ("done", 5, 5)


def test_a_shuffle_is_cancelled_on_all_nodes(numbers: Cluster) -> None:
    words = ("map-to-n", "s4://in/", "s4://out/", "cat > y; echo y; sleep 1000")
    with started(numbers, *words) as process:
        wait_for_commands(numbers, process, 3)
        numbers.ok("cancel", newest(numbers).job)
        assert process.wait(timeout=10) == 1
        assert process.stderr
        assert b"was cancelled" in process.stderr.read()
    numbers.assert_no_leftovers()


@pytest.mark.parametrize("verb", ["cancel", "logs"])
def test_an_id_that_is_none_or_unknown_is_told(cluster: Cluster, verb: str) -> None:
    assert "is no job" in cluster.refused(verb, "not-hex")
    assert "no job begins with" in cluster.refused(verb, "0" * 32)


# -- logs


def test_of_each_failed_attempt_the_stderr_is_kept(numbers: Cluster) -> None:
    command = "read x; echo attempt of $x >&2; [ $x -gt 1 ]"
    numbers.s4("map", "--keep-going", "--retries", "1", "s4://in/", "s4://out/", command)
    id = newest(numbers).job
    lines = numbers.ok("logs", id[:8]).decode().splitlines()
    heads = [line for line in lines if line.startswith("==> ")]
    assert sorted(lines[1::2]) == sorted(["attempt of 0", "attempt of 1"] * 2)
    assert all("the command failed with status 1 on s4://in/" in head for head in heads)
    one = objects(numbers.ok("logs", "--json", id, "s4://in/1_x"))
    assert [(log["attempt"], log["status"], log["stderr"]) for log in one] == [
        (1, 1, "attempt of 1\n"),
        (2, 1, "attempt of 1\n"),
    ]
    assert {log["node"] for log in one} == {numbers.owner("1_x").address}
    assert "no failed command of job" in numbers.refused("logs", id, "s4://in/5_x")
    assert "s4://" in numbers.refused("logs", id, "no-key")


def test_a_job_without_failures_has_no_logs(numbers: Cluster) -> None:
    numbers.ok("map", "s4://in/", "s4://out/", "echo fine >&2; cat")
    assert numbers.ok("logs", newest(numbers).job) == b""


def test_logs_of_a_merge_are_by_its_output_and_those_of_a_running_job_are_there(numbers: Cluster) -> None:
    command = "[ $filename != 1_x ] || { echo bad >&2; exit 4; }; sleep 1000"
    words = ("map-from-n", "--keep-going", "s4://in/", "s4://out/", command)
    with started(numbers, *words) as process:
        wait_until(lambda: newest(numbers).failed == 1, "a command to fail")
        job = newest(numbers)
        assert job.state == "running"
        (log,) = objects(numbers.ok("logs", "--json", job.job, "s4://out/1_x"))
        assert (log["status"], log["stderr"]) == (4, "bad\n")
        numbers.ok("cancel", job.job)
        assert process.wait(timeout=10) == 1
    assert objects(numbers.ok("logs", "--json", job.job)) == [log], "of what was stopped nothing is kept"


def test_what_is_too_long_or_too_many_is_cut_and_that_is_told(cluster: Cluster, tmp_path: Path) -> None:
    many = {f"0_{number}": b"" for number in range(LOGS_PER_JOB + 5)}
    put_tree(cluster, tmp_path / "many", "s4://in/", many)
    command = f"[ $filename != 0_0 ] || head -c {STDERR_TAIL_BYTES + 10} /dev/zero | tr '\\0' x >&2; exit 9"
    cluster.s4("map", "--keep-going", "s4://in/", "s4://out/", command)
    id = newest(cluster).job
    node = cluster.owner("0_0").address
    lines = cluster.ok("logs", id).decode().splitlines()
    assert lines[-1] == f"[of 5 more failed attempts on node {node} nothing was kept]"
    assert len([line for line in lines if line.startswith("==> ")]) == LOGS_PER_JOB
    records = objects(cluster.ok("logs", "--json", id))
    assert records[-1]["attempts"] == 5
    cut = [record for record in records if record.get("bytes_cut")]
    if cut:  # which of the attempts are the first ones is chance
        assert lines.count("[10 bytes before this were not kept]") == 1
        assert [(one["bytes_cut"], len(one["stderr"])) for one in cut] == [(10, STDERR_TAIL_BYTES)]


# -- du


def test_du_counts_keys_and_bytes_below_a_prefix(numbers: Cluster) -> None:
    cluster = numbers
    put_keys(cluster, {"s4://in/d/big": b"x" * 700_000, "s4://inner/0_x": b"12345"})
    assert cluster.ok("du", "s4://in/") == cluster.ok("du", "s4://in")
    assert cluster.ok("du", "s4://in/").split() == b"700012 700.0 KB 7 keys s4://in/".split()
    assert cluster.ok("du", "s4://in/d").split() == b"700000 700.0 KB 1 key s4://in/d".split()
    assert cluster.ok("du", "s4://").split() == b"700017 700.0 KB 8 keys s4://".split()
    *nodes, total = objects(cluster.ok("du", "--per-node", "--json", "s4://in"))
    assert [one["node"] for one in nodes] == list(cluster.config.roster.nodes)
    assert (total["node"], total["keys"], total["bytes"]) == (None, 7, 700_012)
    assert sum(one["bytes"] for one in nodes) == 700_012
    assert len(cluster.ok("du", "--per-node", "s4://in").splitlines()) == 4


def test_du_of_nothing_prints_nothing_and_has_status_1(cluster: Cluster) -> None:
    for words in (("s4://no/such",), ("--json", "s4://no"), ("--per-node", "s4://no")):
        done = cluster.s4("du", *words)
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert "s4://" in cluster.refused("du", "no-prefix")


# -- status


def test_status_has_a_line_for_each_node(cluster: Cluster, slow: subprocess.Popen[bytes]) -> None:
    head, *lines = status(cluster).decode().splitlines()
    assert head.split()[:3] == ["NODE", "STATE", "CPU"]
    assert [line.split()[:2] for line in lines] == [[node, "up"] for node in cluster.config.roster.nodes]
    found = objects(status(cluster, "--json"))
    assert [one["keys"] for one in found] == [2, 2, 2]
    assert [one["bytes"] for one in found] == [4, 4, 4]
    assert [(one["running_jobs"], one["running_commands"]) for one in found] == [(1, 2)] * 3
    for one in found:
        assert one["commands_memory"] > 0
        assert 0 < one["memory"] < one["machine_memory"]
        assert 0 < one["disk_free"] <= one["disk"]
        assert 0 <= one["cpu"] <= one["cores"] + 0.5


def test_a_busy_command_shows_as_processor_time(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://in/1_x": b""})
    node = cluster.nodes.index(cluster.owner("1_x"))

    def cpu() -> float:
        return float(objects(status(cluster, "--json"))[node]["cpu"])

    with started(cluster, "map", "s4://in/", "s4://out/", "while :; do :; done") as process:
        wait_until(lambda: cpu() > 0.1, "the command to show", 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


class Terminal:
    """`s4 status --watch` on a terminal of its own."""

    def __init__(self, cluster: Cluster, columns: int, rows: int) -> None:
        self._screen, terminal = pty.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            [BIN / "s4", "status", "--watch"], env=cluster.environment, stdout=terminal
        )
        os.close(terminal)
        self.text = ""

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self._screen, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, wanted: Callable[[str], object]) -> None:
        while not wanted(self.text):
            self.text += os.read(self._screen, 4096).decode()

    def read_all(self) -> None:
        with suppress(OSError):  # how a pty says that nobody has its other end any more
            while True:
                self.text += os.read(self._screen, 4096).decode()
        os.close(self._screen)

    def frames(self) -> list[list[str]]:
        """What each drawing showed, without the last one, which may not be whole."""
        return [frame.replace("\x1b[K", "").split("\r\n") for frame in self.text.split("\x1b[H")[1:-1]]


def test_on_a_terminal_it_is_drawn_anew_until_ctrl_c(cluster: Cluster) -> None:
    terminal = Terminal(cluster, 200, 50)
    wanted = ["STATE", "up", "up", "up"]
    terminal.read_until(
        lambda _: wanted in [[line.split()[1] for line in one] for one in terminal.frames()]
    )
    terminal.resize(30, 3)
    terminal.read_until(lambda text: "more lines" in text and text.endswith("\x1b[J"))
    small = terminal.text.split("\x1b[H")[-1].removesuffix("\x1b[J").replace("\x1b[K", "").split("\r\n")
    assert len(small) == 3
    assert max(map(len, small)) <= 30
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(timeout=10) == 130
    terminal.read_all()
    assert terminal.text.startswith("\x1b[?1049h\x1b[?25l")
    after = terminal.text.partition("\x1b[?25h\x1b[?1049l")[2]
    assert after.count("\r\n") == 4


def test_elsewhere_there_is_a_block_now_and_then(cluster: Cluster) -> None:
    blocks = []
    watch = ("status", "--watch")
    with started(cluster, *watch) as text_of, started(cluster, *watch, "--json") as json_of:
        for process, lines, said in ((text_of, 9, []), (json_of, 6, ["E_INTERRUPTED"])):
            assert process.stdout
            blocks.append([process.stdout.readline() for _ in range(lines)])
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=10)
            assert process.returncode == 130
            assert [json.loads(line)["code"] for line in stdout.splitlines()] == said
            assert b"Traceback" not in stderr
    text, records = blocks
    assert [line.split()[:1] for line in text[3:6]] == [text[3].split()[:1], [], [b"NODE"]]
    assert [json.loads(line)["node"] for line in records] == list(cluster.config.roster.nodes) * 2


# -- records


SCHEMA = Path(views.__file__).with_name("SCHEMA.md")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: type(value) is str,
    "count": lambda value: type(value) is int and value >= 0,
    "number": lambda value: type(value) in (int, float),
    "flag": lambda value: type(value) is bool,
    "time": lambda value: type(value) is str and bool(TIME.fullmatch(value)),
    "list of text": lambda value: type(value) is list and all(type(item) is str for item in value),
    "null": lambda value: value is None,
}


def documented(verb: str) -> dict[str, dict[str, str]]:
    """By kind: the fields of a verb's records and their types."""
    section = SCHEMA.read_text().partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
    kinds = {}
    for part in section.split("\n### ")[1:]:
        rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", part, re.M)
        kinds[part.partition("\n")[0].strip()] = dict(rows)
    return kinds


def check(verb: str, records: Sequence[Mapping[str, Any]], kinds: set[str]) -> None:
    fields = documented(verb)
    assert {record["kind"] for record in records} == kinds <= set(fields)
    for record in records:
        wanted = fields[record["kind"]]
        assert list(record) == list(wanted)
        for name, types in wanted.items():
            assert any(TYPES[one](record[name]) for one in types.split(" or ")), (name, record[name])


def test_records_are_as_documented(cluster: Cluster, tmp_path: Path) -> None:
    many = {f"0_{number}": b"" for number in range(LOGS_PER_JOB + 1)}
    put_tree(cluster, tmp_path / "many", "s4://in/", many)
    cluster.s4("map", "--keep-going", "s4://in/", "s4://out/", "echo \xfc >&2; exit 1")
    check("jobs", objects(cluster.ok("jobs", "--json")), {"job"})
    check("logs", objects(cluster.ok("logs", "--json", newest(cluster).job)), {"log", "log-omitted"})
    check("health", objects(cluster.ok("health", "--json")), {"node"})
    check("status", objects(cluster.s4("status", "--json").stdout), {"node"})
    check("du", objects(cluster.ok("du", "--json", "--per-node", "s4://in")), {"usage"})
