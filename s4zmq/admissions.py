"""The requests that a node works on, whether there is room for one more, and the ways back.

A request is known by its session and id: a client that dials again comes by another connection, with the
same session. Its *way* is the connection that its session has dialled last, by which the final reply goes.
Of a reply in pieces some may have gone with the connection before, so such a request is *lost* then.

A full node sends requests back (E_QUEUE), and their clients come again. However full it is, a connection
that has little or nothing here gets a place, up to twice the bounds: many strangers, or one with many
requests, shall not shut out everybody else. Used by one thread, but for `started`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence

from .errors import QueueFull
from .limits import MAX_QUEUED_BYTES, MAX_REQUESTS, MAX_REQUESTS_IN_HAND, OWN_REQUESTS
from .outstanding import Outstanding

_WAYS_KEPT = 4

Name = tuple[bytes, int]
"""(session, id) of a request."""


class _Connection:
    def __init__(self) -> None:
        self.requests = 0
        self.queued_bytes = 0


class _Client:
    def __init__(self, way: bytes) -> None:
        self.ways = deque((way,), _WAYS_KEPT)
        """The connections by which it was heard, the newest first."""
        self.requests: dict[int, bytes] = {}
        """By which connection each came."""
        self.in_pieces: set[int] = set()
        """Those with a reply of which no piece may be missing."""


class Admissions:
    """Requests by session, what each connection has here, and the bytes that wait for a thread."""

    def __init__(self, node: str, outstanding: Outstanding) -> None:
        """`outstanding`: room for the replies to what is admitted."""
        self._node = node
        self._outstanding = outstanding
        self._clients: dict[bytes, _Client] = {}
        self._connections: dict[bytes, _Connection] = {}
        self._lost: set[Name] = set()
        self._lock = threading.Lock()
        self._count = 0
        self.total = 0
        """Requests that were ever admitted."""
        self._queued_bytes = 0

    def __len__(self) -> int:
        return self._count

    def knows(self, session: bytes, id: int) -> bool:
        """Whether the node works on this request."""
        found = self._clients.get(session)
        return found is not None and id in found.requests

    def has_any(self, identity: bytes) -> bool:
        """Whether the node works on a request that came by this connection."""
        return identity in self._connections

    # -- coming and going

    def admit(
        self,
        session: bytes,
        id: int,
        identity: bytes,
        *,
        body_bytes: int = 0,
        reply_bytes: int = 0,
        in_pieces: bool = False,
    ) -> None:
        """Take a request in, which `knows` did not know. Raises QueueFull."""
        with self._lock:
            found = self._connections.get(identity) or _Connection()
            if not self._has_place(found) or not self._has_room(found):
                raise QueueFull(f"node {self._node} has too much to do: try again")
            if not self._outstanding.reserve(identity, id, reply_bytes):
                raise QueueFull(f"node {self._node} has too many bytes on their way: try again")
            self._connections[identity] = found
            found.requests += 1
            found.queued_bytes += body_bytes
            self._count += 1
            self.total += 1
            self._queued_bytes += body_bytes
        client = self._clients.setdefault(session, _Client(identity))
        client.requests[id] = identity
        if in_pieces:
            client.in_pieces.add(id)

    def _has_place(self, found: _Connection) -> bool:
        own = found.requests
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

    def end(self, session: bytes, id: int) -> None:
        """The request has had its final reply; one that is not known is fine."""
        client = self._clients.get(session)
        if client is None or id not in client.requests:
            return
        identity = client.requests.pop(id)
        client.in_pieces.discard(id)
        self._lost.discard((session, id))
        if not client.requests:
            del self._clients[session]
        self._outstanding.settle(identity, id)
        with self._lock:
            self._count -= 1
            found = self._connections[identity]
            found.requests -= 1
            if not found.requests:
                del self._connections[identity]

    def rest(self) -> None:
        """Give memory back, where there is nothing to be known."""
        with self._lock:
            for table in (self._clients, self._connections):
                if not table:
                    table.clear()  # which frees what an empty table holds for its next thousands

    # -- ways

    def hear(self, session: bytes, identity: bytes) -> Sequence[Name]:
        """The session has sent something by this connection; which requests are lost by that."""
        client = self._clients.get(session)
        if client is None or identity in client.ways:
            return ()  # what an older connection had still to say is no news
        client.ways.appendleft(identity)
        names = [(session, id) for id in client.in_pieces]
        return [name for name in names if self.lose(*name)]

    def ways(self, session: bytes, id: int) -> Collection[bytes]:
        """The connections by which the final reply to a request may go, the best first; none for a
        request that is not known."""
        client = self._clients.get(session)
        return client.ways if client and id in client.requests else ()

    def lose(self, session: bytes, id: int) -> bool:
        """A piece of a reply was lost; False where no harm is done, or it is known already."""
        client = self._clients.get(session)
        if client is None or id not in client.in_pieces or (session, id) in self._lost:
            return False
        self._lost.add((session, id))
        return True

    @property
    def lost(self) -> Collection[Name]:
        """Requests that can only end in an error."""
        return self._lost
