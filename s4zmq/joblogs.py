"""What failed attempts of a job have written to stderr, on the node's disk: one file for each job.

The first LOGS_PER_JOB attempts, and of each what `watching.Tail` has kept, LOG_BYTES_PER_JOB together.
What is left out is counted. A job without failures has no file. `history` says when a file may go.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .journal import Journal, read_lines
from .limits import LOG_BYTES_PER_JOB, LOGS_PER_JOB

log = logging.getLogger(__name__)

_OMITTED = "omitted"


class Entry(NamedTuple):
    """One failed attempt."""

    key: str
    """Full text of the input, or of a merge the output."""

    attempt: int
    """From 1."""

    status: int
    """Exit status of the command; 0 where it was none that failed."""

    ended_ns: int
    text: str
    """What happened, one line."""

    stderr: bytes
    cut: int
    """Bytes that were written before these and are not kept."""

    def pack(self) -> str:
        """A line."""
        return json.dumps([*self[:5], base64.b64encode(self.stderr).decode(), self.cut])

    @classmethod
    def unpack(cls, fields: Sequence[Any]) -> Entry:
        """What `pack` gave, after json. Raises ValueError or TypeError."""
        key, attempt, status, ended_ns, text, stderr, cut = fields
        return cls(key, attempt, status, ended_ns, text, base64.b64decode(stderr), cut)


class _Open:
    """The log of a job that runs."""

    def __init__(self) -> None:
        self.journal: Journal | None = None
        self.count = self.bytes = self.omitted = 0


class JobLogs:
    """The logs of one node. Safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """`folder` is there."""
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[bytes, _Open] = {}

    def _path(self, job: bytes) -> Path:
        return self._folder / job.hex()

    def sweep(self, keep: Container[bytes]) -> None:
        """At the start: remove the logs of jobs that are not known any more."""
        for path in self._folder.iterdir():
            with suppress(ValueError, OSError):
                if bytes.fromhex(path.name) not in keep:
                    path.unlink()

    def note(self, job: bytes, entry: Entry) -> None:
        """An attempt has failed. Where the disk is full that is counted, and no more."""
        with self._lock:
            found = self._open.setdefault(job, _Open())
            if found.count >= LOGS_PER_JOB:
                found.omitted += 1
                return
            kept = entry.stderr[max(0, len(entry.stderr) - (LOG_BYTES_PER_JOB - found.bytes)) :]
            cut = entry.cut + len(entry.stderr) - len(kept)
            try:
                found.journal = found.journal or Journal(self._path(job))
                found.journal.append(entry._replace(stderr=kept, cut=cut).pack())
            except OSError as exc:
                log.warning("the stderr of a failed command can not be kept: %s", exc)
                found.omitted += 1
            else:
                found.count += 1
                found.bytes += len(kept)

    def end(self, job: bytes) -> None:
        """The job has ended."""
        with self._lock:
            found = self._open.pop(job, None)
            if found and found.journal:
                if found.omitted:
                    with suppress(OSError):
                        found.journal.append(json.dumps([_OMITTED, found.omitted]))
                found.journal.close()

    def drop(self, job: bytes) -> None:
        """Forget it."""
        with suppress(OSError):
            os.unlink(self._path(job))

    def read(self, job: bytes, key: str) -> tuple[list[Entry], int]:
        """(the attempts on `key`, or with "" all, in the order of their ends; how many of the job were left
        out). Nothing for a job without failures. Raises OSError."""
        with self._lock:
            found = self._open.get(job)
            omitted = found.omitted if found else 0
        entries = []
        for fields in self._lines(job):
            if fields[0] == _OMITTED:
                omitted = int(str(fields[1]))
            elif key in ("", fields[0]):
                entries.append(Entry.unpack(fields))
        return entries, omitted

    def _lines(self, job: bytes) -> Iterator[Sequence[Any]]:
        for line in read_lines(self._path(job)):
            with suppress(ValueError):
                fields = json.loads(line)
                if isinstance(fields, list) and len(fields) in (2, 7):
                    yield fields
