"""Multipart uploads of this node that are not finished, so that none outlives a failure or a kill: S3 would
keep, and charge for, their pieces for ever.

    DIR/uploads    a journal: a line before an upload begins, one with its id, one when it has ended

An upload that could not be given up at once, and whatever a kill left, is tried again by a thread until
S3 has taken it. Nothing here reads keys.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from .errors import AwsMissing, S4Error
from .journal import Journal
from .s3bucket import Bucket, Upload

log = logging.getLogger(__name__)

_BEGIN, _NAMED, _END = "begin", "named", "end"
_COMPACT_BYTES = 1 << 20
_CLOCKS_DIFFER_S = 5.0
_AGAIN_S = 5.0
_AGAIN_MAX_S = 300.0


class Unfinished(NamedTuple):
    """An upload that this node has begun, or was about to."""

    endpoint: str
    """Others know nothing of it."""

    bucket: str
    name: str
    began_at: float
    """Seconds since 1970."""

    id: str = ""
    """Empty where S3's answer was not heard."""


class Uploads:
    """The journal of one node. Safe to call from several threads."""

    def __init__(self, root: Path, open_bucket: Callable[[str], Bucket]) -> None:
        """Reads what an earlier process has left. `root` is the data folder; `open_bucket(name)` gives
        a bucket to give uploads up in. Raises OSError."""
        self._journal = Journal(root / "uploads")
        self._open_bucket = open_bucket
        self._lock = threading.Lock()
        self._open: dict[str, Unfinished] = {}
        for line in self._journal.lines():
            self._replay(line)
        self._orphans = set(self._open)
        self._numbers = itertools.count(1 + max((int(token) for token in self._open), default=0))
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        with suppress(OSError):  # a full disk: it stays as long as it is
            self._compact()

    def _replay(self, line: str) -> None:
        what, token, *fields = line.split("\t")
        if what == _BEGIN and len(fields) == 4:
            endpoint, bucket, name, began_at = map(unquote, fields)
            self._open[token] = Unfinished(endpoint, bucket, name, float(began_at))
        elif what == _NAMED and token in self._open:
            self._open[token] = self._open[token]._replace(id=unquote(fields[0]))
        elif what == _END:
            self._open.pop(token, None)

    def __len__(self) -> int:
        """How many are to be given up, and are not yet."""
        return len(self._orphans)

    def begin(self, bucket: Bucket, name: str) -> str:
        """Before an upload begins; a token for it. Raises OSError: then it may not begin."""
        found = Unfinished(bucket.endpoint, bucket.name, name, time.time())
        with self._lock:
            token = str(next(self._numbers))
            self._journal.append(_begin_line(token, found))
            self._open[token] = found
        return token

    def named(self, token: str, upload: Upload) -> None:
        """S3 has given it an id. Raises OSError."""
        with self._lock:
            self._open[token] = self._open[token]._replace(id=upload.id)
            self._journal.append("\t".join((_NAMED, token, quote(upload.id))))

    def end(self, token: str) -> None:
        """It is finished, or given up."""
        with self._lock:
            self._orphans.discard(token)
            if self._open.pop(token, None) is None:
                return
            try:
                self._journal.append("\t".join((_END, token)))
                self._compact()
            except OSError as exc:  # a full disk: after a restart it is given up once more
                log.warning("the end of an upload could not be noted: %s", exc)

    def abandon(self, token: str) -> None:
        """Give it up now, or as soon as S3 answers. Never raises."""
        with self._lock:
            self._orphans.add(token)
        if not self._give_up(token):
            self.start()

    def _compact(self) -> None:
        """Under the lock."""
        if self._journal.size > _COMPACT_BYTES + len(self._open) * 4096:
            lines = [_begin_line(*row) for row in self._open.items()]
            lines += [
                "\t".join((_NAMED, token, quote(row.id))) for token, row in self._open.items() if row.id
            ]
            self._journal.replace(lines)

    # -- giving up

    def start(self) -> None:
        """Work on what is left over, if there is something."""
        with self._lock:
            if (
                self._orphans
                and not self._stopped.is_set()
                and not (self._thread and self._thread.is_alive())
            ):
                self._thread = threading.Thread(target=self._sweep, name="uploads", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Leave the rest to the next start."""
        self._stopped.set()

    def close(self) -> None:
        """Give the descriptor back."""
        self._journal.close()

    def _sweep(self) -> None:
        pause_s = _AGAIN_S
        while True:
            for token in list(self._orphans):
                if self._stopped.is_set():
                    return
                self._give_up(token)
            with self._lock:
                if not self._orphans:
                    self._thread = None
                    return
            if self._stopped.wait(pause_s):
                return
            pause_s = min(pause_s * 2, _AGAIN_MAX_S)

    def _give_up(self, token: str) -> bool:
        """Whether nothing is left of it. What another endpoint knows waits until this node asks there."""
        found = self._open.get(token)
        if found is None:
            return True
        try:
            bucket = self._open_bucket(found.bucket)
            if bucket.endpoint != found.endpoint:
                return False
            uploads = [Upload(found.name, found.id)] if found.id else list(_unheard(bucket, found))
            for upload in uploads:
                bucket.abort(upload)
        except AwsMissing:
            pass  # with its bucket
        except S4Error as error:
            log.warning("an upload is not given up yet: %s", error.text)
            return False
        self.end(token)
        return True


def _unheard(bucket: Bucket, found: Unfinished) -> list[Upload]:
    """The ones that may be it, where nobody has heard its id."""
    return list(bucket.uploads_since(found.name, found.began_at - _CLOCKS_DIFFER_S))


def _begin_line(token: str, found: Unfinished) -> str:
    fields = (found.endpoint, found.bucket, found.name, repr(found.began_at))
    return "\t".join((_BEGIN, token, *(quote(field) for field in fields)))
