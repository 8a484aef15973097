"""Connections that send what no client would, and how much of it a node still answers.

Anybody who reaches a node can send it nonsense as fast as he likes, and a refusal costs the node more than
the nonsense costs him. So each connection is answered a few times, all together some more, and whoever goes
on is not heard for a while. Who makes well-formed requests that no client would make is served, but one at
a time, and after all others. Used by one thread; its memory is bounded, however many connections there are.
"""

from __future__ import annotations

import time

from .limits import MAX_STRANGERS, REFUSALS_ANSWERED, REFUSALS_IN_ALL, REPROACHES, STRANGER_S


class _Counts:
    """How often each connection did something since the last two times that this was forgotten."""

    def __init__(self) -> None:
        self._now: dict[bytes, int] = {}
        self._before: dict[bytes, int] = {}

    def add(self, identity: bytes) -> int:
        """Once more: how often in this interval."""
        count = self._now.get(identity, 0) + 1
        if count > 1 or len(self._now) < MAX_STRANGERS:
            self._now[identity] = count
        return count

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._now or identity in self._before

    def of(self, identity: bytes) -> int:
        """In this interval or the one before, where it was more often."""
        return max(self._now.get(identity, 0), self._before.get(identity, 0))

    def forget(self) -> bool:
        """A new interval begins; whether anything is forgotten by that."""
        had_any = bool(self._before)
        self._before, self._now = self._now, {}
        return had_any


class Strangers:
    """What is wrong with each connection. When there is much of it, each has less patience to expect."""

    def __init__(self) -> None:
        self._refusals, self._reproaches, self._muted = _Counts(), _Counts(), _Counts()
        self._left = REFUSALS_IN_ALL
        self._forget_at = 0.0

    def is_muted(self, identity: bytes) -> bool:
        """Whether what comes from this connection is not worth a look."""
        return identity in self._muted

    def is_slow(self, identity: bytes) -> bool:
        """Whether it is served one request at a time, and after others."""
        return self._reproaches.of(identity) >= self._patience(REPROACHES)

    def refuse(self, identity: bytes) -> bool:
        """Note that a message was bad; whether the connection shall hear of it. It does at least once,
        so that a client with a wrong conf file is told so also in a flood."""
        self._look_at_clock()
        count = self._refusals.add(identity)
        self._left -= 1
        if count >= self._patience(REFUSALS_ANSWERED):
            self._muted.add(identity)
        return count == 1 or self._left > 0

    def reproach(self, identity: bytes) -> None:
        """Note that a request was well formed, but none that a client of ours would make."""
        self._look_at_clock()
        self._reproaches.add(identity)
        self._left -= 1

    def rest(self) -> bool:
        """Forget what is old, also where nothing comes any more; whether there was something."""
        return self._look_at_clock()

    def _patience(self, usual: int) -> int:
        return usual if self._left > 0 else 1

    def _look_at_clock(self) -> bool:
        now = time.monotonic()
        if now < self._forget_at:
            return False
        self._forget_at = now + STRANGER_S
        self._left = REFUSALS_IN_ALL
        return any([counts.forget() for counts in (self._refusals, self._reproaches, self._muted)])
