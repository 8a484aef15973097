"""The control socket of a node: messages in, replies out, and strangers kept from taking all of its time.

What a message means is not known here. Everything in this room belongs to the thread that calls `serve`.

ZeroMQ hands out the messages of all connections in turns, so in a flood a client waits for one message of
each stranger before every one of its own. What can be done is to be quick: strangers are not heard, and
where that is not enough (`_is_flooded`) ZeroMQ forgets their connections with all that they have sent.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence

import zmq

from . import codec, sockets
from .admissions import Admissions
from .caller import Caller, Letter, is_reproach
from .codec import Body
from .descriptors import share_of
from .door import Door
from .errors import S4Error
from .limits import MAX_REPLY_BYTES, MAX_STUCK, REST_TICKS, STUCK_AT_REST
from .outstanding import Outstanding
from .replies import Replies
from .strangers import Strangers
from .turns import Turns

_AT_ONCE = 256
_FLOOD_BEGINS = 32
_THREADS_TURN_S, _NONSENSE_PAUSE_S = 0.0005, 0.002

Take = Callable[[bytes, Sequence[memoryview]], None]
"""`take(identity, frames)`: a message of a connection."""


class Reception:
    """Owns the ROUTER."""

    def __init__(
        self, context: sockets.Context, address: str, door: Door, threads: Turns, take: Take
    ) -> None:
        """`threads` do the work that messages cause. Raises zmq.ZMQError where the address is taken."""
        self.socket = sockets.bind_control(context, address)
        self._context = context
        self._door = door
        self._threads = threads
        self._take = take
        outstanding = Outstanding(MAX_REPLY_BYTES)
        self.admissions = Admissions(address, outstanding)
        self.strangers = Strangers()
        self.replies = Replies(self._send, outstanding, self._on_replied)
        self._wakeup = select.poll()
        self._wakeup.register(self.replies.fd, select.POLLIN)
        self._is_flooded = False
        self._seen = (0, 0)
        self._quiet_ticks = 0
        self._looks = self._hung_up = 0
        self.nonsense = 0
        """Messages that were refused or not heard."""

    def serve(self) -> None:
        """Take what has come, and send replies as soon as there are any: they do not wait for a flood."""
        nonsense = self.nonsense
        for number in range(_AT_ONCE):
            self.replies.send()
            try:
                frames = sockets.receive(self.socket)
            except zmq.Again:
                self._is_flooded = False
                break
            if number == _FLOOD_BEGINS:
                self._is_flooded = True
                self._threads.hold()
            identity = frames[0].bytes
            if self._is_unheard(identity):
                self._ignore(identity)
            else:
                self._take(identity, [frame.buffer for frame in frames[1:]])
        self._threads.go_on()
        self.replies.send()
        if self._is_flooded:
            self._give_way(self.nonsense - nonsense)

    def _give_way(self, nonsense: int) -> None:
        """In a flood this thread and the others work in turns: each would take the interpreter from the
        other at every frame, and become ten times slower. And nonsense shall not cost a whole processor,
        as honest clients need it."""
        pause_s = _NONSENSE_PAUSE_S if nonsense > _AT_ONCE // 2 else _THREADS_TURN_S
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0:
            self._wakeup.poll(left_s * 1000)
            self.replies.send()

    # -- strangers

    def _is_unheard(self, identity: bytes) -> bool:
        """A stranger may be muted, not take its replies, or have to wait for one before it says more."""
        strangers = self.strangers
        return (
            strangers.is_muted(identity)
            or (strangers.is_slow(identity) and self.admissions.has_any(identity))
            or self.replies.is_parked(identity)
        )

    def _ignore(self, identity: bytes) -> None:
        self.nonsense += 1
        if not self.strangers.is_muted(identity):
            self.strangers.refuse(identity)
        self._hang_up_if_muted(identity)

    def refuse(self, identity: bytes, frames: Sequence[memoryview], error: S4Error) -> None:
        """The message makes no sense. Says so, unless that was said too often."""
        self.nonsense += 1
        if self.strangers.refuse(identity):
            Caller(identity, codec.salvage_id(frames), b"", self.replies.put).fail(error)
            self.replies.send()
        self._hang_up_if_muted(identity)

    def _hang_up_if_muted(self, identity: bytes) -> None:
        if not self._is_flooded or not self.strangers.is_muted(identity):
            return
        if self._looks != self._door.looks:
            self._looks, self._hung_up = self._door.looks, 0
        if self._door.stuck + self._hung_up < share_of(MAX_STUCK, 0.25):
            self._hung_up += 1
            sockets.hang_up(self._context, identity)

    def rest(self) -> None:
        """Call it at each tick: when nothing but pings has come for a while, the door is put in order."""
        seen = (self.admissions.total, self.nonsense)
        is_quiet = seen == self._seen and not len(self.admissions)
        self._seen = seen
        self._quiet_ticks = self._quiet_ticks + 1 if is_quiet else 0
        if self._quiet_ticks >= REST_TICKS and self._door.stuck >= STUCK_AT_REST:
            self._quiet_ticks = 0
            self._door.stuck = 0
            sockets.bind_anew(self.socket)

    # -- replies

    def _send(self, frames: Sequence[Body], copy: bool) -> bool:
        """False where the client is too slow for now; a client that is gone counts as sent."""
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK, copy=copy)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
        return True

    def _on_replied(self, letter: Letter) -> None:
        self.admissions.end(letter.identity, letter.id)
        if is_reproach(letter.message):
            self.strangers.reproach(letter.identity)
