"""The pipelines of the post over rows in the post's columns, made here."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..harness import Cluster
from .kit import names, put_tree, values

HAS_KEY = (True, False)

MONTHS = [f"yellow_tripdata_2009-{month:02}.csv" for month in range(1, 13)]
ROWS = 400
HEADER = "vendor,pickup,dropoff,passengers,distance,fare,tip"

COUNT = """
import collections, sys
sys.stdin.readline()
counts = collections.Counter()
for line in sys.stdin:
    try:
        counts[int(line.split(',')[3])] += 1
    except (IndexError, ValueError):
        continue
for passengers, count in counts.items():
    print(f'{passengers},{count}')
"""

MERGE = """
import collections, sys
result = collections.Counter()
for line in sys.stdin:
    passengers, count = line.split(',')
    result[passengers] += int(count)
for passengers, count in result.items():
    print(f'{passengers},{count}')
"""

PARTITION = """
import sys, zlib
cluster_size = int(sys.argv[1])
sys.stdin.readline()
files = {}
for line in sys.stdin:
    try:
        passengers = int(line.split(',')[3])
    except (IndexError, ValueError):
        continue
    number = zlib.crc32(line.encode()) % cluster_size
    name = f'passengers_{passengers}_{number:03d}.csv'
    if name not in files:
        files[name] = open(name, 'w')
    files[name].write(line)
for name, file in files.items():
    print(name)
    file.close()
"""


def rows_of(month: int) -> Iterator[str]:
    """The lines of one key below its header, a few of them bad."""
    dice = random.Random(month)
    for number in range(ROWS):
        passengers = dice.choices(range(9), [1, 60, 13, 4, 2, 6, 2, 1, 1])[0]
        day = f"2009-{month:02}-{dice.randrange(1, 29):02}"
        row = f"VTS,{day} 06:46:{number % 60:02},{day} 07:03:10,{passengers},{dice.random() * 9:.2f},12.5,1"
        yield {100: "", 200: "VTS,short", 300: row.replace(f",{passengers},", ",many,", 1)}.get(number, row)


def good_rows() -> dict[int, list[str]]:
    """In plain Python: the first five columns of every good row, by passengers."""
    found: dict[int, list[str]] = {}
    for month in range(1, 13):
        for row in rows_of(month):
            columns = row.split(",")[:5]
            if len(columns) == 5 and columns[3].isdigit():
                found.setdefault(int(columns[3]), []).append(",".join(columns))
    return found


@pytest.fixture
def taxi(cluster: Cluster, tmp_path: Path) -> Cluster:
    """The cluster with twelve months in `s4://step1/`, and the scripts in `tmp_path`."""
    files = {
        name: "".join(f"{row}\n" for row in (HEADER, *rows_of(month))).encode()
        for month, name in enumerate(MONTHS, 1)
    }
    put_tree(cluster, tmp_path / "months", "s4://step1", files)
    for name, text in (("count", COUNT), ("merge", MERGE), ("partition", PARTITION)):
        (tmp_path / f"{name}.py").write_text(text)
    return cluster


def test_trips_are_counted_by_passengers(taxi: Cluster, tmp_path: Path) -> None:
    taxi.bash(
        """
        s4 map s4://step1/ s4://step2/ 'cut -d, -f1-5'
        s4 map --file count.py s4://step2/ s4://step3/ 'python3 count.py'
        s4 map-to-n s4://step3/ s4://step4/ 'cat > results && echo results'
        s4 map-from-n --file merge.py s4://step4/ s4://step5/ 'xargs cat | python3 merge.py'
        """,
        cwd=tmp_path,
    )
    assert names(taxi, "step3/") == MONTHS
    assert names(taxi, "step4/") == [f"{name}/results" for name in MONTHS]
    assert names(taxi, "step5/") == ["results"]
    shown = taxi.bash("s4 eval s4://step5/results \"tr , ' ' | sort -nrk2 | head -n9 | column -t\"")
    counts = Counter({passengers: len(rows) for passengers, rows in good_rows().items()})
    assert [tuple(map(int, line.split())) for line in shown.splitlines()] == counts.most_common(9)


def test_trips_are_partitioned_by_passengers_and_none_is_lost(taxi: Cluster, tmp_path: Path) -> None:
    taxi.bash(
        """
        s4 map s4://step1/ s4://step2/ 'cut -d, -f1-5'
        s4 map-to-n --file partition.py s4://step2/ s4://step3/ 'python3 partition.py 12'
        s4 map-from-n s4://step3/ s4://step4/ 'xargs cat'
        """,
        cwd=tmp_path,
    )
    found: dict[int, list[str]] = {}
    for name, value in values(taxi, tmp_path / "out", "s4://step4/").items():
        word, passengers, number = name.removesuffix(".csv").split("_")
        assert (word, int(number) < 12) == ("passengers", True)
        found.setdefault(int(passengers), []).extend(value.decode().splitlines())
    expected = good_rows()
    assert {key: sorted(rows) for key, rows in found.items()} == {
        key: sorted(rows) for key, rows in expected.items()
    }
    first = taxi.bash("s4 ls s4://step4/ | awk '{print $3, $4}' | sed -n 1p").split()
    assert first[1] == min(names(taxi, "step4/"))
