"""What everything of a cluster is called, and how it is tagged.

Names say where to look, tags say whose it is: a thing of the right name without the tags is a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import UsageError

MAKER = "created-by"
MAKER_IS = "s4zmq"
CLUSTER = "s4-cluster"
LAUNCH = "s4-launch"
NODES = "s4-nodes"
HOURS = "s4-hours"
PORT = "s4-port"
SSH_USER = "s4-ssh-user"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Cluster(NamedTuple):
    """A cluster by its name and region."""

    name: str
    region: str

    def __str__(self) -> str:
        return f"cluster {self.name} in {self.region}"

    @property
    def thing(self) -> str:
        """The name of its security group and its key pair."""
        return f"s4-{self.name}"

    @property
    def role(self) -> str:
        """The name of its role and instance profile; these have no region of their own."""
        return f"s4-{self.name}-{self.region}"

    @property
    def parameters(self) -> str:
        """What its parameters' names begin with."""
        return f"/s4/{self.name}/"

    @property
    def key_parameter(self) -> str:
        """The parameter that holds its key."""
        return f"{self.parameters}key"

    @property
    def host_parameters(self) -> str:
        """What the names of the parameters with SSH host keys begin with; the instance's id follows."""
        return f"{self.parameters}hosts/"


def check_name(name: str) -> str:
    """Raises UsageError for a name that AWS would not take everywhere."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a cluster: it begins with a small letter, and has small letters,"
            " digits and hyphens, 32 at most"
        )
    return name


def tags_of(cluster: Cluster, launch: str, **more: str) -> dict[str, str]:
    """The tags of everything that one launch makes; `more` has underscores for hyphens."""
    own = {"Name": cluster.thing, MAKER: MAKER_IS, CLUSTER: cluster.name, LAUNCH: launch}
    return own | {name.replace("_", "-"): value for name, value in more.items()}


def to_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def from_list(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """As AWS gives them; nothing where there are none."""
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or ()}


def specification(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Tags for what a call of EC2 makes."""
    return {"ResourceType": kind, "Tags": to_list(tags)}


def filters_of(cluster: Cluster | None, launch: str | None = None) -> list[dict[str, Any]]:
    """EC2's filters for what is a cluster's own, or of any cluster, or of one launch."""
    wanted = {MAKER: MAKER_IS}
    if cluster:
        wanted[CLUSTER] = cluster.name
    if launch:
        wanted[LAUNCH] = launch
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]


def is_own(tags: Mapping[str, str], cluster: Cluster, launch: str | None = None) -> bool:
    """Whether something with these tags is the cluster's, and of that launch where one is named."""
    return (
        tags.get(MAKER) == MAKER_IS
        and tags.get(CLUSTER) == cluster.name
        and launch in (None, tags.get(LAUNCH))
    )
