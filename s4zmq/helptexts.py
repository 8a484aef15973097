"""The help of one command: its part of USAGE, and examples of its use.

The examples are written here and nowhere else; the man page shows them too. Tests type them into a shell,
in the order in which they stand, those of one command after those of another. What USAGE says is read by
`synopsis`.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

from . import synopsis
from .synopsis import Verb

WIDTH = 100

Examples = tuple[tuple[str, str], ...]
"""(what it is for, the command) each."""

EXAMPLES: dict[str, Examples] = {
    "cp": (
        ("A file in, and out under another name", "s4 cp trips.csv s4://trips/all.csv"),
        ("", "s4 cp s4://trips/all.csv back.csv"),
        ("A folder; again, passing over what is there with equal bytes", "s4 cp -r months s4://months/"),
        ("", "s4 cp -r --resume months s4://months/"),
        ("From a pipe, and into one", "seq 1000 | s4 cp - s4://numbers/thousand"),
        ("", "s4 cp s4://numbers/thousand - | sort -rn > down.txt"),
        (
            "All that lies below a prefix in S3, moved by the nodes",
            "s4 cp -r s3://my-bucket/trips/ s4://csv/",
        ),
        ("A checkpoint of a folder in S3", "s4 cp -r s4://csv/ s3://my-bucket/checkpoint/"),
    ),
    "ls": (
        ("The buckets", "s4 ls"),
        ("One folder, then all below it", "s4 ls s4://months/"),
        ("", "s4 ls -r s4://months/"),
        ("All that starts with a text, as in aws s3 ls", "s4 ls s4://months/2009-"),
        ("How many bytes a folder has", "s4 ls -r s4://months/ | awk '{sum += $3} END {print sum}'"),
    ),
    "rm": (
        ("One key", "s4 rm s4://months/2009-01.csv"),
        ("What would go: every key that starts with this, in all buckets", "s4 rm -r --dry-run s4://step"),
        ("Start a pipeline with no outputs of an older run", "s4 rm -r s4://step"),
    ),
    "verify": (
        ("Read all keys anew, on all nodes at the same time", "s4 verify"),
        ("Those of one folder", "s4 verify s4://months/"),
        ("Those that start with a text", "s4 verify s4://months/2009-"),
    ),
    "eval": (
        ("Look at a key without copying it", "s4 eval s4://months/2009-01.csv 'wc -l'"),
        ("Its first lines", "s4 eval s4://months/2009-01.csv 'sed -n 1,5p'"),
        ("Count by a column", "s4 eval s4://months/2009-01.csv 'cut -d, -f2 | sort | uniq -c'"),
        ("Which node it is on", "s4 eval s4://months/2009-01.csv 'hostname'"),
    ),
    "map": (
        ("Select columns of every file", "s4 map s4://months/ s4://columns/ 'cut -d, -f1-2'"),
        ("Search; grep that finds nothing fails", "s4 map s4://months/ s4://cash/ 'grep CASH || true'"),
        ("A script that comes along", "s4 map --file sum.py s4://months/ s4://sums/ 'python3 sum.py'"),
        ("Only some inputs", "s4 map 's4://months/2009-*' s4://sizes/ 'wc -c'"),
        ("Where it would run", "s4 map --dry-run s4://months/ s4://sorted/ 'sort'"),
        (
            "For long runs; the same words with --resume finish what was interrupted",
            "s4 map --retries 2 --timeout 600 --keep-going s4://months/ s4://gz/ gzip",
        ),
        ("", "s4 map --resume --retries 2 --timeout 600 --keep-going s4://months/ s4://gz/ gzip"),
    ),
    "map-to-n": (
        (
            "A file for each value of a column; those of one name meet on one node",
            "s4 map-to-n s4://months/ s4://by-kind/ 'awk -F, \"{print > \\$2}\" && ls'",
        ),
        (
            "Bring everything together on one node",
            "s4 map-to-n s4://months/ s4://one/ 'cat > all && echo all'",
        ),
        (
            "Cut into pieces that are spread over all nodes by their numbers",
            "s4 map-to-n s4://months/ s4://pieces/ 'split -l 20 -d - piece && for p in piece*;"
            " do mv $p ${p#piece}_$filename; done && ls'",
        ),
    ),
    "map-from-n": (
        ("Merge what has one name", "s4 map-from-n s4://by-kind/ s4://kinds/ 'xargs cat | sort'"),
        ("Count it", "s4 map-from-n s4://by-kind/ s4://counts/ 'xargs cat | wc -l'"),
        (
            "Merge sorted files without reading them whole",
            "s4 map-from-n s4://one/ s4://order/ 'xargs sort -m'",
        ),
    ),
    "config": (
        ("The addresses of the nodes, in their order", "s4 config"),
        ("How many there are", "s4 config | wc -l"),
        ("Those of another cluster", "s4 -c other.conf config"),
    ),
    "health": (
        ("Which nodes answer", "s4 health"),
        ("Wait in a script until all do", "until s4 health > /dev/null; do sleep 1; done"),
        ("Only those that do not", "s4 health | grep ^unhealthy || true"),
    ),
    "status": (
        ("How each node is", "s4 status"),
        ("For a program, an object a line", "s4 status --json"),
        ("Only nodes that are not up", "s4 status | awk 'NR > 1 && !/ up /'"),
    ),
    "jobs": (
        ("What runs, and what has ended lately", "s4 jobs"),
        ("What runs now", "s4 jobs | grep running || true"),
        ("For a program, an object a line", "s4 jobs --json"),
    ),
    "cancel": (
        (
            "Stop the job that was started last; its command says so",
            "s4 cancel $(s4 jobs | awk 'NR == 2 {print $1}')",
        ),
    ),
    "logs": (
        (
            "What the failed commands of the last job wrote to stderr",
            "s4 logs $(s4 jobs | awk 'NR == 2 {print $1}')",
        ),
        (
            "Those on one input",
            "s4 logs $(s4 jobs | awk 'NR == 2 {print $1}') s4://months/2009-01.csv",
        ),
        ("For a program", "s4 logs --json $(s4 jobs | awk 'NR == 2 {print $1}')"),
    ),
    "du": (
        ("What is below a folder", "s4 du s4://months/"),
        ("How it is spread", "s4 du --per-node s4://months/"),
        ("All that starts with a text", "s4 du s4://months/2009-"),
    ),
    "keygen": (
        ("A key where commands and nodes look for it", "s4 keygen"),
        ("One beside the conf file of a cluster, which finds it by its name", "s4 keygen --key taxi.key"),
        ("Who may read it", "ls -l taxi.key"),
    ),
    "up": (
        ("Three nodes on this machine", "s4 up"),
        ("Other data, another place", "S4_HOME=$HOME/two s4 up --nodes 2"),
        ("Once more: it starts what does not run", "s4 up"),
    ),
    "down": (
        ("Stop the nodes; what they hold stays", "s4 down"),
        ("Stop them and delete it", "s4 down --purge"),
        ("Those of another place", "S4_HOME=$HOME/two s4 down --purge"),
    ),
    "demo": (("A pipeline over the source of Python, on a cluster that is gone afterwards", "s4 demo"),),
    "completion": (
        ("In ~/.bashrc", "source <(s4 completion bash)"),
        ("In ~/.zshrc, or as _s4 in a folder of $fpath", "s4 completion zsh > ~/_s4"),
        (
            "For fish",
            "mkdir -p ~/.config/fish/completions; s4 completion fish > ~/.config/fish/completions/s4.fish",
        ),
    ),
    "help": (
        ("Everything", "s4 help"),
        ("One command", "s4 help map"),
        ("The commands about EC2", "s4 help cluster"),
    ),
    "cluster up": (
        (
            "Two machines for an hour, which then end by themselves",
            "s4 cluster up taxi --num 2 --type i3en.xlarge --subnet subnet-1 --ssh-from 203.0.113.7/32",
        ),
        (
            "Twelve at the spot price that may write a bucket",
            "s4 cluster up taxi --num 12 --type i3en.xlarge --spot --s3-write my-results",
        ),
        (
            "Of your own image, for three hours",
            "s4 cluster up taxi --num 3 --type m6id.large --ami mine --hours 3",
        ),
    ),
    "cluster ls": (
        ("What runs, how old it is, and how long still", "s4 cluster ls"),
        ("In another region", "s4 cluster ls --region us-west-2"),
        ("Names alone", "s4 cluster ls | awk 'NR > 1 {print $1}'"),
    ),
    "cluster connect": (
        ("A way from here to the nodes", "s4 cluster connect taxi"),
        ("To a cluster that was started elsewhere", "s4 cluster connect taxi --region us-east-1"),
        (
            "Then, in another terminal",
            "export S4_CONF_PATH=~/.s4/clusters/taxi.conf; s4 health",
        ),
    ),
    "cluster ssh": (
        ("A shell on the first machine", "s4 cluster ssh taxi"),
        ("A command there", "s4 cluster ssh taxi 's4 health'"),
        ("How full its disk is", "s4 cluster ssh taxi 'df -h .'"),
    ),
    "cluster down": (
        ("Delete it with all that up has made; asks first", "s4 cluster down taxi"),
        ("In a script", "s4 cluster down taxi --yes"),
        ("One in another region", "s4 cluster down taxi --region us-east-1 --yes"),
    ),
}
"""Commands to their examples."""


def asked_for(argv: list[str]) -> str:
    """The help that `s4 VERB --help` asks for; "" where the words ask for none, or not for a verb's."""
    before = argv[: argv.index("--")] if "--" in argv else argv
    verbs = found(argv)
    return help_of(verbs) if verbs and {"-h", "--help"}.intersection(before) else ""


