"""A node finds its peers: metadata, tags and parameters of a cloud on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from s4zmq.ec2.account import Account
from s4zmq.ec2.discovery import Place, join
from s4zmq.ec2.machines import machines
from s4zmq.ec2.metadata import Self, endpoint, read_self
from s4zmq.ec2.naming import Cluster, tags_of, to_list
from s4zmq.ec2.parameters import host_keys_of, read_host_keys
from s4zmq.errors import AwsUnreachable, ConfigError, NodeUnreachable

from .kit import REGION, Cloud, Metadata, mode_of

TAXI = Cluster("taxi", REGION)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home" / "s4.conf", tmp_path / "home" / "s4.key", tmp_path)


@pytest.fixture
def me(cloud: Cloud, account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The first of two machines that are wanted; this process is on it."""
    [mine] = start(cloud, ".9")
    with ExitStack() as stack:
        metadata = Metadata(mine["InstanceId"], mine["PrivateIpAddress"])
        stack.callback(metadata.close)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        yield mine


def start(cloud: Cloud, *ends: str) -> list[Any]:
    """Machines with addresses that end so."""
    [subnet] = cloud.ec2.describe_subnets(SubnetIds=[cloud.subnet])["Subnets"]
    root = subnet["CidrBlock"].rpartition(".")[0]
    tags = to_list(tags_of(TAXI, "launch", s4_nodes="2"))
    return [
        cloud.ec2.run_instances(
            ImageId=cloud.image,
            InstanceType="i3en.xlarge",
            MinCount=1,
            MaxCount=1,
            SubnetId=cloud.subnet,
            PrivateIpAddress=f"{root}{end}",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"][0]
        for end in ends
    ]


def test_peers_are_found_in_the_order_of_their_addresses(
    cloud: Cloud, account: Account, me: Any, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "ssh_host_ed25519_key.pub").write_text("ssh-ed25519 AAAA root@here\n")
    (tmp_path / "ssh_host_rsa_key.pub").write_text("ssh-rsa BBBB root@here\n")
    (tmp_path / "ssh_host_odd_key.pub").write_text("odd\n")
    told: list[str] = []
    with pytest.raises(NodeUnreachable, match="found no peers in time: 1 of 2 machines are there"):
        join("taxi", 8080, place, told.append, limit_s=0.2)
    assert not place.conf.exists()

    [peer] = start(cloud, ".10")
    with pytest.raises(NodeUnreachable, match="found no key in time: the key of cluster taxi in us-east-1"):
        join("taxi", 8080, place, told.append, limit_s=0.2)
    cloud.ssm.put_parameter(Name="/s4/taxi/key", Value="a key\n", Type="SecureString")
    assert join("taxi", 8080, place, told.append, limit_s=5) == me["PrivateIpAddress"]
    addresses = [one["PrivateIpAddress"] for one in (me, peer)]
    assert place.conf.read_text() == "# cluster taxi in us-east-1\n" + "".join(
        f"{a}:8080\n" for a in addresses
    )
    assert (place.key.read_text(), mode_of(place.key)) == ("a key\n", 0o600)
    assert read_host_keys(account, TAXI) == {me["InstanceId"]: ["ssh-ed25519 AAAA", "ssh-rsa BBBB"]}

    start(cloud, ".100")
    assert [one.private_ip.rpartition(".")[2] for one in machines(account, TAXI)] == ["9", "10", "100"]
    assert join("taxi", 8080, place, told.append, limit_s=5) == me["PrivateIpAddress"], "not asked again"
    place.conf.unlink()
    with pytest.raises(
        ConfigError, match="3 machines carry the tag of cluster taxi in us-east-1, which has 2"
    ):
        join("taxi", 8080, place, told.append, limit_s=5)


def test_a_conf_of_another_hand_is_not_taken_for_the_clusters(me: Any, place: Place) -> None:
    place.conf.parent.mkdir()
    for text in ("127.0.0.1:8080\n", "# cluster other in us-east-1\n127.0.0.1:8080\n"):
        place.conf.write_text(text)
        with pytest.raises(ConfigError, match="was not written for cluster taxi in us-east-1"):
            join("taxi", 8080, place, lambda _: None, limit_s=5)
        assert place.conf.read_text() == text


def test_a_machine_that_is_not_of_the_cluster_waits_for_its_tag(
    cloud: Cloud, me: Any, place: Place
) -> None:
    cloud.ec2.delete_tags(Resources=[me["InstanceId"]], Tags=[{"Key": "s4-cluster"}])
    with pytest.raises(NodeUnreachable, match="does not carry the tag of cluster taxi in us-east-1 yet"):
        join("taxi", 8080, place, lambda _: None, limit_s=0.2)


def test_credentials_that_come_late_are_found(
    cloud: Cloud, account: Account, me: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(cloud, ".10")
    cloud.ssm.put_parameter(Name="/s4/taxi/key", Value="a key\n", Type="SecureString")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if "no AWS credentials were found" in text:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")

    join("taxi", 8080, place, tell, limit_s=20)
    assert place.conf.exists()
    assert [text for text in told if "no AWS credentials" in text]


def test_a_machine_outside_of_ec2_is_told_so(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(NodeUnreachable, match="is this a machine on EC2"):
        join("taxi", 8080, place, lambda _: None, limit_s=0.2)


def test_the_metadata_service_wants_a_token() -> None:
    metadata = Metadata("i-1", "127.0.0.1")
    try:
        assert read_self(metadata.url) == Self("i-1", "127.0.0.1", REGION)
        with pytest.raises(AwsUnreachable):
            read_self(f"{metadata.url}/elsewhere")
    finally:
        metadata.close()
    assert endpoint({}) == "http://169.254.169.254"
    assert endpoint({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[::1]:1/"}) == "http://[::1]:1"


def test_a_machine_without_sshd_has_no_host_keys(tmp_path: Path) -> None:
    assert host_keys_of(tmp_path) == []
