"""Messages to frames and back, checked: the strict reader at the door of a node.

Control, both ways:  [MAGIC VERSION] [msgpack map: op, id, roster, session, fields] [body, optional]
Data, one way:       [32 bytes: MAGIC VERSION flags transfer offset] [bytes]

A reader ignores fields that it does not know and refuses a message that lacks one or has one of the
wrong type. No sockets here.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Union

import msgpack

from . import wire
from .errors import ProtocolError, S4Error, WrongVersion, from_code
from .limits import LIST_MAX, MAP_MAX

MAGIC = b"s4z"
PRELUDE = MAGIC + bytes((wire.VERSION,))

Message = NamedTuple
Body = Union[bytes, bytearray, memoryview]


class Envelope(NamedTuple):
    """A control message with what surrounds it."""

    id: int
    """Chosen by the requester; a reply repeats it."""

    roster: bytes
    """Digest of the requester's roster; b"" in a reply."""

    session: bytes
    """8 bytes that tie a client's transfers, jobs and listings to its lease; b"" in a reply."""

    message: Any


def encode(message: Any, id: int, roster: bytes = b"", session: bytes = b"") -> list[bytes]:
    """The first two frames of a control message; a body may follow as the third."""
    fields = message._asdict()
    fields.update(op=wire.OPS[type(message)], id=id)
    if roster:
        fields.update(roster=roster, session=session)
    return [PRELUDE, msgpack.packb(fields)]


def decode(frames: Sequence[Body]) -> tuple[Envelope, Body]:
    """(envelope, body) of a control message. Raises ProtocolError or WrongVersion."""
    if len(frames) not in (2, 3):
        raise ProtocolError(f"a control message has 2 or 3 frames, not {len(frames)}")
    check_prelude(frames[0])
    try:
        fields = _unpack(frames[1])
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as exc:
        raise ProtocolError(f"the header is not msgpack: {type(exc).__name__}") from exc
    if not isinstance(fields, dict):
        raise ProtocolError("the header is not a map")
    return _envelope(fields), frames[2] if len(frames) == 3 else b""


def _unpack(header: Body) -> Any:
    return msgpack.unpackb(header, max_map_len=MAP_MAX, max_array_len=LIST_MAX, strict_map_key=True)


def check_prelude(prelude: Body) -> None:
    """Raises ProtocolError for a stranger and WrongVersion for an s4zmq of another version."""
    if prelude == PRELUDE:
        return
    if len(prelude) == len(PRELUDE) and bytes(prelude).startswith(MAGIC):
        raise WrongVersion(
            f"the other side speaks version {prelude[-1]} of the protocol and this one"
            f" {wire.VERSION}: install the same s4zmq on the client and on every node"
        )
    raise ProtocolError("not a message of s4zmq")


def salvage_id(frames: Sequence[Body]) -> int:
    """The id of a message that `decode` refused, for the reply that says so; 0 where there is none."""
    try:
        found = _unpack(frames[1])["id"]
    except Exception:  # whatever a stranger sent: it has no id that could be read
        return 0
    return found if _is_count(found) else 0


def _envelope(fields: dict[str, Any]) -> Envelope:
    op = fields.get("op")
    cls = wire.BY_OP.get(op) if isinstance(op, str) else None
    if cls is None:
        raise ProtocolError(f"no such op: {op[:40]!r}" if isinstance(op, str) else "no op that is text")
    id, roster, session = fields.get("id"), fields.get("roster", b""), fields.get("session", b"")
    if not _is_count(id):
        raise ProtocolError("a message without an id")
    if not isinstance(roster, bytes) or not isinstance(session, bytes):
        raise ProtocolError("roster and session are bytes")
    return Envelope(typing.cast(int, id), roster, session[:16], _message(cls, fields))


def _message(cls: Any, fields: dict[str, Any]) -> Any:
    values = []
    for name, check in _checks_of(cls):
        if name not in fields:
            if name not in cls._field_defaults:
                raise ProtocolError(f"{wire.OPS[cls]} without its field {name}")
            values.append(cls._field_defaults[name])
            continue
        if not check(fields[name]) or not _has_its_length(name, fields[name]):
            raise ProtocolError(f"{wire.OPS[cls]}: the field {name} has the wrong type or range")
        values.append(fields[name])
    return cls(*values)


_LENGTHS = {
    "writer": (16,),
    "task": (16,),
    "transfer": (16,),
    "origin": (16,),
    "recipe": (8,),
    "job": (0, 16),
}


def _has_its_length(name: str, value: Any) -> bool:
    """Ids are 16 bytes: a shorter one would be padded where it is stored, and not be found again."""
    return name not in _LENGTHS or len(value) in _LENGTHS[name]


# -- types of fields, from the annotations of `wire`

Check = Callable[[Any], bool]
_checks: dict[type, list[tuple[str, Check]]] = {}


def _checks_of(cls: type) -> list[tuple[str, Check]]:
    if cls not in _checks:
        hints = typing.get_type_hints(cls)
        _checks[cls] = [(name, check_for(hint)) for name, hint in hints.items()]
    return _checks[cls]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_anything(value: Any) -> bool:
    return True


_SCALARS: Mapping[Any, Check] = {
    int: _is_count,
    float: lambda value: type(value) in (int, float) and 0 <= value < 1e9,
    bool: lambda value: type(value) is bool,
    str: lambda value: type(value) is str,
    bytes: lambda value: type(value) is bytes,
    Any: _is_anything,
}


def check_for(hint: Any) -> Check:
    """A predicate for a type of the wire: scalars, list[X], tuple[X, Y], dict[str, X]."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, inner = typing.get_origin(hint), [check_for(arg) for arg in typing.get_args(hint)]
    if origin is list:
        return lambda value: type(value) is list and all(map(inner[0], value))
    if origin is dict:
        return lambda value: (
            type(value) is dict and all(map(inner[0], value)) and all(map(inner[1], value.values()))
        )
    return lambda value: (
        type(value) in (list, tuple)
        and len(value) == len(inner)
        and all(check(item) for check, item in zip(inner, value, strict=True))
    )


# -- errors


def failure_of(error: S4Error) -> wire.Failure:
    """The reply that carries `error`."""
    return wire.Failure(error.code, error.text, error.details)


def row_of(index: int, error: S4Error) -> wire.FailureRow:
    """The row of a reply that carries the error of one entry."""
    return (index, error.code, error.text, error.details)


def error_of(row: wire.FailureRow) -> S4Error:
    """The error that a row carries."""
    return from_code(*row[1:])


# -- the data plane

_HEADER = struct.Struct("!4sB3x16sQ")
LAST = 1
"""Flag of the message that ends a transfer: its bytes are the digests, 16 each, in order."""


class Chunk(NamedTuple):
    """Header of a message on the data socket."""

    transfer: bytes
    offset: int
    """Bytes of the transfer before this piece; with LAST, all of them."""

    last: bool


def encode_chunk(chunk: Chunk) -> bytes:
    """32 bytes: magic and version 5, flags 1, padding 3, transfer 16, offset 8."""
    return _HEADER.pack(PRELUDE, LAST if chunk.last else 0, chunk.transfer, chunk.offset)


def decode_chunk(header: Body) -> Chunk:
    """Raises ProtocolError or WrongVersion."""
    if len(header) != _HEADER.size:
        raise ProtocolError("a data header has 32 bytes")
    prelude, flags, transfer, offset = _HEADER.unpack(header)
    check_prelude(prelude)
    return Chunk(transfer, offset, bool(flags & LAST))
