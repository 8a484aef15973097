"""What a job has made on one node, in bounded memory."""

from __future__ import annotations

from s4zmq.harvest import Harvest, Result
from s4zmq.limits import SLOWEST_KEPT


def test_a_harvest_sums_outputs_and_bytes_by_node() -> None:
    harvest = Harvest(["a:1", "b:1", "c:1"])
    harvest.add("s4://in/x", Result(2, {"c:1": 5, "a:1": 1}, 0.1))
    harvest.add("s4://in/y", Result(1, {"c:1": 7}, 0.3))
    harvest.add("s4://in/z", Result(0, {}, 0.2))
    assert (harvest.outputs, harvest.made) == (3, [1, 0, 12])
    assert harvest.slowest == [("s4://in/y", 0.3), ("s4://in/z", 0.2), ("s4://in/x", 0.1)]


def test_of_many_only_the_slowest_are_kept() -> None:
    harvest = Harvest(["a:1"])
    for number in range(1000):
        harvest.add(f"s4://in/{number}", Result(1, {"a:1": 1}, (number * 7919 % 1000) / 1000))
    assert [seconds for _, seconds in harvest.slowest] == [0.999 - n / 1000 for n in range(SLOWEST_KEPT)]
    assert harvest.made == [1000]
