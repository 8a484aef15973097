"""Keys: which text is one, and what globs and prefixes select."""

from __future__ import annotations

import os
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s4zmq.errors import KeyInvalid
from s4zmq.keys import Folder, Key, Selection, glob_to_regex, parse_indir, parse_prefix

WHITESPACE = " \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000"
CONTROLS = "\0\x01\x1b\x1f\x7f\x80\x9f\xad\u200b\u200e\u202e\u2066\ufeff"
QUOTES_AND_GLOBS = "'\"\\*?["
SURROGATES = "\ud800\udc80\udcff"
REFUSED_CHARACTERS = [f"U+{ord(c):04X}" for c in WHITESPACE + CONTROLS + QUOTES_AND_GLOBS + SURROGATES]

REFUSED_PATHS = {
    "b//k": "empty component",
    "/b/k": "empty component",
    "b/k/": "names a folder",
    "b/": "names a folder",
    "": "names a folder",
    "/": "names a folder",
    "b/./k": "component '.'",
    "b/.": "component '.'",
    "b/../k": "component '..'",
    "b/..": "component '..'",
    "../etc/passwd": "component '..'",
    "./k": "component '.'",
    "_b/k": "must not start with _",
    "_/k": "must not start with _",
    "b": "is a bucket, not a key",
    f"b/{'x' * 256}": "over 255 bytes",
    f"b/{'é' * 128}": "over 255 bytes",
    f"{'x' * 256}/k": "over 255 bytes",
    f"b/{'x' * 256}/k": "over 255 bytes",
    "/".join(["x" * 204] * 5) + "y": "over 1024 bytes",
    "b/" + "/".join(["日" * 85] * 4) + "/x": "over 1024 bytes",
}

ACCEPTED_PATHS = [
    "b/k",
    "b/k.tmp",
    "b/k.xxh",
    "b/.part",
    "b/.s4-1-1.part",
    "b/...",
    "b/..k",
    "b/k..",
    "b/.hidden/k",
    "b/_k",
    "b/_dir/_k",
    "b/-rf",
    "b/~",
    "b/$HOME",
    "b/a;b|c&d",
    "b/`k`",
    "b/k]",
    "b/{a,b}",
    "b/a:b",
    "b/%20",
    "b/#k",
    "b/!k",
    "b/日本",
    "b/naïve",
    "b/e\u0301",
    "b/😀",
    "lock/roster",
    f"b/{'x' * 255}",
    f"b/{'é' * 127}x",
    "/".join(["x" * 204] * 5),
]


def character(label: str) -> str:
    return chr(int(label[2:], 16))


@pytest.mark.parametrize("label", REFUSED_CHARACTERS)
def test_a_refused_character_is_refused_wherever_it_stands(label: str) -> None:
    for around in ("s4://b/a{}z", "s4://b/{}", "s4://b{}/k", "s4://b/d{}/k"):
        with pytest.raises(KeyInvalid) as caught:
            Key.parse(around.format(character(label)))
        assert caught.value.text.isprintable()


@pytest.mark.parametrize("label", REFUSED_CHARACTERS)
def test_a_refused_character_is_refused_in_folders_and_prefixes(label: str) -> None:
    for text in (f"s4://b/{character(label)}", f"s4://b/{character(label)}/d"):
        for parse in (Folder.parse, parse_prefix):
            with pytest.raises(KeyInvalid):
                parse(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a b", "a space"),
        ("a\tb", "a tab"),
        ("a\nb", "a newline"),
        ("a\0b", "a NUL"),
        ("a\\b", "a backslash"),
        ("a*b", "the character *"),
        ("a'b", "the character '"),
        ("a\x1bb", "U+001B"),
        ("a\xa0b", "U+00A0"),
        ("a\u2028b", "U+2028"),
        ("a\udc80b", "is not UTF-8"),
    ],
)
def test_the_error_says_which_character_is_wrong(text: str, what: str) -> None:
    with pytest.raises(KeyInvalid, match=re.escape(what)):
        Key.parse(f"s4://b/{text}")


@pytest.mark.parametrize(("path", "why"), REFUSED_PATHS.items(), ids=range(len(REFUSED_PATHS)))
def test_a_bad_path_is_refused_with_its_reason(path: str, why: str) -> None:
    with pytest.raises(KeyInvalid, match=re.escape(why)):
        Key.parse(f"s4://{path}")


