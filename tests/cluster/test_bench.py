"""The bench as a user runs it, small: what it reports, that it checks, and that it leaves nothing.

That a figure is high or low is never asserted.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from s4zmq.bench import growth, jobs, latency, memory, scale, trees
from s4zmq.bench.__main__ import main, measure_all
from s4zmq.bench.bench import Bench, BenchOptions, Scenario
from s4zmq.bench.cluster import Cluster as BenchCluster
from s4zmq.bench.cluster import Signals, existing, throw_away
from s4zmq.bench.report import Label
from s4zmq.bench.sizes import KIB, MIB, Sizes

from ..harness import Cluster, wait_until

TINY = Sizes(
    value_bytes=MIB,
    small_values=1,
    tree_files=10,
    map_keys=6,
    parallel_keys=3,
    fan=3,
    tables=3,
    table_bytes=64 * KIB,
    parts=2,
    ping_window_s=0.3,
    load_bytes=4 * MIB,
    memory_bytes=(2 * MIB,),
    listed_keys=1000,
    grown_keys=(100, 1000),
    node_counts=(1, 2),
    node_files=10,
    node_keys=4,
    node_tables=2,
    node_table_bytes=64 * KIB,
    node_parts=4,
)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s4zmq.bench", "--work-dir", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def processes_of(folder: Path) -> list[list[str]]:
    """Command lines that name something in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(words)
    return found


def measure(folder: Path, cluster: BenchCluster, *chosen: Scenario) -> Bench:
    bench = Bench(folder, cluster, BenchOptions(1, TINY), Signals())
    measure_all(bench, chosen, Signals())
    return bench


def names(bench: Bench) -> set[str]:
    return {str(figure.label) for figure in bench.report.figures}


@pytest.fixture
def given(cluster: Cluster) -> BenchCluster:
    with existing(str(cluster.conf)) as found:
        return found


def test_a_report_has_figures_beside_limits_and_facts(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "--quick", "--runs", "2", "--only", "small", "--profile", "--nodes", "2")
    assert done.returncode == 0, done
    document = json.loads(done.stdout)
    assert [figure["figure"] for figure in document["figures"]] == ["put", "get", "health"]
    for figure in document["figures"]:
        assert figure["min"] <= figure["median"] <= figure["max"]
        assert len(figure["samples"]) == len(figure["limits"][0]["samples"]) == 2
    assert document["nodes"] == 2
    assert {"cpu", "memory_bytes", "file_system", "libzmq", "gnu_parallel", "seconds"} <= document.keys()
    assert document["profile"]["scenarios"]["small"]["s4"]["user_s"] > 0
    for role in ("s4", "nodes"):
        assert sum(document["profile"]["functions"][role].values()) > 0
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_every_job_is_measured_and_nothing_is_left(tmp_path: Path, given: BenchCluster) -> None:
    bench = measure(tmp_path, given, *jobs.SCENARIOS)
    assert bench.report.errors == {}
    assert len(names(bench)) == len(jobs.SCENARIOS)
    assert all("xargs" in figure.limits for figure in bench.report.figures)


def test_pings_values_and_many_keys(tmp_path: Path, given: BenchCluster) -> None:
    chosen = (*latency.SCENARIOS, *memory.SCENARIOS, *trees.SCENARIOS, *growth.SCENARIOS, *scale.SCENARIOS)
    bench = measure(tmp_path, given, *chosen)
    assert bench.report.errors == {}
    assert {f"ping under load, {which}" for which in ("p50", "p99", "max")} <= names(bench)
    assert {"ls -r, 1,000 keys", "map: 100 to 1,000 keys", "client, put of one value, 2 MiB"} <= names(
        bench
    )
    assert {"node, under load", "bare ROUTER, under load"} <= bench.report.distributions.keys()
    [for_memory, for_scale] = bench.report.remarks
    assert for_memory.startswith("memory: ")
    assert for_scale.startswith("scale-nodes: ")
    assert processes_of(tmp_path) == []


# Nodes that `up` starts are not waited for through the object that started them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_more_nodes(tmp_path: Path) -> None:
    signals = Signals()
    with throw_away(tmp_path / "home", 1, signals, None) as cluster:
        bench = measure(tmp_path, cluster, *scale.SCENARIOS)
    assert bench.report.errors == {}
    assert {"map with a builtin, 1 nodes", "memory of all nodes meanwhile, 2 nodes"} <= names(bench)
    assert all(figure.median > 0 for figure in bench.report.figures)
    assert processes_of(tmp_path) == []


def test_a_wrong_result_is_an_error_and_no_figure(
    tmp_path: Path, given: BenchCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(bench: Bench) -> None:
        source = bench.inputs.lines(2, 100, numbered=True)
        bench.s4("cp", "-r", source, bench.key("in/"))
        job = jobs.Job("map", "in/", "cat", Label("map", "keys/s"), 2, 2)
        jobs.run_job(bench, job, source)
        jobs.run_job(bench, job._replace(keys=3), source)

    bench = measure(tmp_path, given, Scenario("wrong", "", wrong))
    assert "2, expected 3" in bench.report.errors["wrong"]
    assert bench.report.figures == []
    assert "bench: wrong: keys below" in capsys.readouterr().err


def test_a_command_that_fails_is_an_error(tmp_path: Path, given: BenchCluster) -> None:
    def fails(bench: Bench) -> None:
        bench.s4("cp", bench.key("nothing"), "-")

    bench = measure(tmp_path, given, Scenario("fails", "", fails))
    assert "no such key" in bench.report.errors["fails"]


@pytest.mark.parametrize(
    ("only", "ready"),
    [("ping", "000_stream"), ("scale-nodes", "home-1")],
    ids=["in a load", "two clusters"],
)
def test_ctrl_c_leaves_nothing(tmp_path: Path, only: str, ready: str) -> None:
    words = ("--quick", "--runs", "1", "--only", only, "--work-dir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "s4zmq.bench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        seen: Callable[[], Any] = lambda: [  # noqa: E731
            words for words in processes_of(tmp_path) if any(ready in word for word in words)
        ]
        try:
            wait_until(seen, f"a process of {ready}", 60)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.terminate()
        assert process.stderr is not None
        assert "interrupted, all that it made is gone" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not processes_of(tmp_path), "all processes to be gone")


@pytest.mark.parametrize("words", [["--only", "nothing"], ["--quick", "--full"], ["--runs"]], ids=" ".join)
def test_wrong_words_are_refused(words: list[str]) -> None:
    assert main(words) == 2
