"""Listings: byte order, prefixes, folders, and the groups of a merge."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq import sorting
from s4zmq.errors import KeyExists
from s4zmq.keys import Selection
from s4zmq.listing import OutputName, first_key, group_label, groups, holds_key, inputs, paths_below, walk
from s4zmq.store import Store

from .helpers import new_store, put

PATHS = [
    "b/a",
    "b/a.b",
    "b/a0",
    "b/a-b/k",
    "b/c/d/e",
    "b/c/d0",
    "b/c.d",
    "b/é",
    "b/日",
    "b/😀",
    "b/Z",
    "b/_",
    "b2/k",
    "a/k",
]


@pytest.fixture
def full(store: Store) -> Store:
    for path in PATHS:
        put(store, f"s4://{path}", path.encode())
    return store


def paths(store: Store, prefix: str, *, recursive: bool = True) -> list[str]:
    return [entry.path for entry in walk(store, prefix, recursive=recursive)]


def in_byte_order(found: list[str]) -> list[str]:
    return sorted(found, key=str.encode)


def test_everything_is_listed_in_byte_order(full: Store) -> None:
    assert paths(full, "") == in_byte_order(PATHS)


def test_a_dot_sorts_before_a_folder_and_a_digit_after_it(store: Store) -> None:
    for path in ("b/a/b", "b/a.b", "b/a0", "b/a-"):
        put(store, f"s4://{path}")
    assert paths(store, "b/") == ["b/a-", "b/a.b", "b/a/b", "b/a0"]
    assert paths(store, "b/", recursive=False) == ["b/a-", "b/a.b", "b/a/", "b/a0"]


@pytest.mark.parametrize(
    "prefix",
    ["", "b", "b/", "b/a", "b/a.", "b/c", "b/c/", "b/c/d", "b/c/d/", "b/c/d/e", "b/é", "x", "b/x/y"],
)
def test_a_prefix_selects_what_starts_with_its_text(full: Store, prefix: str) -> None:
    expected = in_byte_order([path for path in PATHS if path.startswith(prefix)])
    assert paths(full, prefix) == expected
    assert in_byte_order(list(paths_below(full, prefix))) == expected
    assert holds_key(full, prefix) == bool(expected)
    assert first_key(full, prefix) in (expected or [""])


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a/", "b/", "b2/"]),
        ("b", ["b/", "b2/"]),
        ("b/c", ["b/c.d", "b/c/"]),
        ("b/c/", ["b/c/d/", "b/c/d0"]),
        ("b/c/d", ["b/c/d/", "b/c/d0"]),
        ("b/c/d/e", ["b/c/d/e"]),
        ("b/a-b/", ["b/a-b/k"]),
        ("none", []),
    ],
)
def test_without_recursion_a_folder_is_one_entry(full: Store, prefix: str, expected: list[str]) -> None:
    assert paths(full, prefix, recursive=False) == expected


def test_an_entry_has_the_size_and_the_time_of_its_commit(full: Store) -> None:
    [entry] = walk(full, "b/c/d/e", recursive=True)
    status = os.stat(f"{full.keys_path}/b/c/d/e")
    assert entry == ("b/c/d/e", 7, status.st_mtime_ns)
    [folder] = walk(full, "b/a-", recursive=False)
    assert folder == ("b/a-b/", 0, 0)


def test_a_folder_without_keys_is_not_listed(store: Store) -> None:
    Path(store.keys_path, "b/empty/deeper").mkdir(parents=True)
    for recursive in (True, False):
        assert paths(store, "", recursive=recursive) == []
        assert paths(store, "b/", recursive=recursive) == []
    assert not holds_key(store, "b/")


def test_a_key_that_is_removed_meanwhile_is_left_out(full: Store) -> None:
    found: Iterator[str] = (entry.path for entry in walk(full, "b/c", recursive=True))
    assert next(found) == "b/c.d"
    os.unlink(f"{full.keys_path}/b/c/d/e")
    os.rmdir(f"{full.keys_path}/b/c/d")
    assert list(found) == ["b/c/d0"]


COMPONENTS = st.text("ab.0-é", min_size=1, max_size=2).filter(lambda name: name not in (".", ".."))


@given(
    st.sets(st.lists(COMPONENTS, min_size=2, max_size=4).map("/".join), max_size=15),
    st.text("ab/.", max_size=3),
)
def test_a_listing_is_the_sorted_selection_of_all_keys(
    tmp_path_factory: pytest.TempPathFactory, wanted: set[str], prefix: str
) -> None:
    store, there = new_store(tmp_path_factory.mktemp("listing") / "data"), []
    for path in sorted(wanted):
        try:
            put(store, f"s4://{path}")
        except KeyExists:  # a folder of that name
            continue
        there.append(path)
    if prefix.startswith("/") or any(part in ("", ".", "..") for part in prefix.split("/")[:-1]):
        return
    assert paths(store, prefix) == in_byte_order([path for path in there if path.startswith(prefix)])


# -- the inputs of a map


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("s4://b/", in_byte_order([path for path in PATHS if path.startswith("b/")])),
        ("s4://b/c/", ["b/c/d/e", "b/c/d0"]),
        (
            "s4://b/*",
            in_byte_order([path for path in PATHS if path.startswith("b/") and path.count("/") == 1]),
        ),
        ("s4://b/*/*", ["b/a-b/k", "b/c/d0"]),
        ("s4://b/a?*", ["b/a.b", "b/a0"]),
        ("s4://b/[ac]*/*", ["b/a-b/k", "b/c/d0"]),
        ("s4://b/c/d?", ["b/c/d0"]),
        ("s4://none/", []),
        ("s4://b/none*", []),
    ],
)
def test_a_selection_is_what_its_glob_matches_below_its_folder(
    full: Store, selection: str, expected: list[str]
) -> None:
    assert [entry.path for entry in inputs(full, Selection.parse(selection))] == expected


# -- the groups of a merge


def found_groups(store: Store, selection: str) -> dict[str, list[str]]:
    return {group.label: list(group.members) for group in groups(store, Selection.parse(selection))}


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("b/000_m0", "000"),
        ("b/d/7", "7"),
        ("b/7_a_b", "7"),
        ("b/a_7", "a_7"),
        ("b/7a_1", "7a_1"),
        ("7/x", "x"),
    ],
)
def test_a_group_is_a_numeric_prefix_or_a_whole_name(path: str, label: str) -> None:
    assert group_label(path) == label


def test_names_that_are_not_utf8_are_passed_over(full: Store) -> None:
    before = paths(full, "b/")
    folder = os.fsencode(f"{full.keys_path}/b/")
    os.mkdir(folder + b"\xff")
    for name in (b"\xfe", b"\xff/k", b"c/\xed\xa0\x80"):
        with open(folder + name, "xb"):
            pass
    assert paths(full, "b/") == before
    assert sorted(paths_below(full, "b/")) == sorted(before)


def test_keys_of_one_name_or_numeric_prefix_form_a_group(store: Store) -> None:
    for path in ("x/002_m2", "y/002_m2", "x/002_other", "x/word", "y/z/word", "x/wor", "y/002", "x/2_m2"):
        put(store, f"s4://in/{path}")
    put(store, "s4://elsewhere/002_m2")
    assert found_groups(store, "s4://in/") == {
        "002": ["in/x/002_m2", "in/x/002_other", "in/y/002", "in/y/002_m2"],
        "2": ["in/x/2_m2"],
        "wor": ["in/x/wor"],
        "word": ["in/x/word", "in/y/z/word"],
    }
    assert found_groups(store, "s4://in/*/002_m*") == {"002": ["in/x/002_m2", "in/y/002_m2"]}
    assert found_groups(store, "s4://none/") == {}


def test_groups_longer_than_memory_are_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        put(store, f"s4://in/{number:03}/{number % 3}_x")
    expected = found_groups(store, "s4://in/")
    assert {label: len(members) for label, members in expected.items()} == {"0": 10, "1": 10, "2": 10}
    in_runs_of_4 = sorting.sorted_lines
    monkeypatch.setattr("s4zmq.listing.sorted_lines", lambda lines, folder: in_runs_of_4(lines, folder, 4))
    assert found_groups(store, "s4://in/") == expected


@pytest.mark.parametrize(
    ("members", "name"),
    [
        (["x/002_m2", "y/002_m2"], "002_m2"),
        (["x/002_m2"], "002_m2"),
        (["x/002_m2", "x/002_other"], "002"),
        (["x/002_m2", "x/002"], "002"),
        (["x/002", "y/002"], "002"),
        (["x/002_", "y/002_"], "002_"),
        (["x/word", "y/word"], "word"),
        (["x/a_7", "y/a_7"], "a_7"),
        (["x/002_a", "y/002_b", "z/002_a", "z/002_b"], "002"),
    ],
)
def test_an_output_is_named_after_its_group_and_the_suffix_that_all_share(
    members: list[str], name: str
) -> None:
    output = OutputName(group_label(members[0]))
    for member in members:
        output.see(member)
    assert output.name == name
