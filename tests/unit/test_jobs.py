"""Jobs on one node, whole: planned, run with a real bash, and torn down without a trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from s4zmq import job as room
from s4zmq import jobs, wire
from s4zmq.checksum import digest_of
from s4zmq.errors import (
    Cancelled,
    ConnectionLost,
    JobCancelled,
    KeyInvalid,
    NodeBusy,
    ProtocolError,
    RequestError,
    S4Error,
)
from s4zmq.jobs import Jobs
from s4zmq.keys import Key
from s4zmq.shell import Switch
from s4zmq.slots import Slots
from s4zmq.store import Store

from ..harness import wait_until
from .helpers import NODE, SESSION, Letters, Rooms, flip_first_byte, is_running, put, unfinished

JOB = b"J" * 16
PLAN = wire.Plan(JOB, "map", "s4://in/", "s4://out/", "cat", [], 0, 0, 0, False, False, False)


class Bench:
    """The jobs of a cluster of one node."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self.store = store
        self.rooms = Rooms(store)
        self.registry, self.sessions = self.rooms.registry, self.rooms.sessions
        self.jobs = Jobs(self.rooms.shop, 2, self.sessions, self.rooms.later)
        self.letters = Letters()

    def plan(self, files: Sequence[str] = (), **changes: Any) -> Any:
        """The reply to a plan."""
        letters = Letters()
        shipped = [(name, digest_of(name.encode())) for name in files]
        self.jobs.on_plan(PLAN._replace(files=shipped, **changes), b"", letters.caller())
        wait_until(lambda: letters, "the job to be planned")
        return letters[0].message

    def run(self) -> Any:
        """Start what was planned; its final reply."""
        self.jobs.on_run(wire.Run(JOB), b"", self.letters.caller())
        return self.final()

    def final(self) -> Any:
        wait_until(lambda: self.letters, "the job to end", 30)
        return self.letters[-1].message

    def map(self, command: str, **changes: Any) -> Any:
        self.plan(command=command, **changes)
        return self.run()

    def visible(self, bucket: str = "out") -> dict[str, str]:
        root = Path(self.store.keys_path, bucket)
        return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}

    def assert_nothing_is_left(self) -> None:
        wait_until(lambda: not len(self.jobs), "the jobs to end")
        assert unfinished(self.store) == []
        assert (len(self.sessions), self.registry.running) == (0, 0)


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(store, tmp_path)
    for path, value in (("a", b"aa"), ("d/b", b"b"), ("d/e/c", b"")):
        put(store, f"s4://in/{path}", value)
    yield made
    made.assert_nothing_is_left()
    made.rooms.close()


def codes(done: wire.JobDone) -> list[str]:
    return [row[1] for row in done.failures]


# -- the maps


def test_a_map_makes_one_key_of_each(bench: Bench) -> None:
    assert bench.plan(command='cat; echo "$filename $S4_KEY"') == wire.Planned(3, 3, 3, 3, 0, [])
    done = bench.run()
    assert done[:5] == (3, 0, 3, 3, [sum(map(len, bench.visible().values()))])
    assert {key for key, _ in done.slowest} == {"s4://in/a", "s4://in/d/b", "s4://in/d/e/c"}
    assert bench.visible() == {
        "a": "aaa s4://in/a\n",
        "d/b": "bb s4://in/d/b\n",
        "d/e/c": "c s4://in/d/e/c\n",
    }


def test_a_glob_selects_inputs(bench: Bench) -> None:
    assert bench.map("cat", inputs="s4://in/d/*").done == 1
    assert bench.visible() == {"b": "b"}


def test_a_merge_makes_one_key_of_each_group(bench: Bench) -> None:
    for path in ("x/1_m", "y/1_m", "x/2_m", "y/2_n"):
        put(bench.store, f"s4://parts/{path}", f"{path}\n".encode())
    planned = bench.plan(
        kind="map-from-n", inputs="s4://parts/", command="xargs cat; echo $filename $S4_KEY"
    )
    assert planned == wire.Planned(4, 24, 2, 24, 0, [])
    done = bench.run()
    assert done[:5] == (2, 0, 24, 2, [sum(map(len, bench.visible().values()))])
    assert {key for key, _ in done.slowest} == {"s4://out/1_m", "s4://out/2"}
    assert bench.visible() == {
        "1_m": "x/1_m\ny/1_m\n1_m s4://out/1_m\n",
        "2": "x/2_m\ny/2_n\n2 s4://out/2\n",
    }


