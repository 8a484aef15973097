"""Progress on a terminal: a bar for all of the work, and where there is room one for each node.

Loads rich, which takes some 40 ms: so it is loaded when the first drawing is due. The cursor is never
hidden: whatever ends the process, a kill too, leaves a terminal as it was.
"""

from __future__ import annotations

import os
import time
from typing import TextIO

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .amounts import Counts, Share, State
from .progressviews import bytes_of, failed_of, keys_of, left_s_of, line_of, share_of, show_s, write_line
from .units import show_bytes

_RATE_COLUMNS, _BYTES_COLUMNS, _BAR_COLUMNS = 90, 64, 44
"""Narrower terminals do without these."""

_ECHO_COLUMNS = 3
_INTERVAL_S = 0.2
_SHARE_OF_TIME = 0.02
"""What drawing may take of the time of the work: with many nodes, or on a slow line, there are fewer."""


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """It stays as it is."""
        return False


class Bars:
    """The drawing of one command, redrawn in place."""

    interval_s = _INTERVAL_S

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = _Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def draw(self, state: State) -> None:
        """Show this, unless the command is in the background of its terminal."""
        if not _is_in_front(self._stream):
            return
        began_at = time.monotonic()
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
            # $COLUMNS may be long untrue; and a full line would break where the terminal echoes ^C.
            self._console.size = ConsoleDimensions((width or 80) - _ECHO_COLUMNS, height or 25)
            self._live.start()
            self._live.update(picture(state, *self._console.size), refresh=True)
        except OSError:  # a terminal that went away is no reason to end the work
            pass
        self.interval_s = max(_INTERVAL_S, (time.monotonic() - began_at) / _SHARE_OF_TIME)

    def close(self, state: State | None) -> None:
        """Take it away; a state stays as a line."""
        try:
            self._live.stop()
        except OSError:
            pass
        if state:
            write_line(self._stream, line_of(state, is_over=True))


def picture(state: State, width: int, height: int) -> Table | Text:
    """What fits into a terminal of so many columns and rows."""
    if width < _BAR_COLUMNS or state.total is None:
        return Text(line_of(state), no_wrap=True, overflow="ellipsis")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    for _ in range(5):
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*_row(state.verb, state, width))
    if 1 < len(state.shares) < height - 1:
        for share in state.shares:
            table.add_row(*_row_of_node(share, state, width))
    return table


def _row(label: str, state: State, width: int) -> list[str | ProgressBar]:
    """Seven cells; what the width has no room for is empty."""
    share = share_of(state.counts, state.total)
    failed = f", {failed_of(state)}" if state.counts.failed else ""
    left_s = left_s_of(state)
    return [
        label,
        ProgressBar(total=1.0, completed=share, complete_style="cyan", finished_style="cyan"),
        f"{int(share * 100)}%",
        keys_of(state, long=False) + failed,
        bytes_of(state.counts, state.total, long=False) if width >= _BYTES_COLUMNS else "",
        f"{show_bytes(int(state.rate))}/s" if width >= _RATE_COLUMNS else "",
        f"{show_s(left_s)} left" if left_s else show_s(state.spent_s),
    ]


def _row_of_node(share: Share, state: State, width: int) -> list[str | ProgressBar]:
    part = state._replace(counts=share.counts, total=share.total or Counts())
    cells = _row(f"  {share.node}", part, width)
    return [*cells[:5], "", ""]


def _is_in_front(stream: TextIO) -> bool:
    """Whether the terminal listens to this process group; one that is not its own does."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:
        return True
