"""Everything of a cluster is made, or nothing stays.

Each thing carries the tag of its launch from the call that makes it. A launch that fails, at whichever
step, or is interrupted, removes what has that tag: there is no list of what was made that could be short.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..clusterkey import write_key
from ..errors import AwsRefused, S4Error
from ..units import show_count
from . import keypairs, network, parameters, roles
from .account import Account
from .files import Files, write_conf
from .images import Image, find_image
from .machines import Machine, Order, start, wait_running
from .naming import Cluster, tags_of
from .network import Subnet
from .readiness import wait_for_health, wait_for_host_keys
from .removal import remnants, remove
from .userdata import user_data
from .waiting import Tell


class Wish(NamedTuple):
    """What a user has asked for."""

    name: str
    number: int
    type: str
    hours: float
    """Then the machines end by themselves."""

    image: str | None = None
    is_spot: bool = False
    write_buckets: Sequence[str] = ()
    ssh_from: str | None = None
    """CIDR; None: this machine's public address."""

    ssh_key: str | None = None
    """A file with a public key; None: one is made."""

    subnet: str | None = None
    port: int = 8080
    waits: bool = True
    """For all nodes to be healthy."""

    @property
    def cost(self) -> str:
        """What is to be paid for at most."""
        kind = " at the spot price" if self.is_spot else ""
        return (
            f"{self.number} x {self.type}{kind} for {self.hours:g} h at most:"
            f" {self.number * self.hours:g} instance hours, and their disks"
        )


class Ground(NamedTuple):
    """What is there already and was chosen."""

    image: Image
    subnet: Subnet
    ssh_from: str


def launch(account: Account, wish: Wish, home: Path, tell: Tell) -> Files:
    """Start a cluster; the files by which it is found. Raises S4Error after all has been removed again."""
    attempt = _Launch(account, wish, home, tell)
    ground = attempt.survey()
    tell(f"starting {attempt.cluster}: {wish.cost}")
    try:
        attempt.make(ground)
    except BaseException as error:
        reason = error.text if isinstance(error, S4Error) else "interrupted"
        tell(f"failed: {reason}\nremoving what this launch has made")
        attempt.undo()
        raise
    return attempt.files


class _Launch:
    """One attempt."""

    def __init__(self, account: Account, wish: Wish, home: Path, tell: Tell) -> None:
        self.cluster = Cluster(wish.name, account.region)
        self.files = Files(home, wish.name)
        self._account = account
        self._wish = wish
        self._tell = tell
        self._id = os.urandom(8).hex()

    def survey(self) -> Ground:
        """All that can be wrong before anything is made."""
        account, wish = self._account, self._wish
        here = self.files.region()
        if here not in (None, self.cluster.region):
            raise AwsRefused(f"a cluster {wish.name} in {here} is known here: choose another name")
        there = remnants(account, self.cluster)
        if there:
            shown = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
            raise AwsRefused(
                f"{self.cluster} is there already, or what is left of it: {shown}. To remove it:"
                f" s4 cluster down {wish.name} --region {self.cluster.region}"
            )
        image = find_image(account, wish.image)
        subnet = network.choose_subnet(account, wish.type, wish.subnet)
        return Ground(image, subnet, wish.ssh_from or network.own_cidr())

    def make(self, ground: Ground) -> None:
        """Everything, in the order in which one needs the other."""
        account, cluster, files, wish = self._account, self.cluster, self.files, self._wish
        tags = self._tags(ground.image)
        files.remove()
        files.make_folder()
        write_key(str(files.key))
        group = network.make_group(account, cluster, ground.subnet.vpc, ground.ssh_from, tags)
        roles.make_role(account, cluster, wish.write_buckets, tags)
        keypairs.import_key(account, cluster, keypairs.public_key(files, wish.ssh_key), tags)
        parameters.send_key(account, cluster, files.key, tags)
        data = user_data(cluster, wish.port, wish.hours)
        order = Order(wish.number, wish.type, ground.image, ground.subnet, group, wish.is_spot, data)
        start(account, cluster, order, self._id, tags)
        machines = show_count(wish.number, "machine")
        self._tell(f"{machines} of the image {ground.image.name} asked for: waiting for them")
        nodes = wait_running(account, cluster, self._id, wish.number)
        write_conf(files.conf, cluster, (f"{machine.private_ip}:{wish.port}" for machine in nodes))
        if wish.waits:
            self._see_through(nodes)

    def _tags(self, image: Image) -> dict[str, str]:
        return tags_of(
            self.cluster,
            self._id,
            s4_nodes=str(self._wish.number),
            s4_hours=f"{self._wish.hours:g}",
            s4_port=str(self._wish.port),
            s4_ssh_user=image.ssh_user,
        )

    def _see_through(self, nodes: Sequence[Machine]) -> None:
        """Wait for health. From then on no machine needs to fetch the key any more."""
        wait_for_host_keys(self._account, self.cluster, self.files, nodes, self._tell)
        wait_for_health(self.files, nodes, self._tell)
        parameters.remove_key(self._account, self.cluster)

    def undo(self) -> None:
        """Never raises S4Error: the failure of the launch is what the user must hear."""
        by_hand = f"s4 cluster down {self.cluster.name} --region {self.cluster.region}"
        try:
            remove(self._account, self.cluster, self.files, self._tell, launch=self._id)
            self._tell("nothing of it is left")
        except S4Error:
            self._tell(f"something is left: {by_hand}")
        except BaseException:
            self._tell(f"interrupted again: {by_hand}")
            raise