def test_a_merge_gives_absolute_paths_sorted_a_line_each(bench: Bench) -> None:
    put(bench.store, "s4://parts/y/1_m")
    put(bench.store, "s4://parts/x/1_m")
    bench.map("cat", kind="map-from-n", inputs="s4://parts/")
    expected = [f"{bench.store.keys_path}/parts/{path}" for path in ("x/1_m", "y/1_m")]
    assert bench.visible()["1_m"].splitlines() == expected


def test_shipped_files_stand_in_the_folder_of_every_command(bench: Bench) -> None:
    bench.plan(command="./tool.sh", files=["tool.sh"])
    folder = bench.jobs.file_folder(JOB, "tool.sh")
    Path(folder, "tool.sh").write_text("#!/bin/sh\nls\n")
    Path(folder, "tool.sh").chmod(0o555)
    assert bench.run().done == 3
    assert set(bench.visible().values()) == {"tool.sh\n"}


# -- refused before anything runs


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kind": "reduce"}, ProtocolError),
        ({"command": " "}, RequestError),
        ({"inputs": "s4://in"}, KeyInvalid),
        ({"inputs": "s4://*/"}, KeyInvalid),
        ({"outdir": "s4://out"}, KeyInvalid),
        ({"outdir": "s4://in/"}, KeyInvalid),
        ({"outdir": "s4://in/d/out/"}, KeyInvalid),
        ({"inputs": "s4://in/*/x", "outdir": "s4://in/out/"}, KeyInvalid),
        ({"files": ["../escape"]}, RequestError),
        ({"files": [".."]}, RequestError),
        ({"files": [""]}, RequestError),
        ({"files": ["a\0b"]}, RequestError),
        ({"files": [str(number) for number in range(1000)]}, RequestError),
    ],
    ids=str,
)
def test_a_plan_that_makes_no_sense_is_refused(
    bench: Bench, changes: dict[str, Any], error: type[S4Error]
) -> None:
    with pytest.raises(error):
        bench.plan(**changes)


def test_outputs_that_are_there_are_told_before_anything_runs(bench: Bench) -> None:
    put(bench.store, "s4://out/d/b")
    planned = bench.plan()
    assert planned.conflicts == ["s4://out/d/b"]
    bench.sessions.close(SESSION)


def test_a_job_that_was_not_planned_or_runs_already_is_refused(bench: Bench) -> None:
    with pytest.raises(ConnectionLost, match="has lost the plan of this job"):
        bench.run()
    bench.plan(command="until [ -e /nonexistent ]; do sleep 0.01; done")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    with pytest.raises(ConnectionLost, match="has lost the plan of this job"):
        bench.jobs.on_run(wire.Run(JOB), b"", Letters().caller())
    bench.sessions.close(SESSION)
    bench.final()


def test_a_job_whose_shipped_file_did_not_arrive_is_refused(bench: Bench) -> None:
    bench.plan(files=["tool.sh"])
    with pytest.raises(RequestError, match=r"tool\.sh did not arrive"):
        bench.run()
    with pytest.raises(RequestError, match="no job expects the file"):
        bench.jobs.file_folder(JOB, "other")
    bench.sessions.close(SESSION)


def test_one_job_too_many_is_refused_and_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("s4zmq.jobs.MAX_JOBS", "s4zmq.sessions.MAX_SESSIONS"):
        monkeypatch.setattr(limit, 0)
        with pytest.raises(NodeBusy):
            bench.plan(files=["tool.sh"])
        monkeypatch.undo()
        bench.assert_nothing_is_left()


# -- failures


