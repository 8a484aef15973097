"""Shipments: the outputs of one task show on all nodes, or on none, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from s4zmq import wire
from s4zmq.errors import Cancelled, ConnectionLost, KeyExists, NodeUnreachable, NoSpace
from s4zmq.keys import Key
from s4zmq.ledger import Done
from s4zmq.limits import TICK_S
from s4zmq.recipes import Recipe
from s4zmq.shell import Switch
from s4zmq.shipment import Output, Shipment
from s4zmq.staging import Group

from .helpers import NODE, OTHER, put
from .street import PEER, Neighbour

RECIPE = Recipe("map-to-n", "s4://in/", "s4://out/", "cat", ())
RUN = RECIPE.fingerprint
TASK = b"t" * 16
GROUP = Group(TASK, "out/in/", RUN + b"mark....")
HERE, THERE = {"0_a": b"a", "0_b": b""}, {"1_c": b"ccc", "1_d": b"d"}
Pair = tuple[Neighbour, Neighbour]


class Bench:
    """One task, sent by the first of two nodes."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.here, self.there = pair
        self.folder = folder
        self.noted: list[Mapping[str, int]] = []
        self.at_note: Callable[[], None] = lambda: None
        """Called when the task is noted as done."""
        self.cancel = Switch()
        self.here.ledger.begin(RECIPE, resume=False)
        self.street = self.here.street
        self.shipment = Shipment(self.here.dock, GROUP, self.cancel)

    def made(self, values: Mapping[str, bytes]) -> list[Output]:
        """Outputs that stand in the folder of a command."""
        for name, value in values.items():
            (self.folder / name).write_bytes(value)
        return [Output(Key(f"out/in/{n}"), str(self.folder / n), len(v)) for n, v in values.items()]

    def send(self) -> None:
        self.shipment.send(PEER, self.made(THERE))
        self.shipment.send(NODE, self.made(HERE))

    def note(self, counts: Mapping[str, int]) -> None:
        self.at_note()
        self.here.ledger.note(RUN, Done("in", b"mark....", TASK, counts))
        self.noted.append(dict(counts))

    def ship(self) -> None:
        """As a task does it."""
        try:
            self.send()
            self.shipment.commit(self.note)
        except BaseException:
            self.shipment.abort()
            raise

    def fate(self) -> str:
        return self.here.fates.of(RUN, [TASK])[0]

    def resolve(self, rooms: Neighbour) -> None:
        """What a node does about tasks in doubt as time goes by."""
        for look in range(3):
            for sender, fates in rooms.resolver.due(1.0 + look * TICK_S):
                reply = rooms.street.peers[sender].answer(fates)
                rooms.resolver.taking(sender, fates)(reply, b"")

    def restart_here(self) -> None:
        self.here = self.here.restarted()

    def restart_there(self) -> None:
        self.there = self.there.restarted()

    def assert_all(self) -> None:
        assert (self.here.visible("out/in/"), self.there.visible("out/in/")) == (HERE, THERE)
        assert (len(self.here.in_doubt), len(self.there.in_doubt)) == (0, 0)

    def assert_none(self) -> None:
        assert (self.here.visible(), self.there.visible()) == ({}, {})
        assert (len(self.here.in_doubt), len(self.there.in_doubt)) == (0, 0)
        assert (len(self.here.staging), len(self.there.staging)) == (0, 0)
        assert self.fate() == "undone"


@pytest.fixture
def bench(pair: Pair, tmp_path: Path) -> Bench:
    folder = tmp_path / "command"
    folder.mkdir()
    return Bench(pair, folder)


