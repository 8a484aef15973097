"""Everything of a cluster goes, in the order in which it can: machines first, which hold the rest in use.

What there is is found by its tags, not remembered, so it may be repeated, and mends what
an earlier one left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import S4Error
from . import keypairs, machines, network, parameters, roles
from .account import Account
from .files import Files
from .naming import Cluster
from .waiting import Tell


def remnants(account: Account, cluster: Cluster) -> list[str]:
    """What there is under the cluster's name."""
    return [
        *(f"machine {machine.id}" for machine in machines.machines(account, cluster)),
        *(f"security group {group['GroupId']}" for group in network.groups(account, cluster)),
        *roles.roles(account, cluster),
        *(f"SSH key pair {pair['KeyName']}" for pair in keypairs.key_pairs(account, cluster)),
        *(f"parameter {name}" for name in parameters.parameters(account, cluster)),
    ]


def remove(account: Account, cluster: Cluster, files: Files, tell: Tell, launch: str | None = None) -> int:
    """Delete all of a cluster, or of one launch; how many things. Tells each.

    Goes on where one step fails, and raises the first failure in the end.
    """
    count, failures = 0, []
    for step in _steps(account, cluster, launch):
        try:
            for thing in step():
                tell(f"deleted: {thing}")
                count += 1
        except S4Error as error:
            tell(error.text)
            failures.append(error)
    if failures:
        raise failures[0]
    if files.region() in (None, cluster.region):
        count += files.remove()
    return count


def _steps(account: Account, cluster: Cluster, launch: str | None) -> Iterator[Callable[[], list[str]]]:
    ids = {machine.id for machine in machines.machines(account, cluster, launch=launch)}
    yield lambda: machines.end(account, cluster, launch)
    yield lambda: network.remove_groups(account, cluster, launch)
    yield lambda: roles.remove_roles(account, cluster, launch)
    yield lambda: keypairs.remove_key_pairs(account, cluster, launch)
    yield lambda: parameters.remove_parameters(account, cluster, launch, ids)
