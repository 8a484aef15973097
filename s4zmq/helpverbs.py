"""The commands about the command line itself."""

from __future__ import annotations

from .usage import Args


def _completion(args: Args) -> int:
    from .completion import SHELLS, script

    print(script(next(shell for shell in SHELLS if args[shell])), end="")
    return 0


def _help(args: Args) -> int:
    from .errors import UsageError
    from .helptexts import found, help_of
    from .usage import USAGE

    words = args["VERB"]
    verbs = found(words)
    if words and not any(list(verb.words[: len(words)]) == words for verb in verbs):
        raise UsageError(f"there is no command {' '.join(words)!r}: s4 help lists them")
    print(help_of(verbs) if words else USAGE, end="")
    return 0


VERBS = {"completion": _completion, "help": _help}
"""Every command here, by its name."""
