"""Recordings of a terminal: what was shown when, and a picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from ..trials.record import record

SVG = "{http://www.w3.org/2000/svg}"


def frames_of(path: Path) -> list[ElementTree.Element]:
    """The groups of a picture, each of which is a screen."""
    return ElementTree.parse(path).getroot().findall(f"{SVG}g/{SVG}g")


def test_a_recording_has_the_pieces_with_their_times_and_the_last_screen(tmp_path: Path) -> None:
    command = (
        r"printf '\033[36mbar \342\224\201\033[0m 5%%';"
        r" printf '\r\033[2Kdone \033[36m<all>\033[0m\n'; exit 3"
    )
    assert record(command, tmp_path / "it") == 3
    head, *pieces = map(json.loads, (tmp_path / "it.cast").read_text().splitlines())
    assert (head["version"], head["width"], head["height"]) == (2, 100, 24)
    assert "".join(text for _, _, text in pieces) == (
        "\x1b[36mbar ━\x1b[0m 5%\r\x1b[2Kdone \x1b[36m<all>\x1b[0m\r\n"
    )
    assert [at_s for at_s, _, _ in pieces] == sorted(at_s for at_s, _, _ in pieces)
    assert (tmp_path / "it.txt").read_text() == "done <all>\n"
    *_, last = frames_of(tmp_path / "it.svg")
    texts = [(text.text, text.get("fill")) for text in last.iter(f"{SVG}text")]
    assert texts == [("done", "#d8dee9"), ("<all>", "#88c0d0")]
    assert last.get("visibility") is None, "who does not know animations sees it"


def test_a_picture_shows_one_screen_after_the_other(tmp_path: Path) -> None:
    assert record("printf one; sleep 0.5; printf ' two'", tmp_path / "it") == 0
    frames = frames_of(tmp_path / "it.svg")
    shown = [" ".join(text.text or "" for text in frame.iter(f"{SVG}text")) for frame in frames]
    assert (shown[0], shown[-1]) == ("one", "one two")
    for frame in frames[:-1]:
        (until,) = frame.iter(f"{SVG}set")
        assert (frame.get("visibility"), until.get("to")) == ("hidden", "visible")
    (until,) = frames[-1].iter(f"{SVG}set")
    assert (until.get("to"), until.get("begin")) == ("hidden", "loop.begin")
