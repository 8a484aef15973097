"""The scenario of memory: what one transfer makes a client and a node hold, however large it is."""

from __future__ import annotations

from collections.abc import Callable

from .bench import Bench, Scenario
from .procfs import PeakMemory
from .report import Label
from .sizes import MIB

BOUND_MIB = 80.0
"""Anonymous memory of one node, and of a client, that the design stays below."""

DESIGN = "design's bound"

_LARGE_BYTES = 512 * MIB
"""From here on one sample is enough: it moves for seconds."""


def _memory(bench: Bench) -> None:
    """On fresh nodes: what others have made them keep does not count."""
    if bench.cluster.home is None:
        bench.remark("the nodes are not ours, so only the client's memory is measured")
        _transfers(bench)
        return
    with bench.elsewhere(len(bench.config.roster.nodes)) as other:
        _transfers(other)


def _transfers(bench: Bench) -> None:
    for size in bench.sizes.memory_bytes:
        source, copy, key = bench.inputs.value(size), bench.scratch / "copy", bench.key("000_value")
        for _ in range(bench.runs if size < _LARGE_BYTES else 1):
            with bench.peak_memory() as peak:
                bench.s4("cp", source, key)
            _note(bench, "put", size, peak)
            with bench.peak_memory() as peak:
                bench.s4("cp", key, copy)
            bench.expect_same_files(source, copy)
            _note(bench, "get", size, peak)
            copy.unlink()
            bench.s4("rm", key)


def _note(bench: Bench, verb: str, size: int, peak: PeakMemory) -> None:
    limits = {DESIGN: BOUND_MIB}
    noting: list[tuple[str, Callable[[PeakMemory], int]]] = [("client", lambda p: p.client_bytes)]
    if peak.node_bytes:
        noting.append(("node", lambda p: p.largest_bytes))
    for who, of in noting:
        bench.note(Label(f"{who}, {verb} of one value", "MiB", "MiB", size // MIB), of(peak) / MIB, limits)


SCENARIOS = (Scenario("memory", "peak anonymous memory of client and node for large values, MiB", _memory),)
