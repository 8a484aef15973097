"""ZMTP 3.0 as bytes: greetings, handshakes and frames for peers that ZeroMQ would never be.

Bytes only: who sends them stands in `flooder`, what they say in `nonsense`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MORE, _LONG, _COMMAND = 1, 2, 4
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def handshake(kind: str, identity: bytes = b"") -> bytes:
    """What a peer says before its first message; that has to wait for the other side's READY."""
    ready = b"\x05READY" + _property(b"Socket-Type", kind.encode()) + _property(b"Identity", identity)
    return GREETING + struct.pack("!BQ", _COMMAND | _LONG, len(ready)) + ready


def message(frames: Sequence[bytes]) -> bytes:
    """One message of several frames."""
    last = len(frames) - 1
    return b"".join(
        frame_head(len(frame), more=number < last) + frame for number, frame in enumerate(frames)
    )


def frame_head(size: int, *, more: bool = False) -> bytes:
    """What announces a frame of `size` bytes."""
    flags = _MORE if more else 0
    if size < 256:
        return bytes((flags, size))
    return struct.pack("!BQ", flags | _LONG, size)


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + struct.pack("!I", len(value)) + value
