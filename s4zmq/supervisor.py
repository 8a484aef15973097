"""What systemd hears of a node: that it serves, that its loop turns, that it stops.

The protocol of sd_notify(3): a line in a datagram to the socket that the environment names. Whoever has
no such supervisor says the same words to nobody. When to say them is the node's business.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Supervisor:
    """Tells `path`, a socket of the file system or, with a leading `@`, an abstract one; "": nobody.

    Never raises and never blocks: a node does not end because nobody listens.
    """

    def __init__(self, path: str = "", *, watches: bool = False) -> None:
        """`watches`: the supervisor wants to hear often that the process is well."""
        self._path = path
        self._watches = watches
        self._is_stopping = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Supervisor:
        """The one that the environment names. Its variables are taken out: they are for this process,
        and a child that spoke in its name would end it or keep it alive."""
        path, period, pid = (environ.pop(name, "") for name in _VARIABLES)
        return cls(path, watches=bool(period) and pid in ("", str(os.getpid())))

    def ready(self) -> None:
        """The node serves."""
        self._say("READY=1")

    def alive(self) -> None:
        """To be said by the loop whose standing still is a fault, several times in each period."""
        if self._watches:
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The node drains. Said once, however often it is called."""
        if not self._is_stopping:
            self._is_stopping = True
            self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._say(f"STATUS={text}")

    def _say(self, line: str) -> None:
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.setblocking(False)
            speaker.sendto(line.encode(), address)
