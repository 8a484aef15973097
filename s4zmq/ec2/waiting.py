"""Looking again until something is so, with a limit and a word now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Tell = Callable[[str], None]
"""Takes a line for the user, or the log."""

Found = TypeVar("Found")


def look_until(look: Callable[[], Found | None], *, limit_s: float, pause_s: float) -> Found | None:
    """The first thing that `look` finds; None after `limit_s` in vain. Looks once at least."""
    until = time.monotonic() + limit_s
    while (found := look()) is None and (left := until - time.monotonic()) > 0:
        time.sleep(min(pause_s, left))
    return found


class Changes:
    """Tells each line that differs from the one before."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.last = ""

    def __call__(self, text: str) -> None:
        if text != self.last:
            self.last = text
            self._tell(text)
