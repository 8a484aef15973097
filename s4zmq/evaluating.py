"""A command beside one key, as its output comes: the client's side of eval for whoever iterates."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from . import wire
from .codec import Body
from .errors import RequestError, S4Error
from .keys import Key
from .limits import EVAL_WINDOW
from .pool import Pool

STDOUT, STDERR = 1, 2


class Output(NamedTuple):
    """Some of what a command has written."""

    stream: int
    """1: stdout, 2: stderr."""

    data: bytes


class _Received:
    """What has come of a command. Apart from the Evaluation, which would else refer to itself by way of its
    session, and if it is forgotten not be found before its sockets are."""

    def __init__(self) -> None:
        self.output: deque[Output] = deque()
        self.reply: Any = None

    def take(self, reply: Any, body: Body) -> None:
        if isinstance(reply, wire.Output):
            self.output.append(Output(reply.stream, bytes(body)))
        else:
            self.reply = reply


class Evaluation:
    """A command that runs beside a key. Iterate over its output; then `status` is there.

        with s4.start_eval("s4://logs/today", "tail -n +2") as running:
            for output in running:
                sys.stdout.buffer.write(output.data)
        print(running.status)

    A consumer that is slow holds the command up, as a pipe does. `close`, or the end of the `with`, ends a
    command that still runs. For one thread at a time.
    """

    def __init__(self, pool: Pool, key: Key, command: str, keep: object = None) -> None:
        self._pool = pool
        self._keep = keep
        self._key = key
        self._received = received = _Received()
        self._session = session = pool.take()
        self._is_open = True
        self._node = session.owner(key)
        try:
            session.holds_work()
            message = wire.Eval(str(key), command, EVAL_WINDOW)
            self._request = session.courier.request(self._node, message, received.take, resend=False)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Output]:
        return self

    def __next__(self) -> Output:
        """Raises KeyNotFound, ChecksumMismatch, NodeUnreachable ... where the command could not run."""
        if not self._received.output and self._is_open:
            self._wait()
        if self._received.output:
            found = self._received.output.popleft()
            if self._is_open:
                self._session.courier.tell(self._node, wire.Allow(self._request, 1))
            return found
        if isinstance(self._received.reply, S4Error):
            raise self._received.reply
        if self._received.reply is None:
            raise RequestError(f"the command on {self._key} was ended before it was over")
        raise StopIteration

    def _wait(self) -> None:
        """Until there is some output, or the end: then the session goes back."""
        try:
            self._session.courier.run_until(self._has_news)
        except BaseException:
            self.close()
            raise
        if self._received.reply is not None:
            self._is_open = False
            self._pool.give_back(self._session)

    def _has_news(self) -> bool:
        return bool(self._received.output) or self._received.reply is not None

    @property
    def status(self) -> int:
        """Exit status of the command, 128 + n for signal n. Raises RequestError before it has ended."""
        if not isinstance(self._received.reply, wire.EvalDone):
            raise RequestError(
                f"the command on {self._key} has no status: its output was not read to the end"
            )
        return self._received.reply.status

    def close(self) -> None:
        """End the command, if it still runs; twice is fine."""
        if self._is_open:
            self._is_open = False
            self._pool.give_up(self._session)

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_is_open", False) and not sys.is_finalizing():
            warnings.warn(f"the eval of {self._key} was never closed", ResourceWarning, 2, self)
            self.close()
