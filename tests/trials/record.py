"""Record what a command line shows on a real terminal: `python -m tests.trials.record NAME COMMAND`.

Runs COMMAND with bash in a terminal of 100 columns and 24 rows and writes NAME.cast, an asciicast v2 that
players of such files show with its times, and the last screen, or with `--at SECONDS` that of then, as
NAME.txt and NAME.svg. The environment is that of the caller: its PATH finds `s4`, and that a cluster.
"""

from __future__ import annotations

import argparse
import json
from html import escape
from pathlib import Path

from ..terminal import Pane

COLUMNS, ROWS = 100, 24
_WIDTH, _HEIGHT, _MARGIN = 8.4, 18, 12
_COLOURS = {
    "default": "#d8dee9",
    "black": "#3b4252",
    "red": "#bf616a",
    "green": "#a3be8c",
    "brown": "#ebcb8b",
    "blue": "#81a1c1",
    "magenta": "#b48ead",
    "cyan": "#88c0d0",
    "white": "#e5e9f0",
}


def colour_of(name: str) -> str:
    """The colour of a cell as pyte names it: a word or six hexadecimal digits."""
    plain = name.removeprefix("bright")
    return _COLOURS.get(plain) or (f"#{name}" if len(name) == 6 else _COLOURS["default"])


def runs_of(pane: Pane, row: int) -> list[tuple[int, str, str]]:
    """(column, text, colour) of each stretch of one colour in a row."""
    runs: list[tuple[int, str, str]] = []
    for column in range(pane.columns):
        cell = pane.screen.buffer[row][column]
        colour = colour_of(cell.fg)
        if runs and runs[-1][2] == colour:
            runs[-1] = (runs[-1][0], runs[-1][1] + cell.data, colour)
        else:
            runs.append((column, cell.data, colour))
    return [(column, text.rstrip(), colour) for column, text, colour in runs if text.strip()]


def svg_of(pane: Pane) -> str:
    """The screen as a picture, as high as its text."""
    rows = max(len(pane.lines), 1)
    width, height = COLUMNS * _WIDTH + 2 * _MARGIN, rows * _HEIGHT + 2 * _MARGIN
    texts = [
        f'<text x="{_MARGIN + column * _WIDTH:.1f}" y="{_MARGIN + (row + 0.75) * _HEIGHT:.1f}"'
        f' fill="{colour}" textLength="{len(text) * _WIDTH:.1f}" xml:space="preserve">{escape(text)}</text>'
        for row in range(rows)
        for column, text, colour in runs_of(pane, row)
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">',
            '<rect width="100%" height="100%" rx="6" fill="#2e3440"/>',
            '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
            *texts,
            "</g></svg>\n",
        )
    )


def cast_of(pane: Pane, command: str) -> str:
    """An asciicast v2 of all that was written. A character that two pieces share goes to the later one."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "command": command}
    lines, rest = [json.dumps(head)], b""
    for at_s, data in pane.pieces:
        text = (rest + data).decode(errors="ignore")
        rest = (rest + data)[len(text.encode()) :]
        lines.append(json.dumps([round(at_s, 3), "o", text]))
    return "\n".join(lines) + "\n"


def record(command: str, target: Path, *, at_s: float = 1e9) -> int:
    """Run it and write the three files; its exit status."""
    with Pane(["bash", "-c", command], {}, columns=COLUMNS, rows=ROWS) as pane:
        text, svg = "", ""
        while pane.read(0.05):
            if not pane.pieces or pane.pieces[-1][0] <= at_s:
                text, svg = pane.text, svg_of(pane)
        target.with_suffix(".cast").write_text(cast_of(pane, command))
        target.with_suffix(".txt").write_text(text + "\n")
        target.with_suffix(".svg").write_text(svg)
        return pane.process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", type=Path, help="the files are called so")
    parser.add_argument("command", help="what to run")
    parser.add_argument(
        "--at", type=float, default=1e9, help="draw the screen of so many seconds after the start"
    )
    asked = parser.parse_args()
    raise SystemExit(record(asked.command, asked.name, at_s=asked.at))
