"""What `--json` prints, record by record."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ..harness import Cluster
from ..unit.helpers import flip_first_byte
from .kit import make_tree, put_keys
from .schema import checked

MAPS = "map, map-to-n, map-from-n"
TREE = {"a": b"a", "d/b": b"bb", "large": bytes(700_000)}


def records(
    cluster: Cluster, verb: str, *words: object, section: str = "", status: int = 0
) -> list[dict[str, Any]]:
    """Of a command that ends with `status`, all as documented."""
    done = cluster.s4(verb, "--json", *words)
    assert done.returncode == status, done
    assert bool(status) == bool(done.stderr), done
    return checked(section or verb, done.stdout)


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [record["kind"] for record in found]


def test_a_copy_tells_of_each_key_and_of_all(cluster: Cluster, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", TREE)
    *copied, summary = records(cluster, "cp", "-r", tree, "s4://b/")
    told = {record["key"]: (record["kind"], record["path"], record["bytes"]) for record in copied}
    assert told == {
        f"s4://b/{name}": ("copied", f"{tree}/{name}", len(value)) for name, value in TREE.items()
    }
    assert (summary["keys"], summary["skipped"], summary["bytes"]) == (3, 0, 700_003)
    (tree / "new").write_bytes(b"new")
    *copied, summary = records(cluster, "cp", "-r", "--resume", tree, "s4://b/")
    assert sorted(kinds(copied)) == ["copied", "skipped", "skipped", "skipped"]
    assert (summary["keys"], summary["skipped"], summary["bytes"]) == (4, 3, 700_006)
    back = tmp_path / "back"
    *copied, summary = records(cluster, "cp", "-r", "s4://b/", back)
    assert {record["path"] for record in copied} == {f"{back}/{name}" for name in (*TREE, "new")}
    (back / "a").unlink()
    *copied, summary = records(cluster, "cp", "-r", "--resume", "s4://b/", back)
    assert {record["key"] for record in copied if record["kind"] == "copied"} == {"s4://b/a"}
    assert (summary["keys"], summary["skipped"], summary["bytes"]) == (4, 3, 700_006)


@pytest.mark.parametrize("size", [5, 3_000_000])
def test_one_key_is_told_too(cluster: Cluster, tmp_path: Path, size: int) -> None:
    done = cluster.s4("cp", "--json", "-", "s4://b/k", stdin=bytes(size))
    up, summary = checked("cp", done.stdout)
    assert (up["kind"], up["path"], up["bytes"], summary["bytes"]) == ("copied", "-", size, size)
    down, summary = records(cluster, "cp", "s4://b/k", tmp_path / "k")
    assert (down["path"], down["bytes"], summary["keys"]) == (str(tmp_path / "k"), size, 1)


def test_a_value_can_not_share_stdout_with_records(cluster: Cluster) -> None:
    (error,) = records(cluster, "cp", "s4://b/k", "-", status=2)
    assert (error["code"], error["exit_status"]) == ("E_USAGE", 2)


def test_a_listing_has_keys_and_folders(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://b/d/k": b"12345", "s4://b/k": b""})
    folder, key = records(cluster, "ls", "s4://b/")
    assert (folder["kind"], folder["key"]) == ("folder", "s4://b/d/")
    assert (key["key"], key["bytes"], key["node"]) == ("s4://b/k", 0, cluster.owner("k").address)
    assert [record["key"] for record in records(cluster, "ls", "-r", "s4://b")] == [
        "s4://b/d/k",
        "s4://b/k",
    ]
    assert kinds(records(cluster, "ls")) == ["folder"]
    nothing = cluster.s4("ls", "--json", "s4://none/")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (1, b"", b"")


def test_a_removal_tells_what_went(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://b/{number}": b"" for number in range(4)})
    would = records(cluster, "rm", "-r", "--dry-run", "s4://b/")
    assert [(record["key"], record["dry_run"]) for record in would] == [
        (f"s4://b/{n}", True) for n in range(4)
    ]
    one, summary = records(cluster, "rm", "s4://b/0")
    assert (one["key"], one["dry_run"], summary["keys"]) == ("s4://b/0", False, 1)
    (summary,) = records(cluster, "rm", "-r", "s4://b/")
    assert (summary["verb"], summary["keys"]) == ("rm", 3)
    (error,) = records(cluster, "rm", "s4://b/0", status=1)
    assert (error["kind"], error["code"], error["exit_status"]) == ("error", "E_NOT_FOUND", 1)


def test_a_map_tells_its_plan_and_its_summary(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://in/{number}_x": b"x" * 10 * (number + 1) for number in range(6)})
    words = ("s4://in/", "s4://out/", 'cat > "$filename"; echo 0_y > 0_y; ls')
    would = records(cluster, "map-to-n", "--dry-run", *words, section=MAPS)
    assert [record["dry_run"] for record in would] == [True] * 3
    *planned, summary = records(cluster, "map-to-n", *words, section=MAPS)
    assert [{**record, "dry_run": True} for record in planned] == would
    assert [record["keys"] for record in planned] == [2, 2, 2]
    assert (summary["keys"], summary["outputs"], summary["bytes_in"]) == (6, 12, 210)
    # Each x stays where it is; of the six 0_y four travel to node 0.
    assert (summary["bytes_out"], summary["bytes_between_nodes"]) == (210 + 6 * 4, 4 * 4)
    shares = [(node["bytes_in"], node["bytes_out"]) for node in summary["nodes"]]
    assert shares == [(50, 50 + 24), (70, 70), (90, 90)]
    assert (summary["input_skew"], summary["output_skew"]) == (round(90 / 70, 3), round(90 / 78, 3))
    assert len(summary["slowest"]) == 5
    *_, summary = records(cluster, "map-to-n", "--resume", *words, section=MAPS)
    assert (summary["keys"], summary["complete"], summary["slowest"]) == (0, 6, [])


def test_a_merge_is_about_groups(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://in/{part}/{number}_x": b"x" for part in "ab" for number in range(3)})
    *planned, summary = records(cluster, "map-from-n", "s4://in/", "s4://out/", "xargs cat", section=MAPS)
    assert [(record["keys"], record["commands"]) for record in planned] == [(2, 1)] * 3
    assert (summary["keys"], summary["outputs"], summary["bytes_between_nodes"]) == (3, 3, 0)
    assert {slow["key"] for slow in summary["slowest"]} == {f"s4://out/{number}_x" for number in range(3)}


def test_failures_come_before_the_summary_and_the_error_is_last(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://in/{number}_x": b"x" for number in range(6)})
    command = "cat; [ $filename != 1_x ] && [ $filename != 2_x ]"
    found = records(
        cluster, "map", "--keep-going", "s4://in/", "s4://out/", command, section=MAPS, status=1
    )
    assert kinds(found) == ["planned"] * 3 + ["failure"] * 2 + ["summary", "error"]
    *_, one, two, summary, error = found
    assert {(row["key"], row["node"], row["status"]) for row in (one, two)} == {
        (f"s4://in/{number}_x", cluster.nodes[number].address, 1) for number in (1, 2)
    }
    assert (summary["keys"], summary["failed"]) == (4, 2)
    assert (error["code"], error["exit_status"]) == ("E_COMMAND", 1)


def test_progress_comes_while_a_map_runs_and_never_goes_back(cluster: Cluster) -> None:
    put_keys(cluster, {f"s4://in/{number}_x": b"x" for number in range(12)})
    words = ("--jobs", "1", "s4://in/", "s4://out/", "sleep 0.6; cat")
    found = records(cluster, "map", *words, section=MAPS)
    progress = [record for record in found if record["kind"] == "progress"]
    assert progress
    assert [record["keys"] for record in progress] == sorted(record["keys"] for record in progress)
    assert all((record["all_keys"], record["all_bytes"]) == (12, 12) for record in progress)
    assert all(sum(n["keys"] for n in record["nodes"]) == record["keys"] for record in progress)
    assert "progress" not in kinds(
        records(cluster, "map", "--quiet", *words[:3], "s4://more/", words[4], section=MAPS)
    )


def test_an_error_names_the_key_and_the_node(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"other")
    put_keys(cluster, {"s4://b/1_k": b"value"})
    cases = {
        "E_EXISTS": ("cp", file, "s4://b/1_k"),
        "E_NOT_FOUND": ("cp", "s4://b/2_k", file),
        "E_CHECKSUM": ("cp", "s4://b/1_k", file),
    }
    for code, words in cases.items():
        if code == "E_CHECKSUM":
            flip_first_byte(cluster.nodes[1].path_of("s4://b/1_k"))
        (error,) = records(cluster, *words, status=1)
        number = 2 if code == "E_NOT_FOUND" else 1
        expected = (code, f"s4://b/{number}_k", cluster.nodes[number].address)
        assert (error["code"], error["key"], error["node"]) == expected


def test_ctrl_c_is_an_error_too(cluster: Cluster) -> None:
    put_keys(cluster, {"s4://in/k": b"x"})
    process = cluster.start_s4("map", "--json", "s4://in/", "s4://out/", "sleep 60")
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(4)]
    assert [json.loads(line)["kind"] for line in lines] == ["planned"] * 3 + ["progress"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"s4: interrupted\n")
    assert checked(MAPS, out)[-1]["code"] == "E_INTERRUPTED"
    cluster.assert_no_leftovers()
