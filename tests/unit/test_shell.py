"""Commands under a real bash: status, environment, signals, and the end of whatever they start."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s4zmq.bashes import Bashes
from s4zmq.errors import RequestError
from s4zmq.limits import STDERR_TAIL_BYTES
from s4zmq.pipes import widen_pipe
from s4zmq.processes import MARKER, Registry
from s4zmq.shell import Command, Outcome, Shell, Switch, base_environment

from ..harness import wait_until
from .helpers import is_running, run_alone


class Bench:
    """A shell, an empty folder, and one file each for stdin and stdout."""

    stays = False
    """Whether commands are run by a bash that stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "command"
        self.folder.mkdir()
        self.registry = Registry(folder)
        self.shell = Shell(self.registry, str(folder / "s4.conf"), str(folder / "s4.key"))
        self.stdin = os.open(folder / "stdin", os.O_RDWR | os.O_CREAT)
        self.stdout = os.open(folder / "stdout", os.O_RDWR | os.O_CREAT)
        self.cancel = Switch()

    def command(self, text: str) -> Command:
        return Command(text, "name", "s4://b/d/name", str(self.folder))

    def run(self, text: str, timeout_s: float = 0) -> Outcome:
        command = self.command(text)
        files = {"stdin": self.stdin, "stdout": self.stdout}
        if not self.stays:
            return run_alone(self.shell, command, **files, cancel=self.cancel, timeout_s=timeout_s)
        bashes = Bashes(self.shell, text)
        try:
            return bashes.run(command, **files, cancel=self.cancel, timeout_s=timeout_s)
        finally:
            bashes.close()

    def run_in_background(self, text: str, outcomes: list[Outcome]) -> threading.Thread:
        thread = threading.Thread(target=lambda: outcomes.append(self.run(text)))
        thread.start()
        return thread

    @property
    def output(self) -> str:
        return os.pread(self.stdout, 1 << 20, 0).decode()

    def pid_printed(self) -> int:
        """The pid that the command has printed or will print soon."""
        wait_until(lambda: self.output.endswith("\n"), "a pid to be printed")
        return int(self.output.split()[-1])

    def close(self) -> None:
        os.close(self.stdin)
        os.close(self.stdout)
        self.cancel.close()


@pytest.fixture(params=["alone", "stays"])
def bench(tmp_path: Path, request: pytest.FixtureRequest, subreaper: None) -> Iterator[Bench]:
    """The same is asked of both ways to run a command."""
    made = Bench(tmp_path)
    made.stays = request.param == "stays"
    yield made
    assert made.registry.running == 0
    made.close()


def is_gone(pid: int) -> None:
    wait_until(lambda: not is_running(pid), f"process {pid} to end")


# -- how it ends


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("true", 0),
        ("exit 7", 7),
        ("false; echo not reached", 1),
        ("true | false | true", 1),
        ("echo $undefined", 1),
        ("no-such-program-at-all", 127),
        ("kill -KILL $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
        ("bash -c 'kill -INT $$'", 128 + 2),
        ("if", 2),
        ("grep -q x /dev/null || true", 0),
        ("x=1; (exit 3) || x=2; [ $x = 2 ]", 0),
    ],
)
def test_the_status_is_what_a_shell_would_say(bench: Bench, text: str, status: int) -> None:
    outcome = bench.run(text)
    assert (outcome.status, outcome.timed_out, outcome.cancelled) == (status, False, False)
    assert "not reached" not in bench.output


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("cat", "input\n"),
        ("tr a-z A-Z | sed 's/IN/%/'", "%PUT\n"),
        ('while read -r line; do echo "<$line>"; done', "<input>\n"),
        ("for i in 1 2\ndo\n  printf '%s,' $i\ndone", "1,2,"),
        ("x=1; cat; echo \"$x 'é' \\\\\"", "input\n1 'é' \\\n"),
        ('f() { echo "$@"; }; f a b', "a b\n"),
        ("[[ abc =~ b ]] && echo ${BASH_REMATCH[0]}", "b\n"),
        ("echo one; exec cat", "one\ninput\n"),
        ("pwd -P; ls -A", "{folder}\n"),
    ],
)
def test_any_bash_works(bench: Bench, text: str, output: str) -> None:
    os.pwrite(bench.stdin, b"input\n", 0)
    assert bench.run(text) == Outcome(0, b"")
    assert bench.output == output.format(folder=os.path.realpath(bench.folder))


def test_a_command_that_reads_nothing_does_not_fail_for_it(bench: Bench) -> None:
    os.pwrite(bench.stdin, b"x" * (1 << 20), 0)
    assert bench.run("head -c 1").status == 0


