"""Rename files and folders so that their names can be keys.

Usage:
  tidy_names [--dry-run] DIR
  tidy_names (-h | --help)

What no key may hold, or several of it in a row, becomes one `_`. Nothing is replaced: where a name is taken
already, it says so and goes on, and ends with status 1. DIR itself keeps its name.

Options:
  --dry-run   Only say what would be renamed.
  -h, --help  Show this.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from docopt import docopt

from s4zmq.errors import KeyInvalid
from s4zmq.keys import Key, show

_NOT_IN_KEYS = re.compile(r"""[\s\x00-\x1f\x7f"'`\\*?\[\]\udc80-\udcff]+""")


def tidy(name: str) -> str:
    """The name, or one like it that a key can have. Raises KeyInvalid where there is none."""
    if is_good(name):
        return name
    better = _NOT_IN_KEYS.sub("_", name)
    Key.parse(f"s4://b/{better}")
    return better


def is_good(name: str) -> bool:
    """Whether a key can have it."""
    try:
        Key.parse(f"s4://b/{name}")
    except KeyInvalid:
        return False
    return True


def paths_below(folder: str) -> Iterator[str]:
    """Files and folders in order, what is in a folder before the folder itself."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from paths_below(entry.path)
        yield entry.path


def rename_all(folder: str, *, dry_run: bool) -> int:
    """What `main` does; the exit status."""
    status = 0
    for path in paths_below(folder):
        head, name = os.path.split(path)
        try:
            better = tidy(name)
        except KeyInvalid as error:
            print(f"{show(path)}: {error}: rename it by hand", file=sys.stderr)
            status = 1
            continue
        if better == name:
            continue
        if os.path.lexists(os.path.join(head, better)):
            print(
                f"{show(path)}: {better} is there already: rename one of the two by hand", file=sys.stderr
            )
            status = 1
            continue
        print(f"{show(path)} -> {better}")
        if not dry_run:
            os.rename(path, os.path.join(head, better))
    return status


def main() -> int:
    """Rename; the exit status."""
    args = docopt(__doc__)
    if not os.path.isdir(args["DIR"]):
        print(f"{show(args['DIR'])} is no folder", file=sys.stderr)
        return 1
    try:
        return rename_all(args["DIR"], dry_run=args["--dry-run"])
    except OSError as exc:
        print(f"{show(str(exc.filename))}: {exc.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
