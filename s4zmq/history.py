"""The jobs that have ended on this node, the last JOBS_KEPT of them; kept over a restart.

    DIR/history/jobs       a journal: a line when a job begins, and one when it has ended
    DIR/history/JOB        what its failed attempts wrote to stderr, see `joblogs`

A job that has begun and not ended when the node starts was cut short by a kill: it has failed. What is
asked for comes from memory, so that it may be asked for by the thread that must not touch the disk.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .joblogs import JobLogs
from .journal import Journal, read_lines
from .limits import JOBS_KEPT

log = logging.getLogger(__name__)

_LINES_PER_JOB = 8
"""A journal of more lines than this, times the jobs that are kept, is written anew."""


class Record(NamedTuple):
    """One job on this node, as `wireviews.JobRow` has it."""

    job: bytes
    verb: str
    inputs: str
    outdir: str
    command: str
    """Its first line."""

    state: str
    """running, done, failed, cancelled by another client, or stopped as its own client did that."""

    commands: int
    """To be run."""

    done: int
    failed: int
    bytes: int
    """Of the inputs that are done."""

    started_ns: int
    """Since 1970."""

    seconds: float
    """That it has taken so far, or in all."""

    def pack(self) -> str:
        """A line."""
        return json.dumps([self.job.hex(), *self[1:]])

    @classmethod
    def unpack(cls, line: str) -> Record:
        """What `pack` gave. Raises ValueError or TypeError."""
        job, *rest = json.loads(line)
        return cls(bytes.fromhex(job), *rest)


class History:
    """The jobs of one node that have ended. Safe to call from several threads."""

    def __init__(self, root: Path) -> None:
        """Reads what an earlier process has left. `root` is the data folder. Raises OSError."""
        folder = root / "history"
        folder.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._records: dict[bytes, Record] = {}
        """Those that have ended, the last one last."""
        self.ended: Counter[str] = Counter()
        """How many have ended since the start of the node, by state."""
        found = _read(folder / "jobs")
        self._records = {record.job: record for record in found[-JOBS_KEPT:]}
        self.logs = JobLogs(folder)
        self.logs.sweep(keep={*self._records})
        self._journal = Journal(folder / "jobs")
        self._lines = 0
        self._rewrite()

    def begin(self, record: Record) -> None:
        """A job starts. That it can not be noted is no reason not to run it."""
        self._write(record)

    def end(self, record: Record) -> None:
        """A job has ended; so has its log. The oldest one is forgotten for it."""
        self.logs.end(record.job)
        self._write(record)
        with self._lock:
            self.ended[record.state] += 1
            self._records[record.job] = record
            surplus = list(self._records)[:-JOBS_KEPT]
            for job in surplus:
                del self._records[job]
        for job in surplus:
            self.logs.drop(job)

    def find(self, job: bytes) -> Record | None:
        """How a job has ended, where that is known."""
        return self._records.get(job)

    def newest_first(self) -> Sequence[Record]:
        """All that are kept."""
        with self._lock:
            return list(self._records.values())[::-1]

    def _write(self, record: Record) -> None:
        try:
            with self._writing:
                self._journal.append(record.pack())
                self._lines += 1
            if self._lines > _LINES_PER_JOB * JOBS_KEPT:
                self._rewrite()
        except OSError as exc:
            log.warning("job %s can not be noted: %s", record.job.hex()[:8], exc)

    def _rewrite(self) -> None:
        """Have a line for each job that has ended. Of those that run now it loses the beginning."""
        with self._writing:
            kept = list(reversed(self.newest_first()))
            try:
                self._journal.replace(record.pack() for record in kept)
            except OSError as exc:  # a full disk: the old lines tell the same
                log.warning("the history of jobs can not be written anew: %s", exc)
            self._lines = len(kept)

    def close(self) -> None:
        """The node ends."""
        self._journal.close()


def _read(path: Path) -> list[Record]:
    """One record for each job, in the order in which they ended."""
    last: dict[bytes, Record] = {}
    for record in _unpacked(read_lines(path)):
        last.pop(record.job, None)
        last[record.job] = record._replace(state="failed") if record.state == "running" else record
    return list(last.values())


def _unpacked(lines: Iterable[str]) -> Iterable[Record]:
    for line in lines:
        try:
            yield Record.unpack(line)
        except (ValueError, TypeError):
            log.warning("a line of the history of jobs makes no sense and is passed over")
