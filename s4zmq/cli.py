"""The command line: words to calls, errors to one line and an exit status.

USAGE is the specification. Each command imports what it needs and no
more, because a loop of `s4 cp` pays for every import. Output goes to stdout only if it is data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from . import interrupts

USAGE = """\
s4: immutable keys on a cluster, and shell commands where they lie.

Usage:
  s4 [-c PATH] [--key PATH] cp [-r] [--resume] [--dry-run] [--] SRC DST
  s4 [-c PATH] [--key PATH] ls [-r] [--] [PREFIX]
  s4 [-c PATH] [--key PATH] rm [-r] [--dry-run] [--] PREFIX
  s4 [-c PATH] [--key PATH] verify [--] [PREFIX]
  s4 [-c PATH] [--key PATH] eval [--] KEY CMD
  s4 [-c PATH] [--key PATH] (map | map-to-n | map-from-n) [--retries N] [--timeout SECONDS]
               [--jobs N] [--keep-going] [--resume] [--dry-run] [--file PATH]...
               [--] INDIR OUTDIR CMD
  s4 [-c PATH] [--key PATH] config
  s4 [-c PATH] [--key PATH] health
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
  keygen      Make a cluster key: who has that file can give commands to the nodes.
  up, down    Start and stop nodes on this machine.
  demo        A throw-away cluster and a real pipeline.
  cluster     Clusters on EC2: start one, list them, reach the nodes of one from here, log in or run
              CMD on its first machine, and delete it with all that was made for it.

Options:
  -c PATH            The conf file (else $S4_CONF_PATH, else ~/.s4.conf, else that of s4 up).
  --key PATH         The cluster key (else $S4_KEY_PATH, else NAME.key beside a conf file NAME.conf,
                     else ~/.s4.key; '' for none).
  -r                 Everything below.
  --resume           cp: skip what is there already with equal bytes. Maps: finish a run that failed
                     or was interrupted; what it has done is not run again.
  --dry-run          Only say what would be removed, would run where, or from and to S3 move where.
  --retries N        Try a failed input again, so many times (else 0).
  --timeout SECONDS  End a command that runs longer, as failed (else never).
  --jobs N           Commands at once per node (else its cores).
  --keep-going       Run all inputs, and report all failures at the end.
  --file PATH        Put this local file into the folder of every command; may be repeated.
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

EXIT_USAGE = 2
EXIT_EVAL_FAILED = 255
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_PIPE = 141

Args = Mapping[str, Any]


def run() -> NoReturn:
    """What `bin/s4` calls. Ends the process without tearing the interpreter down, which saves 8 ms."""
    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            status = status or EXIT_PIPE
        except OSError as exc:
            os.write(2, f"s4: writing the output: {exc.strerror}\n".encode())
            status = status or 1
    os._exit(status)