def test_a_failed_command_is_told_with_key_node_status_and_stderr(bench: Bench) -> None:
    done = bench.map("echo why >&2; exit 7", inputs="s4://in/d/*")
    assert (done.done, done.failed, bench.visible()) == (0, 1, {})
    [(_, code, text, details)] = done.failures
    assert code == "E_COMMAND"
    assert "failed with status 7 on s4://in/d/b (node 127.0.0.1:7000):\nwhy" in text
    assert details == {**details, "key": "s4://in/d/b", "node": NODE, "status": 7}


def test_with_keep_going_all_are_run_and_all_failures_are_told(bench: Bench) -> None:
    done = bench.map('[ "$filename" = b ]', keep_going=True)
    assert (done.done, done.failed, codes(done)) == (1, 2, ["E_COMMAND"] * 2)
    assert bench.visible() == {"d/b": ""}


def test_a_failed_input_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    count = f'echo x >> {tmp_path}/tries-"$filename"; [ "$(wc -l < {tmp_path}/tries-"$filename")" = 3 ]'
    assert bench.map(count, retries=2).done == 3
    assert (tmp_path / "tries-a").read_text() == "x\n" * 3


def test_retries_come_to_an_end(bench: Bench, tmp_path: Path) -> None:
    done = bench.map(f"echo x >> {tmp_path}/tries; exit 1", inputs="s4://in/d/*", retries=2)
    assert (done.failed, (tmp_path / "tries").read_text()) == (1, "x\n" * 3)


def test_a_command_over_its_time_is_ended_and_says_so(bench: Bench) -> None:
    done = bench.map("sleep 1000", inputs="s4://in/d/*", timeout_s=0.2)
    assert "the command ran over its 0.2 s on s4://in/d/b" in done.failures[0][2]


def test_an_input_that_is_damaged_is_never_given_to_a_command(bench: Bench, tmp_path: Path) -> None:
    flip_first_byte(Path(bench.store.keys_path, "in/d/b"))
    done = bench.map(f"touch {tmp_path}/ran", inputs="s4://in/d/*")
    assert codes(done) == ["E_CHECKSUM"]
    assert not (tmp_path / "ran").exists()


def test_an_output_whose_name_was_taken_meanwhile_is_a_failure(bench: Bench) -> None:
    bench.plan(inputs="s4://in/d/*")
    put(bench.store, "s4://out/b", b"faster")
    assert codes(bench.run()) == ["E_EXISTS"]
    assert bench.visible() == {"b": "faster"}


def test_what_a_command_leaves_in_its_folder_is_gone(bench: Bench) -> None:
    assert bench.map("mkdir -p x/y; echo > x/y/z; chmod 000 x; pwd").done == 3
    assert len(set(bench.visible().values())) == 3


# -- the end


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_job_that_is_ended_stops_its_commands(bench: Bench, tmp_path: Path, end: str) -> None:
    bench.plan(command=f"echo $$ > {tmp_path}/pid; sleep 1000 | cat", inputs="s4://in/d/*")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command to start")
    if end == "cancel":
        bench.jobs.on_cancel(wire.CancelJob(JOB), b"", Letters().caller())
    else:
        bench.sessions.close(SESSION)
    assert bench.final().code == "E_CANCELLED"
    assert not is_running(int(pid.read_text()))
    assert bench.visible() == {}


def test_a_job_that_was_only_planned_ends_with_its_session(bench: Bench) -> None:
    bench.plan(files=["tool.sh"])
    assert len(unfinished(bench.store)) == 1
    bench.sessions.close(SESSION)
    bench.jobs.stop(JOB)


def test_a_dry_run_keeps_nothing(bench: Bench) -> None:
    assert bench.plan(files=["tool.sh"], dry_run=True) == wire.Planned(3, 3, 3, 3, 0, [])
    bench.assert_nothing_is_left()
    with pytest.raises(ConnectionLost):
        bench.run()


