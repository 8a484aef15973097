"""Inputs of jobs: counted, handed out once each, largest first, with bounded memory."""

from __future__ import annotations

import os

import pytest

from s4zmq import inputs as room
from s4zmq.counting import Count, Judge, Verdict
from s4zmq.inputs import Item, count_groups, count_map, group_items, map_items, members_of
from s4zmq.judging import FreshJudge
from s4zmq.keys import Folder, Key, Selection
from s4zmq.store import Store

from .helpers import put, unfinished

ALL = Selection.parse("s4://in/")
OUT = Folder.parse("s4://out/")


def sized(store: Store, sizes: dict[str, int]) -> None:
    for path, size in sizes.items():
        put(store, f"s4://in/{path}", b"x" * size)


def fresh_map(store: Store, selection: Selection = ALL) -> Count:
    return count_map(store, selection, FreshJudge(store, OUT), marked=False)


def fresh_groups(store: Store) -> Count:
    return count_groups(store, ALL, FreshJudge(store, OUT), marked=False)


def but(*complete: str) -> Judge:
    """All are to run but these labels, and `stale` ones must go first."""
    return lambda candidates: [
        Verdict(is_complete=c.label in complete, is_stale=c.label.endswith("stale")) for c in candidates
    ]


def test_a_map_counts_keys_and_bytes(store: Store) -> None:
    sized(store, {"a": 3, "d/b": 5, "c": 0})
    put(store, "s4://other/a")
    count = fresh_map(store)
    assert (count.keys, count.bytes, count.items, count.conflicts) == (3, 8, 3, [])


def test_nothing_selected_counts_nothing(store: Store) -> None:
    assert fresh_map(store)[:6] == (0, 0, 0, 0, 0, [])
    assert fresh_groups(store)[:6] == (0, 0, 0, 0, 0, [])


def test_outputs_of_a_map_that_are_there_are_conflicts(store: Store) -> None:
    sized(store, {"a": 1, "d/b": 1, "c": 1})
    put(store, "s4://out/d/b")
    put(store, "s4://out/unrelated")
    assert fresh_map(store).conflicts == ["s4://out/d/b"]


def test_only_the_first_conflicts_are_named(store: Store) -> None:
    for number in range(9):
        put(store, f"s4://in/{number}")
        put(store, f"s4://out/{number}")
    assert fresh_map(store).conflicts == [f"s4://out/{n}" for n in range(3)]


def test_the_largest_inputs_come_first_and_each_comes_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LARGEST_FIRST_KEYS", 3)
    sizes = {"a": 1, "b": 9, "c": 4, "d/e": 7, "f": 7, "g": 0, "h": 2}
    sized(store, sizes)
    count = fresh_map(store)
    items = list(map_items(store, ALL, count))
    assert sorted(item.label for item in items) == sorted(sizes)
    assert [item.size for item in items[:3]] == [9, 7, 7]
    assert [item.label for item in items[3:]] == ["a", "c", "g", "h"]
    assert items[0] == Item("b", "in/b", 9, 1, -1)


def test_a_glob_hands_out_what_it_matches_with_its_path_below_the_folder(store: Store) -> None:
    sized(store, {"x/1_a": 1, "x/2_a": 1, "y/1_a": 1, "1_a": 1})
    selection = Selection.parse("s4://in/*/1_*")
    count = fresh_map(store, selection)
    assert {item.label for item in map_items(store, selection, count)} == {"x/1_a", "y/1_a"}


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("kept", [1, 100])
def test_what_is_complete_is_not_handed_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(room, "LARGEST_FIRST_KEYS", kept)
    monkeypatch.setattr(room, "JUDGED_AT_ONCE", 2)
    labels = ["a", "a.b", "aa/b", "b", "c/stale", "d", "e"]
    sized(store, dict.fromkeys(labels, 1))
    count = count_map(store, ALL, but("a", "aa/b", "e"), marked=True)
    assert (count.keys, count.items, count.complete) == (7, 4, 3)
    assert sorted(item.label for item in map_items(store, ALL, count)) == ["a.b", "b", "c/stale", "d"]
    assert list(count.stale or ()) == ["c/stale"]
    count.close()


