"""Names that can be keys, made of names that can not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s4zmq.errors import KeyInvalid
from s4zmq.examples.tidy_names import rename_all, tidy
from s4zmq.keys import Key


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("good-name_1.csv", "good-name_1.csv"),
        ("a b.log", "a_b.log"),
        ("it's \t [new]?", "it_s_new_"),
        ("back\\slash", "back_slash"),
        ("caf\udce9", "caf_"),
        ("naïve file", "naïve_file"),
    ],
)
def test_what_no_key_may_hold_becomes_one_line(name: str, better: str) -> None:
    assert tidy(name) == better
    assert Key.parse(f"s4://b/{better}").name == better


def test_a_name_that_is_too_long_is_for_its_owner_to_mend() -> None:
    with pytest.raises(KeyInvalid):
        tidy(" " + "x" * 300)


def test_folders_are_renamed_with_all_that_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a b/c d/e f", "a b/good", "taken x", "taken_x", "link to"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    before = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert rename_all(str(tmp_path), dry_run=True) == 1
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == before
    assert rename_all(str(tmp_path), dry_run=False) == 1
    found = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(found) == {"a_b/c_d/e_f", "a_b/good", "taken x", "taken_x", "link_to"}
    assert found["a_b/c_d/e_f"].read_text() == "a b/c d/e f"
    printed = capsys.readouterr()
    assert printed.err.count("taken x: taken_x is there already") == 2
    assert f"{tmp_path}/a b/c d -> c_d\n" in printed.out
    os.remove(tmp_path / "taken x")
    assert rename_all(str(tmp_path), dry_run=False) == 0
