"""A node's answers about keys: it trusts no client."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s4zmq import keyserver as room
from s4zmq import wire
from s4zmq.checksum import digest_of
from s4zmq.errors import (
    ConnectionLost,
    KeyExists,
    KeyInvalid,
    NodeBusy,
    NoSpace,
    ProtocolError,
    RequestError,
    S4Error,
    WrongOwner,
)
from s4zmq.limits import BATCH_MAX_BYTES, BATCH_MAX_KEYS, CHUNK_BYTES, INLINE_MAX_BYTES
from s4zmq.store import Store

from ..harness import wait_until
from .helpers import NODE, ONE, OTHER, SESSION, Letters, Rooms, flip_first_byte, put

PEER = "127.0.0.1:7001"
ELSEWHERE = "s4://b/1_k"
"""A key that the peer owns."""

BAD_KEYS = ["s4://b/../../etc/passwd", "s4://b//k", "s4://_b/k", "b/k", "s4://b/0 k", "s4://b", ELSEWHERE]


class Bench:
    """A key server of the first of two nodes."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self.store = store
        self._ids = itertools.count(1)
        self.shipped = tmp_path / "shipped"
        self.shipped.mkdir()
        self.rooms = Rooms(store, (NODE, PEER), self._file_folder)
        self.sessions, self.inbox, self.server = self.rooms.sessions, self.rooms.inbox, self.rooms.keys

    def _file_folder(self, job: bytes, name: str) -> str:
        if name != "tool.py":
            raise RequestError("no job expects it")
        return str(self.shipped)

    def ask(self, handler: Callable[..., None], message: Any, body: bytes = b"") -> Any:
        """The reply to a request."""
        return self.ask_with_body(handler, message, body)[0]

    def ask_with_body(
        self, handler: Callable[..., None], message: Any, body: bytes = b""
    ) -> tuple[Any, bytes]:
        letters = Letters()
        handler(message, body, letters.caller(next(self._ids)))
        [letter] = letters
        return letter.message, bytes(letter.body)

    def close(self) -> None:
        self.rooms.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(store, tmp_path)
    yield made
    made.close()


def entry(key: str, value: bytes) -> tuple[str, int, bytes]:
    return key, len(value), digest_of(value)


def codes(failures: list[wire.FailureRow]) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in failures]


# -- which keys are ours


@pytest.mark.parametrize("text", BAD_KEYS)
def test_a_bad_or_foreign_key_is_refused_by_every_request(bench: Bench, text: str) -> None:
    expected = WrongOwner if text == ELSEWHERE else KeyInvalid
    server = bench.server
    for handler, message in (
        (server.on_fetch, wire.Fetch(text, 0, 1)),
        (server.on_open, wire.Open(text, 1, True, ONE)),
    ):
        with pytest.raises(expected):
            bench.ask(handler, message)
    put_reply = bench.ask(server.on_put, wire.Put([entry(text, b"x")], ONE), b"x")
    get_reply = bench.ask(server.on_get, wire.Get([text], True))
    deleted = bench.ask(server.on_delete, wire.Delete([text]))
    for reply in (put_reply, get_reply, deleted):
        assert codes(reply.failures) == [(0, expected.code)]
    assert os.listdir(bench.store.keys_path) == []


def test_the_error_for_a_foreign_key_names_its_node(bench: Bench) -> None:
    with pytest.raises(WrongOwner, match=f"{ELSEWHERE} lives on node {PEER}, not on {NODE}"):
        bench.server.own_key(ELSEWHERE)


# -- putting


