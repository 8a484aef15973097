"""A hostile peer, or rather thousands of them: opens connections to both sockets of a node and sends
nonsense, as fast as the node takes it.

Bounded in messages, connections and seconds; loopback only. Run as a process of its own it reads its
orders as JSON from stdin and prints what it has done as JSON at the end.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from s4zmq.limits import CONTROL_MAX_BYTES, DATA_MAX_BYTES

from . import zmtp
from .nonsense import Nonsense

_HOLD_S = 3.0
"""How long a peer that says nothing more stays connected."""
_STUCK_S = 1.0
"""A connection that takes nothing for so long is given up, and others send what is left."""
_COPIES = 5
"""How often each message is sent over one connection: to make one costs more than to send it."""
_READ_BYTES = 1 << 16


class Orders(NamedTuple):
    """What to do to whom."""

    control_port: int
    data_port: int
    roster_digest: str
    """In hexadecimal digits."""

    messages: int
    connections: int
    at_once: int
    """Connections that are open at the same time."""

    seed: int
    limit_s: float
    key: str = ""
    """Path of the cluster key, for who floods as a member."""


class Peer:
    """One connection and its behaviour: shakes hands, sends its script, then goes, or stays in silence."""

    def __init__(
        self,
        port: int,
        script: bytes,
        *,
        handshake: bytes = b"",
        messages: int = 0,
        reads: bool = True,
        hold_s: float = 0,
        reset: bool = False,
    ) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self._script = memoryview(script)
        self.left = memoryview(handshake or script)
        self._expects = b"\x05READY" if handshake else b""
        self._heard = b""
        self.script_bytes = len(script)
        self.messages = messages
        self.reads = reads
        self.hold_s = hold_s
        self.moved_at = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether all is said."""
        return not self.left and not self._expects

    @property
    def messages_sent(self) -> int:
        """How many of its messages the kernel has taken."""
        if self._expects:
            return 0
        return self.messages * (self.script_bytes - len(self.left)) // max(1, self.script_bytes)

    def send(self) -> bool:
        """Send what goes; False where the node has hung up."""
        try:
            sent = self.socket.send(self.left[: 1 << 18])
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.left = self.left[sent:]
        self.moved_at = time.monotonic()
        return True

    def read(self) -> bool:
        """Take what has come; False where the node has hung up."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if self._expects:
            self._heard += data
            if self._expects in self._heard:
                self._expects, self.left = b"", self._script
        return bool(data)

    def is_over(self, now: float) -> bool:
        """Whether it is time to go."""
        return now - self.moved_at > (self.hold_s if self.is_done else _STUCK_S)


class Flooder:
    """Keeps `at_once` peers busy until all messages are sent."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._random = random.Random(orders.seed)
        self._nonsense = Nonsense(self._random, bytes.fromhex(orders.roster_digest))
        self._a_connection = max(1, round(orders.messages / orders.connections / 0.83))
        self._selector = selectors.DefaultSelector()
        self._identities = [self._random.randbytes(n) for n in (1, 16, 16, 16, 255)]
        self.by_kind: Counter[str] = Counter()
        self.by_behaviour: Counter[str] = Counter()
        self.sent = 0
        self.cut_off = 0
        """Connections that the node ended, or read no more, before all was said."""

    @property
    def counts(self) -> dict[str, object]:
        """What was sent so far."""
        return {
            "messages": self.sent,
            "connections": sum(self.by_behaviour.values()),
            "cut off": self.cut_off,
            "kinds": dict(self.by_kind),
            "peers": dict(self.by_behaviour),
        }

    def run(self) -> None:
        """Until all messages are sent, or the time is over."""
        until = time.monotonic() + self._orders.limit_s
        peers: set[Peer] = set()
        is_over = False
        while not is_over or peers:
            now = time.monotonic()
            is_over = is_over or self.sent >= self._orders.messages or now > until
            while not is_over and len(peers) < self._orders.at_once:
                peers.add(self._start())
            for key, events in self._selector.select(0.1):
                self._serve(key.data, events)
            for peer in [peer for peer in peers if peer.is_over(now) or peer.socket.fileno() < 0]:
                peers.discard(peer)
                self._end(peer)

    def _serve(self, peer: Peer, events: int) -> None:
        alive = True
        if events & selectors.EVENT_READ:
            alive = peer.read()
        if alive and events & selectors.EVENT_WRITE and peer.left:
            alive = peer.send()
        if not alive:
            self._close(peer)
        else:
            self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        """Wait for what can happen next; a deaf peer does not even look any more."""
        wanted = (selectors.EVENT_WRITE if peer.left else 0) | (
            selectors.EVENT_READ if peer.reads or not (peer.left or peer.is_done) else 0
        )
        if wanted:
            self._selector.modify(peer.socket, wanted, peer)
        else:
            self._selector.unregister(peer.socket)

    def _close(self, peer: Peer) -> None:
        if peer.socket.fileno() >= 0:
            if peer.socket in self._selector.get_map():
                self._selector.unregister(peer.socket)
            peer.socket.close()

    def _end(self, peer: Peer) -> None:
        self._close(peer)
        self.sent += peer.messages_sent
        self.cut_off += not peer.is_done

    # -- behaviours

    def _start(self) -> Peer:
        behaviours: dict[str, tuple[int, Callable[[], Peer]]] = {
            "control": (63, self._control),
            "data": (20, self._data),
            "junk": (4, self._junk),
            "silent": (2, self._silent),
            "half a greeting": (2, self._half_greeting),
            "half a frame": (2, self._half_frame),
            "dropped at once": (4, self._dropped),
            "deaf": (3, self._deaf),
        }
        (name,) = self._random.choices(list(behaviours), [weight for weight, _ in behaviours.values()])
        self.by_behaviour[name] += 1
        peer = behaviours[name][1]()
        self._selector.register(peer.socket, selectors.EVENT_READ, peer)
        self._watch(peer)
        return peer

    def _script(self, make: Callable[[], tuple[str, list[bytes]]]) -> bytes:
        wires: list[bytes] = []
        while len(wires) < self._a_connection:
            kind, frames = make()
            copies = min(_COPIES, self._a_connection - len(wires))
            self.by_kind[kind] += copies
            wires += [zmtp.message(frames)] * copies
        self._random.shuffle(wires)
        return b"".join(wires)

    def _identity(self) -> bytes:
        r = self._random
        if r.random() < 0.03:
            return r.choice(self._identities)  # which the node has given to another connection
        return r.choice((b"", r.randbytes(16), b"\1" + r.randbytes(15), r.randbytes(255)))

    def _control(self) -> Peer:
        script = self._script(self._nonsense.control)
        if self._random.random() < 0.05:
            script += zmtp.frame_head(CONTROL_MAX_BYTES + 1) + b"x" * 1000
            self.by_kind["oversize"] += 1
        return self._sender(self._orders.control_port, zmtp.handshake("DEALER", self._identity()), script)

    def _data(self) -> Peer:
        script = self._script(self._nonsense.data)
        if self._random.random() < 0.05:
            script += zmtp.frame_head(1 << 62) + b"x" * 1000
            self.by_kind["oversize"] += 1
        return self._sender(self._orders.data_port, zmtp.handshake("PUSH"), script)

    def _sender(self, port: int, handshake: bytes, script: bytes) -> Peer:
        r = self._random
        return Peer(
            port,
            script,
            handshake=handshake,
            messages=self._a_connection,
            reset=r.random() < 0.3,
            hold_s=r.choice((0, 0.05)),
        )

    def _deaf(self) -> Peer:
        script = b"".join(zmtp.message(self._nonsense.absurd()) for _ in range(self._a_connection))
        self.by_kind["absurd request"] += self._a_connection
        return Peer(
            self._orders.control_port,
            script,
            handshake=zmtp.handshake("DEALER", self._identity()),
            messages=self._a_connection,
            reads=False,
            hold_s=_HOLD_S,
        )

    def _port(self) -> int:
        return self._random.choice((self._orders.control_port, self._orders.data_port))

    def _junk(self) -> Peer:
        return Peer(self._port(), self._nonsense.junk(), hold_s=0.5)

    def _silent(self) -> Peer:
        return Peer(self._port(), b"", hold_s=_HOLD_S)

    def _half_greeting(self) -> Peer:
        return Peer(self._port(), zmtp.GREETING[: self._random.randrange(1, 64)], hold_s=_HOLD_S)

    def _half_frame(self) -> Peer:
        """Announces the largest frame that is allowed, and never sends it."""
        control = self._random.random() < 0.5
        port = self._orders.control_port if control else self._orders.data_port
        head = zmtp.frame_head(CONTROL_MAX_BYTES if control else DATA_MAX_BYTES)
        handshake = zmtp.handshake("DEALER" if control else "PUSH")
        return Peer(port, head + b"x" * 100, handshake=handshake, hold_s=_HOLD_S)

    def _dropped(self) -> Peer:
        return Peer(self._port(), b"", reset=True)


def main() -> int:
    """Read the orders, carry them out, tell the counts."""
    orders = Orders(**json.load(sys.stdin))
    flooder = Flooder(orders)
    flooder.run()
    json.dump(flooder.counts, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
