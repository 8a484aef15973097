"""The file of a cluster key: made once, read by its owner alone."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from s4zmq.clusterkey import ClusterKey, read_key, write_key
from s4zmq.errors import ConfigError, LocalFileError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "my.key")


def test_a_new_key_is_its_owners_alone_and_reads_back(path: str) -> None:
    before = os.umask(0)
    try:
        write_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    key = read_key(path)
    assert (key.path, len(key.secret)) == (path, 32)


def test_an_umask_does_not_keep_the_owner_from_it(path: str) -> None:
    before = os.umask(0o777)
    try:
        write_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_two_keys_differ(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "ab"]
    for path in paths:
        write_key(path)
    assert len({read_key(path).secret for path in paths}) == 2


def test_a_key_is_never_written_over(path: str) -> None:
    write_key(path)
    before = Path(path).read_bytes()
    with pytest.raises(LocalFileError, match="File exists"):
        write_key(path)
    assert Path(path).read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="No such file"):
        write_key(str(tmp_path / "nowhere" / "my.key"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
def test_a_key_that_others_can_open_is_refused(path: str, mode: int) -> None:
    write_key(path)
    os.chmod(path, mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}.*chmod 600"):
        read_key(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_other_modes_of_its_owners_are_fine(path: str, mode: int) -> None:
    write_key(path)
    os.chmod(path, mode)
    assert read_key(path).path == path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"s4-cluster-key-1\n",
        b"s4-cluster-key-2 " + b"0" * 64,
        b"s4-cluster-key-1 " + b"0" * 62,
        b"s4-cluster-key-1 " + b"0" * 63 + b"g",
        b"s4-cluster-key-1 " + b"0" * 64 + b" more",
        b"s4-cluster-key-1 " + "é".encode() * 32,
        b"127.0.0.1:7000\n",
        b"\xff" * 100,
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(path: str, content: bytes) -> None:
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    with pytest.raises(ConfigError, match=r"my\.key is no cluster key: `s4 keygen`") as caught:
        read_key(path)
    assert "0" * 20 not in caught.value.text


def test_a_key_that_is_missing_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.key.*No such file"):
        read_key(str(tmp_path / "nothing.key"))
    with pytest.raises(ConfigError, match="no plain file"):
        read_key(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="no plain file"):
        read_key(str(tmp_path / "pipe"))


def test_a_key_does_not_show_itself() -> None:
    key = ClusterKey("/my.key", b"\x01" * 32)
    for text in (repr(key), str(key), f"{key}", repr([key])):
        assert "/my.key" in text
        assert not re.search(r"x01|0101", text)
