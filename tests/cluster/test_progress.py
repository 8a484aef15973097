"""How far long work is, as a user sees it: on a real terminal, on a pipe, and after Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ..harness import BIN, Cluster, wait_until
from ..terminal import Pane
from .kit import commands_running, make_tree, put_keys

BAR = re.compile(r"^ *(\S+) +[━╸╺ ]+ +(\d+)% +(\d+)/(\d+) (keys?|groups?)", re.M)
SLOW = "sleep 0.6; cat"
MORE: Mapping[str, str] = {}
INPUTS = {f"s4://slow/{number}_x": b"x" * 1000 for number in range(12)}


@pytest.fixture
def filled(cluster: Cluster) -> Cluster:
    """With inputs for maps, four on each of its nodes."""
    put_keys(cluster, INPUTS)
    return cluster


def pane(
    cluster: Cluster,
    *words: object,
    columns: int = 100,
    stdin: int | None = None,
    more: Mapping[str, str] = MORE,
) -> Pane:
    """`s4 WORDS` on a terminal; `more` is of its environment."""
    ours = {name: value for name, value in cluster.environment.items() if name not in os.environ}
    environment = {**ours, "PATH": cluster.environment["PATH"], **more}
    return Pane([str(BIN / "s4"), *map(str, words)], environment, columns=columns, stdin=stdin)


def slow_map(cluster: Cluster, *options: str, columns: int = 100, more: Mapping[str, str] = MORE) -> Pane:
    """One command a second or so on each node, for some seconds."""
    words = ("map", "--jobs", "1", *options, "s4://slow/", "s4://out/", SLOW)
    return pane(cluster, *words, columns=columns, more=more)


def shares(screen: Pane) -> list[int]:
    """What the bars on the screen say, in percent."""
    return [int(found.group(2)) for found in BAR.finditer(screen.text)]


def seen_shares(screen: Pane) -> Iterator[int]:
    """Those of all the work, over all that was drawn."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.raw.decode())
    return (
        int(found.group(2)) for found in BAR.finditer(text.replace("\r", "\n")) if found.group(1) == "map"
    )


def test_a_map_on_a_terminal_has_a_bar_and_one_for_each_node(filled: Cluster) -> None:
    with slow_map(filled) as screen:
        screen.read_until(lambda: len(shares(screen)) == 4, "a bar for all and one for each of three nodes")
        assert [line.split()[0] for line in screen.lines] == [
            "map",
            *(node.address for node in filled.nodes),
        ]
        assert all(len(line) <= 100 for line in screen.lines)
        assert screen.colours
        screen.read_until(lambda: shares(screen)[:1] > [0], "something that is done")
        assert screen.finish() == 0
        assert re.fullmatch(
            r"s4: map: 12 keys, 12\.0 KB in, 12\.0 KB out, \d+\.\d s\n"
            r"s4: map: slowest: (s4://slow/\d+_x \d\.\d s(, )?){3}\n"
            r"s4: map: skew: inputs 1\.00 x mean, outputs 1\.00 x mean",
            screen.text,
        )
        assert screen.is_cursor_shown
        assert (screen.screen.cursor.x, screen.screen.cursor.y) == (0, 3)
        seen = list(seen_shares(screen))
        assert seen == sorted(seen)


def test_a_bar_in_a_narrow_terminal_stays_on_its_line(filled: Cluster) -> None:
    with slow_map(filled, columns=40) as screen:
        screen.read_until(lambda: screen.lines, "progress")
        assert len(screen.lines) == 1
        assert screen.text.startswith("map: ")
        assert screen.finish() == 0
        assert screen.lines[0].startswith("s4: map: 12 keys, 12.0 KB in")


def test_a_terminal_may_change_its_size(filled: Cluster) -> None:
    with slow_map(filled) as screen:
        screen.read_until(lambda: len(shares(screen)) == 4, "the bars")
        screen.resize(70, 30)
        before = len(screen.pieces)
        screen.read_until(lambda: len(screen.pieces) > before, "the next drawing")
        assert all(len(line) <= 70 for line in screen.lines)
        assert len(shares(screen)) == 4
        assert screen.finish() == 0
        assert screen.lines[0].startswith("s4: map: 12 keys")


@pytest.mark.parametrize(
    ("option", "lines"),
    [("--quiet", 0), ("-q", 0), ("--no-progress", 3)],
    ids=["quiet", "q", "no-progress"],
)
def test_what_is_not_wanted_is_not_shown(filled: Cluster, option: str, lines: int) -> None:
    with slow_map(filled, option) as screen:
        assert screen.finish() == 0
        assert len(screen.lines) == lines
        assert b"\x1b" not in screen.raw


def test_who_wants_no_colours_gets_none(filled: Cluster) -> None:
    with slow_map(filled, more={"NO_COLOR": "1"}) as screen:
        screen.read_until(lambda: shares(screen), "a bar")
        assert screen.finish() == 0
        assert not screen.colours


