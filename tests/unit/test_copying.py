"""`s4 cp`: where a file or a tree goes, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4zmq.amounts import Counts
from s4zmq.copying import _survey, key_for
from s4zmq.errors import KeyInvalid, LocalFileError
from s4zmq.keys import Folder, Key


def owner(key: Key) -> str:
    """A cluster of a node for each first letter."""
    return key.name[0]


@pytest.mark.parametrize(
    ("source", "target", "key"),
    [
        ("file", "s4://b/k", "s4://b/k"),
        ("dir/file", "s4://b/d/", "s4://b/d/file"),
        ("dir/file", "s4://b/", "s4://b/file"),
        ("dir/file", "s4://b", "s4://b/file"),
        ("/abs/file", "s4://b/d/e", "s4://b/d/e"),
        ("-", "s4://b/k", "s4://b/k"),
    ],
)
def test_a_file_goes_to_the_key_or_into_the_folder_that_is_named(
    source: str, target: str, key: str
) -> None:
    assert str(key_for(source, target)) == key


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("-", "s4://b/", "standard input has no name"),
        ("-", "s4://b", "standard input has no name"),
        ("a file", "s4://b/", "a space"),
        ("dir/", "s4://b/d/", "names a folder"),
        ("file", "s4://", "empty component"),
        ("file", "s4://b//", "empty component"),
        ("file", "s4://b/../k", r"component '\.\.'"),
    ],
)
def test_a_target_that_can_not_be_a_key_is_refused(source: str, target: str, why: str) -> None:
    with pytest.raises(KeyInvalid, match=why):
        key_for(source, target)


def test_all_bad_names_of_a_tree_are_listed(tmp_path: Path) -> None:
    for name in ("good", "with space", "star*", "sub/it's"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(KeyInvalid) as caught:
        _survey(str(tmp_path), Folder.parse("s4://b"), owner)
    head, *lines = caught.value.text.splitlines()
    assert head == "3 names can not be keys; nothing was copied: rename these first:"
    for name in ("with space", "star*", "sub/it's"):
        assert sum(line.startswith(f"{tmp_path}/{name}: s4://b/{name} holds") for line in lines) == 1


def test_one_bad_name_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "good").touch()
    (tmp_path / "with space").touch()
    with pytest.raises(
        KeyInvalid, match="holds a space, which no key may hold; nothing was copied: rename it first"
    ):
        _survey(str(tmp_path), Folder.parse("s4://b"), owner)


def test_a_name_that_is_not_utf8_is_told_in_printable_text(tmp_path: Path) -> None:
    Path(tmp_path, b"caf\xe9".decode("utf-8", "surrogateescape")).touch()
    with pytest.raises(KeyInvalid, match="is not UTF-8") as caught:
        _survey(str(tmp_path), Folder.parse("s4://b"), owner)
    assert caught.value.text.isprintable()


def test_what_goes_to_each_node_is_summed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, size in (("a1", 5), ("sub/a2", 7), ("b", 0), ("sub/c", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "a3").symlink_to("a1")
    counted = {"a": Counts(3, 17), "b": Counts(1, 0), "c": Counts(1, 1)}
    assert _survey(str(tmp_path), Folder.parse("s4://x/"), owner) == counted


def test_a_file_that_vanishes_while_it_is_looked_at_is_an_error(tmp_path: Path) -> None:
    def remove(key: Key) -> str:
        (tmp_path / key.name).unlink()
        return "node"

    (tmp_path / "file").touch()
    with pytest.raises(LocalFileError, match=r"can not read .*/file: No such file"):
        _survey(str(tmp_path), Folder.parse("s4://b"), remove)
