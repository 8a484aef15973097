"""Recipes: one run is told from another, and an output from another state of its input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.checksum import digest_of
from s4zmq.recipes import (
    FINGERPRINT_BYTES,
    MARK_BYTES,
    NO_ORIGIN,
    NO_RECIPE,
    GroupMark,
    Recipe,
    mark_of,
    origin_of,
)

RECIPE = Recipe("map", "s4://in/*", "s4://out/", "tr a-z\nA-Z 'ß'", (("tool.py", "44" * 16),))
OTHERS: dict[str, Any] = {
    "kind": "map-to-n",
    "inputs": "s4://in/",
    "outdir": "s4://out2/",
    "command": "tr a-z\nA-Z 'ß' ",
    "files": (("tool.py", "45" * 16),),
}


def test_the_fingerprint_of_a_recipe_never_changes() -> None:
    packed = '["map", "s4://in/*", "s4://out/", "tr a-z\\nA-Z \'\\u00df\'", [["tool.py", "%s"]]]' % (
        "44" * 16
    )
    assert RECIPE.pack() == packed
    assert RECIPE.fingerprint == digest_of(packed.encode())[:8]
    assert RECIPE.fingerprint.hex() == "85f7f2ddc1036101"


@pytest.mark.parametrize("field", Recipe._fields)
def test_every_field_makes_another_run(field: str) -> None:
    other = RECIPE._replace(**{field: OTHERS[field]})
    assert other.fingerprint != RECIPE.fingerprint
    assert len(other.fingerprint) == FINGERPRINT_BYTES


def test_the_names_and_the_number_of_shipped_files_make_another_run() -> None:
    files = [(), (("tool.py", "44" * 16), ("x", "44" * 16)), (("tool2.py", "44" * 16),)]
    recipes = {RECIPE._replace(files=some).fingerprint for some in files} | {RECIPE.fingerprint}
    assert len(recipes) == 4


words = st.text(max_size=20)


@given(st.builds(Recipe, words, words, words, words, st.lists(st.tuples(words, words)).map(tuple)))
def test_a_recipe_comes_back_from_one_line(recipe: Recipe) -> None:
    line = recipe.pack()
    assert "\n" not in line
    assert "\t" not in line
    assert Recipe.unpack(line) == recipe
    assert Recipe.unpack(line).fingerprint == recipe.fingerprint


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "{}",
        "5",
        "null",
        "[]",
        '"abcde"',
        '["a", "b", "c", "d"]',
        '["a", "b", "c", "d", 5]',
        '["a", "b", "c", "d", [5]]',
        '["a", "b", "c", "d", [["e"]]]',
    ],
)
def test_what_is_no_recipe_is_not_read_as_one(line: str) -> None:
    with pytest.raises(ValueError):
        Recipe.unpack(line)


def test_what_differs_is_told() -> None:
    earlier = RECIPE._replace(kind="map-to-n", inputs="s4://x/", command="true", files=())
    assert RECIPE.differences(earlier) == (
        "was a map-to-n and read s4://x/ and had another command and shipped other files"
    )
    assert RECIPE.differences(RECIPE._replace(command="true")) == "had another command"
    assert RECIPE.differences(RECIPE) == ""


# -- origins


def test_an_origin_is_a_fingerprint_and_a_mark() -> None:
    origin = origin_of(RECIPE.fingerprint, mark_of(digest_of(b"value")))
    assert origin == RECIPE.fingerprint + digest_of(b"value")[:8]
    assert len(origin) == FINGERPRINT_BYTES + MARK_BYTES == len(NO_ORIGIN)
    assert len(NO_RECIPE) == FINGERPRINT_BYTES


def test_no_key_that_no_job_has_made_belongs_to_a_run() -> None:
    assert not NO_ORIGIN.startswith(NO_RECIPE)


def group_mark(members: list[tuple[str, bytes]]) -> bytes:
    mark = GroupMark()
    for path, value in members:
        mark.see(path, digest_of(value))
    return mark.mark


def test_the_mark_of_a_group_tells_members_and_values_apart() -> None:
    members = [("in/x/1_a", b"x"), ("in/y/1_a", b"y")]
    others = [
        [],
        members[:1],
        members[1:],
        [*members, ("in/z/1_a", b"")],
        [members[0], ("in/y/1_a", b"Y")],
        [members[0], ("in/z/1_a", b"y")],
        [("in/x/1_a", b"y"), ("in/y/1_a", b"x")],
    ]
    marks = {group_mark(some) for some in others}
    assert len(marks) == len(others)
    assert group_mark(members) not in marks
    assert group_mark(members) == group_mark(list(members))
    assert {len(mark) for mark in marks} == {MARK_BYTES}
