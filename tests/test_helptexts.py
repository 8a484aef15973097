"""The help of every command: what it shows is in USAGE, and its examples do what they say.

They are typed into a shell as they stand, in order.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.cli import main
from s4zmq.helptexts import EXAMPLES, help_of
from s4zmq.synopsis import Verb, verbs
from s4zmq.usage import JOB_COMMANDS, KEY_COMMANDS, USAGE, VIEW_COMMANDS

from .harness import BIN
from .s3.servers import start_moto, variables

NEEDS = {"map-from-n": "map-to-n"}
"""Commands whose examples go on with what those of another have made."""

FAILS = "! s4 map --keep-going s4://months/ s4://failed/ 'echo no >&2; exit 1' 2> /dev/null"
BEFORE = {
    "jobs": FAILS,
    "logs": f"{FAILS} && s4 jobs",
    "cancel": (
        "s4 map s4://months/ s4://slow/ 'sleep 1000' &> /dev/null &"
        " until s4 jobs | grep running; do sleep 0.1; done"
    ),
}
"""What goes before the examples of a command, so that there is something to see."""

ALONE = ("up", "down", "keygen", "completion")
"""Commands that need no cluster, or make their own."""

ELSEWHERE = {"demo", *(name for name in EXAMPLES if name.startswith("cluster "))}
"""Commands whose examples others type: `cluster/test_demo` and `ec2/test_examples`."""


class Home:
    """A user's home, and the shell in it."""

    def __init__(self, folder: Path, s3: dict[str, str]) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("S4_")}
        self.environment = kept | s3 | {"HOME": str(folder), "PATH": f"{BIN}:{os.environ['PATH']}"}
        rows = "".join(f"{number},{('CASH', 'CARD', 'NONE')[number % 3]}\n" for number in range(100))
        (folder / "months").mkdir(parents=True)
        for name in ("months/2009-01.csv", "months/2009-02.csv", "months/2010-01.csv", "trips.csv"):
            (folder / name).write_text(rows)
        (folder / "sum.py").write_text(
            "import sys\nprint(sum(int(line.partition(',')[0]) for line in sys.stdin))\n"
        )

    def types(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def down(self) -> None:
        """All clusters below it."""
        for home in list(self.folder.glob("**/s4.conf")):
            self.types(f"S4_HOME={home.parent} s4 down --purge")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An S3 with the bucket of the examples; what must be in the environment to use it."""
    server = start_moto(tmp_path_factory.mktemp("moto"))
    server.client.create_bucket(Bucket="my-bucket")
    server.client.put_object(Bucket="my-bucket", Key="trips/a.csv", Body=b"1,CASH\n")
    yield variables(server.endpoint)
    server.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, s3: dict[str, str]) -> Iterator[Home]:
    """With a cluster, whose conf has a copy."""
    home = Home(tmp_path_factory.mktemp("home") / "me", s3)
    home.types("s4 up && cp .s4/s4.conf other.conf && cp .s4/s4.key other.key")
    yield home
    home.down()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ELSEWHERE])
def test_the_examples_of_a_command_do_what_they_say(name: str, home: Home, tmp_path: Path) -> None:
    if name in ALONE:
        home = Home(tmp_path / "me", {})
    elif name in (*KEY_COMMANDS, *JOB_COMMANDS, *VIEW_COMMANDS):
        for bucket in home.types("(s4 ls || true) | awk '{print $2}'").split():
            home.types(f"s4 rm -r s4://{bucket}")
        home.types(":" if name == "cp" else "s4 cp -r months s4://months/")
    home.types(BEFORE.get(name, ":"))
    try:
        for _, command in (*EXAMPLES.get(NEEDS.get(name, ""), ()), *EXAMPLES[name]):
            home.types(command)
    finally:
        if name in ALONE:
            home.down()


def test_examples_print_what_a_reader_would_expect(home: Home) -> None:
    """Some of the above, looked at."""
    home.types("s4 cp -r months s4://looked/")
    assert home.types("s4 eval s4://looked/2009-01.csv 'cut -d, -f2 | sort | uniq -c'").split()[:2] == [
        "33",
        "CARD",
    ]
    assert home.types("s4 config | wc -l") == "3\n"
    home.types("s4 rm -r s4://looked")


@pytest.mark.parametrize("verb", verbs(), ids=lambda verb: verb.name)
def test_every_command_has_examples(verb: Verb) -> None:
    assert verb.name in EXAMPLES or verb.words[0] == "completion", f"helptexts has none of s4 {verb.name}"


def test_every_example_fits_the_usage() -> None:
    stated = {verb.words for verb in verbs()} | {("completion",)}
    for name, examples in EXAMPLES.items():
        words = tuple(name.split())
        assert words in stated, f"USAGE has no {name}"
        commands = [command for _, command in examples]
        assert len(commands) >= (1 if name in ("demo", "cancel") else 3), name
        own = [command for command in commands if re.search(rf"\bs4 ([^'|]* )?{name}\b", command)]
        assert own, name


@pytest.mark.parametrize("verb", verbs(), ids=lambda verb: verb.name)
def test_help_of_a_command_shows_its_usage_options_and_examples_and_nothing_else(
    verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb.words, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == help_of([verb])
    for option in verb.options:
        assert f"\n  {option.shown}" in printed.out
    others = {option for one in verbs() for option in one.options} - set(verb.options)
    assert not [option.shown for option in others if f"\n  {option.shown} " in printed.out]
    for _, command in EXAMPLES.get(verb.name, ()):
        assert f"\n  {command}\n" in printed.out
    assert max(map(len, printed.out.partition("Examples:")[0].splitlines())) <= 100


def test_a_usage_line_of_several_commands_is_shown_with_the_one_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["help", "map-to-n"]) == 0
    printed = capsys.readouterr().out
    assert "[--key PATH] map-to-n [--retries N]" in printed
    assert "(map" not in printed


@pytest.mark.parametrize(
    "argv",
    [
        ["map", "--help"],
        ["help", "map"],
        ["-c", "x", "map", "-h"],
        ["--key", "cp", "map", "--help"],
        ["map", "a", "--help", "b"],
    ],
)
def test_help_is_found_wherever_it_is_asked_for(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("s4 map: ")


def test_several_commands_of_one_word_are_shown_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "--help"]) == main(["help", "cluster"]) == 0
    first, second = capsys.readouterr().out.split("s4 cluster: ")[1:]
    assert first == second
    assert "s4 cluster down NAME" in first


def test_help_alone_is_the_usage_and_of_no_command_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    assert capsys.readouterr().out == USAGE
    assert main(["help", "mpa"]) == main(["help", "map", "x"]) == 2
    assert "there is no command 'mpa'" in capsys.readouterr().err


def test_words_behind_two_dashes_ask_for_no_help(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["-c", str(tmp_path / "none"), "ls", "--", "--help"]) == 1
    assert capsys.readouterr().out == ""


def test_wrong_words_show_the_usage_of_their_command_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cp", "x"]) == 2
    printed = capsys.readouterr().err
    assert "cp [-r]" in printed
    assert "map" not in printed
