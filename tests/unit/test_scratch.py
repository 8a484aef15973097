"""Unfinished things: folders of commands, gone afterwards whatever the command did to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s4zmq.errors import StorageError
from s4zmq.scratch import command_folder, shipped_folder, staged_folder
from s4zmq.store import Store

from .helpers import unfinished, without_rights_of_root


def test_a_command_gets_an_empty_folder_that_is_gone_afterwards(store: Store) -> None:
    with command_folder(store, ()) as one, command_folder(store, ()) as two:
        assert one != two
        assert os.listdir(one) == []
        Path(one, "made").write_bytes(b"x")
        Path(one, "deep/er").mkdir(parents=True)
        Path(one, "deep/er/file").write_bytes(b"x")
    assert unfinished(store) == []


def test_the_folder_is_gone_after_an_error_too(store: Store) -> None:
    with pytest.raises(FileNotFoundError), command_folder(store, ()) as folder:
        os.rename(Path(folder, "none"), Path(folder, "made"))
    assert unfinished(store) == []


def test_shipped_files_stand_in_the_folder_under_their_names_and_survive_it(store: Store) -> None:
    source = Path(shipped_folder(store, b"J" * 16))
    source.mkdir()
    (source / "tool.py").write_bytes(b"print()")
    with command_folder(store, [str(source / "tool.py")]) as folder:
        assert os.listdir(folder) == ["tool.py"]
        assert Path(folder, "tool.py").read_bytes() == b"print()"
        os.unlink(f"{folder}/tool.py")
    assert (source / "tool.py").read_bytes() == b"print()"


def test_a_shipped_file_that_is_missing_is_an_error_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(StorageError, match="shipped files"), command_folder(store, ["/nonexistent/f"]):
        pass
    assert unfinished(store) == []


def test_jobs_and_tasks_have_folders_of_their_own(store: Store) -> None:
    folders = {make(store, id) for make in (shipped_folder, staged_folder) for id in (b"a" * 16, b"b" * 16)}
    assert len(folders) == 4
    assert all(os.path.dirname(folder) == store.tmp_path for folder in folders)


def test_a_command_that_takes_its_own_rights_away_can_not_keep_its_folder(store: Store) -> None:
    with without_rights_of_root(), command_folder(store, ()) as folder:
        Path(folder, "file").write_bytes(b"x")
        os.chmod(folder, 0)
    assert unfinished(store) == []
