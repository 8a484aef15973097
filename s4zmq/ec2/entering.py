"""Ways into a cluster that runs, also for whoever did not start it but has the credentials."""

from __future__ import annotations

from ..errors import AwsMissing
from . import parameters
from .account import Account
from .files import Files, write_conf
from .machines import Machine, machines
from .naming import NODES, PORT, Cluster
from .ssh import AS_NODE, ssh_argv, sshuttle_argv


def find_running(account: Account, cluster: Cluster, files: Files) -> list[Machine]:
    """Its machines in the order of the nodes; writes their SSH host keys. Raises AwsMissing."""
    found = machines(account, cluster, ("running",))
    if not found:
        raise AwsMissing(
            f"no machine of {cluster} runs: s4 cluster ls --region {cluster.region} shows what does"
        )
    known = files.known_instances()
    if not all(machine.id in known for machine in found):
        files.make_folder()
        files.write_known_hosts(parameters.read_host_keys(account, cluster))
    return found


def complete(account: Account, cluster: Cluster, files: Files, found: list[Machine]) -> None:
    """Write conf and key where they are not here. Raises AwsMissing."""
    if not files.conf.exists():
        wanted = found[0].tags.get(NODES, "?")
        if str(len(found)) != wanted:
            raise AwsMissing(
                f"{len(found)} of {wanted} machines of {cluster} run: there is no whole conf yet"
            )
        write_conf(files.conf, cluster, (f"{one.private_ip}:{one.tags.get(PORT, '8080')}" for one in found))
    if not files.key.exists():
        parameters.fetch_key(account, cluster, files.key)


def tunnel_argv(files: Files, found: list[Machine], *, has_sshuttle: bool) -> list[str]:
    """Leads to all nodes from here; without sshuttle to a shell on the first, where `s4` finds them."""
    if has_sshuttle:
        return sshuttle_argv(files, found[0], found)
    return ssh_argv(files, found[0], (*AS_NODE, "-i"), "-t")
