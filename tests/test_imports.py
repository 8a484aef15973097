"""What the small commands load: each import is paid for at every start, and a loop of `s4 cp` is slow by
nothing else. Who needs a module in one command more says so in the lists below, or imports it where
only that command comes.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import s4zmq

from .harness import BIN, Cluster


def words(text: str) -> set[str]:
    return set(text.split())


LINE = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.M)

ALL = words(
    "checksum cli clusterkey codec config courier errors interrupts keys limits lines placement session"
    " sockets usage wire wirejobs wirekeys wires3 wireviews"
)
HEALTH = ALL | {"clusterverbs"}
COPY = (
    ALL
    | {"keyverbs"}
    | words("amounts progress copying gets localfiles memory pipes printing puts streams transfer")
)
ROOMS = {"health": HEALTH, "ls": ALL | {"keyverbs", "printing"}, "put": COPY, "get": COPY}

LIBRARIES = {
    "health": {"zmq", "zmq.utils.z85", "msgpack", "xxhash"},
    "ls": {"zmq", "zmq.utils.z85", "msgpack", "xxhash"},
    "put": {"zmq", "zmq.utils.z85", "msgpack", "xxhash", "mmh3"},
    "get": {"zmq", "zmq.utils.z85", "msgpack", "xxhash", "mmh3"},
}
"""What these bring along is measured in the same Python, as it differs: `zmq` alone loads subprocess on
3.10, inspect on 3.12, and json, random and pickle on all."""

STANDARD = words(
    "__future__ collections contextlib errno fcntl functools gc heapq itertools math os re select signal"
    " stat struct sys threading time types typing"
)
"""What our own rooms may name. Nearly all of it comes with the libraries anyway."""

PART_OF_STANDARD = {"collections.abc", "enum"}
"""What some versions of Python load for those, beside modules that begin with an underscore."""


def loaded(argv: list[str], environment: dict[str, str]) -> set[str]:
    """Every module that a program imports, from its start to its end."""
    done = subprocess.run(
        argv,
        env={**environment, "PYTHONPROFILEIMPORTTIME": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = set(LINE.findall(done.stderr))
    assert "site" in names, done.stderr
    return names


def loaded_by_python(code: str) -> set[str]:
    return loaded([sys.executable, "-c", code], dict(os.environ))


@pytest.fixture
def command_lines(cluster: Cluster, tmp_path: Path) -> dict[str, list[str]]:
    """The command line of each command, for a cluster with one key."""
    cluster.ok("cp", "-", "s4://imports/key", stdin=b"value")
    return {
        "health": ["health"],
        "ls": ["ls", "s4://imports/"],
        "put": ["cp", "-", "s4://imports/new"],
        "get": ["cp", "s4://imports/key", str(tmp_path / "file")],
    }


@pytest.mark.parametrize("command", ROOMS)
def test_a_small_command_loads_only_what_it_needs(
    command: str, cluster: Cluster, command_lines: dict[str, list[str]]
) -> None:
    bare = loaded_by_python("pass")
    with_libraries = loaded_by_python(f"import {', '.join(sorted(LIBRARIES[command]))}")
    found = loaded([str(BIN / "s4"), *command_lines[command]], cluster.environment) - bare
    rooms = {name.removeprefix("s4zmq.") for name in found if name.startswith("s4zmq.")}
    assert rooms == ROOMS[command]
    others = {name for name in found - with_libraries if not name.startswith(("s4zmq", "_"))}
    assert others <= STANDARD | PART_OF_STANDARD


@pytest.mark.parametrize("room", sorted(set().union(*ROOMS.values())))
def test_what_a_room_of_theirs_imports_is_listed(room: str) -> None:
    source = (Path(s4zmq.__file__).parent / f"{room}.py").read_text()
    assert set(imported(ast.parse(source))) <= STANDARD | LIBRARIES["put"]


def test_the_script_imports_what_is_listed() -> None:
    assert set(imported(ast.parse((BIN / "s4").read_text()))) <= STANDARD | {"s4zmq"}


def imported(tree: ast.Module) -> Iterator[str]:
    """Packages from elsewhere that are imported with a module, not in a function or for types only."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING":
            yield from imported(ast.Module([*node.body, *node.orelse], []))
        elif isinstance(node, ast.Try):
            yield from imported(ast.Module([*node.body, *node.orelse, *node.finalbody], []))
