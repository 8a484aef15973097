"""Sessions for several threads: each call borrows one, and uses it alone until it gives it back.

A session and its sockets are for one thread at a time. A pool makes one where none is idle, keeps a few,
and has no lock, so that a garbage collector may give a session back at any moment. After a fork the
child begins with none: those of its parent are left alone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from .config import Config
from .errors import RequestError, S4Error
from .session import Session

_KEPT = 8
_inherited: list[Session] = []
"""Sessions of the parent process: kept, as closing them would disturb sockets that are not ours."""


class Pool:
    """Sessions with one cluster."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.is_closed = False
        self._idle: deque[Session] = deque()

    def take(self) -> Session:
        """A session for this thread alone, to be given back. Raises RequestError once closed."""
        if self.is_closed:
            raise RequestError("this Client is closed: make another one")
        while self._idle:
            try:
                session = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if session.pid == os.getpid():
                return session
            _inherited.append(session)
        return Session(self.config)

    def give_back(self, session: Session) -> None:
        """It holds nothing on any node that is wanted. May be called by a garbage collector."""
        if session.pid != os.getpid():
            _inherited.append(session)
        elif self.is_closed or len(self._idle) >= _KEPT:
            session.close()
        else:
            session.rest()
            self._idle.append(session)

    def give_up(self, session: Session) -> None:
        """Something went wrong with it: end all of its work, on every node, and close it."""
        if session.pid != os.getpid():
            _inherited.append(session)
            return
        try:
            if session.has_work:
                session.end_session()
        finally:
            session.close()

    def settle(self, session: Session, error: BaseException) -> None:
        """What `error` has interrupted is over; an interrupt may have left anything."""
        if isinstance(error, (S4Error, GeneratorExit)) and not session.has_work:
            self.give_back(session)
        else:
            self.give_up(session)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for as long as the context lasts; if that fails its work ends on all nodes."""
        session = self.take()
        try:
            yield session
        except BaseException as error:
            self.settle(session, error)
            raise
        self.give_back(session)

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back. Twice is fine."""
        self.is_closed = True
        while self._idle:
            self.give_back(self._idle.pop())
