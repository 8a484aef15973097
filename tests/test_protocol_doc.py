"""The protocol in prose and in code name the same messages and limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
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


UNITS = {"": 1, "s": 1, "ms": 1, "KiB": 1 << 10, "MiB": 1 << 20}


def test_every_limit_has_the_value_that_the_document_tells() -> None:
    told = re.findall(r"`([A-Z_]+)`\s\(([\d.]+)(?:\s(s|ms|KiB|MiB))?[);,]", DOCUMENT.read_text())
    assert len(told) > 40
    for name, number, unit in told:
        assert float(number) * UNITS[unit] == getattr(limits, name), name


def test_the_document_is_of_this_version() -> None:
    text = DOCUMENT.read_text()
    assert text.startswith(f"# The wire protocol, version {wire.VERSION}\n")
    assert text.count(f"s4z 0{wire.VERSION}") == text.count(f"73 34 7a 0{wire.VERSION}") == 1


@pytest.mark.parametrize("cls", wire.OPS, ids=lambda cls: cls.__name__)
def test_the_syntax_of_a_message_names_its_fields_in_their_order(cls: Any) -> None:
    section = DOCUMENT.read_text().partition(f"\n### {wire.OPS[cls]}\n")[2].partition("\n### ")[0]
    syntax, _, prose = section.strip().partition("\n")
    op, *fields = syntax.removesuffix("+ body").split()
    assert op == wire.OPS[cls]
    assert [field.strip("[]") for field in fields] == list(cls._fields)
    assert {field for field in fields if field[0] == "["} == {f"[{name}]" for name in cls._field_defaults}
    assert [field for field in cls._fields if f"`{field}`" not in prose] == [], "not explained"
