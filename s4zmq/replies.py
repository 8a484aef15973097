"""Replies on their way: from any thread to the one that owns the control socket, and out.

A connection that does not take its replies has them kept here, a few; then they are dropped. An honest
client has room in its queue for all that it can ask for at once, so this is for strangers, and bounded
for all of them together.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from . import codec
from .caller import Letter
from .codec import Body
from .limits import MAX_PARKED, MAX_PARKED_IN_ALL
from .mailbox import Mailbox
from .outstanding import LARGE_BYTES, Outstanding

_RETRY_S = 0.01
_RETRIES_AT_ONCE = 256


class Exit(Protocol):
    """The way out."""

    def amend(self, letter: Letter) -> Letter | None:
        """What is to go out in its place; None where it is of no use any more."""

    def send(self, letter: Letter, frames: Sequence[Body], copy: bool) -> bool:
        """False where the connection is too slow for now, and the letter is to be given again."""

    def on_dropped(self, letter: Letter) -> None:
        """The connection was too slow for too long."""


class Replies:
    """Letters that go out in order, for each connection."""

    def __init__(self, exit: Exit, outstanding: Outstanding) -> None:
        self._exit = exit
        self._outstanding = outstanding
        self._new: Mailbox[Letter | None] = Mailbox()
        self._parked: dict[bytes, deque[Letter]] = {}
        self._parked_count = 0
        self._retry_at = 0.0
        self.fd = self._new.fd
        """Readable where there is something to send."""

    def put(self, letter: Letter) -> None:
        """Send this; from any thread."""
        self._new.put(letter)

    def wake(self) -> None:
        """Have the thread that polls look around; also for signal handlers."""
        self._new.put(None)

    @property
    def parked(self) -> int:
        """Replies that their connections do not take."""
        return self._parked_count

    def is_parked(self, identity: bytes) -> bool:
        """Whether this connection does not take its replies."""
        return identity in self._parked

    def send(self) -> None:
        """Send what goes."""
        if self._parked and time.monotonic() >= self._retry_at:
            self._retry()
        if len(self._new):
            for letter in self._new.take():
                if letter is not None:
                    self._send_or_park(letter)

    def send_now(self, letter: Letter) -> None:
        """Before all that was put and is not sent yet. In the thread that sends."""
        self._send_or_park(letter)

    def _retry(self) -> None:
        """Some of those that wait, in turns."""
        for identity in list(self._parked)[:_RETRIES_AT_ONCE]:
            waiting = self._parked.pop(identity)
            while waiting and self._try(waiting[0]):
                waiting.popleft()
                self._parked_count -= 1
            if waiting:
                self._parked[identity] = waiting
        self._retry_at = time.monotonic() + _RETRY_S

    def _send_or_park(self, letter: Letter) -> None:
        waiting = self._parked.get(letter.identity)
        if waiting is None and self._try(letter):
            return
        if waiting is None:
            waiting = self._parked[letter.identity] = deque()
        waiting.append(letter)
        self._parked_count += 1
        if len(waiting) > MAX_PARKED or self._parked_count > MAX_PARKED_IN_ALL:
            self._drop(letter.identity)

    def _drop(self, identity: bytes) -> None:
        dropped = self._parked.pop(identity)
        self._parked_count -= len(dropped)
        for letter in dropped:
            self._exit.on_dropped(letter)

    def _try(self, given: Letter) -> bool:
        letter = self._exit.amend(given)
        if letter is None:
            return True
        frames: list[Body] = list(codec.encode(letter.message, letter.id))
        if len(letter.body):
            frames.append(letter.body)
        is_large = max(map(len, frames)) >= LARGE_BYTES
        if is_large:
            frames = [self._outstanding.watch(letter.identity, frame) for frame in frames]
        return self._exit.send(letter, frames, not is_large)
