"""`s4 cluster` against moto's EC2, IAM, STS and SSM, with real nodes for its machines."""

from __future__ import annotations

import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from s4zmq.cli import main
from s4zmq.ec2.account import Account
from s4zmq.ec2.files import Files
from s4zmq.ec2.launch import Wish, launch
from s4zmq.ec2.naming import Cluster
from s4zmq.ec2.network import own_cidr
from s4zmq.ec2.overview import layout, overview
from s4zmq.ec2.removal import remove
from s4zmq.errors import AwsRefused, AwsUnreachable

from ..harness import BIN, wait_until
from .kit import REGION, Cloud, Hypervisor, Laptop, mode_of, tags_of

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

    again = next(iter(hypervisor.machines.values()))
    assert again.stop() == 0
    again.start()  # finds its conf, and asks for peers no more
    wait_until(lambda: again.log.count(" serves ") == 2, "a node that was started again", 30)
    assert again.log.count("looks for peers") == 1
    assert laptop.s4("health", conf=conf).count("healthy: 127.") == 2

    assert "say --yes" in laptop.refused("down", "taxi", status=2)
    assert len(cloud.instances("running")) == 2
    down = laptop.ok("down", "taxi", "--yes")
    assert "nothing of cluster taxi in us-east-1 is left" in down.stderr
    assert cloud.inventory() == cloud.empty
    assert laptop.clusters() == []


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
        id = machine["InstanceId"]
        asked = {"InstanceId": id, "Attribute": "instanceInitiatedShutdownBehavior"}
        answer = cloud.ec2.describe_instance_attribute(**asked)
        assert answer["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    profiles = cloud.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert {one["IamInstanceProfile"]["Arn"].rpartition("/")[2] for one in profiles} == {
        "s4-taxi-us-east-1"
    }
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
        "s3:ListBucketMultipartUploads": [bucket.removesuffix("/*") for bucket in BUCKETS],
        "s3:PutObject": BUCKETS,
        "s3:DeleteObject": BUCKETS,
        "s3:AbortMultipartUpload": BUCKETS,
        "s3:ListMultipartUploadParts": BUCKETS,
    }
    [parameter] = cloud.ssm.describe_parameters()["Parameters"]
    assert (parameter["Name"], parameter["Type"]) == ("/s4/taxi/key", "SecureString")

    before = cloud.inventory()
    no = laptop.answer("\n", "down", "taxi")
    assert "delete cluster taxi in us-east-1 with 2 machines and all keys on them? [y/N]" in no.stderr
    assert no.returncode == 1
    assert no.stderr.endswith("s4: nothing is deleted\n")
    assert cloud.inventory() == before
    assert laptop.answer("y\n", "down", "taxi").returncode == 0
    assert cloud.inventory() == cloud.empty