def main(argv: list[str]) -> int:
    """Run one command; its exit status."""
    from .errors import S4Error

    args = plain_args(argv)
    if args is None:
        from docopt import DocoptExit, docopt

        try:
            args = docopt(USAGE, argv, version=_version())
        except DocoptExit as exc:
            print(f"s4: these words do not fit the usage\n{exc.usage.strip()}", file=sys.stderr)
            return EXIT_USAGE
        except SystemExit:  # --help and --version have printed
            return 0
    command = next(name for name in COMMANDS if args[name])
    interrupts.install()
    try:
        return COMMANDS[command](args)
    except S4Error as error:
        print(f"s4: {error.text}", file=sys.stderr)
        return EXIT_EVAL_FAILED if command == "eval" else error.exit_status
    except BrokenPipeError:
        return _quiet_end()
    except OSError as exc:
        print(f"s4: {exc.filename or 'writing the output'}: {exc.strerror}", file=sys.stderr)
        return EXIT_EVAL_FAILED if command == "eval" else 1
    except KeyboardInterrupt:
        print("s4: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except interrupts.Terminated:
        print("s4: terminated", file=sys.stderr)
        return EXIT_TERMINATED


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


def _quiet_end() -> int:
    """Whoever reads our stdout has had enough (`| head`): no noise, the status of SIGPIPE."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return EXIT_PIPE


def _version() -> str:
    from . import __version__

    return f"s4zmq {__version__}"


def _client(args: Args) -> Any:
    from .client import Client

    return Client(_config(args))


def _config(args: Args) -> Any:
    from .config import load_config

    return load_config(args["-c"], args["--key"])


def _number(args: Args, option: str, least: int, unset: int) -> int:
    """An option's whole number. Raises UsageError."""
    from .errors import UsageError

    text = args[option]
    if text is None:
        return unset
    if not (text.isascii() and text.isdigit() and least <= int(text) <= 1000):
        raise UsageError(f"{option} takes a whole number from {least} to 1000, not {text!r}")
    return int(text)


def _seconds(args: Args, option: str) -> float:
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


# -- commands


def _cp(args: Args) -> int:
    source, target, recursive, resume = args["SRC"], args["DST"], args["-r"], args["--resume"]
    with _client(args) as client:
        if source.startswith("s3://") or target.startswith("s3://"):
            from .s3cp import copy_s3

            copy_s3(client, source, target, recursive=recursive, resume=resume, dry_run=args["--dry-run"])
            return 0
        from .copying import copy
        from .errors import UsageError

        if args["--dry-run"]:
            raise UsageError("cp takes --dry-run where one side is s3://")
        copy(client, source, target, recursive=recursive, resume=resume)
    return 0


def _ls(args: Args) -> int:
    from .keys import parse_prefix
    from .printing import print_listing

    prefix = parse_prefix(args["PREFIX"] or "s4://")
    if prefix and "/" not in prefix:
        prefix += "/"  # a bucket is meant whole
    with _client(args) as client:
        recursive = args["-r"] and bool(prefix)
        count = print_listing(client.list_keys(prefix, recursive=recursive), prefix, recursive=recursive)
    return 0 if count else 1


def _rm(args: Args) -> int:
    from .errors import KeyInvalid
    from .keys import Key, parse_prefix

    with _client(args) as client:
        if not args["-r"]:
            key = Key.parse(args["PREFIX"])
            if args["--dry-run"]:
                client.require(key)
                print(f"dry run: would remove {key}")
            else:
                client.delete(key)
            return 0
        prefix = parse_prefix(args["PREFIX"])
        if not prefix:
            raise KeyInvalid("an empty prefix would remove every key of the cluster: name a bucket")
        if args["--dry-run"]:
            for path, _, _ in client.list_keys(prefix, recursive=True):
                print(f"dry run: would remove s4://{path}")
        else:
            client.delete_below(prefix)
    return 0


def _verify(args: Args) -> int:
    from .verify import verify

    with _client(args) as client:
        print(verify(client, args["PREFIX"]))
    return 0


def _eval(args: Args) -> int:
    from .commandtext import check_command
    from .keys import Key
    from .printing import write_all

    check_command(args["CMD"])
    with _client(args) as client:
        return int(client.eval(Key.parse(args["KEY"]), args["CMD"], write_all))


def _map(args: Args) -> int:
    from .runs import Job, JobOptions, rehearse, run_job

    kind = next(name for name in ("map", "map-to-n", "map-from-n") if args[name])
    options = JobOptions(
        retries=_number(args, "--retries", 0, 0),
        timeout_s=_seconds(args, "--timeout"),
        jobs=_number(args, "--jobs", 1, 0),
        keep_going=args["--keep-going"],
        resume=args["--resume"],
        files=args["--file"],
    )
    job = Job.parse(kind, args["INDIR"], args["OUTDIR"], args["CMD"], options)
    with _client(args) as client:
        if args["--dry-run"]:
            from .printing import print_rehearsal

            print_rehearsal(job.plan, rehearse(client, job))
        else:
            run_job(client, job)
    return 0


def _config_command(args: Args) -> int:
    print(_config(args).roster.text, end="")
    return 0


def _health(args: Args) -> int:
    status = 0
    with _client(args) as client:
        for health in client.health():
            print(f"{'healthy' if health.is_healthy else 'unhealthy'}: {health.node}")
            if health.reason:
                where = "" if health.node in health.reason else f"{health.node}: "
                print(f"s4: {where}{health.reason}", file=sys.stderr)
            status = status if health.is_healthy else 1
    return status


def _keygen(args: Args) -> int:
    from .clusterkey import write_key
    from .config import new_key_path

    path = new_key_path(args["--key"])
    write_key(path)
    print(f"a new cluster key is in {path}: copy it to all nodes and clients, and to nobody else")
    return 0


def _up(args: Args) -> int:
    from .config import find_conf, find_key, s4_home
    from .embedded import embedded_config, up

    print(up(s4_home(), _number(args, "--nodes", 1, 0)))
    config, conf = embedded_config(s4_home()), find_conf(None)
    key_path = find_key(None, conf)
    if (conf, key_path) != (config.path, config.key_path):
        found = f"{conf} and {f'the key {key_path}' if key_path else 'no key'}"
        say = f"-c {config.path} --key {config.key_path or chr(39) * 2}"
        print(f"note: other commands use {found}; for these nodes say {say}", file=sys.stderr)
    return 0


def _down(args: Args) -> int:
    from .config import s4_home
    from .embedded import down

    print(down(s4_home(), purge=args["--purge"]))
    return 0


def _demo(args: Args) -> int:
    from .demo import demo

    return demo()


def _cluster(args: Args) -> int:
    from .config import s4_home
    from .ec2.commands import run

    return run(args, s4_home())


COMMANDS: Mapping[str, Callable[[Args], int]] = {
    "cluster": _cluster,  # before those that are words of its own too
    "cp": _cp,
    "ls": _ls,
    "rm": _rm,
    "verify": _verify,
    "eval": _eval,
    "map": _map,
    "map-to-n": _map,
    "map-from-n": _map,
    "config": _config_command,
    "health": _health,
    "keygen": _keygen,
    "up": _up,
    "down": _down,
    "demo": _demo,
}


if __name__ == "__main__":
    run()
