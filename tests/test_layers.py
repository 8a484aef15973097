"""Rooms import downwards only, as the table in the package's docstring says, and stay small."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import s4zmq

PACKAGE = Path(s4zmq.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOM_FILES = [path for path in FILES if path != PACKAGE / "__init__.py"]
LINE_OF_TABLE = re.compile(r"^ +(\d+)  ([a-z0-9_]+(?: [a-z0-9_]+|\n {8}[a-z0-9_]+)*)$", re.M)
"""A layer that has too many rooms for a line goes on in the next, eight spaces from its start."""
OF_THREADS = {*vars(threading.Thread()), *dir(threading.Thread), "_context", "_handle", "_os_thread_handle"}
"""What threads have for themselves, in this version of Python or in another one."""

MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 500


def read_table(text: str) -> dict[str, int]:
    """The layer of every room."""
    rows = [(int(number), rooms.split()) for number, rooms in LINE_OF_TABLE.findall(text)]
    named = [room for _, rooms in rows for room in rooms]
    assert [number for number, _ in rows] == list(range(len(rows))), "layers are counted from 0"
    assert len(named) == len(set(named)), "a room stands in one layer"
    return {room: number for number, rooms in rows for room in rooms}


LAYERS = read_table(s4zmq.__doc__ or "")


def room_of(path: Path) -> str:
    """The room that a file belongs to: its own name, or that of its folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node, but for what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from statements(other)
            continue
        yield child
        yield from statements(child)


def imported_names(source: str, package: tuple[str, ...]) -> Iterator[str]:
    """Full dotted names that a module of `package` imports, anywhere in it."""
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            yield from (".".join([*module, alias.name]) for alias in node.names)


def imported_rooms(source: str, package: tuple[str, ...] = ("s4zmq",)) -> set[str]:
    """The rooms among them; `from . import __version__` is no room."""
    parts = [name.split(".") for name in imported_names(source, package)]
    return {name[1] for name in parts if name[0] == "s4zmq" and len(name) > 1 and name[1] in LAYERS}


def complaints(room: str, imported: set[str]) -> list[str]:
    """What is wrong with the imports of a room."""
    return [
        f"{room} (layer {LAYERS[room]}) imports {other} (layer {LAYERS[other]})"
        for other in sorted(imported - {room})
        if LAYERS[other] >= LAYERS[room]
    ]


@pytest.mark.parametrize("path", ROOM_FILES, ids=name_of)
def test_a_room_imports_from_lower_layers_only(path: Path) -> None:
    assert room_of(path) in LAYERS, f"{room_of(path)} is missing from the table in s4zmq/__init__.py"
    package = ("s4zmq", *path.relative_to(PACKAGE).parts[:-1])
    assert not complaints(room_of(path), imported_rooms(path.read_text(), package))


def test_the_package_itself_imports_no_room() -> None:
    assert not imported_rooms((PACKAGE / "__init__.py").read_text())


def test_every_room_of_the_table_exists() -> None:
    assert set(LAYERS) - {room_of(path) for path in ROOM_FILES} == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_says_what_lives_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_function_and_no_file_is_too_long(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from . import node, sockets", {"node", "sockets"}),
        ("from .node import Node", {"node"}),
        ("from s4zmq.node import Node", {"node"}),
        ("from s4zmq import node as n", {"node"}),
        ("import s4zmq.node", {"node"}),
        ("def f():\n    from .node import Node", {"node"}),
        ("class C:\n    def f(self):\n        if x:\n            import s4zmq.node", {"node"}),
        ("try:\n    from .node import Node\nexcept ImportError:\n    pass", {"node"}),
        ("if TYPE_CHECKING:\n    from .node import Node\nelse:\n    from .keys import Key", {"keys"}),
        ("if typing.TYPE_CHECKING:\n    from .node import Node", set()),
        ("from . import __version__", set()),
        ("import zmq, os.path\nfrom node import x", set()),
    ],
)
def test_an_import_is_found_wherever_it_stands(source: str, rooms: set[str]) -> None:
    assert imported_rooms(source) == rooms


def test_a_folder_of_modules_is_one_room() -> None:
    inside = ("s4zmq", "bench")
    assert imported_rooms("from ..session import Session\nfrom .inputs import x", inside) == {
        "session",
        "bench",
    }
    assert not complaints("bench", {"bench", "session"})


def test_an_import_from_above_or_beside_is_named() -> None:
    assert complaints("wire", {"node"}) == [
        f"wire (layer {LAYERS['wire']}) imports node (layer {LAYERS['node']})"
    ]
    assert complaints("keys", {"codec"}) == [
        f"keys (layer {LAYERS['keys']}) imports codec (layer {LAYERS['codec']})"
    ]
    assert not complaints("node", {"wire", "codec"})


def test_a_table_with_a_gap_or_a_room_twice_is_refused() -> None:
    for table in ("    0  errors\n    2  keys\n", "    0  errors\n    1  keys errors\n"):
        with pytest.raises(AssertionError):
            read_table(table)


def names_of_threads(source: str) -> Iterator[str]:
    """What the threads of a module call their own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any("Thread" in ast.unparse(base) for base in node.bases):
            for part in ast.walk(node):
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    yield part.attr


def test_threads_leave_alone_what_is_pythons() -> None:
    """`_context` was free up to 3.13; in 3.14 a thread that had one of its own did not start."""
    assert set(names_of_threads("class A(threading.Thread):\n def a(self): self._name = 1")) & OF_THREADS
    for path in FILES:
        assert not OF_THREADS.intersection(names_of_threads(path.read_text())), path
