"""The scenario of more nodes: the same work on throw-away clusters of 1, 2, 4, ... nodes.

They share the cores of one machine, so a straight line is what to hope for: more nodes cost nothing.
"""

from __future__ import annotations

from . import machine
from .bench import Bench, Scenario
from .jobs import BUILTIN, Job, run_job, split_bulk
from .memory import BOUND_MIB, DESIGN
from .report import Label
from .sizes import LINE_BYTES, MIB, TREE_FILE_BYTES


def _nodes(bench: Bench) -> None:
    if bench.cluster.home is None:
        bench.remark("the cluster is given by --conf, so others of 1, 2, 4, ... nodes are not measured")
        return
    for nodes in bench.sizes.node_counts:
        with bench.elsewhere(nodes) as other:
            for _ in range(bench.runs):
                _tree(other, nodes)
                _map(other, nodes)
                _shuffle(other, nodes)


def _tree(bench: Bench, nodes: int) -> None:
    count = bench.sizes.node_files
    source, plain = bench.inputs.lines(count, TREE_FILE_BYTES, numbered=False), bench.scratch / "plain"
    limits = {"cp -r": machine.copy_tree(bench.commands, source, plain)}
    seconds = bench.s4("cp", "-r", source, bench.key("tree/"))
    bench.expect_keys(bench.key("tree/"), count, count * TREE_FILE_BYTES)
    bench.note_rate(Label("cp -r put", "files/s", "nodes", nodes), count, seconds, limits)
    bench.remove(bench.key("tree/"), plain)


def _map(bench: Bench, nodes: int) -> None:
    count = bench.sizes.node_keys
    source = bench.inputs.lines(count, LINE_BYTES, numbered=True)
    bench.s4("cp", "-r", source, bench.key("in/"))
    label = Label("map with a builtin", "keys/s", "nodes", nodes)
    run_job(bench, Job("map", "in/", BUILTIN, label, count, count), source)
    bench.s4("rm", "-r", bench.key("in/"))


def _shuffle(bench: Bench, nodes: int) -> None:
    """All to all: each table has parts for every node."""
    sizes = bench.sizes
    source = bench.inputs.tables(sizes.node_tables, sizes.node_table_bytes)
    bench.s4("cp", "-r", source, bench.key("in/"))
    label = Label("map-to-n all to all", "MB/s", "nodes", nodes)
    command = split_bulk(sizes.node_table_bytes, sizes.node_parts)
    amount, keys = sizes.node_tables * sizes.node_table_bytes, sizes.node_tables * sizes.node_parts
    with bench.peak_memory() as peak:
        run_job(bench, Job("map-to-n", "in/", command, label, amount, keys), source)
    bench.s4("rm", "-r", bench.key("in/"))
    for name, found, bound in (
        ("memory of the largest node", peak.largest_bytes, BOUND_MIB),
        ("memory of all nodes", peak.sum_bytes, nodes * BOUND_MIB),
    ):
        bench.note(Label(f"{name} meanwhile", "MiB", "nodes", nodes), found / MIB, {DESIGN: bound})


SCENARIOS = (Scenario("scale-nodes", "1, 2, 4, ... nodes: cp -r, map, all-to-all shuffle, memory", _nodes),)
