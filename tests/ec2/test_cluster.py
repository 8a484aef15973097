"""`s4 cluster` against moto's EC2, IAM, STS and SSM, with real nodes for its machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .kit import Cloud, Hypervisor, Laptop, mode_of, tags_of

UP = ("--num", 2, "--type", "i3en.xlarge", "--ssh-from", "203.0.113.7/32")
BUCKETS = ["arn:aws:s3:::one/*", "arn:aws:s3:::two/*"]


def test_a_cluster_comes_up_is_entered_and_goes(
    cloud: Cloud, laptop: Laptop, hypervisor: Hypervisor
) -> None:
    up = laptop.ok("up", "taxi", *UP, "--subnet", cloud.subnet, "--s3-write", "results")
    assert up.stdout == ""
    assert "2 x i3en.xlarge for 1 h at most: 2 instance hours" in up.stderr
    conf = laptop.home / "clusters" / "taxi.conf"
    key = conf.with_suffix(".key")
    assert str(conf) in up.stderr
    assert str(key) in up.stderr
    assert [mode_of(path) for path in (key, conf.with_suffix(".ssh"))] == [0o600, 0o600]
    check_secrecy(cloud, laptop, hypervisor, key, up.stderr)
    assert "/s4/taxi/key" not in cloud.inventory()["parameters"], "all nodes have it"

    addresses = sorted(one["PrivateIpAddress"] for one in cloud.instances())
    for machine in hypervisor.machines.values():
        assert (machine.folder / ".s4.conf").read_text() == conf.read_text()
        assert mode_of(machine.folder / ".s4.key") == 0o600
    assert laptop.s4("health", conf=conf).count("healthy: 127.") == 2
    laptop.s4("cp", "-", "s4://b/k", conf=conf)
    assert sorted(laptop.s4("config", conf=conf).split()) == [f"{one}:8080" for one in addresses]

    [head, row] = laptop.ok("ls").stdout.splitlines()
    assert head.split() == ["NAME", "NODES", "STATE", "TYPE", "AGE", "LEFT"]
    assert row.split()[:4] == ["taxi", "2", "running", "i3en.xlarge"]
    assert row.split()[5] in ("59m", "1h00m")

    assert laptop.ok("ssh", "taxi", "s4 cp s4://b/k -; echo $((6 * 7))").stdout == "x\n42\n"
    assert laptop.run("ssh", "taxi", "exit 7").returncode == 7
    assert "already" in laptop.refused("up", "taxi", *UP, "--subnet", cloud.subnet)

    assert "say --yes" in laptop.refused("down", "taxi", status=2)
    assert len(cloud.instances("running")) == 2
    down = laptop.ok("down", "taxi", "--yes")
    assert "nothing of cluster taxi in us-east-1 is left" in down.stderr
    assert cloud.inventory() == cloud.empty
    assert laptop.clusters() == []
    assert "there was nothing" in laptop.ok("down", "taxi", "--yes").stderr
    assert laptop.ok("ls").stdout == ""


def check_secrecy(cloud: Cloud, laptop: Laptop, hypervisor: Hypervisor, key: Path, told: str) -> None:
    """The key of the cluster stands in its files, and nowhere else."""
    secret = key.read_text().split()[1]
    assert len(secret) == 64
    seen = [told, laptop.ssh_log.read_text(), str(cloud.instances())]
    for machine in hypervisor.machines.values():
        command_line = Path(f"/proc/{machine.process.pid}/cmdline").read_text()
        environment = Path(f"/proc/{machine.process.pid}/environ").read_text()
        seen += [machine.user_data, machine.log, command_line, environment]
    assert len(seen) == 11
    assert not [text for text in seen if secret in text]


def test_what_is_made_is_as_tight_and_as_short_lived_as_was_said(cloud: Cloud, laptop: Laptop) -> None:
    words = ("--hours", "2.5", "--spot", "--s3-write", "one", "--s3-write", "two", "--no-wait")
    up = laptop.ok("up", "taxi", *UP, *words)
    assert "2 x i3en.xlarge at the spot price for 2.5 h at most: 5 instance hours" in up.stderr

    machines = cloud.instances()
    assert len(machines) == 2
    for machine in machines:
        tags = tags_of(machine)
        assert tags["created-by"] == "s4zmq"
        assert (tags["s4-cluster"], tags["s4-nodes"], tags["s4-hours"]) == ("taxi", "2", "2.5")
        assert tags["s4-ssh-user"] == "debian"
        assert machine["ImageId"] == cloud.image, "the newest of the name"
        assert machine["MetadataOptions"]["HttpTokens"] == "required"
        assert machine["InstanceLifecycle"] == "spot"
        assert machine["IamInstanceProfile"]["Arn"].endswith("/s4-taxi-us-east-1")
        id = machine["InstanceId"]
        asked = {"InstanceId": id, "Attribute": "instanceInitiatedShutdownBehavior"}
        answer = cloud.ec2.describe_instance_attribute(**asked)
        assert answer["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    volumes = cloud.ec2.describe_volumes()["Volumes"]
    assert [volume["Encrypted"] for volume in volumes] == [True, True]

    [group] = [one for one in cloud.ec2.describe_security_groups()["SecurityGroups"] if tags_of(one)]
    inside, ssh = sorted(group["IpPermissions"], key=lambda rule: str(rule["IpProtocol"]))
    assert [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group["GroupId"]]
    assert (inside["IpProtocol"], inside["IpRanges"]) == ("-1", [])
    assert (ssh["FromPort"], ssh["ToPort"], ssh["UserIdGroupPairs"]) == (22, 22, [])
    assert [one["CidrIp"] for one in ssh["IpRanges"]] == ["203.0.113.7/32"]

    assert allowed(cloud) == {
        "s3:GetObject": "*",
        "s3:ListBucket": "*",
        "s3:GetBucketLocation": "*",
        "s3:ListAllMyBuckets": "*",
        "ec2:DescribeInstances": "*",
        "ssm:GetParameter": "arn:aws:ssm:us-east-1:123456789012:parameter/s4/taxi/key",
        "ssm:PutParameter": "arn:aws:ssm:us-east-1:123456789012:parameter/s4/taxi/hosts/*",
        "s3:PutObject": BUCKETS,
        "s3:DeleteObject": BUCKETS,
        "s3:AbortMultipartUpload": BUCKETS,
        "s3:ListMultipartUploadParts": BUCKETS,
    }
    [parameter] = cloud.ssm.describe_parameters()["Parameters"]
    assert (parameter["Name"], parameter["Type"]) == ("/s4/taxi/key", "SecureString")
    laptop.ok("down", "taxi", "--yes")
    assert cloud.inventory() == cloud.empty


def allowed(cloud: Cloud) -> dict[str, Any]:
    """Each action that the cluster's role may do, and on what."""
    policy = cloud.iam.get_role_policy(RoleName="s4-taxi-us-east-1", PolicyName="s4")["PolicyDocument"]
    statements = policy["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {action: statement["Resource"] for statement in statements for action in statement["Action"]}
