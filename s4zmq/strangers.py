"""Connections that send what no client would, and how much of it a node still answers.

Anybody who reaches a node can send it nonsense as fast as he likes, and a refusal costs the node more than
the nonsense costs him. So each connection is answered a few times, all together some more, and whoever goes
on is not heard for a while. Used by one thread; its memory is bounded, however many connections there are.
"""

from __future__ import annotations

import time

from .limits import MAX_STRANGERS, REFUSALS_ANSWERED, REFUSALS_IN_ALL, STRANGER_S


class Strangers:
    """Refusals by connection."""

    def __init__(self) -> None:
        self._refusals: dict[bytes, int] = {}
        self._left = REFUSALS_IN_ALL
        self._forget_at = 0.0
        self._muted_before: set[bytes] = set()
        self._muted: set[bytes] = set()

    def is_muted(self, identity: bytes) -> bool:
        """Whether what comes from this connection is not worth a look."""
        return identity in self._muted or identity in self._muted_before

    def refuse(self, identity: bytes) -> bool:
        """Note that a message was bad; whether the connection shall hear of it."""
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget(now)
        count = self._refusals.get(identity, 0) + 1
        if count > 1 or len(self._refusals) < MAX_STRANGERS:
            self._refusals[identity] = count
        if count > REFUSALS_ANSWERED:
            self._mute(identity)
            return False
        self._left -= 1
        return self._left >= 0

    def _mute(self, identity: bytes) -> None:
        if len(self._muted) < MAX_STRANGERS:
            self._muted.add(identity)

    def _forget(self, now: float) -> None:
        """A new interval begins; who was muted in the last one stays so until the next."""
        self._forget_at = now + STRANGER_S
        self._left = REFUSALS_IN_ALL
        self._refusals.clear()
        self._muted_before, self._muted = self._muted, set()
