"""Proving to all nodes that a session lives, whatever its own thread waits for."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import zmq

from . import codec, sockets
from .limits import LEASE_INTERVAL_S
from .placement import Roster
from .wire import Ping


class Lease(threading.Thread):
    """Pings all nodes in the session's name, from sockets of its own. A paused stdout does not
    hold it up. It dials only once the first interval is over, so short commands pay nothing."""

    def __init__(self, roster: Roster, context: sockets.Context, session: bytes) -> None:
        super().__init__(name="lease", daemon=True)
        self._roster = roster
        self._zmq_context = context
        self._frames = codec.encode(Ping([]), 0, roster.digest, session)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        if self._stopped.wait(LEASE_INTERVAL_S):
            return
        dealers = [sockets.dial_control(self._zmq_context, node) for node in self._roster.nodes]
        try:
            while True:
                for dealer in dealers:
                    _ping_and_drain(dealer, self._frames)
                if self._stopped.wait(LEASE_INTERVAL_S):
                    return
        finally:
            for dealer in dealers:
                dealer.close()

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._stopped.set()
        self.join()


def _ping_and_drain(dealer: sockets.Socket, frames: Sequence[bytes]) -> None:
    try:
        dealer.send_multipart(frames, zmq.NOBLOCK)
        while True:
            dealer.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return
