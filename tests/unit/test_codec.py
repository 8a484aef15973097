"""Frames: the strict reader at the door of a node, and the headers of the data plane."""

from __future__ import annotations

import typing
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s4zmq import codec, wire
from s4zmq.codec import PRELUDE, Chunk, decode, decode_chunk, encode, encode_chunk
from s4zmq.errors import ProtocolError, WrongVersion

from .wire_examples import EXAMPLES, TRANSFER

CASES = [(type(message), message) for message, _ in EXAMPLES]
NAMES = [cls.__name__ for cls, _ in CASES]
IDS = {"writer": 16, "job": 16, "task": 16, "transfer": 16, "origin": 16, "recipe": 8}
"""Fields of so many bytes."""


def as_read(value: Any) -> Any:
    """A value as msgpack gives it back: lists in the place of tuples."""
    if isinstance(value, list | tuple):
        return [as_read(item) for item in value]
    if isinstance(value, dict):
        return {name: as_read(item) for name, item in value.items()}
    return value


def header(message: Any, **changes: Any) -> bytes:
    """The second frame of a message, with some fields changed; None removes one."""
    fields = {**message._asdict(), "op": wire.OPS[type(message)], "id": 7, **changes}
    return bytes(msgpack.packb({name: value for name, value in fields.items() if value is not None}))


