"""The commands of one job, run by bashes that stay: one fork for each command, not a start of bash.

    node                                     bash, one for each command that runs at once
     | -- "nonce name key folder in out err" > |     a line on its stdin; the last three are
     |                                         |     descriptors of the node
     |                                         | -- fork --> ( the command ), a group of its own
     | <-- "nonce status" -------------------- |     a line on its stdout

The command opens the node's descriptors by /proc/PID/fd, so it has no other than its own three. What
it does to variables, options, folders, traps or descriptors is done in a fork, and gone with it. One
thing tells it from a bash of its own: `$$` is the bash that stays. Who kills that has failed, and the
next command gets a new one; so has who writes to its stdout, `/proc/$$/fd/1`: an answer has to begin
with the nonce of its request.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
from contextlib import suppress

from .commandtext import check_command
from .errors import RequestError, StorageError
from .processes import MARKER, kill_groups_below
from .shell import Command, Outcome, Shell, Switch, status_of
from .watching import Tail, can_be_read, feed_rest, watch

# One line without an end, so that bash's messages about the command count its lines from 1. Nothing is
# left for a command to see: BASH_EXECUTION_STRING holds what it holds under `bash -c TEXT`.
_BEFORE = " ".join(
    (
        "declare -x filename S4_KEY TMPDIR; BASH_EXECUTION_STRING=$1; shift;",
        "set -m;",  # a process group for each command
        "while read -r nonce filename S4_KEY TMPDIR in out err; do (",
        'set +m; cd -P "$TMPDIR" || exit;',
        "unset nonce in out err status OLDPWD; declare -x OLDPWD; SECONDS=0;",
        "set -eou pipefail; : bash;",  # for $_
    )
)
_AFTER = " ".join(
    (
        # stderr comes first: it shall say what is wrong with the others. `1<>`, as `>` truncates, and
        # what was truncated ext4 writes to the disk at once when it is closed.
        ') 2>"/proc/$PPID/fd/$err" <"/proc/$PPID/fd/$in" 1<>"/proc/$PPID/fd/$out";',
        "status=$?;",
        # A command that stopped itself has not ended: it is continued. (`wait -f` may miss its end.)
        "while ((status > 128)) && jobs %% >&2; do fg %% >&2; status=$?; done;",
        "echo $nonce $status; done",
    )
)
_EVAL = 'eval -- "$BASH_EXECUTION_STRING"'

# A name ends where no letter follows: else each could be cut in as many ways as it is long, and the
# search would try them all.
_NAME = r"\$[a-zA-Z_]\w*(?!\w)"
_WORD = rf"""(?:[\w./+:,@%^=-]|'[^'\n]*'|"(?:[^"\n$`\\!]|{_NAME})*"|{_NAME})+"""
_ONE_PROGRAM = re.compile(rf"[ \t]*([\w./+:,@%^-]+)(?:[ \t]+{_WORD})*[ \t]*", re.ASCII)
# What bash does itself: keywords would break the loop, and builtins gain nothing by standing in it.
_NO_PROGRAMS = (
    ". : alias bg bind break builtin caller case cd command compgen complete compopt continue coproc "
    "declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for "
    "function getopts hash help history if in jobs kill let local logout mapfile popd printf pushd "
    "pwd read readarray readonly return select set shift shopt source suspend test then time times "
    "trap true type typeset ulimit umask unalias unset until wait while "
)
_OF_BASH = frozenset(_NO_PROGRAMS.split())


def _loop(text: str) -> str:
    """What the bash runs. Under `eval` it would fork once more for a single program, which takes a
    quarter longer, so one that can mean nothing else stands in the loop as it is."""
    found = _ONE_PROGRAM.fullmatch(text)
    is_plain = found is not None and found[1] not in _OF_BASH
    return f"{_BEFORE} {text if is_plain else _EVAL} {_AFTER}"


_DISTURBED = b"s4: the command wrote to /proc/$$/fd/1, which is not its own stdout: write to /dev/stdout\n"


