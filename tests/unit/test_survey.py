"""The judge of a map-to-n: all nodes are asked whether the outputs of an input are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from s4zmq import wire
from s4zmq.counting import Candidate, Verdict
from s4zmq.errors import Cancelled, NodeUnreachable
from s4zmq.keys import Folder, Key
from s4zmq.ledger import Done
from s4zmq.recipes import NO_RECIPE, Recipe
from s4zmq.shell import Switch
from s4zmq.survey import Survey, clear

from .helpers import NODE, OTHER, put
from .street import PEER, Neighbour

RECIPE = Recipe("map-to-n", "s4://in/", "s4://out/", "cat", ())
RUN = RECIPE.fingerprint
MARK = b"mark...."
TASK, TASK_2 = b"t" * 16, b"u" * 16
OUT = Folder.parse("s4://out/")
COMPLETE, STALE, TO_RUN = Verdict(is_complete=True), Verdict(is_stale=True), Verdict()
Pair = tuple[Neighbour, Neighbour]


@pytest.fixture
def cancel() -> Iterator[Switch]:
    made = Switch()
    yield made
    made.close()


@pytest.fixture
def begun(pair: Pair) -> Iterator[Pair]:
    """Two nodes; on the first one a run that has done some inputs."""
    here, _ = pair
    here.ledger.begin(RECIPE, resume=False)
    yield pair
    here.ledger.end(RUN)


def make(rooms: Neighbour, *paths: str, writer: bytes = TASK, origin: bytes = RUN + MARK) -> None:
    for path in paths:
        put(rooms.store, f"s4://out/{path}", writer=writer, origin=origin)


def note(rooms: Neighbour, label: str, outputs: Mapping[str, int], task: bytes = TASK) -> None:
    rooms.ledger.note(RUN, Done(label, MARK, task, outputs))


def judge(
    rooms: Neighbour, cancel: Switch, *labels: str, recipe: bytes = RUN, mark: bytes = MARK
) -> list[Verdict]:
    survey = Survey(rooms.shop, OUT, recipe, cancel)
    return list(survey([Candidate(label, mark) for label in labels]))


# -- runs that finish no other


def test_of_an_empty_output_folder_the_peers_are_asked_once(pair: Pair, cancel: Switch) -> None:
    here, there = pair
    put(there.store, "s4://outer/a/x")
    survey = Survey(here.shop, OUT, NO_RECIPE, cancel)
    for label in ("a", "b"):
        assert survey([Candidate(label, b"")] * 3) == [TO_RUN] * 3
    assert here.street.kinds() == ["census"]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("key", ["a/x", "a/deep/er/x"])
@pytest.mark.parametrize("origin", [RUN + MARK, bytes(16)])
def test_any_key_below_the_folder_of_an_input_is_in_the_way_of_a_fresh_run(
    pair: Pair, cancel: Switch, place: int, key: str, origin: bytes
) -> None:
    make(pair[place], key, origin=origin)
    verdicts = judge(pair[0], cancel, "A", "a", "aa", recipe=NO_RECIPE)
    assert verdicts == [TO_RUN, Verdict(conflict=f"s4://out/{key}"), TO_RUN]


def test_the_first_of_several_keys_in_the_way_is_told(pair: Pair, cancel: Switch) -> None:
    make(pair[0], "a/y")
    make(pair[1], "a/x")
    assert judge(pair[0], cancel, "a", recipe=NO_RECIPE) == [Verdict(conflict="s4://out/a/x")]


# -- runs that finish another


def test_an_input_is_complete_where_all_of_its_outputs_are_there(begun: Pair, cancel: Switch) -> None:
    here, there = begun
    make(here, "a/x", "a/y", "c/x")
    make(there, "a/z")
    note(here, "a", {NODE: 2, PEER: 1})
    note(here, "c", {NODE: 1})
    assert judge(here, cancel, "a", "b", "c") == [COMPLETE, TO_RUN, COMPLETE]


def test_an_input_without_outputs_is_complete_once_it_was_run(begun: Pair, cancel: Switch) -> None:
    here, _ = begun
    note(here, "b", {})
    assert judge(here, cancel, "a", "b", "c") == [TO_RUN, COMPLETE, TO_RUN]
    assert judge(here, cancel, "b", mark=b"changed.") == [TO_RUN], "the input is another by now"


@pytest.mark.parametrize("place", [0, 1])
def test_an_input_that_lost_an_output_on_any_node_is_run_again(
    begun: Pair, cancel: Switch, place: int
) -> None:
    here, there = begun
    make(here, "a/x")
    make(there, "a/y")
    note(here, "a", {NODE: 1, PEER: 1})
    assert judge(here, cancel, "a") == [COMPLETE]
    begun[place].store.delete(Key(("out/a/x", "out/a/y")[place]))
    assert judge(here, cancel, "a") == [STALE]


def test_an_input_that_lost_all_outputs_is_run_again(begun: Pair, cancel: Switch) -> None:
    note(begun[0], "a", {PEER: 1})
    assert judge(begun[0], cancel, "a") == [TO_RUN]


@pytest.mark.parametrize("place", [0, 1])
def test_outputs_of_another_attempt_must_go(begun: Pair, cancel: Switch, place: int) -> None:
    here, there = begun
    make(here, "a/x")
    make(there, "a/y")
    note(here, "a", {NODE: 1, PEER: 1})
    make(begun[place], "a/more", writer=OTHER)
    assert judge(here, cancel, "a") == [STALE]


def test_outputs_of_a_task_that_was_never_noted_must_go(begun: Pair, cancel: Switch) -> None:
    make(begun[1], "a/x")
    assert judge(begun[0], cancel, "a") == [STALE]


def test_an_input_with_other_bytes_is_run_again(begun: Pair, cancel: Switch) -> None:
    make(begun[0], "a/x")
    note(begun[0], "a", {NODE: 1})
    assert judge(begun[0], cancel, "a", mark=b"changed.") == [STALE]


def test_of_two_tasks_of_one_input_the_last_one_counts(begun: Pair, cancel: Switch) -> None:
    here, _ = begun
    note(here, "a", {NODE: 1})
    note(here, "a", {NODE: 1}, TASK_2)
    make(here, "a/x", writer=TASK_2)
    assert judge(here, cancel, "a") == [COMPLETE]
    make(here, "a/y", writer=TASK)
    assert judge(here, cancel, "a") == [STALE]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("key", ["a/theirs", "a/deep/theirs"])
def test_a_key_of_somebody_else_is_in_the_way(begun: Pair, cancel: Switch, place: int, key: str) -> None:
    here, _ = begun
    make(here, "a/x", "b/x")
    note(here, "a", {NODE: 1})
    note(here, "b", {NODE: 1})
    make(begun[place], key, origin=b"another." + MARK)
    assert judge(here, cancel, "a", "b") == [Verdict(conflict=f"s4://out/{key}"), COMPLETE]


def test_an_input_below_the_path_of_another_has_outputs_of_its_own(begun: Pair, cancel: Switch) -> None:
    here, _ = begun
    make(here, "a/x")
    make(here, "a/b/x", "a/b/y", writer=TASK_2)
    note(here, "a", {NODE: 1})
    note(here, "a/b", {NODE: 2}, TASK_2)
    assert judge(here, cancel, "a", "a/b") == [COMPLETE, COMPLETE]


def test_inputs_are_judged_in_several_portions(begun: Pair, cancel: Switch) -> None:
    here, _ = begun
    labels = [f"in-{number:03}" for number in range(50)]
    for label in labels[::3]:
        note(here, label, {NODE: 1})
        make(here, f"{label}/x")
    survey = Survey(here.shop, OUT, RUN, cancel)
    verdicts: list[Verdict] = []
    for start in range(0, 50, 7):
        verdicts += survey([Candidate(label, MARK) for label in labels[start : start + 7]])
    assert verdicts == [TO_RUN if number % 3 else COMPLETE for number in range(50)]


# -- peers that do not answer, and the end of the job


def test_a_peer_that_does_not_answer_is_an_error_with_its_name(pair: Pair, cancel: Switch) -> None:
    pair[0].street.cut.add(wire.Census)
    with pytest.raises(NodeUnreachable, match=PEER):
        judge(pair[0], cancel, "a")


def test_the_end_of_the_job_ends_the_wait(pair: Pair, cancel: Switch) -> None:
    pair[0].street.mute.add(wire.Census)
    cancel.turn()
    with pytest.raises(Cancelled):
        judge(pair[0], cancel, "a")


# -- clearing


def test_what_must_go_goes_on_all_nodes_and_nothing_else(begun: Pair, cancel: Switch) -> None:
    here, there = begun
    for rooms in begun:
        make(rooms, "a/x", "b/x", "a/deep/x")
        make(rooms, "a/theirs", origin=b"another." + MARK)
    clear(here.shop, RUN, ["s4://out/a/", "s4://out/none/"], cancel)
    for rooms in (here, there):
        assert set(rooms.visible("out/")) == {"a/deep/x", "a/theirs", "b/x"}


def test_many_folders_are_cleared_in_several_requests(begun: Pair, cancel: Switch) -> None:
    here, there = begun
    for number in range(0, 250, 50):
        make(there, f"{number}/x")
    clear(here.shop, RUN, (f"s4://out/{number}/" for number in range(250)), cancel)
    assert there.visible() == {}
    assert here.street.kinds() == ["clear"] * 3


def test_no_folders_ask_nobody(begun: Pair, cancel: Switch) -> None:
    clear(begun[0].shop, RUN, [], cancel)
    assert begun[0].street.kinds() == []
