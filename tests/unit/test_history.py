"""Jobs that have ended and their logs: bounded, kept over a restart, never in the way of a job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s4zmq import history as room
from s4zmq.history import History, Record
from s4zmq.joblogs import Entry, JobLogs
from s4zmq.journal import Journal
from s4zmq.limits import JOBS_KEPT, LOG_BYTES_PER_JOB, LOGS_PER_JOB, STDERR_TAIL_BYTES


def record(number: int, state: str = "done") -> Record:
    job = number.to_bytes(16, "big")
    return Record(job, "map", "s4://b/in/", "s4://b/out/", "cat", state, 9, 8, 1, 70, number, 1.5)


def entry(number: int, stderr: bytes = b"oh\n", key: str = "s4://b/in/k") -> Entry:
    return Entry(key, 1, 3, number, "the command failed", stderr, 0)


JOB = record(1).job


def states(history: History) -> list[tuple[int, str]]:
    return [(found.started_ns, found.state) for found in history.newest_first()]


def test_a_job_that_has_ended_is_known_also_after_a_restart(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number, state in enumerate(("done", "failed", "cancelled", "stopped")):
        history.begin(record(number, "running"))
        history.end(record(number, state))
    expected = [(3, "stopped"), (2, "cancelled"), (1, "failed"), (0, "done")]
    assert states(history) == expected
    assert history.ended == {"done": 1, "failed": 1, "cancelled": 1, "stopped": 1}
    history.close()
    again = History(tmp_path)
    assert states(again) == expected
    assert again.find(record(1).job) == record(1, "failed")
    assert again.find(b"?" * 16) is None
    assert not again.ended
    again.close()


def test_a_job_that_a_kill_has_cut_short_has_failed(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.begin(record(5, "running"))
    assert states(history) == []
    history.close()
    again = History(tmp_path)
    assert states(again) == [(5, "failed")]
    again.close()


def test_the_oldest_job_is_forgotten_with_its_log_and_the_journal_does_not_grow(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(10 * JOBS_KEPT):
        history.begin(record(number, "running"))
        history.logs.note(record(number).job, entry(number))
        history.end(record(number))
    kept = [(number, "done") for number in range(9 * JOBS_KEPT, 10 * JOBS_KEPT)][::-1]
    assert states(history) == kept
    logs = set(os.listdir(tmp_path / "history")) - {"jobs"}
    assert logs == {record(number).job.hex() for number, _ in kept}
    assert len((tmp_path / "history" / "jobs").read_bytes().splitlines()) <= room._LINES_PER_JOB * JOBS_KEPT
    history.close()
    again = History(tmp_path)
    assert states(again) == kept
    again.close()


def test_a_start_sweeps_logs_of_unknown_jobs_and_passes_over_bad_lines(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    journal = Journal(folder / "jobs")
    for line in ("[]", "{}", "nonsense", '["zz", 1]', record(1).pack()):
        journal.append(line)
    journal.close()
    with open(folder / "jobs", "ab") as file:
        file.write(record(2).pack().encode()[:40])
    for name in (record(1).job.hex(), record(2).job.hex(), "jobs.new"):
        (folder / name).touch()
    history = History(tmp_path)
    assert states(history) == [(1, "done")]
    assert set(os.listdir(folder)) == {"jobs", record(1).job.hex()}
    history.close()


def test_a_full_disk_does_not_fail_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(tmp_path)
    os.close(history._journal._fd)
    history._journal._fd = os.open("/dev/full", os.O_WRONLY)  # says ENOSPC to each write
    history.begin(record(1, "running"))
    history.end(record(1))
    assert states(history) == [(1, "done")]
    history.close()


@pytest.fixture
def logs(tmp_path: Path) -> JobLogs:
    return JobLogs(tmp_path)


def test_entries_come_back_as_they_were_in_their_order_and_by_key(logs: JobLogs) -> None:
    made = [entry(1, bytes(range(256))), entry(2, b"", "s4://b/in/other"), entry(3)]
    for one in made:
        logs.note(JOB, one)
    for _ in range(2):
        assert logs.read(JOB, "") == (made, 0)
        assert logs.read(JOB, "s4://b/in/other") == (made[1:2], 0)
        assert logs.read(JOB, "s4://b/in") == ([], 0)
        logs.end(JOB)
    assert logs.read(b"?" * 16, "") == ([], 0)


def test_of_too_many_attempts_the_first_are_kept_and_the_others_counted(logs: JobLogs) -> None:
    for number in range(LOGS_PER_JOB + 7):
        logs.note(JOB, entry(number))
    for _ in range(2):
        entries, omitted = logs.read(JOB, "")
        assert [one.ended_ns for one in entries] == list(range(LOGS_PER_JOB))
        assert omitted == 7
        logs.end(JOB)


def test_of_too_many_bytes_the_last_of_each_are_kept_and_it_says_what_was_cut(logs: JobLogs) -> None:
    attempts = LOG_BYTES_PER_JOB // STDERR_TAIL_BYTES + 2
    for number in range(attempts):
        logs.note(JOB, entry(number, b"x" * (STDERR_TAIL_BYTES - 1) + b"!")._replace(cut=5))
    logs.note(JOB, entry(attempts, b"late"))
    entries, omitted = logs.read(JOB, "")
    assert sum(len(one.stderr) for one in entries) == LOG_BYTES_PER_JOB
    assert {one.cut for one in entries[:-3]} == {5}
    assert [(one.stderr, one.cut) for one in entries[-3:]] == [
        (b"", STDERR_TAIL_BYTES + 5),
        (b"", STDERR_TAIL_BYTES + 5),
        (b"", 4),
    ]
    assert omitted == 0


def test_what_can_not_be_written_is_counted(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path / "gone")
    logs.note(JOB, entry(1))
    assert logs.read(JOB, "") == ([], 1)
    logs.end(JOB)


def test_a_log_that_is_dropped_is_gone(logs: JobLogs, tmp_path: Path) -> None:
    logs.note(JOB, entry(1))
    logs.end(JOB)
    for _ in range(2):
        logs.drop(JOB)
        assert os.listdir(tmp_path) == []