@pytest.mark.parametrize("text", ["", "b/k", "/b/k", "s4:/b/k", "S4://b/k", "s3://b/k", " s4://b/k"])
def test_text_without_the_scheme_is_refused(text: str) -> None:
    for parse in (Key.parse, Folder.parse, Selection.parse, parse_prefix):
        with pytest.raises(KeyInvalid, match="does not start with s4://"):
            parse(text)


@pytest.mark.parametrize("path", ACCEPTED_PATHS, ids=range(len(ACCEPTED_PATHS)))
def test_an_odd_but_ordinary_name_is_accepted(path: str) -> None:
    key = Key.parse(f"s4://{path}")
    assert (key.path, str(key)) == (path, f"s4://{path}")
    assert (key.bucket, key.name) == (path.partition("/")[0], os.path.basename(path))


def test_an_error_shows_hostile_text_on_one_line_and_not_endless() -> None:
    with pytest.raises(KeyInvalid) as caught:
        Key.parse("s4://b/\x1b[31m\n" + "x" * 5000)
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 400


@given(st.text(max_size=40), st.text("ab/._*?[\\'\" \n", max_size=12))
def test_no_accepted_key_leaves_its_folder_or_breaks_xargs(head: str, tail: str) -> None:
    for text in (head, tail, f"b/{head}", f"b/{tail}"):
        try:
            key = Key.parse(f"s4://{text}")
        except KeyInvalid:
            continue
        assert os.path.normpath(f"/data/{key.path}") == f"/data/{key.path}"
        assert not any(c.isspace() or c in "'\"\\" for c in key.path)
        assert key.path.count("/") >= 1
        assert len(key.path.encode()) <= 1024


# -- folders


@pytest.mark.parametrize("text", ["s4://b", "s4://b/", "s4://b/d", "s4://b/d/"])
def test_a_folder_is_read_with_or_without_its_slash(text: str) -> None:
    assert str(Folder.parse(text)) == text.rstrip("/") + "/"


@pytest.mark.parametrize("text", ["s4://", "s4:///", "s4://b//", "s4://_b/", "s4://b/../", "s4://b/*/"])
def test_a_bad_folder_is_refused(text: str) -> None:
    with pytest.raises(KeyInvalid):
        Folder.parse(text)


def test_a_folder_makes_checked_keys_below_it() -> None:
    folder = Folder.parse("s4://b/d")
    assert folder.key("e/k") == Key("b/d/e/k")
    for relative in ("", "../k", "/k", "a b", "e/"):
        with pytest.raises(KeyInvalid):
            folder.key(relative)


def test_indir_and_outdir_must_end_in_a_slash() -> None:
    assert parse_indir("s4://b/d/") == Folder("b/d/")
    with pytest.raises(KeyInvalid, match="must end in a slash"):
        parse_indir("s4://b/d")


# -- prefixes


@pytest.mark.parametrize(
    "prefix", ["", "b", "b/", "b/k", "b/d/", "b/d/.", "b/d/..", "b/_", "step", "b/" + "x" * 255]
)
def test_a_prefix_may_end_anywhere(prefix: str) -> None:
    assert parse_prefix(f"s4://{prefix}") == prefix


@pytest.mark.parametrize(
    "prefix",
    [
        *("/", "//", "/b", "b//", "b//k", "b/../", "b/../k", "b/./", "_", "_b", "_b/k", "b/*"),
        *("b/a b", "b d/", "b/" + "x" * 256, "x/" * 512 + "y", "b/\udc80", "\udc80/k"),
    ],
)
def test_a_bad_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(KeyInvalid):
        parse_prefix(f"s4://{prefix}")


# -- globs