def test_what_is_no_command_is_refused_before_anything_runs(bench: Bench) -> None:
    for text in ("", "  \n", "a\0b"):
        with pytest.raises(RequestError):
            bench.run(text)


# -- what it sees


def test_a_command_sees_these_variables_and_no_others(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_NODE", "x")
    monkeypatch.setenv("BASH_ENV", "/nonexistent")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("HOME", "/home/node")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    bench.shell = Shell(bench.registry, str(tmp_path / "s4.conf"), str(tmp_path / "s4.key"))
    bench.run("exec env -0")
    seen = dict(item.split("=", 1) for item in bench.output.split("\0") if item)
    assert seen.pop(MARKER)
    assert seen.pop("PATH")
    for of_bash in ("PWD", "SHLVL", "_", "OLDPWD"):
        seen.pop(of_bash, None)
    assert {name: value for name, value in seen.items() if not name.startswith("AWS_")} == {
        "HOME": "/home/node",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C",
        "S4_CONF_PATH": str(tmp_path / "s4.conf"),
        "S4_KEY_PATH": str(tmp_path / "s4.key"),
        "S4_KEY": "s4://b/d/name",
        "TMPDIR": str(bench.folder),
        "filename": "name",
    }
    assert seen["AWS_REGION"] == "eu-north-1"


def test_a_node_without_a_key_has_its_commands_look_for_none() -> None:
    assert base_environment({}, "/conf", "")["S4_KEY_PATH"] == ""


def test_the_path_is_sane_even_if_the_node_has_none() -> None:
    for environ in ({}, {"PATH": ""}, {"PATH": "/usr/bin:/bin"}):
        folders = base_environment(environ, "/conf", "")["PATH"].split(":")
        assert {"/usr/bin", "/bin", os.path.dirname(sys.executable)} <= set(folders)
        assert all(os.path.isabs(folder) for folder in folders)


def test_a_command_inherits_no_descriptor_of_the_node(bench: Bench) -> None:
    secret = os.open("/dev/null", os.O_RDONLY)
    try:
        bench.run("ls -l /proc/self/fd | awk '{print $9}'")
    finally:
        os.close(secret)
    assert set(bench.output.split()) <= {"0", "1", "2", "3"}


def test_the_options_of_bash_are_those_that_are_promised(bench: Bench) -> None:
    bench.run("set -o | awk '$2 == \"on\" {print $1}'")
    assert {"errexit", "nounset", "pipefail"} <= set(bench.output.split())


# -- stderr


def test_the_end_of_stderr_is_kept(bench: Bench) -> None:
    outcome = bench.run("echo one >&2; echo two >&2; exit 3")
    assert outcome == Outcome(3, b"one\ntwo\n")


def test_a_long_stderr_is_cut_at_its_start(bench: Bench) -> None:
    outcome = bench.run("seq 200000 >&2; echo last >&2")
    assert len(outcome.stderr) == STDERR_TAIL_BYTES
    assert outcome.stderr.endswith(b"199999\n200000\nlast\n")


# -- what it starts ends with it


@pytest.mark.parametrize("end", ["true", "exit 3", "kill -KILL $$"])
def test_what_runs_in_the_background_ends_with_its_command(bench: Bench, end: str) -> None:
    started_at = time.monotonic()
    bench.run(f"sleep 1000 & echo $!; {end}")
    is_gone(bench.pid_printed())
    assert time.monotonic() - started_at < 60


def test_a_background_process_that_holds_stderr_open_does_not_hold_up_the_end(bench: Bench) -> None:
    assert bench.run("(trap '' TERM HUP; sleep 1000) & echo $! ; echo said >&2").stderr == b"said\n"
    is_gone(bench.pid_printed())


def test_a_timeout_ends_the_whole_group(bench: Bench) -> None:
    outcome = bench.run("trap '' TERM; sleep 1000 & echo $!; sleep 1000 | cat", timeout_s=0.2)
    assert (outcome.status, outcome.timed_out, outcome.cancelled) == (128 + 9, True, False)
    is_gone(bench.pid_printed())


def test_a_command_that_is_faster_than_its_timeout_is_not_disturbed(bench: Bench) -> None:
    assert bench.run("echo fine >&2", timeout_s=60) == Outcome(0, b"fine\n")


def test_cancelling_ends_the_whole_group(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    thread = bench.run_in_background("trap '' TERM; sleep 1000 | sleep 1001 & echo $!; wait", outcomes)
    pid = bench.pid_printed()
    bench.cancel.turn()
    thread.join(10)
    assert [(outcome.cancelled, outcome.timed_out) for outcome in outcomes] == [(True, False)]
    is_gone(pid)


def test_a_command_that_is_cancelled_beforehand_ends_at_once(bench: Bench) -> None:
    bench.cancel.turn()
    assert bench.run("sleep 1000").cancelled


# -- streaming


def start(bench: Bench, text: str, readers: Callable[[int, bytes], object]) -> tuple[str, int]:
    """Run with stdout as a pipe; `readers(1 or 2, bytes)`. (how it ended, status)."""
    command = bench.command(text)
    with bench.shell.start(command, stdin=bench.stdin, stdout=subprocess.PIPE) as process:
        takers = {
            process.stdout: lambda data: readers(1, data),
            process.stderr: lambda data: readers(2, data),
        }
        return process.watch(takers, bench.cancel, 0), process.finish()


def test_both_streams_arrive_whole_and_apart(bench: Bench) -> None:
    got = {1: b"", 2: b""}

    def take(stream: int, data: bytes) -> None:
        got[stream] += data

    assert start(bench, "seq 1 50000; seq 50001 99999 >&2; exit 5", take) == ("end", 5)
    assert got[1] == b"".join(b"%d\n" % number for number in range(1, 50001))
    assert got[2] == b"".join(b"%d\n" % number for number in range(50001, 100000))


def test_output_is_passed_on_as_it_comes(bench: Bench) -> None:
    go_on = bench.folder / "go-on"
    outputs: list[bytes] = []

    def take(_: int, data: bytes) -> None:
        outputs.append(data)
        go_on.touch()

    assert start(bench, "echo first; until [ -e go-on ]; do :; done; echo second", take) == ("end", 0)
    assert outputs == [b"first\n", b"second\n"]


def wait_for_more(fd: int) -> None:
    """As a slow reader does: the pipe is full again when it comes back."""
    until, count = time.monotonic() + 0.2, bytearray(4)
    while not any(count) and time.monotonic() < until:
        fcntl.ioctl(fd, termios.FIONREAD, count)


def test_an_orphan_that_goes_on_writing_does_not_hold_up_the_end_of_its_command(bench: Bench) -> None:
    text = "setsid yes & echo $! > pid; until [ -e go-on ]; do :; done"
    ended: list[str] = []

    def run() -> None:
        command = bench.command(text)
        with bench.shell.start(command, stdin=bench.stdin, stdout=subprocess.PIPE) as process:

            def take(_: bytes) -> None:
                (bench.folder / "go-on").touch()
                wait_for_more(process.stdout)

            ended.append(process.watch({process.stdout: take}, bench.cancel, 0))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        thread.join(3)
        assert ended == ["end"]
    finally:
        with suppress(ProcessLookupError):
            os.kill(int((bench.folder / "pid").read_text()), 9)
        thread.join()


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_command_leaves_no_descriptor_and_no_process_behind(bench: Bench) -> None:
    for text in ("true", "exit 3", "sleep 1000 & true"):
        bench.run(text)
    with bench.shell.start(
        bench.command("sleep 1000"), stdin=bench.stdin, stdout=subprocess.PIPE
    ) as process:
        pid = process._popen.pid
    assert not os.path.exists(f"/proc/{pid}"), "leaving the context kills and reaps"


def test_commands_that_run_are_counted(bench: Bench) -> None:
    with bench.shell.start(bench.command("sleep 1000"), stdin=bench.stdin, stdout=bench.stdout) as process:
        assert bench.registry.running == 1
        assert process.finish() == 128 + 9
        assert process.finish() == 128 + 9
        assert bench.registry.running == 0


def test_a_bash_that_can_not_be_started_is_forgotten(bench: Bench) -> None:
    gone = Command("true", "name", "s4://b/d/name", "/nonexistent/folder")
    with pytest.raises(Exception, match="can not start bash: No such file"):
        bench.shell.start(gone, stdin=bench.stdin, stdout=bench.stdout)
    assert bench.registry.running == 0


# -- switches


def test_a_switch_tells_those_who_listen_and_those_who_come_later() -> None:
    switch, heard = Switch(), []
    with switch.heard_by(lambda: heard.append("one")):
        assert (heard, switch.is_on) == ([], False)
        switch.turn()
        assert (heard, switch.is_on) == (["one"], True)
    with switch.heard_by(lambda: heard.append("late")):
        assert heard == ["one", "late"]
    switch.turn()
    assert heard == ["one", "late"], "nobody listens any more"
    switch.close()
    switch.close()
    switch.turn()
    assert switch.is_on


def test_a_pipe_is_widened_where_the_kernel_allows_it() -> None:
    reader, writer = os.pipe()
    try:
        widen_pipe(reader)
        assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) >= 1 << 16
    finally:
        os.close(reader)
        os.close(writer)
    with open(os.devnull, "rb") as no_pipe:
        widen_pipe(no_pipe.fileno())
