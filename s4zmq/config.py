"""Which cluster: the conf file, found once and read into a frozen object.

The environment is read here and nowhere else. No sockets.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError
from .placement import Roster


class Config(NamedTuple):
    """A cluster as its conf file describes it."""

    path: Path
    """Absolute: commands find the same cluster through `$S4_CONF_PATH`."""

    roster: Roster


def s4_home() -> Path:
    """Where the embedded cluster of `s4 up` lives: `$S4_HOME`, else `~/.s4`."""
    return Path(os.environ.get("S4_HOME") or Path.home() / ".s4").absolute()


def embedded_conf(home: Path) -> Path:
    """The conf file that `s4 up` writes."""
    return home / "s4.conf"


def find_conf(given: str | None) -> Path:
    """`given`, else `$S4_CONF_PATH`, else `~/.s4.conf`, else that of `s4 up`.

    Raises ConfigError where none of them is there.
    """
    chosen = given or os.environ.get("S4_CONF_PATH")
    if chosen:
        return Path(chosen).absolute()
    for path in (Path.home() / ".s4.conf", embedded_conf(s4_home())):
        if path.exists():
            return path
    raise ConfigError(
        "no cluster: start one on this machine with `s4 up`, or name a conf file"
        " (one host:port a line) with -c, $S4_CONF_PATH or ~/.s4.conf"
    )


def load_config(given: str | None) -> Config:
    """Find and read the conf file. Raises ConfigError."""
    path = find_conf(given)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"can not read the conf file {path}: {reason}") from exc
    return Config(path, Roster.parse(text, str(path)))
