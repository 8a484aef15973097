"""Every console block of the README and of the recipes is typed into a shell, in order, and prints what
stands there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import BIN
from .s3.servers import start_moto, variables

TOP = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "RECIPES.md")
BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)


def examples(document: str) -> list[tuple[str, str]]:
    """(command, expected output) of each `$` line, in order."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall((TOP / document).read_text()):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def pattern_of(expected: str) -> re.Pattern[str]:
    """`...` stands for anything, over several lines where it stands alone on one."""
    parts = re.split(r"(^\.\.\.\n|\.\.\.)", expected, flags=re.M)
    return re.compile(
        "".join({"...\n": r"(?s:.*)", "...": r"[^\n]+"}.get(part, re.escape(part)) for part in parts)
    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_has_examples(document: str) -> None:
    assert len(examples(document)) > 20


@pytest.fixture
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 with the bucket of the README; what must be in the environment to use it."""
    server = start_moto(tmp_path_factory.mktemp("moto"))
    server.client.create_bucket(Bucket="my-bucket")
    yield variables(server.endpoint)
    server.stop()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_console_blocks_print_what_a_document_shows(
    tmp_path: Path, s3: dict[str, str], document: str
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("S4_")},
        **s3,
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    try:
        for command, expected in examples(document):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
                check=False,
            )
            if not pattern_of(expected).fullmatch(done.stdout):
                pytest.fail(f"$ {command}expected:\n{expected}\nprinted:\n{done.stdout}")
    finally:
        subprocess.run([BIN / "s4", "down", "--purge"], env=environment, check=True, capture_output=True)
