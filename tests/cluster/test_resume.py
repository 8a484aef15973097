"""`--resume` and `--dry-run` of the three maps: what is done is not run again, and what is left is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from ..harness import Cluster
from .kit import make_tree, put_keys, put_tree, values

INPUTS = {"0_a": b"a\n", "1_b": b"b\n", "2_c": b"c\n", "d/0_a": b"da\n", "d/name": b"n\n"}


class Kind(NamedTuple):
    """One of the maps, with a command, and what an undisturbed run of it leaves."""

    verb: str
    command: str
    makes: dict[str, bytes]


KINDS = {
    "map": Kind("map", "tr a-z A-Z", {path: value.upper() for path, value in INPUTS.items()}),
    "map-to-n": Kind(
        "map-to-n",
        "cat > 0_x; cp 0_x 1_y; cp 0_x z; printf '0_x\\n1_y\\nz\\n'",
        {f"{path}/{name}": value for path, value in INPUTS.items() for name in ("0_x", "1_y", "z")},
    ),
    "map-from-n": Kind(
        "map-from-n", "xargs cat", {"0_a": b"a\nda\n", "1_b": b"b\n", "2_c": b"c\n", "name": b"n\n"}
    ),
}


class Runs:
    """Runs of one map from s4://in/ to s4://out/, and a log of the commands that ran."""

    def __init__(self, cluster: Cluster, folder: Path, kind: Kind) -> None:
        self.cluster = cluster
        self.kind = kind
        self.log = folder / "log"
        self.mended = folder / "mended"
        self.command = (
            f'echo "$filename" >> {self.log};'
            f" [[ $S4_KEY != */2_c ]] || [ -e {self.mended} ]; {kind.command}"
        )
        self._copies = (folder / f"copy-{number}" for number in range(99))

    def ok(self, *options: object) -> list[str]:
        """Run it, which must succeed without a word; the names of what ran, sorted."""
        self.log.unlink(missing_ok=True)
        self.cluster.ok(self.kind.verb, *options, "s4://in/", "s4://out/", self.command)
        return sorted(self.log.read_text().split()) if self.log.exists() else []

    def refused(self, *options: object, indir: str = "s4://in/", command: str = "") -> str:
        """Run it, which must be refused before any command runs, and change nothing."""
        self.log.unlink(missing_ok=True)
        before = self.made()
        words = (self.kind.verb, *options, indir, "s4://out/", command or self.command)
        text = self.cluster.refused(*words)
        assert not self.log.exists()
        assert self.made() == before
        return text

    def fail(self, *options: object) -> None:
        """Run it until it fails at 2_c; whatever others have run is there."""
        self.cluster.refused(self.kind.verb, *options, "s4://in/", "s4://out/", self.command)
        self.mended.touch()

    def made(self) -> dict[str, bytes]:
        """All outputs."""
        if not self.cluster.keys("out/"):
            return {}
        return values(self.cluster, next(self._copies), "s4://out/")


