"""The command line without a cluster: usage, options, errors, exit statuses."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docopt import docopt

from s4zmq.cli import main
from s4zmq.runs import Job, Summary
from s4zmq.usage import COMMANDS, USAGE, plain_args


@pytest.fixture(autouse=True)
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without a conf file; the handler of SIGTERM is put back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("S4_CONF_PATH", raising=False)
    monkeypatch.delenv("S4_HOME", raising=False)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def conf(tmp_path: Path) -> str:
    """A cluster in which nobody listens."""
    (tmp_path / "conf").write_text("127.0.0.1:1  # nobody\n127.0.0.1:2\n")
    return str(tmp_path / "conf")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such"],
        ["cp", "x"],
        ["eval", "s4://b/k"],
        ["map", "a", "b"],
        ["ls", "--bad"],
        ["health", "x"],
    ],
)
def test_bad_usage_is_told_and_has_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert "Usage:" in printed.err
    assert printed.out == ""


def test_help_and_version_are_data_and_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.strip() == USAGE.strip()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("s4zmq ")


ODD_WORDS = ["--", "-r", "--resume", "--dry", "-c", "-", "-5", "", "ls", "health", "SRC", "x y"]


@pytest.mark.parametrize("command", [*COMMANDS, "no-such", "[-r]"])
def test_plain_words_mean_what_docopt_says(command: str) -> None:
    for count in range(4):
        for words in itertools.product(ODD_WORDS, repeat=count):
            argv = [command, *words]
            plain = plain_args(argv)
            if plain is not None:
                assert plain.items() <= docopt(USAGE, argv).items(), argv


@pytest.mark.parametrize("conf", ["conf", "", "-", "--", "-r", "ls"])
def test_plain_words_after_a_conf_mean_what_docopt_says(conf: str) -> None:
    for argv in (["-c", conf, "ls", "-r"], ["-c", conf, "health"], ["-c", conf], ["-c"]):
        plain = plain_args(argv)
        assert plain is None or plain.items() <= docopt(USAGE, argv).items()


@pytest.mark.parametrize(
    "words",
    [
        "cp a b",
        "cp -r a b",
        "cp - b --resume",
        "ls",
        "ls -r x",
        "rm -r x",
        "eval k c",
        "-c conf health",
        "--key k ls",
        "-c a --key b ls",
        "--key b -c a ls",
    ],
)
def test_the_commands_of_a_loop_need_no_docopt(words: str) -> None:
    assert plain_args(words.split()) is not None


@pytest.mark.parametrize(
    "words",
    [
        "",
        "cp a",
        "cp a b c",
        "cp --res a b",
        "ls -r -r",
        "ls -c x",
        "rm -- x",
        "map a b c",
        "up",
        "-h",
        "--key ls",
        "--key -c ls",
        "-c a -c b ls",
        "--key=k ls",
    ],
)
def test_docopt_is_asked_about_all_else(words: str) -> None:
    assert plain_args(words.split()) is None


def test_every_command_is_in_the_usage() -> None:
    for command in COMMANDS:
        assert f" {command}" in USAGE or f"| {command}" in USAGE


@pytest.mark.parametrize("words", [["ls"], ["health"], ["config"], ["cp", "-", "s4://b/k"]])
def test_no_cluster_at_all_says_how_to_get_one(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err.startswith("s4: no cluster: start one on this machine with `s4 up`")


def test_config_prints_the_addresses_in_order(conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", conf, "config"]) == 0
    assert capsys.readouterr().out == "127.0.0.1:1\n127.0.0.1:2\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["cp", "a", "b"], 1, "one of SRC and DST starts with s4://"),
        (["cp", "s4://b/k", "s4://b/l"], 1, "use `s4 map ... cat`"),
        (["cp", "-r", "-", "s4://b/"], 1, "- is one stream"),
        (["cp", "/nonexistent/f", "s4://b/k"], 1, "can not read /nonexistent/f: No such file"),
        (["cp", "-r", "/nonexistent", "s4://b/"], 1, "/nonexistent"),
        (["cp", "/etc/hostname", "s4://b/a b"], 1, "holds a space"),
        (["cp", "-", "s4://b/"], 1, "standard input has no name"),
        (["ls", "s4://b/a b"], 1, "holds a space"),
        (["ls", "b"], 1, "does not start with s4://"),
        (["rm", "s4://b"], 1, "is a bucket, not a key"),
        (["rm", "s4://b/d/"], 1, "is a folder: remove it with -r"),
        (["cp", "s4://b/d/", "out"], 1, "is a folder: copy it with -r"),
        (["rm", "-r", "s4://"], 1, "an empty prefix would remove every key"),
        (["rm", "-r", "s4://b/*"], 1, "holds the character *"),
        (["eval", "s4://b", "cat"], 255, "is a bucket, not a key"),
        (["map", "s4://in", "s4://out/", "cat"], 1, "must end in a slash"),
        (["map", "s4://in/", "s4://out", "cat"], 1, "must end in a slash"),
        (["map", "s4://in/", "s4://out/", " "], 1, "the command is empty"),
        (["map", "--jobs", "0", "s4://in/", "s4://out/", "cat"], 2, "--jobs takes a whole number"),
        (["map", "--retries", "x", "s4://in/", "s4://out/", "cat"], 2, "--retries takes a whole number"),
        (["map", "--timeout", "-1", "s4://in/", "s4://out/", "cat"], 2, "--timeout takes seconds"),
        (["map", "--timeout", "nan", "s4://in/", "s4://out/", "cat"], 2, "--timeout takes seconds"),
        (["up", "--nodes", "0"], 2, "--nodes takes a whole number"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused_before_a_node_is_asked(
    conf: str, words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", conf, *words] if words[0] != "up" else words) == status
    printed = capsys.readouterr()
    assert printed.err.startswith("s4: ")
    assert said in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mapp", "s4://a/", "s4://b/", "cat"], "mapp is no command: do you mean map?"),
        (["-c", "x.conf", "statsu"], "statsu is no command: do you mean status?"),
        (["zzz"], "zzz is no command"),
        (["status", "--josn"], "--josn is no option of `s4 status`: do you mean --json?"),
        (["map", "--jbos=3", "s4://a/", "s4://b/", "cat"], "--jbos=3 is no option of `s4 map`"),
        (["ls", "--", "s4://a", "--dry"], "these words do not fit the usage"),
        (["cp", "s4://a/b"], "these words do not fit the usage"),
        ([], "these words do not fit the usage"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_words_that_fit_no_usage_are_named(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    first, *usage = capsys.readouterr().err.splitlines()
    assert first.startswith(f"s4: {said}")
    assert usage[0] == "Usage:"


def test_health_tells_of_every_node_that_does_not_answer(
    conf: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", conf, "health"]) == 1
    assert capsys.readouterr().out == "unhealthy: 127.0.0.1:1\nunhealthy: 127.0.0.1:2\n"


def test_importing_the_command_line_imports_nothing_slow() -> None:
    slow = {"zmq", "msgpack", "mmh3", "docopt", "psutil", "boto3", "logging", "subprocess", "asyncio"}
    script = "import sys; before = set(sys.modules); import s4zmq.cli; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert not slow & set(done.stdout.split())


DONE = Summary(1, 2, 1, 3, 0, 0, 0, 0.1, [], [])


@pytest.mark.parametrize("kind", ["map", "map-to-n", "map-from-n"])
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_asked_of_a_map_reaches_its_plan(
    conf: str, monkeypatch: pytest.MonkeyPatch, kind: str, resume: bool, dry_run: bool
) -> None:
    asked: list[tuple[str, Job]] = []

    def run_job(_: object, job: Job, *__: object, **___: object) -> Summary:
        asked.append(("run", job))
        return DONE

    monkeypatch.setattr("s4zmq.runs.run_job", run_job)
    monkeypatch.setattr("s4zmq.runs.rehearse", lambda _, job: asked.append(("rehearse", job)))
    monkeypatch.setattr("s4zmq.printing.print_rehearsal", lambda *_: None)
    flags = [*(["--resume"] if resume else []), *(["--dry-run"] if dry_run else [])]
    options = ["--retries", "2", "--keep-going", "--jobs", "3", "--timeout", "1.5"]
    assert main(["-c", conf, kind, *flags, *options, "s4://in/", "s4://out/", "cat"]) == 0
    [(what, job)] = asked
    assert what == ("rehearse" if dry_run else "run")
    expected: tuple[object, ...] = (kind, "s4://in/", "s4://out/", "cat", [], 2, 1.5, 3, True, resume)
    assert job.plan[1:11] == expected
