"""Many clients at one node: each is served, and the node's memory stays within its bounds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from ..harness import Cluster

CLIENTS = 24
FILES, FILE_BYTES = 60, 200 << 10
ANONYMOUS_MAX_MIB = 160
"""32 MiB of requests and 32 of replies, one reply a client, and the node itself, with slack for what
libzmq and the allocator hold beside them."""


def anonymous_mib(pid: int) -> int:
    """The node's anonymous memory now, in MiB; mapped files of Python do not count."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) >> 10
    raise AssertionError("no RssAnon")


def test_more_clients_than_a_node_can_hold_all_come_through(
    new_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = new_cluster(1)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number:03}").write_bytes(os.urandom(FILE_BYTES))
    puts = [cluster.start_s4("cp", "-r", str(source), f"s4://b{n}/") for n in range(CLIENTS)]
    assert [ended(put) for put in puts] == [(0, b"")] * CLIENTS
    gets = [cluster.start_s4("cp", "-r", f"s4://b{n}/", str(tmp_path / f"out{n}")) for n in range(CLIENTS)]
    assert [ended(get) for get in gets] == [(0, b"")] * CLIENTS
    assert anonymous_mib(cluster.nodes[0].process.pid) < ANONYMOUS_MAX_MIB
    for number in range(0, CLIENTS, 7):
        done = subprocess.run(["diff", "-r", source, tmp_path / f"out{number}"], check=False)
        assert done.returncode == 0
    cluster.assert_no_leftovers()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors
