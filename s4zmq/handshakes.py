"""Whether a node that says nothing refuses us, seen from a second connection to it.

A socket does not tell why no reply comes, and after some failures it does not even dial again. So when a
node has said nothing for a while, a second connection is made and watched. What can be told from outside:

    the node refuses our half of the pair        HANDSHAKE_FAILED_AUTH, once
    a key on one side only                       HANDSHAKE_FAILED_PROTOCOL, now and then; else as here:
    another key                                  the connection ends in the handshake, again and again
    a port of another program                    the same, or it ends once and ZeroMQ gives up
    a node that hangs, is down or cut off        none of these: that is for the courier to find
"""

from __future__ import annotations

import time

import zmq

from . import sockets
from .errors import AccessDenied

_FAILURES = 3
"""One connection may end in its handshake by chance, as when a node ends or is started."""

_REFUSALS = (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)

_GIVEN_UP_S = 1.0
"""After so long without another try ZeroMQ has given up; it tries again every 0.5 s at the latest."""


class Handshake:
    """A second connection to one node."""

    def __init__(self, context: sockets.Context, node: str) -> None:
        self._node = node
        self._has_key = context.pair is not None
        self._socket, self.monitor = sockets.dial_watched(context, node)
        self._failures = 0
        self._tried_at = time.monotonic()
        self._is_connected = False

    def verdict(self, now: float) -> AccessDenied | None:
        """What is known by now; None where the node may well answer."""
        for event in sockets.read_events(self.monitor):
            self._tried_at = now
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._failures, self._is_connected = 0, False
            elif event in _REFUSALS:
                return self._refusal()
            elif event == zmq.EVENT_CONNECTED:
                self._is_connected = True
            elif event == zmq.EVENT_DISCONNECTED and self._is_connected:
                self._failures, self._is_connected = self._failures + 1, False
        has_given_up = self._failures and now - self._tried_at > _GIVEN_UP_S
        return self._refusal() if self._failures >= _FAILURES or has_given_up else None

    def close(self) -> None:
        """Hang up."""
        sockets.close_watched(self._socket, self.monitor)

    def _refusal(self) -> AccessDenied:
        if self._has_key:
            return AccessDenied(
                f"{self._node} refuses this cluster key: it is a node with another key or without one, or"
                " no node at all. Give client and nodes the same key file (--key, $S4_KEY_PATH, ~/.s4.key)"
            )
        return AccessDenied(
            f"{self._node} refuses a client without a cluster key: name the cluster's key file (--key,"
            " $S4_KEY_PATH, ~/.s4.key), unless what listens there is no node at all"
        )
