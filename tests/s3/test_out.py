"""`s4 cp` to S3: what it writes, what it passes over, and that it leaves nothing unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

import s4zmq
import s4zmq.examples
from s4zmq.examples.make_taxi import lines, months

from ..cluster.kit import put_keys, some_bytes
from ..harness import Cluster
from .servers import Handler, Proxy, Seen, Server, get_objects, put_objects, unfinished

MIB = 1 << 20
KEYS = {
    "s4://out/a/one": some_bytes(1000, 1),
    "s4://out/a/empty": b"",
    "s4://out/a/large": some_bytes(9 * MIB + 1, 2),
    "s4://out/b/0_x": b"zero",
    "s4://out/b/1_x": b"one",
    "s4://out/b/2_x": b"two",
}


def test_a_folder_goes_out_and_resume_passes_over_what_is_there(
    cluster: Cluster, server: Server, bucket: str, proxy: Proxy
) -> None:
    server.client.create_bucket(Bucket=bucket)
    put_keys(cluster, KEYS)
    cluster.ok("cp", "-r", "s4://out", f"s3://{bucket}/back/")
    wanted = {key.replace("s4://out/", "back/"): value for key, value in KEYS.items()}
    assert get_objects(server, bucket) == wanted
    assert unfinished(server, bucket) == []
    server.client.delete_object(Bucket=bucket, Key="back/b/1_x")
    server.client.put_object(Bucket=bucket, Key="back/b/2_x", Body=b"owt")
    writes = proxy.count("PUT", bucket)
    cluster.ok("cp", "-r", "--resume", "s4://out/", f"s3://{bucket}/back")
    assert get_objects(server, bucket) == wanted
    assert proxy.count("PUT", bucket) == writes + 2


def test_python_copies_too(cluster: Cluster, rclone: Server, rclone_bucket: str) -> None:
    rclone.client.create_bucket(Bucket=rclone_bucket)
    put_keys(cluster, KEYS)
    size = sum(map(len, KEYS.values()))
    with s4zmq.Client(cluster.conf, cluster.key_path) as s4:
        out = s4.copy_s3("s4://out/", f"s3://{rclone_bucket}/back/", recursive=True)
        assert (out.keys, out.bytes, out.skipped) == (len(KEYS), size, 0)
        back = s4.copy_s3(f"s3://{rclone_bucket}/back/", "s4://again/", recursive=True)
        assert (back.keys, back.bytes) == (len(KEYS), size)
        assert s4.get("s4://again/a/one") == KEYS["s4://out/a/one"]
        one = s4.copy_s3(f"s3://{rclone_bucket}/back/b/0_x", "s4://single/")
        assert (one.keys, s4.get("s4://single/0_x")) == (1, b"zero")
        again = s4.copy_s3(f"s3://{rclone_bucket}/back/", "s4://again/", recursive=True, resume=True)
        assert again.skipped == len(KEYS)
        with pytest.raises(s4zmq.KeyExists):
            s4.copy_s3(f"s3://{rclone_bucket}/back/", "s4://again/", recursive=True)


def test_an_object_that_is_there_is_replaced(cluster: Cluster, rclone: Server, rclone_bucket: str) -> None:
    put_objects(rclone, rclone_bucket, {"x/one": b"old", "other": b"stays"})
    put_keys(cluster, {"s4://out/one": b"new"})
    cluster.ok("cp", "s4://out/one", f"s3://{rclone_bucket}/x/")
    cluster.ok("cp", "s4://out/one", f"s3://{rclone_bucket}")
    cluster.ok("cp", "s4://out/one", f"s3://{rclone_bucket}/named")
    assert get_objects(rclone, rclone_bucket) == {
        "x/one": b"new",
        "one": b"new",
        "named": b"new",
        "other": b"stays",
    }
    assert "no such key" in cluster.refused("cp", "s4://out/two", f"s3://{rclone_bucket}/x")
    assert "(404): is its name right?" in cluster.refused("cp", "-r", "s4://out", "s3://rclone-none/x")
    assert "no key in s4://out/x/" in cluster.refused("cp", "-r", "s4://out/x", f"s3://{rclone_bucket}/x")


def test_a_dry_run_and_names_that_are_too_long_write_nothing(
    cluster: Cluster, moto: Server, moto_bucket: str, proxy: Proxy
) -> None:
    moto.client.create_bucket(Bucket=moto_bucket)
    put_keys(cluster, KEYS)
    told = cluster.ok("cp", "-r", "--dry-run", "s4://out", f"s3://{moto_bucket}/p").decode()
    counts = [int(line.split()[3]) for line in told.splitlines()[2:]]
    assert sum(counts) == len(KEYS)
    text = cluster.refused("cp", "-r", "s4://out", f"s3://{moto_bucket}/{'d' * 1020}/")
    assert "can not be written to" in text
    assert "S3 allows 1024 bytes" in text
    assert not proxy.count("PUT", moto_bucket)


def test_a_failed_piece_leaves_no_unfinished_upload(
    cluster: Cluster, moto: Server, moto_bucket: str, proxy: Proxy
) -> None:
    moto.client.create_bucket(Bucket=moto_bucket)
    put_keys(cluster, KEYS)

    def fail(seen: Seen, handler: Handler) -> bool:
        return "partNumber=2" in seen.query and handler.refuse(400, "InvalidPart")

    with proxy.doing(fail):
        text = cluster.refused("cp", "-r", "s4://out", f"s3://{moto_bucket}/p")
    assert f"can not write s3://{moto_bucket}/p/a/large: InvalidPart it says" in text
    assert text.endswith("; --resume copies the rest\n")
    assert len(get_objects(moto, moto_bucket)) == len(KEYS) - 1
    assert unfinished(moto, moto_bucket) == []
    cluster.ok("cp", "-r", "--resume", "s4://out", f"s3://{moto_bucket}/p")
    assert len(get_objects(moto, moto_bucket)) == len(KEYS)


def test_a_key_that_is_damaged_does_not_go_out(cluster: Cluster, moto: Server, moto_bucket: str) -> None:
    moto.client.create_bucket(Bucket=moto_bucket)
    put_keys(cluster, {"s4://out/k": b"value"})
    path = cluster.owner("k").path_of("s4://out/k")
    path.chmod(0o600)
    path.write_bytes(b"eulav")
    assert "s4://out/k on node" in cluster.refused("cp", "-r", "s4://out", f"s3://{moto_bucket}/")
    assert get_objects(moto, moto_bucket) == {}


def test_the_pipeline_of_the_post_goes_from_s3_to_s3(
    cluster: Cluster, moto: Server, moto_bucket: str
) -> None:
    files = {
        f"trip data/{month.name}": "".join(lines(month, 15_000, seed=1)).encode() for month in months(3)
    }
    put_objects(moto, moto_bucket, files)
    folder = Path(s4zmq.examples.__file__).parent
    shown = cluster.bash(f"{folder}/count_by_passengers.sh 's3://{moto_bucket}/trip data'")
    cluster.ok("cp", "-r", "s4://count-result/", f"s3://{moto_bucket}/result")
    assert get_objects(moto, moto_bucket)["result/counts"].decode() == shown
