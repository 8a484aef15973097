"""What has become of a task: told by its sender, and asked for by who is in doubt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s4zmq import fates as room
from s4zmq import wire
from s4zmq.errors import NodeUnreachable, ProtocolError
from s4zmq.indoubt import Doubt
from s4zmq.ledger import Done
from s4zmq.limits import BATCH_MAX_KEYS, TICK_S
from s4zmq.recipes import Recipe
from s4zmq.store import Store

from .helpers import NODE, Letters, Rooms, put

PEER = "127.0.0.1:7001"
RECIPE = Recipe("map-to-n", "s4://in/", "s4://out/", "cat", ())
PRINT = RECIPE.fingerprint
TASKS = [b"%016d" % number for number in range(4)]


@pytest.fixture
def rooms(store: Store) -> Iterator[Rooms]:
    made = Rooms(store, (NODE, PEER))
    made.ledger.begin(RECIPE, resume=False)
    yield made
    made.ledger.end(PRINT)
    made.close()


def note(rooms: Rooms, task: bytes) -> None:
    rooms.ledger.note(PRINT, Done("k", b"mark....", task, {}))


def test_a_task_is_pending_until_it_ends_then_done_or_undone(rooms: Rooms) -> None:
    pending, done, undone, unknown = TASKS
    for task in (pending, done, undone):
        rooms.fates.begin(task)
    note(rooms, done)
    assert rooms.fates.of(PRINT, [done]) == ["pending"], "its sender may still hear of an error"
    rooms.fates.end(done, done=True)
    rooms.fates.end(undone, done=False)
    expected = ["pending", "done", "undone", "undone"]
    assert rooms.fates.of(PRINT, [pending, done, undone, unknown]) == expected


def test_after_a_restart_the_ledger_tells(rooms: Rooms, store: Store) -> None:
    note(rooms, TASKS[0])
    later = Rooms(store, (NODE, PEER))
    try:
        assert later.fates.of(PRINT, TASKS[:2]) == ["done", "undone"]
        assert later.fates.of(b"another.", TASKS[:1]) == ["undone"]
    finally:
        later.close()


def test_the_memory_of_done_tasks_is_bounded(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_DONE_REMEMBERED", 2)
    for task in TASKS:
        note(rooms, task)
        rooms.fates.end(task, done=True)
    assert rooms.fates.of(PRINT, TASKS) == ["done"] * 4
    assert len(rooms.fates._done) == 2


def test_a_peer_may_ask_for_some_tasks_at_once(rooms: Rooms) -> None:
    letters = Letters()
    rooms.fates.on_fates(wire.Fates(PRINT, TASKS[:1]), b"", letters.caller())
    assert letters[0].message == wire.FatesReply(["undone"])
    with pytest.raises(ProtocolError):
        rooms.fates.on_fates(wire.Fates(PRINT, TASKS[:1] * (BATCH_MAX_KEYS + 1)), b"", letters.caller())


def in_doubt(rooms: Rooms, task: bytes, sender: str) -> None:
    put(rooms.store, f"s4://out/k/0_{task.decode()}", writer=task)
    rooms.in_doubt.begin(Doubt(task, sender, PRINT, "out/k/"))


def asked(rooms: Rooms, now: float) -> list[tuple[str, wire.Fates]]:
    return list(rooms.resolver.due(now))


def test_who_is_in_doubt_for_a_while_asks_until_it_is_told(rooms: Rooms) -> None:
    done, undone, pending, own = TASKS
    for task in (done, undone, pending):
        in_doubt(rooms, task, PEER)
    in_doubt(rooms, own, NODE)
    note(rooms, own)
    assert asked(rooms, 100.0) == [], "what is settled in the usual time is not asked about"
    assert asked(rooms, 100.0 + TICK_S / 2) == []
    request = (PEER, wire.Fates(PRINT, [done, undone, pending]))
    assert asked(rooms, 101.0) == [request]
    assert rooms.in_doubt.of(own) is None, "a task of this node itself needs no request"
    assert asked(rooms, 102.0) == [], "the request is out"
    rooms.resolver.taking(*request)(NodeUnreachable("no answer"), b"")
    assert asked(rooms, 103.0) == [request]
    rooms.resolver.taking(*request)(wire.FatesReply(["done", "undone", "pending"]), b"")
    assert [doubt.task for doubt in rooms.in_doubt.all()] == [pending]
    names = [f"0_{task.decode()}" for task in (done, pending, own)]
    kept = sorted(path.name for path in (rooms.store.root / "keys/out/k").iterdir())
    assert kept == sorted(names)
    assert asked(rooms, 104.0) == [(PEER, wire.Fates(PRINT, [pending]))]
