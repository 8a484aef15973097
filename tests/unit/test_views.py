"""Looking on from a client, without a cluster: jobs merged, ids, tables, records, the screen."""

from __future__ import annotations

import io
import json
import os
import pty
from collections.abc import Generator
from contextlib import suppress
from typing import TextIO

import pytest

from s4zmq import views
from s4zmq.commandtext import head_of
from s4zmq.errors import NodeUnreachable, RequestError
from s4zmq.jsonlines import print_json, utc
from s4zmq.limits import COMMAND_SHOWN_BYTES, SHORT_ID
from s4zmq.screen import Screen
from s4zmq.tables import lay_out, printable
from s4zmq.viewprints import jobs_lines, log_lines, show_seconds, status_lines, usage_lines
from s4zmq.views import JobLog, Jobs, JobView, LogEntry, NodeJob, NodeStatus, NodeUsage, find_job, short_ids


def node_job(state: str, done: int = 1, started_ns: int = 5) -> NodeJob:
    words = ("map", "s4://b/in/", "s4://b/out/", "cat", state)
    return NodeJob(b"J" * 16, *words, 3, done, 0, 9, started_ns, 2.0)


@pytest.mark.parametrize(
    ("states", "merged"),
    [
        (("running", "done", "cancelled", "failed"), "running"),
        (("done", "done"), "done"),
        (("done", "failed", "stopped"), "failed"),
        (("failed", "cancelled"), "cancelled"),
        (("done", "stopped"), "cancelled"),
    ],
)
def test_a_job_has_one_state_of_those_on_its_nodes(states: tuple[str, ...], merged: str) -> None:
    parts = [(f"node{number}", node_job(state)) for number, state in enumerate(states)]
    assert views._merged(parts).state == merged


def test_counts_add_up_and_times_are_the_widest() -> None:
    parts = [("a", node_job("running", 1, 9)), ("b", node_job("done", 3, 4)._replace(seconds=7.5))]
    job = views._merged(parts)
    assert (job.commands, job.done, job.bytes, job.started_ns, job.seconds) == (6, 4, 18, 4, 7.5)
    assert (job.nodes, job.running_on) == (["a", "b"], ["a"])
    assert job.job == "4a" * 16


def view(id: str, state: str = "done") -> JobView:
    return views._merged([("node", node_job(state)._replace(job=bytes.fromhex(id.ljust(32, "0"))))])


def jobs(*ids: str) -> Jobs:
    return Jobs([view(id) for id in ids], {})


def test_a_job_is_found_by_the_beginning_of_its_id() -> None:
    some = jobs("12ab", "12ac", "ff")
    assert find_job(some, "12AC").job.startswith("12ac")
    assert find_job(some, "f") == some.jobs[2]
    assert find_job(some, some.jobs[0].job) == some.jobs[0]


@pytest.mark.parametrize("prefix", ["", "xyz", "s4://b/k", "1" * 33, "-1", "1 2"])
def test_what_can_be_no_id_is_told(prefix: str) -> None:
    with pytest.raises(RequestError, match="is no job"):
        find_job(jobs("12"), prefix)


def test_an_id_of_none_and_of_several_is_told() -> None:
    with pytest.raises(RequestError, match="no job begins with 34"):
        find_job(jobs("12"), "34")
    with pytest.raises(RequestError, match=r"2 jobs begin with 1 \(12ab0000, 12ac0000\)"):
        find_job(jobs("12ab", "12ac", "ff"), "1")
    silent = Jobs([], {"node:1": NodeUnreachable("gone")})
    with pytest.raises(RequestError, match="not asked: node:1"):
        find_job(silent, "1")


def test_short_ids_are_as_long_as_they_must_be() -> None:
    assert {len(short) for short in short_ids(jobs("1", "2").jobs).values()} == {SHORT_ID}
    alike = jobs("0123456789a", "0123456789b")
    assert set(short_ids(alike.jobs).values()) == {"0123456789a", "0123456789b"}
    assert short_ids([]) == {}


