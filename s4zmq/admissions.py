"""The requests that a node works on, and whether there is room for one more.

A full node sends requests back (E_QUEUE), and their clients come again. However full it is, a connection
that has little or nothing here gets a place, up to twice the bounds: many strangers, or one with many
requests, shall not shut out everybody else. Used by one thread, but for `started`.
"""

from __future__ import annotations

import threading

from .errors import QueueFull
from .limits import MAX_QUEUED_BYTES, MAX_REQUESTS, MAX_REQUESTS_IN_HAND, OWN_REQUESTS
from .outstanding import Outstanding


class _Connection:
    def __init__(self) -> None:
        self.requests: set[int] = set()
        self.queued_bytes = 0


class Admissions:
    """Requests by connection, and the bytes of values in those that wait for a thread."""

    def __init__(self, node: str, outstanding: Outstanding) -> None:
        """`outstanding`: room for the replies to what is admitted."""
        self._node = node
        self._outstanding = outstanding
        self._connections: dict[bytes, _Connection] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.total = 0
        """Requests that were ever admitted."""
        self._queued_bytes = 0

    def __len__(self) -> int:
        return self._count

    def knows(self, identity: bytes, id: int) -> bool:
        """Whether the node works on this request."""
        found = self._connections.get(identity)
        return found is not None and id in found.requests

    def has_any(self, identity: bytes) -> bool:
        """Whether the node works on a request of this connection."""
        return identity in self._connections

    def admit(self, identity: bytes, id: int, *, body_bytes: int, reply_bytes: int) -> None:
        """Take a request in, which `knows` did not know. Raises QueueFull."""
        with self._lock:
            found = self._connections.get(identity) or _Connection()
            if not self._has_place(found) or not self._has_room(found):
                raise QueueFull(f"node {self._node} has too much to do: try again")
            if not self._outstanding.reserve(identity, id, reply_bytes):
                raise QueueFull(f"node {self._node} has too many bytes on their way: try again")
            self._connections[identity] = found
            found.requests.add(id)
            found.queued_bytes += body_bytes
            self._count += 1
            self.total += 1
            self._queued_bytes += body_bytes

    def _has_place(self, found: _Connection) -> bool:
        own = len(found.requests)
        return own < MAX_REQUESTS_IN_HAND and self._count < (2 if own < OWN_REQUESTS else 1) * MAX_REQUESTS

    def _has_room(self, found: _Connection) -> bool:
        return self._queued_bytes <= (1 if found.queued_bytes else 2) * MAX_QUEUED_BYTES

    def started(self, identity: bytes, body_bytes: int) -> None:
        """A thread has done with the request's body; from any thread."""
        with self._lock:
            self._queued_bytes -= body_bytes
            found = self._connections.get(identity)
            if found:
                found.queued_bytes -= body_bytes

    def end(self, identity: bytes, id: int) -> None:
        """The request has had its final reply; one that is not known is fine."""
        self._outstanding.settle(identity, id)
        with self._lock:
            found = self._connections.get(identity)
            if found and id in found.requests:
                found.requests.remove(id)
                self._count -= 1
                if not found.requests:
                    del self._connections[identity]
