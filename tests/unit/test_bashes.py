"""Commands under a bash that stays: as under one of their own, and none leaves a trace for the next."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.bashes import Bashes, _loop
from s4zmq.errors import RequestError, StorageError
from s4zmq.processes import Registry
from s4zmq.shell import Command, Outcome, Shell, Switch

from ..harness import wait_until
from .helpers import is_running, run_alone

KEY = "s4://bucket/dir/name"


class Bench:
    """A node's shell, and the bashes of one job on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.folder = folder / "command"
        self.folder.mkdir()
        self.registry = Registry(folder)
        self.shell = Shell(self.registry, str(folder / "s4.conf"), "")
        self.cancel = Switch()
        self._pools: dict[str, Bashes] = {}

    def bashes(self, text: str) -> Bashes:
        return self._pools.setdefault(text, Bashes(self.shell, text))

    def run(self, text: str, stdin: str = "", *, alone: bool = False, timeout_s: float = 0) -> Done:
        """Run as one of the commands of a job, or `alone`, with files as a node has them."""
        source, sink = (os.open(self.root, os.O_RDWR | os.O_TMPFILE) for _ in range(2))
        try:
            os.pwrite(source, stdin.encode(), 0)
            command = Command(text, "name", KEY, str(self.folder))
            run = self.bashes(text).run if not alone else self._run_alone
            outcome = run(command, stdin=source, stdout=sink, cancel=self.cancel, timeout_s=timeout_s)
            return Done(outcome, os.pread(sink, 1 << 20, 0).decode())
        finally:
            os.close(source)
            os.close(sink)

    def _run_alone(self, command: Command, **kwargs: object) -> Outcome:
        return run_alone(self.shell, command, **kwargs)  # type: ignore[arg-type]

    def pids(self) -> list[int]:
        """The bashes that stay."""
        return [bash._popen.pid for pool in self._pools.values() for bash in pool._idle]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self.cancel.close()


