"""Tasks of map-to-n that have made outputs visible here and whose fate this node does not know yet.

    DIR/indoubt    a journal: a line when a task begins to commit here, another when its fate is known

A task is in doubt from its first visible output until its sender has said that it is done on all
nodes, or undone. A node that was killed in between finds it here, and asks the sender. Nothing here
touches keys or sockets.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .journal import Journal

log = logging.getLogger(__name__)

_COMPACT_BYTES = 1 << 20
_BEGIN, _END = "begin", "end"


class Doubt(NamedTuple):
    """A task that has begun to commit here."""

    task: bytes
    """The writer of its outputs."""

    sender: str
    """The node that decides."""

    recipe: bytes
    """Fingerprint of its job's recipe."""

    folder: str
    """Path of the folder that all of its outputs are in, with its slash."""


class InDoubt:
    """The tasks in doubt on one node. Safe to call from several threads."""

    def __init__(self, root: Path) -> None:
        """Reads what an earlier process has left. `root` is the data folder. Raises OSError."""
        self._journal = Journal(root / "indoubt")
        self._lock = threading.Lock()
        self._doubts: dict[bytes, Doubt] = {}
        for line in self._journal.lines():
            self._replay(line)
        with suppress(OSError):  # a full disk: it stays as long as it is
            self._compact()

    def _replay(self, line: str) -> None:
        what, task, *fields = line.split("\t")
        if what == _BEGIN and len(fields) == 3:
            sender, recipe, folder = fields
            self._doubts[bytes.fromhex(task)] = Doubt(
                bytes.fromhex(task), sender, bytes.fromhex(recipe), folder
            )
        elif what == _END:
            self._doubts.pop(bytes.fromhex(task), None)

    def __len__(self) -> int:
        return len(self._doubts)

    def begin(self, doubt: Doubt) -> None:
        """Before the first output of a task becomes visible. Raises OSError: then none may."""
        with self._lock:
            if doubt.task not in self._doubts:
                self._journal.append(_line(doubt))
                self._doubts[doubt.task] = doubt

    def end(self, task: bytes) -> None:
        """The fate of a task is known, and done here."""
        with self._lock:
            if self._doubts.pop(task, None) is None:
                return
            try:
                self._journal.append("\t".join((_END, task.hex())))
                self._compact()
            except OSError as exc:  # a full disk: after a restart the sender is asked again
                log.warning("the end of a task could not be noted: %s", exc)

    def of(self, task: bytes) -> Doubt | None:
        """The task, where it is in doubt."""
        return self._doubts.get(task)

    def all(self) -> list[Doubt]:
        """All that are in doubt now."""
        with self._lock:
            return list(self._doubts.values())

    def close(self) -> None:
        """Give the descriptor back; what is in doubt stays on the disk."""
        self._journal.close()

    def _compact(self) -> None:
        if self._journal.size > _COMPACT_BYTES + len(self._doubts) * 1024:
            self._journal.replace(map(_line, self._doubts.values()))


def _line(doubt: Doubt) -> str:
    return "\t".join((_BEGIN, doubt.task.hex(), doubt.sender, doubt.recipe.hex(), doubt.folder))
