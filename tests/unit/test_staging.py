"""Staged outputs: hidden until their task commits, gone when it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s4zmq import wire
from s4zmq.checksum import digest_of
from s4zmq.errors import (
    Cancelled,
    ChecksumMismatch,
    ConnectionLost,
    KeyExists,
    ProtocolError,
    S4Error,
    StorageError,
    WrongOwner,
)
from s4zmq.indoubt import InDoubt
from s4zmq.keys import Key
from s4zmq.limits import PARCEL_MAX_FILES
from s4zmq.staging import Group
from s4zmq.store import Store

from ..harness import wait_until
from .helpers import NODE, OTHER, SESSION, Letters, Rooms, put, unfinished
from .test_sinks import files_end_at

TASK, TASK_2 = b"t" * 16, b"u" * 16
ORIGIN = b"recipe..mark...."
PEER = "127.0.0.1:7001"
GROUP = Group(TASK, "out/in/", ORIGIN)
A, B = "s4://out/in/0_a", "s4://out/in/2_b"


class Bench:
    """The staging of the first of two nodes; what it does later, it does at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rooms = Rooms(store, (NODE, PEER))
        self.sessions, self.inbox, self.staging = self.rooms.sessions, self.rooms.inbox, self.rooms.staging

    def ask(self, handler: Callable[..., None], message: Any, body: bytes = b"") -> Any:
        """The reply to a request."""
        letters = Letters()
        handler(message, body, letters.caller())
        [letter] = letters
        return letter.message

    def offer(self, values: dict[str, bytes], parcel: int = 0, task: bytes = TASK) -> Any:
        entries = [(key, len(value)) for key, value in values.items()]
        digests = [digest_of(value) for value in values.values()]
        offer = wire.Offer(task, parcel, entries, digests, True, ORIGIN)
        return self.ask(self.staging.on_offer, offer, b"".join(values.values()))

    def commit(self, parcels: int = 1, task: bytes = TASK) -> Any:
        return self.ask(self.staging.on_commit, wire.Commit(task, parcels, PEER))

    def abort(self, task: bytes = TASK) -> Any:
        return self.ask(self.staging.on_abort, wire.Abort(task))

    def visible(self) -> dict[str, bytes]:
        root = Path(self.store.keys_path)
        return {f"s4://{p.relative_to(root)}": p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def assert_nothing_is_left(self) -> None:
        assert unfinished(self.store) == []
        assert (len(self.staging), len(self.sessions), len(self.inbox)) == (0, 0, 0)
        assert len(self.rooms.in_doubt) == 0
        assert self.store.space.reserved == 0

    def close(self) -> None:
        self.rooms.close()


@pytest.fixture
def bench(store: Store) -> Iterator[Bench]:
    made = Bench(store)
    yield made
    made.close()


def test_outputs_are_hidden_until_their_task_commits(bench: Bench) -> None:
    assert bench.offer({A: b"a", B: b""}) == wire.Staged()
    assert bench.offer({"s4://out/in/4_c": b"cc"}, parcel=1) == wire.Staged()
    assert bench.visible() == {}
    assert bench.commit(2) == wire.Ok()
    assert bench.visible() == {A: b"a", B: b"", "s4://out/in/4_c": b"cc"}
    bench.staging.settle(TASK)
    bench.assert_nothing_is_left()


def test_outputs_are_read_only_keys_with_their_checksum(bench: Bench) -> None:
    bench.offer({A: b"value"})
    bench.commit()
    fd, stamp = bench.store.open_checked(Key.parse(A))
    os.close(fd)
    assert (stamp.size, stamp.digest) == (5, digest_of(b"value"))
    assert os.stat(bench.store.path_of(Key.parse(A))).st_mode & 0o777 == 0o444


def test_a_commit_and_an_offer_may_be_sent_again(bench: Bench) -> None:
    for _ in range(2):
        assert bench.offer({A: b"a"}) == wire.Staged()
    for _ in range(2):
        assert bench.commit() == wire.Ok()
    assert bench.visible() == {A: b"a"}


def test_an_abort_leaves_nothing(bench: Bench) -> None:
    bench.offer({A: b"a"})
    assert bench.abort() == wire.Ok()
    assert bench.abort() == wire.Ok()
    assert bench.visible() == {}
    bench.assert_nothing_is_left()


def test_an_abort_takes_back_what_a_commit_made_visible_and_nothing_else(bench: Bench) -> None:
    put(bench.store, "s4://out/in/other/0_a", b"mine", OTHER)
    bench.offer({A: b"a", B: b"b"})
    bench.commit()
    bench.abort()
    assert bench.visible() == {"s4://out/in/other/0_a": b"mine"}
    bench.assert_nothing_is_left()


def test_a_task_that_loses_a_race_for_one_name_can_be_undone_whole(bench: Bench) -> None:
    bench.offer({A: b"a", B: b"b"})
    put(bench.store, B, b"faster", OTHER)
    with pytest.raises(KeyExists):
        bench.commit()
    bench.abort()
    assert bench.visible() == {B: b"faster"}
    bench.assert_nothing_is_left()


def test_tasks_do_not_touch_each_other(bench: Bench) -> None:
    bench.offer({A: b"a"}, task=TASK)
    bench.offer({B: b"b"}, task=TASK_2)
    bench.abort(TASK)
    bench.commit(task=TASK_2)
    assert bench.visible() == {B: b"b"}


def test_an_offer_that_comes_after_the_abort_of_its_task_leaves_nothing(bench: Bench) -> None:
    bench.abort()
    with pytest.raises(Cancelled):
        bench.offer({A: b"a"})
    bench.assert_nothing_is_left()


@pytest.mark.parametrize("parcels", [0, 2, 7])
def test_a_commit_with_parcels_missing_is_refused(bench: Bench, parcels: int) -> None:
    bench.offer({A: b"a"})
    with pytest.raises(ConnectionLost):
        bench.commit(parcels)
    assert bench.visible() == {}


def test_a_commit_of_an_unknown_task_is_refused(bench: Bench) -> None:
    with pytest.raises(ConnectionLost, match="has lost what was staged there"):
        bench.commit()


def test_a_task_whose_sender_is_gone_is_undone_or_if_it_was_committed_in_doubt(bench: Bench) -> None:
    bench.offer({A: b"a"}, task=TASK)
    bench.offer({B: b"b"}, task=TASK_2)
    bench.commit(task=TASK_2)
    bench.sessions.close(SESSION)
    assert bench.visible() == {B: b"b"}
    assert [doubt.task for doubt in bench.rooms.in_doubt.all()] == [TASK_2]
    assert (unfinished(bench.store), len(bench.staging)) == ([], 0)
    with pytest.raises(Cancelled):
        bench.offer({A: b"a"}, task=TASK)


@pytest.mark.parametrize("is_done", [True, False])
def test_a_task_in_doubt_ends_after_a_restart_as_its_sender_says(bench: Bench, is_done: bool) -> None:
    put(bench.store, "s4://out/in/4_c", b"mine", OTHER)
    bench.offer({A: b"a", B: b"b"})
    bench.commit()
    later = Rooms(bench.store, (NODE, PEER))
    try:
        assert [doubt.folder for doubt in later.in_doubt.all()] == ["out/in/"]
        later.staging.settle(TASK) if is_done else later.staging.abort(TASK)
        assert len(later.in_doubt) == 0
    finally:
        later.close()
    made = {A: b"a", B: b"b"} if is_done else {}
    assert bench.visible() == {**made, "s4://out/in/4_c": b"mine"}
    assert len(InDoubt(bench.store.root)) == 0


def test_outputs_of_one_task_in_two_folders_are_refused(bench: Bench) -> None:
    with pytest.raises(ProtocolError, match="one folder"):
        bench.offer({A: b"a", "s4://out/other/0_a": b"b"})
    bench.offer({A: b"a"})
    with pytest.raises(ProtocolError, match="one folder"):
        bench.offer({"s4://out/other/0_a": b"b"}, parcel=1)


def test_a_commit_for_a_sender_that_is_no_node_is_refused(bench: Bench) -> None:
    bench.offer({A: b"a"})
    with pytest.raises(ProtocolError, match="no node of this cluster"):
        bench.ask(bench.staging.on_commit, wire.Commit(TASK, 1, "10.0.0.1:80"))
    assert bench.visible() == {}


# -- bad offers


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"s4://out/in/1_x": b"x"}, WrongOwner),
        ({"s4://out/../0_x": b"x"}, S4Error),
        ({"s4://out/there/0_x": b"x"}, KeyExists),
        ({}, ProtocolError),
        ({f"s4://out/in/0_{number}": b"" for number in range(PARCEL_MAX_FILES + 1)}, ProtocolError),
    ],
    ids=["foreign", "outside", "exists", "empty", "too many"],
)
def test_an_offer_that_can_not_be_kept_is_refused(
    bench: Bench, values: dict[str, bytes], error: type[S4Error]
) -> None:
    put(bench.store, "s4://out/there/0_x", b"old", OTHER)
    with pytest.raises(error):
        bench.offer(values)
    bench.assert_nothing_is_left()


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize(
    ("entries", "digests", "body"),
    [
        ([(A, 5)], [digest_of(b"value")], b"valu"),
        ([(A, 5)], [], b"value"),
        ([(A, 5)], [digest_of(b"value")] * 2, b"value"),
    ],
)
def test_an_offer_that_does_not_add_up_is_refused(
    bench: Bench, entries: list[tuple[str, int]], digests: list[bytes], body: bytes
) -> None:
    with pytest.raises(ProtocolError):
        bench.ask(bench.staging.on_offer, wire.Offer(TASK, 0, entries, digests, True, ORIGIN), body)
    bench.abort()
    bench.assert_nothing_is_left()


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("digest", [digest_of(b"other"), b"", b"short"])
def test_outputs_that_were_damaged_on_their_way_are_refused(bench: Bench, digest: bytes) -> None:
    with pytest.raises(ChecksumMismatch, match=f"{A} was damaged on its way between nodes"):
        bench.ask(bench.staging.on_offer, wire.Offer(TASK, 0, [(A, 5)], [digest], True, ORIGIN), b"value")
    with pytest.raises(ConnectionLost):
        bench.commit()
    bench.abort()
    bench.assert_nothing_is_left()


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(bench: Bench) -> None:
    with files_end_at(2), pytest.raises(StorageError, match=f"can not write {A}"):
        bench.offer({A: b"value"})
    bench.abort()
    bench.assert_nothing_is_left()


