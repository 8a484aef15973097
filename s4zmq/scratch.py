"""Unfinished things on a node's disk, each below DIR/tmp and each gone at the end of its `with`.

    tmp/w-1/        the folder of one command
    tmp/j-<job>/    files shipped with a job
    tmp/t-<task>/   outputs of a shuffle that are staged here and not visible yet

A crash leaves them to the sweep of the next start.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .store import Store

_numbers = itertools.count(1)


@contextmanager
def command_folder(store: Store, shipped: Sequence[str]) -> Iterator[str]:
    """An empty folder but for links to the `shipped` files; removed with all that is in it then."""
    path = f"{store.tmp_path}/w-{next(_numbers)}"
    with store.disk_errors("can not make a folder for a command"):
        os.mkdir(path, 0o755)
    try:
        with store.disk_errors("can not put the shipped files into a command's folder"):
            for source in shipped:
                os.link(source, f"{path}/{os.path.basename(source)}")
        yield path
    finally:
        remove_tree(path)


def shipped_folder(store: Store, job: bytes) -> str:
    """Where the shipped files of a job stand."""
    return f"{store.tmp_path}/j-{job.hex()}"


def staged_folder(store: Store, task: bytes) -> str:
    """Where the staged outputs of a task stand."""
    return f"{store.tmp_path}/t-{task.hex()}"


def remove_tree(path: str) -> None:
    """Remove a folder whatever a command did to it; one that is not there is fine."""
    try:
        os.rmdir(path)  # most commands leave it empty
    except FileNotFoundError:
        return
    except OSError:
        shutil.rmtree(path, onerror=_open_up)


def _open_up(function: Callable[[str], Any], path: str, _: Any) -> None:
    """A command took its own rights away (chmod 000): give them back and try once more."""
    for folder in (os.path.dirname(path), path):
        try:
            if stat.S_ISDIR(os.lstat(folder).st_mode):
                os.chmod(folder, 0o700)
        except OSError:
            return
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except OSError:
        return
