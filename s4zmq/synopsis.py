"""What USAGE says, as data: verbs with their usage lines, options and places, and what each is about.

Completion, the man page and the help of single verbs are made from this, so that none of them can say
anything else than USAGE does. What words mean to a command stands in `usage`, and is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .usage import USAGE


class Option(NamedTuple):
    """A line of the options."""

    names: tuple[str, ...]
    """Such as ("-r",)."""

    argument: str
    """Such as "PATH"; "" where it takes none."""

    text: str

    @property
    def shown(self) -> str:
        """As USAGE writes it: `--file PATH`."""
        return f"{', '.join(self.names)} {self.argument}".strip()


class Verb(NamedTuple):
    """A command, such as ("cp",) or ("cluster", "up")."""

    words: tuple[str, ...]
    lines: tuple[str, ...]
    """Its usage, a string for each pattern of USAGE, without line breaks."""

    options: tuple[Option, ...]
    """Of these lines, in their order, `-c` and `--key` among them."""

    places: tuple[str, ...]
    """Its arguments in their order, such as ("SRC", "DST"); the longest list of the lines."""

    text: str
    """What it does; that of the first word where USAGE has no paragraph for all words."""

    @property
    def name(self) -> str:
        return " ".join(self.words)


class Section(NamedTuple):
    """USAGE in its parts."""

    title: str
    lines: tuple[str, ...]
    texts: dict[str, str]
    """Verbs to what they do, as USAGE writes them: `up, down` is one entry."""

    options: tuple[Option, ...]


_TOKEN = re.compile(r"\[[^\]]*\]|\([^)]*\)|[^\s\[\]()]+")
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_ENTRY = re.compile(r"^  (\S.*?)(?:  +(.*))?$")


def parts(usage: str = USAGE) -> Section:
    """USAGE in its parts."""
    title, _, rest = usage.partition("\n")
    patterns, _, rest = rest.partition("Usage:\n")[2].partition("\n\n")
    texts, _, options = rest.partition("Options:\n")
    lines = re.sub(r"\n {6,}", " ", patterns).splitlines()
    entries = [_option(head, text) for head, text in _entries(options)]
    return Section(title, tuple(line.strip() for line in lines), dict(_entries(texts)), tuple(entries))


def verbs(usage: str = USAGE) -> list[Verb]:
    """Every verb, in the order of USAGE."""
    found = parts(usage)
    lines: dict[tuple[str, ...], list[str]] = {}
    for line in found.lines:
        for words in _verbs_of(line):
            lines.setdefault(words, []).append(line)
    return [_verb(words, its, found) for words, its in lines.items()]


def general_options(usage: str = USAGE) -> tuple[Option, ...]:
    """Those that may stand before a verb or without one."""
    found = parts(usage)
    lines = [_before_verb(line) for line in found.lines]
    lines += [line for line in found.lines if not _verbs_of(line)]
    return tuple(_of_names(found, [name for line in lines for name in _option_names(line)]))


def _verb(words: tuple[str, ...], lines: list[str], found: Section) -> Verb:
    names = dict.fromkeys(name for line in lines for name in _option_names(line))
    places = max(([*_places(line, found)] for line in lines), key=len)
    text = next((text for head, text in found.texts.items() if words[0] in re.split(r",\s*", head)), "")
    return Verb(words, tuple(lines), tuple(_of_names(found, list(names))), tuple(places), text)


def _of_names(found: Section, names: list[str]) -> Iterator[Option]:
    """Options by their names; one that USAGE says nothing about has no text."""
    said = {name: option for option in found.options for name in option.names}
    yield from dict.fromkeys(said.get(name, Option((name,), "", _UNSAID.get(name, ""))) for name in names)


_UNSAID = {"-h": "The help.", "--help": "The help.", "--version": "The version."}


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """(head, text) of lines such as `  --jobs N   Commands at once`, which go on in lines further in."""
    head = text_so_far = ""
    for line in text.splitlines():
        if line.startswith("      ") and head:
            text_so_far += " " + line.strip()
            continue
        if head:
            yield head, text_so_far
        head = text_so_far = ""
        if match := _ENTRY.match(line):
            head, text_so_far = match[1], match[2] or ""
    if head:
        yield head, text_so_far


def _option(head: str, text: str) -> Option:
    words = re.split(r"[ ,=]+", head)
    names = tuple(word for word in words if word.startswith("-"))
    return Option(names, next((word for word in words if not word.startswith("-")), ""), text)


def groups(line: str) -> list[str]:
    """The alternatives in round brackets of a usage line, brackets included."""
    return re.findall(r"\([^)]*\)", line)


def _tokens(line: str) -> list[str]:
    return _TOKEN.findall(line.removeprefix("s4 "))


def _before_verb(line: str) -> str:
    """The options in brackets with which a line starts."""
    return re.match(r"(?:s4 )?((?:\[-[^\]]*\] )*)", line)[1]  # type: ignore[index]


def _verbs_of(line: str) -> list[tuple[str, ...]]:
    """The verbs of a line; several where it has alternatives: `(map | map-to-n)`."""
    found: list[tuple[str, ...]] = [()]
    for token in _tokens(line.removeprefix("s4 ").removeprefix(_before_verb(line))):
        words = [word.strip() for word in token.strip("()").split("|")]
        if not all(_WORD.fullmatch(word) for word in words):
            break
        found = [(*before, word) for before in found for word in words]
    return [words for words in found if words]


def _option_names(line: str) -> list[str]:
    return re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", line)


def _places(line: str, found: Section) -> Iterator[str]:
    """Arguments that belong to no option."""
    takes = {name for option in found.options if option.argument for name in option.names}
    is_value = False
    for word in re.findall(r"[^\s\[\]()|.]+", line):
        if word.isupper() and not is_value:
            yield word
        is_value = word in takes
