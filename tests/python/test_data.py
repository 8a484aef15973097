"""pandas, pyarrow, DuckDB and Dask read and write keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

import s4zmq
from s4zmq.fs import S4FileSystem

from ..harness import Cluster

ROWS = 1000


@pytest.fixture
def options(cluster: Cluster) -> dict[str, str]:
    """What a URL does not say."""
    return {"conf": str(cluster.conf), "key": cluster.key_path}


def some_frame(rows: int = ROWS, start: int = 0) -> pd.DataFrame:
    numbers = range(start, start + rows)
    return pd.DataFrame({"number": numbers, "name": [f"row {n}" for n in numbers]})


def bytes_read(cluster: Cluster) -> int:
    """What all nodes together have read from files so far, as the kernel counts it."""
    texts = [Path(f"/proc/{node.process.pid}/io").read_text() for node in cluster.nodes]
    return sum(int(text.partition("rchar: ")[2].split()[0]) for text in texts)


# -- pandas


def test_pandas_writes_and_reads_csv(s4: s4zmq.Client, options: dict[str, str]) -> None:
    some_frame().to_csv("s4://data/frame.csv", index=False, storage_options=options)
    assert s4.get("s4://data/frame.csv").startswith(b"number,name\n0,row 0\n")
    pd.testing.assert_frame_equal(pd.read_csv("s4://data/frame.csv", storage_options=options), some_frame())


@pytest.mark.usefixtures("found")
def test_pandas_needs_no_options_where_the_cluster_is_found(s4: s4zmq.Client) -> None:
    some_frame().to_csv("s4://data/frame.csv.gz", index=False)
    assert s4.get("s4://data/frame.csv.gz").startswith(b"\x1f\x8b")
    pd.testing.assert_frame_equal(pd.read_csv("s4://data/frame.csv.gz"), some_frame())


def test_pandas_writes_and_reads_parquet(s4: s4zmq.Client, options: dict[str, str]) -> None:
    some_frame().to_parquet("s4://data/frame.parquet", storage_options=options)
    assert s4.get("s4://data/frame.parquet").startswith(b"PAR1")
    found = pd.read_parquet("s4://data/frame.parquet", columns=["name"], storage_options=options)
    pd.testing.assert_frame_equal(found, some_frame()[["name"]])


def test_pandas_does_not_overwrite_a_key(s4: s4zmq.Client, options: dict[str, str]) -> None:
    s4.put(b"a\n1\n", "s4://data/frame.csv")
    with pytest.raises(FileExistsError, match="already exists"):
        some_frame().to_csv("s4://data/frame.csv", storage_options=options)
    assert s4.get("s4://data/frame.csv") == b"a\n1\n"


def test_a_csv_of_some_megabytes_is_streamed(s4: s4zmq.Client, options: dict[str, str]) -> None:
    frame = some_frame(200_000)
    with s4.open("s4://data/big.csv", "w") as file:
        frame.to_csv(file, index=False)
    assert s4.stat("s4://data/big.csv").size > 3 << 20
    chunks = pd.read_csv("s4://data/big.csv", chunksize=50_000, storage_options=options)
    assert sum(chunk["number"].sum() for chunk in chunks) == sum(range(200_000))


# -- pyarrow


def wide_table(columns: int, rows: int) -> pa.Table:
    """Columns that neither compress nor repeat."""
    import numpy as np

    random = np.random.default_rng(0)
    return pa.table({f"c{n}": random.integers(0, 1 << 62, rows) for n in range(columns)})


def test_pyarrow_reads_only_the_columns_that_it_needs(cluster: Cluster, fs: S4FileSystem) -> None:
    table = wide_table(16, 100_000)
    with fs.open("s4://data/wide.parquet", "wb") as file:
        pq.write_table(table, file, compression="none", use_dictionary=False)
    size = fs.size("data/wide.parquet")
    assert size > 12 << 20
    before = bytes_read(cluster)
    found = pq.read_table("data/wide.parquet", columns=["c3"], filesystem=fs)
    moved = bytes_read(cluster) - before
    assert found["c3"].equals(table["c3"])
    assert size / 16 < moved < size / 4, "one column of sixteen, with footer and read-ahead"


def test_pyarrow_reads_and_writes_a_dataset(s4: s4zmq.Client, fs: S4FileSystem) -> None:
    table = pa.table({"part": [n % 3 for n in range(300)], "n": range(300)})
    pa.dataset.write_dataset(
        table,
        "data/set",
        filesystem=fs,
        format="parquet",
        partitioning=["part"],
        partitioning_flavor="hive",
    )
    assert [entry.key for entry in s4.ls("s4://data/set/")] == [
        f"s4://data/set/part={n}/" for n in range(3)
    ]
    dataset = pa.dataset.dataset("data/set", filesystem=fs, format="parquet", partitioning="hive")
    found = dataset.to_table(filter=pa.dataset.field("part") == 1)
    assert sorted(found["n"].to_pylist()) == list(range(1, 300, 3))


def test_pyarrow_reads_csv(s4: s4zmq.Client, fs: S4FileSystem) -> None:
    s4.put(some_frame().to_csv(index=False).encode(), "s4://data/frame.csv")
    with fs.open("s4://data/frame.csv") as file:
        assert pa.csv.read_csv(file).num_rows == ROWS


# -- DuckDB


def test_duckdb_queries_and_writes_keys(s4: s4zmq.Client, fs: S4FileSystem) -> None:
    for part in range(3):
        s4.put(some_frame(100, 100 * part).to_csv(index=False).encode(), f"s4://data/part/{part}.csv")
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        [row] = connection.sql("select count(*), sum(number) from 's4://data/part/*.csv'").fetchall()
        assert row == (300, sum(range(300)))
        connection.sql(
            "copy (select * from 's4://data/part/*.csv' where number % 2 = 0) to 's4://data/even.parquet'"
        )
        [row] = connection.sql("select count(*), max(number) from 's4://data/even.parquet'").fetchall()
    assert row == (150, 298)
    assert s4.get("s4://data/even.parquet").endswith(b"PAR1")


# -- Dask


def partitions(s4: s4zmq.Client, count: int) -> Any:
    for part in range(count):
        with s4.open(f"s4://data/parts/{part}.parquet", "wb") as file:
            some_frame(100, 100 * part).to_parquet(file)


def test_dask_reads_and_writes_many_keys_in_threads(s4: s4zmq.Client, options: dict[str, str]) -> None:
    partitions(s4, 6)
    with dask.config.set(scheduler="threads", num_workers=4):
        frame = dd.read_parquet("s4://data/parts/*.parquet", storage_options=options)
        assert frame.npartitions == 6
        assert frame["number"].sum().compute() == sum(range(600))
        frame.to_csv("s4://data/csv/*.csv", index=False, storage_options=options)
        again = dd.read_csv("s4://data/csv/*.csv", storage_options=options, blocksize=600)
        assert again.npartitions > 6, "a key is read in blocks"
        assert again["number"].sum().compute() == sum(range(600))


def test_dask_reads_in_processes(s4: s4zmq.Client, options: dict[str, str]) -> None:
    partitions(s4, 3)
    frame = dd.read_parquet("s4://data/parts/*.parquet", storage_options=options)
    with dask.config.set(scheduler="processes", num_workers=2):
        assert frame["number"].sum().compute() == sum(range(300))
