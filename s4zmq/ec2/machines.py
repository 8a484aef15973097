"""The instances of a cluster: started with one call, listed in the order of the conf file, ended.

All are started with the same words, so nothing tells them apart but what EC2 gives each: the order is that
of their private addresses, which launcher and nodes see alike.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ..aws import aws_errors
from ..errors import AwsBusy, AwsRefused, S4Error
from .account import Account
from .images import Image
from .naming import Cluster, filters_of, from_list, specification
from .network import Subnet
from .waiting import look_until

STARTING = ("pending", "running")
NOT_ENDED = ("pending", "running", "stopping", "stopped", "shutting-down")

_PROFILE_LIMIT_S = 60.0
_RUNNING_LIMIT_S = 300.0
_ENDED_LIMIT_S = 600.0
_PAUSE_S = 2.0


class Machine(NamedTuple):
    """One instance."""

    id: str
    state: str
    """As EC2 calls it: pending, running, ..."""
    private_ip: str
    """"" as long as it has none, and when it has ended."""
    public_ip: str
    type: str
    launched: datetime
    tags: dict[str, str]
    reason: str
    """Why it has ended, in EC2's words."""

    @property
    def reachable_ip(self) -> str:
        """Where SSH finds it from outside, or where it has no public address from the same network."""
        return self.public_ip or self.private_ip


class Order(NamedTuple):
    """What to start."""

    number: int
    type: str
    image: Image
    subnet: Subnet
    group: str
    is_spot: bool
    user_data: str


def start(account: Account, cluster: Cluster, order: Order, launch: str, tags: dict[str, str]) -> None:
    """All at once, or none. A new instance profile is not known everywhere at once."""

    def run() -> bool | None:
        try:
            with aws_errors(f"can not start {order.number} machines of the type {order.type}"):
                account.ec2.run_instances(ClientToken=launch, **_words(cluster, order, tags))
        except AwsRefused as error:
            if "profile" in error.text.lower() and error.details.get("aws") == "InvalidParameterValue":
                refusals.append(error)
                return None
            raise
        return True

    refusals: list[S4Error] = []
    if look_until(run, limit_s=_PROFILE_LIMIT_S, pause_s=_PAUSE_S) is None:
        raise refusals[-1]


def _words(cluster: Cluster, order: Order, tags: dict[str, str]) -> dict[str, Any]:
    interface = {
        "DeviceIndex": 0,
        "SubnetId": order.subnet.id,
        "Groups": [order.group],
        "AssociatePublicIpAddress": True,
        "DeleteOnTermination": True,
    }
    root = {
        "Encrypted": True,
        "VolumeType": "gp3",
        "VolumeSize": order.image.root_gb,
        "DeleteOnTermination": True,
    }
    words = {
        "ImageId": order.image.id,
        "InstanceType": order.type,
        "MinCount": order.number,
        "MaxCount": order.number,
        "KeyName": cluster.thing,
        "UserData": order.user_data,
        "IamInstanceProfile": {"Name": cluster.role},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        },
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": [{"DeviceName": order.image.root_device, "Ebs": root}],
        "TagSpecifications": [specification(kind, tags) for kind in ("instance", "volume")],
    }
    if order.is_spot:
        once = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        words["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": once}
    return words


def machines(
    account: Account,
    cluster: Cluster | None,
    states: Sequence[str] = NOT_ENDED,
    launch: str | None = None,
) -> list[Machine]:
    """Those of a cluster, or of all, in the order of the nodes."""
    wanted = [*filters_of(cluster, launch), {"Name": "instance-state-name", "Values": list(states)}]
    with aws_errors("can not list instances"):
        pages = account.ec2.get_paginator("describe_instances").paginate(Filters=wanted)
        found = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    return sorted(map(_machine, found), key=_order)


def _machine(found: Any) -> Machine:
    return Machine(
        found["InstanceId"],
        found["State"]["Name"],
        found.get("PrivateIpAddress") or "",
        found.get("PublicIpAddress") or "",
        found["InstanceType"],
        found["LaunchTime"],
        from_list(found.get("Tags")),
        (found.get("StateReason") or {}).get("Message", ""),
    )


def _order(machine: Machine) -> tuple[int, str]:
    return int(ipaddress.ip_address(machine.private_ip or "255.255.255.255")), machine.id


def wait_running(account: Account, cluster: Cluster, launch: str, count: int) -> list[Machine]:
    """All machines of a launch, in the order of the nodes. Raises AwsBusy where one ends instead, or time
    is over."""

    def look() -> list[Machine] | None:
        found = machines(account, cluster, (*NOT_ENDED, "terminated"), launch)
        for machine in found:
            if machine.state not in STARTING:
                raise AwsBusy(f"the machine {machine.id} has ended: {machine.reason or machine.state}")
        running = [machine for machine in found if machine.state == "running" and machine.private_ip]
        return running if len(running) == count else None

    found = look_until(look, limit_s=_RUNNING_LIMIT_S, pause_s=_PAUSE_S)
    if found is None:
        raise AwsBusy(f"not all machines of {cluster} run after {_RUNNING_LIMIT_S:g} s: try again later")
    return found


def end(account: Account, cluster: Cluster, launch: str | None) -> list[str]:
    """Terminate them, and wait until they are; what has ended. Raises AwsBusy when time is over."""
    found = [machine.id for machine in machines(account, cluster, launch=launch)]
    if not found:
        return []
    with aws_errors(f"can not terminate the machines of {cluster}"):
        account.ec2.terminate_instances(InstanceIds=found)
    gone = look_until(
        lambda: True if not machines(account, cluster, launch=launch) else None,
        limit_s=_ENDED_LIMIT_S,
        pause_s=_PAUSE_S,
    )
    if not gone:
        raise AwsBusy(f"the machines of {cluster} do not end: look again later")
    return [f"machine {id}" for id in found]