def test_outputs_show_when_all_are_there_and_are_settled_when_that_is_noted(bench: Bench) -> None:
    def look() -> None:
        assert (bench.here.visible("out/in/"), bench.there.visible("out/in/")) == (HERE, THERE)
        assert (len(bench.here.in_doubt), len(bench.there.in_doubt)) == (1, 1)
        assert bench.street.kinds() == ["offer", "commit"]
        assert bench.fate() == "pending"

    bench.at_note = look
    bench.send()
    assert (bench.here.visible(), bench.there.visible()) == ({}, {})
    bench.shipment.commit(bench.note)
    assert bench.noted == [{PEER: 2, NODE: 2}]
    assert bench.street.kinds() == ["offer", "commit", "settle"]
    assert bench.fate() == "done"
    bench.assert_all()
    assert (len(bench.here.staging), len(bench.there.staging)) == (0, 0)


def test_the_stamps_of_all_outputs_tell_task_and_origin(bench: Bench) -> None:
    bench.ship()
    for rooms, values in ((bench.here, HERE), (bench.there, THERE)):
        for name in values:
            stamp = rooms.store.stamp_of(f"out/in/{name}")
            assert stamp is not None
            assert (stamp.writer, stamp.origin) == (TASK, GROUP.origin)


def test_a_task_without_outputs_is_noted_too(bench: Bench) -> None:
    bench.shipment.commit(bench.note)
    assert (bench.noted, bench.street.kinds(), bench.fate()) == ([{}], [], "done")


def test_outputs_of_one_node_alone_ask_nobody(bench: Bench) -> None:
    bench.shipment.send(NODE, bench.made(HERE))
    bench.shipment.commit(bench.note)
    assert (bench.noted, bench.street.kinds()) == ([{NODE: 2}], [])


def test_several_parcels_to_one_node_are_committed_together(bench: Bench) -> None:
    for number in range(3):
        bench.shipment.send(PEER, bench.made({f"1_{number}": b"x"}))
        bench.shipment.send(NODE, bench.made({f"0_{number}": b"x"}))
    bench.shipment.commit(bench.note)
    assert bench.noted == [{PEER: 3, NODE: 3}]
    assert (PEER, wire.Commit(TASK, 3, NODE)) in bench.street.posted
    assert len(bench.there.visible("out/in/")) == len(bench.here.visible("out/in/")) == 3


# -- what goes wrong on the way


def test_a_peer_that_refuses_an_offer_undoes_the_task(bench: Bench) -> None:
    put(bench.there.store, "s4://out/in/1_c", b"there", OTHER)
    with pytest.raises(KeyExists):
        bench.ship()
    bench.there.store.delete(Key("out/in/1_c"))
    bench.assert_none()
    assert bench.noted == []


def test_a_peer_that_refuses_a_commit_undoes_the_task(bench: Bench) -> None:
    bench.send()
    put(bench.there.store, "s4://out/in/1_d", b"faster", OTHER)
    with pytest.raises(KeyExists):
        bench.shipment.commit(bench.note)
    bench.shipment.abort()
    assert bench.there.visible() == {"out/in/1_d": b"faster"}
    bench.there.store.delete(Key("out/in/1_d"))
    bench.assert_none()


def test_a_name_that_was_taken_here_undoes_the_task_before_any_peer_commits(bench: Bench) -> None:
    bench.send()
    put(bench.here.store, "s4://out/in/0_b", b"faster", OTHER)
    with pytest.raises(KeyExists):
        bench.shipment.commit(bench.note)
    assert bench.street.kinds() == ["offer"]
    bench.shipment.abort()
    bench.here.store.delete(Key("out/in/0_b"))
    bench.assert_none()


def test_a_note_that_a_full_disk_does_not_take_undoes_the_task(bench: Bench) -> None:
    def fail() -> None:
        raise NoSpace("the disk is full")

    bench.at_note = fail
    with pytest.raises(NoSpace):
        bench.ship()
    assert bench.street.kinds() == ["offer", "commit", "abort"]
    bench.assert_none()


def test_a_job_that_is_cancelled_before_the_barrier_undoes_the_task(bench: Bench) -> None:
    bench.send()
    bench.cancel.turn()
    with pytest.raises(Cancelled):
        bench.shipment.commit(bench.note)
    bench.shipment.abort()
    bench.assert_none()


