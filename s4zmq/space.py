"""Room on a node's disk: what is free, less what transfers under way are still going to write.

Without the second, two large values that do not fit together would both begin, and both die half-way.
What has no size beforehand (a pipe, the output of a command) is not counted until it is written.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress

from .errors import NoSpace
from .units import show_bytes, show_two


class Space:
    """The room of one data folder. Safe to call from several threads."""

    def __init__(self, folder: str, node: str) -> None:
        """`node` is this node's host:port, for messages."""
        self._folder = folder
        self._node = node
        self._lock = threading.Lock()
        self.reserved = 0
        """Bytes that transfers under way are still going to write."""

    def free(self) -> int:
        """Bytes that nobody else is going to need."""
        status = os.statvfs(self._folder)
        return max(0, status.f_bavail * status.f_frsize - self.reserved)

    def disk(self) -> bytes:
        """16 bytes that are the same for the nodes of one machine whose data lies on this file system."""
        device = os.stat(self._folder).st_dev
        machine = os.uname().nodename.encode()
        with suppress(OSError), open("/proc/sys/kernel/random/boot_id", "rb") as file:
            machine += file.read()
        return hashlib.blake2b(b"%d %b" % (device, machine), digest_size=16).digest()

    def require(self, wanted_bytes: int, what: object) -> None:
        """Raises NoSpace where `wanted_bytes` can not fit now."""
        self.reserve(wanted_bytes, what).release()

    def reserve(self, wanted_bytes: int, what: object) -> Reservation:
        """Keep room for bytes that will come. Raises NoSpace. Whoever has it must release it."""
        with self._lock:
            free = self.free()
            if wanted_bytes > free:
                raise self._no_space(free, wanted_bytes, what)
            self.reserved += wanted_bytes
        return Reservation(self, wanted_bytes)

    def give_back(self, count: int) -> None:
        """Bytes of a reservation that are written, or will not come."""
        with self._lock:
            self.reserved -= count

    def _no_space(self, free: int, wanted: int, what: object) -> NoSpace:
        has, needs = show_two(free, wanted)
        others = f" (and {show_bytes(self.reserved)} for transfers under way)" if self.reserved else ""
        text = f"node {self._node} has {has} free{others}, needs {needs} for {what}"
        return NoSpace(text, node=self._node)


class Reservation:
    """Room for one transfer. Used by one thread at a time."""

    def __init__(self, space: Space, size: int) -> None:
        self._space = space
        self._left = size

    def use(self, count: int) -> None:
        """So many bytes are written now, so the disk itself counts them."""
        used = min(count, self._left)
        self._left -= used
        self._space.give_back(used)

    def release(self) -> None:
        """The transfer has ended; harmless to repeat."""
        self.use(self._left)
