"""Where the machines stand: one subnet, and a security group that lets in the group itself, and SSH."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import Any, NamedTuple

from ..aws import aws_errors
from ..errors import AwsMissing, AwsRefused, AwsUnreachable, UsageError
from .account import Account
from .naming import Cluster, filters_of, specification
from .waiting import look_until

CHECK_ADDRESS = "https://checkip.amazonaws.com"
"""Answers with the address that AWS sees of whoever asks."""

_TIMEOUT_S = 10.0
_IN_USE_LIMIT_S = 120.0
_PAUSE_S = 2.0


class Subnet(NamedTuple):
    """A place for machines."""

    id: str
    vpc: str
    zone: str


def own_cidr(url: str = CHECK_ADDRESS) -> str:
    """This machine's public address, as the only one of its network. Raises AwsUnreachable."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            address = ipaddress.ip_address(answer.read(100).decode("ascii").strip())
    except (OSError, ValueError) as exc:
        raise AwsUnreachable(
            f"can not find out this machine's public address from {url}: {exc}: say with --ssh-from who"
            " may come in by SSH, such as 203.0.113.7/32"
        ) from exc
    return f"{address}/{address.max_prefixlen}"


def checked_cidr(text: str) -> str:
    """Raises UsageError for what is no network."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as exc:
        raise UsageError(f"--ssh-from takes a network such as 203.0.113.7/32: {exc}") from exc


def choose_subnet(account: Account, machine_type: str, given: str | None) -> Subnet:
    """The given one, else a default one in a zone that has such machines. Raises AwsMissing."""
    if given:
        with aws_errors(f"can not use the subnet {given}"):
            [found] = account.ec2.describe_subnets(SubnetIds=[given])["Subnets"]
        return _subnet(found)
    zones = _zones_with(account, machine_type)
    with aws_errors("can not list subnets"):
        wanted = [{"Name": "default-for-az", "Values": ["true"]}]
        subnets = account.ec2.describe_subnets(Filters=wanted)["Subnets"]
    fitting = sorted(map(_subnet, subnets), key=lambda subnet: subnet.zone)
    for subnet in fitting:
        if subnet.zone in zones:
            return subnet
    raise AwsMissing(
        f"no default subnet of {account.region} has machines of the type {machine_type}: is the type"
        " right? Else name one with --subnet"
    )


def _subnet(found: Any) -> Subnet:
    return Subnet(found["SubnetId"], found["VpcId"], found["AvailabilityZone"])


def _zones_with(account: Account, machine_type: str) -> set[str]:
    with aws_errors(f"can not ask where there are machines of the type {machine_type}"):
        offered = account.ec2.describe_instance_type_offerings(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": [machine_type]}],
        )
    return {offer["Location"] for offer in offered["InstanceTypeOfferings"]}


def make_group(account: Account, cluster: Cluster, vpc: str, ssh_from: str, tags: dict[str, str]) -> str:
    """A security group; its id."""
    with aws_errors(f"can not make the security group {cluster.thing}"):
        group = account.ec2.create_security_group(
            GroupName=cluster.thing,
            Description=f"s4 {cluster}",
            VpcId=vpc,
            TagSpecifications=[specification("security-group", tags)],
        )["GroupId"]
        account.ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[_from_group(group), _ssh_from(ssh_from)]
        )
    return str(group)


def _from_group(group: str) -> dict[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}


def _ssh_from(cidr: str) -> dict[str, Any]:
    ranges: dict[str, Any] = (
        {"Ipv6Ranges": [{"CidrIpv6": cidr}]} if ":" in cidr else {"IpRanges": [{"CidrIp": cidr}]}
    )
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **ranges}


def groups(account: Account, cluster: Cluster | None, launch: str | None = None) -> list[dict[str, Any]]:
    """Security groups of a cluster, or of all."""
    with aws_errors("can not list security groups"):
        pages = account.ec2.get_paginator("describe_security_groups").paginate(
            Filters=filters_of(cluster, launch)
        )
        return [group for page in pages for group in page["SecurityGroups"]]


def remove_groups(account: Account, cluster: Cluster, launch: str | None) -> list[str]:
    """Delete them; what was deleted. For a while after the end of its machines a group is still in use."""
    found = groups(account, cluster, launch)
    for group in found:
        look_until(lambda group=group: _delete(account, group), limit_s=_IN_USE_LIMIT_S, pause_s=_PAUSE_S)  # type: ignore[misc]
        if any(left["GroupId"] == group["GroupId"] for left in groups(account, cluster, launch)):
            raise AwsRefused(f"the security group {group['GroupId']} is still in use: try again later")
    return [f"security group {group['GroupId']}" for group in found]


def _delete(account: Account, group: dict[str, Any]) -> bool | None:
    """None while it is in use."""
    try:
        with aws_errors(f"can not delete the security group {group['GroupId']}"):
            account.ec2.delete_security_group(GroupId=group["GroupId"])
    except AwsRefused as error:
        if error.details.get("aws") == "DependencyViolation":
            return None
        raise
    return True