@pytest.mark.parametrize(
    ("command", "head"),
    [
        ("cat", "cat"),
        ("\n  sort -n  \n", "sort -n"),
        ("one\ntwo", "one..."),
        ("x" * COMMAND_SHOWN_BYTES, "x" * COMMAND_SHOWN_BYTES),
        ("x" * COMMAND_SHOWN_BYTES + "y", "x" * COMMAND_SHOWN_BYTES + "..."),
        ("é" * COMMAND_SHOWN_BYTES, "é" * (COMMAND_SHOWN_BYTES // 2) + "..."),
    ],
)
def test_of_a_command_its_first_line_is_shown(command: str, head: str) -> None:
    assert head_of(command) == head


def test_a_table_of_jobs_shows_nothing_that_a_terminal_obeys() -> None:
    job = view("12")._replace(command="echo \x1b[2J")
    lines = list(jobs_lines(Jobs([job], {})))
    assert lines[0].split()[:3] == ["JOB", "KIND", "STATE"]
    assert lines[1].startswith("12000000  map   done    1/3")
    assert lines[1].endswith("2.0 s  s4://b/in/ -> s4://b/out/  echo ?[2J")
    assert list(jobs_lines(Jobs([], {}))) == []


def test_a_log_says_what_was_cut_and_left_out() -> None:
    made = LogEntry("node:1", "s4://b/in/k", 2, 1, 0, "the command failed", b"one\n\x1b[2Jtwo\n\xff\n", 12)
    log = JobLog(view("12"), [made, made._replace(stderr=b"", cut=0)], {"node:1": 3}, {})
    head, *lines = list(log_lines(log))
    assert head.endswith("attempt 2: the command failed <==")
    assert lines[:4] == ["[12 bytes before this were not kept]", "one", "?[2Jtwo", "\ufffd"]
    assert lines[4].startswith("==> ")
    assert lines[5:] == ["[of 3 more failed attempts on node node:1 nothing was kept]"]


AMOUNTS = {
    "memory": 20_000_000,
    "commands-memory": 1_000_000,
    "disk-free": 5_000_000_000,
    "keys": 12,
    "bytes": 34,
    "running-jobs": 1,
    "running-commands": 2,
    "transfers": 3,
}
UP = NodeStatus("127.0.0.1:8080", True, "", 0.25, 1.0, AMOUNTS)
DOWN = NodeStatus("127.0.0.1:8081", False, "does not answer", 0.0, 0.0, {})


def test_a_node_has_a_line_and_one_that_is_down_its_reason() -> None:
    head, up, down = status_lines([UP, DOWN])
    assert head.split() == ["NODE", "STATE", "CPU", "MEMORY", "DISK", "FREE", *head.split()[6:]]
    assert " ".join(up.split()) == "127.0.0.1:8080 up 25% 21.0 MB 5.0 GB 12 34 bytes 1 2 3"
    assert down == "127.0.0.1:8081  down  does not answer"


def test_what_is_not_known_is_told_so() -> None:
    amounts = {name: count for name, count in AMOUNTS.items() if name not in ("disk-free", "keys", "bytes")}
    (line,) = status_lines([UP._replace(amounts=amounts)])[1:]
    assert line.split()[4:] == ["MB", "...", "...", "...", "1", "2", "3"]


def test_no_line_is_wider_than_the_terminal_and_what_matters_most_stays() -> None:
    for width in range(1, 120):
        head, up, down = lines = status_lines([UP, DOWN], width)
        assert max(map(len, lines)) <= width
        if width >= 30:
            assert head.split()[2] == "CPU"
            assert up.split()[:3] == ["127.0.0.1:8080", "up", "25%"]
            assert down.startswith("127.0.0.1:8081  down  does no")


def test_usage_has_exact_bytes_first() -> None:
    some = [NodeUsage("a:1", 1, 5), NodeUsage("b:2", 2, 1_500_000)]
    assert list(usage_lines("b/x", some, per_node=False)) == ["1500005  1.5 MB  3 keys  s4://b/x"]
    lines = list(usage_lines("b/x", some, per_node=True))
    assert [line.split() for line in lines[:2]] == [
        ["5", "5", "bytes", "1", "key", "a:1"],
        ["1500000", "1.5", "MB", "2", "keys", "b:2"],
    ]


def test_columns_are_as_wide_as_they_need_and_nothing_stands_behind_them() -> None:
    assert list(lay_out([("a", "1"), ("bbb", "22")], left=(0,))) == ["a     1", "bbb  22"]
    assert list(lay_out([("a", ""), ("b", "x")], left=(0, 1))) == ["a", "b  x"]
    assert printable("a\x1b\tb\u202e") == "a??b?"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0 s"), (59.94, "59.9 s"), (65, "1:05"), (7201, "2:00:01")]
)
def test_seconds_are_shown_as_people_read_them(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


def test_a_record_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"kind": "key", "key": "s4://b/ü\n", "bytes": 5}
    print_json(record)
    out = capsys.readouterr().out
    assert (out.count("\n"), json.loads(out)) == (1, record)


def test_times_are_utc() -> None:
    assert utc(1_233_446_398_123_999_999) == "2009-01-31T23:59:58.123Z"


def test_elsewhere_blocks_stand_one_below_another() -> None:
    stream = io.StringIO()
    with Screen(stream) as screen:
        for text in ("one", "two"):
            screen.draw(lambda width, text=text: [f"{text} {width}"])  # type: ignore[misc]
    assert stream.getvalue() == "one 0\n\ntwo 0\n"


def _watch(stream: TextIO) -> Generator[None, None, None]:
    with Screen(stream) as screen:
        screen.draw(lambda width: ["last"])
        yield


def test_a_terminal_is_as_before_with_the_last_table_on_it() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        watch = _watch(stream)
        next(watch)
        with pytest.raises(KeyboardInterrupt):
            watch.throw(KeyboardInterrupt)
    shown = ""
    with suppress(OSError):  # how a pty says that nobody has its other end any more
        while True:
            shown += os.read(ours, 4096).decode()
    os.close(ours)
    assert shown.startswith("\x1b[?1049h\x1b[?25l")
    assert shown.endswith("\x1b[?25h\x1b[?1049llast\r\n")
