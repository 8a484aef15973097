"""A key whose file is not what was stored: no path gives its bytes away as if they were right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s4zmq.store import XATTR

from ..cluster.kit import names, put_keys, read_tree, some_bytes
from ..harness import Cluster

BAD = "s4://b/d/0_bad"
SMALL, LARGE = b"small", some_bytes(2_500_000)
"""One that travels within a reply, and one that travels in three ranges."""

Harm = Callable[[Path], None]


def flip_byte(path: Path) -> None:
    """In the middle."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 1)


def remove_checksum(path: Path) -> None:
    os.removexattr(path, XATTR)


def add_bytes(path: Path) -> None:
    path.chmod(0o644)
    with open(path, "ab") as file:
        file.write(b"extra")


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def value(request: pytest.FixtureRequest) -> bytes:
    """What was stored."""
    return bytes(request.param)


@pytest.fixture(params=[flip_byte, truncate, remove_checksum, add_bytes])
def damaged(cluster: Cluster, value: bytes, request: pytest.FixtureRequest) -> Path:
    """The file of a damaged key, with sound keys of the same folder and of the same name beside it."""
    put_keys(cluster, {BAD: value, "s4://b/d/1_good": b"good", "s4://b/e/0_bad": value})
    path = cluster.nodes[0].path_of(BAD)
    request.param(path)
    return path


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_get_to_a_file_leaves_no_file(cluster: Cluster, tmp_path: Path) -> None:
    text = cluster.refused("cp", BAD, tmp_path / "file")
    assert f"{BAD} on node {cluster.nodes[0].address} is damaged" in text
    assert read_tree(tmp_path) == {}


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_get_to_a_file_leaves_an_older_file_alone(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"before")
    cluster.refused("cp", BAD, tmp_path / "file")
    cluster.refused("cp", "--resume", BAD, tmp_path / "file")
    assert read_tree(tmp_path) == {"file": b"before"}


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_get_to_stdout_ends_with_1(cluster: Cluster, value: bytes) -> None:
    done = cluster.s4("cp", BAD, "-")
    assert done.returncode == 1
    assert b"is damaged" in done.stderr
    assert done.stdout != value


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_get_of_a_folder_leaves_whole_files_only(
    cluster: Cluster, tmp_path: Path, value: bytes
) -> None:
    assert BAD in cluster.refused("cp", "-r", "s4://b/", tmp_path)
    whole = {"d/1_good": b"good", "e/0_bad": value}
    assert read_tree(tmp_path).items() <= whole.items()


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_put_of_the_same_bytes_is_not_taken_for_sound(
    cluster: Cluster, tmp_path: Path, value: bytes
) -> None:
    (tmp_path / "file").write_bytes(value)
    for words in ([], ["--resume"]):
        text = cluster.refused("cp", *words, tmp_path / "file", BAD)
        assert f"{BAD} already exists" in text
    assert "is damaged" in cluster.refused("cp", "--resume", tmp_path / "file", BAD)


@pytest.mark.usefixtures("damaged")
def test_damaged_input_during_eval_fails_before_its_command_runs(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.s4("eval", BAD, f"touch {tmp_path}/ran; cat")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"is damaged" in done.stderr
    assert read_tree(tmp_path) == {}


@pytest.mark.parametrize("kind", ["map", "map-to-n"])
@pytest.mark.usefixtures("damaged")
def test_damaged_input_during_map_fails_before_its_command_runs(
    cluster: Cluster, tmp_path: Path, kind: str
) -> None:
    command = f"touch {tmp_path}/$filename; cat > 0_out; echo 0_out"
    text = cluster.refused(kind, "s4://b/d/", "s4://out/", command)
    assert f"{BAD} on node {cluster.nodes[0].address} is damaged" in text
    assert set(read_tree(tmp_path)) <= {"1_good"}
    assert {name.split("/")[0] for name in names(cluster, "out/")} <= {"1_good"}


@pytest.mark.usefixtures("damaged")
def test_damaged_member_during_map_from_n_fails_before_its_command_runs(
    cluster: Cluster, tmp_path: Path
) -> None:
    command = f"touch {tmp_path}/$filename; xargs cat"
    assert BAD in cluster.refused("map-from-n", "s4://b/", "s4://out/", command)
    assert set(read_tree(tmp_path)) <= {"1_good"}
    assert set(names(cluster, "out/")) <= {"1_good"}


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_verify_is_named(cluster: Cluster) -> None:
    text = cluster.refused("verify")
    assert f"s4: {BAD} on node {cluster.nodes[0].address} is damaged: " in text
    assert "1 key damaged" in text
    assert cluster.ok("verify", "s4://b/e/").endswith(b"every checksum is right\n")


def test_damaged_key_after_it_was_read_sound_is_found_again(cluster: Cluster) -> None:
    put_keys(cluster, {BAD: LARGE})
    assert cluster.ok("eval", BAD, "cat") == LARGE
    flip_byte(cluster.nodes[0].path_of(BAD))
    assert "is damaged" in cluster.refused("eval", BAD, "cat", status=255)


@pytest.mark.usefixtures("damaged")
def test_damaged_key_during_remove_goes_and_can_be_made_anew(cluster: Cluster) -> None:
    cluster.ok("rm", BAD)
    put_keys(cluster, {BAD: b"new"})
    assert cluster.ok("cp", BAD, "-") == b"new"
    cluster.ok("verify")