def test_each_value_of_a_put_fails_or_succeeds_by_itself(bench: Bench) -> None:
    put(bench.store, "s4://b/0_there", b"old", OTHER)
    damaged = ("s4://b/0_damaged", 3, digest_of(b"xyz"))
    entries = [
        entry("s4://b/0_new", b"new"),
        entry("s4://b/0_there", b"there"),
        damaged,
        entry("s4://b/2", b""),
    ]
    reply = bench.ask(bench.server.on_put, wire.Put(entries, ONE), b"newthereabc")
    assert codes(reply.failures) == [(1, "E_EXISTS"), (2, "E_CHECKSUM")]
    assert reply.failures[0][3]["digest"] == digest_of(b"old")
    assert Path(bench.store.keys_path, "b/0_new").read_bytes() == b"new"
    assert Path(bench.store.keys_path, "b/2").read_bytes() == b""
    assert not os.path.exists(f"{bench.store.keys_path}/b/0_damaged")


def test_the_retry_of_a_put_succeeds_and_the_same_bytes_by_hand_do_not(bench: Bench) -> None:
    entries = [entry("s4://b/0", b"value")]
    for writer, expected in ((ONE, []), (ONE, []), (OTHER, [(0, "E_EXISTS")])):
        reply = bench.ask(bench.server.on_put, wire.Put(entries, writer), b"value")
        assert codes(reply.failures) == expected


@pytest.mark.parametrize(
    ("entries", "body"),
    [
        ([entry("s4://b/0", b"value")], b"valu"),
        ([entry("s4://b/0", b"value")], b"values"),
        ([], b"x"),
        ([entry(f"s4://b/0_{n}", b"") for n in range(BATCH_MAX_KEYS + 1)], b""),
    ],
    ids=["short", "long", "no entry", "too many"],
)
def test_a_put_that_does_not_add_up_is_refused_whole(
    bench: Bench, entries: list[tuple[str, int, bytes]], body: bytes
) -> None:
    with pytest.raises(ProtocolError):
        bench.ask(bench.server.on_put, wire.Put(entries, ONE), body)
    assert os.listdir(bench.store.keys_path) == []


def test_a_shipped_file_goes_to_its_job_and_no_other_name_does(bench: Bench) -> None:
    entries = [entry("tool.py", b"print()"), entry("../../escape", b"")]
    reply = bench.ask(bench.server.on_put, wire.Put(entries, ONE, b"J" * 16), b"print()")
    assert codes(reply.failures) == [(1, "E_REQUEST")]
    assert os.listdir(bench.shipped) == ["tool.py"]


def test_a_large_value_is_granted_credit(bench: Bench) -> None:
    reply = bench.ask(bench.server.on_open, wire.Open("s4://b/0", 1 << 20, True, ONE))
    assert isinstance(reply, wire.Granted)
    bench.sessions.close(SESSION)


def test_room_is_kept_for_a_large_value_until_it_has_ended(bench: Bench) -> None:
    before = bench.ask(bench.server.on_room, wire.Room()).free
    bench.ask(bench.server.on_open, wire.Open("s4://b/0", 1 << 30, True, ONE))
    bench.ask(bench.server.on_open, wire.Open("s4://b/2", 1 << 30, False, ONE))
    assert bench.store.space.reserved == 1 << 30
    assert bench.ask(bench.server.on_room, wire.Room()).free < before - (1 << 29)
    bench.sessions.close(SESSION)
    wait_until(lambda: not len(bench.inbox), "the transfers to end")
    assert bench.store.space.reserved == 0


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_large_value_that_can_not_succeed_is_refused_before_it_travels(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bench.store, "s4://b/0", b"old", OTHER)
    refused: list[tuple[str, int, bytes, type[S4Error]]] = [
        ("s4://b/0", 1 << 20, ONE, KeyExists),
        ("s4://b/2", 1 << 62, ONE, NoSpace),
    ]
    for key, size, writer, error in refused:
        with pytest.raises(error):
            bench.ask(bench.server.on_open, wire.Open(key, size, True, writer))
    monkeypatch.setattr("s4zmq.inbox.MAX_TRANSFERS", 0)
    with pytest.raises(NodeBusy):
        bench.ask(bench.server.on_open, wire.Open("s4://b/4", 1, True, ONE))
    assert (len(bench.inbox), bench.store.space.reserved) == (0, 0)


# -- getting


