"""What the machines of a cluster may do: a role, and the instance profile that hands it to them.

s3    read everything that the account may read, write the buckets that were named
ec2   see which instances there are
ssm   read the cluster's key, write SSH host keys; nobody else's parameters
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..aws import aws_errors
from ..errors import AwsMissing, AwsRefused
from .account import Account
from .naming import Cluster, from_list, is_own, to_list

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLICY = "s4"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def policy(partition: str, account: str, cluster: Cluster, write_buckets: Sequence[str]) -> dict[str, Any]:
    """The document; the key of AWS that encrypts parameters needs no word here."""
    parameters = f"arn:{partition}:ssm:{cluster.region}:{account}:parameter"
    statements = [
        _allow("s3:GetObject s3:ListBucket s3:GetBucketLocation s3:ListAllMyBuckets", "*"),
        _allow("ec2:DescribeInstances", "*"),
        _allow("ssm:GetParameter", f"{parameters}{cluster.key_parameter}"),
        _allow("ssm:PutParameter", f"{parameters}{cluster.host_parameters}*"),
    ]
    if write_buckets:
        objects = [f"arn:{partition}:s3:::{bucket}/*" for bucket in write_buckets]
        statements.append(
            _allow(
                "s3:PutObject s3:DeleteObject s3:AbortMultipartUpload s3:ListMultipartUploadParts", objects
            )
        )
        buckets = [f"arn:{partition}:s3:::{bucket}" for bucket in write_buckets]
        statements.append(_allow("s3:ListBucketMultipartUploads", buckets))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: str, resources: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions.split(), "Resource": resources}


def make_role(
    account: Account, cluster: Cluster, write_buckets: Sequence[str], tags: dict[str, str]
) -> None:
    """Role and instance profile, both called `cluster.role`."""
    name, tag_list = cluster.role, to_list(tags)
    document = json.dumps(policy(*account.arn_root, cluster, write_buckets))
    with aws_errors(f"can not make the role {name}"):
        account.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST), Tags=tag_list)
        account.iam.put_role_policy(RoleName=name, PolicyName=_POLICY, PolicyDocument=document)
    with aws_errors(f"can not make the instance profile {name}"):
        account.iam.create_instance_profile(InstanceProfileName=name, Tags=tag_list)
        account.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def roles(account: Account, cluster: Cluster) -> list[str]:
    """What there is of that name, a stranger's too."""
    found = {"role": _role(account, cluster), "instance profile": _profile(account, cluster)}
    return [f"{kind} {cluster.role}" for kind, value in found.items() if value]


def _role(account: Account, cluster: Cluster) -> dict[str, Any] | None:
    with suppress(AwsMissing), aws_errors(f"can not look for the role {cluster.role}"):
        return dict(account.iam.get_role(RoleName=cluster.role)["Role"])
    return None


def _profile(account: Account, cluster: Cluster) -> dict[str, Any] | None:
    with suppress(AwsMissing), aws_errors(f"can not look for the instance profile {cluster.role}"):
        found = account.iam.get_instance_profile(InstanceProfileName=cluster.role)
        return dict(found["InstanceProfile"])
    return None


def remove_roles(account: Account, cluster: Cluster, launch: str | None) -> list[str]:
    """Delete them; what was deleted. Raises AwsRefused where one is not the cluster's own."""
    gone = []
    profile = _mine(_profile(account, cluster), cluster, launch, "instance profile")
    if profile:
        with _deleting("instance profile", cluster):
            for role in profile["Roles"]:
                account.iam.remove_role_from_instance_profile(
                    InstanceProfileName=cluster.role, RoleName=role["RoleName"]
                )
            account.iam.delete_instance_profile(InstanceProfileName=cluster.role)
        gone.append(f"instance profile {cluster.role}")
    if _mine(_role(account, cluster), cluster, launch, "role"):
        with _deleting("role", cluster):
            for name in account.iam.list_role_policies(RoleName=cluster.role)["PolicyNames"]:
                account.iam.delete_role_policy(RoleName=cluster.role, PolicyName=name)
            account.iam.delete_role(RoleName=cluster.role)
        gone.append(f"role {cluster.role}")
    return gone


@contextmanager
def _deleting(kind: str, cluster: Cluster) -> Iterator[None]:
    with aws_errors(f"can not delete the {kind} {cluster.role}"):
        yield


def _mine(
    found: dict[str, Any] | None, cluster: Cluster, launch: str | None, kind: str
) -> dict[str, Any] | None:
    """What may be deleted. That of another launch is none of this one's business."""
    if found is None or is_own(from_list(found.get("Tags")), cluster, launch):
        return found
    if launch:
        return None
    raise AwsRefused(f"the {kind} {cluster.role} is not tagged as {cluster}'s own: it is left as it is")
