"""The blocking client: one connection a node, straight to the owner of a key.

Here are the verbs that move no bulk: health, listing, removing, eval. `puts` and `gets` move values,
`runs` starts jobs; all of them go through this class's courier. Prints nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from . import sockets, wire
from .codec import Body, error_of
from .config import Config
from .courier import Courier
from .errors import KeyNotFound, NodeUnreachable, S4Error
from .keys import Key
from .limits import EVAL_WINDOW, HEALTH_TIMEOUT_S

_CLOSE_TIMEOUT_S = 2.0
_HINT_S = 1.0

Row = tuple[str, int, int]
"""(path, size, commit time in ns); a folder's path ends in a slash."""


class Value(NamedTuple):
    """What one key holds, without its bytes."""

    key: Key
    node: str
    size: int
    digest: bytes
    """16 bytes: all ranges that are read must be of the value that has it."""

    made_ns: int
    """Time of the commit, ns since 1970."""


class Health(NamedTuple):
    """What one node answered."""

    node: str
    is_healthy: bool
    reason: str
    """What the node said against it; "" where it is healthy, or said nothing."""


class Session:
    """A session with a cluster. Close it, or use it as a context: then its work ends with it."""

    def __init__(self, config: Config) -> None:
        self.roster = config.roster
        self.pid = os.getpid()
        """Of the process that may use it: sockets do not survive a fork."""
        self._context = sockets.Context(config.key)
        self.courier = Courier(config.roster, self._context)
        self.has_work = False
        """Whether a node may hold something for this session."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.has_work:
            self.end_session()
        self.close()

    def close(self) -> None:
        """Close every socket. Work that is left on nodes ends when they miss the session."""
        self.courier.close()
        self._context.close()

    def rest(self) -> None:
        """Nothing is wanted any more, and no node holds anything for this session: it can be used again."""
        self.has_work = False
        self.courier.forget()
        self.courier.end_lease()

    def owner(self, key: Key) -> str:
        """The node that holds `key`."""
        return self.roster.owner(key.name)

    def holds_work(self) -> None:
        """From now on nodes hold something for this session: keep the lease, close it on failure."""
        self.has_work = True
        self.courier.keep_lease()

    def end_session(self) -> None:
        """Have every node tear down what it holds for this session; those that do not answer in
        time will, when the lease runs out. Never raises."""
        self.courier.forget()
        left = set(self.roster.nodes) - self.courier.silent
        for node in sorted(left):
            self.courier.request(node, wire.Close(), _discard_from(left, node))
        until = time.monotonic() + _CLOSE_TIMEOUT_S
        while left and time.monotonic() < until:
            self.courier.step(until - time.monotonic())

    # -- health

    def health(self) -> list[Health]:
        """Every node, in order, within HEALTH_TIMEOUT_S."""
        said = {node: reply for node, (reply, _) in self.glance(wire.Stats()).items()}
        reasons = {node: reply.text for node, reply in said.items() if isinstance(reply, S4Error)}
        return [
            Health(node, node in said and node not in reasons, reasons.get(node, ""))
            for node in self.roster.nodes
        ]

    def glance(self, message: Any, timeout_s: float = HEALTH_TIMEOUT_S) -> dict[str, tuple[Any, Body]]:
        """Ask every node, for `timeout_s`: (the final reply or an S4Error, body) of each that has
        answered by then. What is not answered is given up."""
        answers: dict[str, tuple[Any, Body]] = {}

        def note(node: str) -> Callable[[Any, Body], None]:
            return lambda reply, body: answers.update({node: (reply, body)})

        asked = {node: self.courier.request(node, message, note(node)) for node in self.roster.nodes}
        until = time.monotonic() + timeout_s
        while len(answers) < len(self.roster.nodes) and time.monotonic() < until:
            self.courier.step(until - time.monotonic())
        for node in asked.keys() - answers.keys():
            self.courier.give_up(node, asked[node])
        return answers

    def stats(self) -> dict[str, dict[str, int]]:
        """What each node is holding. Raises NodeUnreachable."""
        return {node: reply.counts for node, reply in self.courier.ask_all(wire.Stats()).items()}

    # -- listing

    def list_keys(self, prefix: str, *, recursive: bool) -> Iterator[Row]:
        """Keys that start with the text `prefix`, of all nodes, sorted by path as bytes."""
        import heapq

        listings = [NodeListing(self, node, prefix, recursive) for node in self.roster.nodes]
        before = ""
        for row in heapq.merge(*listings):
            if row[0] != before:  # a folder may stand on several nodes
                yield row
            before = row[0]

    def holds_any(self, prefix: str) -> bool:
        """Whether a key starts with the text `prefix`."""
        pages = self.courier.ask_all(wire.List(prefix, True, 1))
        return any(page.entries for page in pages.values())

    def missing(self, error: KeyNotFound, key: Key, remedy: str) -> KeyNotFound:
        """`error`, with a remedy where a node that answers soon has keys below it: a folder was meant."""
        answers = self.glance(wire.List(f"{key.path}/", True, 1), _HINT_S)
        if any(isinstance(reply, wire.Page) and reply.entries for reply, _ in answers.values()):
            return KeyNotFound(f"no such key: {key}; it is a folder: {remedy}", **error.details)
        return error

    def look(self, key: Key) -> Value:
        """What `key` holds now. Raises KeyNotFound, or ChecksumMismatch where its file has another size."""
        node = self.owner(key)
        reply, _ = self.courier.ask(node, wire.Get([str(key)], False))
        for row in reply.failures:
            raise error_of(row)
        size, digest, _, made_ns = reply.entries[0]
        return Value(key, node, size, digest, made_ns)

    # -- removing

    def delete(self, key: Key) -> None:
        """Raises KeyNotFound."""
        reply, _ = self.courier.ask(self.owner(key), wire.Delete([str(key)]), resend=False)
        for row in reply.failures:
            raise error_of(row)

    def delete_below(self, prefix: str, hear: Callable[[str, int], object] | None = None) -> int:
        """Remove every key that starts with the text `prefix`; how many there were. `hear` gets (node, keys
        removed so far) now and then, and at the end."""

        def on_reply(node: str, reply: Any) -> None:
            if hear and not isinstance(reply, S4Error):
                hear(node, reply.removed)

        requests = {node: wire.DeleteBelow(prefix) for node in self.roster.nodes}
        replies = self.courier.ask_each(requests, hear=on_reply)
        return sum(reply.removed for reply, _ in replies.values())

    # -- eval

    def eval(self, key: Key, command: str, write: Callable[[int, Body], None]) -> int:
        """Run a command beside a key; its exit status. `write(1 or 2, bytes)` gets its output."""
        node = self.owner(key)
        ended: list[Any] = []
        self.holds_work()

        def on_reply(reply: Any, body: Body) -> None:
            if isinstance(reply, wire.Output):
                write(reply.stream, body)
                self.courier.tell(node, wire.Allow(request_id, 1))
            else:
                ended.append(reply)

        request_id = self.courier.request(
            node, wire.Eval(str(key), command, EVAL_WINDOW), on_reply, resend=False
        )
        self.courier.run_until(lambda: bool(ended))
        if isinstance(ended[0], S4Error):
            raise ended[0]
        return int(ended[0].status)


class NodeListing:
    """One node's part of a listing: a page in hand, the next one on its way."""

    def __init__(self, client: Session, node: str, prefix: str, recursive: bool) -> None:
        self._client = client
        self._courier = client.courier
        self._node = node
        self._pages: list[Any] = []
        self._number = 0
        self._ask(wire.List(prefix, recursive), resend=True)

    def _ask(self, message: Any, *, resend: bool) -> None:
        self._courier.request(self._node, message, self._on_page, resend=resend)

    def _on_page(self, reply: Any, _: Body) -> None:
        self._pages.append(reply)
        if isinstance(reply, wire.Page) and reply.cursor:
            self._client.holds_work()

    def __iter__(self) -> Iterator[Row]:
        while True:
            self._courier.run_until(lambda: bool(self._pages))
            page = self._pages.pop(0)
            if isinstance(page, S4Error):
                raise page
            if page.cursor:
                self._number += 1
                self._ask(wire.More(page.cursor, self._number), resend=False)
            yield from map(tuple, page.entries)
            if not page.cursor:
                return


def raise_first(errors: Sequence[S4Error]) -> None:
    """Raise the first of several errors, if there is one; unreachable nodes come last, as they
    often follow from it."""
    ordered = sorted(errors, key=lambda error: isinstance(error, NodeUnreachable))
    if ordered:
        raise ordered[0]


def nothing_below(what: object) -> KeyNotFound:
    """The error for a folder or glob that selects no key."""
    return KeyNotFound(f"no key in {what}: is its name right? `s4 ls` shows what is there")


def _discard_from(left: set[str], node: str) -> Callable[[Any, Body], None]:
    return lambda reply, body: left.discard(node)
