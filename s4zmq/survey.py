"""Are the outputs of an input of a map-to-n there, and whose are they? All nodes are asked.

An input is done where this node's ledger says so, and each node still has as many outputs of that
task as the ledger says, and no others. Runs in a thread of a job's own, which waits for the peers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from . import wire
from .counting import JUDGED_AT_ONCE, Candidate, Verdict
from .keys import Folder
from .ledger import Done
from .recipes import NO_RECIPE
from .shell import Switch
from .shuffle import Errand
from .tasks import Workshop

_NO_TASK = bytes(16)
_Rows = Sequence[tuple[int, int, str]]


class Survey:
    """The judge of a map-to-n."""

    def __init__(self, shop: Workshop, outdir: Folder, recipe: bytes, cancel: Switch) -> None:
        """`recipe` is the fingerprint of the run that is resumed, or NO_RECIPE: then any key is in
        the way."""
        self._shop = shop
        self._outdir = outdir
        self._recipe = recipe
        self._cancel = cancel
        self._done = _Sorted(shop.ledger.done(recipe) if recipe != NO_RECIPE else ())
        self._is_empty = self._nothing_there()

    def _nothing_there(self) -> bool:
        """Whether no node has any key below OUTDIR: then there is no need to ask for each input."""
        replies = self._ask(NO_RECIPE, [(str(self._outdir), _NO_TASK)])
        return not any(foreign for ((_, _, foreign),) in replies.values())

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[Verdict]:
        """Raises NodeUnreachable, and Cancelled where the job ends meanwhile."""
        done = [self._done.find(candidate.label) for candidate in candidates]
        folders = [
            (f"{self._outdir}{candidate.label}/", found.task if found else _NO_TASK)
            for candidate, found in zip(candidates, done, strict=True)
        ]
        none: _Rows = [(0, 0, "")] * len(folders)
        answers = {node: none for node in self._shop.roster.nodes}
        if not self._is_empty:
            answers = self._ask(self._recipe, folders)
        columns = zip(candidates, done, *answers.values(), strict=True)
        return [_verdict(c, found, dict(zip(answers, rows, strict=True))) for c, found, *rows in columns]

    def _ask(self, recipe: bytes, folders: list[tuple[str, bytes]]) -> dict[str, _Rows]:
        """The answer of every node, in the order of the roster."""
        request = wire.Census(recipe, folders)
        replies: dict[str, _Rows] = {}
        errand = Errand(self._shop.dock.shuffle, self._cancel)
        for node in self._shop.roster.nodes:
            if node != self._shop.node:
                errand.post(node, request, take=_taking(replies, node))
        replies[self._shop.node] = self._shop.outputs.census(request)
        errand.wait()
        return {node: replies[node] for node in self._shop.roster.nodes}


def _taking(replies: dict[str, _Rows], node: str) -> Any:
    return lambda reply: replies.update({node: reply.folders})


def _verdict(candidate: Candidate, done: Done | None, rows: dict[str, tuple[int, int, str]]) -> Verdict:
    conflicts = [foreign for _, _, foreign in rows.values() if foreign]
    if conflicts:
        return Verdict(conflict=min(conflicts))
    found = Counter({node: of_task for node, (of_task, _, _) in rows.items()})
    others = sum(of_recipe for _, of_recipe, _ in rows.values())
    is_complete = bool(
        done and done.mark == candidate.mark and not others and +found == Counter(done.outputs)
    )
    return Verdict(is_complete=is_complete, is_stale=not is_complete and bool(others or +found))


def clear(shop: Workshop, recipe: bytes, folders: Iterable[str], cancel: Switch) -> None:
    """Remove on every node what runs of the recipe have left in these folders. Raises NodeUnreachable."""
    left = iter(folders)
    while some := list(islice(left, JUDGED_AT_ONCE)):
        request = wire.Clear(recipe, some)
        errand = Errand(shop.dock.shuffle, cancel)
        for node in shop.roster.nodes:
            if node != shop.node:
                errand.post(node, request)
        shop.outputs.clear(request)
        errand.wait()


class _Sorted:
    """Finds what was done by its label; labels are asked for in their order."""

    def __init__(self, done: Iterable[Done]) -> None:
        self._left: Iterator[Done] = iter(done)
        self._next = next(self._left, None)

    def find(self, label: str) -> Done | None:
        """None where it was not done."""
        while self._next and self._next.label < label:
            self._next = next(self._left, None)
        return self._next if self._next and self._next.label == label else None