class Done:
    """What one command came to; numbers that differ by nature are made alike."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, outcome: Outcome, stdout: str) -> None:
        self.outcome = outcome
        self.status = outcome.status
        self.stdout = stdout
        said = outcome.stderr.decode().replace("bash: eval:", "bash: -c:")
        self.stderr = re.sub(r"(line \d+:) +\d+ ", r"\1 PID ", re.sub(r"(?m)^ +\d+ ", "PID ", said))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Done) and self._all() == other._all()

    def _all(self) -> tuple[int, str, str]:
        return self.status, self.stdout, self.stderr

    def __repr__(self) -> str:
        return repr(self._all())


@pytest.fixture
def bench(tmp_path: Path, subreaper: None, no_descriptor_left: None) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    pids = made.pids()
    made.close()
    assert made.registry.running == 0
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


# -- the same outcome as under a bash of its own

WHAT_IT_SEES = """
env | grep -v -e ^S4_TASK= -e ^_= | sort
set -o
shopt
umask; ulimit -a
trap; trap -p
jobs; hash; dirs; alias
export -p | grep -v S4_TASK
declare -F
echo $# "$0" "$*" $- $_ "$PWD" $((SECONDS < 60)) "$SHLVL" $OPTIND
echo ${BASH_SOURCE[@]} . ${FUNCNAME[@]} . $LINENO
echo $BASH_EXECUTION_STRING
compgen -v | grep -v -e PIPESTATUS -e ^_$
cd /proc/$BASHPID/fd; echo *; cd "$TMPDIR"
grep Sig[BIC] /proc/self/status
grep Sig[BIC] < /proc/$BASHPID/status
cat
tty
""".splitlines()

ENDS = """
exit 3
false
false | true
true | false
set +e; false; echo on
exit 7 8
(exit 5)
((0))
[[ a == b ]]
f() { return 5; }; f
return 3
break
continue; echo a
local x=1
exec false
exec nosuch
nosuch
/etc/passwd
exec true
logout
trap 'echo bye; exit 4' EXIT; false
trap 'echo bye' EXIT
trap 'echo e $?' ERR; false
trap 'echo int' INT; kill -INT $BASHPID; echo on
kill $BASHPID
kill -9 $BASHPID
kill -INT $BASHPID
kill 0
kill $$
kill -9 $$
bash -c 'kill -9 $$'; echo after
bash -c 'kill -9 $$' | cat
p=$BASHPID; (sleep 0.2; kill -CONT $p) & kill -STOP $p; exit 3
echo $unset
echo $!
echo $1
""".strip().splitlines()

SYNTAX = [
    "if",
    "if true\nfoo\nfi",
    "echo a; )",
    "echo a\n)\necho b",
    "echo 'a",
    'echo "a',
    "echo $(",
    "echo a\\",
    "cat # x",
    "# nothing",
    "\n\nnosuch",
    "\n\necho $LINENO",
    "f() {\n echo $LINENO; nosuch\n}\n\nf",
    "cat <<E\nhi\nE",
    "cat <<E\nhi",
    "cat <<< hi",
    "shopt -s extglob\necho !(x)",
    "done",
    "fi",
    "function x",
    "time",
    "coproc",
    "}",
    "%s %d %%",
    "echo %s 50%",
    "printf 'é\\n\\x01'",
    "echo \t a  b ",
    "  echo ' a ' \"b $filename\" $S4_KEY x=1 -n",
    "echo ü",
    "echo a;",
    "cat\n",
]

THINGS = [
    "read x; echo $x; read y",
    "mapfile x; echo ${#x[@]}",
    "x=$(cat); echo $x",
    "head -c 3; cat",
    "exec 0<&-; cat",
    "exec >&-; echo x",
    "exec 2>&-; nosuch",
    "exec 3>&-; echo ok",
    "exec {fd}>/dev/null; echo $fd",
    "sleep 0.1 & wait; echo $?",
    "sleep 0.1 & wait $!; echo $?; jobs",
    "coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x",
    "set -m; sleep 0.1 & wait; echo $?",
    "set -- a b; echo $2 $#",
    "nohup true; setsid true; disown -a",
    "setsid sleep 1000 & true",
    "(sleep 1000 &) ; nohup sleep 1000 > /dev/null 2>&1 & disown",
    "echo $SECONDS; getopts a x || echo $OPTIND",
    "times > /dev/null; ulimit -n 64; ulimit -n",
    "cd ..; pwd | grep -c /; cd - > /dev/null; pwd",
    "cat <(echo a) <(echo b)",
    "echo 'for x in a b; do echo $x; done' | bash",
    'while read -r x; do echo "<$x>"; done',
    "seq 100000 >&2; exit 1",
    "rmdir ../command; mkdir ../command",
]


@pytest.mark.parametrize("text", [text for text in WHAT_IT_SEES if text])
def test_a_command_sees_the_same(bench: Bench, text: str) -> None:
    alone = bench.run(text, "some\ninput\n", alone=True)
    for _ in range(2):
        assert bench.run(text, "some\ninput\n") == alone


@pytest.mark.parametrize("text", ENDS + SYNTAX + THINGS)
def test_a_command_comes_to_the_same(bench: Bench, text: str) -> None:
    alone = bench.run(text, "some\ninput\n", alone=True)
    for _ in range(2):
        assert bench.run(text, "some\ninput\n") == alone


def test_a_long_command_and_long_names_are_fine(bench: Bench) -> None:
    text = "echo start; " + ": ä;" * 16000 + "echo $filename"
    command = Command(text, "n" * 255, "s4://" + "k" * 1024, str(bench.folder))
    sink = os.open(bench.root, os.O_RDWR | os.O_TMPFILE)
    try:
        run = bench.bashes(text).run
        assert run(command, stdin=sink, stdout=sink, cancel=bench.cancel).status == 0
        assert os.pread(sink, 1 << 20, 0) == b"start\n" + b"n" * 255 + b"\n"
    finally:
        os.close(sink)


@pytest.mark.parametrize(
    "name", ["$(touch)", "`touch`", "a;touch$IFS", "$HOME", "~", "-n", "ä", "a&b", "{a,b}"]
)
def test_names_are_data(bench: Bench, name: str) -> None:
    text = 'printf %s "$filename $S4_KEY"'
    sink = os.open(bench.root, os.O_RDWR | os.O_TMPFILE)
    try:
        command = Command(text, name, f"s4://b/{name}", str(bench.folder))
        run = bench.bashes(text).run
        assert run(command, stdin=sink, stdout=sink, cancel=bench.cancel) == Outcome(0, b"")
        assert os.pread(sink, 1 << 10, 0).decode() == f"{name} s4://b/{name}"
    finally:
        os.close(sink)
    assert not os.listdir(bench.folder)


@pytest.mark.parametrize("name", ["a b", "a\nb", "", "a\tb", "a\0b"])
def test_a_name_that_would_break_the_line_is_refused(bench: Bench, name: str) -> None:
    command = Command("true", name, KEY, str(bench.folder))
    with pytest.raises(RequestError):
        bench.bashes("true").run(command, stdin=0, stdout=1, cancel=bench.cancel)


# -- no trace for the next

FROM_STDIN = ". /dev/stdin"
LEAVES = [
    "x=1; filename=other; export S4_KEY=other NEW=1; declare -r y=2; in=1 out=2 err=3 status=4",
    "cd /; umask 0; ulimit -n 32; ulimit -t 5",
    "set +e +u; set -fx; shopt -s nullglob extglob; set -o posix; set -m",
    "f() { :; }; echo() { :; }; alias cat=false; enable -n printf; hash -p /bin/false cat; unset PATH",
    "trap 'exit 9' EXIT TERM INT HUP CHLD DEBUG; trap '' PIPE; set -- a b c",
    "exec 3</dev/null 4>/dev/null 9<&0; exec 0<&- 1>&- 2>&-",
    "IFS=:; LINENO=77; SECONDS=99; RANDOM=1; OPTIND=5; HOME=/x; BASH_ENV=/x; BASH_EXECUTION_STRING=exit",
    "sleep 1000 & setsid sleep 1000 & coproc cat; exit 3",
    "exit 3",
    "kill -9 $$",
    "kill -TERM $BASHPID",
    "unset filename S4_KEY TMPDIR PWD; readonly filename TMPDIR",
    "pushd / >&2; history -c; bind -x x 2>&1; complete -W x y",
]


@pytest.mark.parametrize("leaves", LEAVES)
def test_what_one_leaves_the_next_does_not_find(bench: Bench, leaves: str) -> None:
    look = "\n".join(text for text in WHAT_IT_SEES if text and text not in ("cat", "tty"))
    expected = bench.run(FROM_STDIN, look, alone=True)
    assert expected.status == 0
    bench.run(FROM_STDIN, leaves)
    assert bench.run(FROM_STDIN, look) == expected


def test_random_numbers_differ(bench: Bench) -> None:
    text = "echo $RANDOM $RANDOM $SRANDOM"
    assert len({bench.run(text).stdout for _ in range(5)}) == 5


def test_stderr_of_an_earlier_command_is_not_shown_as_that_of_the_next(bench: Bench) -> None:
    text = 'if mkdir first; then setsid bash -c "sleep 0.1; yes ghost >&2" & fi; sleep 0.2; exit 3'
    bench.run(text)
    assert bench.run(text).stderr == "mkdir: cannot create directory 'first': File exists\n"


# -- one bash for many commands, and its end


def test_one_bash_runs_them_all(bench: Bench) -> None:
    parents = {bench.run("echo $$").stdout for _ in range(5)}
    assert parents == {f"{pid}\n" for pid in bench.pids()}
    assert len(parents) == 1


def test_as_many_bashes_as_commands_at_once(bench: Bench) -> None:
    text = "touch $BASHPID; until [ $(ls | wc -l) = 3 ]; do sleep 0.01; done"
    threads = [threading.Thread(target=bench.run, args=(text,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(bench.pids())) == 3


@pytest.mark.parametrize(
    ("text", "is_in_place"),
    [
        ("cat", True),
        ("sort -k 1,1 -t, 'a b' \"$filename\" $S4_KEY", True),
        ("python3 ./x.py --a=b", True),
        ("x=1", False),
        (". x", False),
        ("echo a", False),
        ("x=1 cat", False),
        ("if true", False),
        ("cat | cat", False),
        ("cat;cat", False),
        ("cat #", False),
        ("cat )", False),
        ("cat\ncat", False),
        ("cat 'a", False),
        ('cat "`x`"', False),
        ("cat $(x)", False),
        ("cat \\", False),
        ("!", False),
        ("cat ä", False),
    ],
)
def test_only_what_is_surely_one_program_stands_in_the_loop_itself(text: str, is_in_place: bool) -> None:
    assert (" eval " not in _loop(text)) == is_in_place


@pytest.mark.parametrize("word", ["$filename ", '"$filename" ', "$filename", "a", "'a' ", "$a$b "])
def test_no_command_takes_long_to_look_at(word: str) -> None:
    for end in ("| cat", "; cat", "> x", '"'):
        assert " eval " in _loop(f"x {word * 2000}{end}"), (
            "each would take years if it were tried in all ways"
        )


def test_what_a_command_says_in_place_of_its_bash_is_no_answer(bench: Bench) -> None:
    text = "if mkdir first; then echo 0 > /proc/$$/fd/1; sleep 0.2; fi; cat"
    disturbed = bench.run(text, "some input")
    assert (disturbed.status, disturbed.stdout) == (1, "")
    assert "wrote to /proc/$$/fd/1" in disturbed.stderr
    assert bench.run(text, "some input").stdout == "some input"


def test_what_was_said_unasked_does_not_reach_the_next_command(bench: Bench) -> None:
    assert bench.run("cat", "a").stdout == "a"
    (pid,) = bench.pids()
    with open(f"/proc/{pid}/fd/1", "wb", buffering=0) as answers:
        answers.write(b"0\n")
    assert bench.run("cat", "b").stdout == "b"
    assert bench.pids() != [pid]


def test_a_command_may_begin_with_a_dash(bench: Bench) -> None:
    for alone in (True, False):
        ended = bench.run("-x; cat", "a", alone=alone)
        assert (ended.status, ended.stdout) == (127, "")
        assert "command not found" in ended.stderr


def test_a_single_program_takes_one_process_and_no_more(bench: Bench) -> None:
    text = "awk 'BEGIN { getline < \"/proc/self/stat\"; print $1, $5, $4 }'"
    pid, group, parent = bench.run(text).stdout.split()
    assert (pid, [int(parent)]) == (group, bench.pids())


def test_a_bash_that_died_while_it_waited_is_replaced(bench: Bench) -> None:
    assert bench.run("echo a").stdout == "a\n"
    (pid,) = bench.pids()
    os.kill(pid, 9)
    wait_until(lambda: not is_running(pid), "its death")
    assert bench.run("echo a").stdout == "a\n"
    assert bench.pids() != [pid]


def test_a_bash_that_dies_with_its_command_fails_it_and_takes_it_along(bench: Bench) -> None:
    text = "setsid sleep 1000 & sleep 1000 & echo $$ $BASHPID $!; kill $$; sleep 1000"
    done = bench.run(text)
    assert done.status == 128 + 15
    assert not [pid for pid in map(int, done.stdout.split()) if is_running(pid)]
    assert bench.pids() == []


def test_a_bash_ends_when_its_node_has_gone(bench: Bench) -> None:
    pool = bench.bashes("true")
    bench.run("true")
    (bash,) = pool._idle
    assert bash._popen.stdin
    bash._popen.stdin.close()  # as the kernel does with all that a dead node had
    assert bash._popen.wait(10) in (0, 1)


def test_no_bash_holds_open_what_another_waits_for(bench: Bench) -> None:
    for text in ("true", "echo a", "sleep 0.1"):
        bench.run(text)
    for pid in bench.pids():
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert sum(link.startswith("pipe:") for link in links) == 2


def test_a_cancelled_or_late_command_is_gone_with_its_descendants(bench: Bench) -> None:
    text = "setsid sleep 1000 & echo $!; (setsid sleep 1000 & echo $!); sleep 1000 & echo $!; wait"
    late = bench.run(text, timeout_s=0.3)
    assert late.outcome == Outcome(128 + 9, b"", timed_out=True)
    thread = threading.Timer(0.3, bench.cancel.turn)
    thread.start()
    cancelled = bench.run(text)
    thread.join()
    assert cancelled.outcome.cancelled
    pids = list(map(int, (late.stdout + cancelled.stdout).split()))
    assert len(pids) == 6
    assert not [pid for pid in pids if is_running(pid)]


def test_a_closed_pool_keeps_no_bash(bench: Bench) -> None:
    pool = bench.bashes("sleep 0.3")
    thread = threading.Thread(target=bench.run, args=("sleep 0.3",))
    thread.start()
    wait_until(lambda: bench.registry.running, "its start")
    pool.close()
    thread.join(10)
    assert (bench.pids(), bench.registry.running) == ([], 0)


def test_without_bash_there_is_an_error_that_says_so(bench: Bench, tmp_path: Path) -> None:
    bench.shell.environment = {"PATH": str(tmp_path)}
    with pytest.raises(StorageError, match="can not start bash: No such file"):
        bench.run("true")
    assert bench.registry.running == 0
