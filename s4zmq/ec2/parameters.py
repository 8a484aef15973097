"""What launcher and machines tell each other through the Parameter Store of AWS.

    /s4/NAME/key             the cluster's key, encrypted; from the launcher until all nodes are healthy
    /s4/NAME/hosts/INSTANCE  the public SSH host keys of a machine, as that machine knows them

Who reads and writes is decided by AWS, by its credentials, over TLS. So a machine needs no secret in its
user data, and the launcher trusts no SSH host that it has only heard of over the network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..aws import aws_errors
from ..errors import AwsMissing, AwsRefused
from .account import Account
from .files import replace
from .naming import Cluster, from_list, is_own, to_list

_HOST_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")
_DELETED_AT_ONCE = 10


def send_key(account: Account, cluster: Cluster, path: Path, tags: dict[str, str]) -> None:
    """Put the cluster's key where its machines, and they alone, may fetch it."""
    _put(account, cluster.key_parameter, path.read_text(), "SecureString", tags=tags)


def fetch_key(account: Account, cluster: Cluster, path: Path) -> None:
    """Write the cluster's key to `path`, mode 0600. Raises AwsMissing where it is not there any more."""
    with aws_errors(f"can not read the key of {cluster}"):
        try:
            found = account.ssm.get_parameter(Name=cluster.key_parameter, WithDecryption=True)
        except account.ssm.exceptions.ParameterNotFound:
            raise AwsMissing(
                f"the key of {cluster} is not on its way any more: it is deleted when the nodes are"
                f" healthy; copy it from the machine that has it, or from a node, to {path}"
            ) from None
    replace(path, found["Parameter"]["Value"], mode=0o600)


def remove_key(account: Account, cluster: Cluster) -> None:
    """All have it."""
    with (
        suppress(account.ssm.exceptions.ParameterNotFound),
        aws_errors(f"can not delete the key of {cluster}"),
    ):
        account.ssm.delete_parameter(Name=cluster.key_parameter)


def host_keys_of(folder: Path) -> list[str]:
    """The public SSH host keys of this machine, `TYPE KEY` each; a machine without sshd has none."""
    found = []
    for path in sorted(folder.glob("ssh_host_*_key.pub")):
        words = path.read_text().split()
        if len(words) > 1 and words[0].startswith(_HOST_KEY_TYPES):
            found.append(f"{words[0]} {words[1]}")
    return found


def publish_host_keys(account: Account, cluster: Cluster, instance: str, keys: Iterable[str]) -> None:
    """Of the machine `instance`, which runs this."""
    _put(account, f"{cluster.host_parameters}{instance}", "\n".join(keys), "String", Overwrite=True)


def read_host_keys(account: Account, cluster: Cluster) -> dict[str, list[str]]:
    """Of all machines that have published theirs, by instance."""
    found = _below(account, cluster.host_parameters)
    return {parameter["Name"].rpartition("/")[2]: _lines(parameter["Value"]) for parameter in found}


def _lines(text: str) -> list[str]:
    """Only what can be part of a line of known_hosts: a machine is not trusted with more."""
    return [
        line for line in text.splitlines() if len(line.split()) == 2 and line.startswith(_HOST_KEY_TYPES)
    ]


def _put(account: Account, name: str, value: str, kind: str, **more: Any) -> None:
    if "tags" in more:
        more["Tags"] = to_list(more.pop("tags"))
    with aws_errors(f"can not write the parameter {name}"):
        account.ssm.put_parameter(Name=name, Value=value, Type=kind, **more)


def parameters(account: Account, cluster: Cluster) -> list[str]:
    """Names of all that there are, a stranger's too."""
    return [str(parameter["Name"]) for parameter in _below(account, cluster.parameters)]


def _below(account: Account, path: str) -> list[dict[str, Any]]:
    with aws_errors(f"can not list the parameters below {path}"):
        pages = account.ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        return [parameter for page in pages for parameter in page["Parameters"]]


def remove_parameters(
    account: Account, cluster: Cluster, launch: str | None, instances: Collection[str]
) -> list[str]:
    """Delete the key and the host keys; what was deleted. One launch deletes those of its `instances`.

    Raises AwsRefused where the key is not the cluster's own.
    """
    found = parameters(account, cluster)
    names = [name for name in found if name.startswith(cluster.host_parameters)]
    if launch:
        names = [name for name in names if name.rpartition("/")[2] in instances]
    if cluster.key_parameter in found and _is_key_own(account, cluster, launch):
        names.append(cluster.key_parameter)
    for start in range(0, len(names), _DELETED_AT_ONCE):
        with aws_errors(f"can not delete the parameters of {cluster}"):
            account.ssm.delete_parameters(Names=names[start : start + _DELETED_AT_ONCE])
    return [f"parameter {name}" for name in names]


def _is_key_own(account: Account, cluster: Cluster, launch: str | None) -> bool:
    name = cluster.key_parameter
    with aws_errors(f"can not look whose the parameter {name} is"):
        found = account.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    if is_own(from_list(found["TagList"]), cluster, launch):
        return True
    if launch:
        return False
    raise AwsRefused(f"the parameter {name} is not tagged as {cluster}'s own: it is left as it is")
