"""Every block of the README and of the recipes is run, in order, and prints what stands there: console
blocks are typed into a shell, Python blocks are scripts, in which comments after a line that prints show
what is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import BIN
from .s3.servers import start_moto, variables

TOP = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "RECIPES.md")
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.M | re.S)
Example = tuple[list[str], str]
"""(command line, expected output)"""


def examples(document: str) -> list[Example]:
    """Each `$` line, and each Python block, in order."""
    found: list[Example] = []
    for language, block in BLOCK.findall((TOP / document).read_text()):
        found += commands(block) if language == "console" else [script(block)]
    return found


def commands(block: str) -> list[Example]:
    found: list[Example] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((["bash", "-c", line[2:]], ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def script(block: str) -> Example:
    shown = (line.lstrip() for line in block.splitlines(keepends=True))
    expected = "".join(line[2:] for line in shown if line.startswith("# "))
    return [sys.executable, "-c", block], expected


def pattern_of(expected: str) -> re.Pattern[str]:
    """`...` stands for anything, over several lines where it stands alone on one."""
    parts = re.split(r"(^\.\.\.\n|\.\.\.)", expected, flags=re.M)
    return re.compile(
        "".join({"...\n": r"(?s:.*)", "...": r"[^\n]+"}.get(part, re.escape(part)) for part in parts)
    )


@pytest.mark.parametrize(("document", "scripts"), [("README.md", 2), ("RECIPES.md", 0)])
def test_a_document_has_examples(document: str, scripts: int) -> None:
    programs = [command[0] for command, _ in examples(document)]
    assert programs.count("bash") > 20
    assert programs.count(sys.executable) >= scripts


@pytest.fixture
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 with the bucket of the README; what must be in the environment to use it."""
    server = start_moto(tmp_path_factory.mktemp("moto"))
    server.client.create_bucket(Bucket="my-bucket")
    yield variables(server.endpoint)
    server.stop()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_blocks_print_what_a_document_shows(tmp_path: Path, s3: dict[str, str], document: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("S4_")},
        **s3,
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    try:
        for command, expected in examples(document):
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            if not pattern_of(expected).fullmatch(done.stdout):
                pytest.fail(f"{command[-1]}expected:\n{expected}\nprinted:\n{done.stdout}")
    finally:
        subprocess.run([BIN / "s4", "down", "--purge"], env=environment, check=True, capture_output=True)


def test_pictures_are_there() -> None:
    names = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (TOP / "README.md").read_text())
    assert names
    for name in names:
        assert (TOP / name).stat().st_size > 1000, name
