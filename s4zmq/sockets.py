"""Sockets, configured: one function per role. Nothing else in the project sets a socket option.

Facts behind the options, measured on loopback:
- Two sockets share no order: a message on DEALER overtook its data on PUSH in 43 of 50 uploads.
- One PUSH connected to two peers round-robins between them: one PUSH per destination.
- ROUTER without MANDATORY drops for an unknown or slow peer and says nothing. With it, EHOSTUNREACH
  means gone and EAGAIN too slow; a send that blocks would stop the whole node, so NOBLOCK always.
- The loss of a cut link is noticed by the kernel's keepalive, or never. ZeroMQ's own heartbeats would
  notice it too, but 4.3.5 ends the process ("Assertion failed: !_io_error") when one is to be sent, or
  answered, over a connection that was reset while its queue for received messages was full: as that of a
  client which is killed in the midst of a large put may be. So nobody sends any.
- What is not acknowledged is sent again after 0.2 s, 0.4 s and so on, so a link that was cut for a minute
  would stay unused for another one. TCP_MAXRT ends that. A socket whose owner may stop to read, as one for
  chunks when the disk is slow, must not be dialled so: the kernel ends connections to a closed window too.
- Who dials has a queue without an end: what arrives there is what it has asked for.
- Sends below 64 KiB copy anyway, so only chunks go out with copy=False.
- With CURVE and without a handler for ZAP, libzmq admits everybody who knows the public half of the key.
  ZAP_ENFORCE_DOMAIN turns that round: without the handler (`gatekeeper`) nobody is admitted.
- After some failures of a handshake ZeroMQ dials again, after others (a ZAP denial, a port that speaks
  something else) it does not, and says nothing: only a monitor tells (`handshakes`).
A socket is used by the one thread that made it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import zmq

from .errors import ConfigError
from .limits import (
    CONNECT_TIMEOUT_MS,
    CONTROL_HWM,
    CONTROL_MAX_BYTES,
    CONTROL_RCVHWM,
    DATA_HWM,
    DATA_MAX_BYTES,
    HANDSHAKE_TIMEOUT_MS,
    KEEPALIVE_COUNT,
    KEEPALIVE_IDLE_S,
    KEEPALIVE_INTERVAL_S,
    LISTEN_BACKLOG,
    UNACKNOWLEDGED_MS,
)

if TYPE_CHECKING:
    from .clusterkey import ClusterKey

Bound = TypeVar("Bound")
_GATE = "inproc://zeromq.zap.01"
_ZAP_DOMAIN = b"s4"
_BIND_ANEW_S = 5.0
_LAST_WORDS_MS = 500

_HANDSHAKE_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)

if TYPE_CHECKING:
    Socket = zmq.Socket[bytes]


class Context:
    """What a process that dials or binds makes its sockets with; made after any fork.

    With a cluster key every socket is encrypted by CURVE, and authenticates both ends: who dials goes on
    only if the other end has the key, and who is dialled admits only who has it (`gatekeeper`).
    """

    def __init__(self, key: ClusterKey | None = None) -> None:
        self._zmq: zmq.Context[Socket] = zmq.Context()
        self.pair = None if key is None else _curve_pair(key)
        """(public, secret) halves in Z85, or None where sockets are neither encrypted nor authenticated."""

    def socket(self, kind: int) -> Socket:
        """A bare one: the functions of this room configure it."""
        return self._zmq.socket(kind)

    def term(self) -> None:
        """Wait until all sockets are closed and what they had to send is sent."""
        self._zmq.term()

    def close(self) -> None:
        """Close all sockets at once."""
        self._zmq.destroy(linger=0)


def _curve_pair(key: ClusterKey) -> tuple[bytes, bytes]:
    """Raises ConfigError where this libzmq can not encrypt."""
    if not zmq.has("curve"):
        raise ConfigError(f"libzmq {zmq.zmq_version()} here is built without CURVE, which a key needs")
    from zmq.utils import z85  # without a key nobody needs it

    secret = z85.encode(key.secret)
    return zmq.curve_public(secret), secret


def bind_gate(context: Context) -> Socket:
    """The REP at which libzmq asks, for every connection to a bound socket of this context, whether it is
    admitted (ZAP, RFC 27 of ZeroMQ)."""
    socket = context.socket(zmq.REP)
    socket.setsockopt(zmq.LINGER, 0)
    _bind(socket, _GATE)
    return socket


def bind_control(context: Context, address: str) -> Socket:
    """The ROUTER that clients and peers dial. `address` is host:port; raises zmq.ZMQError.

    It gives each connection an id of its own. One that asks for an id which another one has is never
    heard, and nobody takes over a connection: where ZeroMQ 4.3.5 is told to allow that, it mixes the
    frames of two connections, or ends the process ("Assertion failed: !_more").
    """
    socket = _bound_socket(context, zmq.ROUTER, CONTROL_MAX_BYTES, CONTROL_HWM, CONTROL_RCVHWM)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    _bind(socket, _endpoint(address))
    return socket


def bind_anew(old: Socket, bind: Callable[[], Bound]) -> Bound:
    """Close a bound socket with all of its connections, and bind another one in its place. Whoever dials
    comes again by itself; replies still go out. Raises zmq.ZMQError where the address stays taken."""
    old.close(linger=_LAST_WORDS_MS)
    until = time.monotonic() + _BIND_ANEW_S
    while True:
        try:
            return bind()
        except zmq.ZMQError:  # another thread closes the old one
            if time.monotonic() > until:
                raise
            time.sleep(0.001)


def bind_data(context: Context, host: str, port: int) -> tuple[Socket, int]:
    """The PULL for chunks and the port that it got (`port` 0: the kernel chooses)."""
    socket = _bound_socket(context, zmq.PULL, DATA_MAX_BYTES, DATA_HWM, DATA_HWM)
    _bind(socket, _endpoint(f"{host}:{port or '*'}"))
    return socket, int(_bound_to(socket).rpartition(":")[2])


def dial_control(context: Context, address: str) -> Socket:
    """A DEALER to one node. It reconnects by itself, and is another connection to the node then."""
    socket = _dialling_socket(context, zmq.DEALER, CONTROL_MAX_BYTES, CONTROL_HWM)
    socket.connect(_endpoint(address))
    return socket


def dial_data(context: Context, address: str) -> tuple[Socket, Socket]:
    """A PUSH to one node's PULL, and its monitor, which can be read once the connection is lost.

    The PUSH refuses to queue for a node that is not there. It would reconnect by itself and lose
    what was on its way without a word: the monitor tells.
    """
    socket = _dialling_socket(context, zmq.PUSH, DATA_MAX_BYTES, DATA_HWM)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.connect(_endpoint(address))
    return socket, monitor


def dial_watched(context: Context, address: str) -> tuple[Socket, Socket]:
    """A DEALER to one node that only shows, by its monitor, how the handshake ends."""
    socket = _dialling_socket(context, zmq.DEALER, CONTROL_MAX_BYTES, CONTROL_HWM)
    monitor = socket.get_monitor_socket(_HANDSHAKE_EVENTS)
    socket.connect(_endpoint(address))
    return socket, monitor


def read_events(monitor: Socket) -> Iterator[int]:
    """The events that a monitor has now."""
    while True:
        try:
            frames = monitor.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        yield int.from_bytes(frames[0][:2], sys.byteorder)


def receive(socket: Socket) -> list[zmq.Frame]:
    """One message that is there, in frames that are not copied. Raises zmq.Again where there is none.

    `recv_multipart` asks the socket after each frame whether there are more, which takes longer than
    the rest of it: 5.6 us for a message of three, and 2.0 so.
    """
    frame = socket.recv(zmq.NOBLOCK, copy=False)
    frames = [frame]
    while frame.more:
        frame = socket.recv(zmq.NOBLOCK, copy=False)
        frames.append(frame)
    return frames


def descriptor_of(frame: zmq.Frame) -> int:
    """That of the connection which a received frame came over, and which may have ended since. -1 where
    ZeroMQ does not know, as it had ended before it was looked at."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def close_watched(socket: Socket, monitor: Socket) -> None:
    """Close a socket and its monitor; either left open would keep the context from ending."""
    socket.disable_monitor()
    monitor.close(linger=0)
    socket.close()


def _socket(context: Context, kind: int, max_bytes: int, hwm: int) -> Socket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, hwm)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    socket.setsockopt(zmq.IPV6, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
    return socket


def _bound_socket(context: Context, kind: int, max_bytes: int, hwm: int, rcvhwm: int) -> Socket:
    socket = _socket(context, kind, max_bytes, hwm)
    socket.setsockopt(zmq.RCVHWM, rcvhwm)
    socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS)
    if context.pair:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, context.pair[1])
        socket.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    return socket


def _dialling_socket(context: Context, kind: int, max_bytes: int, hwm: int) -> Socket:
    socket = _socket(context, kind, max_bytes, hwm)
    socket.setsockopt(zmq.RCVHWM, 0)
    if kind == zmq.DEALER:
        socket.setsockopt(zmq.TCP_MAXRT, UNACKNOWLEDGED_MS)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    if context.pair:
        public, secret = context.pair
        socket.setsockopt(zmq.CURVE_SERVERKEY, public)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
    return socket


def _bound_to(socket: Socket) -> str:
    """The endpoint that was bound last."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def _bind(socket: Socket, endpoint: str) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError:
        socket.close()
        raise


def _endpoint(address: str) -> str:
    return f"tcp://{address}"
