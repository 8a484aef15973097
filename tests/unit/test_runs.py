"""The end of a job: which of several failures is told, and what the exit status is."""

from __future__ import annotations

import pytest

from s4zmq.codec import row_of
from s4zmq.errors import Cancelled, ChecksumMismatch, CommandFailed, KeyExists, NodeUnreachable, S4Error
from s4zmq.runs import _raise_failures
from s4zmq.wire import JobDone


def ended(*errors: S4Error) -> JobDone:
    return JobDone(
        1, len(errors), 0, 1, [], [], [row_of(index, error) for index, error in enumerate(errors)]
    )


def test_a_job_without_failures_raises_nothing() -> None:
    for keep_going in (False, True):
        _raise_failures([ended(), ended()], [], keep_going=keep_going)


def test_the_reason_is_told_and_not_what_was_stopped_for_it() -> None:
    with pytest.raises(CommandFailed, match="the reason"):
        _raise_failures([ended(CommandFailed("the reason"))], [Cancelled("ended")], keep_going=False)


def test_a_node_that_is_gone_is_told_after_the_reasons() -> None:
    errors: list[S4Error] = [NodeUnreachable("gone"), KeyExists("taken")]
    with pytest.raises(KeyExists, match="taken"):
        _raise_failures([], errors, keep_going=False)
    with pytest.raises(NodeUnreachable, match="gone"):
        _raise_failures([ended()], errors[:1], keep_going=False)


def test_a_job_that_was_only_stopped_says_so() -> None:
    with pytest.raises(Cancelled):
        _raise_failures([ended()], [Cancelled("the job was ended")], keep_going=False)


def test_with_keep_going_all_failures_are_counted_and_listed() -> None:
    jobs = [ended(CommandFailed("one"), CommandFailed("two")), ended(CommandFailed("three"))]
    with pytest.raises(CommandFailed) as caught:
        _raise_failures(jobs, [], keep_going=True)
    assert caught.value.text == "3 inputs failed:\n1. one\n2. two\n3. three"


@pytest.mark.parametrize(
    ("errors", "cls"),
    [
        ([ChecksumMismatch("a"), ChecksumMismatch("b")], ChecksumMismatch),
        ([NodeUnreachable("a"), NodeUnreachable("b")], NodeUnreachable),
        ([NodeUnreachable("a"), CommandFailed("b")], CommandFailed),
    ],
    ids=["torn", "gone", "mixed"],
)
def test_failures_of_one_kind_keep_their_exit_status(errors: list[S4Error], cls: type[S4Error]) -> None:
    with pytest.raises(cls):
        _raise_failures([ended(*errors)], [], keep_going=True)
