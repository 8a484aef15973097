"""Rooms of several nodes in one process: what one asks of its peers, their rooms answer at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from s4zmq import wire
from s4zmq.courier import unreachable
from s4zmq.errors import S4Error
from s4zmq.fates import Resolver
from s4zmq.shipment import Dock
from s4zmq.shuffle import Shuffle, _Job
from s4zmq.store import Store

from .helpers import NODE, Letters, Rooms

PEER = "127.0.0.1:7001"


class Street(Shuffle):
    """The way from one node to its peers, on which messages of a kind may come to grief."""

    def __init__(self, node: str, resolver: Resolver) -> None:
        super().__init__(cast(Any, None), node, resolver)
        self.peers: dict[str, Neighbour] = {}
        self.posted: list[tuple[str, Any]] = []
        """What was asked of whom."""
        self.cut: set[type] = set()
        """Kinds that do not get to a peer: it is unreachable."""
        self.lost: set[type] = set()
        """Kinds that get there, but not their replies."""
        self.mute: set[type] = set()
        """Kinds that are never answered."""

    def post(self, job: _Job) -> None:
        kind = type(job.message)
        self.posted.append((job.node, job.message))
        if kind in self.mute:
            return
        reply: Any = unreachable(job.node, self.node)
        if kind not in self.cut:
            answer = self.peers[job.node].answer(job.message, bytes(job.body))
            reply = reply if kind in self.lost else answer
        job.on_end(reply)

    def kinds(self) -> list[str]:
        """The kinds of what was asked, in order."""
        return [wire.OPS[type(message)] for _, message in self.posted]


class Neighbour(Rooms):
    """The rooms of one node of several."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, (NODE, PEER))
        self.node = store.node
        self.shuffle._inbox.close()
        self.resolver = Resolver(self.node, self.in_doubt, self.fates, self.staging)
        self.shuffle = self.street = Street(self.node, self.resolver)
        self.dock = Dock(self.street, self.staging, self.fates)
        self.shop = self.shop._replace(node=self.node, dock=self.dock)
        self._is_closed = False

    def answer(self, message: Any, body: bytes = b"") -> Any:
        """The reply to a request of a peer, or the error."""
        handlers: dict[type, Callable[..., None]] = {
            wire.Offer: self.staging.on_offer,
            wire.Commit: self.staging.on_commit,
            wire.Abort: self.staging.on_abort,
            wire.Settle: self.staging.on_settle,
            wire.Fates: self.fates.on_fates,
            wire.Census: self.outputs.on_census,
            wire.Clear: self.outputs.on_clear,
        }
        letters = Letters()
        try:
            handlers[type(message)](message, body, letters.caller())
        except S4Error as error:
            return error
        [letter] = letters
        return letter.message

    def visible(self, folder: str = "") -> dict[str, bytes]:
        """Every key below `folder`, with its value, by its path there."""
        root = Path(self.store.keys_path, folder)
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def restarted(self) -> Neighbour:
        """The node after a kill: what is on its disk, and nothing else."""
        self.close()
        later = Neighbour(Store(self.store.root, self.node))
        connect(later, *self.street.peers.values())
        return later

    def close(self) -> None:
        """May be repeated."""
        if not self._is_closed:
            self._is_closed = True
            super().close()


def connect(*nodes: Neighbour) -> None:
    """Let them know each other as peers."""
    for node in nodes:
        node.street.peers = {other.node: other for other in nodes if other is not node}
