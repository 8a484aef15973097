"""The protocol in prose and in code name the same messages and limits."""

from __future__ import annotations

import re
from pathlib import Path

import zmq

import s4zmq
from s4zmq import limits, wire
from s4zmq.errors import BY_CODE

DOCUMENT = Path(s4zmq.__file__).parent / "PROTOCOL.md"


def text_without_blocks() -> str:
    """The document without its fenced blocks, in which `#` starts no heading."""
    return re.sub(r"^```.*?^```", "", DOCUMENT.read_text(), flags=re.M | re.S)


def headings() -> list[str]:
    return [line.strip(" `") for line in re.findall(r"^### (.*)$", text_without_blocks(), re.M)]


def identifiers() -> set[str]:
    """Upper-case names with an underscore in backticks."""
    return set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", DOCUMENT.read_text()))


def test_every_message_has_one_heading_and_every_heading_is_a_message() -> None:
    found = headings()
    assert sorted(set(found)) == sorted(wire.OPS.values())
    assert len(found) == len(set(found)), "a message has two headings"


def test_every_limit_that_the_document_names_exists() -> None:
    names = {name for name in identifiers() if not name.startswith("E_") and not hasattr(zmq, name)}
    assert names - set(vars(limits)) == set()


def test_every_error_code_that_the_document_names_exists() -> None:
    assert {name for name in identifiers() if name.startswith("E_")} - set(BY_CODE) == set()
