"""The commands about keys: cp, ls, rm, verify and eval.

Each imports what it needs and no more, and gives its exit status. Errors are `cli`'s business; stdout
carries data only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .usage import Args, client_of, progress_of

if TYPE_CHECKING:
    from .amounts import Counts
    from .keys import Key
    from .progress import Progress
    from .session import Session


def _cp(args: Args) -> int:
    source, target, flags = args["SRC"], args["DST"], {"recursive": args["-r"], "resume": args["--resume"]}
    if source.startswith("s3://") or target.startswith("s3://"):
        return _cp_s3(args, flags)
    from .copying import copy
    from .errors import UsageError
    from .progress import Progress, Watch

    if args["--dry-run"]:
        raise UsageError("cp takes --dry-run where one side is s3://")
    if args["--json"] and _is_stdout(target):
        raise UsageError("cp --json tells on stdout what it does, so the value can not go there too")
    with client_of(args) as client:
        is_drawn_over = _is_stdout(target) and os.isatty(1)
        with Progress() if is_drawn_over else progress_of(args, "cp") as progress:
            note = _tell_copied if args["--json"] else None
            counts = copy(client, source, target, **flags, watch=Watch(progress, note))
    if args["--json"]:
        _sum_up("cp", counts, progress)
    return 0


def _is_stdout(target: str) -> bool:
    return target in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def _tell_copied(key: str, path: str, size: int, skipped: bool) -> None:
    from .jsonlines import print_json

    print_json({"kind": "skipped" if skipped else "copied", "key": key, "path": path, "bytes": size})


def _sum_up(verb: str, counts: Counts, progress: Progress) -> None:
    """The last record of a cp or rm."""
    from .jsonlines import print_json

    print_json(
        {
            "kind": "summary",
            "verb": verb,
            "keys": counts.keys,
            "skipped": counts.skipped,
            "bytes": counts.bytes,
            "seconds": round(progress.spent_s, 3),
        }
    )


def _cp_s3(args: Args, flags: Mapping[str, bool]) -> int:
    from .s3cp import copy_s3, plan_s3

    source, target = args["SRC"], args["DST"]
    with client_of(args) as client:
        if not args["--dry-run"]:
            with progress_of(args, "cp") as progress:
                counts = copy_s3(client, source, target, **flags, progress=progress)
            if args["--json"]:
                _sum_up("cp", counts, progress)
            return 0
        from .printing import print_staging, tell_staging

        _, planned = plan_s3(client, source, target, **flags)
        if args["--json"]:
            tell_staging(planned)
        else:
            print_staging(f"cp {'-r ' if args['-r'] else ''}{source} {target}", planned)
    return 0


def _ls(args: Args) -> int:
    from .keys import parse_prefix
    from .printing import print_listing, tell_listing

    prefix = parse_prefix(args["PREFIX"] or "s4://")
    if prefix and "/" not in prefix:
        prefix += "/"  # a bucket is meant whole
    with client_of(args) as client:
        recursive = args["-r"] and bool(prefix)
        rows = client.list_keys(prefix, recursive=recursive)
        if args["--json"]:
            count = tell_listing(rows, client.owner)
        else:
            count = print_listing(rows, prefix, recursive=recursive)
    return 0 if count else 1


def _rm(args: Args) -> int:
    from .errors import KeyInvalid
    from .keys import parse_prefix

    with client_of(args) as client, progress_of(args, "rm") as progress:
        if not args["-r"]:
            _rm_one(client, _one_key(args["PREFIX"]), args)
            count = 1
        else:
            prefix = parse_prefix(args["PREFIX"])
            if not prefix:
                raise KeyInvalid("an empty prefix would remove every key of the cluster: name a bucket")
            if args["--dry-run"]:
                for path, _, _ in client.list_keys(prefix, recursive=True):
                    _tell_removed(f"s4://{path}", args)
                return 0
            count = _rm_below(client, prefix, progress)
    if args["--json"] and not args["--dry-run"]:
        from .amounts import Counts

        _sum_up("rm", Counts(count), progress)
    return 0


def _one_key(text: str) -> Key:
    """Raises KeyInvalid."""
    from .errors import KeyInvalid
    from .keys import Key, show

    if text.endswith("/"):
        raise KeyInvalid(f"{show(text)} is a folder: remove it with -r")
    return Key.parse(text)


def _rm_one(client: Session, key: Key, args: Args) -> None:
    from .errors import KeyNotFound

    try:
        (client.look if args["--dry-run"] else client.delete)(key)
    except KeyNotFound as error:
        raise client.missing(error, key, "remove it with -r") from None
    _tell_removed(str(key), args)


def _tell_removed(key: str, args: Args) -> None:
    if args["--json"]:
        from .jsonlines import print_json

        print_json({"kind": "removed", "key": key, "dry_run": args["--dry-run"]})
    elif args["--dry-run"]:
        print(f"dry run: would remove {key}")


def _rm_below(client: Session, prefix: str, progress: Progress) -> int:
    from .amounts import Counts

    removed = dict.fromkeys(client.roster.nodes, 0)
    progress.follow(client.courier, lambda: Counts(sum(removed.values())))
    return client.delete_below(prefix, lambda node, count: removed.update({node: count}))


def _verify(args: Args) -> int:
    from .verify import verify

    with client_of(args) as client:
        print(verify(client, args["PREFIX"], progress_of(args, "verify", failed="damaged")))
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
