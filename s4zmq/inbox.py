"""The receiving side of the data plane: one thread that owns the PULL and writes chunks to disk.

Control requests open a transfer here and learn its id; the chunks find it by that id. What becomes
of the bytes is the sink's business. Whatever goes wrong ends that transfer alone: its caller gets
one failure, its sink is discarded, and late chunks of it are dropped.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import zmq

from . import codec, points, sockets
from .bouncer import Bouncer
from .caller import Caller
from .errors import Cancelled, InternalError, NodeBusy, S4Error
from .limits import CUT_DATA, INBOX_CHUNKS, LATE_TRANSFERS, MAX_TRANSFERS, WINDOW_CHUNKS
from .mailbox import Mailbox
from .sessions import Sessions
from .transfer import Incoming, Piece
from .wire import Credit, Granted

log = logging.getLogger(__name__)

_DRAIN_MESSAGES = 64
_JUNK_PAUSE_S = 0.002
"""Between two draughts that are mostly junk: two threads that both receive without a pause take the
interpreter from each other at every frame, and the control loop gets ten times slower."""


class Sink(Protocol):
    """Where the bytes of a transfer go. Called by the inbox's thread alone."""

    def write(self, piece: Piece, data: memoryview) -> None:
        """Bytes of one value, in order."""

    def finish(self, digests: list[bytes]) -> Any:
        """All bytes are written: compare, publish or stage; the final reply."""

    def discard(self) -> None:
        """The transfer failed: leave nothing. Also after a `finish` that raised."""


class _Arrival(NamedTuple):
    incoming: Incoming
    sink: Sink
    caller: Caller


class Inbox(threading.Thread):
    """Transfers that arrive at this node."""

    def __init__(self, context: sockets.Context, host: str, port: int, sessions: Sessions) -> None:
        super().__init__(name="inbox", daemon=True)
        self._zmq_context = context
        self._socket, self.port = sockets.bind_data(context, host, port)
        self.address = f"{host}:{self.port}"
        self._sessions = sessions
        self._arrivals: dict[bytes, _Arrival] = {}
        self._ended: dict[bytes, None] = {}
        self._discards: Mailbox[tuple[bytes, S4Error | None]] = Mailbox()
        self._stopping = False
        self._shall_bind_anew = False
        self._bouncer = Bouncer(CUT_DATA)
        self.dropped = 0
        """Messages that belonged to no transfer, or to one that has ended."""
        self.opened = 0
        """Transfers since the start."""

    # -- from other threads

    def open(self, sizes: list[int] | None, sink: Sink, caller: Caller) -> bytes:
        """Start a transfer and grant its first credit; its id. Raises NodeBusy."""
        if len(self._arrivals) >= MAX_TRANSFERS:
            raise NodeBusy(f"{MAX_TRANSFERS} transfers are under way to this node: try again")
        transfer = os.urandom(16)
        chunks = max(1, min(WINDOW_CHUNKS, INBOX_CHUNKS // (len(self._arrivals) + 1)))
        self._arrivals[transfer] = _Arrival(Incoming(sizes, chunks), sink, caller)
        ended = Cancelled("the transfer was ended, as its client was not heard of")
        try:
            self._sessions.own(caller.session, caller.token, lambda: self.discard(transfer, ended))
        except BaseException:
            del self._arrivals[transfer]
            raise
        self.opened += 1
        caller.answer(Granted(transfer, chunks, self.address))
        return transfer

    def discard(self, transfer: bytes, error: S4Error | None = None) -> None:
        """End a transfer from outside; one that has ended is fine."""
        self._discards.put((transfer, error))

    def bind_anew(self) -> None:
        """End all connections, also those that ZeroMQ keeps though they are over. The port stays."""
        self._shall_bind_anew = True
        self.discard(b"")  # the thread wakes up

    def stop(self) -> None:
        """End the thread; what is under way is discarded."""
        self._stopping = True
        self.discard(b"")
        self.join()

    def __len__(self) -> int:
        return len(self._arrivals)

    # -- the thread

    def run(self) -> None:
        """Until stopped."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._discards.fd, zmq.POLLIN)
        while not self._stopping:
            poller.poll()
            for transfer, error in self._discards.take():
                self._end(transfer, error)
            self._serve()
            if self._shall_bind_anew and not self._arrivals:
                poller.unregister(self._socket)
                self._bind_anew()
                poller.register(self._socket, zmq.POLLIN)
        for transfer in list(self._arrivals):
            self._end(transfer, None)
        self._socket.close()
        self._discards.close()

    def _bind_anew(self) -> None:
        self._shall_bind_anew = False
        host, _, port = self.address.rpartition(":")
        self._socket, _ = sockets.bind_anew(
            self._socket, lambda: sockets.bind_data(self._zmq_context, host, int(port))
        )

    def _serve(self) -> None:
        before = self.dropped
        with suppress(zmq.Again):
            for _ in range(_DRAIN_MESSAGES):
                frames = sockets.receive(self._socket)
                if not self._is_taken([frame.buffer for frame in frames]):
                    self._bouncer.note(sockets.descriptor_of(frames[0]))
        if self.dropped - before > _DRAIN_MESSAGES // 2:
            time.sleep(_JUNK_PAUSE_S)

    def _is_taken(self, frames: list[memoryview]) -> bool:
        """Take a chunk; False where it is none that anybody who was granted a transfer would send."""
        try:
            chunk = codec.decode_chunk(frames[0])
        except S4Error:
            self.dropped += 1
            return False
        arrival = self._arrivals.get(chunk.transfer)
        if arrival is None or len(frames) != 2:
            self.dropped += 1
            return len(frames) == 2 and chunk.transfer in self._ended
        self._take(arrival, chunk, frames[1])
        return True

    def _take(self, arrival: _Arrival, chunk: codec.Chunk, data: memoryview) -> None:
        try:
            self._on_chunk(arrival, chunk, data)
        except S4Error as error:
            self._end(chunk.transfer, error)
        except Exception:
            log.exception("a chunk could not be taken")
            self._end(chunk.transfer, InternalError("a bug: see the node's log"))

    def _on_chunk(self, arrival: _Arrival, chunk: codec.Chunk, data: memoryview) -> None:
        if chunk.last:
            arrival.incoming.last(chunk.offset, bytes(data))
            reply = arrival.sink.finish(arrival.incoming.digests)
            self._forget(chunk.transfer)
            arrival.caller.answer(reply)
            return
        for piece in arrival.incoming.chunk(chunk.offset, len(data)):
            arrival.sink.write(piece, data[piece.start : piece.stop])
            points.reach("inbox.wrote")
        chunks = arrival.incoming.grant()
        if chunks:
            arrival.caller.answer(Credit(chunks))

    def _forget(self, transfer: bytes) -> _Arrival | None:
        arrival = self._arrivals.pop(transfer, None)
        if arrival:
            self._ended[transfer] = None
            if len(self._ended) > LATE_TRANSFERS:
                del self._ended[next(iter(self._ended))]
            self._sessions.release(arrival.caller.session, arrival.caller.token)
        return arrival

    def _end(self, transfer: bytes, error: S4Error | None) -> None:
        arrival = self._forget(transfer)
        if arrival:
            arrival.sink.discard()
            if error:
                arrival.caller.fail(error)
