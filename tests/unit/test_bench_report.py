"""The bench's report: samples to medians, shares, a table, JSON and a picture; nothing is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from s4zmq.bench import plot
from s4zmq.bench.latency import percentiles
from s4zmq.bench.procfs import Cpu, anonymous_bytes, cpu_of
from s4zmq.bench.report import Label, Report, rate
from s4zmq.bench.sampler import function_of
from s4zmq.bench.scenarios import SCENARIOS, choose
from s4zmq.bench.sizes import DEFAULT, FULL, QUICK
from s4zmq.errors import ConfigError

WANTED = {"put", "get", "small", "tree", "ping-under-load", "memory", "keys"}
FAMILIES = {"map", "shuffle", "merge", "scale"}


def filled() -> Report:
    report = Report()
    for sample in (100.0, 300.0, 200.0):
        report.note("put", Label("put from a file", "MB/s"), sample, {"file copy": 400.0, "tcp": 800.0})
        report.note("small", Label("get", "ms"), sample, {"python -c pass": 50.0})
    report.note("map-cat", Label("map cat", "keys/s"), 10.0, {})
    return report


def test_there_is_a_scenario_for_everything_that_was_asked_for() -> None:
    names = {scenario.name for scenario in SCENARIOS}
    assert names >= WANTED
    assert {name.partition("-")[0] for name in names} >= FAMILIES
    assert len(names) == len(SCENARIOS)


def test_a_name_chooses_itself_and_its_family() -> None:
    assert [scenario.name for scenario in choose(["put"])] == ["put"]
    assert {scenario.name for scenario in choose(["scale"])} == {"scale-list", "scale-nodes"}
    assert len(choose([])) == len(SCENARIOS)
    with pytest.raises(KeyError):
        choose(["put", "nothing"])


@pytest.mark.parametrize("sizes", [QUICK, DEFAULT, FULL])
def test_sizes_fit_together(sizes: object) -> None:
    assert sizes in (QUICK, DEFAULT, FULL)
    for one in (QUICK, DEFAULT, FULL):
        assert one.listed_keys in {10**power for power in range(3, 7)}
        assert one.grown_keys[1] == 10 * one.grown_keys[0]


@pytest.mark.parametrize(
    ("unit", "amount", "seconds", "expected"),
    [("MB/s", 5e6, 2.0, 2.5), ("keys/s", 10, 4.0, 2.5), ("ms", 10, 0.5, 50.0), ("s", 1, 0.5, 0.5)],
)
def test_a_rate_has_its_unit(unit: str, amount: float, seconds: float, expected: float) -> None:
    assert rate(unit, amount, seconds) == expected


def test_a_share_of_one_is_the_limit_whichever_way_is_better() -> None:
    put, get, _ = filled().figures
    assert (put.median, put.share("file copy"), put.share("tcp")) == (200.0, 0.5, 0.25)
    assert (get.median, get.share("python -c pass")) == (200.0, 0.25)


def test_the_table_has_a_line_a_limit_and_the_remarks() -> None:
    report = filled()
    for _ in range(2):
        report.remark("map: GNU parallel is not installed")
    lines = report.table().splitlines()
    assert lines[0].split()[:3] == ["scenario", "figure", "median"]
    assert [line.split()[0] for line in lines[1:]] == ["put", "tcp", "small", "map-cat", "*"]
    assert "100 .. 300" in lines[1]
    assert lines[1].split()[-3:] == ["400", "50", "%"]


def test_the_document_has_all_samples() -> None:
    report = filled()
    report.distributions["node, idle"] = [1.0, 2.0]
    document = json.loads(json.dumps(report.document({"cores": 2})))
    assert document["cores"] == 2
    [put, get, _] = document["figures"]
    assert put["samples"] == [100.0, 300.0, 200.0]
    assert (put["median"], put["min"], put["max"], put["better"]) == (200.0, 100.0, 300.0, "higher")
    assert [limit["name"] for limit in put["limits"]] == ["file copy", "tcp"]
    assert put["limits"][0]["samples"] == [400.0] * 3
    assert get["better"] == "lower"
    assert document["distributions_ms"] == {"node, idle": [1.0, 2.0]}


def test_a_failed_scenario_has_no_figures() -> None:
    report = filled()
    report.fail("put", "wrong")
    assert {figure.scenario for figure in report.figures} == {"small", "map-cat"}
    assert report.document({})["errors"] == {"put": "wrong"}


def test_percentiles() -> None:
    found = percentiles([float(number) for number in range(101)])
    assert found == {"p50": 50.0, "p99": 99.0, "max": 100.0}


def test_what_the_kernel_counts_for_a_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert anonymous_bytes(process.pid) > 0
        process.kill()
    assert anonymous_bytes(process.pid) == 0
    assert cpu_of([process.pid]) == (Cpu(), Cpu())


def test_time_is_credited_to_the_function_of_s4zmq_and_what_it_called() -> None:
    assert not function_of(sys._getframe()).startswith("s4zmq")
    found: list[str] = []
    rate_frame = sys._getframe

    class Amount(float):
        def __truediv__(self, other: float) -> float:
            found.append(function_of(rate_frame()))
            return 1.0

    rate("keys/s", Amount(1), 1)
    assert found == ["report.rate > test_bench_report.__truediv__"]


# -- the picture


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 's4zmq\[plot\]'"):
        plot.require(tmp_path / "a.png")


def test_a_picture_of_some_figures_and_of_none(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ConfigError, match=r"FILE\.png"):
        plot.require(tmp_path / "missing" / "a.png")
    facts = {"version": "0", "nodes": 3, "cores": 2, "cpu": "a cpu", "file_system": "tmpfs"}
    report = filled()
    report.distributions["node, idle"] = [1.0, 2.0]
    for at in (1, 2):
        report.note("scale-nodes", Label("map", "keys/s", "nodes", at), 1.0, {"xargs": 1.0})
        report.note("keys", Label("map", "s", "keys", at), 1.0, {"xargs": 1.0})
    for number, one in enumerate((report, Report())):
        path = tmp_path / f"{number}.png"
        plot.require(path)
        plot.draw(one, facts, path)
        assert path.read_bytes().startswith(b"\x89PNG")
