"""Placement: the values that must never change, and what growing a cluster moves."""

from __future__ import annotations

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.errors import ConfigError
from s4zmq.placement import Roster, jump_hash, numeric_prefix, owner_index

NODE_COUNTS = (1, 2, 3, 5, 12, 64, 1000)

# Made with a program in C that follows the published reference code of MurmurHash3_x64_128 and
# figure 1 of Lamping & Veach (2014), not with the code under test.
PINNED = [
    ("a", 0x85555565F6597889, (0, 0, 0, 4, 5, 15, 927)),
    ("key1", 0x15D67461D2044FB3, (0, 1, 1, 3, 3, 49, 554)),
    ("part_00017", 0x79A45FDE939A3308, (0, 0, 0, 3, 3, 3, 605)),
    ("machine0", 0x4A1A2A7BD052336B, (0, 1, 1, 3, 6, 43, 183)),
    ("hello world", 0x533F6046EB7F610E, (0, 1, 1, 3, 9, 34, 34)),
    ("xx_2023-01.csv", 0xC8B2BDD2CB775D0B, (0, 1, 1, 1, 1, 63, 69)),
    (".xxh", 0xE25579D0DEA4C373, (0, 0, 0, 3, 10, 10, 349)),
    ("naïve", 0x94304FA55F4CFBBA, (0, 0, 0, 3, 7, 57, 384)),
    ("日本_1", 0xCD8669EB4CD3A5BC, (0, 0, 0, 0, 10, 13, 933)),
    ("²_x", 0xDE9A92102031824B, (0, 1, 1, 3, 11, 53, 887)),
    ("١٢_x", 0xD500EE0F78D4E3C1, (0, 1, 2, 4, 4, 13, 505)),
    ("-1_x", 0x86B698E7A66E87D7, (0, 0, 0, 3, 3, 20, 879)),
    ("1a_2", 0x93FDFC9A5A510690, (0, 0, 2, 2, 2, 19, 991)),
    ("_5", 0x32E8193BA73905F3, (0, 1, 1, 1, 6, 38, 86)),
    ("a_very_long_name_with_more_than_sixteen_bytes.parquet", 0x573BAF2CEAE148E6, (0, 0, 0, 0, 6, 51, 790)),
]


@pytest.mark.parametrize(("name", "hashed", "owners"), PINNED)
def test_the_node_of_a_name_never_changes(name: str, hashed: int, owners: tuple[int, ...]) -> None:
    assert mmh3.hash64(name.encode(), signed=False)[0] == hashed
    assert tuple(jump_hash(hashed, count) for count in NODE_COUNTS) == owners
    assert tuple(owner_index(name, count) for count in NODE_COUNTS) == owners


@pytest.mark.parametrize(
    ("key", "buckets", "bucket"),
    [
        (1, 1, 0),
        (42, 57, 43),
        (0xDEAD10CC, 1, 0),
        (0xDEAD10CC, 666, 361),
        (256, 1024, 520),
        (10863919174838991, 11, 6),
        (0, 1 << 20, 0),
        ((1 << 64) - 1, 1 << 20, 589430),
    ],
)
def test_jump_hash_gives_the_values_of_other_implementations(key: int, buckets: int, bucket: int) -> None:
    assert jump_hash(key, buckets) == bucket


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("000_machine0", "000"),
        ("7", "7"),
        ("0042", "0042"),
        ("5_", "5"),
        ("5_a_b", "5"),
        ("9" * 255, "9" * 255),
        ("a_5", ""),
        ("_5", ""),
        ("5a_1", ""),
        ("5.csv", ""),
        ("-5_a", ""),
        ("+5_a", ""),
        ("²_x", ""),
        ("١٢_x", ""),
        ("\uff11\uff12", ""),
        ("1١_x", ""),
        ("", ""),
    ],
)
def test_only_ascii_digits_before_the_first_underscore_place_a_name(name: str, prefix: str) -> None:
    assert numeric_prefix(name) == prefix


@pytest.mark.parametrize("count", NODE_COUNTS)
def test_a_numeric_prefix_is_the_node_modulo_their_number(count: int) -> None:
    for number in (0, 1, 2, 11, 12, 13, 999, 10**30 + 7):
        for name in (str(number), f"{number}_x", f"000{number}_x_y"):
            assert owner_index(name, count) == number % count


@given(st.text(min_size=1, max_size=20), st.integers(1, 300))
def test_a_new_node_takes_keys_and_no_other_pair_exchanges_any(name: str, count: int) -> None:
    if numeric_prefix(name):
        return
    assert owner_index(name, count + 1) in (owner_index(name, count), count)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 40])
def test_a_new_node_takes_its_fair_share(count: int) -> None:
    names = [f"name-{number}" for number in range(20_000)]
    moved = sum(owner_index(name, count + 1) == count for name in names)
    share = len(names) / (count + 1)
    assert abs(moved - share) < 5 * share**0.5


@given(st.text(max_size=20), st.integers(1, 10_000))
def test_every_name_has_a_node(name: str, count: int) -> None:
    assert 0 <= owner_index(name.encode(errors="replace").decode(), count) < count


# -- the roster


def test_a_roster_is_read_in_order_without_comments_and_blank_lines() -> None:
    text = "# all\nb:2  # second\n\n   a:1\t\n[::1]:3\r\nnode.example.com:65535"
    roster = Roster.parse(text, "conf")
    assert roster.nodes == ("b:2", "a:1", "[::1]:3", "node.example.com:65535")
    assert Roster.parse(roster.text, "conf") == roster


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "conf names no node"),
        ("# nothing\n\n", "conf names no node"),
        ("a:1\nb", "conf, line 2: 'b' is not host:port"),
        (":1", "is not host:port"),
        ("a b:1", "is not host:port"),
        ("a :1", "is not host:port"),
        ("a:", "no port between 1 and 65535"),
        ("a:0", "no port between 1 and 65535"),
        ("a:65536", "no port between 1 and 65535"),
        ("a:-1", "no port between 1 and 65535"),
        ("a:+1", "no port between 1 and 65535"),
        ("a:x", "no port between 1 and 65535"),
        ("a:\uff11", "no port between 1 and 65535"),
        ("a:1\nb:1\na:1", "conf names a:1 twice"),
    ],
)
def test_a_bad_roster_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Roster.parse(text, "conf")


def test_the_digest_of_a_roster_depends_on_its_nodes_and_their_order() -> None:
    rosters = [Roster(nodes) for nodes in (("a:1", "b:1"), ("b:1", "a:1"), ("a:1",), ("a:1", "b:2"))]
    digests = {roster.digest for roster in rosters}
    assert len(digests) == len(rosters)
    assert {len(digest) for digest in digests} == {8}


def test_the_digest_of_a_roster_does_not_depend_on_comments() -> None:
    assert Roster.parse("a:1 # one\n\nb:1", "x").digest == Roster.parse("a:1\nb:1\n", "y").digest


def test_the_digest_of_a_roster_never_changes() -> None:
    assert Roster(("127.0.0.1:7000", "127.0.0.1:7001")).digest.hex() == "f23e2456efa917bd"


def test_the_owner_is_a_line_of_the_roster() -> None:
    roster = Roster(("a:1", "b:1", "c:1"))
    assert [roster.owner(name) for name in ("0_x", "1_x", "2_x", "3_x")] == ["a:1", "b:1", "c:1", "a:1"]
    assert roster.owner("key1") == "b:1"
