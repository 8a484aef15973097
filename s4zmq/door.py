"""The connections of a node as the kernel sees them, and the end of those that are of no use.

ZeroMQ does not tell how many connections there are or how long one has been silent, and a node sends no
heartbeats (`sockets` says why). So a thread looks at the descriptors of its own process. It looks at a copy
of each: whatever ZeroMQ closes meanwhile, the connection that was looked at is the one that is ended. No
ZeroMQ here.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from .descriptors import share_of
from .limits import MAX_CONNECTIONS, SILENT_CONNECTION_S

_LOOK_S = 1.0
_SHARE_OF_TIME = 0.1
"""Looking at thousands of connections takes a while: at most so much of a processor."""

_ESTABLISHED, _BEING_MADE, _LISTENS = 1, 3, 10
"""States of TCP, as Linux numbers them."""

_TCP_INFO = struct.Struct("=B51xI")
"""The state, and ms since the last byte arrived."""


class Connection(NamedTuple):
    """One connection to this node, as it was when it was looked at."""

    fd: int
    inode: int
    """Its own for as long as it lives, while another connection may get its descriptor."""

    port: int
    """That it came to."""

    is_over: bool
    """Lost or closed, but ZeroMQ has not given its descriptor back."""

    silent_ms: int


class Door(threading.Thread):
    """Looks at the connections to the ports of a node, again and again."""

    def __init__(self, control_port: int, *others: int) -> None:
        super().__init__(name="door", daemon=True)
        self._control_port = control_port
        self._ports = frozenset((control_port, *others))
        self._most = share_of(MAX_CONNECTIONS, 0.5)
        self._stopped = threading.Event()
        self._over: set[int] = set()
        self.looks = 0
        self.count = 0
        """Connections that there were when it last looked."""

        self.stuck = 0
        """Of those to the control port, which were over already when it looked before: ZeroMQ will keep
        them for as long as that socket lives."""

    def run(self) -> None:
        """Until stopped."""
        pause_s = _LOOK_S
        while not self._stopped.wait(pause_s):
            started_at = time.monotonic()
            self.look()
            pause_s = max(_LOOK_S, (time.monotonic() - started_at) / _SHARE_OF_TIME)

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._stopped.set()
        self.join()

    def look(self) -> None:
        """End what has been silent for too long, and of too many those that were for longest."""
        found = list(self._connections())
        over = {one.inode for one in found if one.is_over and one.port == self._control_port}
        self.count, self.stuck = len(found), len(over & self._over)
        self._over = over
        self.looks += 1
        alive = sorted((one for one in found if not one.is_over), key=lambda one: one.silent_ms)
        for number, connection in enumerate(alive):
            if number >= self._most or connection.silent_ms > SILENT_CONNECTION_S * 1000:
                self._shut(connection)

    def _connections(self) -> Iterator[Connection]:
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError), _copy_of(int(name)) as copy:
                state, silent_ms = _TCP_INFO.unpack(
                    copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
                )
                port = copy.getsockname()[1]
                if state != _LISTENS and port in self._ports:
                    is_over = state not in (_ESTABLISHED, _BEING_MADE)
                    yield Connection(int(name), _inode(copy), port, is_over, silent_ms)

    def _shut(self, connection: Connection) -> None:
        with suppress(OSError), _copy_of(connection.fd) as copy:
            if _inode(copy) == connection.inode:
                copy.shutdown(socket.SHUT_RDWR)


def _copy_of(fd: int) -> socket.socket:
    """Raises OSError for what is no socket, or closed."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        raise OSError("no socket")
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, os.dup(fd))


def _inode(copy: socket.socket) -> int:
    return os.fstat(copy.fileno()).st_ino
