"""The examples of the package, run as they stand on a little, against the same in plain Python."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import s4zmq.examples
from s4zmq.examples.make_taxi import months

from ..harness import Cluster
from .kit import read_tree, values

EXAMPLES = Path(s4zmq.examples.__file__).parent


def make(folder: Path, *words: str) -> Path:
    argv = [sys.executable, "-m", "s4zmq.examples.make_taxi", *words, str(folder)]
    subprocess.run(argv, check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight files of different years."""
    made = make(tmp_path_factory.mktemp("taxi") / "all", "--files", "96", "--mb-per-file", "0.05")
    folder = made.parent / "some"
    folder.mkdir()
    for path in sorted(made.iterdir())[::12]:
        path.rename(folder / path.name)
    return folder


def good_rows(trips: Path) -> Iterator[list[str]]:
    """The first five columns of each."""
    for path in sorted(trips.iterdir()):
        for line in path.read_text().splitlines():
            columns = line.split(",")[:5]
            if len(columns) == 5 and columns[3].isdigit():
                yield columns


def test_the_trips_have_the_quirks_of_the_real_ones(trips: Path, tmp_path: Path) -> None:
    texts = {path.name: path.read_bytes() for path in sorted(trips.iterdir())}
    assert list(texts) == [month.name for month in list(months(96))[::12]]
    assert len({text.partition(b"\n")[0] for text in texts.values()}) >= 4
    for text in texts.values():
        lines = text.splitlines()
        assert lines[0].split(b",")[3].strip().lower() == b"passenger_count"
        assert lines[1] == b""
        assert 49_000 < len(text) < 51_000
        assert {len(line.split(b",")) for line in lines[2:]} > {len(lines[0].split(b","))}
    assert any(b"\r\n" in text for text in texts.values())
    again = make(tmp_path / "again", "--files", "1", "--mb-per-file", "0.05")
    assert read_tree(again) == {name: text for name, text in texts.items() if "2009-01" in name}
    other = make(tmp_path / "other", "--files", "1", "--mb-per-file", "0.05", "--seed", "1")
    assert read_tree(other).keys() == read_tree(again).keys()
    assert read_tree(other) != read_tree(again)


def test_trips_are_counted_by_passengers(cluster: Cluster, trips: Path) -> None:
    shown = cluster.bash(f"{EXAMPLES}/count_by_passengers.sh {trips}")
    counts = Counter(columns[3] for columns in good_rows(trips))
    assert dict(line.split(",") for line in shown.splitlines()) == {
        passengers: str(count) for passengers, count in counts.items()
    }
    assert shown.startswith("1,")


def test_trips_are_partitioned_by_passengers(cluster: Cluster, trips: Path, tmp_path: Path) -> None:
    cluster.bash(f"{EXAMPLES}/partition_by_passengers.sh {trips}")
    found: list[list[str]] = []
    for name, value in values(cluster, tmp_path / "out", "s4://partition-result/").items():
        rows = [line.split(",") for line in value.decode().splitlines()]
        assert {row[3] for row in rows} == {name.split("_")[1]}
        found += rows
    assert sorted(found) == sorted(good_rows(trips))


def test_trips_are_sorted_by_distance(cluster: Cluster, trips: Path, tmp_path: Path) -> None:
    cluster.bash(f"{EXAMPLES}/sort_by_distance.sh {trips}")
    parts = values(cluster, tmp_path / "out", "s4://sort-result/")
    found = [line.split(",") for name in sorted(parts) for line in parts[name].decode().splitlines()]
    distances = [float(row[4]) for row in found]
    assert distances == sorted(distances)
    assert sorted(found) == sorted(good_rows(trips))
