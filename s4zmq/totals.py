"""How much there is below a prefix, for work that does not know it: asked of the nodes while the work goes
on, and only when somebody wants to see it, so that short work never asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import wire
from .amounts import Counts, sum_of
from .codec import Body
from .session import Session


class Totals:
    """Keys and bytes on each node. What a node does not tell is not known."""

    def __init__(self, client: Session, prefix: str) -> None:
        """`prefix` is text of bucket/dir/name, or empty."""
        self._client = client
        self._prefix = prefix
        self._is_asked = False
        self._told: dict[str, Counts] = {}

    def of(self, node: str) -> Counts | None:
        """Of one node, where it has answered."""
        return self._told.get(node)

    def all(self) -> Counts | None:
        """Of all nodes, once all have answered. Asks them the first time; does not wait."""
        nodes = self._client.roster.nodes
        if not self._is_asked:
            self._is_asked = True
            self._client.holds_work()
            for node in nodes:
                self._client.courier.request(node, wire.Usage(self._prefix), self._on_reply_from(node))
        return sum_of(self._told.values()) if len(self._told) == len(nodes) else None

    def _on_reply_from(self, node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, wire.UsageReply):
                self._told[node] = Counts(reply.keys, reply.bytes)

        return on_reply
