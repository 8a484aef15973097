"""Removing folders, whatever a command did to them or goes on doing in them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from s4zmq.trees import remove_tree

from ..harness import wait_until
from .helpers import without_rights_of_root


def closed_folder(folder: Path) -> None:
    folder.chmod(0)


def closed_folder_with_a_file(folder: Path) -> None:
    (folder / "file").write_bytes(b"x")
    folder.chmod(0)


def read_only_folders(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_bytes(b"x")
    for path in (folder / "a/b", folder / "a", folder):
        path.chmod(0o500)


def closed_folder_in_an_open_one(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_bytes(b"x")
    (folder / "sibling").write_bytes(b"x")
    (folder / "a").chmod(0)


def closed_folders_in_each_other(folder: Path) -> None:
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "a/b/c/file").write_bytes(b"x")
    for path in (folder / "a/b/c", folder / "a/b", folder / "a", folder):
        path.chmod(0)


def links(folder: Path) -> None:
    (folder / "up").symlink_to("..")
    (folder / "out").symlink_to("/etc")
    (folder / "nowhere").symlink_to("nowhere")


def special_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "unreadable").write_bytes(b"x")
    (folder / "unreadable").chmod(0)


MISCHIEF = [
    *(closed_folder, closed_folder_with_a_file, read_only_folders, closed_folder_in_an_open_one),
    *(closed_folders_in_each_other, links, special_files),
]


@pytest.mark.parametrize("do", MISCHIEF)
def test_whatever_was_done_to_a_folder_it_can_be_removed(
    tmp_path: Path, do: Callable[[Path], None]
) -> None:
    (tmp_path / "folder").mkdir()
    with without_rights_of_root():
        do(tmp_path / "folder")
        remove_tree(str(tmp_path / "folder"))
    assert os.listdir(tmp_path) == []
    assert os.path.isdir("/etc")


def test_a_deep_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder" / "/".join(["deep"] * 200)).mkdir(parents=True)
    remove_tree(str(tmp_path / "folder"))
    assert os.listdir(tmp_path) == []


WRITE_ON = "i=0; while : > $((i++)); do :; done 2> /dev/null"


@pytest.mark.parametrize("_attempt", range(5))
def test_a_process_that_goes_on_making_files_in_it_is_no_obstacle(tmp_path: Path, _attempt: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with subprocess.Popen(["bash", "-c", WRITE_ON], cwd=folder) as writer:
        try:
            wait_until(lambda: len(os.listdir(folder)) > 100, "some files to be made")
            remove_tree(str(folder))
            assert os.listdir(tmp_path) == []
        finally:
            writer.kill()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "none"))


def test_a_folder_that_became_a_link_loses_only_the_link(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("target")
    remove_tree(str(tmp_path / "link"))
    assert sorted(os.listdir(tmp_path)) == ["target"]
    assert os.listdir(tmp_path / "target") == ["file"]
