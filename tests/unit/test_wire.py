"""The messages: exact bytes, names, and what must hold for the whole table."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from s4zmq import codec, wire, wirejobs, wirekeys, wires3

from .wire_examples import EXAMPLES

ENVELOPE_FIELDS = {"op", "id", "roster", "session"}


@pytest.mark.parametrize(("message", "pinned"), EXAMPLES, ids=[type(m).__name__ for m, _ in EXAMPLES])
def test_the_bytes_of_a_message_never_change(message: Any, pinned: bytes) -> None:
    assert codec.encode(message, 7) == [b"s4z\x05", pinned]
    assert msgpack.unpackb(pinned)["op"] == wire.OPS[type(message)]


def test_every_message_has_exactly_one_pinned_example() -> None:
    assert [type(message) for message, _ in EXAMPLES] == list(wire.OPS)


def test_every_message_class_of_the_room_has_an_op() -> None:
    rooms = (wire, wirekeys, wirejobs, wires3)
    found = {cls for room in rooms for cls in vars(room).values() if isinstance(cls, type)}
    classes = {cls for cls in found if hasattr(cls, "_fields")}
    assert classes == set(wire.OPS)


def test_every_op_has_one_class() -> None:
    assert len(wire.BY_OP) == len(wire.OPS)
    assert all(wire.BY_OP[op] is cls for cls, op in wire.OPS.items())


def test_no_field_of_a_message_hides_one_of_the_envelope() -> None:
    for cls in wire.OPS:
        assert not ENVELOPE_FIELDS & set(cls.__annotations__), cls.__name__


def test_only_messages_can_be_interim_replies() -> None:
    assert set(wire.OPS) >= wire.INTERIM
    assert wire.Failure not in wire.INTERIM


@pytest.mark.parametrize("cls", wire.OPS, ids=lambda cls: cls.__name__)
def test_every_message_says_what_it_is_for(cls: type) -> None:
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}("), "that is the text NamedTuple makes up"
