"""What a node measures of itself, and what it does where the disk hangs or many ask."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from s4zmq import usages as room
from s4zmq import wire
from s4zmq.errors import Cancelled, KeyInvalid, NodeBusy, S4Error
from s4zmq.limits import MAX_ONLOOKERS
from s4zmq.sessions import Sessions
from s4zmq.store import Store
from s4zmq.usages import Usages
from s4zmq.vitals import DiskGauge, Gauge, Vitals

from ..harness import wait_until
from .helpers import SESSION, Letters, put


class HangingDisk(DiskGauge):
    """A disk that says nothing until `answers` is set."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.answers = threading.Event()
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        self.answers.wait()
        super()._ask()


def test_a_disk_tells_its_size_and_what_is_free(tmp_path: Path) -> None:
    found = DiskGauge(str(tmp_path)).read()
    assert found
    assert 0 < found.free <= found.size
    assert found.size == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_a_disk_that_hangs_is_asked_once_and_one_that_refuses_tells_nothing(tmp_path: Path) -> None:
    disk = HangingDisk(str(tmp_path))
    assert [disk.read(), disk.read()] == [None, None]
    assert disk.asked == 1
    disk.answers.set()
    wait_until(disk.read, "the disk to answer")
    assert DiskGauge(str(tmp_path / "gone")).read() is None


def measured(gauge: Gauge) -> Vitals:
    got: list[Vitals | S4Error] = []
    gauge.ask(object(), got.append)
    wait_until(lambda: got, "an answer")
    assert isinstance(got[0], Vitals)
    return got[0]


def test_a_busy_process_shows_and_is_measured_again_after_a_moment() -> None:
    gauge = Gauge()
    is_over = threading.Event()

    def be_busy() -> None:
        while not is_over.is_set():
            pass

    threading.Thread(target=be_busy).start()
    try:
        first = measured(gauge)
        assert 0 < first.cpu <= first.cores + 0.5
        assert first.machine_cpu > 0
        assert 0 < first.memory < first.machine_memory
        assert measured(gauge) is first, "what is that fresh is not measured again"
        wait_until(lambda: measured(gauge) is not first, "it to be measured anew")
        assert 0 < measured(gauge).cpu <= first.cores + 0.5
    finally:
        is_over.set()


def test_all_who_ask_meanwhile_get_one_answer_and_too_many_are_refused() -> None:
    gauge = Gauge()
    got: list[Vitals | S4Error] = []
    is_full = threading.Event()

    def take(found: Vitals | S4Error) -> None:
        is_full.wait()  # the others ask while this one is told
        got.append(found)

    def ask(count: int) -> None:
        for number in range(count):
            gauge.ask(number, take)

    ask(MAX_ONLOOKERS - 1)
    wait_until(lambda: not gauge._waiting, "the first to be answered")
    ask(MAX_ONLOOKERS)
    with pytest.raises(NodeBusy):
        ask(1)
    is_full.set()
    wait_until(lambda: gauge._thread is None, "all to be answered", 30)
    assert len(got) == 2 * MAX_ONLOOKERS - 1
    assert len(set(got)) <= 2


@pytest.fixture
def usages(store: Store) -> Usages:
    return Usages(store, Sessions())


def test_usage_counts_and_leaves_nothing(usages: Usages, store: Store) -> None:
    for number in range(5):
        put(store, f"s4://b/d{number % 2}/{number}", b"x" * number)
    letters = Letters()
    usages.on_usage(wire.Usage("b/d1"), b"", letters.caller())
    wait_until(lambda: letters, "an answer")
    assert letters[0].message == wire.UsageReply(2, 4)
    assert (len(usages), len(usages._walks._sessions)) == (0, 0)


def test_usage_of_a_bad_prefix_and_of_too_many_at_once_is_refused(
    usages: Usages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyInvalid):
        usages.on_usage(wire.Usage("../x"), b"", Letters().caller())
    monkeypatch.setattr(room, "MAX_USAGES", 0)
    with pytest.raises(NodeBusy):
        usages.on_usage(wire.Usage("b/"), b"", Letters().caller())
    assert len(usages) == 0


def test_usage_ends_with_its_client(usages: Usages, store: Store) -> None:
    put(store, "s4://b/k", b"")
    ended = threading.Event()
    usages._walks._sessions.own(SESSION, "usage", ended.set)
    usages._walks._sessions.close(SESSION)
    with pytest.raises(Cancelled):
        usages._count("b/", ended)
