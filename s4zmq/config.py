"""Which cluster: the conf file and the cluster key, found once and read into a frozen object.

The environment is read here and nowhere else. No sockets.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from .clusterkey import ClusterKey, read_key
from .errors import ConfigError
from .placement import Roster

if TYPE_CHECKING:
    from pathlib import Path

CONF_NAME = "s4.conf"
"""The conf file in the home of an embedded cluster; its key is beside it."""


class Config(NamedTuple):
    """A cluster as its conf file describes it."""

    path: str
    """Absolute: commands find the same cluster through `$S4_CONF_PATH`."""

    roster: Roster
    key: ClusterKey | None = None
    """None: neither encrypted nor authenticated."""

    @property
    def key_path(self) -> str:
        """Of the cluster key; "" where there is none, as `--key` and `$S4_KEY_PATH` take it."""
        return self.key.path if self.key else ""

    @property
    def words(self) -> tuple[str, ...]:
        """The options by which `s4` and `s4-node` find this very cluster, whatever their environment."""
        return ("-c", self.path, "--key", self.key_path)


def s4_home() -> Path:
    """Where the embedded cluster of `s4 up` lives: `$S4_HOME`, else `~/.s4`."""
    from pathlib import Path  # finding and reading a conf file does without it, and is 2 ms faster

    return Path(_home())


def embedded_conf(home: Path) -> Path:
    """The conf file that `s4 up` writes."""
    return home / CONF_NAME


def is_stopped(config: Config) -> bool:
    """Whether this is the cluster of `s4 up`, and `s4 down` has stopped it. Where it was started by hand
    since, something listens."""
    home = os.path.dirname(config.path)
    if config.path != os.path.join(_home(), CONF_NAME):
        return False
    ports = [node.rpartition(":")[2] for node in config.roster.nodes]
    if any(os.path.exists(f"{home}/node-{port}/pid") for port in ports):
        return False
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(ports[0]))) != 0


def _home() -> str:
    return _absolute(os.environ.get("S4_HOME") or os.path.expanduser("~/.s4"))


def _absolute(path: str) -> str:
    """Keeps `..` as it is, since what stands before it may be a link."""
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)


def find_conf(given: str | None) -> str:
    """`given`, else `$S4_CONF_PATH`, else `~/.s4.conf`, else that of `s4 up`.

    Raises ConfigError where none of them is there.
    """
    chosen = given or os.environ.get("S4_CONF_PATH")
    if chosen:
        return _absolute(chosen)
    for path in (os.path.expanduser("~/.s4.conf"), os.path.join(_home(), CONF_NAME)):
        if os.path.exists(path):
            return path
    raise ConfigError(
        "no cluster: start one on this machine with `s4 up`, or name a conf file"
        " (one host:port a line) with -c, $S4_CONF_PATH or ~/.s4.conf"
    )


def key_beside(conf: str) -> str:
    """Where the key of a conf file is, if it is beside it: NAME.key for NAME.conf."""
    return f"{conf.removesuffix('.conf')}.key"


def new_key_path(given: str | None) -> str:
    """Where `s4 keygen` writes: `given`, else `$S4_KEY_PATH`, else `~/.s4.key`."""
    return _absolute(given or os.environ.get("S4_KEY_PATH") or os.path.expanduser("~/.s4.key"))


def find_key(given: str | None, conf: str) -> str:
    """`given`, else `$S4_KEY_PATH`, else the one beside the conf file, else `~/.s4.key`; "" where none of
    them is there, or one that is named is empty: that is how to say that there is to be no key."""
    for chosen in (given, os.environ.get("S4_KEY_PATH")):
        if chosen is not None:
            return chosen and _absolute(chosen)
    for path in (key_beside(conf), os.path.expanduser("~/.s4.key")):
        if os.path.exists(path):
            return path
    return ""


def load_config(given: str | None, key: str | None = None) -> Config:
    """Find and read the conf file, and the cluster key if there is one. Raises ConfigError."""
    path = find_conf(given)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"can not read the conf file {path}: {reason}") from exc
    key_path = find_key(key, path)
    return Config(path, Roster.parse(text, path), read_key(key_path) if key_path else None)
