"""The connections of a node, and the end of those that are of no use.

The kernel looks after silent connections (`sockets`), but not well where it has something to send. So a
thread ends those that have been silent for too long, and some where there are too many. Of those that
ZeroMQ does not give back it only tells how many there are: they go with their socket, once there is a rest.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

from .connections import connections_to, hang_up
from .descriptors import share_of
from .limits import MAX_CONNECTIONS, REST_TICKS, SILENT_CONNECTION_S, STUCK_AT_REST

_LOOK_S = 1.0
_SHARE_OF_TIME = 0.1
"""Looking at thousands of connections takes a while: at most so much of a processor."""


class Door(threading.Thread):
    """Looks at the connections to the ports of a node, again and again."""

    def __init__(self, *ports: int) -> None:
        super().__init__(name="door", daemon=True)
        self._ports = frozenset(ports)
        self._most = share_of(MAX_CONNECTIONS, 0.5)
        self._stopped = threading.Event()
        self._over: dict[int, int] = {}
        self.looks = 0
        self.count = 0
        """Connections that there were when it last looked."""

        self.stuck: Mapping[int, int] = Counter()
        """Of those to each port, which were over already when it looked before: ZeroMQ will keep them for
        as long as that socket lives."""

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
        """End what has been silent for too long, and of too many those that have said least: whoever
        holds the key has said more than who was not let in."""
        found = list(connections_to(self._ports))
        over = {one.inode: one.port for one in found if one.is_over}
        self.stuck = Counter(port for inode, port in over.items() if inode in self._over)
        self.count = len(found)
        self._over = over
        self.looks += 1
        alive = [one for one in found if not one.is_over]
        alive.sort(key=lambda one: (-one.received_bytes, one.silent_ms))
        for number, connection in enumerate(alive):
            if number >= self._most or connection.silent_ms > SILENT_CONNECTION_S * 1000:
                hang_up(connection.fd, connection.inode)


class Rest:
    """When a bound socket may be put in order: nothing has come to it for a while, and ZeroMQ keeps many
    connections of it that are over. Used by the thread that owns the socket."""

    def __init__(self, door: Door, port: int) -> None:
        self._door = door
        self._port = port
        self._seen: object = None
        self._quiet_ticks = 0
        self._looks = 0

    def is_due(self, *, is_idle: bool, seen: object) -> bool:
        """Call it at each tick; `seen` is another one when something has come. Once it has said so,
        the socket is taken to be bound anew."""
        self._quiet_ticks = self._quiet_ticks + 1 if is_idle and seen == self._seen else 0
        self._seen = seen
        is_fresh = self._door.looks > self._looks
        if self._quiet_ticks < REST_TICKS or not is_fresh or self._door.stuck[self._port] < STUCK_AT_REST:
            return False
        self._quiet_ticks, self._looks = 0, self._door.looks + 1  # the next look may have begun before
        return True
