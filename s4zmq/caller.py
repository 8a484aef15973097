"""Whom a request came from, and the way back: what a handler in any thread needs to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .codec import Body, failure_of
from .errors import KeyInvalid, ProtocolError, S4Error, WrongOwner
from .wire import Failure

_REPROACHES = frozenset((KeyInvalid.code, WrongOwner.code, ProtocolError.code))


class Letter(NamedTuple):
    """A reply on its way to the thread that owns the control socket."""

    identity: bytes
    id: int
    session: bytes
    message: Any
    body: Body


class Caller(NamedTuple):
    """One request's sender."""

    identity: bytes
    """Of the connection, as the ROUTER knows it."""

    id: int
    session: bytes
    post: Callable[[Letter], None]

    @property
    def token(self) -> tuple[bytes, int]:
        """What the request's work is called among all that its session owns, see `sessions`."""
        return self.session, self.id

    def answer(self, message: Any, body: Body = b"") -> None:
        """Send a reply; from any thread."""
        self.post(Letter(self.identity, self.id, self.session, message, body))

    def fail(self, error: S4Error) -> None:
        """Send the final reply of a request that failed."""
        self.answer(failure_of(error))


def is_reproach(reply: Any) -> bool:
    """Whether no client would have asked so: ours parses its keys and knows their owners."""
    if isinstance(reply, Failure):
        return reply.code in _REPROACHES
    return any(row[1] in _REPROACHES for row in getattr(reply, "failures", ()))