def allowed(cloud: Cloud) -> dict[str, Any]:
    """Each action that the cluster's role may do, and on what."""
    policy = cloud.iam.get_role_policy(RoleName="s4-taxi-us-east-1", PolicyName="s4")["PolicyDocument"]
    statements = policy["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {action: statement["Resource"] for statement in statements for action in statement["Action"]}


def test_connect_leads_to_the_nodes_and_to_nothing_else(cloud: Cloud, laptop: Laptop) -> None:
    laptop.ok("up", "taxi", *UP, "--no-wait")
    conf = laptop.home / "clusters" / "taxi.conf"
    machines = cloud.instances("running")
    for number, machine in enumerate(machines):
        name = f"/s4/taxi/hosts/{machine['InstanceId']}"
        value = f"ssh-ed25519 KEY{number}\nnot a key\n@cert-authority * ssh-rsa CCCC"
        cloud.ssm.put_parameter(Name=name, Value=value, Type="String")
    kept = {path: path.read_text() for path in (conf, conf.with_suffix(".key"))}
    for path in kept:
        path.unlink()  # as on another machine

    laptop.add_program("ssh", '#!/bin/bash\nprintf "%s\\n" ssh "$@"\n')
    laptop.environment["PATH"] = f"{laptop.programs}:{BIN}:/usr/bin:/bin"
    shell = laptop.ok("connect", "taxi")
    assert "sshuttle is not installed here" in shell.stderr
    assert shell.stdout.splitlines()[-6:] == ["sudo", "-n", "-H", "-u", "s4", "-i"]
    assert {path: path.read_text() for path in kept} == kept
    assert mode_of(conf.with_suffix(".key")) == 0o600

    laptop.add_program("sshuttle", '#!/bin/bash\nprintf "%s\\n" "$@"\n')
    tunnel = laptop.ok("connect", "taxi")
    assert f"export S4_CONF_PATH={conf}" in tunnel.stderr
    option, program, remote, host, *networks = tunnel.stdout.splitlines()
    assert (option, remote) == ("--ssh-cmd", "--remote")
    addresses = [line.rpartition(":")[0] for line in kept[conf].splitlines()[1:]]
    assert networks == [f"{address}/32" for address in addresses]
    first = next(one for one in machines if one["PrivateIpAddress"] == addresses[0])
    assert host == f"debian@{first['PublicIpAddress']}"
    for word in ("StrictHostKeyChecking=yes", f"HostKeyAlias={first['InstanceId']}", "IdentitiesOnly=yes"):
        assert word in program
    known = (laptop.home / "clusters" / "taxi.known_hosts").read_text().splitlines()
    assert known == sorted(f"{one['InstanceId']} ssh-ed25519 KEY{n}" for n, one in enumerate(machines))
    laptop.ok("down", "taxi", "--yes")
    assert "no machine of cluster taxi in us-east-1 runs" in laptop.refused("connect", "taxi")
    assert "no machine" in laptop.refused("ssh", "taxi", "true")


def test_a_cluster_whose_machines_have_ended_is_still_listed_and_can_go(
    cloud: Cloud, account: Account, laptop: Laptop, tmp_path: Path
) -> None:
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "mine")]
    subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    wish = Wish("taxi", 3, "i3en.xlarge", 2.0, ssh_from="::1/128", ssh_key=str(tmp_path / "mine.pub"))
    launch(account, wish._replace(waits=False), laptop.home, lambda _: None)
    assert laptop.clusters() == ["taxi.conf", "taxi.key"]
    launched = min(machine["LaunchTime"] for machine in cloud.instances())
    [row] = overview(account, launched + timedelta(minutes=90.5))
    assert row == ("taxi", "3", "running", "i3en.xlarge", "1h30m", "29m")
    cloud.ec2.terminate_instances(InstanceIds=[cloud.instances()[0]["InstanceId"]])
    assert overview(account, launched)[0].nodes == "2/3"
    cloud.ec2.terminate_instances(InstanceIds=[one["InstanceId"] for one in cloud.instances("running")])
    assert overview(account, launched) == [("taxi", "0", "ended", "-", "-", "-")]
    assert layout([]) == ""

    elsewhere = Account("eu-west-1")
    assert remove(elsewhere, Cluster("taxi", "eu-west-1"), Files(laptop.home, "taxi"), print) == 0
    assert laptop.clusters(), "files of a cluster in another region stay"
    with pytest.raises(AwsRefused, match="a cluster taxi in us-east-1 is known here"):
        launch(elsewhere, wish, laptop.home, lambda _: None)
    with pytest.raises(
        AwsRefused, match="cluster taxi in us-east-1 is there already, or what is left of it"
    ):
        launch(account, wish, laptop.home, lambda _: None)
    taxi = Cluster("taxi", REGION), Files(laptop.home, "taxi")
    assert remove(account, *taxi, lambda _: None) == 7
    assert remove(account, *taxi, lambda _: None) == 0
    assert cloud.inventory() == cloud.empty
    assert laptop.clusters() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "Taxi", "--num", "1", "--type", "t"], "'Taxi' is no name for a cluster"),
        (["up", "taxi", "--num", "0", "--type", "t"], "--num takes a whole number from 1 to 1000"),
        (["up", "taxi", "--num", "1", "--type", "t", "--hours", "0"], "--hours takes a number from 0.05"),
        (["up", "taxi", "--num", "1", "--type", "t", "--hours", "nan"], "--hours takes a number"),
        (["up", "taxi", "--num", "1", "--type", "t", "--ssh-from", "me"], "--ssh-from takes a network"),
        (["up", "taxi", "--num", "1"], "these words do not fit the usage"),
        (["down", "../x", "--yes"], "is no name for a cluster"),
    ],
)
def test_words_that_make_no_sense_are_refused_before_aws_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", *words]) == 2
    assert said in capsys.readouterr().err


def test_who_may_come_in_is_this_machines_address_as_aws_sees_it() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.removeprefix("/").encode() + b"\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert own_cidr(f"{url}/203.0.113.7") == "203.0.113.7/32"
        assert own_cidr(f"{url}/2001:db8::7") == "2001:db8::7/128"
        with pytest.raises(AwsUnreachable, match="say with --ssh-from"):
            own_cidr(f"{url}/login")
        server.shutdown()
        thread.join()
