"""Scenarios of many small files: folders in and out, lists of up to a million keys, removal."""

from __future__ import annotations

from . import machine
from .bench import Bench, Scenario
from .inputs import FOLDER_FILES
from .report import Label
from .sizes import SMALL_BYTES, TREE_FILE_BYTES


def _tree(bench: Bench) -> None:
    count = bench.sizes.tree_files
    source = bench.inputs.lines(count, TREE_FILE_BYTES, numbered=False)
    for run in range(bench.runs):
        keys, copy, plain = bench.key(f"{run}/"), bench.scratch / f"{run}", bench.scratch / f"plain-{run}"
        limit = machine.copy_tree(bench.commands, source, plain)
        seconds = bench.s4("cp", "-r", source, keys)
        bench.expect_keys(keys, count, count * TREE_FILE_BYTES)
        bench.note_rate(Label("cp -r put", "files/s"), count, seconds, {"cp -r": limit})
        limit = machine.copy_tree(bench.commands, source, plain / "again")
        seconds = bench.s4("cp", "-r", keys, copy)
        bench.expect_same_files(source, copy)
        bench.note_rate(Label("cp -r get", "files/s"), count, seconds, {"cp -r": limit})
        limit = machine.remove_tree(bench.commands, plain / "again")
        seconds = bench.s4("rm", "-r", keys)
        bench.expect_keys(keys, 0, 0)
        bench.note_rate(Label("rm -r", "files/s"), count, seconds, {"rm -r": limit})


def _lists(bench: Bench) -> None:
    """Folders of a thousand keys each, all put at once; prefixes of their names select a tenth, a
    hundredth, ..."""
    most = bench.sizes.listed_keys
    digits = len(str(most // FOLDER_FILES)) - 1
    source = bench.inputs.forest(digits, SMALL_BYTES)
    bench.s4("cp", "-r", source, bench.key("in/"))
    bench.expect_keys(bench.key("in/"), most, most * SMALL_BYTES)
    for zeros in range(digits, -1, -1):
        count, prefix = FOLDER_FILES * 10 ** (digits - zeros), "0" * zeros
        folders = sorted(source.glob(f"{prefix}*"))
        for _ in range(bench.runs):
            limit = machine.list_trees(bench.commands, folders)
            timed, text = bench.s4_output("ls", "-r", bench.key(f"in/{prefix}"))
            bench.expect("lines of the listing", text.count("\n"), count)
            label = Label("ls -r", "keys/s", "keys", count)
            bench.note_rate(label, count, timed.seconds, {"ls -lR": limit})


SCENARIOS = (
    Scenario("tree", "a folder of files of 4 KiB: cp -r both ways, rm -r, files/s", _tree),
    Scenario("scale-list", "ls -r of 1,000, 10,000, ... keys, keys/s", _lists),
)
