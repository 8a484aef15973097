"""How the failures of a copy from or to S3 are told."""

from __future__ import annotations

import pytest

from s4zmq import wire
from s4zmq.codec import row_of
from s4zmq.errors import (
    AwsBusy,
    AwsMissing,
    AwsUnreachable,
    Cancelled,
    NodeUnreachable,
    S4Error,
    WorldError,
)
from s4zmq.s3cp import _raise_failures


def moved(*errors: S4Error, failed: int = 0) -> wire.Moved:
    rows = [row_of(number, error) for number, error in enumerate(errors)]
    return wire.Moved(0, 0, 0, failed or len(rows), rows)


def told(replies: list[wire.Moved], errors: list[S4Error]) -> S4Error:
    with pytest.raises(S4Error) as raised:
        _raise_failures(replies, errors, "then", "were not copied")
    return raised.value


def test_nothing_failed() -> None:
    _raise_failures([moved(), moved()], [], "then", "what")


def test_one_failure_is_told_as_it_is() -> None:
    error = told([moved(), moved(AwsMissing("gone"))], [])
    assert (type(error), error.text) == (AwsMissing, "gone; then")


def test_several_are_counted_and_named_in_order() -> None:
    error = told([moved(AwsMissing("b")), moved(AwsMissing("a"), failed=3)], [])
    assert type(error) is AwsMissing
    assert error.text == "4 objects were not copied; then:\n1. a\n2. b\n... and 2 more"
    many = told([moved(*(AwsMissing(f"{number:02}") for number in range(70)))], [])
    assert many.text.splitlines()[-2:] == ["50. 49", "... and 20 more"]


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([AwsBusy("a"), AwsUnreachable("b")], 3),
        ([AwsBusy("a"), AwsMissing("b")], 1),
        ([AwsMissing("a"), AwsMissing("b")], 1),
    ],
)
def test_trying_again_helps_where_it_does_for_all(errors: list[S4Error], status: int) -> None:
    error = told([moved(*errors)], [])
    assert error.exit_status == status
    assert isinstance(error, WorldError | AwsMissing)


def test_a_node_that_is_gone_comes_first_and_what_it_stopped_is_no_reason() -> None:
    error = told([moved()], [Cancelled("ended"), NodeUnreachable("node x does not answer")])
    assert (type(error), error.text) == (NodeUnreachable, "node x does not answer; then")
    assert type(told([], [Cancelled("ended")])) is Cancelled
