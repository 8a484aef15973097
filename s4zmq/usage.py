"""The words of `s4`: USAGE is their specification, and here they become arguments.

What a command does with them stands in `keyverbs`, `jobverbs`, `viewverbs`, `clusterverbs` and `helpverbs`.
Imports nothing at the start, because a loop of `s4 cp` pays for every import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USAGE = """\
s4: immutable keys on a cluster, and shell commands where they lie.

Usage:
  s4 [-c PATH] [--key PATH] cp [-r] [--resume] [--dry-run] [--json] [--quiet] [--no-progress] [--] SRC DST
  s4 [-c PATH] [--key PATH] ls [-r] [--json] [--] [PREFIX]
  s4 [-c PATH] [--key PATH] rm [-r] [--dry-run] [--json] [--quiet] [--no-progress] [--] PREFIX
  s4 [-c PATH] [--key PATH] verify [--quiet] [--no-progress] [--] [PREFIX]
  s4 [-c PATH] [--key PATH] eval [--] KEY CMD
  s4 [-c PATH] [--key PATH] (map | map-to-n | map-from-n) [--retries N] [--timeout SECONDS]
               [--jobs N] [--keep-going] [--resume] [--dry-run] [--file PATH]...
               [--json] [--quiet] [--no-progress] [--] INDIR OUTDIR CMD
  s4 [-c PATH] [--key PATH] config
  s4 [-c PATH] [--key PATH] health [--json]
  s4 [-c PATH] [--key PATH] status [--watch] [--json]
  s4 [-c PATH] [--key PATH] jobs [--json]
  s4 [-c PATH] [--key PATH] cancel JOB
  s4 [-c PATH] [--key PATH] logs [--json] JOB [KEY]
  s4 [-c PATH] [--key PATH] du [--per-node] [--json] [--] PREFIX
  s4 keygen [--key PATH]
  s4 up [--nodes N]
  s4 down [--purge]
  s4 demo
  s4 cluster up NAME --num N --type TYPE [--ami IMAGE] [--spot] [--hours H] [--s3-write BUCKET]...
               [--region R] [--subnet ID] [--ssh-from CIDR] [--ssh-key PUB] [--no-wait]
  s4 cluster ls [--region R]
  s4 cluster connect NAME [--region R]
  s4 cluster ssh NAME [--region R] [--] [CMD]
  s4 cluster down NAME [--region R] [--yes]
  s4 completion (bash | zsh | fish)
  s4 help [VERB]...
  s4 (-h | --help | --version)

  cp          Copy a file, a folder (-r), - or s3://... to s4://..., or back.
  ls          List keys; -r those in folders too; without PREFIX the buckets.
  rm          Remove one key; -r every key that starts with PREFIX, across buckets.
  verify      Read every key that starts with PREFIX, or all, anew and compare its checksum.
  eval        Run CMD where KEY lives, with KEY on its stdin.
  map         Run CMD for each key below INDIR; its stdout becomes a key below OUTDIR.
  map-to-n    Run CMD for each key; the files that it writes and prints become keys.
  map-from-n  Run CMD for each group of keys that share a name or numeric prefix.
  config      The addresses of the nodes, in order.
  health      Which nodes answer.
  status      How each node is: processor, memory, disk, keys, what it works on.
  jobs        Jobs that run, and those that have ended lately.
  cancel      Stop a job on all nodes. JOB is the beginning of its id.
  logs        What the failed commands of a job wrote to stderr; with KEY those on that input.
  du          How many keys and bytes are below PREFIX.
  keygen      Make a cluster key: who has that file can give commands to the nodes.
  up, down    Start and stop nodes on this machine.
  demo        A throw-away cluster and a real pipeline.
  cluster     Clusters on EC2: start one, list them, reach the nodes of one from here, log in or run
              CMD on its first machine, and delete it with all that was made for it.
  completion  Print a script that completes the words of s4 in this shell.
  help        Everything, or with VERB one command with examples, as s4 VERB --help does.

