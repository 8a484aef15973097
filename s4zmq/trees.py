"""Removing folders, whatever was done to them."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress

_PATIENCE_S = 5.0


def remove_tree(path: str) -> None:
    """Remove a folder and all that is in it; one that is not there is fine.

    A command may have taken its own rights away (chmod 000): they are given back. A process of it
    that is about to be killed may still make files: the removal starts again. Links are removed,
    never followed. Raises OSError where something can not be removed all the same.
    """
    with suppress(OSError):
        os.rmdir(path)  # most commands leave their folder empty
        return
    until = time.monotonic() + _PATIENCE_S
    while os.path.lexists(path):
        try:
            _remove(path)
        except OSError as exc:
            if time.monotonic() > until:
                raise
            if isinstance(exc, PermissionError):
                _open_up(path)


def _remove(path: str) -> None:
    if os.path.islink(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)


def _open_up(path: str) -> None:
    """Give this user the rights to every folder below `path`, from the top down."""
    os.chmod(path, 0o700)
    for folder, folders, _ in os.walk(path):
        for name in folders:
            below = os.path.join(folder, name)
            if not os.path.islink(below):
                os.chmod(below, 0o700)
