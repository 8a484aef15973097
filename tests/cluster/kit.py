"""What several of these tests do: fill a cluster, look at it, and look at processes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..harness import Cluster


def some_bytes(count: int, seed: int = 0) -> bytes:
    """The same bytes each time, and nothing that compresses or repeats."""
    return random.Random(seed).randbytes(count)


def make_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Local files by their path below `folder`."""
    for relative, value in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)
    return folder


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def put_tree(cluster: Cluster, folder: Path, target: str, files: Mapping[str, bytes]) -> None:
    """Many keys below `target` with one command; `folder` must not be there yet."""
    cluster.ok("cp", "-r", make_tree(folder, files), target)


def values(cluster: Cluster, folder: Path, source: str) -> dict[str, bytes]:
    """All keys below `source` with one command; `folder` must not be there yet."""
    cluster.ok("cp", "-r", source, folder)
    return read_tree(folder)


def put_keys(cluster: Cluster, keys: Mapping[str, bytes]) -> None:
    """Few keys by their full text."""
    for key, value in keys.items():
        cluster.ok("cp", "-", key, stdin=value)


def names(cluster: Cluster, prefix: str) -> list[str]:
    """Keys below `bucket/`, without it."""
    return [key.removeprefix(f"s4://{prefix}") for key in cluster.keys(prefix)]


def commands_running(cluster: Cluster) -> int:
    """Commands of users that run on all nodes."""
    with cluster.client() as client:
        return sum(counts["commands"] for counts in client.stats().values())


def transfers_open(cluster: Cluster) -> int:
    """Large values that are on their way to a node."""
    with cluster.client() as client:
        return sum(counts["transfers"] for counts in client.stats().values())


def most_at_once(intervals: Iterable[tuple[int, int]]) -> int:
    """How many of the (start, end) overlap at the worst moment."""
    edges = sorted(edge for start, end in intervals for edge in ((start, 1), (end, -1)))
    running = most = 0
    for _, change in edges:
        running += change
        most = max(most, running)
    return most


def peak_memory_kb(pid: int) -> int:
    """The most memory that a living process has held so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) if found else 0


def is_gone(pid: int) -> bool:
    """Whether no process of that number runs; one that waits to be reaped does not run."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
