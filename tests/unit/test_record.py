"""Recordings of a terminal: what was shown when, and a picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from ..trials.record import record


def test_a_recording_has_the_pieces_with_their_times_and_the_last_screen(tmp_path: Path) -> None:
    command = (
        r"printf '\033[36mbar \342\224\201\033[0m 5%%'; sleep 0.3; printf '\r\033[2Kdone <all>\n'; exit 3"
    )
    assert record(command, tmp_path / "it") == 3
    head, *pieces = map(json.loads, (tmp_path / "it.cast").read_text().splitlines())
    assert (head["version"], head["width"], head["height"]) == (2, 100, 24)
    assert "".join(text for _, _, text in pieces) == "\x1b[36mbar ━\x1b[0m 5%\r\x1b[2Kdone <all>\r\n"
    assert pieces[-1][0] - pieces[0][0] >= 0.25
    assert (tmp_path / "it.txt").read_text() == "done <all>\n"
    picture = ElementTree.parse(tmp_path / "it.svg").getroot()
    assert [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")] == ["done <all>"]


def test_a_picture_may_be_of_an_earlier_screen(tmp_path: Path) -> None:
    record(
        r"printf '\033[36mbar\033[0m 5%%'; sleep 0.5; printf '\r\033[2Kdone\n'", tmp_path / "it", at_s=0.4
    )
    assert (tmp_path / "it.txt").read_text() == "bar 5%\n"
    assert "#88c0d0" in (tmp_path / "it.svg").read_text()
