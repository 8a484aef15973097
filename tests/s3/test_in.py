"""`s4 cp` from S3: what it makes, what it refuses, and how it is finished."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from ..cluster.kit import some_bytes, values
from ..harness import Cluster
from .servers import LARGE_BYTES, MANY, Proxy, Server, put_multipart, put_objects, variables

MIB = 1 << 20
SMALL = {f"data/sub/{number:02}_x": some_bytes(100 * number, number) for number in range(6)}


def fill(server: Server, bucket: str) -> dict[str, bytes]:
    """A bucket with something of everything; what should come of `data`."""
    large, parts = some_bytes(9 * MIB + 3, 1), [some_bytes(5 * MIB, 2), some_bytes(5 * MIB, 3), b"end"]
    put_objects(server, bucket, {**SMALL, "data/large": large, "data/empty": b"", "other/a b": b"x"})
    put_multipart(server, bucket, "data/parts", parts)
    wanted = {name.removeprefix("data/"): value for name, value in SMALL.items()}
    return {**wanted, "large": large, "empty": b"", "parts": b"".join(parts)}


def test_a_folder_comes_in_and_resume_finishes_it(
    cluster: Cluster, server: Server, bucket: str, tmp_path: Path
) -> None:
    wanted = fill(server, bucket)
    cluster.ok("cp", "-r", f"s3://{bucket}/data", "s4://in/x/")
    assert values(cluster, tmp_path / "first", "s4://in/x") == wanted
    cluster.ok("verify", "s4://in")
    text = cluster.refused("cp", "-r", f"s3://{bucket}/data/", "s4://in/x")
    assert text.startswith(
        f"s4: {len(wanted)} objects can not be copied; nothing was copied:\n1. s4://in/x/"
    )
    cluster.ok("rm", "s4://in/x/large")
    cluster.ok("rm", "s4://in/x/sub/03_x")
    cluster.ok("cp", "-r", "--resume", f"s3://{bucket}/data/", "s4://in/x")
    assert values(cluster, tmp_path / "second", "s4://in/x") == wanted


def test_resume_refuses_other_bytes_of_the_same_size(
    cluster: Cluster, moto: Server, moto_bucket: str
) -> None:
    put_objects(moto, moto_bucket, {"one": b"right", "two": b"right"})
    cluster.ok("cp", "-", "s4://in/one", stdin=b"wrong")
    text = cluster.refused("cp", "-r", "--resume", f"s3://{moto_bucket}/", "s4://in/")
    assert f"s4://in/one already exists with other bytes than s3://{moto_bucket}/one" in text
    assert cluster.ok("cp", "s4://in/two", "-") == b"right"


def test_a_single_object_goes_to_a_key_or_into_a_folder(
    cluster: Cluster, server: Server, bucket: str
) -> None:
    put_objects(server, bucket, {"dir/name": b"value", "odd dir/n": b"odd"})
    cluster.ok("cp", f"s3://{bucket}/dir/name", "s4://one/dir/")
    cluster.ok("cp", f"s3://{bucket}/dir/name", "s4://one/other")
    cluster.ok("cp", f"s3://{bucket}/odd dir/n", "s4://one")
    assert cluster.keys() == ["s4://one/dir/name", "s4://one/n", "s4://one/other"]
    assert "already exists" in cluster.refused("cp", f"s3://{bucket}/dir/name", "s4://one/other")
    assert "copy it with -r" in cluster.refused("cp", f"s3://{bucket}/dir/", "s4://one/x")
    assert "(404)" in cluster.refused("cp", f"s3://{bucket}/dir/nam", "s4://one/x")
    assert "no object in" in cluster.refused("cp", "-r", f"s3://{bucket}/di", "s4://one/x")


def test_what_stands_for_a_folder_is_passed_over(cluster: Cluster, moto: Server, moto_bucket: str) -> None:
    put_objects(moto, moto_bucket, {"a/": b"", "a/b/": b"", "a/b/c": b"1", "ab": b"2"})
    cluster.ok("cp", "-r", f"s3://{moto_bucket}/a", "s4://in")
    assert cluster.keys() == ["s4://in/b/c"]
    cluster.ok("cp", "-r", f"s3://{moto_bucket}", "s4://all")
    assert cluster.keys("all/") == ["s4://all/a/b/c", "s4://all/ab"]


def test_more_objects_than_a_page_holds(cluster: Cluster, rclone: Server, proxy: Proxy) -> None:
    cluster.ok("cp", "-r", "s3://rclone-many/", "s4://many/")
    assert len(cluster.keys("many/")) == MANY
    assert cluster.ok("cp", f"s4://many/{MANY - 1}_x", "-") == b"%d" % (MANY - 1)
    assert sum("continuation-token" in seen.query for seen in proxy.seen) >= len(cluster.nodes)


def test_names_that_no_key_may_have_are_all_listed_and_nothing_moves(
    cluster: Cluster, moto: Server, moto_bucket: str, proxy: Proxy
) -> None:
    bad = {f"d/bad {number:02}": b"" for number in range(60)} | {"d/x//y": b"", "d/q*": b"1"}
    put_objects(moto, moto_bucket, {**bad, "d/good": b"1"})
    text = cluster.refused("cp", "-r", f"s3://{moto_bucket}/d", "s4://in")
    assert text.startswith("s4: 62 objects can not be copied; nothing was copied:\n")
    assert f"s3://{moto_bucket}/d/bad 00: s4://in/bad 00 holds a space" in text
    assert text.endswith("\n... and 12 more\n")
    assert not cluster.keys()
    assert not [seen for seen in proxy.seen if seen.bucket == moto_bucket and seen.name]


def test_objects_that_can_not_both_be_keys_are_named(
    cluster: Cluster, moto: Server, moto_bucket: str
) -> None:
    put_objects(moto, moto_bucket, {"a/0_k": b"", "a/0_k-": b"", "a/0_k/x/0_l": b"", "a/0_k/x/1_l": b""})
    text = cluster.refused("cp", "-r", f"s3://{moto_bucket}/a", "s4://in")
    assert "s4://in/0_k/x/0_l can not be made: another object becomes s4://in/0_k" in text
    assert not cluster.keys()
    cluster.ok("cp", "-", "s4://in/0_k/x/9_other", stdin=b"")
    text = cluster.refused("cp", f"s3://{moto_bucket}/a/0_k", "s4://in/")
    assert "s4://in/0_k is a folder" in text


def test_a_dry_run_tells_and_changes_nothing(cluster: Cluster, moto: Server, moto_bucket: str) -> None:
    put_objects(moto, moto_bucket, {f"{number}_k": b"x" * (number + 1) for number in range(6)})
    cluster.ok("cp", f"s3://{moto_bucket}/1_k", "s4://in/")
    told = cluster.ok("cp", "-r", "--resume", "--dry-run", f"s3://{moto_bucket}", "s4://in").decode()
    lines = [line.split() for line in told.splitlines()]
    assert told.startswith(f"dry run: cp -r s3://{moto_bucket} s4://in: nothing is moved or changed\n")
    assert [line[-4:] for line in lines[2:]] == [
        ["2", "5", "0", "2"],
        ["2", "7", "1", "1"],
        ["2", "9", "0", "2"],
    ]
    assert cluster.keys() == ["s4://in/1_k"]


@pytest.mark.parametrize(
    ("words", "why", "status"),
    [
        (["s3://a-bucket/x", "s3://b-bucket/x"], "from S3 to S3", 1),
        (["s3://a-bucket/x", "file"], "between S3 and local files", 1),
        (["-", "s3://a-bucket/x"], "between S3 and local files", 1),
        (["-r", "s3:///x", "s4://in"], "names no bucket", 1),
        (["s3://a-bucket/x", "s4://in/a b"], "a space", 1),
        (["--dry-run", "file", "s4://in/x"], "takes --dry-run where one side is s3://", 2),
    ],
)
def test_wrong_words_are_refused(cluster: Cluster, words: list[str], why: str, status: int) -> None:
    assert why in cluster.refused("cp", *words, status=status)


def test_memory_does_not_grow_with_the_size_of_an_object(rclone: Server, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, nodes=1, variables=variables(rclone.endpoint))
    cluster.start()
    try:
        pid = cluster.nodes[0].process.pid
        cluster.ok("cp", "s3://rclone-many/0001_x", "s4://in/")  # boto3 is loaded there now
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = peak_kb(pid)
        for words in (
            ("s3://rclone-large/large", "s4://in/large"),
            ("s4://in/large", "s3://rclone-large/back"),
        ):
            assert peak_of_client(cluster, *words) < 60 << 10
            assert peak_kb(pid) - before < 64 << 10
        cluster.assert_no_leftovers()
    finally:
        cluster.stop()
    found = rclone.client.head_object(Bucket="rclone-large", Key="back")
    assert found["ContentLength"] == LARGE_BYTES


def peak_of_client(cluster: Cluster, *words: str) -> int:
    """In KiB, of a copy that succeeds."""
    client, peak = cluster.start_s4("cp", *words), 0
    while client.poll() is None:
        peak = max(peak, peak_kb(client.pid))
        time.sleep(0.05)  # between two looks
    client.communicate()
    assert client.returncode == 0
    return peak


def peak_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) if found else 0