def test_the_same_run_does_not_go_on_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE_S", 0.05)
    monkeypatch.setattr(jobs, "_TEARDOWN_S", 0.05)
    bench.plan(command="until [ -e /nonexistent ]; do sleep 0.01; done")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    again = Letters()
    plan = PLAN._replace(
        job=b"K" * 16, command="until [ -e /nonexistent ]; do sleep 0.01; done", resume=True
    )
    bench.jobs.on_plan(plan, b"", again.caller(session=b"another."))
    wait_until(lambda: again, "the second one to be refused")
    assert again[0].message.code == "E_BUSY"
    assert "under way" in again[0].message.text
    bench.sessions.close(SESSION)
    bench.final()


def test_the_same_run_begins_when_the_one_before_has_ended(bench: Bench) -> None:
    bench.plan(command="sleep 1000")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    again = Letters()
    plan = PLAN._replace(job=b"K" * 16, command="sleep 1000", resume=True)
    bench.jobs.on_plan(plan, b"", again.caller(session=b"another."))
    assert not again
    bench.sessions.close(SESSION)
    wait_until(lambda: again, "the second one to be planned")
    assert again[0].message == wire.Planned(3, 3, 3, 3, 0, [])
    bench.final()
    bench.sessions.close(b"another.")


def test_a_resumed_run_skips_what_is_complete_and_clears_what_is_stale(
    bench: Bench, tmp_path: Path
) -> None:
    command = f'echo "$filename" >> {tmp_path}/log; cat'
    bench.map(command)
    bench.store.delete(Key("out/d/b"))
    bench.store.delete(Key("in/a"))
    put(bench.store, "s4://in/a", b"new")
    (tmp_path / "log").unlink()
    bench.letters.clear()
    assert bench.plan(command=command, resume=True) == wire.Planned(3, 4, 2, 4, 1, [])
    assert bench.run()[:5] == (2, 0, 4, 2, [4])
    assert bench.visible() == {"a": "new", "d/b": "b", "d/e/c": ""}
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"command": "tac"}, "had another command"),
        ({"inputs": "s4://in/*"}, "finish read s4://in/: say"),
        ({"kind": "map-from-n"}, "finish was a map: say"),
        ({"files": ["tool.sh"]}, "shipped other files"),
    ],
)
def test_a_run_that_resumes_another_one_is_refused(bench: Bench, changes: dict[str, Any], how: str) -> None:
    bench.map("cat")
    refused = bench.plan(**{"command": "cat", **changes}, resume=True)
    assert (refused.code, how in refused.text) == ("E_REQUEST", True)
    bench.rooms.ledger.forget("o")
    for key in ("a", "d/b", "d/e/c"):
        bench.store.delete(Key(f"out/{key}"))
    assert isinstance(bench.plan(**{"command": "cat", **changes}, resume=True), wire.Planned)
    bench.sessions.close(SESSION)


def test_progress_is_told_where_it_has_changed(bench: Bench) -> None:
    bench.plan(command="[ $filename != a ] || until [ -e go-on ]; do sleep 0.01; done")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    told = bench.letters

    def two_are_done() -> bool:
        bench.jobs.report()
        return bool(told) and told[-1].message.done == 2

    wait_until(two_are_done, "two of three to be done")
    before = len(told)
    bench.jobs.report()
    assert len(told) == before
    assert told[-1].message == wire.Progress(2, 0, 1)
    bench.sessions.close(SESSION)
    wait_until(lambda: isinstance(told[-1].message, wire.Failure), "the job to end")


# -- slots


def count_running(folder: Path) -> str:
    """A command that prints how many of its kind run now."""
    (folder / "running").mkdir()
    return f"cd {folder}/running; mkdir x$filename; ls | wc -l; rmdir x$filename"


def test_no_more_commands_run_at_once_than_there_are_slots(bench: Bench, tmp_path: Path) -> None:
    for number in range(12):
        put(bench.store, f"s4://many/{number}")
    assert bench.map(count_running(tmp_path), inputs="s4://many/").done == 12
    assert {int(text) for text in bench.visible().values()} <= {1, 2}


def test_a_job_may_ask_for_slots_of_its_own(bench: Bench, tmp_path: Path) -> None:
    assert bench.map(count_running(tmp_path), jobs=1).done == 3
    assert {int(text) for text in bench.visible().values()} == {1}