@pytest.mark.parametrize("kind", [wire.Offer, wire.Commit])
@pytest.mark.parametrize("way", ["cut", "lost"])
def test_a_peer_that_does_not_answer_undoes_the_task(bench: Bench, kind: type, way: str) -> None:
    getattr(bench.street, way).add(kind)
    with pytest.raises(NodeUnreachable, match=PEER):
        bench.ship()
    bench.assert_none()


def test_a_peer_that_does_not_hear_of_the_end_either_asks_for_it_later(bench: Bench) -> None:
    bench.street.lost.add(wire.Commit)
    bench.street.cut.add(wire.Abort)
    with pytest.raises(NodeUnreachable):
        bench.ship()
    assert bench.here.visible() == {}
    assert bench.there.visible("out/in/") == THERE
    bench.resolve(bench.there)
    bench.assert_none()


def test_a_settle_that_is_lost_undoes_nothing(bench: Bench) -> None:
    bench.street.cut.add(wire.Settle)
    bench.ship()
    assert (len(bench.here.in_doubt), len(bench.there.in_doubt)) == (0, 1)
    bench.resolve(bench.there)
    bench.assert_all()


# -- kills


class Killed(BaseException):
    """In place of SIGKILL: nothing of the sender runs any more."""


def stop() -> None:
    raise Killed


@pytest.mark.parametrize("first", ["sender", "peer"])
def test_a_sender_that_is_killed_before_its_note_undoes_the_task_when_it_is_back(
    bench: Bench, first: str
) -> None:
    bench.at_note = stop
    bench.send()
    with pytest.raises(Killed):
        bench.shipment.commit(bench.note)
    bench.restart_here()
    assert (bench.here.visible("out/in/"), bench.there.visible("out/in/")) == (HERE, THERE)
    for rooms in (bench.here, bench.there) if first == "sender" else (bench.there, bench.here):
        bench.resolve(rooms)
    bench.there.sessions.close_all()
    bench.assert_none()


def test_a_sender_that_is_killed_after_its_note_keeps_the_task(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.send()
    monkeypatch.setattr(bench.shipment, "_settle", stop)
    with pytest.raises(Killed):
        bench.shipment.commit(bench.note)
    bench.restart_here()
    assert (len(bench.here.in_doubt), len(bench.there.in_doubt)) == (1, 1)
    bench.resolve(bench.there)
    bench.resolve(bench.here)
    bench.assert_all()
    assert bench.fate() == "done"


def test_a_peer_that_was_killed_after_its_commit_finds_the_task_done(bench: Bench) -> None:
    bench.at_note = bench.restart_there
    bench.street.mute.add(wire.Settle)
    bench.ship()
    assert len(bench.there.in_doubt) == 1
    bench.resolve(bench.there)
    bench.assert_all()


def test_a_peer_that_was_killed_before_its_commit_undoes_the_task(bench: Bench) -> None:
    bench.send()
    bench.restart_there()
    with pytest.raises(ConnectionLost, match="has lost what was staged there"):
        bench.shipment.commit(bench.note)
    bench.shipment.abort()
    bench.assert_none()


def test_when_all_were_killed_before_the_note_nothing_shows_in_the_end(bench: Bench) -> None:
    bench.at_note = stop
    bench.send()
    with pytest.raises(Killed):
        bench.shipment.commit(bench.note)
    bench.restart_here()
    bench.restart_there()
    assert (len(bench.here.in_doubt), len(bench.there.in_doubt)) == (1, 1)
    bench.resolve(bench.there)
    bench.resolve(bench.here)
    bench.assert_none()


def test_a_fault_of_an_abort_is_no_error_of_the_task(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.send()
    bench.street.cut.add(wire.Abort)
    bench.shipment.abort()
    assert "could not be undone everywhere" in caplog.text
    assert bench.fate() == "undone"
    assert bench.here.visible() == {}
    bench.there.sessions.close_all()
    bench.assert_none()
