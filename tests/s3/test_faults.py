"""S3 that fails, refuses or is not there, and nodes and clients that end in the middle."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..cluster.kit import put_keys, some_bytes
from ..faults import disks
from ..faults.disks import SmallDisk
from ..harness import Cluster, wait_until
from .servers import (
    SECRET,
    Fault,
    Handler,
    Proxy,
    Seen,
    Server,
    get_objects,
    put_objects,
    since,
    times,
    unfinished,
    variables,
)

MIB = 1 << 20
GONE_S = 10.0
NewCluster = Callable[..., Cluster]


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[NewCluster]:
    """Makes clusters that the test may break, which may use S3: `new_cluster(nodes, AWS_…="…")`."""
    made: list[Cluster] = []

    def make(nodes: int, endpoint: str, **more: str) -> Cluster:
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir(exist_ok=True)
        cluster = Cluster(folder, nodes, variables={**variables(endpoint), **more})
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()


def getting(name: str, act: Callable[[Handler], bool]) -> Fault:
    """What happens to each GET of an object."""

    def fault(seen: Seen, handler: Handler) -> bool:
        return (seen.method, seen.name) == ("GET", name) and act(handler)

    return fault


def test_an_error_in_the_middle_and_a_cut_connection_are_tried_again(
    cluster: Cluster, server: Server, bucket: str, proxy: Proxy
) -> None:
    large = some_bytes(9 * MIB, 1)
    put_objects(server, bucket, {"0_large": large})

    def cut(seen: Seen, handler: Handler) -> bool:
        if (seen.method, seen.name) != ("GET", "0_large"):
            return False
        handler.pass_on(seen, cut_after=3 * MIB)
        return True

    failing = times(2, getting("0_large", lambda handler: handler.refuse(500, "InternalError")))
    with proxy.doing(failing), proxy.doing(times(1, cut)):
        cluster.ok("cp", f"s3://{bucket}/0_large", "s4://in/")

    def refuse(seen: Seen, handler: Handler) -> bool:
        return (
            seen.method == "PUT" and "partNumber=2" in seen.query and handler.refuse(500, "InternalError")
        )

    with proxy.doing(times(2, refuse)):
        cluster.ok("cp", "s4://in/0_large", f"s3://{bucket}/back")
    assert get_objects(server, bucket)["back"] == large


def test_an_error_that_lasts_fails_by_name_and_resume_finishes(
    cluster: Cluster, moto: Server, moto_bucket: str, proxy: Proxy
) -> None:
    put_objects(moto, moto_bucket, {f"{number}_k": b"%d" % number for number in range(5)})
    with proxy.doing(getting("2_k", lambda handler: handler.refuse(503, "SlowDown"))):
        text = cluster.refused("cp", "-r", f"s3://{moto_bucket}", "s4://in", status=3)
    assert f"can not read s3://{moto_bucket}/2_k: SlowDown it says" in text
    assert proxy.count("GET", moto_bucket) > 4
    assert len(cluster.keys("in/")) == 4
    cluster.ok("cp", "-r", "--resume", f"s3://{moto_bucket}", "s4://in")
    assert len(cluster.keys("in/")) == 5


def test_an_object_that_changes_or_vanishes_fails_by_name(
    cluster: Cluster, server: Server, bucket: str, proxy: Proxy
) -> None:
    put_objects(server, bucket, {"0_gone": b"1", "1_new": b"1", "2_fine": b"1"})

    def change(seen: Seen, handler: Handler) -> bool:
        if (seen.method, seen.bucket, seen.name) == ("GET", bucket, "0_gone"):
            server.client.delete_object(Bucket=bucket, Key="0_gone")
        if (seen.method, seen.bucket, seen.name) == ("GET", bucket, "1_new"):
            server.client.put_object(Bucket=bucket, Key="1_new", Body=b"2")
        return False

    with proxy.doing(change):
        text = cluster.refused("cp", "-r", f"s3://{bucket}", "s4://in")
    assert text.startswith("s4: 2 objects were not copied; --resume copies the rest:\n")
    assert re.search(rf"can not read s3://{bucket}/0_gone: .*NoSuchKey", text)
    assert re.search(rf"can not read s3://{bucket}/1_new: .*changed", text)
    assert cluster.keys("in/") == ["s4://in/2_fine"]


@pytest.mark.parametrize(
    ("status", "code", "headers", "why"),
    [
        (403, "AccessDenied", {}, "may they do this?"),
        (301, "PermanentRedirect", {"x_amz_bucket_region": "eu-west-1"}, "it is in eu-west-1"),
    ],
)
def test_a_bucket_that_is_denied_or_elsewhere(
    cluster: Cluster,
    moto: Server,
    moto_bucket: str,
    proxy: Proxy,
    *,
    status: int,
    code: str,
    headers: dict[str, str],
    why: str,
) -> None:
    put_objects(moto, moto_bucket, {"k": b"1"})
    put_keys(cluster, {"s4://out/k": b"1"})

    def refuse(seen: Seen, handler: Handler) -> bool:
        return seen.bucket == moto_bucket and handler.refuse(status, code, **headers)

    with proxy.doing(refuse):
        for words in (f"s3://{moto_bucket}", "s4://in"), ("s4://out", f"s3://{moto_bucket}"):
            text = cluster.refused("cp", "-r", *words)
            assert re.match(r"s4: node \S+ can not [a-z ]+ s3://", text), text
            assert why in text


def test_wrong_credentials_none_and_an_endpoint_that_is_down(
    rclone: Server, rclone_bucket: str, new_cluster: NewCluster
) -> None:
    put_objects(rclone, rclone_bucket, {"k": b"1"})
    words = ("cp", "-r", f"s3://{rclone_bucket}", "s4://in")
    wrong = new_cluster(1, rclone.endpoint, AWS_ACCESS_KEY_ID="a-stranger")
    text = wrong.refused(*words)
    assert "(InvalidAccessKeyId): are the credentials right" in text
    assert SECRET not in text + wrong.nodes[0].log
    wrong.assert_no_leftovers()
    none = new_cluster(1, rclone.endpoint, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "no AWS credentials were found" in none.refused(*words)
    down = new_cluster(1, "http://127.0.0.1:9")
    assert "the endpoint 127.0.0.1:9 does not answer" in down.refused(*words, status=3)
    down.assert_no_leftovers()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """8 MiB, on which the test's first cluster will be."""
    if disks.why_not():
        pytest.skip(disks.why_not())
    disk = SmallDisk(tmp_path / "cluster-0", 8)
    yield disk
    disk.unmount()


