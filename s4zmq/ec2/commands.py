"""`s4 cluster`: words to calls, what is asked and said.

stdout carries only what `ls` lists; what happens meanwhile is told on stderr.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from ..errors import ConfigError, RequestError, UsageError
from ..units import show_count
from . import entering
from .account import Account
from .files import Files
from .launch import Wish, launch
from .naming import Cluster, check_name
from .network import checked_cidr
from .overview import layout, overview
from .removal import remnants, remove
from .ssh import ssh_argv

Args = Mapping[str, Any]

_HOURS_MAX = 24 * 30
_NUMBER_MAX = 1000


def run(args: Args, home: Path) -> int:
    """One command of `s4 cluster`; its exit status. `home` is S4_HOME. Raises S4Error."""
    command = next(name for name in _COMMANDS if args[name])
    return _COMMANDS[command](args, home)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _up(args: Args, home: Path) -> int:
    wish = Wish(
        check_name(args["NAME"]),
        _number(args["--num"]),
        args["--type"],
        _hours(args["--hours"]),
        args["--ami"],
        is_spot=args["--spot"],
        write_buckets=args["--s3-write"],
        ssh_from=args["--ssh-from"] and checked_cidr(args["--ssh-from"]),
        ssh_key=args["--ssh-key"],
        subnet=args["--subnet"],
        waits=not args["--no-wait"],
    )
    files = launch(Account(args["--region"]), wish, home, _tell)
    state = "is healthy" if wish.waits else "starts"
    _tell(
        f"{wish.name} {state}: {show_count(wish.number, 'node')}, for {wish.hours:g} h; conf and key are"
        f" {files.conf} and {files.key}\nway in: s4 cluster connect {wish.name}"
    )
    return 0


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _NUMBER_MAX):
        raise UsageError(f"--num takes a whole number from 1 to {_NUMBER_MAX}, not {text!r}")
    return int(text)


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1
    if not 0.05 <= hours <= _HOURS_MAX:
        raise UsageError(f"--hours takes a number from 0.05 to {_HOURS_MAX}, not {text!r}")
    return hours


def _ls(args: Args, home: Path) -> int:
    print(layout(overview(Account(args["--region"]), datetime.now(timezone.utc))), end="")
    return 0


def _find(args: Args, home: Path) -> tuple[Account, Cluster, Files]:
    """The cluster that is meant: in the region that was said, else where it was started from here."""
    files = Files(home, check_name(args["NAME"]))
    account = Account(args["--region"] or files.region())
    return account, Cluster(args["NAME"], account.region), files


def _connect(args: Args, home: Path) -> int:
    account, cluster, files = _find(args, home)
    found = entering.find_running(account, cluster, files)
    entering.complete(account, cluster, files, found)
    has_sshuttle = shutil.which("sshuttle") is not None
    if has_sshuttle:
        _tell(f"while this runs, in another terminal: export S4_CONF_PATH={files.conf}")
    else:
        _tell(
            "sshuttle is not installed here, so that the nodes can not be reached from this machine: this"
            " is a shell on the first of them, where every s4 command works"
        )
    _become(entering.tunnel_argv(files, found, has_sshuttle=has_sshuttle))


def _ssh(args: Args, home: Path) -> int:
    account, cluster, files = _find(args, home)
    found = entering.find_running(account, cluster, files)
    _become(ssh_argv(files, found[0], [args["CMD"]] if args["CMD"] else []))


def _become(argv: list[str]) -> NoReturn:
    """Go on as that program: its terminal, its signals, its exit status."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except OSError as exc:
        raise ConfigError(f"can not run {argv[0]}: {exc.strerror}") from exc


def _down(args: Args, home: Path) -> int:
    account, cluster, files = _find(args, home)
    there = remnants(account, cluster)
    if there and not args["--yes"]:
        machines = sum(thing.startswith("machine ") for thing in there)
        _ask(f"delete {cluster} with {show_count(machines, 'machine')} and all keys on them?")
    count = remove(account, cluster, files, _tell)
    _tell(f"nothing of {cluster} is left" if count else f"there was nothing of {cluster}")
    return 0


def _ask(question: str) -> None:
    """Raises UsageError where nobody can answer, RequestError where the answer is not yes."""
    if not sys.stdin.isatty():
        raise UsageError(f"{question} say --yes, as there is no terminal to answer on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RequestError("nothing is deleted")


_COMMANDS: Mapping[str, Callable[[Args, Path], int]] = {
    "up": _up,
    "ls": _ls,
    "connect": _connect,
    "ssh": _ssh,
    "down": _down,
}
