"""A launch that fails, at each of its steps, leaves nothing and says why."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from s4zmq.ec2.account import Account
from s4zmq.ec2.launch import Wish, launch
from s4zmq.errors import AwsBusy, AwsMissing, AwsRefused, S4Error

from ..harness import wait_until
from .faulty import FaultyCloud
from .kit import REGION, Cloud, Laptop

WISH = Wish("taxi", 2, "i3en.xlarge", 1.0, ssh_from="203.0.113.7/32", waits=False)

STEPS = [
    ("CreateSecurityGroup", "UnauthorizedOperation"),
    ("AuthorizeSecurityGroupIngress", "RulesPerSecurityGroupLimitExceeded"),
    ("CreateRole", "AccessDenied"),
    ("PutRolePolicy", "AccessDenied"),
    ("CreateInstanceProfile", "LimitExceeded"),
    ("AddRoleToInstanceProfile", "LimitExceeded"),
    ("ImportKeyPair", "InvalidKey.Format"),
    ("PutParameter", "AccessDeniedException"),
    ("RunInstances", "InsufficientInstanceCapacity"),
]


def test_whichever_step_fails_nothing_is_left(
    cloud: Cloud, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyCloud(cloud.endpoint) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.url)
        account = Account(REGION)
        for action, code in STEPS:
            told: list[str] = []
            faulty.action, faulty.code = action, code
            with pytest.raises(S4Error, match="this was made to fail"):
                launch(account, WISH, tmp_path / "home", told.append)
            assert faulty.refused.pop() == action
            assert cloud.inventory() == cloud.empty, action
            assert not (tmp_path / "home").exists(), action
            assert told[1].endswith("removing what this launch has made")
            assert told[-1] == "nothing of it is left"


def test_an_interruption_just_after_the_machines_were_asked_for_ends_them(
    cloud: Cloud, account: Account, tmp_path: Path
) -> None:
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if "asked for" in text:
            assert len(cloud.instances("running")) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(account, WISH, tmp_path / "home", tell)
    assert cloud.inventory() == cloud.empty
    assert sum("deleted: machine" in text for text in told) == 2
    assert not (tmp_path / "home").exists()


def test_ctrl_c_while_machines_do_not_come_ends_them_and_says_so(cloud: Cloud, laptop: Laptop) -> None:
    words = ("up", "taxi", "--num", 1, "--type", "i3en.xlarge", "--ssh-from", "203.0.113.7/32")
    with laptop.start(*words) as up:
        wait_until(lambda: cloud.instances("running") and laptop.clusters(), "a machine", 60)
        assert up.stderr is not None
        for line in up.stderr:
            if "0 of 1 machines have started their node" in line:
                break
        up.send_signal(signal.SIGINT)
        _, err = up.communicate(timeout=60)
    assert up.returncode == 130
    assert "removing what this launch has made" in err
    assert "nothing of it is left" in err
    assert cloud.inventory() == cloud.empty
    assert laptop.clusters() == []


def test_what_can_be_known_before_is_refused_before_anything_is_made(
    cloud: Cloud, account: Account, tmp_path: Path
) -> None:
    told: list[str] = []
    wrong: list[tuple[Wish, type[S4Error], str]] = [
        (WISH._replace(image="ami-0123456789abcdef0"), AwsMissing, "ami-0123456789abcdef0"),
        (WISH._replace(image="other"), AwsMissing, "no image other is in this account"),
        (WISH._replace(subnet="subnet-12345678"), AwsMissing, "can not use the subnet"),
        (WISH._replace(type="x9.none"), AwsMissing, "no default subnet of us-east-1 has machines"),
    ]
    for wish, kind, why in wrong:
        with pytest.raises(kind, match=why):
            launch(account, wish, tmp_path / "home", told.append)
    assert told == []
    assert cloud.inventory() == cloud.empty
    assert not (tmp_path / "home").exists()


def test_a_stranger_of_the_same_name_is_neither_used_nor_touched(
    cloud: Cloud, account: Account, laptop: Laptop
) -> None:
    cloud.iam.create_role(RoleName="s4-taxi-us-east-1", AssumeRolePolicyDocument="{}")
    group = cloud.ec2.create_security_group(GroupName="s4-taxi", Description="a stranger's")
    cloud.ssm.put_parameter(Name="/s4/taxi/key", Value="a stranger's", Type="String")
    before = cloud.inventory()
    with pytest.raises(AwsRefused, match="is there already, or what is left of it: role s4-taxi-us-east-1"):
        launch(account, WISH, laptop.home, lambda _: None)
    err = laptop.refused("down", "taxi", "--yes")
    assert "the role s4-taxi-us-east-1 is not tagged as cluster taxi in us-east-1's own" in err
    assert "the parameter /s4/taxi/key is not tagged" in err
    assert cloud.inventory() == before
    assert group["GroupId"] in before["groups"]


def test_machines_that_end_at_once_are_told_with_their_reason(
    cloud: Cloud, account: Account, tmp_path: Path
) -> None:
    def tell(text: str) -> None:
        if "asked for" in text:
            cloud.ec2.terminate_instances(InstanceIds=[cloud.instances("running")[0]["InstanceId"]])

    with pytest.raises(AwsBusy, match="has ended: "):
        launch(account, WISH, tmp_path / "home", tell)
    assert cloud.inventory() == cloud.empty
