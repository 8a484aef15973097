"""Waiting for the end of a command, and reading what it prints in the meantime."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import time
from collections.abc import Callable, Mapping

from .limits import EVAL_CHUNK_BYTES, STDERR_TAIL_BYTES

Take = Callable[[bytes], object]
_LONG_MS = 1e9
"""A poll can not wait for longer than a C int has milliseconds, 24 days."""


class Tail:
    """The last STDERR_TAIL_BYTES of a stream."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._taken = 0

    @property
    def cut(self) -> int:
        """Bytes that came before the ones that are kept."""
        return self._taken - len(self._kept)

    def take(self, data: bytes) -> None:
        """More of it."""
        self._taken += len(data)
        self._kept.extend(data)
        del self._kept[:-STDERR_TAIL_BYTES]

    def __bytes__(self) -> bytes:
        return bytes(self._kept)


def watch(end: int, readers: Mapping[int, Take], cancel: int, timeout_s: float) -> str:
    """Feed the readers until `end` can be read, or `cancel`, or time is up: "end", "cancel", "timeout".

    A reader may block: that is how a slow client slows a command.
    """
    poller = select.poll()
    for fd in (end, cancel, *readers):
        poller.register(fd, select.POLLIN)
    expires_at = time.monotonic() + timeout_s if timeout_s else None
    while True:
        left_ms = max(0, (expires_at - time.monotonic()) * 1e3) if expires_at else _LONG_MS
        ready = [fd for fd, _ in poller.poll(min(left_ms, _LONG_MS))]
        if cancel in ready:
            return "cancel"
        if expires_at and time.monotonic() >= expires_at and end not in ready:
            return "timeout"
        for fd in ready:
            if fd in readers and not _feed(fd, readers[fd]):
                poller.unregister(fd)
        if end in ready:
            return "end"


def can_be_read(fd: int) -> bool:
    """Whether something lies in a pipe now, or it has ended."""
    poller = select.poll()  # `select` itself knows the first 1024 descriptors only
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def _feed(fd: int, take: Take) -> bool:
    """Pass on what one pipe holds; False at its end."""
    data = _read(fd)
    if data:
        take(data)
    return data != b""


def feed_rest(fd: int, take: Take) -> None:
    """Pass on what lies in a pipe now, and no more: an orphan may go on writing without an end."""
    left = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    while left > 0 and (data := _read(fd)):
        take(data)
        left -= len(data)


def _read(fd: int) -> bytes | None:
    """Bytes, b"" at the end, None where nothing is there at the moment."""
    try:
        return os.read(fd, EVAL_CHUNK_BYTES)
    except BlockingIOError:
        return None
