"""map-to-n on one node: which printed files become keys, and that a bad one leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s4zmq import wire
from s4zmq.checksum import digest_of
from s4zmq.jobs import Jobs
from s4zmq.store import Store

from ..harness import wait_until
from .helpers import Letters, Rooms, put, unfinished

JOB = b"J" * 16
PLAN = wire.Plan(JOB, "map-to-n", "s4://in/", "s4://out/", "true", [], 0, 0, 0, False, False, False)


class Bench:
    """All that runs a map-to-n on a cluster of one node, but for the sockets to peers."""

    def __init__(self, store: Store, tmp_path: Path) -> None:
        self.store = store
        self.rooms = Rooms(store)
        self.sessions, self.staging = self.rooms.sessions, self.rooms.staging
        self.jobs = Jobs(self.rooms.shop, 2, self.sessions, self.rooms.later)

    def run(self, command: str, shipped: dict[str, str] | None = None, **changes: Any) -> Any:
        """The final reply to a job."""
        letters, files = Letters(), shipped or {}
        digests = [(name, digest_of(text.encode())) for name, text in files.items()]
        plan, planned = PLAN._replace(command=command, files=digests, **changes), Letters()
        self.jobs.on_plan(plan, b"", planned.caller())
        wait_until(lambda: planned, "the job to be planned")
        for name, text in files.items():
            path = Path(self.jobs.file_folder(JOB, name), name)
            path.write_text(text)
            path.chmod(0o555)
        self.jobs.on_run(wire.Run(JOB), b"", letters.caller())
        wait_until(lambda: letters, "the job to end", 30)
        return letters[-1].message

    def fails(self, command: str, shipped: dict[str, str] | None = None) -> str:
        """The text of the failure of a job with one input, which must leave nothing."""
        done = self.run(command, shipped)
        assert (done.done, done.failed, done.failures[0][1]) == (0, 1, "E_COMMAND")
        assert self.visible() == {}
        return str(done.failures[0][2])

    def visible(self) -> dict[str, str]:
        root = Path(self.store.keys_path, "out")
        return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}

    def close(self) -> None:
        wait_until(lambda: not len(self.jobs), "the jobs to end")
        assert unfinished(self.store) == []
        assert (len(self.staging), len(self.sessions)) == (0, 0)
        self.rooms.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(store, tmp_path)
    put(store, "s4://in/d/k", b"x y\n")
    yield made
    made.close()


def test_printed_files_become_keys_below_the_path_of_their_input(bench: Bench) -> None:
    put(bench.store, "s4://in/1_l", b"z\n")
    command = "for word in $(cat); do echo $word > ${word}_$filename; echo ${word}_$filename; done"
    done = bench.run(command)
    assert (done.done, done.outputs) == (2, 3)
    assert bench.visible() == {"d/k/x_k": "x\n", "d/k/y_k": "y\n", "1_l/z_1_l": "z\n"}


def test_the_name_of_a_file_is_what_counts_and_not_its_folder(bench: Bench) -> None:
    command = (
        "mkdir -p a/b; echo 1 > a/b/one; echo 2 > two; echo a/b/one; echo $PWD/two; echo 3 > x; echo ./x"
    )
    assert bench.run(command).outputs == 3
    assert bench.visible() == {"d/k/one": "1\n", "d/k/two": "2\n", "d/k/x": "3\n"}


@pytest.mark.parametrize("command", ["true", "echo", "printf '\\n  \\n\\n'", "touch unprinted"])
def test_an_input_may_have_no_output(bench: Bench, command: str) -> None:
    assert bench.run(command)[:5] == (1, 0, 4, 0, [0])
    assert bench.visible() == {}


def test_the_last_line_needs_no_newline_and_blank_ones_are_ignored(bench: Bench) -> None:
    assert bench.run("touch a b; printf '\\n\\na\\n\\nb'").outputs == 2


def test_names_that_no_file_system_rule_forbids_are_fine(bench: Bench) -> None:
    bench.run("touch -- .hidden -dash x.tmp; ls -A")
    assert set(bench.visible()) == {"d/k/.hidden", "d/k/-dash", "d/k/x.tmp"}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("touch good; echo good; echo none", "no such file"),
        ("mkdir folder; echo folder", "it is not a plain file"),
        ("echo .", "it is not a plain file"),
        ("ln -s /etc/passwd link; echo link", "it is not a plain file"),
        ("mkfifo pipe; echo pipe", "it is not a plain file"),
        ("echo /etc/passwd", "it lies outside the command's folder"),
        ("echo ../../roster", "it lies outside the command's folder"),
        ("ln -s /etc out; echo out/passwd", "it lies outside the command's folder"),
        ("mkdir d; touch d/f f; echo f; echo d/f", "two printed files have this name"),
        ("touch f; echo f; echo f", "two printed files have this name"),
        ("touch f; echo f; echo ./f", "two printed files have this name"),
        ("printf 'a\\0b\\n'", "it holds a NUL"),
        ("printf '\\xff\\n'", "not UTF-8"),
        ("touch 'a b'; echo 'a b'", "a space"),
        ("touch 'a*'; ls", "the character *"),
    ],
)
def test_a_printed_path_that_can_not_become_a_key_fails_its_input(
    bench: Bench, command: str, why: str
) -> None:
    text = bench.fails(command)
    assert why in text
    assert "s4://in/d/k (node 127.0.0.1:7000)" in text


def test_a_shipped_file_is_no_output(bench: Bench) -> None:
    for spelling in ("tool.sh", "./tool.sh", "$PWD/tool.sh"):
        assert "shipped with --file" in bench.fails(f"echo {spelling}", {"tool.sh": "x"})
    assert "shipped with --file" in bench.fails("mkdir s; echo s/../tool.sh", {"tool.sh": "x"})


def test_a_printed_folder_is_not_taken_for_a_name_that_came_twice(bench: Bench) -> None:
    assert "two printed files" not in bench.fails("touch a; echo a/")


def test_a_copy_of_a_shipped_file_is_an_output(bench: Bench) -> None:
    assert bench.run("cp tool.sh copy; echo copy", {"tool.sh": "x"}).outputs == 1
    assert bench.visible() == {"d/k/copy": "x"}


def test_a_command_that_fails_after_it_printed_makes_nothing(bench: Bench) -> None:
    assert "failed with status 3" in bench.fails("touch f; echo f; exit 3")


def test_an_output_that_is_there_already_fails_its_input_whole(bench: Bench) -> None:
    put(bench.store, "s4://out/d/k/b", b"old")
    done = bench.run("touch a b c; ls")
    assert [row[1] for row in done.failures] == ["E_EXISTS"]
    assert bench.visible() == {"d/k/b": "old"}


def test_a_retry_starts_from_an_empty_folder(bench: Bench, tmp_path: Path) -> None:
    command = f"ls; [ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried left; exit 1; }}; touch f; echo f"
    assert bench.run(command, retries=1).outputs == 1
    assert set(bench.visible()) == {"d/k/f"}


def test_more_files_than_one_parcel_holds_all_arrive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s4zmq.tasks.PARCEL_MAX_FILES", 10)
    done = bench.run("seq 1 25 | while read -r n; do echo $n > f$n; echo f$n; done")
    assert (done.outputs, done.made) == (25, [25 * 3 - 9])
    assert bench.visible() == {f"d/k/f{number}": f"{number}\n" for number in range(1, 26)}