def test_who_waits_for_a_slot_gets_the_next_free_one_or_the_end_of_its_job() -> None:
    slots, first, second = Slots(1), Switch(), Switch()
    got: list[str] = []

    def wait(cancel: Switch) -> None:
        try:
            with slots.one(cancel):
                got.append("slot")
        except Cancelled:
            got.append("end")

    with slots.one(first):
        threads = [threading.Thread(target=wait, args=(cancel,)) for cancel in (first, second)]
        for thread in threads:
            thread.start()
        second.turn()
        threads[1].join(10)
        assert got == ["end"]
    threads[0].join(10)
    assert got == ["end", "slot"]
    first.close()
    second.close()


def test_a_slot_is_given_back_by_a_command_that_fails() -> None:
    slots, cancel = Slots(1), Switch()
    for _ in range(3):
        with pytest.raises(OSError, match="x"), slots.one(cancel):
            raise OSError("x")
    cancel.close()


def test_only_what_a_retry_may_mend_is_retried() -> None:
    assert not room._may_retry(RequestError("wrong"))
    assert room._may_retry(NodeBusy("later"))


# -- cancelled, and told of


OTHER_SESSION = b"another."


def cancel(bench: Bench, session: bytes) -> None:
    letters = Letters()
    bench.jobs.on_cancel(wire.CancelJob(JOB), b"", letters.caller(session=session))
    assert [letter.message for letter in letters] == [wire.Ok()]


@pytest.mark.parametrize(
    ("session", "code", "state"),
    [(SESSION, "E_CANCELLED", "stopped"), (OTHER_SESSION, "E_JOB_CANCELLED", "cancelled")],
)
def test_who_cancels_a_running_job_decides_what_its_client_hears(
    bench: Bench, session: bytes, code: str, state: str
) -> None:
    bench.plan(command="sleep 1000")
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    wait_until(lambda: bench.rooms.counters["commands-running"], "a command to run")
    (record,) = bench.jobs.records()
    assert (record.job, record.state, record.commands, record.done) == (JOB, "running", 3, 0)
    cancel(bench, session)
    assert bench.final().code == code
    assert [record.state for record in bench.jobs.records()] == [state]
    assert bench.rooms.counters["commands-running"] == 0


def test_a_job_that_is_cancelled_before_it_runs_tells_its_client_why(bench: Bench) -> None:
    bench.plan()
    assert [record.state for record in bench.jobs.records()] == ["running"]
    cancel(bench, OTHER_SESSION)
    with pytest.raises(JobCancelled):
        bench.jobs.on_run(wire.Run(JOB), b"", Letters().caller())
    with pytest.raises(JobCancelled):
        bench.jobs.file_folder(JOB, "x")
    assert [record.state for record in bench.jobs.records()] == ["cancelled"]


def test_a_job_that_its_client_gave_up_before_it_ran_was_none(bench: Bench) -> None:
    bench.plan()
    cancel(bench, SESSION)
    assert bench.jobs.records() == []


def test_what_failed_before_it_was_cancelled_does_not_hide_that(bench: Bench) -> None:
    bench.plan(command="[ $filename != a ] || exit 1; sleep 1000", keep_going=True)
    bench.jobs.on_run(wire.Run(JOB), b"", bench.letters.caller())
    wait_until(lambda: bench.jobs.records()[0].failed, "a command to fail")
    cancel(bench, OTHER_SESSION)
    assert bench.final().code == "E_JOB_CANCELLED"
    entries, _ = bench.rooms.history.logs.read(JOB, "")
    assert [entry.key for entry in entries] == ["s4://in/a"]


def test_a_failure_that_is_not_a_command_s_is_logged_too(bench: Bench) -> None:
    flip_first_byte(Path(bench.store.path_of(Key("in/a"))))
    bench.map("cat", keep_going=True)
    ((entry,), omitted) = bench.rooms.history.logs.read(JOB, "")
    assert (entry.key, entry.status, entry.stderr, omitted) == ("s4://in/a", 0, b"", 0)
    assert "is damaged" in entry.text
    assert [(record.state, record.done, record.failed) for record in bench.jobs.records()] == [
        ("failed", 2, 1)
    ]