def found(argv: list[str]) -> list[Verb]:
    """The verbs that words begin with, options aside: one, several for `cluster`, or none."""
    verbs = synopsis.verbs()
    takes = {name for verb in verbs for option in verb.options if option.argument for name in option.names}
    best: list[Verb] = []
    words: tuple[str, ...] = ()
    is_value = False
    for word in argv:
        if not is_value and not word.startswith("-"):
            words = (*words, word)
            fitting = [verb for verb in verbs if verb.words[: len(words)] == words]
            if not fitting:
                break
            best = fitting
        is_value = word in takes
    return best


def misfit(argv: list[str]) -> str:
    """What is wrong with words that USAGE has no pattern for, as far as that can be told."""
    verbs = found(argv)
    options = {name for verb in verbs for option in verb.options for name in option.names}
    commands = {verb.words[0] for verb in synopsis.verbs()}
    if not verbs:
        unknown = [word for word in _without_general(argv) if not word.startswith("-")][:1]
        return _unknown("command", unknown, commands) or "these words do not fit the usage"
    before = argv[: argv.index("--")] if "--" in argv else argv
    strange = [word for word in before if word.startswith("--") and word.partition("=")[0] not in options]
    what = f"option of `s4 {verbs[0].words[0]}`"
    return _unknown(what, strange[:1], options) or "these words do not fit the usage"