def test_what_does_not_fit_is_refused_before_anything_moves(
    rclone: Server, rclone_bucket: str, small_disk: SmallDisk, new_cluster: NewCluster
) -> None:
    put_objects(rclone, rclone_bucket, {"0_small": b"1", "1_large": some_bytes(9 * MIB, 1)})
    cluster = new_cluster(1, rclone.endpoint)
    text = cluster.refused("cp", "-r", f"s3://{rclone_bucket}", "s4://in")
    assert re.search(r"has [\d.]+ MB free, needs 9.4 for its part of s4://in; nothing was copied", text)
    assert not cluster.keys()
    text = cluster.refused("cp", "-r", "--resume", f"s3://{rclone_bucket}", "s4://in")
    assert "needs 9.4 for s4://in/1_large; --resume copies the rest" in text
    assert cluster.keys() == ["s4://in/0_small"]
    cluster.assert_no_leftovers()


class Held:
    """S3 that says no more, to requests with a text in their name or query."""

    def __init__(self, method: str, text: str) -> None:
        self._method = method
        self._text = text
        self.has_met = False

    def __call__(self, seen: Seen, handler: Handler) -> bool:
        if seen.method != self._method or self._text not in f"{seen.name}?{seen.query}":
            return False
        self.has_met = True
        return handler.hold()

    def wait_met(self) -> None:
        wait_until(lambda: self.has_met, f"a {self._method} with {self._text}")


