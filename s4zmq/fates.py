"""What has become of a task: the sender's answer, and asking for it where a task is in doubt.

pending    its sender is still at it
done       its sender has noted it in the ledger: its outputs stay, on every node
undone     anything else: its outputs go, on every node
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from . import wire
from .caller import Caller
from .codec import Body
from .errors import ProtocolError
from .indoubt import Doubt, InDoubt
from .ledger import Ledger
from .limits import BATCH_MAX_KEYS, TICK_S
from .staging import Staging

_DONE_REMEMBERED = 10_000


class Fates:
    """The tasks that this node sends, as peers ask for them. Safe to call from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._pending: set[bytes] = set()
        self._done: dict[bytes, None] = {}
        """The last ones that are done, oldest first: the ledger may be long."""

    def begin(self, task: bytes) -> None:
        """From now on it is pending, and nobody undoes it."""
        with self._lock:
            self._pending.add(task)

    def end(self, task: bytes, *, done: bool) -> None:
        """It is in the ledger, or it never will be."""
        with self._lock:
            self._pending.discard(task)
            if done:
                self._done[task] = None
                if len(self._done) > _DONE_REMEMBERED:
                    self._done.pop(next(iter(self._done)))

    def of(self, recipe: bytes, tasks: list[bytes]) -> list[str]:
        """The fate of each task. Reads the ledger, so on a disk thread."""
        with self._lock:  # before the look into the ledger: what ends in between is told next time
            pending = self._pending.intersection(tasks)
            done = set(tasks).intersection(self._done)
        unknown = set(tasks) - pending - done
        if unknown:
            done |= self._ledger.has(recipe, unknown)
        return ["pending" if t in pending else "done" if t in done else "undone" for t in tasks]

    def on_fates(self, request: wire.Fates, body: Body, caller: Caller) -> None:
        """A peer asks."""
        if len(request.tasks) > BATCH_MAX_KEYS:
            raise ProtocolError(f"fates: more than {BATCH_MAX_KEYS} tasks")
        caller.answer(wire.FatesReply(self.of(request.recipe, request.tasks)))


class Resolver:
    """Which tasks in doubt here to ask about, and what follows. Used by the shuffle's thread."""

    def __init__(self, node: str, in_doubt: InDoubt, fates: Fates, staging: Staging) -> None:
        self._node = node
        self._in_doubt = in_doubt
        self._fates = fates
        self._staging = staging
        self._next_look = 0.0
        self._seen: set[bytes] = set()
        """In doubt at the look before: what is settled in the usual time is not asked about."""
        self._asked: set[bytes] = set()

    def due(self, now: float) -> Iterator[tuple[str, wire.Fates]]:
        """Whom to ask what now, a look each TICK_S. Tasks of this node itself are settled here."""
        if now < self._next_look:
            return
        self._next_look = now + TICK_S
        doubts = self._in_doubt.all()
        waiting = [doubt for doubt in doubts if doubt.task in self._seen - self._asked]
        self._seen = {doubt.task for doubt in doubts}
        for (sender, recipe), tasks in _grouped(waiting).items():
            self._asked.update(tasks)
            if sender == self._node:
                self._staging.later(self._settle_own, recipe, tasks)
            else:
                for start in range(0, len(tasks), BATCH_MAX_KEYS):
                    yield sender, wire.Fates(recipe, tasks[start : start + BATCH_MAX_KEYS])

    def taking(self, sender: str, fates: wire.Fates) -> Callable[[Any, Body], None]:
        """What to do with the reply, or the error: then the sender is asked again."""

        def on_reply(reply: Any, _: Body) -> None:
            answers = reply.fates if isinstance(reply, wire.FatesReply) else []
            self._staging.later(self._apply, fates.tasks, answers)

        return on_reply

    def _settle_own(self, recipe: bytes, tasks: list[bytes]) -> None:
        self._apply(tasks, self._fates.of(recipe, tasks))

    def _apply(self, tasks: list[bytes], answers: list[str]) -> None:
        try:
            for task, fate in zip(tasks, answers, strict=False):
                if fate == "done":
                    self._staging.settle(task)
                elif fate == "undone":
                    self._staging.abort(task)
        finally:
            self._asked.difference_update(tasks)


def _grouped(doubts: list[Doubt]) -> dict[tuple[str, bytes], list[bytes]]:
    groups: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    for doubt in doubts:
        groups[doubt.sender, doubt.recipe].append(doubt.task)
    return groups