def field_values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type of the wire."""
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(0, (1 << 63) - 1),
        float: st.floats(0, 1e8),
        bool: st.booleans(),
        str: st.text(max_size=20),
        bytes: st.binary(max_size=20),
        Any: st.none()
        | st.integers(-9, 9)
        | st.text(max_size=5)
        | st.lists(st.binary(max_size=3), max_size=2),
    }
    if hint in scalars:
        return scalars[hint]
    inner = [field_values(arg) for arg in typing.get_args(hint)]
    origin = typing.get_origin(hint)
    if origin is list:
        return st.lists(inner[0], max_size=4)
    return st.dictionaries(*inner, max_size=4) if origin is dict else st.tuples(*inner)


def messages(cls: Any) -> st.SearchStrategy[Any]:
    fields = {name: field_values(hint) for name, hint in typing.get_type_hints(cls).items()}
    ids = IDS.keys() & fields.keys()
    fields.update({name: st.binary(min_size=IDS[name], max_size=IDS[name]) for name in ids})
    return st.builds(cls, **fields)


# -- round trips


@settings(max_examples=20)
@given(st.data(), st.integers(0, (1 << 63) - 1), st.binary(min_size=8, max_size=8), st.binary(max_size=50))
@pytest.mark.parametrize("cls", [cls for cls, _ in CASES], ids=NAMES)
def test_a_message_comes_back_as_it_was_sent(
    cls: Any, data: st.DataObject, id: int, roster: bytes, body: bytes
) -> None:
    message = data.draw(messages(cls))
    frames = [*encode(message, id, roster, b"session."), *([body] if body else [])]
    envelope, got = decode(frames)
    assert type(envelope.message) is cls
    assert as_read(envelope.message) == as_read(message)
    assert envelope[:3] == (id, roster, b"session.")
    assert bytes(got) == body


def test_a_reply_names_no_roster_and_no_session() -> None:
    assert decode(encode(wire.Ok(), 7))[0] == (7, b"", b"", wire.Ok())


def test_a_request_carries_roster_and_session() -> None:
    frames = encode(wire.Ping([]), 7, b"rosterrr", b"session.")
    assert frames[1] == (
        b"\x85\xa7pending\x90\xa2op\xa4ping\xa2id\x07\xa6roster\xc4\x08rosterrr\xa7session\xc4\x08session."
    )
    assert decode(frames)[0] == (7, b"rosterrr", b"session.", wire.Ping([]))


def test_frames_may_be_views_of_memory() -> None:
    frames = [memoryview(frame) for frame in encode(wire.Ping([3]), 7)]
    envelope, body = decode([*frames, memoryview(b"body")])
    assert (envelope.message, bytes(body)) == (wire.Ping([3]), b"body")


# -- the tolerant and the strict


@pytest.mark.parametrize(("cls", "message"), CASES, ids=NAMES)
def test_fields_of_a_newer_version_are_ignored(cls: type, message: Any) -> None:
    newer = header(message, brand_new=[1, {"deep": b""}], another=None)
    assert as_read(decode([PRELUDE, newer])[0].message) == as_read(message)


@pytest.mark.parametrize(("cls", "message"), CASES, ids=NAMES)
def test_a_message_without_one_of_its_fields_is_refused(cls: Any, message: Any) -> None:
    for name in cls._fields:
        frames = [PRELUDE, header(message, **{name: None})]
        if name in cls._field_defaults:
            assert getattr(decode(frames)[0].message, name) == cls._field_defaults[name]
        else:
            with pytest.raises(ProtocolError, match=f"without its field {name}"):
                decode(frames)


WRONG: dict[Any, list[Any]] = {
    int: [-1, 1 << 63, 1.0, True, "1", b"1", [1]],
    float: [-0.5, 1e9, float("nan"), float("inf"), True, "1"],
    bool: [0, 1, "true"],
    str: [b"text", 1, ["text"]],
    bytes: ["text", 1, [b"x"]],
}


def wrong_values(hint: Any) -> list[Any]:
    """Values that are no value of a type of the wire."""
    if hint in WRONG:
        return WRONG[hint]
    args = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return [{}, "x", 1, *([wrong] for wrong in wrong_values(args[0]))]
    if typing.get_origin(hint) is dict:
        return [[], 1, *({"x": wrong} for wrong in wrong_values(args[1]))]
    return [] if hint is Any else [[], [1] * (len(args) + 1), {}, "x"]


@pytest.mark.parametrize(("cls", "message"), CASES, ids=NAMES)
def test_a_field_of_the_wrong_type_or_range_is_refused(cls: type, message: Any) -> None:
    for name, hint in typing.get_type_hints(cls).items():
        for wrong in wrong_values(hint):
            with pytest.raises(ProtocolError, match=f"the field {name} has the wrong type"):
                decode([PRELUDE, header(message, **{name: wrong})])


@pytest.mark.parametrize(("cls", "message"), CASES, ids=NAMES)
def test_an_id_of_another_length_is_refused(cls: Any, message: Any) -> None:
    for name in IDS.keys() & set(cls._fields):
        for wrong in (b"x", b"x" * 15, b"x" * 17):
            with pytest.raises(ProtocolError, match=f"the field {name} has the wrong type or range"):
                decode([PRELUDE, header(message, **{name: wrong})])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "no op that is text"),
        ({"op": "no-such", "id": 1}, "no such op: 'no-such'"),
        ({"op": ["ok"], "id": 1}, "no op that is text"),
        ({"op": b"ok", "id": 1}, "no op that is text"),
        ({"op": "ok"}, "without an id"),
        ({"op": "ok", "id": -1}, "without an id"),
        ({"op": "ok", "id": True}, "without an id"),
        ({"op": "ok", "id": "1"}, "without an id"),
        ({"op": "ok", "id": 1, "roster": "text"}, "roster and session are bytes"),
        ({"op": "ok", "id": 1, "session": 1}, "roster and session are bytes"),
        ([], "not a map"),
        (7, "not a map"),
        ({1: 2}, "not msgpack"),
    ],
)
def test_a_bad_envelope_is_refused(fields: Any, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode([PRELUDE, msgpack.packb(fields)])


def test_an_endless_op_is_not_shown_whole() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode([PRELUDE, msgpack.packb({"op": "x" * 100_000, "id": 1})])
    assert len(caught.value.text) < 100


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_a_message_has_two_or_three_frames(count: int) -> None:
    with pytest.raises(ProtocolError, match="2 or 3 frames"):
        decode([PRELUDE, header(wire.Ok()), b"", b"", b"", b"", b"", b"", b""][:count])


@pytest.mark.parametrize("prelude", [b"", b"s4z", b"S4z\x01", b"s4z\x01\x01", b"GET ", b"s4q\x02"])
def test_a_stranger_is_refused(prelude: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a message of s4zmq"):
        decode([prelude, header(wire.Ok())])


@pytest.mark.parametrize("version", [0, 1, 255])
def test_another_version_is_told_which_one_this_is(version: int) -> None:
    with pytest.raises(
        WrongVersion, match=f"version {version} of the protocol and this one {wire.VERSION}"
    ):
        decode([b"s4z" + bytes((version,)), b"anything at all"])


# -- whatever a stranger sends


def is_refused_or_read(frames: list[bytes]) -> None:
    try:
        decode(frames)
    except (ProtocolError, WrongVersion):
        pass
    assert codec.salvage_id(frames) >= 0


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_random_frames_only_ever_raise_what_a_node_answers(frames: list[bytes]) -> None:
    is_refused_or_read(frames)


@given(st.binary(max_size=200))
def test_a_random_header_only_ever_raises_what_a_node_answers(data: bytes) -> None:
    is_refused_or_read([PRELUDE, data])


@given(st.data())
def test_a_damaged_header_only_ever_raises_what_a_node_answers(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(EXAMPLES))[1])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    is_refused_or_read([PRELUDE, bytes(whole[: data.draw(st.integers(0, len(whole)))])])
    is_refused_or_read([PRELUDE, bytes(whole)])


@pytest.mark.parametrize(
    "data",
    [
        *(b"\x91" * 100_000 + b"\x90", b"\x81\xa1x" * 5000, b"\xdf\xff\xff\xff\xff"),
        *(b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xd4\xff\x00", b"\x81\xa2op\xd9\x02\xff\xff"),
    ],
    ids=["deep lists", "deep maps", "huge map", "huge list", "huge bytes", "bad time", "not UTF-8"],
)
def test_a_malicious_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode([PRELUDE, data])


@pytest.mark.parametrize(
    ("frames", "id"),
    [
        ([PRELUDE, msgpack.packb({"op": "no-such", "id": 9})], 9),
        ([b"s4z\x09", msgpack.packb({"id": 9})], 9),
        ([PRELUDE, msgpack.packb({"id": "9"})], 0),
        ([PRELUDE, msgpack.packb({"id": -9})], 0),
        ([PRELUDE, msgpack.packb([9])], 0),
        ([PRELUDE, b"\xc1"], 0),
        ([PRELUDE], 0),
        ([], 0),
    ],
)
def test_the_id_of_a_refused_message_is_found_where_there_is_one(frames: list[bytes], id: int) -> None:
    assert codec.salvage_id(frames) == id


# -- the data plane


@pytest.mark.parametrize(
    ("chunk", "pinned"),
    [
        (Chunk(TRANSFER, 0, False), b"s4z\x05\x00\x00\x00\x00" + TRANSFER + bytes(8)),
        (
            Chunk(TRANSFER, 0x0102030405060708, True),
            b"s4z\x05\x01\x00\x00\x00" + TRANSFER + b"\x01\x02\x03\x04\x05\x06\x07\x08",
        ),
    ],
)
def test_the_32_bytes_of_a_chunk_header_never_change(chunk: Chunk, pinned: bytes) -> None:
    assert len(pinned) == 32
    assert encode_chunk(chunk) == pinned
    assert decode_chunk(pinned) == chunk


@given(st.binary(min_size=16, max_size=16), st.integers(0, (1 << 64) - 1), st.booleans())
def test_a_chunk_header_comes_back_as_it_was_sent(transfer: bytes, offset: int, last: bool) -> None:
    chunk = Chunk(transfer, offset, last)
    assert decode_chunk(encode_chunk(chunk)) == chunk


@given(st.binary(max_size=40))
def test_a_random_chunk_header_only_ever_raises_what_an_inbox_drops(data: bytes) -> None:
    for header in (data, (PRELUDE + data + bytes(32))[:32]):
        try:
            decode_chunk(header)
        except (ProtocolError, WrongVersion):
            continue


def test_a_chunk_of_another_version_or_length_is_refused() -> None:
    good = encode_chunk(Chunk(TRANSFER, 0, False))
    with pytest.raises(WrongVersion):
        decode_chunk(b"s4z\x01" + good[4:])
    for bad in (good[:-1], good + b"\0", b"", b"HTTP" + good[4:]):
        with pytest.raises(ProtocolError):
            decode_chunk(bad)


def test_unknown_flags_of_a_chunk_are_ignored() -> None:
    good = encode_chunk(Chunk(TRANSFER, 5, True))
    assert decode_chunk(good[:4] + b"\xff" + good[5:]) == Chunk(TRANSFER, 5, True)
