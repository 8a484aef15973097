"""The only parser of `s4://bucket/dir/name`.

Client and node both call it: a node trusts no client. Pure functions of text; no disk, no roster.
Text that is not valid never becomes a `Key`, so whoever holds one need not check again.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import KeyInvalid
from .limits import COMPONENT_MAX_BYTES, KEY_MAX_BYTES

SCHEME = "s4://"

_REFUSED_ASCII = re.compile(r"""[\x00-\x20\x7f'"\\*?\[]""")
_REFUSED_IN_GLOB = re.compile(r"""[\x00-\x20\x7f'"\\]""")
_REFUSED_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zs", "Zl", "Zp"))
_GLOB = re.compile(r"[*?\[]")
_NAMES = {" ": "a space", "\t": "a tab", "\n": "a newline", "\0": "a NUL", "\\": "a backslash"}


class Key(NamedTuple):
    """A full key. `path` is `bucket/dir/name`: at least two components, all of them checked."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """`s4://bucket/dir/name`. Raises KeyInvalid, which says what is wrong."""
        path = strip_scheme(text)
        if not path or path.endswith("/"):
            raise KeyInvalid(f"{show(text)} names a folder, not a key: a key is s4://bucket/name")
        check_path(path, text)
        if "/" not in path:
            raise KeyInvalid(f"{show(text)} is a bucket, not a key: a key is s4://bucket/name")
        return cls(path)

    @property
    def name(self) -> str:
        """The last component: the only part that placement looks at."""
        return self.path.rpartition("/")[2]

    @property
    def bucket(self) -> str:
        """The first component."""
        return self.path.partition("/")[0]

    def __str__(self) -> str:
        return SCHEME + self.path


class Folder(NamedTuple):
    """A place to put keys below: `path` is `bucket/` or `bucket/dir/`, with its slash."""

    path: str

    @classmethod
    def parse(cls, text: str) -> Folder:
        """`s4://bucket/dir/`, with or without the last slash. Raises KeyInvalid."""
        path = strip_scheme(text).removesuffix("/")
        check_path(path, text)
        return cls(path + "/")

    def key(self, relative: str) -> Key:
        """The key at `relative` below this folder. Raises KeyInvalid."""
        return Key.parse(SCHEME + self.path + relative)

    def __str__(self) -> str:
        return SCHEME + self.path


class Selection(NamedTuple):
    """The inputs of a map: every key below `folder` whose relative path matches `pattern`."""

    folder: Folder
    pattern: str
    """A glob over the path below `folder`, or "" for all keys."""

    @classmethod
    def parse(cls, text: str) -> Selection:
        """`s4://bucket/dir/`, or a glob after its last fixed folder: `s4://cols/*/*_5`.

        Raises KeyInvalid.
        """
        path = strip_scheme(text)
        found = _GLOB.search(path)
        if not found:
            return cls(parse_indir(text), "")
        fixed = path[: path.rfind("/", 0, found.start()) + 1]
        if not fixed:
            raise KeyInvalid(f"{show(text)} has a glob in its bucket; a bucket must be named")
        pattern = path[len(fixed) :]
        if pattern.endswith("/"):
            raise KeyInvalid(f"{show(text)}: a glob selects keys, so it can not end in a slash")
        _check_characters(pattern, text, _REFUSED_IN_GLOB)
        return cls(Folder.parse(SCHEME + fixed), pattern)

    def matcher(self) -> re.Pattern[str] | None:
        """The pattern as a regular expression for a whole relative path; None matches all."""
        return glob_to_regex(self.pattern) if self.pattern else None

    def __str__(self) -> str:
        return f"{self.folder}{self.pattern}"


def parse_indir(text: str) -> Folder:
    """A folder that is written with its slash, as INDIR and OUTDIR must be. Raises KeyInvalid."""
    if not text.endswith("/"):
        raise KeyInvalid(
            f"{show(text)} must end in a slash: a map goes from a folder of keys, or a glob, to a folder"
        )
    return Folder.parse(text)


def parse_prefix(text: str) -> str:
    """A prefix of `bucket/dir/name` as text, for `ls` and `rm -r`; it may end anywhere.

    `s4://` alone is the empty prefix. Raises KeyInvalid.
    """
    path = strip_scheme(text)
    head, slash, last = path.rpartition("/")
    if head or slash:
        check_path(head, text)
    if last:
        _check_characters(last, text, _REFUSED_ASCII)
        _check_component(last, text, whole=False)
    if path.startswith("_"):
        raise KeyInvalid(f"{show(text)}: a bucket must not start with _")
    _check_length(path, text)
    return path


def strip_scheme(text: str) -> str:
    """What stands after `s4://`. Raises KeyInvalid."""
    if not text.startswith(SCHEME):
        raise KeyInvalid(f"{show(text)} does not start with s4://")
    return text[len(SCHEME) :]


def check_path(path: str, text: str) -> None:
    """Refuse a path with a bad character, component or length; `text` is what the user wrote."""
    _check_characters(path, text, _REFUSED_ASCII)
    _check_length(path, text)
    components = path.split("/")
    for component in components:
        _check_component(component, text)
    if components[0].startswith("_"):
        raise KeyInvalid(f"{show(text)}: a bucket must not start with _")


def _check_component(component: str, text: str, *, whole: bool = True) -> None:
    if not component:
        raise KeyInvalid(f"{show(text)} has an empty component")
    if whole and component in (".", ".."):
        raise KeyInvalid(f"{show(text)} has a component {component!r}")
    if len(component.encode()) > COMPONENT_MAX_BYTES:
        raise KeyInvalid(f"{show(text)} has a component over {COMPONENT_MAX_BYTES} bytes")


def _check_length(path: str, text: str) -> None:
    if len(path.encode()) > KEY_MAX_BYTES:
        raise KeyInvalid(f"{show(text)} is over {KEY_MAX_BYTES} bytes")


def _check_characters(path: str, text: str, refused: re.Pattern[str]) -> None:
    found = refused.search(path)
    if found:
        raise KeyInvalid(f"{show(text)} holds {_describe(found.group())}, which no key may hold")
    if path.isascii():
        return
    try:
        path.encode()
    except UnicodeEncodeError:
        raise KeyInvalid(f"{show(text)} is not UTF-8") from None
    import unicodedata  # only names beyond ASCII pay for it

    for character in path:
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise KeyInvalid(f"{show(text)} holds {_describe(character)}, which no key may hold")


def _describe(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    if character.isprintable():
        return f"the character {character}"
    return f"the control or space character U+{ord(character):04X}"


def show(text: str) -> str:
    """`text` for an error message: on one line, whatever it holds, and not endless."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 200 else shown[:200] + "…"


def glob_to_regex(pattern: str) -> re.Pattern[str]:
    """A glob over a path, where no wildcard crosses a slash. Raises KeyInvalid for a bad `[...]`."""
    numbers = itertools.count()
    try:
        parts = [_component_regex(part, numbers) for part in pattern.split("/")]
        return re.compile("/".join(parts))
    except re.error as exc:
        raise KeyInvalid(f"the glob {show(pattern)} can not be read: {exc}") from exc


def _component_regex(part: str, numbers: Iterator[int]) -> str:
    """One component. What stands between two stars is matched where it first fits and never tried
    elsewhere (a lookahead and a reference to it), so that many stars do not cost exponential time."""
    first, *rest = _fixed_parts(part)
    if not rest:
        return first
    middle = (f"(?=(?P<g{n}>[^/]*?{fixed}))(?P=g{n})" for n, fixed in zip(numbers, rest[:-1], strict=False))
    return first + "".join(middle) + "[^/]*" + rest[-1]


def _fixed_parts(part: str) -> list[str]:
    """Regular expressions of what stands before, between and after the stars of a component."""
    fixed = [""]
    rest = part
    while rest:
        if rest[0] == "*":
            fixed.append("")
            rest = rest[1:]
        else:
            token, rest = _next_token(rest)
            fixed[-1] += token
    return fixed


def _next_token(rest: str) -> tuple[str, str]:
    """The regular expression of one character of the path, and what follows in the glob."""
    head, tail = rest[0], rest[1:]
    if head == "?":
        return "[^/]", tail
    if head != "[":
        return re.escape(head), tail
    negated = tail.startswith("!")
    end = tail.find("]", 2 if negated else 1)
    if end < 0:
        raise re.error("a [ without its ]")
    body = _class_body(tail[negated:end])
    return f"(?!/)[{'^' if negated else ''}{body}]", tail[end + 1 :]


def _class_body(text: str) -> str:
    """Characters and ranges of a `[...]`, with nothing special to a regular expression but those."""
    parts: list[str] = []
    while text:
        if len(text) > 2 and text[1] == "-":
            parts.append(f"{_escape(text[0])}-{_escape(text[2])}")
            text = text[3:]
        else:
            parts.append(_escape(text[0]))
            text = text[1:]
    return "".join(parts)


def _escape(character: str) -> str:
    return character if character.isalnum() else f"\\{character}"
