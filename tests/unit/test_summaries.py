"""What is said of a job that has ended."""

from __future__ import annotations

import pytest

from s4zmq.runs import NodeSummary, Slow, Summary
from s4zmq.summaries import lines_of

SLOWEST = [Slow(f"s4://in/{number}", "a:1", 9.0 - number) for number in range(5)]
NODES = [NodeSummary("a:1", 6, 3000, 10), NodeSummary("b:1", 2, 1000, 10)]
SUMMARY = Summary(8, 4000, 8, 20, 7, 0, 0, 12.34, SLOWEST, NODES)
SHORT = "8 keys, 4.0 KB in, 20 bytes out, 12.3 s"


@pytest.mark.parametrize(
    ("kind", "changes", "line"),
    [
        ("map", {}, f"map: {SHORT}"),
        ("map", {"complete": 3}, f"map: {SHORT.replace(' 4.0', ' 3 done before, 4.0')}"),
        ("map-from-n", {}, f"map-from-n: {SHORT.replace('keys', 'groups')}"),
        (
            "map-to-n",
            {"outputs": 1},
            "map-to-n: 8 keys, 4.0 KB in, 20 bytes out in 1 key, 7 bytes between nodes, 12.3 s",
        ),
    ],
)
def test_one_line_says_what_was_done(kind: str, changes: dict[str, int], line: str) -> None:
    assert list(lines_of(kind, SUMMARY._replace(**changes), is_long=False)) == [line]  # type: ignore[arg-type]


def test_of_a_long_one_it_is_said_where_the_time_went() -> None:
    assert list(lines_of("map", SUMMARY, is_long=True))[1:] == [
        "map: slowest: s4://in/0 9.0 s, s4://in/1 8.0 s, s4://in/2 7.0 s",
        "map: skew: inputs 1.50 x mean (a:1), outputs 1.00 x mean",
    ]
    assert (SUMMARY.input_skew, SUMMARY.output_skew) == (1.5, 1.0)


def test_one_node_has_no_skew_and_no_command_was_slowest_where_none_ran() -> None:
    alone = SUMMARY._replace(nodes=NODES[:1], slowest=[])
    assert len(list(lines_of("map", alone, is_long=True))) == 1
