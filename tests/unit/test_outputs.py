"""Folders of outputs: whose keys are in them, and removing one's own alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s4zmq import wire
from s4zmq.counting import Candidate, Verdict
from s4zmq.judging import FreshJudge, ResumeJudge
from s4zmq.keys import Folder
from s4zmq.outputs import Outputs
from s4zmq.recipes import NO_RECIPE, origin_of
from s4zmq.store import XATTR, Store

from .helpers import OTHER, change_file, put

RECIPE, MARK = b"recipe..", b"mark...."
OURS, STALE = origin_of(RECIPE, MARK), origin_of(RECIPE, b"another.")
THEIRS = origin_of(b"another.", MARK)
TASK = b"t" * 16
OUT = Folder.parse("s4://out/")


@pytest.fixture
def outputs(store: Store) -> Outputs:
    put(store, "s4://out/k/0_x", writer=TASK, origin=OURS)
    put(store, "s4://out/k/1_x", writer=TASK, origin=OURS)
    put(store, "s4://out/k/left", writer=OTHER, origin=OURS)
    put(store, "s4://out/k/deeper/0_x", writer=OTHER, origin=OURS)
    return Outputs(store)


def census(outputs: Outputs, recipe: bytes = RECIPE) -> tuple[int, int, str]:
    [row] = outputs.census(wire.Census(recipe, [("s4://out/k/", TASK)]))
    return row


def visible(store: Store) -> list[str]:
    root = Path(store.keys_path)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_census_tells_the_tasks_outputs_from_others_of_its_recipe(outputs: Outputs) -> None:
    assert census(outputs) == (2, 1, "")


@pytest.mark.parametrize("key", ["s4://out/k/mine", "s4://out/k/deeper/mine"])
def test_a_strangers_key_is_named_however_deep_it_is(outputs: Outputs, store: Store, key: str) -> None:
    put(store, key)
    assert census(outputs)[2] == key


def test_to_no_recipe_every_key_is_a_strangers(outputs: Outputs) -> None:
    assert census(outputs, NO_RECIPE)[2].startswith("s4://out/k/")
    assert outputs.census(wire.Census(NO_RECIPE, [("s4://none/", TASK)])) == [(0, 0, "")]


def test_clearing_removes_what_the_recipe_left_directly_in_the_folder(
    outputs: Outputs, store: Store
) -> None:
    put(store, "s4://out/k/mine")
    put(store, "s4://out/k/theirs", origin=THEIRS)
    outputs.clear(wire.Clear(RECIPE, ["s4://out/k/", "s4://out/none/"]))
    assert visible(store) == ["out/k/deeper/0_x", "out/k/mine", "out/k/theirs"]


def test_undoing_removes_the_outputs_of_one_task(outputs: Outputs, store: Store) -> None:
    outputs.undo("out/k/", TASK)
    assert visible(store) == ["out/k/deeper/0_x", "out/k/left"]
    outputs.undo("out/k/", OTHER)
    outputs.undo("out/k/", OTHER)
    outputs.undo("out/none/", OTHER)
    assert visible(store) == ["out/k/deeper/0_x"]


# -- judges


def judge(store: Store, label: str = "k", mark: bytes = MARK) -> Verdict:
    [verdict] = ResumeJudge(store, OUT, RECIPE)([Candidate(label, mark)])
    return verdict


def test_a_fresh_run_takes_any_key_for_a_conflict(store: Store) -> None:
    put(store, "s4://out/a", origin=OURS)
    fresh = FreshJudge(store, OUT)
    assert fresh([Candidate("a", b""), Candidate("b", b"")]) == [Verdict(conflict="s4://out/a"), Verdict()]


def test_an_output_is_complete_stale_or_in_the_way(store: Store) -> None:
    assert judge(store) == Verdict()
    put(store, "s4://out/k", origin=OURS)
    put(store, "s4://out/stale", origin=STALE)
    put(store, "s4://out/theirs", origin=THEIRS)
    put(store, "s4://out/mine")
    assert judge(store) == Verdict(is_complete=True)
    assert judge(store, "stale") == Verdict(is_stale=True)
    for label in ("theirs", "mine"):
        assert judge(store, label) == Verdict(conflict=f"s4://out/{label}")


def test_a_torn_output_is_made_anew_and_one_that_can_not_be_read_is_in_the_way(store: Store) -> None:
    torn = put(store, "s4://out/torn", origin=OURS)
    change_file(torn, lambda fd: os.ftruncate(fd, 2))
    unreadable = put(store, "s4://out/k", origin=OURS)
    os.removexattr(unreadable, XATTR)
    assert judge(store, "torn") == Verdict(is_stale=True)
    assert judge(store) == Verdict(conflict="s4://out/k")
