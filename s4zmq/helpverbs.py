"""The commands about the command line itself."""

from __future__ import annotations

from .usage import Args


def _completion(args: Args) -> int:
    from .completion import SHELLS, script

    print(script(next(shell for shell in SHELLS if args[shell])), end="")
    return 0


VERBS = {"completion": _completion}
"""Every command here, by its name."""
