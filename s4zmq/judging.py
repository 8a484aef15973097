"""Are the outputs of an item there, and whose are they? For outputs that are on this node.

What map-to-n has made is on many nodes: see `survey`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from .counting import Candidate, Verdict
from .keys import Folder, Key
from .recipes import FINGERPRINT_BYTES, MARK_BYTES
from .store import Store


class FreshJudge:
    """Of a run that finishes no other: whatever is there is in the way."""

    def __init__(self, store: Store, outdir: Folder) -> None:
        self._store = store
        self._outdir = outdir

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[Verdict]:
        return [self._judge(self._outdir.key(candidate.label)) for candidate in candidates]

    def _judge(self, output: Key) -> Verdict:
        return Verdict(conflict=str(output)) if self._store.exists(output) else Verdict()


class ResumeJudge:
    """Of a run that finishes an earlier one of the same recipe."""

    def __init__(self, store: Store, outdir: Folder, recipe: bytes) -> None:
        """`recipe` is its fingerprint."""
        self._store = store
        self._outdir = outdir
        self._recipe = recipe

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[Verdict]:
        return [self._judge(self._outdir.key(candidate.label), candidate.mark) for candidate in candidates]

    def _judge(self, output: Key, mark: bytes) -> Verdict:
        stamp = self._store.stamp_of(output.path)
        if stamp is None:
            return Verdict(conflict=str(output)) if self._store.exists(output) else Verdict()
        if stamp.origin[:FINGERPRINT_BYTES] != self._recipe:
            return Verdict(conflict=str(output))
        is_whole = os.path.getsize(self._store.path_of(output)) == stamp.size
        is_complete = is_whole and stamp.origin[-MARK_BYTES:] == mark
        return Verdict(is_complete=is_complete, is_stale=not is_complete)
