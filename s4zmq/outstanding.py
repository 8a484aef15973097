"""What the replies of a node weigh that are on their way, so that many readers can not fill its memory.

A reply's bytes are held from the moment its request is taken until ZeroMQ has let them go, which may
be long: a client's stdout can be paused for hours. Used by one thread. No sockets here.
"""

from __future__ import annotations

import weakref
from collections import deque

from .codec import Body

LARGE_BYTES = 65536
"""ZeroMQ copies smaller frames at once; they are bounded by the length of its queues."""


class Outstanding:
    """Bytes by connection. Every connection may hold one reply, however full the node is; all
    together hold no more than the limit beyond that."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: dict[bytes, int] = {}
        self._reserved: dict[tuple[bytes, int], int] = {}
        self._views: dict[int, tuple[object, bytes, int]] = {}
        self._freed: deque[int] = deque()
        self.total_bytes = 0

    def reserve(self, identity: bytes, id: int, size: int) -> bool:
        """Make room for the reply to request `id`; False where the connection has to wait."""
        self._collect()
        if not size:
            return True
        if identity in self._held and self.total_bytes + size > self._limit_bytes:
            return False
        self._reserved[identity, id] = size
        self._add(identity, size)
        return True

    def settle(self, identity: bytes, id: int) -> None:
        """The reply was sent or dropped: what was reserved for it is free."""
        self._add(identity, -self._reserved.pop((identity, id), 0))

    def watch(self, identity: bytes, body: Body) -> Body:
        """What to send in place of `body`: if it is large, its bytes count until ZeroMQ forgets it."""
        if len(body) < LARGE_BYTES:
            return body
        view = memoryview(body)
        reference = weakref.ref(view, lambda dead: self._freed.append(id(dead)))
        self._views[id(reference)] = (reference, identity, len(body))
        self._add(identity, len(body))
        return view

    def _collect(self) -> None:
        """Account for what was let go: the callbacks run in ZeroMQ's threads and only leave a note."""
        while self._freed:
            _, identity, size = self._views.pop(self._freed.popleft())
            self._add(identity, -size)

    def _add(self, identity: bytes, size: int) -> None:
        self.total_bytes += size
        held = self._held.get(identity, 0) + size
        if held:
            self._held[identity] = held
        else:
            self._held.pop(identity, None)