def test_small_values_come_inline_and_large_ones_as_size_and_digest(bench: Bench) -> None:
    large = os.urandom(INLINE_MAX_BYTES + 1)
    put(bench.store, "s4://b/0_a", b"a")
    put(bench.store, "s4://b/0_large", large)
    put(bench.store, "s4://b/0_z", b"zz")
    keys = [f"s4://b/0_{name}" for name in ("a", "large", "none", "z")]
    reply, body = bench.ask_with_body(bench.server.on_get, wire.Get(keys, True))
    assert reply.entries == [
        (1, digest_of(b"a"), True),
        (len(large), digest_of(large), False),
        (0, b"", False),
        (2, digest_of(b"zz"), True),
    ]
    assert (codes(reply.failures), body) == ([(2, "E_NOT_FOUND")], b"azz")
    reply, body = bench.ask_with_body(bench.server.on_get, wire.Get(keys[:1], False))
    assert (reply.entries, body) == ([(1, digest_of(b"a"), False)], b"")


def test_a_reply_stays_within_a_batch_whatever_was_asked_for(bench: Bench) -> None:
    for number in range(6):
        put(bench.store, f"s4://b/0_{number}", bytes(INLINE_MAX_BYTES))
    keys = [f"s4://b/0_{number}" for number in range(6)]
    reply, body = bench.ask_with_body(bench.server.on_get, wire.Get(keys, True))
    fit = BATCH_MAX_BYTES // INLINE_MAX_BYTES
    assert [inline for _, _, inline in reply.entries] == [True] * fit + [False] * (6 - fit)
    assert len(body) == fit * INLINE_MAX_BYTES


def test_too_many_keys_at_once_are_refused(bench: Bench) -> None:
    with pytest.raises(ProtocolError):
        bench.ask(bench.server.on_get, wire.Get(["s4://b/0"] * (BATCH_MAX_KEYS + 1), True))


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 5, b"value"),
        (0, CHUNK_BYTES, b"value"),
        (1, 3, b"alu"),
        (4, 9, b"e"),
        (5, 1, b""),
        (1 << 40, 1, b""),
    ],
)
def test_a_range_carries_size_and_digest_of_the_whole_value(
    bench: Bench, offset: int, length: int, expected: bytes
) -> None:
    put(bench.store, "s4://b/0", b"value")
    reply, body = bench.ask_with_body(bench.server.on_fetch, wire.Fetch("s4://b/0", offset, length))
    assert (reply, body) == (wire.Range(5, digest_of(b"value")), expected)


@pytest.mark.parametrize("length", [0, CHUNK_BYTES + 1])
def test_a_range_of_no_or_too_many_bytes_is_refused(bench: Bench, length: int) -> None:
    put(bench.store, "s4://b/0", b"value")
    with pytest.raises(ProtocolError):
        bench.ask(bench.server.on_fetch, wire.Fetch("s4://b/0", 0, length))


def test_damage_that_a_node_does_not_see_is_seen_by_the_digest(bench: Bench) -> None:
    flip_first_byte(put(bench.store, "s4://b/0", b"value"))
    reply, body = bench.ask_with_body(bench.server.on_get, wire.Get(["s4://b/0"], True))
    assert reply.entries[0][1] == digest_of(b"value") != digest_of(body)


# -- listing


@pytest.fixture
def three_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAGE_KEYS", 3)


def listed(bench: Bench, prefix: str) -> list[str]:
    page = bench.ask(bench.server.on_list, wire.List(prefix, True))
    found, number = [row[0] for row in page.entries], 0
    while page.cursor:
        number += 1
        page = bench.ask(bench.server.on_more, wire.More(page.cursor, number))
        found += [row[0] for row in page.entries]
    return found


@pytest.mark.usefixtures("three_a_page")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_the_pages_of_a_listing_are_all_of_it_and_nothing_is_left(bench: Bench, count: int) -> None:
    for number in range(count):
        put(bench.store, f"s4://b/{number}")
    assert listed(bench, "b/") == [f"b/{number}" for number in range(count)]
    assert (bench.server.listing_count, len(bench.sessions)) == (0, 0)


