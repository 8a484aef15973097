"""`s4 du` on the node: keys and bytes below a prefix. Looks at every file and changes nothing."""

from __future__ import annotations

import os
import threading

from . import wire
from .caller import Caller
from .codec import Body
from .errors import Cancelled
from .keys import parse_prefix
from .limits import MAX_USAGES
from .listing import paths_below
from .sessions import Sessions
from .store import Store
from .walks import Walks


class Usages:
    """Those that run on this node."""

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self._store = store
        self._walks = Walks(store, sessions, "usage")

    def on_usage(self, request: wire.Usage, body: Body, caller: Caller) -> None:
        """Start. Raises KeyInvalid, or NodeBusy where too many run or too many clients have work."""
        prefix = parse_prefix("s4://" + request.prefix)
        self._walks.start(caller, lambda ended: self._count(prefix, ended), most=MAX_USAGES)

    def __len__(self) -> int:
        return len(self._walks)

    def _count(self, prefix: str, ended: threading.Event) -> wire.UsageReply:
        keys = size = 0
        for path in paths_below(self._store, prefix):
            if ended.is_set():
                raise Cancelled("the look was ended, as its client was not heard of")
            try:
                size += os.lstat(f"{self._store.keys_path}/{path}").st_size
            except (FileNotFoundError, NotADirectoryError):
                continue  # removed meanwhile
            keys += 1
        return wire.UsageReply(keys, size)
