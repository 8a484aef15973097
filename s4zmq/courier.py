"""The asking side of the control plane: requests out, replies in, and who still lives.

Clients use it, and nodes towards their peers. One thread owns a courier and all of its sockets.
Every request ends in exactly one final reply or one error, whatever becomes of the node: a node
that owes an answer is pinged, and one that stays silent is unreachable. A ping also names the
requests that wait, so that one which was lost with a connection is found and sent again.

No knowledge of keys or files here; `streams` sends the bytes of large values.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

import zmq

from . import codec, interrupts, sockets
from .errors import NodeUnreachable, QueueFull, S4Error, from_code
from .limits import BATCHES_IN_FLIGHT, HANDSHAKE_PATIENCE_S, PING_INTERVAL_S, SILENCE_LIMIT_S, TICK_S
from .lines import Body, DataLine, Line, OnReply, Pending
from .placement import Roster
from .wire import INTERIM, Failure, Ping, Pong

if TYPE_CHECKING:
    from .lease import Lease


class Courier:
    """Requests to the nodes of one roster."""

    def __init__(self, roster: Roster, context: sockets.Context, asker: str = "") -> None:
        """`asker` is the node that asks its peers, for messages; a client has none."""
        self.roster = roster
        self.asker = asker
        self.context = context
        self.session = os.urandom(8)
        self.silent: set[str] = set()
        """Nodes that were given up because they did not answer, and have said nothing since."""
        self.on_step: Callable[[], object] | None = None
        """Called after every step, by whoever wants to see how far the work is."""
        self._digest = roster.digest
        self._ids = itertools.count(1)
        self._lines: dict[str, Line] = {}
        self._data: dict[str, DataLine] = {}
        self._poller = zmq.Poller()
        self._lease: Lease | None = None

    # -- asking

    def request(
        self, node: str, message: Any, on_reply: OnReply, body: Body = b"", *, resend: bool = True
    ) -> int:
        """Send and return at once; `on_reply` is called from `step`. The id of the request."""
        line = self._line(node)
        if not line.pending:
            line.forget_pings(time.monotonic())
        id = next(self._ids)
        line.pending[id] = Pending(message, body, on_reply, resend)
        self._send(line, id, message, body)
        return id

    def give_up(self, node: str, id: int) -> None:
        """Nobody waits for this request any more."""
        if node in self._lines:
            self._lines[node].give_up(id)

    def window(self, node: str) -> int:
        """How many batches may be in flight to `node` now; 1 at least."""
        share = max(2, BATCHES_IN_FLIGHT // len(self.roster.nodes))
        return int(min(self._line(node).window, share))

    def tell(self, node: str, message: Any) -> None:
        """Send a message that has no reply."""
        self._send(self._line(node), next(self._ids), message, b"")

    def ask(self, node: str, message: Any, body: Body = b"", *, resend: bool = True) -> tuple[Any, Body]:
        """The final reply to one request. Raises the node's error, or NodeUnreachable."""
        return self.ask_each({node: message}, body, resend=resend)[node]

    def ask_each(
        self,
        messages: dict[str, Any],
        body: Body = b"",
        *,
        resend: bool = True,
        hear: Callable[[str, Any], object] | None = None,
    ) -> dict[str, tuple[Any, Body]]:
        """Ask several nodes at once and wait for all. Raises the first error, after all answered. `hear`
        gets (node, reply) of each reply, interim ones too."""
        replies: dict[str, tuple[Any, Body]] = {}
        for node, message in messages.items():
            self.request(node, message, _collect(replies, node, hear), body, resend=resend)
        self.run_until(lambda: len(replies) == len(messages))
        for reply, _ in replies.values():
            if isinstance(reply, S4Error):
                raise reply
        return replies

    def ask_all(self, message: Any) -> dict[str, Any]:
        """The same request to every node of the roster; their replies in its order."""
        replies = self.ask_each({node: message for node in self.roster.nodes})
        return {node: replies[node][0] for node in self.roster.nodes}

    # -- the loop

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Step until `is_over`."""
        while not is_over():
            self.step()

    def step(self, timeout_s: float = TICK_S, watch_fd: int = -1) -> bool:
        """Wait for replies once and deliver them; True where `watch_fd` can be read."""
        if watch_fd >= 0:
            self._poller.register(watch_fd, zmq.POLLIN)
        blocked = [line for line in self._data.values() if line.is_blocked]
        for data_line in blocked:
            self._poller.register(data_line.socket, zmq.POLLOUT)
        try:
            ready = dict(self._poller.poll(max(0, int(min(timeout_s, self._rest_s()) * 1000))))
        finally:
            for data_line in blocked:
                self._poller.unregister(data_line.socket)
            if watch_fd >= 0:
                self._poller.unregister(watch_fd)
        for data_line in blocked:
            data_line.recheck(data_line.socket in ready)
        self._hear(ready)
        self._look_after(time.monotonic())
        interrupts.check()
        if self.on_step:
            self.on_step()
        return watch_fd in ready

    def _hear(self, ready: Mapping[Any, int]) -> None:
        for data_line in list(self._data.values()):
            if data_line.monitor in ready:
                self._hang_up_data(data_line)
        for line in list(self._lines.values()):
            if line.socket in ready:
                self._deliver(line)
            self._look_for_refusal(line, time.monotonic())

    def _deliver(self, line: Line) -> None:
        while True:
            try:
                frames = line.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            try:
                envelope, body = codec.decode([frame.buffer for frame in frames])
            except S4Error as error:
                self._fail(line, type(error)(f"node {line.node}: {error.text}"))
                return
            self._on_message(line, envelope, body)
            if line.socket.closed:  # the message was a refusal of all that we say
                return

    def _on_message(self, line: Line, envelope: codec.Envelope, body: Body) -> None:
        message = envelope.message
        self.silent.discard(line.node)
        line.was_heard = True
        self._stop_watching(line)
        if isinstance(message, Pong):
            self._on_pong(line, envelope.id, message)
            return
        pending = line.pending.get(envelope.id)
        if pending is None:
            # A node that refuses our roster or version says so to the ping too, or without an id.
            if isinstance(message, Failure) and (not envelope.id or envelope.id in line.pings):
                self._fail(line, _told_by(line.node, message))
            return
        is_full = isinstance(message, Failure) and message.code == QueueFull.code
        if is_full and line.refuse(envelope.id, time.monotonic()):
            return
        if type(message) not in INTERIM:
            line.end(envelope.id)
        if isinstance(message, Failure):
            pending.on_reply(_told_by(line.node, message), body)
        else:
            pending.on_reply(message, body)

    # -- who lives

    def _rest_s(self) -> float:
        """How long nothing needs to be sent again."""
        dues = [refused.due for line in self._lines.values() for refused in line.refused.values()]
        for line in self._lines.values():
            if line.pending and not line.was_heard and not line.handshake:
                dues.append(line.pinged_at + HANDSHAKE_PATIENCE_S)
        return max(0.001, min(dues) - time.monotonic()) if dues else inf

    def _look_for_refusal(self, line: Line, now: float) -> None:
        """A node that says nothing may refuse our key, of which its socket does not tell."""
        if line.handshake:
            denied = line.handshake.verdict(now)
            if denied:
                self._fail(line, denied)
        elif line.is_mute(now):
            from .handshakes import Handshake  # nearly nobody needs it

            line.handshake = Handshake(self.context, line.node)
            self._poller.register(line.handshake.monitor, zmq.POLLIN)

    def _stop_watching(self, line: Line) -> None:
        watched, line.handshake = line.handshake, None
        if watched:
            self._poller.unregister(watched.monitor)
            watched.close()

    def _look_after(self, now: float) -> None:
        for line in list(self._lines.values()):
            for id in line.due(now):
                self._send(line, id, line.pending[id].message, line.pending[id].body)
            if not line.pending:
                continue
            if line.silent_s(now) > SILENCE_LIMIT_S - PING_INTERVAL_S:
                self.silent.add(line.node)
                self._fail(line, unreachable(line.node, self.asker))
            elif now - line.pinged_at >= PING_INTERVAL_S:
                self._ping(line, now)

    def _ping(self, line: Line, now: float) -> None:
        """One ping may be lost with its connection, so another one follows, whatever became of it."""
        id = next(self._ids)
        line.pings[id] = line.pinged_at = now
        waiting = sorted(filter(line.is_out, line.pending))
        self._send(line, id, Ping(waiting[:1000]), b"")

    def _on_pong(self, line: Line, id: int, pong: Pong) -> None:
        if not line.take_pong(id):
            return
        restarted = bool(line.boot) and line.boot != pong.boot
        line.boot = pong.boot
        for lost in pong.lost:
            pending = line.pending.get(lost)
            if pending is None or not line.is_out(lost):
                continue
            if pending.resend:
                line.forget_pings(time.monotonic())
                self._send(line, lost, pending.message, pending.body)
                continue
            line.end(lost)
            what = "restarted" if restarted else "lost its connection"
            text = f"node {line.node} {what} meanwhile: try again"
            pending.on_reply(NodeUnreachable(text, node=line.node), b"")

    def _fail(self, line: Line, error: S4Error) -> None:
        """End everything that waits for a node; the next request dials it anew."""
        waiting, line.pending, line.refused = list(line.pending.values()), {}, {}
        self._hang_up(line)
        for data_line in [each for each in self._data.values() if each.node == line.node]:
            self._hang_up_data(data_line)  # its kernel may try on long after the node can be reached again
        for pending in waiting:
            pending.on_reply(error, b"")

    # -- lines

    def _line(self, node: str) -> Line:
        if node not in self._lines:
            line = Line(node, sockets.dial_control(self.context, node))
            self._poller.register(line.socket, zmq.POLLIN)
            self._lines[node] = line
        return self._lines[node]

    def _send(self, line: Line, id: int, message: Any, body: Body) -> None:
        frames: list[Body] = list(codec.encode(message, id, self._digest, self.session))
        if len(body):
            frames.append(body)
        try:
            line.socket.send_multipart(frames, zmq.NOBLOCK, copy=len(body) < 65536)
        except zmq.Again:
            pass  # the queue to a node that does not take messages: the next ping finds it lost

    def _hang_up(self, line: Line) -> None:
        self._lines.pop(line.node, None)
        self._stop_watching(line)
        self._poller.unregister(line.socket)
        line.socket.close()

    def forget(self) -> None:
        """Nobody wants the replies any more that are on their way."""
        for line in self._lines.values():
            line.pending.clear()
            line.refused.clear()

    def data_line(self, node: str, address: str) -> DataLine:
        """The PUSH to the data socket of `node`, which is at `address` (host:port)."""
        if address not in self._data:
            line = DataLine(node, address, *sockets.dial_data(self.context, address))
            self._poller.register(line.monitor, zmq.POLLIN)
            self._data[address] = line
        return self._data[address]

    def _hang_up_data(self, line: DataLine) -> None:
        del self._data[line.address]
        self._poller.unregister(line.monitor)
        line.close()

    def keep_lease(self) -> None:
        """From now on prove to all nodes that this session lives, whatever its thread waits for."""
        if self._lease is None:
            from .lease import Lease  # most commands have no work that needs one

            self._lease = Lease(self.roster, self.context, self.session)
            self._lease.start()

    def end_lease(self) -> None:
        """This session has no work on any node that would need it."""
        lease, self._lease = self._lease, None
        if lease:
            lease.stop()

    def close(self) -> None:
        """Close every socket; what waits is forgotten."""
        self.end_lease()
        for line in list(self._lines.values()):
            self._hang_up(line)
        for data_line in list(self._data.values()):
            self._hang_up_data(data_line)


def _collect(
    replies: dict[str, tuple[Any, Body]], node: str, hear: Callable[[str, Any], object] | None
) -> OnReply:
    def on_reply(reply: Any, body: Body) -> None:
        if hear:
            hear(node, reply)
        if type(reply) not in INTERIM:
            replies[node] = (reply, body)

    return on_reply


def _told_by(node: str, failure: Failure) -> S4Error:
    """The error that a node described: it is about that node, where it names no other one."""
    return from_code(failure.code, failure.text, {"node": node, **failure.details})


def unreachable(node: str, asker: str = "") -> NodeUnreachable:
    """The error for a node that does not answer; `asker` is the peer that asked."""
    if asker:  # which the client may well reach, and then `s4 health` finds nothing
        return NodeUnreachable(
            f"node {node} does not answer its peer {asker}: it is down or hung, or the two are cut off"
            " from each other, try again",
            node=node,
        )
    return NodeUnreachable(
        f"node {node} does not answer: it is down, hung or cut off (see `s4 health`), try again",
        node=node,
    )
