"""A command on a real terminal: a pty, and a screen that shows what a user would see."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence

import pyte

_OF_ANOTHER = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
"""Variables that tell of another terminal than this one."""

CSI = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])")


class Pane:
    """One command, its terminal, and all that it has written to it with the time of each piece."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 100,
        rows: int = 24,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> None:
        """`stdin` and `stdout` are descriptors for what is not to be the terminal."""
        self.columns, self.rows = columns, rows
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.pieces: list[tuple[float, bytes]] = []
        self._master, slave = os.openpty()
        self._resize_pty()
        self._started_at = time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
        others = [fd for fd in (stdin, stdout) if fd is not None]
        words = (f"<&{stdin}" if stdin is not None else "", f">&{stdout}" if stdout is not None else "")
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "bash", "-c", f'exec "$@" {" ".join(words)}', "bash", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=others,
            env={**inherited, "TERM": "xterm-256color", **environment},
        )
        os.close(slave)

    def _resize_pty(self) -> None:
        size = struct.pack("HHHH", self.rows, self.columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def resize(self, columns: int, rows: int) -> None:
        """As when a user drags the window."""
        self.columns, self.rows = columns, rows
        self._resize_pty()
        self.screen.resize(rows, columns)

    def type(self, text: bytes) -> None:
        """Keys that a user presses; b"\\x03" is Ctrl-C."""
        os.write(self._master, text)

    def read(self, timeout_s: float) -> bool:
        """Show what the command writes next; False at its end."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the last one who had the terminal open is gone
            return False
        self.pieces.append((time.monotonic() - self._started_at, data))
        self._stream.feed(data)
        return True

    def read_until(self, is_so: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Fails with `what` it was waiting for."""
        until = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > until or not self.read(0.05):
                raise AssertionError(f"never saw {what}; the screen shows:\n{self.text}")

    def finish(self, timeout_s: float = 30.0) -> int:
        """Read to the end; the exit status."""
        until = time.monotonic() + timeout_s
        while self.read(0.05):
            if time.monotonic() > until:
                self.process.kill()
                raise AssertionError(f"did not end; the screen shows:\n{self.text}")
        return self.process.wait(timeout=10)

    def close(self) -> None:
        """End the command too."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)

    def __enter__(self) -> Pane:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without blank lines at its end."""
        return self.text.split("\n") if self.text else []

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def raw(self) -> bytes:
        """Everything that was written."""
        return b"".join(data for _, data in self.pieces)

    @property
    def is_cursor_shown(self) -> bool:
        return not self.screen.cursor.hidden

    @property
    def colours(self) -> set[bytes]:
        """The codes of colours that were set, if any."""
        codes = {code for found, end in CSI.findall(self.raw) if end == b"m" for code in found.split(b";")}
        return {code for code in codes if re.fullmatch(rb"[349][0-8]|10[0-7]", code)}
