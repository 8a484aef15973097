"""The end of connections that go on with what a node does not hear.

ZeroMQ hands out messages of all connections in turns, so each of those that send nonsense has an honest
client wait for one message more; and what is not read stays with ZeroMQ. Whether something was nonsense is
for others to say.
"""

from __future__ import annotations

import time

from .connections import cut, inode_of
from .limits import STRANGER_S


class _Suspect:
    """A connection that was looked at once: to look at each message costs more than all the rest."""

    def __init__(self, fd: int) -> None:
        self.inode = inode_of(fd)
        self.since = time.monotonic()
        self.messages = 0


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
        suspect = self._suspects.get(fd)
        if suspect is None or time.monotonic() - suspect.since > STRANGER_S:
            suspect = self._suspects[fd] = _Suspect(fd)
        suspect.messages += 1
        if suspect.messages >= self._patience:
            del self._suspects[fd]
            self.cuts += cut(fd, suspect.inode)
