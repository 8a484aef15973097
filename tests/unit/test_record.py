"""Recordings of a terminal: what was shown when, and a picture of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from ..trials.record import record


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
    picture = ElementTree.parse(tmp_path / "it.svg").getroot()
    texts = picture.iter("{http://www.w3.org/2000/svg}text")
    assert [(text.text, text.get("fill")) for text in texts] == [("done", "#d8dee9"), ("<all>", "#88c0d0")]


def test_a_picture_may_be_of_an_earlier_screen(tmp_path: Path) -> None:
    assert record("echo late", tmp_path / "it", at_s=0.0) == 0
    assert (tmp_path / "it.txt").read_text() == "\n"
    assert "late" in (tmp_path / "it.cast").read_text()
