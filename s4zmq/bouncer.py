"""The end of connections that go on with what a node does not hear.

ZeroMQ hands out messages of all connections in turns, so each of those that send nonsense has an honest
client wait for one message more; and what is not read stays with ZeroMQ. Whether something was nonsense is
for others to say.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from .connections import cut, inode_of
from .limits import STRANGER_S


class _Suspect(NamedTuple):
    inode: int
    since: float
    messages: int


class Bouncer:
    """Belongs to one bound socket, and to the thread that reads from it."""

    def __init__(self, patience: int) -> None:
        """Cuts off who sends `patience` such messages within STRANGER_S.

        That must be more than the socket queues for one connection. Then some were sent after the first
        was looked at, so the connection was there at that moment, and is the one that was looked at:
        else the messages of one that has gone would be laid on who has its descriptor now.
        """
        self._patience = patience
        self._suspects: dict[int, _Suspect] = {}
        self.cuts = 0

    def note(self, fd: int) -> None:
        """One more message that is not heard has come by this descriptor."""
        now = time.monotonic()
        inode = inode_of(fd)
        suspect = self._suspects.get(fd)
        if suspect is None or suspect.inode != inode or now - suspect.since > STRANGER_S:
            suspect = _Suspect(inode, now, 0)
        suspect = suspect._replace(messages=suspect.messages + 1)
        if suspect.messages < self._patience:
            self._suspects[fd] = suspect
            return
        self._suspects.pop(fd, None)
        if inode:
            self.cuts += 1
            cut(fd, inode)

    def forget(self) -> None:
        """Everybody is as good as new."""
        self._suspects = {}