def test_a_dumb_terminal_gets_no_control_characters(filled: Cluster) -> None:
    with slow_map(filled, more={"TERM": "dumb"}) as screen:
        assert screen.finish() == 0
        assert b"\x1b" not in screen.raw
        assert screen.lines[0].startswith("s4: map: 12 keys")


@pytest.mark.parametrize("after_s", [0.0, 0.4, 0.55, 1.1])
def test_ctrl_c_at_any_time_leaves_clean_lines_and_a_cursor(filled: Cluster, after_s: float) -> None:
    command = ("map", "--jobs", "1", "s4://slow/", "s4://out/", "sleep 60")
    with pane(filled, *command) as screen:
        wait_until(lambda: commands_running(filled) == 3, "the commands to run")
        screen.read_until(lambda: screen.lines, "a bar") if after_s > 1 else screen.read(after_s)
        screen.type(b"\x03")
        assert screen.finish() == 130
        lines = [line for line in screen.lines if line != "^C"]
        assert lines[-1].removeprefix("^C") == "s4: interrupted"
        for line in lines[:-1]:
            assert re.fullmatch(
                r"s4: map: 0 of 12 keys, 0 bytes of 12\.0 KB, in \d\.\d s", line.removeprefix("^C")
            )
        assert screen.is_cursor_shown
    filled.assert_no_leftovers()


def test_the_bytes_of_one_large_file_are_seen_to_move(cluster: Cluster, tmp_path: Path) -> None:
    """The node rests until the bar was seen, so that it does not matter how fast it is."""
    path = tmp_path / "large"
    path.write_bytes(bytes(48 << 20))
    node = cluster.owner("large")
    node.send(signal.SIGSTOP)
    with pane(cluster, "cp", path, "s4://b/large") as screen:
        try:
            screen.read_until(lambda: BAR.search(screen.text), "a bar")
            assert screen.lines[0].split()[-1] != "left", (
                "nothing has moved, so there is nothing to guess from"
            )
            assert re.search(r" 0% 0/1 key .*0 bytes/50\.3 MB", screen.text), screen.text
        finally:
            node.send(signal.SIGCONT)
        assert screen.finish() == 0
        assert re.fullmatch(r"s4: cp: 1 key, 50\.3 MB, \S+ [MG]B/s, in \d+\.\d s", screen.text)


def see_megabytes(screen: Pane, count: int) -> None:
    shown = re.compile(rf"cp: 0 keys, {count}\.\d MB")
    screen.read_until(lambda: shown.search(screen.text), f"{count} MB")


def test_a_stream_is_counted_while_it_comes(cluster: Cluster) -> None:
    reader, writer = os.pipe()
    with pane(cluster, "cp", "-", "s4://b/stream", stdin=reader) as screen:
        os.close(reader)
        for megabytes in (2, 4):
            for _ in range(32):
                os.write(writer, bytes(1 << 16))
            see_megabytes(screen, megabytes)
        os.close(writer)
        assert screen.finish() == 0
        assert re.fullmatch(r"s4: cp: 1 key, 4\.2 MB, \S+ .B/s, in \d+\.\d s", screen.text)


def test_a_value_on_the_terminal_is_not_drawn_over(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/words": b"some words\n"})
    node = cluster.owner("words")
    node.send(signal.SIGSTOP)
    with pane(cluster, "cp", "s4://b/words", "-") as screen:
        for _ in range(4):
            screen.read(0.3)
        assert screen.raw == b""
        node.send(signal.SIGCONT)
        assert screen.finish() == 0
        assert screen.lines == ["some words"]


def test_off_a_terminal_a_map_says_one_line(filled: Cluster) -> None:
    done = subprocess.run(
        [str(BIN / "s4"), "map-to-n", "s4://slow/", "s4://out/", "cat > y; echo y"],
        env=filled.environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b""
    assert re.fullmatch(
        rb"s4: map-to-n: 12 keys, 12\.0 KB in, 12\.0 KB out, 8\.0 KB between nodes, \d+\.\d s\n",
        done.stderr,
    )


def test_groups_are_counted_where_groups_are_run(filled: Cluster) -> None:
    done = filled.start_s4("map-from-n", "s4://slow/", "s4://out/", "xargs cat | wc -c")
    out, err = done.communicate(timeout=60)
    assert (done.returncode, out) == (0, b"")
    assert err.startswith(b"s4: map-from-n: 12 groups, 12.0 KB in, 60 bytes out, ")


def test_a_reader_that_has_enough_hears_no_noise(cluster: Cluster, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {f"f{number}": b"x" for number in range(3000)})
    script = f"s4 cp -r --json {tree} s4://many/ | head -1; s4 ls --json s4://many/ | head -1"
    done = subprocess.run(
        ["bash", "-c", script], env=cluster.environment, capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 2
