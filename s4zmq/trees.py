"""Removing folders, whatever was done to them."""

from __future__ import annotations

import os
import shutil


def remove_tree(path: str) -> None:
    """Remove a folder and all that is in it; one that is not there is fine.

    A command may have taken its own rights away (chmod 000): they are given back. Links are removed,
    never followed. Raises OSError where something can not be removed all the same.
    """
    try:
        os.rmdir(path)  # most commands leave it empty
        return
    except FileNotFoundError:
        return
    except OSError:
        if os.path.islink(path):
            os.unlink(path)
            return
    try:
        shutil.rmtree(path)
    except PermissionError:
        _open_up(path)
        shutil.rmtree(path)


def _open_up(path: str) -> None:
    """Give this user the rights to every folder below `path`, from the top down."""
    os.chmod(path, 0o700)
    for folder, folders, _ in os.walk(path):
        for name in folders:
            below = os.path.join(folder, name)
            if not os.path.islink(below):
                os.chmod(below, 0o700)
