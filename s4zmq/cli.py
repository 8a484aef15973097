"""The command line: words to calls, errors to one line and an exit status.

The words are `usage`'s; what is called stands in `keyverbs`, `jobverbs`, `viewverbs`, `clusterverbs` and
`helpverbs`. Each command imports what it needs and no more, because a loop of `s4 cp` pays for every
import.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from . import interrupts
from .usage import (
    COMMANDS,
    HELP_COMMANDS,
    JOB_COMMANDS,
    KEY_COMMANDS,
    USAGE,
    VIEW_COMMANDS,
    Args,
    plain_args,
)

EXIT_USAGE = 2
EXIT_EVAL_FAILED = 255
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_PIPE = 141
NOTHING: Args = {}


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

        from . import helptexts

        if text := helptexts.asked_for(argv):
            print(text, end="")
            return 0
        try:
            args = docopt(USAGE, argv, version=_version())
        except DocoptExit as exc:
            verbs = helptexts.found(argv)
            usage = helptexts.usage_of(verbs) if verbs else exc.usage.strip()
            text = helptexts.misfit(argv)
            print(f"s4: {text}\n{usage}", file=sys.stderr)
            _tell_program("--json" in argv, "E_USAGE", text, EXIT_USAGE)
            return EXIT_USAGE
        except SystemExit:  # --help and --version have printed
            return 0
    command = next(name for name in COMMANDS if args[name])
    interrupts.install()
    try:
        return _perform(command, args)
    except S4Error as error:
        code, text, details = error.code, error.text, error.details
        status = EXIT_EVAL_FAILED if command == "eval" else error.exit_status
    except BrokenPipeError:
        return _quiet_end()
    except OSError as exc:
        code, text = "E_OS", f"{exc.filename or 'writing the output'}: {exc.strerror}"
        status, details = EXIT_EVAL_FAILED if command == "eval" else 1, {}
    except KeyboardInterrupt:
        code, text, details, status = "E_INTERRUPTED", "interrupted", {}, EXIT_INTERRUPTED
    except interrupts.Terminated:
        code, text, details, status = "E_TERMINATED", "terminated", {}, EXIT_TERMINATED
    print(f"s4: {text}", file=sys.stderr)
    return _tell_program(bool(args.get("--json")), code, text, status, details)


def _tell_program(is_asked: bool, code: str, text: str, status: int, details: Args = NOTHING) -> int:
    """With --json the last record is that of the error; the exit status."""
    if is_asked:
        from .jsonlines import print_json

        where = {"key": details.get("key"), "node": details.get("node")}
        try:
            print_json({"kind": "error", "code": code, "text": text, **where, "exit_status": status})
        except OSError:  # nobody reads it; stderr has told it
            _quiet_end()
    return status


def _quiet_end() -> int:
    """Whoever reads our stdout has had enough (`| head`): no noise, the status of SIGPIPE."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return EXIT_PIPE


def _version() -> str:
    from . import __version__

    return f"s4zmq {__version__}"


def _perform(command: str, args: Args) -> int:
    if command in KEY_COMMANDS:
        from .keyverbs import VERBS
    elif command in JOB_COMMANDS:
        from .jobverbs import VERBS
    elif command in HELP_COMMANDS:
        from .helpverbs import VERBS
    elif command in VIEW_COMMANDS:
        from .viewverbs import VERBS
    else:
        from .clusterverbs import VERBS
    return VERBS[command](args)


if __name__ == "__main__":
    run()
