"""What a courier knows of each connection: what waits on it, and whether its node takes more.

    Line        control: a DEALER to one node, and the requests that wait for their replies
    DataLine    data: a PUSH to one node's PULL

No knowledge of when to ask or what follows from a reply: that is the courier's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import zmq

from . import codec, sockets
from .errors import NodeUnreachable
from .limits import (
    FULL_LIMIT_S,
    FULL_PAUSE_S,
    HANDSHAKE_PATIENCE_S,
    REQUEST_WINDOW,
    SILENCE_LIMIT_S,
    TICK_S,
)

if TYPE_CHECKING:
    from .handshakes import Handshake

Body = codec.Body
OnReply = Callable[[Any, Body], None]
"""Called with (message or S4Error, body) for every reply; after a final one or an error, no more."""


class Pending(NamedTuple):
    """A request that waits for its final reply."""

    message: Any
    body: Body
    on_reply: OnReply
    resend: bool
    """Whether sending it a second time does no harm."""


class Refused(NamedTuple):
    """A request that a full node has sent back."""

    since: float
    """Time of the first refusal."""

    due: float
    """When it goes out again; infinite once it has."""

    pause_s: float


class Line:
    """The connection to one node, and what waits on it."""

    def __init__(self, node: str, socket: sockets.Socket) -> None:
        self.node = node
        self.socket = socket
        self.pending: dict[int, Pending] = {}
        self.refused: dict[int, Refused] = {}
        """Those of the pending that the node has sent back at least once."""
        self.window = float(REQUEST_WINDOW)
        """Batches that may be in flight: halved by a refusal, and growing by one a round."""
        self.pings: dict[int, float] = {}
        """Pings without an answer: when each went out, the oldest first."""
        self.pinged_at = 0.0
        """When it went out; before the first one, when the first of what waits was asked."""
        self.boot = b""
        self.was_heard = False
        """Whether the node has said anything on this connection."""
        self.handshake: Handshake | None = None
        """A second connection that is watched while the node says nothing."""

    def refuse(self, id: int, now: float) -> bool:
        """The node was full: whether the request is to go out again, after a pause."""
        before = self.refused.get(id, Refused(now, 0.0, FULL_PAUSE_S / 2))
        if id not in self.pending or now - before.since > FULL_LIMIT_S:
            return False
        pause_s = min(TICK_S, 2 * before.pause_s)
        jitter = 0.5 + os.urandom(1)[0] / 255  # so that those who were refused together do not return so
        self.refused[id] = Refused(before.since, now + pause_s * jitter, pause_s)
        self.window = max(1.0, self.window / 2)
        return True

    def due(self, now: float) -> list[int]:
        """The requests that go out again now."""
        found = [id for id, refused in self.refused.items() if refused.due <= now]
        for id in found:
            self.refused[id] = self.refused[id]._replace(due=inf)
        if found:
            self.forget_pings(now)
        return found

    def forget_pings(self, now: float) -> None:
        """Something goes out of which a pong that is on its way does not know."""
        self.pings.clear()
        self.pinged_at = now

    def take_pong(self, id: int) -> bool:
        """A ping is answered, and with it all before it, whose pongs were lost with a connection. False
        for one that was forgotten."""
        if id not in self.pings:
            return False
        for older in [ping for ping in self.pings if ping <= id]:
            del self.pings[older]
        return True

    def silent_s(self, now: float) -> float:
        """How long the node owes an answer to a ping."""
        return now - min(self.pings.values(), default=now)

    def is_mute(self, now: float) -> bool:
        """Whether it is time to see if the node refuses us."""
        owes_s = self.silent_s(now) if self.was_heard else now - self.pinged_at
        return bool(self.pending) and owes_s > HANDSHAKE_PATIENCE_S

    def is_out(self, id: int) -> bool:
        """Whether the node should know of the request."""
        return id not in self.refused or self.refused[id].due == inf

    def give_up(self, id: int) -> None:
        """Its reply is not wanted any more, if it ever comes."""
        self.pending.pop(id, None)
        self.refused.pop(id, None)

    def end(self, id: int) -> None:
        """The final reply is here."""
        del self.pending[id]
        self.refused.pop(id, None)
        self.window = min(float(REQUEST_WINDOW), self.window + 1 / self.window)


class DataLine:
    """A PUSH to one node. It refuses rather than queues, and then asks to be polled."""

    def __init__(self, node: str, address: str, socket: sockets.Socket, monitor: sockets.Socket) -> None:
        self.node = node
        self.address = address
        self.socket = socket
        self.monitor = monitor
        self.lost_at = inf
        """Since when what was sent may not arrive: transfers that used this line have failed."""
        self.is_blocked = False
        self._was_connected = False
        self._dialled_at = time.monotonic()

    def push(self, chunk: codec.Chunk, data: Body) -> bool:
        """Whether the node's queue took the chunk. Raises NodeUnreachable where the port never
        answered; a node that is merely slow blocks without an end."""
        try:
            self.socket.send_multipart(
                [codec.encode_chunk(chunk), data], zmq.NOBLOCK, copy=len(data) < 65536
            )
        except zmq.Again:
            self.is_blocked = True
            if not self._was_connected and time.monotonic() - self._dialled_at > SILENCE_LIMIT_S:
                raise NodeUnreachable(
                    f"the data port {self.address} of node {self.node} does not answer: try again"
                ) from None
            return False
        self._was_connected = True
        return True

    def close(self) -> None:
        """After this the line is lost."""
        self.lost_at = time.monotonic()
        sockets.close_watched(self.socket, self.monitor)

    def recheck(self, is_writable: bool) -> None:
        """After a poll: a line that never connected is tried again, so that its deadline shows."""
        if is_writable or not self._was_connected:
            self.is_blocked = False
