"""`s4-node --metrics-port`: what Prometheus reads, and where."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from s4zmq import metrics

from ..harness import BIN, Cluster, Node, wait_until
from .kit import put_keys

URL = re.compile(r"metrics are on (http://127\.0\.0\.1:\d+/metrics)")


@pytest.fixture
def measured(new_cluster: Callable[..., Cluster]) -> Cluster:
    return new_cluster(2, ("--metrics-port", "0"))


def url_of(node: Node) -> str:
    found = URL.search(node.log)
    assert found, node.log
    return found[1]


def families(node: Node) -> dict[str, Any]:
    with urllib.request.urlopen(url_of(node), timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        text = reply.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(node: Node) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in families(node).values():
        yield from ((sample.name, sample.labels, sample.value) for sample in family.samples)


def value(cluster: Cluster, name: str, **labels: str) -> float:
    """Of all nodes together."""
    return sum(
        amount
        for node in cluster.nodes
        for found, marks, amount in samples(node)
        if found == name and marks == labels
    )


def documented() -> dict[str, str]:
    """(name, label) of each row of the table."""
    text = Path(metrics.__file__).with_name("METRICS.md").read_text()
    return {
        name: label.strip("` ")
        for name, label in re.findall(r"^\| `(s4_\w+)` \| *(`\w+`)? *\|", text, re.M)
    }


def test_the_names_are_those_of_the_table_and_as_prometheus_wants_them(measured: Cluster) -> None:
    wait_until(lambda: value(measured, "s4_disk_bytes"), "the disk to be looked at")
    wait_until(lambda: "s4_keys" in families(measured.nodes[0]), "the keys to be counted")
    exported = {name: " ".join(labels) for name, labels, _ in samples(measured.nodes[0])}
    assert exported == documented()
    for family in families(measured.nodes[0]).values():
        assert family.documentation
        assert family.type == ("counter" if f"{family.name}_total" in exported else "gauge"), family.name
    assert all(re.fullmatch(r"s4_[a-z_]+", name) for name in exported)


def test_they_tell_what_was_done(measured: Cluster) -> None:
    put_keys(measured, {f"s4://in/{number}_x": b"12345" for number in range(4)})
    put_keys(measured, {"s4://in/large": b"x" * 3_000_000})
    assert len(measured.ok("cp", "s4://in/large", "-")) == 3_000_000
    measured.ok("map", "s4://in/*_x", "s4://out/", "cat")
    measured.refused("map", "s4://in/*_x", "s4://bad/", "[ $filename != 1_x ]; exit 1")
    measured.ok("rm", "s4://in/0_x")
    expected = {
        "s4_puts_total": 5,
        "s4_put_bytes_total": 3_000_020,
        "s4_gets_total": 1,
        "s4_get_bytes_total": 3_000_000,
        "s4_transfers_total": 1,
        "s4_keys": 8,
        "s4_bytes": 3_000_035,
        "s4_keys_made_total": 9,
        "s4_keys_removed_total": 1,
        "s4_running_commands": 0,
        "s4_reserved_bytes": 0,
    }
    assert {name: value(measured, name) for name in expected} == expected
    assert value(measured, "s4_jobs_total", state="done") == 2
    assert value(measured, "s4_jobs_total", state="failed") >= 1
    assert value(measured, "s4_commands_failed_total") >= 1
    assert value(measured, "s4_commands_total") >= 5
    assert value(measured, "s4_held", what="jobs") == 0
    assert value(measured, "s4_process_resident_memory_bytes") > 1e7


def test_messages_that_make_no_sense_are_counted(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1, ("--metrics-port", "0"), has_key=False)
    cluster.start()
    try:
        before = value(cluster, "s4_refused_messages_total")
        other = tmp_path / "other.conf"
        other.write_text(f"{cluster.nodes[0].address}\n127.0.0.1:1\n")
        cluster.s4("-c", other, "health")
        assert value(cluster, "s4_refused_messages_total") > before
    finally:
        cluster.stop()


def test_they_are_on_loopback_only(measured: Cluster) -> None:
    port = int(url_of(measured.nodes[0]).rpartition(":")[2].removesuffix("/metrics"))
    for host, is_open in (("127.0.0.1", True), ("127.0.0.2", False)):
        with socket.socket() as probe:
            probe.settimeout(5)
            assert (probe.connect_ex((host, port)) == 0) == is_open


def start(cluster: Cluster, *words: str, program: tuple[str, ...] = (str(BIN / "s4-node"),)) -> str:
    """A node that must not start; what it says."""
    node = cluster.nodes[0]
    find = ("--conf", str(cluster.conf), "--key", cluster.key_path, "--port", str(node.port))
    argv = [*program, *find, "--data", str(node.data), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


WITHOUT = """
import sys
sys.modules["prometheus_client"] = None  # as if it were not installed
from s4zmq.daemon import main
sys.exit(main(sys.argv[1:]))
"""


def test_what_is_wrong_is_told_at_the_start(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    assert "--metrics-port takes a whole number" in start(cluster, "--metrics-port", "65536")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"can not serve metrics on 127.0.0.1:{port}" in start(cluster, "--metrics-port", port)
    missing = start(cluster, "--metrics-port", "0", program=(sys.executable, "-c", WITHOUT))
    assert "pip install prometheus-client" in missing
    cluster.stop()