@pytest.mark.usefixtures("three_a_page")
def test_a_page_can_be_asked_for_again_and_no_other_can(bench: Bench) -> None:
    for number in range(9):
        put(bench.store, f"s4://b/{number}")
    first = bench.ask(bench.server.on_list, wire.List("b/", True))
    second = bench.ask(bench.server.on_more, wire.More(first.cursor, 1))
    assert bench.ask(bench.server.on_more, wire.More(first.cursor, 1)) == second
    for cursor, number in ((first.cursor, 0), (first.cursor, 5), (first.cursor + 1, 1), (0, 0)):
        with pytest.raises(ProtocolError if cursor == first.cursor else ConnectionLost):
            bench.ask(bench.server.on_more, wire.More(cursor, number))
    bench.sessions.close(SESSION)
    assert bench.server.listing_count == 0


@pytest.mark.usefixtures("three_a_page")
def test_a_listing_that_is_refused_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        put(bench.store, f"s4://b/{number}")
    for limit in ("s4zmq.keyserver.MAX_LISTINGS", "s4zmq.sessions.MAX_SESSIONS"):
        monkeypatch.setattr(limit, 0)
        with pytest.raises(NodeBusy):
            bench.ask(bench.server.on_list, wire.List("b/", True))
        assert bench.server.listing_count == 0
        monkeypatch.undo()
        monkeypatch.setattr(room, "PAGE_KEYS", 3)


@pytest.mark.parametrize("prefix", ["/", "../", "b/../../", "_x", "b//", "b/ "])
def test_a_prefix_that_leads_out_of_the_folder_is_refused(bench: Bench, prefix: str) -> None:
    for handler, message in (
        (bench.server.on_list, wire.List(prefix, True)),
        (bench.server.on_delete_below, wire.DeleteBelow(prefix)),
    ):
        with pytest.raises(KeyInvalid):
            bench.ask(handler, message)


# -- removing


def test_single_keys_are_removed_and_missing_ones_are_failures(bench: Bench) -> None:
    put(bench.store, "s4://b/d/0")
    reply = bench.ask(bench.server.on_delete, wire.Delete(["s4://b/d/0", "s4://b/d/2"]))
    assert (reply.removed, codes(reply.failures)) == (1, [(1, "E_NOT_FOUND")])
    assert os.listdir(bench.store.keys_path) == []


def test_everything_that_starts_with_a_prefix_is_removed_across_buckets(bench: Bench) -> None:
    for path in ("step1/a", "step1/d/e/b", "step2/a", "ste/a", "other/step1"):
        put(bench.store, f"s4://{path}")
    assert bench.ask(bench.server.on_delete_below, wire.DeleteBelow("step")).removed == 3
    assert sorted(os.listdir(bench.store.keys_path)) == ["other", "ste"]
    assert bench.ask(bench.server.on_delete_below, wire.DeleteBelow("step")).removed == 0
    assert bench.ask(bench.server.on_delete_below, wire.DeleteBelow("other/st")).removed == 1


def test_a_long_removal_tells_how_far_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s4zmq.keyserver.TICK_S", 0)
    for number in range(3):
        put(bench.store, f"s4://b/{number}")
    letters = Letters()
    bench.server.on_delete_below(wire.DeleteBelow("b"), b"", letters.caller())
    told = [letter.message for letter in letters]
    assert told == [wire.Removing(1), wire.Removing(2), wire.Removing(3), wire.Deleted(3, [])]


def test_an_empty_prefix_removes_nothing(bench: Bench) -> None:
    put(bench.store, "s4://b/k")
    with pytest.raises(KeyInvalid, match="every key of the cluster"):
        bench.ask(bench.server.on_delete_below, wire.DeleteBelow(""))
    assert os.listdir(bench.store.keys_path) == ["b"]
