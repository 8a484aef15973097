"""A command as text: what may be one, and how the stderr of one is shown. Client and node need both."""

from __future__ import annotations

from .errors import RequestError
from .limits import COMMAND_MAX_BYTES, COMMAND_SHOWN_BYTES, STDERR_TAIL_LINES


def check_command(text: str) -> None:
    """Raises RequestError for a command that bash could not be given."""
    if not text.strip():
        raise RequestError("the command is empty")
    if "\0" in text:
        raise RequestError("the command holds a NUL")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise RequestError("the command is not UTF-8") from None
    if size > COMMAND_MAX_BYTES:
        raise RequestError(
            f"the command has {size} bytes, the limit is {COMMAND_MAX_BYTES}:"
            " put it into a script and ship that with --file"
        )


def tail_of(stderr: bytes) -> str:
    """The last lines of a stderr, for an error message; control characters made visible."""
    lines = stderr.decode(errors="replace").rstrip().splitlines()[-STDERR_TAIL_LINES:]
    return "\n".join("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in lines)


def head_of(command: str) -> str:
    """The first line of a command that is not blank, COMMAND_SHOWN_BYTES at most; "..." tells of more."""
    line, _, more = command.strip().partition("\n")
    head = line.rstrip().encode()[:COMMAND_SHOWN_BYTES].decode(errors="ignore")
    return head + "..." if more or head != line.rstrip() else head