def test_a_killed_client_and_ctrl_c_leave_nothing(
    cluster: Cluster, rclone: Server, rclone_bucket: str, proxy: Proxy
) -> None:
    put_objects(rclone, rclone_bucket, {"0_large": some_bytes(9 * MIB, 1)})
    put_keys(cluster, {"s4://out/0_large": some_bytes(9 * MIB, 1)})
    into = ("cp", "-r", f"s3://{rclone_bucket}", "s4://in")
    out = ("cp", "-r", "s4://out", f"s3://{rclone_bucket}/back")
    for signum, words, fault in (
        (signal.SIGKILL, out, Held("PUT", "partNumber=2")),
        (signal.SIGINT, into, Held("GET", "0_large?")),
    ):
        with proxy.doing(fault):
            client = cluster.start_s4(*words)
            fault.wait_met()
            client.send_signal(signum)
            client.communicate(timeout=10)
            spent_s = since()
            cluster.assert_no_leftovers()
        assert spent_s() < GONE_S + 2
    assert unfinished(rclone, rclone_bucket) == []
    assert cluster.keys("in/") == []


def test_a_killed_node_fails_by_name_and_gives_up_its_upload_when_it_is_back(
    rclone: Server, rclone_bucket: str, proxy: Proxy, new_cluster: NewCluster
) -> None:
    rclone.client.create_bucket(Bucket=rclone_bucket)
    cluster = new_cluster(2, proxy.endpoint)
    put_keys(cluster, {"s4://out/0_large": some_bytes(9 * MIB, 1), "s4://out/1_k": b"1"})
    words = ("cp", "-r", "s4://out", f"s3://{rclone_bucket}/back")
    node = cluster.nodes[0]
    fault = Held("PUT", "partNumber=2")
    with proxy.doing(fault):
        client = cluster.start_s4(*words)
        fault.wait_met()
        node.kill()
        spent_s = since()
        _, text = client.communicate(timeout=20)
        assert spent_s() < GONE_S
    assert client.returncode == 3
    assert f"node {node.address} does not answer".encode() in text
    assert unfinished(rclone, rclone_bucket) == ["back/0_large"]
    cluster.start()
    wait_until(lambda: not unfinished(rclone, rclone_bucket), "the upload to be given up")
    cluster.assert_no_leftovers()
    cluster.ok("cp", "--resume", *words[1:])
    assert len(get_objects(rclone, rclone_bucket)["back/0_large"]) == 9 * MIB


def test_a_terminated_node_ends_its_copies_and_a_killed_one_has_not_heard_the_id_of_its_upload(
    rclone: Server, rclone_bucket: str, proxy: Proxy, new_cluster: NewCluster
) -> None:
    put_objects(rclone, rclone_bucket, {"large": some_bytes(9 * MIB, 1)})
    cluster = new_cluster(1, proxy.endpoint)
    node = cluster.nodes[0]
    put_keys(cluster, {"s4://out/large": some_bytes(9 * MIB, 1)})
    fault = Held("GET", "large?")
    with proxy.doing(fault):
        client = cluster.start_s4("cp", f"s3://{rclone_bucket}/large", "s4://in/")
        fault.wait_met()
        assert node.stop() == 0
        _, text = client.communicate(timeout=20)
    assert client.returncode == 3, text
    node.start(stop_at="s3upload.begun")
    cluster.wait_healthy()
    client = cluster.start_s4("cp", "s4://out/large", f"s3://{rclone_bucket}/x")
    wait_until(lambda: node.is_stopped, "the upload to begin")
    node.kill()
    client.communicate(timeout=20)
    assert unfinished(rclone, rclone_bucket) == ["x"]
    cluster.start()
    wait_until(lambda: not unfinished(rclone, rclone_bucket), "the upload to be given up")
    cluster.assert_no_leftovers()
    assert cluster.keys() == ["s4://out/large"]
