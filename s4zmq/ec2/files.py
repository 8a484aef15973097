"""What this machine keeps of a cluster on EC2: `$S4_HOME/clusters/NAME.conf` and its like.

NAME.conf         the nodes; a comment tells the region
NAME.key          the cluster's key, mode 0600
NAME.ssh          the private SSH key that was made for the cluster, mode 0600, and NAME.ssh.pub
NAME.known_hosts  the machines' SSH host keys
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import StorageError, map_errors
from ..placement import Roster
from .naming import Cluster

_HEAD = re.compile(r"# cluster ([a-z0-9-]+) in ([a-z0-9-]+)\n")


class Files:
    """The files of one cluster below `home`, which need not be there yet."""

    def __init__(self, home: Path, name: str) -> None:
        self.name = name
        self.folder = home / "clusters"
        self.conf = self.folder / f"{name}.conf"
        self.key = self.folder / f"{name}.key"
        self.ssh_key = self.folder / f"{name}.ssh"
        self.ssh_public = self.folder / f"{name}.ssh.pub"
        self.known_hosts = self.folder / f"{name}.known_hosts"

    def make_folder(self) -> None:
        """Raises StorageError."""
        with map_errors({OSError: StorageError}, f"can not use {self.folder}"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def region(self) -> str | None:
        """Where the cluster was when its conf was written."""
        return region_of(self.conf, self.name)

    def write_known_hosts(self, host_keys: dict[str, list[str]]) -> None:
        """`host_keys`: for each instance lines of `TYPE KEY`."""
        lines = [f"{instance} {key}\n" for instance, keys in sorted(host_keys.items()) for key in keys]
        replace(self.known_hosts, "".join(lines))

    def known_instances(self) -> set[str]:
        """Those whose SSH host keys are here."""
        try:
            return {line.partition(" ")[0] for line in self.known_hosts.read_text().splitlines()}
        except OSError:
            return set()

    def remove(self) -> int:
        """Delete them all, and the folder if nothing else is in it; how many there were."""
        count = 0
        with map_errors({OSError: StorageError}, f"can not delete files in {self.folder}"):
            for path in (self.conf, self.key, self.ssh_key, self.ssh_public, self.known_hosts):
                count += path.exists()
                path.unlink(missing_ok=True)
        for folder in (self.folder, self.folder.parent):
            try:
                folder.rmdir()
            except OSError:
                break
        return count


def region_of(conf: Path, name: str) -> str | None:
    """The region of the cluster `name` whose conf file that is; None where it is another's, or missing."""
    try:
        found = _HEAD.match(conf.read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return found[2] if found and found[1] == name else None


def write_conf(path: Path, cluster: Cluster, nodes: Iterable[str]) -> None:
    """A conf file that tells which cluster it is of. Raises StorageError."""
    text = "".join(f"{node}\n" for node in nodes)
    Roster.parse(text, str(path))
    replace(path, f"# cluster {cluster.name} in {cluster.region}\n{text}")


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """A whole new file in the place of the old one, never half of it. Raises StorageError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with map_errors({OSError: StorageError}, f"can not write {path}"):
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
                file.write(text)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
