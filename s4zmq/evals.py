"""`s4 eval` on the node: one command beside one key, its output streamed back as it comes.

An eval waits for no slot, so that a command may call `s4 eval` itself. The client grants how many
messages may be in flight: a paused stdout pauses the command, and memory stays bounded.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading

from . import scratch, wire
from .caller import Caller
from .codec import Body
from .commandtext import check_command
from .errors import Cancelled, InternalError, NodeBusy, ProtocolError, S4Error
from .keys import Key
from .keyserver import KeyServer
from .limits import EVAL_WINDOW, MAX_EVALS
from .pipes import widen_pipe
from .sessions import Sessions
from .shell import Command, Shell, Switch
from .store import Store

log = logging.getLogger(__name__)


class _Flow:
    """Messages that the client still takes; waits without end, until cancelled."""

    def __init__(self, window: int) -> None:
        self._left = window
        self._changed = threading.Condition()
        self._cancelled = False

    def allow(self, messages: int) -> None:
        with self._changed:
            self._left = min(self._left + messages, EVAL_WINDOW)
            self._changed.notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify()

    def take(self) -> bool:
        """Wait for room for one message; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or self._cancelled)
            self._left -= 1
            return not self._cancelled


class Evals:
    """Evals that run on this node, each in a thread of its own."""

    def __init__(self, store: Store, shell: Shell, keys: KeyServer, sessions: Sessions) -> None:
        self._store = store
        self._shell = shell
        self._keys = keys
        self._sessions = sessions
        self._flows: dict[tuple[bytes, int], _Flow] = {}

    def on_eval(self, request: wire.Eval, body: Body, caller: Caller) -> None:
        """Start. Raises KeyNotFound, ChecksumMismatch, RequestError or NodeBusy before anything runs."""
        check_command(request.command)
        if len(self._flows) >= MAX_EVALS:
            raise NodeBusy(f"{MAX_EVALS} evals run on node {self._store.node}: try again")
        if not 0 < request.window <= EVAL_WINDOW:
            raise ProtocolError(f"eval: a window of 1 to {EVAL_WINDOW}")
        key = self._keys.own_key(request.key)
        fd, _ = self._store.open_checked(key)
        flow = self._flows[caller.token] = _Flow(request.window)
        args = (request, key, fd, flow, caller)
        try:
            threading.Thread(target=self._run, args=args, name="eval", daemon=True).start()
        except BaseException:
            del self._flows[caller.token]
            os.close(fd)
            raise

    def on_allow(self, allow: wire.Allow, caller: Caller) -> None:
        """The client has taken some output."""
        flow = self._flows.get((caller.session, allow.eval))
        if flow:
            flow.allow(allow.messages)

    def __len__(self) -> int:
        return len(self._flows)

    def _run(self, request: wire.Eval, key: Key, fd: int, flow: _Flow, caller: Caller) -> None:
        token, cancel = caller.token, Switch()
        reply: object
        try:
            self._sessions.own(caller.session, token, cancel.turn)
            with cancel.heard_by(flow.cancel), scratch.command_folder(self._store, ()) as folder:
                reply = self._execute(
                    Command(request.command, key.name, str(key), folder), fd, flow, cancel, caller
                )
        except S4Error as error:
            reply = error
        except Exception:
            log.exception("an eval failed")
            reply = InternalError("a bug: see the node's log")
        finally:
            self._sessions.release(caller.session, token)
            os.close(fd)
            del self._flows[token]
            cancel.close()
        if isinstance(reply, S4Error):
            caller.fail(reply)
        else:
            caller.answer(reply)

    def _execute(
        self, command: Command, stdin: int, flow: _Flow, cancel: Switch, caller: Caller
    ) -> wire.EvalDone:
        def send(stream: int, data: bytes) -> None:
            if flow.take():
                caller.answer(wire.Output(stream), data)

        with self._shell.start(command, stdin=stdin, stdout=subprocess.PIPE) as process:
            widen_pipe(process.stdout)
            readers = {
                process.stdout: lambda data: send(1, data),
                process.stderr: lambda data: send(2, data),
            }
            ended = process.watch(readers, cancel, 0)
            status = process.finish()
        if ended == "cancel":
            raise Cancelled(f"the command on {command.key} was ended, as its client was not heard of")
        return wire.EvalDone(status)