class Bashes:
    """The bashes of one job: started as they are needed, ended with the job."""

    def __init__(self, shell: Shell, text: str) -> None:
        """Starts nothing. Raises RequestError for a text that is no command."""
        check_command(text)
        self._shell = shell
        self._text = text
        self._loop = _loop(text)
        self._lock = threading.Lock()
        self._idle: list[_Bash] = []
        self._is_closed = False

    def run(
        self, command: Command, *, stdin: int, stdout: int, cancel: Switch, timeout_s: float = 0
    ) -> Outcome:
        """Run to the end; stderr is kept as a tail. Both files are opened anew, at their start.

        Raises StorageError where bash can not be started.
        """
        assert command.text == self._text, "the commands of a job have one text"
        tail = Tail()
        stderr, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)  # a fresh one: no orphan writes to it
        try:
            bash = self._ask(_request(command, stdin, stdout, writer))
            try:
                ended = watch(bash.answers, {stderr: tail.take}, cancel.fd, timeout_s)
                status = bash.answer(tail) if ended == "end" else bash.end()
                bash.end_descendants()
                if ended != "cancel":
                    feed_rest(stderr, tail.take)
            finally:
                self._give_back(bash)
        finally:
            os.close(stderr)
            os.close(writer)
        return Outcome(status, bytes(tail), ended == "timeout", ended == "cancel", tail.cut)

    def _ask(self, request: bytes) -> _Bash:
        """A bash that was given the request. An idle one may have died meanwhile, a new one may not."""
        while True:
            with self._lock:
                bash = self._idle.pop() if self._idle else None
            is_new = bash is None
            bash = bash or _Bash(self._shell, self._loop, self._text)
            try:
                bash.ask(request)
            except OSError as exc:
                bash.end()
                if is_new:
                    raise StorageError(f"bash ended at once: {exc.strerror}") from exc
            else:
                return bash

    def _give_back(self, bash: _Bash) -> None:
        with self._lock:
            if bash.is_idle and not self._is_closed:
                self._idle.append(bash)
                return
        bash.end()

    def close(self) -> None:
        """End them. A command that runs is not disturbed: its bash ends after it."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for bash in idle:
            bash.end()


class _Bash:
    """A bash that stays."""

    def __init__(self, shell: Shell, loop: str, text: str) -> None:
        self._registry = shell.registry
        self._marker = self._registry.new_marker()
        try:
            self._popen = subprocess.Popen(
                ["bash", "--norc", "--noprofile", "-c", loop, "bash", text],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what it says of commands that were killed
                env={**shell.environment, MARKER: self._marker},
                start_new_session=True,  # `set -m` shall find no terminal
                bufsize=0,
            )
        except OSError as exc:
            self._registry.ended(self._marker)
            raise StorageError(f"can not start bash: {exc.strerror}") from exc
        self._registry.started(self._marker, self._popen.pid)
        assert self._popen.stdin
        assert self._popen.stdout
        self._requests = self._popen.stdin.fileno()
        self.answers = self._popen.stdout.fileno()
        """Can be read when a command has ended, or the bash has."""

        self.is_idle = True
        self._has_ended = False
        self._nonce = b""

    def ask(self, request: bytes) -> None:
        """Start a command. Raises OSError where the bash has ended, or has said what it was not asked:
        then nothing was started."""
        if can_be_read(self.answers):
            raise BrokenPipeError(errno.EPIPE, "its stdout was written to")
        self._nonce = os.urandom(8).hex().encode()
        os.write(self._requests, self._nonce + b" " + request)
        self.is_idle = False

    def answer(self, stderr: Tail) -> int:
        """The command's exit status, once `answers` can be read; that of the bash where it died."""
        answer = os.read(self.answers, 4096)
        nonce, _, status = answer.strip().partition(b" ")
        if nonce == self._nonce and status.isdigit():
            self.is_idle = True
            return int(status)
        if answer:
            stderr.take(_DISTURBED)
        else:
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(1)  # its own status says more than that it was killed
        status_of_bash = self.end()
        return 1 if answer else status_of_bash or 1  # without an answer no command has succeeded

    def end_descendants(self) -> None:
        """Kill what a command left running. One that lost its bash is among it."""
        self._registry.end_descendants(self._marker)

    def end(self) -> int:
        """Kill and reap it, with the command that it runs; its exit status. May be called again."""
        self.is_idle = False
        if not self._has_ended:
            self._has_ended = True
            if self._popen.poll() is None:
                kill_groups_below(self._popen.pid)
                self._popen.kill()
            self._popen.wait()
            for pipe in (self._popen.stdin, self._popen.stdout):
                assert pipe
                pipe.close()
            self.end_descendants()
            self._registry.ended(self._marker)
        return status_of(self._popen)


def _request(command: Command, stdin: int, stdout: int, stderr: int) -> bytes:
    """The line that bash reads. Names of keys and the data folder hold nothing that would need quotes."""
    line = f"{command.filename} {command.key} {command.folder} {stdin} {stdout} {stderr}"
    if len(line.split()) != 6 or "\0" in line:
        raise RequestError(f"no command can be run on {command.key!r:.80}: a name holds whitespace")
    return os.fsencode(line) + b"\n"
