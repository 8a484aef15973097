"""The completion scripts in the shells that they are for, with the words of USAGE and a cluster's keys."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from s4zmq.synopsis import general_options, verbs
from s4zmq.usage import USAGE

from .cluster.kit import put_keys
from .harness import BIN, Cluster, wait_until

Completes = Callable[[str], set[str]]
"""The words that a shell offers at the end of a line."""

NOBODY = "127.0.0.1:1\n"


def script(shell: str) -> str:
    return run([str(BIN / "s4"), "completion", shell], Path.cwd(), dict(os.environ))


def run(argv: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=folder, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def bash_completes(line: str, folder: Path, environment: dict[str, str]) -> set[str]:
    """What stands where bash replaces the end of the line: it takes words apart at = and :."""
    (folder / ".s4.bash").write_text(script("bash"))
    code = (
        "source .s4.bash; COMP_WORDBREAKS=$' \\t\\n=:'; COMP_LINE=$1 COMP_POINT=${#1}; _s4;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    found = run(["bash", "--norc", "-uc", code, "bash", line], folder, environment)
    whole = re.split(r"[ =]", line)[-1]
    head = whole[: whole.rfind(":") + 1]
    return {head + word for word in found.splitlines() if word}


def fish_completes(line: str, folder: Path, environment: dict[str, str]) -> set[str]:
    (folder / ".s4.fish").write_text(script("fish"))
    code = f"source .s4.fish; complete -C {line!r}"
    environment = {**environment, "XDG_CONFIG_HOME": str(folder / ".config")}
    found = run(["fish", "--no-config", "-c", code], folder, environment)
    return {word.partition("\t")[0].removeprefix("--file=") for word in found.splitlines()}


SHOWN = r"""
PS1= PS2= RPS1=
autoload -Uz compinit
compinit -u -D
source ./.s4.zsh
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a matches
        builtin compadd -A matches "$@"
        (( $#matches )) && print -rl -- "<${(@)^matches}>" >> .offered
    fi
    builtin compadd "$@"
}
zle-line-init() { print ready >> .offered }
zle -N zle-line-init
shown() { zle complete-word; print done >> .offered }
zle -N shown
bindkey '^I' shown
"""
"""Makes a zsh tell of every word that is offered to its user."""


def zsh_completes(line: str, folder: Path, environment: dict[str, str]) -> set[str]:
    """A zsh at a terminal, in which s4 only shows its words; Tab is typed, and it lists all there is."""
    (folder / ".s4.zsh").write_text(script("zsh"))
    (folder / ".shown.zsh").write_text(SHOWN)
    offered = folder / ".offered"
    offered.write_text("")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**environment, "TERM": "dumb"})

    def tells(mark: str) -> bool:
        if select.select([terminal], [], [], 0)[0]:
            os.read(terminal, 65536)
        return mark in offered.read_text().splitlines()

    try:
        os.write(terminal, b"source ./.shown.zsh\n")
        wait_until(lambda: tells("ready"), "zsh to wait for words", 60)
        os.write(terminal, line.encode() + b"\t")
        wait_until(lambda: tells("done"), "zsh to have completed", 60)
    finally:
        os.kill(process, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(process, 0)
    return set(re.findall("<(.+)>", offered.read_text()))


SHELLS = {"bash": bash_completes, "zsh": zsh_completes, "fish": fish_completes}


@pytest.fixture(params=SHELLS)
def completes(request: pytest.FixtureRequest, tmp_path: Path) -> Completes:
    """In a folder with files, and without a cluster that answers."""
    (tmp_path / "trips.csv").touch()
    (tmp_path / "trips").mkdir()
    (tmp_path / "conf").write_text(NOBODY)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environment |= {"S4_CONF_PATH": str(tmp_path / "conf")}
    return lambda line: SHELLS[request.param](line, tmp_path, environment)


# -- what USAGE says


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_and_option_of_usage_is_in_each_script(shell: str) -> None:
    text = script(shell)
    words = {word for verb in verbs() for word in verb.words}
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", USAGE))
    assert len(words) > 20
    assert len(options) > 20
    for word in words:
        assert re.search(rf"(?<![\w-]){word}(?![\w-])", text), word
    for option in options:
        written = re.sub("^--", "-l ", option) if shell == "fish" and option[:2] == "--" else option
        written = re.sub("^-(?=[a-z]$)", "-s ", written) if shell == "fish" else written
        assert re.search(rf"(?<![\w-]){re.escape(written)}(?![\w-])", text), option


def test_usage_is_read_whole() -> None:
    """Each of its lines has a verb, or options alone; each option of the lines is told of below."""
    found = {verb.name: verb for verb in verbs()}
    assert found["cp"].places == ("SRC", "DST")
    assert found["cluster ssh"].places == ("NAME", "CMD")
    assert found["map"].places == found["map-from-n"].places == ("INDIR", "OUTDIR", "CMD")
    assert [option.shown for option in found["up"].options] == ["--nodes N"]
    assert found["cp"].text.startswith("Copy a file")
    assert {name for option in general_options() for name in option.names} >= {"-c", "--key", "--help"}
    assert all(verb.text for verb in found.values())
    assert all(option.text for verb in found.values() for option in verb.options)


def test_the_verbs_of_usage_are_offered_with_all_their_options() -> None:
    """In bash, whose function can be asked many times at once."""
    ask = "COMP_LINE='s4 {0} -'; COMP_POINT=${{#COMP_LINE}}; _s4; echo {0}: ${{COMPREPLY[@]}}"
    asked = "; ".join(ask.format(verb.name) for verb in verbs())
    printed = run(["bash", "-c", f"{script('bash')}\n{asked}"], Path.cwd(), dict(os.environ))
    offered = dict(line.split(":", 1) for line in printed.splitlines())
    for verb in verbs():
        expected = {name for option in verb.options for name in option.names}
        assert expected <= set(offered[verb.name].split()), verb.name


# -- in the shells


def test_words_options_and_files_are_offered_where_they_may_stand(completes: Completes) -> None:
    assert completes("s4 ma") == {"map", "map-to-n", "map-from-n"}
    assert completes("s4 -c conf c") >= {"cp", "config", "cluster", "completion"}
    assert completes("s4 cluster c") == {"connect"}
    assert completes("s4 completion ") == {"bash", "zsh", "fish"}
    assert completes("s4 cp --r") == {"--resume"}
    assert completes("s4 map --retries 3 --ke") == {"--key", "--keep-going"}
    assert completes("s4 map --retries ") == set()
    assert completes("s4 map --file trips.c") == {"trips.csv"}
    assert {word.rstrip("/") for word in completes("s4 cp tri")} == {"trips.csv", "trips"}
    assert completes("s4 cp trips.csv s") == {"s4://", "s3://"}
    assert completes("s4 ls ") == {"s4://"}


def test_without_a_cluster_no_key_is_offered_and_nothing_is_said(completes: Completes) -> None:
    assert completes("s4 ls s4://") == set()
    assert completes("s4 eval s4://b/") == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_buckets_folders_and_keys_are_offered(cluster: Cluster, tmp_path: Path, shell: str) -> None:
    put_keys(cluster, {"s4://trips/2009/a.csv": b"", "s4://trips/2009/b.csv": b"", "s4://trials/x": b""})

    def offers(line: str, *words: str) -> None:
        """A busy machine may need more than the seconds after which a shell waits no longer."""
        environment = {**cluster.environment, "XDG_CONFIG_HOME": str(tmp_path)}
        offered = SHELLS[shell]
        wait_until(lambda: offered(line, tmp_path, environment) == set(words), f"{words} behind {line}", 60)

    offers("s4 ls s4://tri", "s4://trips/", "s4://trials/")
    offers("s4 rm -r s4://trips/", "s4://trips/2009/")
    offers("s4 cp s4://trips/2009/", "s4://trips/2009/a.csv", "s4://trips/2009/b.csv")
    put_keys(cluster, {"s4://odd/a&(b);$c": b""})
    quoted = r"s4://odd/a\&\(b\)\;\$c"
    offers("s4 cp s4://odd/a", "s4://odd/a&(b);$c" if shell == "fish" else quoted)  # fish quotes later
    if shell == "bash":
        offers(r"s4 cp s4://odd/a\&\(", quoted)
    conf = f"-c {cluster.conf} --key {cluster.key_path}"
    offers(f"s4 {conf} map s4://trials/ s4://trips/2009/b", "s4://trips/2009/b.csv")
