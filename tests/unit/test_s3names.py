"""Names of S3: places, and which objects become which keys."""

from __future__ import annotations

import pytest

from s4zmq.errors import AwsRefused, KeyExists, KeyInvalid, RequestError
from s4zmq.keys import Folder
from s4zmq.placement import Roster
from s4zmq.s3names import Intake, Listed, Place, object_name

ROSTER = Roster(("a:1", "b:1", "c:1"))


def intake(node: str = "a:1", prefix: str = "p/") -> Intake:
    return Intake(Place("trip", prefix), Folder("in/x/"), ROSTER, node)


def listed(name: str, size: int = 1, etag: str = "e") -> Listed:
    return Listed(name, size, etag)


@pytest.mark.parametrize(
    ("text", "bucket", "path", "below"),
    [
        ("s3://trip", "trip", "", ""),
        ("s3://trip/", "trip", "", ""),
        ("s3://trip/a b/c", "trip", "a b/c", "a b/c/"),
        ("s3://trip/a/", "trip", "a/", "a/"),
        ("s3://my.trip-1/a//", "my.trip-1", "a//", "a/"),
    ],
)
def test_a_place_and_what_is_below_it(text: str, bucket: str, path: str, below: str) -> None:
    place = Place.parse(text)
    assert place == (bucket, path)
    assert place.below() == (bucket, below)
    assert place.is_folder == (not path or path.endswith("/"))


@pytest.mark.parametrize("text", ["s3://", "s3:///a", "s3://-a/b", "s3://a b/c", "s3://trip/\udcff"])
def test_a_text_that_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Place.parse(text)


def test_each_object_becomes_a_key_of_one_node() -> None:
    names = [f"p/{number}_k" for number in range(6)] + ["p/deep/dir/name"]
    owned = {
        node: [str(key) for name in names if (key := intake(node).key_of(listed(name)))]
        for node in ROSTER.nodes
    }
    assert owned["b:1"][:2] == ["s4://in/x/1_k", "s4://in/x/4_k"]
    assert sorted(key for keys in owned.values() for key in keys) == sorted(
        f"s4://in/x/{name.removeprefix('p/')}" for name in names
    )


def test_what_stands_for_a_folder_is_no_key_but_an_empty_object_is() -> None:
    assert intake().key_of(listed("p/0_dir/", 0)) is None
    assert intake().key_of(listed("p/0_dir", 0, "")) is None
    assert intake().key_of(listed("p/0_empty", 0)) is not None


def test_a_bad_name_is_told_by_the_first_node_alone() -> None:
    for name in ("p/a b", "p/a//b", "p/dir/", "p/../x", "p/" + "n" * 256):
        assert intake("b:1").key_of(listed(name)) is None
        with pytest.raises(KeyInvalid, match="s3://trip/p/"):
            intake("a:1").key_of(listed(name))


def test_a_key_beside_a_folder_of_its_name_is_found_whatever_sorts_between() -> None:
    found = intake()
    for name in ("p/0_a", "p/0_a!", "p/0_a!/0_x-", "p/0_a-/0_b", "p/0_a.csv"):
        if name == "p/0_a!/0_x-":
            with pytest.raises(KeyExists, match="s4://in/x/0_a!,"):
                found.key_of(listed(name))
        else:
            assert found.key_of(listed(name))
    with pytest.raises(KeyExists, match=r"s4://in/x/0_a/b/0_c can not be made: .* s4://in/x/0_a,"):
        found.key_of(listed("p/0_a/b/0_c"))
    assert found.key_of(listed("p/0_b/0_a"))


def test_they_may_stand_on_different_nodes() -> None:
    for node, name in (("a:1", "p/0_a"), ("b:1", "p/0_a/1_b")):
        found = intake(node)
        keys = [found.key_of(listed(each)) for each in ("p/0_a", "p/0_a/1_b")]
        assert [str(key) for key in keys if key] == [f"s4://in/x/{name.removeprefix('p/')}"]


def test_two_objects_of_one_name_are_refused() -> None:
    found = intake()
    assert found.key_of(listed("p/0_a"))
    with pytest.raises(KeyExists, match="both become"):
        found.key_of(listed("p/0_a"))


def test_the_name_of_an_object_is_bounded() -> None:
    assert object_name(Place("trip", "back/"), "out/a/b", len("out/")) == "back/a/b"
    assert object_name(Place("trip", ""), "out/a", len("out/")) == "a"
    with pytest.raises(AwsRefused, match="1024"):
        object_name(Place("trip", "d" * 1020 + "/"), "out/é…", len("out/"))
