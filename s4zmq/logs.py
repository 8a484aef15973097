"""Where a node's log lines go: to stderr, and with their priority where that is systemd's journal.

The journal takes `<N>` at the begin of each line for syslog's priority, as in sd-daemon(3); so an error
is found with `journalctl -p err`. What is worth a line is for the rooms to say.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def set_up(environ: Mapping[str, str] = os.environ) -> None:
    """Log from level INFO on to stderr."""
    handler = logging.StreamHandler()
    is_journal = goes_to_journal(environ, 2)
    handler.setFormatter(Prioritized("%(name)s: %(message)s") if is_journal else logging.Formatter(_FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


_FORMAT = "%(levelname)s %(name)s: %(message)s"


def tell_error(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """The last words of a node that can not go on."""
    line = f"s4-node: {text}"
    print(prefixed(line, logging.ERROR) if goes_to_journal(environ, 2) else line, file=sys.stderr)


def goes_to_journal(environ: Mapping[str, str], fd: int) -> bool:
    """Whether `fd` is the very stream that systemd has named: a child whose stderr was redirected
    inherits the variable too."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def prefixed(text: str, level: int) -> str:
    """`text` with the priority before each of its lines: the journal makes an entry of each."""
    priority = next((number for least, number in _PRIORITIES if level >= least), _DEBUG)
    return "\n".join(f"<{priority}>{line}" for line in text.splitlines())


class Prioritized(logging.Formatter):
    """Log lines with priorities. The journal knows the time by itself."""

    def format(self, record: logging.LogRecord) -> str:
        return prefixed(super().format(record), record.levelno)
