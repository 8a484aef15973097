"""What runs have done on this node, kept over a restart: for `--resume`, and for a peer in doubt.

    DIR/runs/FINGERPRINT    a journal: its first line is the recipe, then a line for each input of a
                            map-to-n that is done

Outputs of map and map-from-n carry their origin and need no line. An input of a map-to-n is done
when all of its outputs are visible on all nodes, and its line is what decides that: before it,
whoever is in doubt undoes the task, after it nobody does. `rm -r` of an output folder forgets the
runs into it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .errors import RequestError
from .journal import Journal, read_lines
from .placement import Roster
from .recipes import Recipe
from .sorting import sorted_lines

log = logging.getLogger(__name__)

_DONE, _REMOVED = "done", "removed"


class Done(NamedTuple):
    """One input of a map-to-n, and where its outputs went."""

    label: str
    """Its path below the folder of the inputs."""

    mark: bytes
    task: bytes
    """The writer of its outputs."""

    outputs: Mapping[str, int]
    """How many are on each node that has any."""


class Ledger:
    """The runs of one node. Safe to call from several threads."""

    def __init__(self, root: Path, roster: Roster) -> None:
        """Reads what an earlier process has left. `root` is the data folder."""
        self._folder = root / "runs"
        self._folder.mkdir(exist_ok=True)
        self._nodes = roster.nodes
        self._tmp = str(root / "tmp")
        self._lock = threading.Lock()
        self._recipes: dict[bytes, Recipe] = {}
        self._open: dict[bytes, Journal] = {}
        for path in self._folder.iterdir():
            self._load(path)

    def _load(self, path: Path) -> None:
        with suppress(ValueError):
            recipe = Recipe.unpack(next(read_lines(path), ""))
            if path == self._path(recipe.fingerprint):
                self._recipes[recipe.fingerprint] = recipe
                return
        log.warning("%s is no run of this node and is removed", path)
        path.unlink()

    def _path(self, fingerprint: bytes) -> Path:
        return self._folder / fingerprint.hex()

    # -- runs

    def knows(self, fingerprint: bytes) -> bool:
        """Whether a run of this recipe was begun here and not forgotten."""
        return fingerprint in self._recipes

    def refuse_others(self, recipe: Recipe) -> None:
        """Raises RequestError where all earlier runs into its folder were of other recipes."""
        earlier = [other for other in list(self._recipes.values()) if other.outdir == recipe.outdir]
        if earlier and recipe not in earlier:
            how = recipe.differences(earlier[-1])
            raise RequestError(
                f"the run into {recipe.outdir} that --resume would finish {how}: say the same again, or"
                f" `s4 rm -r {recipe.outdir}` and run it without --resume"
            )

    def begin(self, recipe: Recipe, *, resume: bool) -> None:
        """A run starts. Unless it resumes one, what an earlier run of the recipe had done is forgotten.

        Raises OSError.
        """
        with self._lock:
            fingerprint = recipe.fingerprint
            self._close(fingerprint)
            if not (resume and fingerprint in self._recipes):
                with suppress(FileNotFoundError):
                    os.unlink(self._path(fingerprint))
            journal = Journal(self._path(fingerprint))
            self._open[fingerprint] = journal
            if not journal.size:
                journal.append(recipe.pack())
            self._recipes.pop(fingerprint, None)  # the latest run is the last one in the table
            self._recipes[fingerprint] = recipe

    def end(self, fingerprint: bytes) -> None:
        """The run has ended, however."""
        with self._lock:
            self._close(fingerprint)

    def _close(self, fingerprint: bytes) -> None:
        journal = self._open.pop(fingerprint, None)
        if journal:
            journal.close()

    def forget(self, prefix: str) -> None:
        """All keys that start with the text `prefix` of a path have been removed: so has been what
        was done there."""
        with self._lock:
            for fingerprint, recipe in list(self._recipes.items()):
                outdir = recipe.outdir.removeprefix("s4://")
                if outdir.startswith(prefix):
                    self._drop(fingerprint)
                elif prefix.startswith(outdir) and recipe.kind == "map-to-n":
                    self._note_removal(fingerprint, prefix.removeprefix(outdir))

    def _note_removal(self, fingerprint: bytes, below: str) -> None:
        """Only inputs without outputs need it: the others are missed when they are counted."""
        try:
            self._append(fingerprint, "\t".join((_REMOVED, below)))
        except OSError as exc:  # a full disk: the keys are gone all the same
            log.warning("a removal could not be noted: %s", exc)

    def _drop(self, fingerprint: bytes) -> None:
        del self._recipes[fingerprint]
        with suppress(FileNotFoundError):
            os.unlink(self._path(fingerprint))

    # -- inputs of a map-to-n

    def note(self, fingerprint: bytes, done: Done) -> None:
        """An input is done. Raises OSError, and then it is not."""
        places = ",".join(f"{self._nodes.index(node)}:{count}" for node, count in done.outputs.items())
        line = "\t".join((_DONE, done.label, done.mark.hex(), done.task.hex(), places))
        with self._lock:
            self._append(fingerprint, line)

    def _append(self, fingerprint: bytes, line: str) -> None:
        journal = self._open.get(fingerprint)
        if journal:
            journal.append(line)
            return
        journal = Journal(self._path(fingerprint))
        try:
            journal.append(line)
        finally:
            journal.close()

    def has(self, fingerprint: bytes, tasks: set[bytes]) -> set[bytes]:
        """Those of the tasks that have brought an input to its end."""
        found = set()
        for line in read_lines(self._path(fingerprint)):
            what, *fields = line.split("\t")
            if what == _DONE and bytes.fromhex(fields[2]) in tasks:
                found.add(bytes.fromhex(fields[2]))
        return found

    def done(self, fingerprint: bytes) -> Iterator[Done]:
        """The inputs that are done, sorted by label; of each the last time."""
        last: Done | None = None
        for line in sorted_lines(self._numbered(fingerprint), self._tmp):
            label, _, mark, task, places = line.split("\t")
            if last and last.label != label:
                yield last
            last = Done(label, bytes.fromhex(mark), bytes.fromhex(task), self._outputs(places))
        if last:
            yield last

    def _numbered(self, fingerprint: bytes) -> Iterator[str]:
        """A line for each input that is done, in such a form that sorting puts its last time last."""
        removed = self._removed(fingerprint)
        for number, line in enumerate(read_lines(self._path(fingerprint))):
            what, *fields = line.split("\t")
            if what == _DONE and not any(
                number < until and f"{fields[0]}/".startswith(prefix) for until, prefix in removed
            ):
                yield "\t".join((fields[0], f"{number:012}", *fields[1:]))

    def _removed(self, fingerprint: bytes) -> list[tuple[int, str]]:
        """(number of the line, prefix below the output folder) of each removal inside it."""
        lines = enumerate(read_lines(self._path(fingerprint)))
        split = ((number, line.split("\t")) for number, line in lines if line.startswith(_REMOVED))
        return [(number, fields[1]) for number, fields in split]

    def _outputs(self, places: str) -> dict[str, int]:
        pairs = (place.split(":") for place in places.split(",") if place)
        return {self._nodes[int(index)]: int(count) for index, count in pairs}
