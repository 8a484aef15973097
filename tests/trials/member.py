"""A holder of the cluster key who floods: connections of ZeroMQ to both sockets of a node, and nonsense, as
fast as the node takes it.

What a stranger without the key can not do to a node that has one. Whoever is cut off dials again by itself
and goes on. Bounded as `flooder`, whose orders it reads and whose report it gives.

Connections are made by processes that end without closing them: libzmq 4.3.5 ends a process that closes a
socket just when its connection is reset in the midst of a message ("session_base.cpp:233").
"""

from __future__ import annotations

import json
import os
import random
import selectors
import sys
import time
from collections import Counter
from collections.abc import Callable

import zmq

from s4zmq import sockets
from s4zmq.clusterkey import read_key

from .flooder import Orders
from .nonsense import Nonsense

_COPIES = 5
_TURN = 20
_STUCK_S = 1.0
_GOES_OUT_S = 0.1
"""What ZeroMQ has taken is sent by then, if the node takes it."""
_CONNECTIONS = 20
"""Of one process."""

Frames = list[bytes]


class Member:
    """One connection and what is left of its script."""

    def __init__(self, socket: sockets.Socket, script: list[Frames]) -> None:
        self._socket = socket
        self.left = script
        self._moved_at = time.monotonic()

    def send(self) -> int:
        """As much as goes, some messages at most: the others have their turn too. How many went."""
        sent = 0
        while self.left and sent < _TURN:
            try:
                self._socket.send_multipart(self.left[-1], zmq.NOBLOCK)
            except zmq.Again:
                break
            self.left.pop()
            sent += 1
        if sent:
            self._moved_at = time.monotonic()
        return sent

    @property
    def is_over(self) -> bool:
        """Whether all is said, or nothing more is taken."""
        return not self.left or time.monotonic() - self._moved_at > _STUCK_S


class Crowd:
    """The connections of one process."""

    def __init__(self, orders: Orders, seed: int) -> None:
        self._orders = orders
        self._random = random.Random(seed)
        self._nonsense = Nonsense(self._random, bytes.fromhex(orders.roster_digest))
        self._context = sockets.Context(read_key(orders.key))
        self._a_connection = max(1, round(orders.messages / orders.connections))
        self._kinds: Counter[str] = Counter()
        self._peers: Counter[str] = Counter()

    def run(self) -> dict[str, object]:
        """Until all is said; what was."""
        members = [self._member() for _ in range(_CONNECTIONS)]
        sent, left = 0, list(members)
        while left:
            now_sent = sum(member.send() for member in left)
            sent += now_sent
            left = [member for member in left if not member.is_over]
            if not now_sent:
                time.sleep(0.001)  # all queues are full
        time.sleep(_GOES_OUT_S)
        cut_off = sum(bool(member.left) for member in members)
        return {"messages": sent, "cut off": cut_off, "kinds": self._kinds, "peers": self._peers}

    def _member(self) -> Member:
        if self._random.random() < 0.2:
            self._peers["data"] += 1
            return Member(self._data(), self._script(self._nonsense.data))
        self._peers["control"] += 1
        address = f"127.0.0.1:{self._orders.control_port}"
        return Member(sockets.dial_control(self._context, address), self._script(self._nonsense.control))

    def _script(self, make: Callable[[], tuple[str, Frames]]) -> list[Frames]:
        script: list[Frames] = []
        while len(script) < self._a_connection:
            kind, frames = make()
            self._kinds[kind] += _COPIES
            script += [frames] * _COPIES
        self._random.shuffle(script)
        return script

    def _data(self) -> sockets.Socket:
        socket, monitor = sockets.dial_data(self._context, f"127.0.0.1:{self._orders.data_port}")
        socket.disable_monitor()
        monitor.close(linger=0)
        return socket


class Members:
    """Keeps `at_once` connections busy until all messages are sent."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._random = random.Random(orders.seed)
        self._selector = selectors.DefaultSelector()
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._peers: Counter[str] = Counter()

    def run(self) -> dict[str, object]:
        """Until all messages are sent, or the time is over; what was sent."""
        until = time.monotonic() + self._orders.limit_s
        while self._counts["messages"] < self._orders.messages and time.monotonic() < until:
            while len(self._selector.get_map()) < max(1, self._orders.at_once // _CONNECTIONS):
                self._start()
            self._collect()
        while self._selector.get_map():
            self._collect()
        connections = sum(self._peers.values())
        return {**self._counts, "connections": connections, "kinds": self._kinds, "peers": self._peers}

    def _start(self) -> None:
        seed = self._random.getrandbits(64)
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                os.write(writer, json.dumps(Crowd(self._orders, seed).run()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        self._selector.register(reader, selectors.EVENT_READ, pid)

    def _collect(self) -> None:
        for key, _ in self._selector.select():
            self._selector.unregister(key.fd)
            with os.fdopen(key.fd, "rb") as pipe:
                report = json.loads(pipe.read())  # it fails where a process has
            os.waitpid(key.data, 0)
            self._counts.update({name: report[name] for name in ("messages", "cut off")})
            self._kinds.update(report["kinds"])
            self._peers.update(report["peers"])


def main() -> int:
    """Read the orders, carry them out, tell the counts."""
    json.dump(Members(Orders(**json.load(sys.stdin))).run(), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