# -- groups


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("kept", [2, 100])
def test_a_group_that_is_complete_is_not_handed_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(room, "KEPT_MEMBERS", kept)
    sized(store, {"x/1_a": 2, "y/1_a": 3, "x/2_a": 4, "x/2_b": 5, "x/name": 1, "x/stale": 1})
    count = count_groups(store, ALL, but("1_a", "name"), marked=True)
    items = list(group_items(store, ALL, count))
    for item in items:
        os.close(item.members)
    assert sorted(item.label for item in items) == ["2", "stale"]
    assert (count.keys, count.items, count.complete) == (6, 2, 2)
    assert list(count.stale or ()) == ["stale"]
    count.close()


def test_a_merge_counts_groups_keys_and_bytes(store: Store) -> None:
    sized(store, {"x/1_a": 2, "y/1_a": 3, "x/2_a": 4, "x/2_b": 5})
    assert fresh_groups(store)[:6] == (4, 14, 2, 14, 0, [])


def test_the_output_of_a_group_that_is_there_is_a_conflict(store: Store) -> None:
    sized(store, {"x/1_a": 2, "y/1_a": 3, "x/2_a": 4, "x/2_b": 5})
    put(store, "s4://out/1_a")
    put(store, "s4://out/2_a")
    assert fresh_groups(store).conflicts == ["s4://out/1_a"]
    put(store, "s4://out/2")
    assert fresh_groups(store).conflicts == ["s4://out/1_a", "s4://out/2"]


@pytest.mark.usefixtures("no_descriptor_left")
@pytest.mark.parametrize("kept", [4, 3])
def test_a_group_is_one_item_with_a_list_of_its_members(
    store: Store, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(room, "KEPT_MEMBERS", kept)
    sized(store, {"y/1_a": 3, "x/1_a": 2, "x/2_a": 4, "x/2_b": 5})
    count = fresh_groups(store)
    assert (count.groups is None) == (kept < 4), "few groups are kept, more are walked again"
    items = sorted(group_items(store, ALL, count))
    try:
        assert [item[:4] for item in items] == [("1_a", "in/x/1_a", 5, 2), ("2", "in/x/2_a", 9, 2)]
        for _ in range(2):  # a second attempt reads the list again
            assert list(members_of(store, items[0].members)) == [Key("in/x/1_a"), Key("in/y/1_a")]
        assert list(members_of(store, items[1].members)) == [Key("in/x/2_a"), Key("in/x/2_b")]
        assert unfinished(store) == [], "the lists have no names"
    finally:
        for item in items:
            os.close(item.members)


def test_the_largest_group_comes_first(store: Store) -> None:
    sized(store, {"1_a": 3, "x/1_a": 2, "2_a": 4, "3_b": 9})
    items = list(group_items(store, ALL, fresh_groups(store)))
    for item in items:
        os.close(item.members)
    assert [(item.label, item.size) for item in items] == [("3_b", 9), ("1_a", 5), ("2_a", 4)]


def test_a_list_of_members_is_read_from_its_start_and_left_there(store: Store) -> None:
    sized(store, {"1_a": 3})
    [item] = group_items(store, ALL, fresh_groups(store))
    try:
        for _ in range(2):
            assert list(members_of(store, item.members)) == [Key("in/1_a")]
            assert os.lseek(item.members, 0, os.SEEK_CUR) == 0
        assert os.pread(item.members, 4096, 0).decode() == f"{store.keys_path}/in/1_a\n"
    finally:
        os.close(item.members)


@pytest.mark.usefixtures("no_descriptor_left")
def test_a_list_of_many_members_is_whole(store: Store) -> None:
    folder = "long-" * 40
    expected = [f"in/{folder}{number:04}/7" for number in range(500)]
    for path in expected:
        put(store, f"s4://{path}", b"")
    [item] = group_items(store, ALL, fresh_groups(store))
    try:
        assert [key.path for key in members_of(store, item.members)] == expected
        assert item.keys == len(expected)
    finally:
        os.close(item.members)


def test_a_member_that_was_removed_meanwhile_counts_no_bytes(store: Store) -> None:
    assert room.size_of(store, "in/none") == 0
