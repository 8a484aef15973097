"""Unfinished things on a node's disk, each below DIR/tmp and each gone at the end of its `with`.

    tmp/w-1/        the folder of one command
    tmp/j-<job>/    files shipped with a job
    tmp/t-<task>/   outputs of a shuffle that are staged here and not visible yet

A crash leaves them to the sweep of the next start.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .store import Store
from .trees import remove_tree

log = logging.getLogger(__name__)

_numbers = itertools.count(1)


@contextmanager
def command_folder(store: Store, shipped: Sequence[str]) -> Iterator[str]:
    """An empty folder but for copies of the `shipped` files; removed with all that is in it then."""
    with store.disk_errors("can not make a folder for a command"):
        path = _new_folder(store)
    try:
        with store.disk_errors("can not put the shipped files into a command's folder"):
            for source in shipped:
                target = f"{path}/{os.path.basename(source)}"
                shutil.copyfile(source, target)  # a link would show one command's edits to the others
                os.chmod(target, 0o755)
        yield path
    finally:
        try:
            remove_tree(path)
        except OSError as exc:  # a command may make what its own user can not remove
            log.warning("the folder %s of a command can not be removed: %s", path, exc)


def _new_folder(store: Store) -> str:
    while True:
        path = f"{store.tmp_path}/w-{next(_numbers)}"
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:  # one that no start could remove
            continue
        return path


def shipped_folder(store: Store, job: bytes) -> str:
    """Where the shipped files of a job stand."""
    return f"{store.tmp_path}/j-{job.hex()}"


def staged_folder(store: Store, task: bytes) -> str:
    """Where the staged outputs of a task stand."""
    return f"{store.tmp_path}/t-{task.hex()}"
