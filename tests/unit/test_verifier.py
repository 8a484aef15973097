"""Verify on one node: bytes read anew, damage named, ended with its client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s4zmq import verifier as room
from s4zmq import wire
from s4zmq.errors import ChecksumMismatch, KeyInvalid, NodeBusy
from s4zmq.keys import Key
from s4zmq.sessions import Sessions
from s4zmq.store import XATTR, Stamp, Store
from s4zmq.verifier import Verifier

from ..harness import wait_until
from .helpers import NODE, SESSION, Letters, change_file, flip_first_byte, put

ENDLESS = 1 << 40
"""Bytes of a file with a hole: more than any disk gives in the time of a test."""


class Bench:
    """The verifier of a node."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sessions = Sessions()
        self.verifier = Verifier(store, self.sessions)
        self.letters = Letters()

    def start(self, prefix: str = "", id: int = 7) -> None:
        self.verifier.on_verify(wire.Verify(prefix), b"", self.letters.caller(id=id))

    def final(self) -> Any:
        wait_until(lambda: not len(self.verifier), "the verify to end", 30)
        return self.letters[-1].message

    def verify(self, prefix: str = "") -> Any:
        self.start(prefix)
        return self.final()


@pytest.fixture
def bench(store: Store) -> Iterator[Bench]:
    made = Bench(store)
    for number in range(5):
        put(store, f"s4://b/d{number}/k", b"x" * number)
    yield made
    made.sessions.close_all()
    wait_until(lambda: (len(made.verifier), len(made.sessions)) == (0, 0), "the verifies to end")


def test_sound_keys_are_counted_with_their_bytes(bench: Bench) -> None:
    assert bench.verify() == wire.VerifyDone(5, 10, 0, [])
    assert bench.verify("b/d") == wire.VerifyDone(5, 10, 0, [])
    assert bench.verify("b/d3/") == wire.VerifyDone(1, 3, 0, [])
    assert bench.verify("c") == wire.VerifyDone(0, 0, 0, [])


def append(path: Path) -> None:
    change_file(path, lambda fd: os.pwrite(fd, b"more", os.fstat(fd).st_size))


def truncate(path: Path) -> None:
    change_file(path, lambda fd: os.truncate(fd, 2))


def remove_checksum(path: Path) -> None:
    os.removexattr(path, XATTR)


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flip_first_byte, "its bytes are not those that were stored"),
        (append, "it has 8 bytes, not 4"),
        (truncate, "it has 2 bytes, not 4"),
        (remove_checksum, "it has no checksum"),
        (replace_by_link, "it is no plain file"),
    ],
)
def test_each_kind_of_damage_is_named(bench: Bench, harm: Callable[[Path], None], said: str) -> None:
    harm(Path(bench.store.path_of(Key("b/d4/k"))))
    done = bench.verify()
    text = f"s4://b/d4/k on node {NODE} is damaged: {said}; remove it and make it anew"
    where = {"key": "s4://b/d4/k", "node": NODE}
    assert (done.keys, done.damaged, done.failures) == (5, 1, [(0, "E_CHECKSUM", text, where)])


def test_a_file_that_no_key_can_be_is_named(bench: Bench) -> None:
    Path(bench.store.keys_path, "b/a\nb").write_bytes(b"")
    [(_, code, text, _)] = bench.verify().failures
    assert (code, "\n" in text) == ("E_STORAGE", False)
    assert f"of node {NODE} is no key: s4://b/a\\nb holds a newline" in text


def test_what_is_remembered_as_sound_is_read_all_the_same_and_then_forgotten(bench: Bench) -> None:
    path = Path(bench.store.path_of(Key("b/d4/k")))
    flip_first_byte(path)
    bench.store._verified.add(path.stat(), b"any digest")
    os.close(bench.store.open_checked(Key("b/d4/k"))[0])
    assert bench.verify().damaged == 1
    with pytest.raises(ChecksumMismatch):
        bench.store.open_checked(Key("b/d4/k"))


def test_bytes_that_can_not_be_read_are_damage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad_sector(fd: int) -> Iterator[bytes]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("s4zmq.store.read_chunks", bad_sector)
    done = bench.verify("b/d0")
    assert done.damaged == 1
    assert "its bytes can not be read (Input/output error)" in done.failures[0][2]


def test_only_the_first_of_many_damaged_keys_are_described(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_FAILURES_KEPT", 2)
    for number in range(1, 5):
        flip_first_byte(Path(bench.store.path_of(Key(f"b/d{number}/k"))))
    done = bench.verify()
    assert (done.keys, done.damaged) == (5, 4)
    assert [(row[0], row[2][:11]) for row in done.failures] == [(0, "s4://b/d1/k"), (1, "s4://b/d2/k")]


def test_a_key_that_is_removed_meanwhile_is_no_damage(bench: Bench) -> None:
    class Losing(Store):
        """Loses each key just before it is opened."""

        def open(self, key: Key) -> Any:
            self.delete(key)
            return super().open(key)

    bench.store.__class__ = Losing
    assert bench.verify() == wire.VerifyDone(0, 0, 0, [])


# -- long ones


@pytest.fixture
def endless(bench: Bench) -> None:
    """A key that takes longer to read than any test."""
    path = put(bench.store, "s4://b/endless", b"")
    stamp = Stamp.unpack(os.getxattr(path, XATTR))
    path.chmod(0o644)
    os.truncate(path, ENDLESS)
    os.setxattr(path, XATTR, stamp._replace(size=ENDLESS).pack())


@pytest.mark.usefixtures("endless")
def test_a_long_one_tells_how_far_it_is_and_ends_with_its_client(bench: Bench) -> None:
    bench.start()
    wait_until(lambda: bench.letters, "news")
    news = bench.letters[0].message
    assert isinstance(news, wire.Verifying)
    assert (news.keys, news.damaged) == (5, 0)
    assert 10 < news.bytes < ENDLESS
    bench.sessions.close(SESSION)
    assert bench.final().code == "E_CANCELLED"


@pytest.mark.usefixtures("endless")
def test_one_too_many_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_VERIFIES", 2)
    bench.start(id=1)
    bench.start(id=2)
    with pytest.raises(NodeBusy, match=f"2 of verify run on node {NODE}: try again"):
        bench.start(id=3)
    assert len(bench.verifier) == 2


def test_what_can_not_be_started_holds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyInvalid):
        bench.start("b/../c")
    monkeypatch.setattr("s4zmq.sessions.MAX_SESSIONS", 0)
    with pytest.raises(NodeBusy):
        bench.start()
    assert len(bench.verifier) == 0
