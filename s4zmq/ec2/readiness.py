"""Waiting until all nodes of a new cluster are healthy, as one of them sees it.

Nobody outside of the security group reaches a node's port, so the question is asked over SSH.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from ..errors import NodeUnreachable
from . import parameters
from .account import Account
from .files import Files
from .machines import Machine
from .naming import Cluster
from .ssh import AS_NODE, ssh_argv
from .waiting import Changes, Tell, look_until

_HOSTS_LIMIT_S = 420.0
_HEALTH_LIMIT_S = 420.0
_PAUSE_S = 1.0
_SSH_LIMIT_S = 45.0


def wait_for_host_keys(
    account: Account, cluster: Cluster, files: Files, wanted: Sequence[Machine], tell: Tell
) -> None:
    """Until each machine has published its SSH host keys, which its node does first of all; writes
    known_hosts. Raises NodeUnreachable when time is over."""
    changes = Changes(tell)

    def look() -> dict[str, list[str]] | None:
        found = parameters.read_host_keys(account, cluster)
        missing = [machine.id for machine in wanted if machine.id not in found]
        changes(f"{len(wanted) - len(missing)} of {len(wanted)} machines have started their node")
        return None if missing else found

    found = look_until(look, limit_s=_HOSTS_LIMIT_S, pause_s=_PAUSE_S)
    if found is None:
        raise NodeUnreachable(
            f"{changes.last} after {_HOSTS_LIMIT_S:g} s: is the image one that ami/ builds? The console of"
            f" {wanted[0].id} may tell more (aws ec2 get-console-output --latest)"
        )
    files.write_known_hosts(found)


def wait_for_health(files: Files, nodes: Sequence[Machine], tell: Tell) -> None:
    """Until `s4 health` on the first machine finds all nodes healthy. Raises NodeUnreachable with what it
    said last."""
    changes = Changes(tell)
    argv = ssh_argv(files, nodes[0], (*AS_NODE, "s4", "health"), "-o", "BatchMode=yes")
    if look_until(lambda: _ask(argv, changes), limit_s=_HEALTH_LIMIT_S, pause_s=_PAUSE_S) is None:
        raise NodeUnreachable(f"not all nodes are healthy after {_HEALTH_LIMIT_S:g} s: {changes.last}")


def _ask(argv: Sequence[str], tell: Tell) -> bool | None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SSH_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        tell("the first machine does not answer by SSH")
        return None
    except OSError as exc:
        raise NodeUnreachable(f"can not run ssh: {exc.strerror}") from exc
    healthy = sum(line.startswith("healthy: ") for line in done.stdout.splitlines())
    last = (done.stdout.strip().splitlines() or ["ssh said nothing"])[-1]
    tell(f"{healthy} nodes are healthy" if healthy else last)
    return True if done.returncode == 0 else None