def _without_general(argv: list[str]) -> list[str]:
    """What stands behind the options that come before any command, and their values."""
    takes = {name for option in synopsis.general_options() if option.argument for name in option.names}
    while argv[:1] and argv[0] in takes:
        argv = argv[2:]
    return argv


def _unknown(what: str, words: list[str], known: set[str]) -> str:
    """The first of these words is not known; "" where there is none."""
    if not words:
        return ""
    near = difflib.get_close_matches(words[0], sorted(known), n=1)
    return f"{words[0]} is no {what}" + (f": do you mean {near[0]}?" if near else "")


def usage_of(verbs: Iterable[Verb]) -> str:
    """Their lines of USAGE, each with its own word where USAGE has alternatives."""
    lines = ["Usage:"]
    for verb in verbs:
        for line in verb.lines:
            own = line.replace(_alternatives(line, verb.words[-1]), verb.words[-1])
            lines += _wrapped(own, "  ", " " * 15)
    return "\n".join(lines)


def help_of(verbs: list[Verb]) -> str:
    """What `s4 help` says of some verbs."""
    name = verbs[0].name if len(verbs) == 1 else verbs[0].words[0]
    options = dict.fromkeys(option for verb in verbs for option in verb.options)
    parts = ["\n".join(_wrapped(f"s4 {name}: {verbs[0].text}", "", "  ")), usage_of(verbs)]
    if options:
        width = max(len(option.shown) for option in options) + 4
        rows = [_wrapped(option.text, f"  {option.shown}".ljust(width), " " * width) for option in options]
        parts.append("\n".join(["Options:", *(line for row in rows for line in row)]))
    examples = [line for verb in verbs for line in _example_lines(EXAMPLES.get(verb.name, ()))]
    if examples:
        parts.append("\n".join(["Examples:", *examples]))
    return "\n\n".join(parts) + "\n"


def _alternatives(line: str, word: str) -> str:
    """The brackets of a usage line in which a verb is one of several: `(map | map-to-n)`."""
    for group in synopsis.groups(line):
        if word in (alternative.strip() for alternative in group.strip("()").split("|")):
            return group
    return word


def _example_lines(examples: Examples) -> list[str]:
    lines = []
    for about, command in examples:
        lines += [f"  # {about}."] if about else []
        lines.append(f"  {command}")
    return lines


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
