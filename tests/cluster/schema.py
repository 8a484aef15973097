"""Records that commands print, compared with SCHEMA.md: kinds, fields in their order, and types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import s4zmq

DOCUMENT = Path(s4zmq.__file__).with_name("SCHEMA.md")
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.M)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: type(value) is str,
    "count": lambda value: type(value) is int and value >= 0,
    "number": lambda value: type(value) in (int, float),
    "flag": lambda value: type(value) is bool,
    "time": lambda value: type(value) is str and bool(TIME.fullmatch(value)),
    "null": lambda value: value is None,
}


def fields_of(verb: str, kind: str) -> dict[str, str]:
    """The fields of a kind of record and their types, as documented for a verb or for all commands."""
    for heading in (verb, "all commands"):
        section = DOCUMENT.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        part = section.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
        if "As that of `cp`" in part:
            return fields_of("cp", kind)
        if part:
            return dict(ROW.findall(part))
    raise AssertionError(f"SCHEMA.md knows no {kind} of {verb}")


def is_of(value: Any, types: str) -> bool:
    """Whether a value has one of the types that a row names."""
    if types.startswith("list ("):
        names = re.findall(r"`(\w+)`", types)
        return type(value) is list and all(list(item) == names for item in value)
    return any(TYPES[one](value) for one in types.split(" or "))


def checked(verb: str, stdout: bytes) -> list[dict[str, Any]]:
    """The records, each as documented."""
    records: list[dict[str, Any]] = [json.loads(line) for line in stdout.splitlines()]
    for record in records:
        fields = fields_of(verb, record["kind"])
        assert list(record) == list(fields), record
        for name, types in fields.items():
            assert is_of(record[name], types), (name, types, record)
    return records
