"""The man page that is installed: it is what its maker prints, and formats without a complaint."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from s4zmq.synopsis import parts, verbs

TOP = Path(__file__).parent.parent
PAGE = TOP / "man" / "s4.1"
NO_DATE = 'missing date, using "": TH'


def output_of(*words: str | Path) -> str:
    """Of both streams."""
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return done.stdout


def test_the_page_is_what_usage_examples_and_readme_make() -> None:
    made = output_of(sys.executable, TOP / "man" / "make_page.py")
    assert made == PAGE.read_text(), "say: python man/make_page.py > man/s4.1"


def test_the_page_formats_without_a_complaint() -> None:
    assert output_of("groff", "-ww", "-man", "-Tutf8", "-z", PAGE) == ""
    complaints = output_of("mandoc", "-T", "lint", "-W", "warning", PAGE).splitlines()
    assert [line for line in complaints if NO_DATE not in line] == []


def test_a_reader_finds_every_command_and_option() -> None:
    shown = output_of("mandoc", "-T", "ascii", "-O", "width=500", PAGE)
    plain = re.sub(".\b", "", shown)
    for verb in verbs():
        assert re.search(rf"^ +{verb.words[0]}( |$)", plain, re.M), verb
    for option in parts().options:
        assert re.search(rf"^ +{re.escape(option.shown)}( |$)", plain, re.M), option
    assert "EXIT STATUS" in plain
    assert "s4 map --file sum.py" in plain
