"""Unfinished things on a node's disk, each below DIR/tmp and each gone at the end of its `with`.

    tmp/w-1/        the folder of one command
    tmp/j-<job>/    files shipped with a job
    tmp/t-<task>/   outputs of a shuffle that are staged here and not visible yet

A crash leaves them to the sweep of the next start.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .store import Store
from .trees import remove_tree

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
