"""Command lines that lead to a machine: ssh, and sshuttle, which makes the nodes' addresses reachable.

A machine is known by the host key that it has published through AWS, and is asked for under its instance's
id, as addresses are used again. What a user's own configuration of SSH says besides still counts.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .files import Files
from .machines import Machine
from .naming import SSH_USER

AS_NODE = ("sudo", "-n", "-H", "-u", "s4")
"""Begins a command on a machine that is to have the conf and the key of its node."""


def ssh_words(files: Files, machine: Machine, *options: str) -> list[str]:
    """`ssh` with all that it must know of the machine, but for whom to call."""
    settings = {
        "HostKeyAlias": machine.id,
        "UserKnownHostsFile": _quoted(files.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "15",
    }
    if files.ssh_key.exists():
        settings |= {"IdentityFile": _quoted(files.ssh_key), "IdentitiesOnly": "yes"}
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *words, *options]


def _quoted(path: Path) -> str:
    """As ssh takes one path: blanks would part it in two, and a percent sign begins a token."""
    return '"' + str(path).replace("%", "%%") + '"'


def target(machine: Machine) -> str:
    return f"{machine.tags.get(SSH_USER, 'admin')}@{machine.reachable_ip}"


def ssh_argv(files: Files, machine: Machine, command: Sequence[str], *options: str) -> list[str]:
    """Run words on a machine, or log in where there are none."""
    return [*ssh_words(files, machine, *options), "--", target(machine), *command]


def sshuttle_argv(files: Files, machine: Machine, nodes: Sequence[Machine]) -> list[str]:
    """Lead what goes to the nodes' addresses, and nothing else, through one machine."""
    program = shlex.join(ssh_words(files, machine))
    addresses = [f"{node.private_ip}/32" for node in nodes]
    return ["sshuttle", "--ssh-cmd", program, "--remote", target(machine), *addresses]
