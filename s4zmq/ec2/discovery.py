"""A node finds its peers: the machines that carry its cluster's tag.

own address       from the metadata service
SSH host keys     published, for whoever wants to log in
peers             waited for until there are as many as the tag says, in the order that all see
the cluster's key fetched, mode 0600
the conf file     written last: where it is, all of this has been done, and a restart asks no more
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, NodeUnreachable, S4Error
from . import parameters
from .account import Account
from .files import region_of, write_conf
from .machines import STARTING, Machine, machines
from .metadata import Self, endpoint, read_self
from .naming import NODES, Cluster, check_name
from .waiting import Changes, Found, Tell, look_until

log = logging.getLogger(__name__)

_LIMIT_S = 600.0
_PAUSE_S = 1.0


class Place(NamedTuple):
    """Where a node keeps what it finds, and where it finds what it tells."""

    conf: Path
    key: Path
    host_keys: Path
    """The folder with this machine's public SSH host keys."""


class Patience:
    """What AWS or the other machines are late with is looked for again, until time is over."""

    def __init__(self, tell: Tell, limit_s: float) -> None:
        self.tell = Changes(tell)
        self._until = time.monotonic() + limit_s

    def wait_for(
        self, what: str, look: Callable[[], Found | None], account: Account | None = None
    ) -> Found:
        """What `look` finds. Raises NodeUnreachable with the last that was told. The credentials of a
        machine that has just started may come late: then `account` is to look for them again."""

        def bold_look() -> Found | None:
            try:
                return look()
            except ConfigError:
                raise
            except S4Error as error:
                self.tell(error.text)
                if account:
                    account.forget()
                return None

        self.tell(f"looks for {what}")
        found = look_until(bold_look, limit_s=self._until - time.monotonic(), pause_s=_PAUSE_S)
        if found is None:
            raise NodeUnreachable(f"found no {what} in time: {self.tell.last}")
        return found


def join(name: str, port: int, place: Place, tell: Tell, limit_s: float = _LIMIT_S) -> str:
    """Write conf and key for the node of this machine, unless they are there; its host.

    Raises ConfigError for a conf that another hand wrote, NodeUnreachable when time is over.
    """
    check_name(name)
    patience = Patience(tell, limit_s)
    me = patience.wait_for("word of this machine", lambda: read_self(endpoint()))
    cluster = Cluster(name, me.region)
    if place.conf.exists():
        _check_conf(place.conf, cluster)
        return me.address
    account = Account(me.region)
    keys = parameters.host_keys_of(place.host_keys)
    patience.wait_for("place for its SSH host keys", lambda: _publish(account, cluster, me, keys), account)
    found = patience.wait_for("peers", lambda: look_for_peers(account, cluster, me, patience.tell), account)
    place.key.parent.mkdir(parents=True, exist_ok=True)
    patience.wait_for("key", lambda: _fetch(account, cluster, place.key), account)
    write_conf(place.conf, cluster, (f"{machine.private_ip}:{port}" for machine in found))
    log.info("found the %d nodes of %s", len(found), cluster)
    return me.address


def _check_conf(path: Path, cluster: Cluster) -> None:
    if region_of(path, cluster.name) != cluster.region:
        raise ConfigError(f"{path} was not written for {cluster}: remove it, or name another with --conf")


def _publish(account: Account, cluster: Cluster, me: Self, keys: list[str]) -> bool:
    if keys:
        parameters.publish_host_keys(account, cluster, me.instance, keys)
    else:
        log.warning("this machine has no SSH host keys to publish: s4 cluster ssh will not find it")
    return True


def look_for_peers(account: Account, cluster: Cluster, me: Self, tell: Tell) -> list[Machine] | None:
    """All machines of the cluster in the order of the nodes; None as long as some are missing.

    Raises ConfigError where there are too many.
    """
    found = machines(account, cluster, STARTING)
    mine = next((machine for machine in found if machine.id == me.instance), None)
    if mine is None:
        tell(f"this machine, {me.instance}, does not carry the tag of {cluster} yet")
        return None
    wanted = int(mine.tags.get(NODES, "0"))
    if len(found) > wanted:
        raise ConfigError(f"{len(found)} machines carry the tag of {cluster}, which has {wanted}")
    ready = [machine for machine in found if machine.private_ip]
    tell(f"{len(ready)} of {wanted} machines are there")
    return ready if len(ready) == wanted else None


def _fetch(account: Account, cluster: Cluster, path: Path) -> bool:
    parameters.fetch_key(account, cluster, path)
    return True
