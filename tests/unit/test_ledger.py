"""What runs have done here: told apart by their recipes, kept over a restart, forgotten with their keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4zmq.errors import RequestError
from s4zmq.journal import Journal
from s4zmq.ledger import Done, Ledger
from s4zmq.placement import Roster
from s4zmq.recipes import Recipe

ROSTER = Roster(("10.0.0.1:80", "10.0.0.2:80"))
RECIPE = Recipe("map-to-n", "s4://in/", "s4://step1/out/", "cat", ())
PRINT = RECIPE.fingerprint
T1, T2 = b"1" * 16, b"2" * 16


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def ledger(root: Path) -> Ledger:
    return Ledger(root, ROSTER)


def done(label: str, task: bytes = T1, mark: bytes = b"mark....") -> Done:
    return Done(label, mark, task, {"10.0.0.2:80": 3, "10.0.0.1:80": 1})


def labels(ledger: Ledger) -> list[str]:
    return [found.label for found in ledger.done(PRINT)]


def test_what_is_done_is_found_after_a_restart_sorted_and_the_last_time(ledger: Ledger, root: Path) -> None:
    ledger.begin(RECIPE, resume=False)
    for label, task in (("b", T1), ("a/x", T1), ("a", T1), ("b", T2)):
        ledger.note(PRINT, done(label, task))
    ledger.end(PRINT)
    later = Ledger(root, ROSTER)
    assert later.knows(PRINT)
    assert list(later.done(PRINT)) == [done("a"), done("a/x"), done("b", T2)]
    assert later.has(PRINT, {T1, b"3" * 16}) == {T1}
    assert later.has(b"another.", {T1}) == set()


def test_zero_outputs_are_done_too(ledger: Ledger) -> None:
    ledger.begin(RECIPE, resume=False)
    ledger.note(PRINT, Done("a", b"mark....", T1, {}))
    assert [found.outputs for found in ledger.done(PRINT)] == [{}]


def test_a_run_that_resumes_goes_on_and_another_starts_anew(ledger: Ledger) -> None:
    ledger.begin(RECIPE, resume=True)
    ledger.note(PRINT, done("a"))
    ledger.begin(RECIPE, resume=True)
    ledger.note(PRINT, done("b"))
    assert labels(ledger) == ["a", "b"]
    ledger.begin(RECIPE, resume=False)
    assert labels(ledger) == []


@pytest.mark.parametrize(
    ("other", "how"),
    [
        (RECIPE._replace(kind="map"), "was a map-to-n"),
        (RECIPE._replace(inputs="s4://other/"), "read s4://in/"),
        (RECIPE._replace(command="tac"), "had another command"),
        (RECIPE._replace(files=(("a", "00"),)), "shipped other files"),
        (RECIPE._replace(command="tac", kind="map"), "was a map-to-n and had another command"),
    ],
)
def test_a_run_of_another_recipe_is_refused_by_what_differs(
    ledger: Ledger, other: Recipe, how: str
) -> None:
    ledger.refuse_others(other)
    ledger.begin(RECIPE, resume=False)
    ledger.refuse_others(RECIPE)
    ledger.refuse_others(other._replace(outdir="s4://elsewhere/"))
    with pytest.raises(RequestError, match=f"that --resume would finish {how}: say the same again"):
        ledger.refuse_others(other)
    ledger.begin(other, resume=False)
    ledger.refuse_others(other)
    ledger.refuse_others(RECIPE)


@pytest.mark.parametrize("prefix", ["step", "step1", "step1/", "step1/out", "step1/out/"])
def test_removing_the_output_folder_forgets_its_runs(ledger: Ledger, root: Path, prefix: str) -> None:
    ledger.begin(RECIPE, resume=False)
    ledger.note(PRINT, done("a"))
    ledger.end(PRINT)
    ledger.forget(prefix)
    for each in (ledger, Ledger(root, ROSTER)):
        assert not each.knows(PRINT)
        assert list(each.done(PRINT)) == []


@pytest.mark.parametrize(
    ("prefix", "left"),
    [
        ("step1/out/a", ["b"]),
        ("step1/out/a/", ["a.b", "b"]),
        ("step1/out/a/x/0", ["a", "a.b", "a/x", "b"]),
        ("step1/other", ["a", "a.b", "a/x", "b"]),
        ("in/", ["a", "a.b", "a/x", "b"]),
    ],
)
def test_removing_inside_the_output_folder_undoes_what_was_there(
    ledger: Ledger, prefix: str, left: list[str]
) -> None:
    ledger.begin(RECIPE, resume=False)
    for label in ("a", "a/x", "a.b", "b"):
        ledger.note(PRINT, done(label))
    ledger.forget(prefix)
    assert labels(ledger) == left
    ledger.note(PRINT, done("a", T2))
    assert done("a", T2) in list(ledger.done(PRINT))


def test_what_is_no_run_is_removed_at_the_start(root: Path) -> None:
    ledger = Ledger(root, ROSTER)
    ledger.begin(RECIPE, resume=False)
    ledger.end(PRINT)
    runs = root / "runs"
    (runs / "torn").write_bytes(b'["map", "s4:')
    (runs / ("00" * 8)).write_bytes((runs / PRINT.hex()).read_bytes())
    (runs / "empty").touch()
    stranger = Journal(runs / "stranger")
    stranger.append("5")
    stranger.close()
    assert Ledger(root, ROSTER).knows(PRINT)
    assert [path.name for path in runs.iterdir()] == [PRINT.hex()]


def test_the_fingerprint_of_a_recipe_never_changes_and_every_field_counts() -> None:
    assert PRINT.hex() == "ff000b7c7a66f7aa"
    changed = [
        RECIPE._replace(kind="x"),
        RECIPE._replace(inputs="x"),
        RECIPE._replace(outdir="x"),
        RECIPE._replace(command="x"),
        RECIPE._replace(files=(("a", "b"),)),
    ]
    assert len({recipe.fingerprint for recipe in [RECIPE, *changed]}) == 6
    assert Recipe.unpack(RECIPE._replace(files=(("a", "b"),)).pack()).files == (("a", "b"),)