Options:
  -c PATH            The conf file (else $S4_CONF_PATH, else ~/.s4.conf, else that of s4 up).
  --key PATH         The cluster key (else $S4_KEY_PATH, else NAME.key beside a conf file NAME.conf,
                     else ~/.s4.key; '' for none).
  -r                 Everything below.
  --resume           cp: skip what is there already with equal bytes. Maps: finish a run that failed
                     or was interrupted; what it has done is not run again.
  --dry-run          Only say what would be removed, would run where, or from and to S3 move where.
  --json             For programs: a JSON object a line on stdout (SCHEMA.md says what it holds).
  -q, --quiet        Only errors on stderr: no progress, no summary.
  --no-progress      Do not show how far long work is.
  --retries N        Try a failed input again, so many times (else 0).
  --timeout SECONDS  End a command that runs longer, as failed (else never).
  --jobs N           Commands at once per node (else its cores).
  --keep-going       Run all inputs, and report all failures at the end.
  --file PATH        Put this local file into the folder of every command; may be repeated.
  --watch            Show it again and again, until Ctrl-C.
  --per-node         A line for each node too.
  --nodes N          How many nodes to start (else 3).
  --purge            Delete the data too.
  --num N            How many machines to start, a node each.
  --type TYPE        What machines, such as i3en.xlarge.
  --ami IMAGE        Their image: an id, or the name that ami/ built it under [default: s4].
  --spot             At the spot price: AWS may end them at any time.
  --hours H          After so many hours the machines end by themselves [default: 1].
  --s3-write BUCKET  Let the machines write this bucket; may be repeated. They may read all.
  --region R         The region (else that of a cluster that was started from here, else boto3's, such
                     as AWS_DEFAULT_REGION).
  --subnet ID        Where to start them (else a default subnet).
  --ssh-from CIDR    Who may come in by SSH (else this machine's public address alone).
  --ssh-key PUB      A public SSH key of yours to log in with (else one is made for the cluster).
  --no-wait          Do not wait until all nodes are healthy.
  --yes              Do not ask.
"""

Args = Mapping[str, Any]

CLUSTER_COMMANDS = ("cluster", "config", "health", "keygen", "up", "down", "demo")
VIEW_COMMANDS = ("jobs", "cancel", "logs", "status", "du")
KEY_COMMANDS = ("cp", "ls", "rm", "verify", "eval")
JOB_COMMANDS = ("map", "map-to-n", "map-from-n")
HELP_COMMANDS = ("completion", "help")
COMMANDS = (*CLUSTER_COMMANDS, *HELP_COMMANDS, *VIEW_COMMANDS, *KEY_COMMANDS, *JOB_COMMANDS)
"""The one that is given first here is meant: `cluster` has words of others behind it."""


def plain_args(argv: list[str]) -> Args | None:
    """What docopt makes of a command with its words and with flags as USAGE spells them, 4 ms sooner
    and from the same USAGE. None where there is more to it, or less: then docopt is asked.
    """
    which, given = dict[str, str | None].fromkeys(("-c", "--key")), argv
    while len(given) > 1 and given[0] in which and which[given[0]] is None and given[1][:1] != "-":
        which[given[0]], given = given[1], given[2:]
    start = "  s4 [-c PATH] [--key PATH] "
    lines = [line.removeprefix(start).split() for line in USAGE.splitlines() if line.startswith(start)]
    command, *pattern = next((line for line in lines if line[:1] == given[:1]), [""])
    flags = {word.strip("[]"): False for word in pattern if word.startswith("[-")}
    names = [word.strip("[]") for word in pattern if word.strip("[]").isupper()]
    set_flags = [word for word in given[1:] if word in flags]
    words = [word for word in given[1:] if word not in flags]
    if (
        not command
        or "--" in set_flags
        or len(set_flags) > len(set(set_flags))
        or any(word.startswith("-") and word != "-" for word in words)
        or not sum(name in pattern for name in names) <= len(words) <= len(names)
    ):
        return None
    return {
        **dict.fromkeys(COMMANDS, False),
        **which,
        command: True,
        **flags,
        **dict.fromkeys(set_flags, True),
        **dict.fromkeys(names),
        **dict(zip(names, words, strict=False)),
    }


def client_of(args: Args, *, if_stopped: bool = False) -> Any:
    """A session with the cluster that the words name. Raises ConfigError, and NodeUnreachable where it is
    known to be stopped, but for who wants to hear that of each node."""
    from .config import is_stopped
    from .errors import NodeUnreachable
    from .session import Session

    config = config_of(args)
    if not if_stopped and is_stopped(config):
        raise NodeUnreachable("the cluster of `s4 up` is stopped: start it with `s4 up`")
    return Session(config)


def progress_of(args: Args, verb: str, **words: Any) -> Any:
    """What shows how far the command is, as the words want it. `words` are those of `Progress`."""
    from .progress import Progress

    silent = args["--quiet"] or args["--no-progress"]
    how = "" if silent else "json" if args.get("--json") else "shown"
    return Progress(verb, how, **words)


def config_of(args: Args) -> Any:
    """The conf file and key that the words name."""
    from .config import load_config

    return load_config(args["-c"], args["--key"])


def whole_number(args: Args, option: str, least: int, unset: int) -> int:
    """An option's whole number. Raises UsageError."""
    from .errors import UsageError

    text = args[option]
    if text is None:
        return unset
    if not (text.isascii() and text.isdigit() and least <= int(text) <= 1000):
        raise UsageError(f"{option} takes a whole number from {least} to 1000, not {text!r}")
    return int(text)


def seconds(args: Args, option: str) -> float:
    """An option's seconds; 0 where it was not given. Raises UsageError."""
    from .errors import UsageError

    text = args[option]
    try:
        value = float(text or 0)
    except ValueError:
        value = -1
    if text is not None and not 0 < value < 1e8:
        raise UsageError(f"{option} takes seconds above 0, not {text!r}")
    return value
