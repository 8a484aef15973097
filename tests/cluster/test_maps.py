"""`s4 map`, `map-to-n` and `map-from-n`."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ..harness import BIN, Cluster, wait_until
from .kit import (
    is_gone,
    make_tree,
    most_at_once,
    names,
    put_keys,
    put_tree,
    some_bytes,
    values,
)

HAS_KEY = (True, False)

INPUTS = {"0_a": b"a\n", "1_b": b"b\n", "2_c": b"c\n", "dir/0_a": b"da\n", "dir/sub/name.txt": b"n\n"}


@pytest.fixture
def filled(cluster: Cluster, tmp_path: Path) -> Cluster:
    """The cluster with INPUTS in `s4://in/`."""
    put_tree(cluster, tmp_path / "inputs", "s4://in", INPUTS)
    return cluster


# -- map


def test_map_makes_one_key_of_each_at_the_same_path(filled: Cluster, tmp_path: Path) -> None:
    assert filled.ok("map", "s4://in/", "s4://out/x/", "tr a-z A-Z") == b""
    expected = {path: value.upper() for path, value in INPUTS.items()}
    assert values(filled, tmp_path / "out", "s4://out/x/") == expected
    for path in INPUTS:
        owner = filled.owner(path.rpartition("/")[2])
        assert owner.path_of(f"s4://out/x/{path}").exists()


SELECTED = {
    "*": ["0_a", "1_b", "2_c"],
    "*_a": ["0_a"],
    "*/*": ["dir/0_a"],
    "*/*_a": ["dir/0_a"],
    "[01]_?": ["0_a", "1_b"],
    "[!0]_?": ["1_b", "2_c"],
    "dir/*": ["0_a"],
    "dir/": ["0_a", "sub/name.txt"],
    "d*/*/*.txt": ["dir/sub/name.txt"],
    "dir/s?b/name.*": ["sub/name.txt"],
}


def test_an_input_is_a_folder_or_a_glob_after_its_last_fixed_folder(filled: Cluster) -> None:
    for number, (pattern, expected) in enumerate(SELECTED.items()):
        filled.ok("map", f"s4://in/{pattern}", f"s4://out/{number}/", "cat")
        assert names(filled, f"out/{number}/") == expected, pattern


def test_a_map_sees_filename_and_key(filled: Cluster) -> None:
    filled.ok("map", "s4://in/dir/", "s4://out/", "cat; echo $filename $S4_KEY; ls -A; pwd")
    first, second, folder = filled.ok("cp", "s4://out/sub/name.txt", "-").decode().splitlines()
    assert (first, second) == ("n", "name.txt s4://in/dir/sub/name.txt")
    assert not Path(folder).exists()


ANY_BASH = {
    "x=1; cat": b"a\n",
    "for i in 1 2; do echo $i; done": b"1\n2\n",
    "while read -r x; do echo \"<$x>\" '$x'; done": b"<a> $x\n",
    "printf '100%%d %s' \"$(cat)\"": b"100%d a",
    "\ncat > f\n\nwc -c < f\n": b"2\n",
    "# nothing": b"",
    "sed s/a/\\'/": b"'\n",
    "printf '\\0\\377'": b"\0\xff",
}


def test_any_bash_can_be_mapped(filled: Cluster) -> None:
    for number, (command, expected) in enumerate(ANY_BASH.items()):
        filled.ok("map", "s4://in/0_*", f"s4://out/{number}/", command)
        assert filled.ok("cp", f"s4://out/{number}/0_a", "-") == expected, command


def test_s4_works_inside_a_map_of_all_slots(filled: Cluster) -> None:
    command = 's4 eval s4://in/0_a cat; s4 ls s4://in/1 | wc -l; cat | s4 cp - "s4://side/$filename"'
    filled.ok("map", "s4://in/*", "s4://out/", command)
    assert filled.ok("cp", "s4://out/2_c", "-") == b"a\n1\n"
    assert names(filled, "side/") == ["0_a", "1_b", "2_c"]


def test_a_map_of_300_keys(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"d{number % 7}/key-{number}": b"%d\n" % number for number in range(300)}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    cluster.ok("map", "s4://in/", "s4://out/", "read x; echo $((x * 2))")
    expected = {path: b"%d\n" % (2 * int(value)) for path, value in tree.items()}
    assert values(cluster, tmp_path / "out", "s4://out/") == expected


def test_a_map_of_large_keys(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"{number}_x": some_bytes(3_000_000, number) for number in range(3)}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    cluster.ok("map", "s4://in/", "s4://out/", "cat")
    assert values(cluster, tmp_path / "out", "s4://out/") == tree


# -- map-to-n


def test_map_to_n_makes_a_folder_of_each_input(filled: Cluster) -> None:
    command = "cat > 0_x; mkdir d; cp 0_x d/1_y; echo 0_x; echo; echo d/1_y; echo '  '; pwd >&2"
    filled.ok("map-to-n", "s4://in/", "s4://out/", command)
    expected = sorted(f"{path}/{name}" for path in INPUTS for name in ("0_x", "1_y"))
    assert names(filled, "out/") == expected
    assert filled.nodes[0].path_of("s4://out/dir/sub/name.txt/0_x").read_bytes() == b"n\n"
    assert filled.nodes[1].path_of("s4://out/dir/sub/name.txt/1_y").read_bytes() == b"n\n"


def test_map_to_n_takes_absolute_paths_and_globs(filled: Cluster) -> None:
    filled.ok("map-to-n", "s4://in/dir/sub/*.txt", "s4://out/", 'touch x; echo "$PWD/x"')
    assert names(filled, "out/") == ["name.txt/x"]


def test_zero_outputs_are_fine(filled: Cluster) -> None:
    told = filled.bash("s4 map-to-n s4://in/ s4://out/ 'cat > named-nowhere' 2>&1")
    assert "no command printed the name of a file, so nothing was made" in told
    assert names(filled, "out/") == []


BAD_OUTPUTS = {
    "echo missing": "'missing'",
    "mkdir d; echo d": "not a plain file",
    "touch x; ln -s x y; echo y": "not a plain file",
    "mkfifo f; echo f": "not a plain file",
    "echo /etc/hostname": "outside",
    "touch ../leak; echo ../leak; rm ../leak": "outside",
    "ln -s /etc d; echo d/hostname": "outside",
    "touch x; echo x; echo x": "two printed files",
    "mkdir a b; touch a/x b/x; echo a/x; echo b/x": "two printed files",
    "touch x; echo x; echo ./x": "two printed files",
    "cat > x; echo x; echo helper": "--file",
    "touch 'a b'; echo 'a b'": "a space, which no key may hold\n",
    "touch $'a\\xff'; echo $'a\\xff'": "UTF-8",
    "mkdir a; echo a/..": "not a plain file",
    "touch x; echo x; exit 3": "status 3",
}


def test_bad_outputs_are_refused_and_nothing_is_made(filled: Cluster, tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    helper.write_text("x")
    for command, reason in BAD_OUTPUTS.items():
        text = filled.refused("map-to-n", "--file", helper, "s4://in/0_*", "s4://out/", command)
        assert reason in text
        assert "s4://in/0_a" in text
        assert names(filled, "out/") == [], command


def test_all_outputs_of_a_task_or_none(filled: Cluster) -> None:
    put_keys(filled, {"s4://out/0_a": b"in the way of a folder, on node 0 alone"})
    command = "for i in 0_x 1_x 2_x; do echo $i > $i; echo $i; done"
    text = filled.refused("map-to-n", "s4://in/0_*", "s4://out/", command)
    assert "s4://out/0_a" in text
    assert names(filled, "out/") == ["0_a"]


def test_64_by_64_files_are_shuffled_and_merged(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"in-{number}": b"%d\n" % number for number in range(64)}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    split = "read x; for i in {0..63}; do echo $x $i > part-$i; echo part-$i; done"
    cluster.ok("map-to-n", "s4://in/", "s4://mid/", split)
    assert len(names(cluster, "mid/")) == 64 * 64
    cluster.ok("map-from-n", "s4://mid/", "s4://out/", "xargs cat | sort -n")
    expected = {f"part-{i}": b"".join(b"%d %d\n" % (x, i) for x in range(64)) for i in range(64)}
    assert values(cluster, tmp_path / "out", "s4://out/") == expected


def test_large_outputs_cross_nodes_whole(cluster: Cluster, tmp_path: Path) -> None:
    value = some_bytes(5_000_000)
    put_keys(cluster, {"s4://in/0_a": value, "s4://in/1_b": value[::-1]})
    split = "cat > 0_x; tac -s x 0_x > 1_x; cp 0_x 2_x; touch 2_empty; printf '%s\\n' ?_*"
    cluster.ok("map-to-n", "s4://in/", "s4://out/", split)
    got = values(cluster, tmp_path / "out", "s4://out/")
    for folder, whole in (("0_a", value), ("1_b", value[::-1])):
        assert got[f"{folder}/0_x"] == got[f"{folder}/2_x"] == whole
        assert len(got[f"{folder}/1_x"]) == len(whole)
        assert got[f"{folder}/2_empty"] == b""
    assert len(got) == 8


# -- map-from-n


def test_map_from_n_merges_keys_that_share_a_name_or_a_numeric_prefix(
    cluster: Cluster, tmp_path: Path
) -> None:
    tree = {"a/7_x": b"1", "b/7_x": b"2", "a/8_x": b"3", "b/8_y": b"4", "c/8": b"5"}
    tree |= {"a/name": b"6", "b/c/name": b"7", "name": b"8", "a/other_x": b"9", "b/5": b"0", "c/5": b"."}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    cluster.ok("map-from-n", "s4://in/", "s4://out/d/", 'xargs cat; echo " $filename ${S4_KEY##*/}"')
    assert values(cluster, tmp_path / "out", "s4://out/d/") == {
        "7_x": b"12 7_x 7_x\n",
        "8": b"345 8 8\n",
        "name": b"678 name name\n",
        "other_x": b"9 other_x other_x\n",
        "5": b"0. 5 5\n",
    }


def test_a_merge_gets_absolute_paths_sorted(filled: Cluster) -> None:
    filled.ok("map-from-n", "s4://in/", "s4://out/", "cat")
    node = filled.nodes[0]
    expected = [node.path_of("s4://in/0_a"), node.path_of("s4://in/dir/0_a")]
    assert filled.ok("cp", "s4://out/0_a", "-").decode().splitlines() == list(map(str, expected))


def test_a_merge_of_a_glob_takes_only_what_it_selects(filled: Cluster) -> None:
    filled.ok("map-from-n", "s4://in/*/*", "s4://out/", "xargs cat")
    assert names(filled, "out/") == ["0_a"]
    assert filled.ok("cp", "s4://out/0_a", "-") == b"da\n"


def test_a_merge_of_300_members(cluster: Cluster, tmp_path: Path) -> None:
    tree = {f"d{number:03}/all": b"%d\n" % number for number in range(300)}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    cluster.ok("map-from-n", "s4://in/", "s4://out/", "xargs cat")
    assert cluster.ok("cp", "s4://out/all", "-") == b"".join(tree.values())


# -- what is refused before any command runs

MARK = 'echo x | s4 cp - "s4://marks/$(head -c 8 /dev/urandom | od -An -tx8 | tr -d " ")"'


@pytest.mark.parametrize(
    ("kind", "command", "there"),
    [
        ("map", MARK, "s4://out/dir/sub/name.txt"),
        ("map", MARK, "s4://out/2_c"),
        ("map-to-n", MARK, "s4://out/2_c/0_other"),
        ("map-to-n", MARK, "s4://out/2_c/deep/er/0_other"),
        ("map-from-n", MARK, "s4://out/0_a"),
        ("map-from-n", MARK, "s4://out/name.txt"),
    ],
)
def test_an_output_in_the_way_is_found_before_any_command_runs(
    filled: Cluster, kind: str, command: str, there: str
) -> None:
    put_keys(filled, {there: b"x"})
    text = filled.refused(kind, "s4://in/", "s4://out/", command)
    assert f"{there} already exists" in text
    assert "finish an earlier run of the same words with --resume" in text
    assert names(filled, "marks/") == []
    assert filled.keys("out/") == [there]


def test_other_keys_in_outdir_are_no_conflict(filled: Cluster) -> None:
    put_keys(filled, {"s4://out/other": b"x", "s4://out/0_ab/x": b"x"})
    filled.ok("map", "s4://in/*", "s4://out/", "cat")
    filled.ok("map-to-n", "s4://in/*", "s4://out/n/", "cat > x; echo x")
    assert len(names(filled, "out/")) == 8


BAD_FOLDERS = [
    ("s4://in/", "s4://in/x/", "inside"),
    ("s4://in/", "s4://in/", "inside"),
    ("s4://in", "s4://out/", "slash"),
    ("s4://in/", "s4://out", "slash"),
    ("s4://nothing/", "s4://out/", "no key"),
    ("s4://in/*.nothing", "s4://out/", "no key"),
    ("s4://*/x", "s4://out/", "glob"),
    ("s4://in/", "s4://o*t/", "*"),
    ("s4://in/[", "s4://out/", "["),
    ("in/", "s4://out/", "s4://"),
]


@pytest.mark.has_key(True)
@pytest.mark.parametrize("kind", ["map", "map-to-n", "map-from-n"])
def test_bad_folders_are_refused_and_say_why(filled: Cluster, kind: str) -> None:
    for indir, outdir, reason in BAD_FOLDERS:
        assert reason in filled.refused(kind, indir, outdir, MARK), (indir, outdir)
    assert names(filled, "marks/") == []


# -- failures


@pytest.mark.parametrize("kind", ["map", "map-to-n", "map-from-n"])
def test_a_failed_command_is_named_with_key_node_status_and_stderr(filled: Cluster, kind: str) -> None:
    command = "if [[ $filename == 1_b ]]; then echo oh no >&2; exit 9; fi"
    text = filled.refused(kind, "s4://in/", "s4://out/", command)
    assert "1_b" in text
    assert filled.owner("1_b").address in text
    assert "status 9" in text
    assert "oh no" in text
    assert "1_b" not in names(filled, "out/")
    told = re.search(r"^\d+ (?:key|group)s? done, 1 failed: .* --resume .*`(s4 logs \w+)`", text, re.M)
    assert told
    assert "oh no" in filled.bash(told[1])


def test_a_failed_map_leaves_no_half_output(filled: Cluster) -> None:
    filled.refused("map", "s4://in/0_a*", "s4://out/", "echo half; exit 1")
    filled.refused("map", "s4://in/0_a*", "s4://out/", "grep nothing")
    filled.refused("map", "s4://in/0_a*", "s4://out/", "false | cat")
    filled.refused("map", "s4://in/0_a*", "s4://out/", "echo $unset")
    text = filled.refused("map", "s4://in/0_a*", "s4://out/", "kill -9 $BASHPID")
    assert "status 137 (SIGKILL: did memory run out?)" in text
    text = filled.refused("map", "s4://in/0_a*", "s4://out/", "yes | sed -n 1q")
    assert "status 141 (SIGPIPE:" in text
    assert names(filled, "out/") == []


@pytest.mark.has_key(True)
@pytest.mark.parametrize("kind", ["map", "map-to-n", "map-from-n"])
def test_retries_run_a_failed_input_again(filled: Cluster, kind: str) -> None:
    command = 'if echo x | s4 cp - "s4://marks/$filename" 2> /dev/null; then exit 1; fi'
    filled.refused(kind, "s4://in/1_*", "s4://out/", command)
    filled.ok("rm", "-r", "s4://marks/")
    assert filled.ok(kind, "--retries", 1, "s4://in/*", "s4://out/", command) == b""
    assert names(filled, "marks/") == ["0_a", "1_b", "2_c"]


def test_a_timeout_ends_a_command_as_failed(filled: Cluster) -> None:
    command = "if [[ $filename == 2_c ]]; then sleep 1000; fi"
    text = filled.refused("map", "--timeout", "0.5", "s4://in/*", "s4://out/", command)
    assert "s4://in/2_c" in text
    assert "0.5 s" in text


def test_keep_going_runs_all_and_reports_all(filled: Cluster) -> None:
    command = "[[ $filename != 0_a ]] && cat"
    text = filled.refused("map", "--keep-going", "s4://in/", "s4://out/", command)
    assert "s4://in/0_a" in text
    assert "s4://in/dir/0_a" in text
    assert "2 inputs failed" in text
    assert names(filled, "out/") == ["1_b", "2_c", "dir/sub/name.txt"]


@pytest.mark.has_key(True)
@pytest.mark.parametrize(("jobs", "expected"), [(1, 1), (3, 3)])
def test_jobs_is_how_many_commands_a_node_runs_at_once(
    cluster: Cluster, tmp_path: Path, jobs: int, expected: int
) -> None:
    put_tree(cluster, tmp_path / "in", "s4://in", {f"0_{number}": b"" for number in range(6)})
    command = "a=$(date +%s%N); sleep 0.3; echo $a $(date +%s%N)"
    cluster.ok("map", "--jobs", jobs, "s4://in/", "s4://out/", command)
    lines = [value.split() for value in values(cluster, tmp_path / "out", "s4://out/").values()]
    assert most_at_once((int(start), int(end)) for start, end in lines) == expected


@pytest.mark.has_key(True)
@pytest.mark.parametrize("option", ["--retries", "--timeout", "--jobs"])
def test_options_that_are_no_numbers_are_refused(filled: Cluster, option: str) -> None:
    for value in ("x", "-1", "1e99", ""):
        filled.refused("map", f"{option}={value}", "s4://in/", "s4://out/", "cat", status=2)


# -- shipped files


@pytest.mark.parametrize("kind", ["map", "map-to-n", "map-from-n"])
def test_shipped_files_stand_in_the_commands_folder(filled: Cluster, tmp_path: Path, kind: str) -> None:
    large = some_bytes(1_500_000)
    make_tree(tmp_path / "a", {"run.sh": b"#!/bin/bash\nwc -c < large >> x; echo x\n", "large": large})
    command = "here=$(ls -A); echo $here > x; ./run.sh; cat x >&2; cat x | grep -q 1500000"
    files = ["--file", tmp_path / "a/run.sh", "--file", tmp_path / "a/large"]
    filled.ok(kind, *files, "s4://in/*", "s4://out/", command)
    made = filled.ok("cp", "s4://out/0_a/x" if kind == "map-to-n" else "s4://out/0_a", "-")
    assert made == (b"large run.sh\n1500000\n" if kind == "map-to-n" else b"x\n")


def test_shipped_files_that_can_not_be_are_refused(filled: Cluster, tmp_path: Path) -> None:
    make_tree(tmp_path, {"a/x": b"1", "b/x": b"2"})
    for files, reason in (
        (["--file", "a/none"], "none"),
        (["--file", "a/x", "--file", "b/x"], "same name"),
        (["--file", "a"], "a"),
    ):
        done = filled.s4("map", *files, "s4://in/", "s4://out/", MARK, cwd=tmp_path)
        assert done.returncode == 1, done
        assert done.stderr.startswith(b"s4: ")
        assert reason in done.stderr.decode()
    assert names(filled, "marks/") == []
    assert names(filled, "out/") == []


# -- the end of a job


def test_children_in_the_background_do_not_survive_a_map(filled: Cluster) -> None:
    command = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; (setsid sleep 1000 & echo $!)"
    filled.ok("map", "s4://in/0_*", "s4://out/", command)
    pids = list(map(int, filled.ok("cp", "s4://out/0_a", "-").split()))
    assert len(pids) == 3
    wait_until(lambda: all(map(is_gone, pids)), "the children to end")


def test_a_failure_on_one_node_ends_the_commands_of_the_others(filled: Cluster) -> None:
    command = "if [[ $filename == 0_a ]]; then exit 1; else sleep 1000; fi"
    text = filled.refused("map", "s4://in/*", "s4://out/", command)
    assert "s4://in/0_a" in text
    assert not re.search(r"1_b|2_c", text)


def test_a_failure_in_the_midst_of_a_shuffle_leaves_nothing_staged(
    cluster: Cluster, tmp_path: Path
) -> None:
    tree = {f"{number % 3}_{number:02}": b"" for number in range(60)}
    put_tree(cluster, tmp_path / "in", "s4://in", tree)
    command = "if [[ $filename == 2_20 ]]; then exit 1; fi; touch 0_x 1_x 2_x; ls"
    for _ in range(5):
        assert "s4://in/2_20" in cluster.refused("map-to-n", "s4://in/", "s4://out/", command)
        made = Counter(name.rpartition("/")[0] for name in names(cluster, "out/"))
        assert set(made.values()) <= {3}, "all outputs of an input or none"
        cluster.ok("rm", "-r", "s4://out/")
    cluster.assert_no_leftovers()


def test_two_jobs_at_once_do_not_meet(filled: Cluster) -> None:
    first, second = (
        subprocess.Popen(
            [BIN / "s4", kind, "s4://in/", f"s4://{kind}/", "cat > x; echo x"], env=filled.environment
        )
        for kind in ("map", "map-to-n")
    )
    assert (first.wait(30), second.wait(30)) == (0, 0)
    assert names(filled, "map/") == sorted(INPUTS)
    assert names(filled, "map-to-n/") == sorted(f"{path}/x" for path in INPUTS)
