"""All nodes read their keys anew, and what they found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import wire
from .amounts import Counts, Share, sum_of
from .answers import Verified
from .codec import Body
from .errors import ChecksumMismatch, KeyNotFound, S4Error
from .keys import SCHEME, parse_prefix
from .progress import Progress
from .session import Session
from .totals import Totals
from .units import show_bytes, show_count


def verify(client: Session, prefix: str | None, progress: Progress) -> str:
    """What was found good, in a line; `progress` ends before more is said. Names each damaged key on
    stderr, and raises where there is one, where a node does not answer, and where no key starts with
    `prefix`."""
    with progress:
        found = look(client, parse_prefix(prefix or SCHEME), progress)
    for text in found.damages:
        print(f"s4: {text}", file=sys.stderr)
    amount = f"{show_count(found.keys, 'key')}, {show_bytes(found.bytes)}"
    if found.damaged:
        named = len(found.damages)
        unnamed = f", of which {named} are named" if found.damaged > named else ""
        raise ChecksumMismatch(f"{amount}: {show_count(found.damaged, 'key')} damaged{unnamed}")
    return f"{amount}: every checksum is right"


def look(client: Session, start: str, progress: Progress) -> Verified:
    """What stands in the keys that start with `start`, as `keys.parse_prefix` gives it. Raises where a node
    does not answer, and KeyNotFound where there is no such key."""
    done = _ask_all(client, wire.Verify(start), progress)
    if start and not any(reply.keys for reply in done):
        raise KeyNotFound(f"no key starts with {SCHEME}{start}: is it right? `s4 ls` shows what is there")
    return Verified(
        sum(reply.keys for reply in done),
        sum(reply.bytes for reply in done),
        sum(reply.damaged for reply in done),
        sorted(row[2] for reply in done for row in reply.failures),
    )


def _ask_all(client: Session, request: wire.Verify, progress: Progress) -> list[wire.VerifyDone]:
    """The final replies. Raises the first error at once: the other nodes may be at it for hours."""
    counts = dict.fromkeys(client.roster.nodes, Counts())
    done: list[wire.VerifyDone] = []
    errors: list[S4Error] = []

    def on_reply_from(node: str) -> Callable[[Any, Body], None]:
        def on_reply(reply: Any, _: Body) -> None:
            if isinstance(reply, S4Error):
                errors.append(reply)
                return
            counts[node] = Counts(reply.keys, reply.bytes, reply.damaged)
            if isinstance(reply, wire.VerifyDone):
                done.append(reply)

        return on_reply

    client.holds_work()
    totals = Totals(client, request.prefix)
    progress.follow(
        client.courier,
        lambda: sum_of(counts.values()),
        totals.all,
        lambda: [Share(node, part, totals.of(node)) for node, part in counts.items()],
    )
    for node in client.roster.nodes:
        client.courier.request(node, request, on_reply_from(node))
    client.courier.run_until(lambda: bool(errors) or len(done) == len(client.roster.nodes))
    if errors:
        raise errors[0]
    return done
