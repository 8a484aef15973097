"""The control socket of a node: messages in, replies out, and strangers kept from taking all of its time.

What a message means is not known here. Everything in this room belongs to the thread that calls `serve`.

ZeroMQ hands out the messages of all connections in turns, so in a flood a client waits for one message of
each stranger before every one of its own. So strangers are not heard, which is quick, and who goes on is
cut off. What they leave behind in ZeroMQ is cleared when the node is at rest, with the socket itself.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence

import zmq

from . import codec, sockets, wire
from .admissions import Admissions
from .bouncer import Bouncer
from .caller import Caller, Letter, is_reproach
from .codec import Body, failure_of
from .door import Door, Rest
from .errors import Cancelled, ConnectionLost, S4Error
from .limits import CUT_CONTROL, MAX_REPLY_BYTES, TICK_S
from .outstanding import Outstanding
from .replies import Replies
from .strangers import Strangers
from .turns import Turns

_AT_ONCE = 256
_FLOOD_BEGINS = 32
_PARKED_PAUSE_S = 0.01
_OTHERS_TURN_S = 0.001
_LAST_WORDS_MS = 500
_PIECES = frozenset((wire.Granted, wire.Credit, wire.Output))
"""Replies of which none may be missing: what a request gets after a gap is its end."""

Take = Callable[[bytes, Sequence[memoryview]], None]
"""`take(identity, frames)`: a message of a connection."""

EndLost = Callable[[bytes, int], None]
"""`end_lost(session, id)`: end the work of a request that lost its connection; repeated until it has."""


class Reception:
    """Owns the ROUTER."""

    def __init__(
        self,
        context: sockets.Context,
        address: str,
        door: Door,
        threads: Turns,
        *,
        take: Take,
        end_lost: EndLost,
    ) -> None:
        """`threads` do the work that messages cause. Raises zmq.ZMQError where the address is taken."""
        self._socket = sockets.bind_control(context, address)
        self._context = context
        self._address = address
        self._rest = Rest(door, int(address.rpartition(":")[2]))
        self._threads = threads
        self._take = take
        self._end_lost = end_lost
        outstanding = Outstanding(MAX_REPLY_BYTES)
        self.admissions = Admissions(address, outstanding)
        self.strangers = Strangers()
        self._bouncer = Bouncer(CUT_CONTROL)
        self.replies = Replies(self, outstanding)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self.replies.fd, zmq.POLLIN)
        self._wakeup = select.poll()
        self._wakeup.register(self.replies.fd, select.POLLIN)
        self._is_flooded = False
        self.nonsense = 0
        """Messages that were refused or not heard."""

    def wait(self) -> None:
        """Until there is something to do, a tick at most."""
        self._poller.poll(int((_PARKED_PAUSE_S if self.replies.parked else TICK_S) * 1000))

    def serve(self) -> None:
        """Take what has come, and send replies as soon as there are any: they do not wait for a flood."""
        for number in range(_AT_ONCE):
            self.replies.send()
            try:
                frames = sockets.receive(self._socket)
            except zmq.Again:
                self._is_flooded = False
                break
            if number == _FLOOD_BEGINS:
                self._is_flooded = True
                self._threads.hold()
            identity = frames[0].bytes
            if self.strangers.is_muted(identity):
                self.nonsense += 1
                self._bouncer.note(sockets.descriptor_of(frames[-1]))
            elif self._is_too_soon(identity):
                self.nonsense += 1
                self.strangers.refuse(identity)
            else:
                self._take(identity, [frame.buffer for frame in frames[1:]])
        self._threads.go_on()
        self.replies.send()
        if self._is_flooded:
            self._give_way()

    def _give_way(self) -> None:
        """In a flood this thread and the others work in turns: each would take the interpreter from the
        other at every frame, and become ten times slower. And nonsense shall not cost a whole processor,
        as honest clients need it. The turns are short, since an honest request may wait for several."""
        until = time.monotonic() + _OTHERS_TURN_S
        while (left_s := until - time.monotonic()) > 0:
            self._wakeup.poll(left_s * 1000)
            self.replies.send()

    def close(self) -> None:
        """The last replies go out, and the socket is gone."""
        self.replies.send()
        self._socket.close(linger=_LAST_WORDS_MS)

    # -- who asks

    def hear(self, session: bytes, identity: bytes) -> None:
        """The session has sent a request, or a ping for one. What it was sent in pieces by an older
        connection may have a gap now."""
        for name in self.admissions.hear(session, identity):
            self._end_lost(*name)
        for letter in self.admissions.take_kept(session):
            self.replies.send_now(letter)

    def _is_too_soon(self, identity: bytes) -> bool:
        """Whether a stranger does not take its replies, or has to wait for one before it says more."""
        is_waiting = self.strangers.is_slow(identity) and self.admissions.has_any(identity)
        return is_waiting or self.replies.is_parked(identity)

    def refuse(self, identity: bytes, frames: Sequence[memoryview], error: S4Error) -> None:
        """The message makes no sense. Says so, unless that was said too often."""
        self.nonsense += 1
        if self.strangers.refuse(identity):
            Caller(identity, codec.salvage_id(frames), b"", self.replies.put).fail(error)
            self.replies.send()

    # -- at rest

    def rest(self) -> bool:
        """Call it at each tick: what is lost is ended, and when nothing but pings has come for a while,
        the door is put in order. Whether memory was let go."""
        for name in list(self.admissions.lost):
            self._end_lost(*name)
        for letter in self.admissions.take_old():
            self.on_dropped(letter)
        is_idle = not len(self.admissions)
        if self._rest.is_due(is_idle=is_idle, seen=(self.admissions.total, self.nonsense)):
            self._bind_anew()
            return True
        if is_idle:
            self.admissions.rest()
        return self.strangers.rest()

    def _bind_anew(self) -> None:
        """End all connections; whoever dials comes again by itself, and asks again."""
        self._poller.unregister(self._socket)
        self._socket = sockets.bind_anew(
            self._socket, lambda: sockets.bind_control(self._context, self._address)
        )
        self._poller.register(self._socket, zmq.POLLIN)

    # -- replies, see `replies.Exit`

    def amend(self, letter: Letter) -> Letter | None:
        """A lost request gets nothing that has a gap, and an error in the end."""
        if (letter.session, letter.id) not in self.admissions.lost:
            return letter
        if type(letter.message) in _PIECES:
            return None
        failed = isinstance(letter.message, wire.Failure) and letter.message.code == Cancelled.code
        if failed or isinstance(letter.message, wire.EvalDone):
            error = ConnectionLost(f"node {self._address} lost its connection meanwhile: try again")
            return letter._replace(message=failure_of(error))
        return letter  # what else can be said is true

    def send(self, letter: Letter, frames: Sequence[Body], copy: bool) -> bool:
        """By the newest connection of its session that is there; a piece by that of the first one. Where
        none is left, it is kept until the session has a new one."""
        for way in self._ways(letter):
            try:
                self._socket.send_multipart([way, *frames], zmq.NOBLOCK, copy=copy)
            except zmq.Again:
                return False
            except zmq.ZMQError as exc:
                if exc.errno != zmq.EHOSTUNREACH:
                    raise
            else:
                self._on_sent(letter, way)
                return True
        if self._is_later_piece(letter) or not self.admissions.keep(letter):
            self.on_dropped(letter)
        return True

    def _is_later_piece(self, letter: Letter) -> bool:
        return type(letter.message) in _PIECES and bool(
            self.admissions.way_of_pieces(letter.session, letter.id)
        )

    def _ways(self, letter: Letter) -> Sequence[bytes]:
        name = (letter.session, letter.id)
        if self._is_later_piece(letter):
            return (self.admissions.way_of_pieces(*name),)
        return self.admissions.ways(*name) or (letter.identity,)

    def _on_sent(self, letter: Letter, way: bytes) -> None:
        if type(letter.message) in _PIECES:
            self.admissions.note_piece(letter.session, letter.id, way)
        elif type(letter.message) not in wire.INTERIM:
            self._on_end(letter)

    def _on_end(self, letter: Letter) -> None:
        """A request has ended. If its client does not get the reply, its next ping finds that out."""
        self.admissions.end(letter.session, letter.id)
        if is_reproach(letter.message):
            self.strangers.reproach(letter.identity)

    def on_dropped(self, letter: Letter) -> None:
        """A reply will not be sent: what is in pieces has a gap now."""
        if type(letter.message) not in wire.INTERIM:
            self._on_end(letter)
        elif type(letter.message) in _PIECES and self.admissions.lose(letter.session, letter.id):
            self._end_lost(letter.session, letter.id)
