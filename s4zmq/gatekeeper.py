"""Who is admitted to the sockets that a node binds: holders of the cluster key, by ZAP.

libzmq asks at a socket inside the process, once for each connection and before anything of it is read.
A thread of its own answers. No messages of ours here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import zmq
from zmq.utils import z85

from . import sockets
from .mailbox import Mailbox

log = logging.getLogger(__name__)

_QUIET_S = 60.0
"""A flood of strangers must not fill the log's disk: they are mentioned once in so many seconds."""


class Gatekeeper(threading.Thread):
    """Answers until stopped. Started before the first socket is bound."""

    def __init__(self, context: sockets.Context) -> None:
        super().__init__(name="gatekeeper", daemon=True)
        assert context.pair is not None, "without a key there is nothing to ask for"
        self._admitted = z85.decode(context.pair[0])
        self._gate = sockets.bind_gate(context)
        self._end: Mailbox[None] = Mailbox()
        self._refused = 0
        self._mentioned_at = -_QUIET_S

    def run(self) -> None:
        """Until stopped."""
        poller = zmq.Poller()
        poller.register(self._gate, zmq.POLLIN)
        poller.register(self._end.fd, zmq.POLLIN)
        while self._end.fd not in dict(poller.poll()):
            self._gate.send_multipart(self._answer(self._gate.recv_multipart()))
        self._gate.close()
        self._end.close()

    def stop(self) -> None:
        """Ends the thread and waits for it; nobody is admitted from then on."""
        self._end.put(None)
        self.join()

    def _answer(self, question: Sequence[bytes]) -> list[bytes]:
        """RFC 27: version, id, domain, address, routing id, mechanism, credentials to version, id, status,
        text, user, metadata."""
        _, id, _, address, _, mechanism, *credentials = question
        if mechanism == b"CURVE" and credentials == [self._admitted]:
            return [b"1.0", id, b"200", b"OK", b"", b""]
        self._mention(address.decode(errors="replace"))
        return [b"1.0", id, b"400", b"not a holder of this cluster's key", b"", b""]

    def _mention(self, address: str) -> None:
        self._refused += 1
        if time.monotonic() - self._mentioned_at >= _QUIET_S:
            self._mentioned_at = time.monotonic()
            log.warning("%d connections without the key, the last from %s", self._refused, address)
            self._refused = 0
