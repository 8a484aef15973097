"""TCP connections of this process as the kernel sees them, and their end.

ZeroMQ does not tell how many there are or how long one has been silent, and has no call that ends one. So
they are found by their descriptors. What is done, is done to a copy of the descriptor, after a look at
whose it is: another connection may have got the same one meanwhile. No ZeroMQ here, and no judgement.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

_ESTABLISHED, _BEING_MADE, _LISTENS = 1, 3, 10
"""States of TCP, as Linux numbers them."""

_TCP_INFO = struct.Struct("=B51xII60xQQ")
"""The state; ms since the last byte came, and since the last acknowledgement; bytes that the other end has,
and bytes that came."""

_NOWHERE = struct.pack("=H14x", socket.AF_UNSPEC)
"""An address: to connect to it is to be connected no more."""


class Connection(NamedTuple):
    """One connection, as it was when it was looked at."""

    fd: int
    inode: int
    """Its own for as long as it lives, while another connection may get its descriptor."""

    port: int
    """That it came to."""

    is_over: bool
    """Lost or closed, but its descriptor has not been given back."""

    silent_ms: int
    """Since anything came, if only a sign of life of the other kernel."""

    received_bytes: int


def connections_to(ports: Collection[int]) -> Iterator[Connection]:
    """Those that came to one of these ports of this process."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), _copy_of(int(name)) as copy:
            info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            state, data_ms, sign_ms, _, received = _TCP_INFO.unpack(info)
            port = copy.getsockname()[1]
            if state != _LISTENS and port in ports:
                is_over = state not in (_ESTABLISHED, _BEING_MADE)
                silent_ms, inode = min(data_ms, sign_ms), inode_of(copy.fileno())
                yield Connection(int(name), inode, port, is_over, silent_ms, received)


def inode_of(fd: int) -> int:
    """What the descriptor stands for now; 0 where it is closed."""
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return 0


def hang_up(fd: int, inode: int) -> None:
    """End that connection, if it is still there: what has come over it can still be read."""
    with suppress(OSError), _copy_of(fd) as copy:
        if inode_of(copy.fileno()) == inode:
            copy.shutdown(socket.SHUT_RDWR)


def cut(fd: int, inode: int) -> None:
    """End that connection, if it is still there, with all that the kernel holds of it: after a `hang_up` a
    flood of messages that had come would still have to be read."""
    import ctypes  # few nodes ever come here

    with suppress(OSError), _copy_of(fd) as copy:
        if inode_of(copy.fileno()) == inode:
            ctypes.CDLL(None).connect(copy.fileno(), _NOWHERE, len(_NOWHERE))


def _copy_of(fd: int) -> socket.socket:
    """Raises OSError for what is no socket, or closed."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        raise OSError("no socket")
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, os.dup(fd))
