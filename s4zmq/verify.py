"""`s4 verify`: all nodes read their keys anew, and what they found is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import wire
from .amounts import Counts, Share, sum_of
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
    start = parse_prefix(prefix or SCHEME)
    with progress:
        done = _ask_all(client, wire.Verify(start), progress)
    rows = sorted(row[2] for reply in done for row in reply.failures)
    for text in rows:
        print(f"s4: {text}", file=sys.stderr)
    keys, damaged = sum(reply.keys for reply in done), sum(reply.damaged for reply in done)
    amount = f"{show_count(keys, 'key')}, {show_bytes(sum(reply.bytes for reply in done))}"
    if damaged:
        unnamed = f", of which {len(rows)} are named" if damaged > len(rows) else ""
        raise ChecksumMismatch(f"{amount}: {show_count(damaged, 'key')} damaged{unnamed}")
    if start and not keys:
        raise KeyNotFound(f"no key starts with {prefix}: is it right? `s4 ls` shows what is there")
    return f"{amount}: every checksum is right"


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
