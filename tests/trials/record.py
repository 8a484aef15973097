"""Record what a command line shows on a real terminal: `python -m tests.trials.record NAME COMMAND`.

Runs COMMAND with bash in a terminal of 100 columns and 24 rows and writes NAME.cast, an asciicast v2 that
players of such files show with its times; NAME.svg, a picture in which browsers show the same again and
again, and others the last screen; and that screen as NAME.txt. The environment is that of the caller: its
PATH finds `s4`, and that a cluster.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from ..terminal import Pane

COLUMNS, ROWS = 100, 24
_WIDTH, _HEIGHT, _MARGIN = 8.4, 18, 12
_FRAME_S, _LAST_FRAME_S = 0.25, 5.0
"""A picture shows no more screens a second, and the last one for so long."""

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


class Frame(NamedTuple):
    """A screen, and when it was there, in seconds from the start."""

    at_s: float
    rows: Sequence[Sequence[tuple[int, str, str]]]


def frame_of(pane: Pane) -> Frame:
    """What the terminal shows now."""
    return Frame(pane.pieces[-1][0], [runs_of(pane, row) for row in range(len(pane.lines))])


def _texts(frame: Frame) -> Iterator[str]:
    for row, runs in enumerate(frame.rows):
        y = _MARGIN + (row + 0.75) * _HEIGHT
        for column, text, colour in runs:
            x, length = _MARGIN + column * _WIDTH, len(text) * _WIDTH
            yield (
                f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" textLength="{length:.1f}"'
                f' xml:space="preserve">{escape(text)}</text>'
            )


def _shown(frames: Sequence[Frame], number: int) -> str:
    """When a frame is to be seen. Who does not know animations (SMIL) sees the last one only."""
    begin_s = frames[number].at_s
    if number == len(frames) - 1:
        return f'<g><set attributeName="visibility" to="hidden" begin="loop.begin" dur="{begin_s:.2f}s"/>'
    begin, dur = f"loop.begin+{begin_s:.2f}s", f"{frames[number + 1].at_s - begin_s:.2f}s"
    shown = f'<set attributeName="visibility" to="visible" begin="{begin}" dur="{dur}"/>'
    return f'<g visibility="hidden">{shown}'


def svg_of(frames: Sequence[Frame]) -> str:
    """The screens as a picture that moves, as high as the highest of them."""
    rows = max((len(frame.rows) for frame in frames), default=1)
    width, height = COLUMNS * _WIDTH + 2 * _MARGIN, rows * _HEIGHT + 2 * _MARGIN
    seconds = frames[-1].at_s + _LAST_FRAME_S if frames else _LAST_FRAME_S
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">',
        '<rect width="100%" height="100%" rx="6" fill="#2e3440">',
        f'<animate id="loop" attributeName="x" from="0" to="0" begin="0;loop.end" dur="{seconds:.2f}s"/>',
        "</rect>",
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
    ]
    for number, frame in enumerate(frames):
        parts += [_shown(frames, number), *_texts(frame), "</g>"]
    return "\n".join([*parts, "</g></svg>\n"])


def cast_of(pane: Pane, command: str) -> str:
    """An asciicast v2 of all that was written. A character that two pieces share goes to the later one."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "command": command}
    lines, rest = [json.dumps(head)], b""
    for at_s, data in pane.pieces:
        text = (rest + data).decode(errors="ignore")
        rest = (rest + data)[len(text.encode()) :]
        lines.append(json.dumps([round(at_s, 3), "o", text]))
    return "\n".join(lines) + "\n"


def record(command: str, target: Path) -> int:
    """Run it and write the three files; its exit status."""
    with Pane(["bash", "-c", command], {}, columns=COLUMNS, rows=ROWS) as pane:
        frames: list[Frame] = []
        while pane.read(0.05):
            if pane.pieces and (not frames or pane.pieces[-1][0] >= frames[-1].at_s + _FRAME_S):
                frames.append(frame_of(pane))
        if pane.pieces:
            frames.append(frame_of(pane))
        target.with_suffix(".cast").write_text(cast_of(pane, command))
        target.with_suffix(".txt").write_text(pane.text + "\n")
        target.with_suffix(".svg").write_text(svg_of(frames))
        return pane.process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", type=Path, help="the files are called so")
    parser.add_argument("command", help="what to run")
    asked = parser.parse_args()
    raise SystemExit(record(asked.command, asked.name))