def test_a_large_parcel_is_granted_credit_and_ends_with_its_session(bench: Bench) -> None:
    reply = bench.ask(bench.staging.on_offer, wire.Offer(TASK, 0, [(A, 1 << 20)], [], False, ORIGIN))
    assert isinstance(reply, wire.Granted)
    assert bench.store.space.reserved == 1 << 20
    bench.sessions.close(SESSION)
    wait_until(lambda: len(bench.inbox) == 0, "the transfer to be discarded")
    bench.assert_nothing_is_left()


# -- outputs made here


def test_outputs_made_here_are_moved_and_not_copied(bench: Bench, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"value")
    inode = made.stat().st_ino
    bench.staging.stage_local(GROUP, 0, [(Key.parse(A), str(made), 5)])
    assert made.exists()
    assert bench.visible() == {}
    bench.commit()
    assert not made.exists()
    assert os.stat(bench.store.path_of(Key.parse(A))).st_ino == inode
    bench.staging.settle(TASK)
    assert bench.visible() == {A: b"value"}
    bench.assert_nothing_is_left()


def test_one_file_under_two_names_becomes_two_keys(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"value")
    os.link(tmp_path / "one", tmp_path / "two")
    outputs = [(Key.parse(A), str(tmp_path / "one"), 5), (Key.parse(B), str(tmp_path / "two"), 5)]
    bench.staging.stage_local(GROUP, 0, outputs)
    bench.commit()
    assert bench.visible() == {A: b"value", B: b"value"}
    for key in (A, B):
        os.close(bench.store.open_checked(Key.parse(key))[0])


def test_a_file_that_changed_after_its_command_had_ended_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"value and more")
    with pytest.raises(ChecksumMismatch, match="changed after its command had ended"):
        bench.staging.stage_local(GROUP, 0, [(Key.parse(A), str(tmp_path / "made"), 5)])
    bench.abort()
    bench.assert_nothing_is_left()