@pytest.fixture(params=KINDS)
def runs(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Runs:
    put_tree(cluster, tmp_path / "inputs", "s4://in", INPUTS)
    return Runs(cluster, tmp_path, KINDS[request.param])


def commands(runs: Runs) -> int:
    return len(runs.kind.makes) if runs.kind.verb == "map-from-n" else len(INPUTS)


def test_a_run_that_failed_is_finished_and_nothing_complete_is_run_again(runs: Runs) -> None:
    runs.fail("--keep-going")
    assert runs.ok("--resume") == ["2_c"]
    assert runs.made() == runs.kind.makes
    assert runs.ok("--resume") == []
    assert runs.made() == runs.kind.makes


def test_a_run_that_stopped_at_its_first_failure_is_finished(runs: Runs) -> None:
    runs.fail()
    complete = len(runs.made())
    again = runs.ok("--resume", "--retries", "2", "--keep-going")
    assert "2_c" in again
    assert runs.made() == runs.kind.makes
    assert complete or len(again) == commands(runs)


def test_resume_where_nothing_ran_yet_is_a_run_like_any_other(runs: Runs) -> None:
    runs.mended.touch()
    assert len(runs.ok("--resume")) == commands(runs)
    assert runs.made() == runs.kind.makes


def test_resume_with_other_words_is_refused_and_says_what_differs(runs: Runs, tmp_path: Path) -> None:
    runs.fail("--keep-going")
    (tmp_path / "tool").touch()
    for text, how in (
        (runs.refused("--resume", command="true"), "had another command"),
        (runs.refused("--resume", indir="s4://in/*"), "read s4://in/"),
        (runs.refused("--resume", "--file", tmp_path / "tool"), "shipped other files"),
    ):
        assert f"the run into s4://out/ that --resume would finish {how}" in text
    other = "map" if runs.kind.verb != "map" else "map-from-n"
    text = runs.cluster.refused(other, "--resume", "s4://in/", "s4://out/", runs.command)
    assert f"would finish was a {runs.kind.verb}" in text
    assert runs.ok("--resume") == ["2_c"]


def test_another_file_of_the_same_name_is_another_run(runs: Runs, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("1")
    runs.fail("--keep-going", "--file", tool)
    tool.write_text("2")
    assert "shipped other files" in runs.refused("--resume", "--file", tool)
    tool.write_text("1")
    assert runs.ok("--resume", "--file", tool) == ["2_c"]


def test_removing_an_output_undoes_its_completeness_alone(runs: Runs) -> None:
    runs.mended.touch()
    runs.ok()
    victim = sorted(path for path in runs.kind.makes if path.startswith("1_b"))[0]
    runs.cluster.ok("rm", f"s4://out/{victim}")
    assert runs.ok("--resume") == ["1_b"]
    assert runs.made() == runs.kind.makes


def test_removing_the_output_folder_forgets_the_run(runs: Runs) -> None:
    runs.mended.touch()
    runs.ok()
    runs.cluster.ok("rm", "-r", "s4://ou")
    runs.command += "; true"
    assert len(runs.ok("--resume")) == commands(runs)
    assert runs.made() == runs.kind.makes


def test_somebody_elses_key_in_the_way_is_refused_before_any_command_runs(runs: Runs) -> None:
    runs.fail("--keep-going")
    path = sorted(path for path in runs.kind.makes if path.startswith("2_c"))[0]
    key = f"s4://out/{path}/x" if runs.kind.verb == "map-to-n" else f"s4://out/{path}"
    key = "s4://out/2_c/mine" if runs.kind.verb == "map-to-n" else key
    put_keys(runs.cluster, {key: b"mine"})
    assert f"{key} already exists and was not made by this run" in runs.refused("--resume")
    assert f"{key} already exists and was not made by this run" in runs.refused("--resume", "--dry-run")
    runs.cluster.ok("rm", key)
    assert runs.ok("--resume") == ["2_c"]
    assert runs.made() == runs.kind.makes


def test_without_resume_what_is_there_is_in_the_way(runs: Runs) -> None:
    runs.fail("--keep-going")
    assert "already exists, so no command was run" in runs.refused()


def test_an_input_of_other_bytes_is_run_again_and_its_output_replaced(runs: Runs) -> None:
    runs.mended.touch()
    runs.ok()
    runs.cluster.ok("rm", "s4://in/1_b")
    put_keys(runs.cluster, {"s4://in/1_b": b"new\n"})
    assert runs.ok("--resume") == ["1_b"]
    value = b"NEW\n" if runs.kind.verb == "map" else b"new\n"
    made = {path: value if path.startswith("1_b") else old for path, old in runs.kind.makes.items()}
    assert runs.made() == made
    runs.cluster.ok("rm", "s4://in/1_b")
    put_keys(runs.cluster, {"s4://in/1_b": b"new\n"})
    assert runs.ok("--resume") == [], "the same bytes anew are the same input"


def test_an_input_that_came_later_is_run(runs: Runs) -> None:
    runs.mended.touch()
    runs.ok()
    put_keys(runs.cluster, {"s4://in/later": b"l\n"})
    assert runs.ok("--resume") == ["later"]


def test_a_group_with_another_member_is_made_anew(cluster: Cluster, tmp_path: Path) -> None:
    put_tree(cluster, tmp_path / "inputs", "s4://in", INPUTS)
    runs = Runs(cluster, tmp_path, KINDS["map-from-n"])
    runs.mended.touch()
    runs.ok()
    put_keys(cluster, {"s4://in/e/0_a": b"e\n"})
    assert runs.ok("--resume") == ["0_a"]
    assert runs.made() == {**runs.kind.makes, "0_a": b"a\nda\ne\n"}


def test_zero_outputs_are_complete_once_their_command_ran(cluster: Cluster, tmp_path: Path) -> None:
    put_tree(cluster, tmp_path / "inputs", "s4://in", INPUTS)
    runs = Runs(cluster, tmp_path, Kind("map-to-n", "cat > /dev/null", {}))
    runs.mended.touch()
    assert len(runs.ok()) == len(INPUTS)
    assert runs.ok("--resume") == []
    cluster.ok("rm", "-r", "s4://out/d/")
    assert runs.ok("--resume") == ["0_a", "name"]
    assert "had another command" in runs.refused("--resume", command="cat; true")
    cluster.ok("rm", "-r", "s4://out/")
    assert len(runs.ok("--resume")) == len(INPUTS)


def test_outputs_of_two_runs_in_one_folder_do_not_disturb_each_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    put_tree(cluster, tmp_path / "one", "s4://one", {"0_a": b"1\n"})
    put_tree(cluster, tmp_path / "two", "s4://two", {"0_b": b"2\n", "1_b": b"3\n"})
    for bucket in ("one", "two"):
        cluster.ok("map", f"s4://{bucket}/", "s4://out/", "cat")
    cluster.ok("rm", "s4://out/0_b")
    for bucket in ("one", "two"):
        cluster.ok("map", "--resume", f"s4://{bucket}/", "s4://out/", "cat")
    assert values(cluster, tmp_path / "out", "s4://out/") == {"0_a": b"1\n", "0_b": b"2\n", "1_b": b"3\n"}
    text = cluster.refused("map", "--resume", "s4://one/*", "s4://out/", "cat")
    assert "read s4://two/" in text


# -- dry run


def snapshot(cluster: Cluster) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below the nodes' data folders."""
    found = {}
    for node in cluster.nodes:
        for folder, _, names in os.walk(node.data):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                status = os.stat(path)
                found[path] = (status.st_size, status.st_mtime_ns)
    return found


def rows(text: str) -> dict[str, list[str]]:
    """The table of a dry run by its first column."""
    assert all(line.startswith("dry run: ") for line in text.splitlines())
    lines = [line.split() for line in text.replace("dry run: ", "").splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) == 6}


def test_a_dry_run_tells_what_would_run_where_and_changes_nothing(runs: Runs, tmp_path: Path) -> None:
    before = snapshot(runs.cluster)
    (tmp_path / "tool").touch()
    words = (
        runs.kind.verb,
        "--dry-run",
        "--file",
        tmp_path / "tool",
        "s4://in/",
        "s4://out/",
        runs.command,
    )
    table = rows(runs.cluster.ok(*words).decode())
    assert not runs.log.exists()
    assert snapshot(runs.cluster) == before
    outputs = "?" if runs.kind.verb == "map-to-n" else str(commands(runs))
    size = str(sum(map(len, INPUTS.values())))
    assert table["all"] == [str(len(INPUTS)), size, "0", str(commands(runs)), outputs]
    assert list(table) == ["node", *(node.address for node in runs.cluster.nodes), "all"]


def test_a_dry_run_of_a_resume_tells_what_is_complete(runs: Runs) -> None:
    runs.fail("--keep-going")
    before = snapshot(runs.cluster)
    text = runs.cluster.ok(
        runs.kind.verb, "--resume", "--dry-run", "s4://in/", "s4://out/", runs.command
    ).decode()
    assert snapshot(runs.cluster) == before
    complete, to_run = rows(text)["all"][2:4]
    assert (int(complete), int(to_run)) == (commands(runs) - 1, 1)
    assert runs.ok("--resume") == ["2_c"]


def test_a_dry_run_is_refused_where_the_run_would_be(cluster: Cluster, tmp_path: Path) -> None:
    put_tree(cluster, tmp_path / "inputs", "s4://in", INPUTS)
    put_keys(cluster, {"s4://out/0_a": b"there"})
    assert "s4://out/0_a already exists" in cluster.refused(
        "map", "--dry-run", "s4://in/", "s4://out/", "cat"
    )
    assert "no key in s4://none/" in cluster.refused("map", "--dry-run", "s4://none/", "s4://o/", "cat")
    make_tree(tmp_path / "tools", {"a/t": b"", "b/t": b""})
    same = ("--file", tmp_path / "tools/a/t", "--file", tmp_path / "tools/b/t")
    assert "same name" in cluster.refused("map", "--dry-run", *same, "s4://in/", "s4://x/", "cat")
