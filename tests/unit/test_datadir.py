"""The data folder: whose it is, what is swept, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s4zmq.datadir import open_store
from s4zmq.errors import ConfigError, StorageError
from s4zmq.keys import Key
from s4zmq.placement import Roster

from .helpers import NODE, put, unfinished, without_rights_of_root

ROSTER = Roster((NODE, "127.0.0.1:7001"))


def give_up(root: Path) -> None:
    """What the end of a process does to its lock."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == str(root / "lock"):
                os.close(int(name))
        except FileNotFoundError:
            continue


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data"
    yield path
    give_up(path)


def test_a_new_folder_is_made_with_all_that_a_store_needs(root: Path) -> None:
    store = open_store(root / "deep" / "er", NODE, ROSTER)
    assert (store.root, store.node) == (root / "deep/er", NODE)
    assert put(store, "s4://b/k").read_bytes() == b"value"
    give_up(store.root)


def test_ext4_gets_folders_in_many_places_of_the_disk_and_others_one(root: Path) -> None:
    store = open_store(root, NODE, ROSTER)
    kind = subprocess.run(["stat", "-fc", "%T", root], capture_output=True, text=True, check=True)
    is_ext4 = kind.stdout.strip() == "ext2/ext3"
    assert len(os.listdir(root / "nameless")) == (64 if is_ext4 else 0)
    fds = [store.new_file() for _ in range(64)]
    try:
        places = {os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[0] for fd in fds}
    finally:
        for fd in fds:
            os.close(fd)
    assert len(places) == (64 if is_ext4 else 1)
    assert all(path.startswith(str(root)) for path in places)
    give_up(root)
    open_store(root, NODE, ROSTER)  # they are there already


def test_two_nodes_can_not_share_a_folder(root: Path) -> None:
    open_store(root, NODE, ROSTER)
    with pytest.raises(ConfigError, match=f"another node uses the data folder {root}"):
        open_store(root, NODE, ROSTER)


def test_the_lock_is_not_inherited_by_commands_and_ends_with_its_process(root: Path) -> None:
    script = (
        "import subprocess, sys; from pathlib import Path; from s4zmq.datadir import open_store;"
        "from s4zmq.placement import Roster;"
        f"open_store(Path({str(root)!r}), {NODE!r}, Roster({ROSTER.nodes!r}));"
        "print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], stdout=subprocess.PIPE, check=True
    )
    try:
        open_store(root, NODE, ROSTER)
    finally:
        os.kill(int(done.stdout), 9)


def test_the_keys_are_there_after_a_restart(root: Path) -> None:
    put(open_store(root, NODE, ROSTER), "s4://b/k")
    give_up(root)
    assert open_store(root, NODE, ROSTER).exists(Key("b/k"))


@pytest.mark.parametrize(
    ("node", "roster"),
    [
        (NODE, Roster((NODE,))),
        (NODE, Roster((ROSTER.nodes[1], NODE))),
        (NODE, Roster((*ROSTER.nodes, "127.0.0.1:7002"))),
        (ROSTER.nodes[1], ROSTER),
    ],
    ids=["fewer", "another order", "more", "another node"],
)
def test_a_folder_remembers_its_roster_and_refuses_another(root: Path, node: str, roster: Roster) -> None:
    open_store(root, NODE, ROSTER)
    give_up(root)
    with pytest.raises(ConfigError, match="belongs to another roster or another node"):
        open_store(root, node, roster)
    give_up(root)
    open_store(root, NODE, ROSTER)


def leave_unfinished(tmp: Path) -> None:
    """What a crash may leave: files, folders with and without rights, links."""
    (tmp / "file").write_bytes(b"x")
    (tmp / "w-1" / "deep").mkdir(parents=True)
    (tmp / "w-1" / "deep" / "file").write_bytes(b"x")
    (tmp / "link").symlink_to("/etc")
    (tmp / "dangling").symlink_to("nowhere")


def test_a_start_sweeps_what_a_crash_left_and_nothing_else(root: Path) -> None:
    put(open_store(root, NODE, ROSTER), "s4://b/k")
    give_up(root)
    leave_unfinished(root / "tmp")
    store = open_store(root, NODE, ROSTER)
    assert unfinished(store) == []
    assert store.exists(Key("b/k"))
    assert os.path.isdir("/etc")


def test_a_start_sweeps_folders_whose_rights_a_command_took_away(root: Path) -> None:
    open_store(root, NODE, ROSTER)
    give_up(root)
    closed = root / "tmp" / "w-1"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "file").write_bytes(b"x")
    (closed / "inner").chmod(0)
    closed.chmod(0)
    with without_rights_of_root():
        assert unfinished(open_store(root, NODE, ROSTER)) == []


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\nb", "a'b", 'a"b', "a\\b", "a\u2003b"])
def test_a_path_that_xargs_would_break_is_refused_and_not_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="has a space or quote in its path"):
        open_store(tmp_path / name / "data", NODE, ROSTER)
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_user_attributes_is_refused(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from s4zmq.datadir import open_store;"
        "from s4zmq.placement import Roster;"
        f"open_store(Path({str(tmp_path / 'data')!r}), {NODE!r}, Roster({ROSTER.nodes!r}))"
    )
    mount = 'mount -t ramfs none "$1" && shift && exec "$@"'
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(tmp_path)]
    if subprocess.run([*shell, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of their own")
    done = subprocess.run(
        [*shell, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "ConfigError" in done.stderr
    assert "keeps no user xattrs or nameless files" in done.stderr
    assert "use ext4, xfs, btrfs or tmpfs" in done.stderr


def test_a_file_in_the_place_of_the_folder_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(StorageError, match=r"can not use the data folder .*: File exists"):
        open_store(tmp_path / "data", NODE, ROSTER)
