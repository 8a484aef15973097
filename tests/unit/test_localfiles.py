"""The user's own files: walking them, targets, and no halves under a final name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s4zmq.errors import LocalFileError
from s4zmq.localfiles import NewFile, local_target, open_to_read, walk_files, write_file

from .helpers import without_rights_of_root


def tree(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


# -- walking


def test_all_files_below_a_folder_are_found_in_order(tmp_path: Path) -> None:
    tree(tmp_path, "b", "a/z", "a/b/c", ".hidden", "a.b")
    (tmp_path / "empty").mkdir()
    found = list(walk_files(str(tmp_path)))
    assert [file.relative for file in found] == [".hidden", "a/b/c", "a/z", "a.b", "b"]
    assert all(Path(file.path) == tmp_path / file.relative for file in found)


def test_links_are_followed(tmp_path: Path) -> None:
    tree(tmp_path, "real/file")
    (tmp_path / "real/link").symlink_to("file")
    (tmp_path / "folder").symlink_to("real")
    assert [file.relative for file in walk_files(str(tmp_path / "folder"))] == ["file", "link"]
    assert {file.relative for file in walk_files(str(tmp_path))} >= {"folder/file", "real/link"}


def test_a_link_that_leads_back_up_is_an_error_and_no_endless_walk(tmp_path: Path) -> None:
    tree(tmp_path, "a/file")
    (tmp_path / "a/up").symlink_to("..")
    with pytest.raises(LocalFileError, match="a link to a folder above it"):
        list(walk_files(str(tmp_path)))


@pytest.mark.parametrize("kind", ["pipe", "dangling"])
def test_what_is_no_file_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "odd")
    else:
        (tmp_path / "odd").symlink_to("nowhere")
    with pytest.raises(LocalFileError, match="odd"):
        list(walk_files(str(tmp_path)))


def test_a_folder_that_can_not_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    tree(tmp_path, "closed/file")
    (tmp_path / "closed").chmod(0)
    with without_rights_of_root(), pytest.raises(LocalFileError, match=r"closed.*Permission denied"):
        list(walk_files(str(tmp_path)))


# -- reading


def test_a_file_is_opened_to_be_read(tmp_path: Path) -> None:
    tree(tmp_path, "file")
    fd = open_to_read(str(tmp_path / "file"))
    try:
        assert os.read(fd, 10) == b"file"
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


@pytest.mark.usefixtures("no_descriptor_left")
def test_what_can_not_be_read_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=r"none: No such file"):
        open_to_read(str(tmp_path / "none"))
    with pytest.raises(LocalFileError, match="is a folder: copy it with -r"):
        open_to_read(str(tmp_path))
    tree(tmp_path, "closed")
    (tmp_path / "closed").chmod(0)
    with without_rights_of_root(), pytest.raises(LocalFileError, match="closed: Permission denied"):
        open_to_read(str(tmp_path / "closed"))


# -- where one key goes


@pytest.mark.parametrize(
    ("destination", "path"),
    [
        (".", "./k"),
        ("./", "./k"),
        ("there", "there/k"),
        ("there/", "there/k"),
        ("new/", "new/k"),
        ("new", "new"),
        ("there/file", "there/file"),
        ("/new/deep/", "/new/deep/k"),
    ],
)
def test_one_key_goes_into_a_folder_or_to_the_path_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tree(tmp_path, "there/file")
    assert local_target(destination, "k") == path


# -- writing


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    file = NewFile(str(target))
    file.write(b"val")
    file.write(memoryview(b"ue"))
    assert not target.exists()
    file.keep()
    file.discard()
    assert target.read_bytes() == b"value"
    assert os.listdir(tmp_path) == ["file"]


def test_a_new_file_has_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(str(tmp_path / "file"), b"value")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_file_that_is_given_up_leaves_nothing_and_the_old_one_as_it_was(tmp_path: Path) -> None:
    tree(tmp_path, "file")
    file = NewFile(str(tmp_path / "file"))
    file.write(b"half")
    file.discard()
    file.discard()
    assert (tmp_path / "file").read_bytes() == b"file"
    assert os.listdir(tmp_path) == ["file"]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    tree(tmp_path, "file")
    write_file(str(tmp_path / "file"), b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_folders_above_a_new_file_are_made(tmp_path: Path) -> None:
    write_file(str(tmp_path / "a/b/file"), b"value")
    assert (tmp_path / "a/b/file").read_bytes() == b"value"


def test_a_bare_name_is_a_file_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file("file", b"value")
    assert (tmp_path / "file").read_bytes() == b"value"


def test_several_files_in_the_making_do_not_meet(tmp_path: Path) -> None:
    files = [NewFile(str(tmp_path / "same")) for _ in range(3)]
    for number, file in enumerate(files):
        file.write(b"%d" % number)
    files[2].discard()
    files[1].keep()
    files[0].keep()
    assert (tmp_path / "same").read_bytes() == b"0"
    assert os.listdir(tmp_path) == ["same"]


@pytest.mark.usefixtures("no_descriptor_left")
def test_where_nothing_can_be_written_the_error_says_so(tmp_path: Path) -> None:
    tree(tmp_path, "file")
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(LocalFileError, match="can not write"):
            NewFile(str(path))
    (tmp_path / "closed").mkdir(mode=0o500)
    with without_rights_of_root(), pytest.raises(LocalFileError, match="Permission denied"):
        NewFile(str(tmp_path / "closed/file"))


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    file = NewFile(str(tmp_path / "file"))
    os.dup2(full := os.open("/dev/full", os.O_WRONLY), file._fd)
    os.close(full)
    with pytest.raises(LocalFileError, match="No space left"):
        file.write(b"value")
    file.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_folder_that_took_the_name_meanwhile_is_an_error_and_nothing_is_left(tmp_path: Path) -> None:
    file = NewFile(str(tmp_path / "file"))
    (tmp_path / "file").mkdir()
    with pytest.raises(LocalFileError, match="can not write"):
        file.keep()
    assert os.listdir(tmp_path) == ["file"]


def test_a_device_or_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(str(tmp_path / "pipe"), b"value")
        assert (tmp_path / "pipe").is_fifo()
        assert os.read(reader, 10) == b"value"
    finally:
        os.close(reader)
