"""What is in a folder of outputs on this node, and whose it is; and removing what a job left there.

All outputs of one input of a map-to-n are keys directly in one folder, `OUTDIR/<path of the input>/`,
on any number of nodes. Runs on the node's disk threads; knows no peers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from . import wire
from .caller import Caller
from .codec import Body
from .errors import ProtocolError
from .keys import Key, parse_indir
from .limits import BATCH_MAX_KEYS
from .listing import paths_below
from .recipes import FINGERPRINT_BYTES
from .store import Stamp, Store


class Outputs:
    """Requests of peers about folders of outputs on this node."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def on_census(self, request: wire.Census, body: Body, caller: Caller) -> None:
        """Whose keys are in these folders?"""
        caller.answer(wire.CensusReply(self.census(request)))

    def census(self, request: wire.Census) -> list[tuple[int, int, str]]:
        """As on the wire; for this node itself."""
        _require_few(len(request.folders))
        return [
            self._count(parse_indir(folder).path, task, request.recipe) for folder, task in request.folders
        ]

    def _count(self, folder: str, task: bytes, recipe: bytes) -> tuple[int, int, str]:
        """(outputs of the task, others of the recipe, a key that is neither or "")."""
        of_task = of_recipe = 0
        for path in paths_below(self._store, folder):
            stamp = self._store.stamp_of(path)
            if stamp is None or stamp.origin[:FINGERPRINT_BYTES] != recipe:
                return of_task, of_recipe, f"s4://{path}"
            if "/" not in path[len(folder) :]:  # what is deeper belongs to another input
                of_task += stamp.writer == task
                of_recipe += stamp.writer != task
        return of_task, of_recipe, ""

    def on_clear(self, request: wire.Clear, body: Body, caller: Caller) -> None:
        """Remove what a run has left in these folders."""
        self.clear(request)
        caller.answer(wire.Ok())

    def clear(self, request: wire.Clear) -> None:
        """As on the wire; for this node itself."""
        _require_few(len(request.folders))
        for folder in request.folders:
            path = parse_indir(folder).path
            for key, stamp in self._directly_in(path):
                if stamp.origin[:FINGERPRINT_BYTES] == request.recipe:
                    self._store.unlink(key)
            self._prune(path)

    def undo(self, folder: str, task: bytes) -> None:
        """Remove the outputs of one task; none is fine. `folder` is a path with its slash."""
        for key, stamp in self._directly_in(folder):
            if stamp.writer == task:
                self._store.unlink(key)
        self._prune(folder)

    def _directly_in(self, folder: str) -> Iterator[tuple[Key, Stamp]]:
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(f"{self._store.keys_path}/{folder}"):
                stamp = self._store.stamp_of(folder + name)
                if stamp:
                    yield Key(folder + name), stamp

    def _prune(self, folder: str) -> None:
        self._store.prune(f"{self._store.keys_path}/{folder}")


def _require_few(folders: int) -> None:
    if folders > BATCH_MAX_KEYS:
        raise ProtocolError(f"more than {BATCH_MAX_KEYS} folders")
