"""TCP connections that are lost while both ends live, as by a reset, or a router that forgets them."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

_PIDFD_GETFD = 438
_TCP_ESTABLISHED = 1


@cache
def why_not() -> str:
    """Why this machine lets no test reach into a connection of another process, or ""."""
    pid = os.fork()
    if not pid:
        os.read(os.pipe()[0], 1)  # until it is killed
    try:
        os.close(_copy_of(pid, 1))
        return ""
    except OSError as exc:
        return f"a descriptor of another process can not be copied: {exc.strerror}"
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def lose_connections(pid: int) -> int:
    """Reset every TCP connection that a process has now, and forget what is on its way in both
    directions; how many."""
    found = 0
    for connection in _connections(pid):
        with connection, suppress(OSError):
            _forget(connection.fileno())
            found += 1
    return found


def count(pid: int) -> int:
    """How many TCP connections a process has now."""
    found = list(_connections(pid))
    for connection in found:
        connection.close()
    return len(found)


def _connections(pid: int) -> Iterator[socket.socket]:
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            copy = socket.socket(fileno=_copy_of(pid, int(name)))
            if _is_established(copy):
                yield copy
            else:
                copy.close()


def _is_established(copy: socket.socket) -> bool:
    if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.type != socket.SOCK_STREAM:
        return False
    return copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_ESTABLISHED


def _copy_of(pid: int, fd: int) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if copy < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(copy)


def _forget(fd: int) -> None:
    """What `connect` to no address does to a connection: its queues are emptied, and the other end gets a
    reset."""
    nowhere = struct.pack("=H14x", socket.AF_UNSPEC)
    if ctypes.CDLL(None, use_errno=True).connect(fd, nowhere, len(nowhere)):
        raise OSError(ctypes.get_errno(), "the connection can not be reset")