def matches(pattern: str, path: str) -> bool:
    return bool(glob_to_regex(pattern).fullmatch(path))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*", "k"),
        ("*", ".hidden"),
        ("*_5", "000_5"),
        ("*/*_5", "a/000_5"),
        ("a*", "a"),
        ("?", "日"),
        ("a?c", "abc"),
        ("[ab]", "a"),
        ("[a-c]x", "bx"),
        ("[!ab]", "c"),
        ("[!a-c]", "d"),
        ("[]a]", "]"),
        ("[!]a]", "b"),
        ("[a-]", "-"),
        ("[^a]", "^"),
        ("[a!]", "!"),
        ("a.b", "a.b"),
        ("a+(b)|c$", "a+(b)|c$"),
        ("{a,b}", "{a,b}"),
        ("k]", "k]"),
    ],
)
def test_a_glob_matches(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*", "a/b"),
        ("a*c", "a/c"),
        ("a*c", "ab/c"),
        ("?", "/"),
        ("a?c", "a/c"),
        ("a[!b]c", "a/c"),
        ("a[.-0]c", "a/c"),
        ("*/*_5", "000_5"),
        ("*/*_5", "a/b/000_5"),
        ("*_5", "000_55"),
        ("[ab]", "c"),
        ("[!ab]", "a"),
        ("[!]a]", "]"),
        ("[^a]", "b"),
        ("a.b", "axb"),
        ("[ab]", "ab"),
    ],
)
def test_a_glob_does_not_match(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


@pytest.mark.parametrize("pattern", ["[", "a[b", "[]", "[!]", "[z-a]", "a[/]c", "[a/b]"])
def test_an_unreadable_glob_is_refused(pattern: str) -> None:
    with pytest.raises(KeyInvalid, match="the glob"):
        glob_to_regex(pattern)


def reference_match(pattern: str, path: str) -> bool:
    """What a glob means, as plainly as it can be said."""
    if not pattern:
        return not path
    if pattern[0] == "*":
        here = bool(path) and path[0] != "/" and reference_match(pattern, path[1:])
        return reference_match(pattern[1:], path) or here
    fits = bool(path) and (path[0] == pattern[0] or (pattern[0] == "?" and path[0] != "/"))
    return fits and reference_match(pattern[1:], path[1:])


@given(st.text("ab/.*?", max_size=8), st.text("ab/.", max_size=8))
def test_a_glob_means_what_its_definition_says(pattern: str, path: str) -> None:
    assert matches(pattern, path) == reference_match(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("[[]", "["), ("[a&&b]", "&"), ("[a||b]", "|"), ("[a~~b]", "~"), ("[+--]", ","), ("[!a[]", "b")],
)
def test_a_class_of_odd_characters_is_read_without_a_warning(pattern: str, path: str) -> None:
    assert matches(pattern, path)
    assert not matches(pattern, "a" if "!" in pattern else "x")


def test_a_glob_of_many_stars_is_matched_in_moderate_time() -> None:
    before = time.thread_time()
    assert not matches("*a" * 9 + "*b", "a" * 30)
    assert time.thread_time() - before < 0.1


# -- selections


@pytest.mark.parametrize(
    ("text", "folder", "pattern"),
    [
        ("s4://b/", "b/", ""),
        ("s4://b/d/e/", "b/d/e/", ""),
        ("s4://b/*", "b/", "*"),
        ("s4://cols/*/*_5", "cols/", "*/*_5"),
        ("s4://b/d/k*", "b/d/", "k*"),
        ("s4://b/d/e[12]/k", "b/d/", "e[12]/k"),
        ("s4://b/d?", "b/", "d?"),
    ],
)
def test_a_selection_is_a_folder_and_a_glob_after_its_last_fixed_folder(
    text: str, folder: str, pattern: str
) -> None:
    selection = Selection.parse(text)
    assert (selection.folder.path, selection.pattern) == (folder, pattern)
    assert str(selection) == text
    assert Selection.parse(str(selection)) == selection
    assert (selection.matcher() is None) == (pattern == "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s4://b/d", "must end in a slash"),
        ("s4://b", "must end in a slash"),
        ("s4://*/k", "glob in its bucket"),
        ("s4://b*", "glob in its bucket"),
        ("s4://_b/*", "must not start with _"),
        ("s4://b/../*", "component '..'"),
        ("s4://b//*", "empty component"),
        ("s4://b/*\n", "a newline"),
        ("s4://b/* x", "a space"),
        ("s4://b/*'", "the character '"),
        ("s4://b/*\\", "a backslash"),
        ("s4://b/*\u2028", "U+2028"),
        ("s4://b/*\udc80", "is not UTF-8"),
    ],
)
def test_a_bad_selection_is_refused(text: str, why: str) -> None:
    with pytest.raises(KeyInvalid, match=re.escape(why)):
        Selection.parse(text)
