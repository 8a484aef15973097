"""The commands about keys: cp, ls, rm, verify and eval.

Each imports what it needs and no more, and gives its exit status. Errors are `cli`'s business; stdout
carries data only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .usage import Args, client_of


def _cp(args: Args) -> int:
    source, target, recursive, resume = args["SRC"], args["DST"], args["-r"], args["--resume"]
    with client_of(args) as client:
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
    with client_of(args) as client:
        recursive = args["-r"] and bool(prefix)
        count = print_listing(client.list_keys(prefix, recursive=recursive), prefix, recursive=recursive)
    return 0 if count else 1


def _rm(args: Args) -> int:
    from .errors import KeyInvalid
    from .keys import Key, parse_prefix

    with client_of(args) as client:
        if not args["-r"]:
            key = Key.parse(args["PREFIX"])
            if args["--dry-run"]:
                client.look(key)
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

    with client_of(args) as client:
        print(verify(client, args["PREFIX"]))
    return 0


def _eval(args: Args) -> int:
    from .commandtext import check_command
    from .keys import Key
    from .printing import write_all

    check_command(args["CMD"])
    with client_of(args) as client:
        return int(client.eval(Key.parse(args["KEY"]), args["CMD"], write_all))


VERBS: Mapping[str, Callable[[Args], int]] = {
    "cp": _cp,
    "ls": _ls,
    "rm": _rm,
    "verify": _verify,
    "eval": _eval,
}
