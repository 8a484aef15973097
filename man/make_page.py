"""Writes the man page: `python man/make_page.py > man/s4.1`.

It is made of USAGE, of the examples of `s4zmq.helptexts`, and of sections of the README, so that it says
nothing that those do not; a test compares the page that stands here with what this prints.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from s4zmq import __version__, helptexts, synopsis
from s4zmq.synopsis import Option, Verb

README = Path(__file__).parent.parent / "README.md"
PLACEMENT = "Where a key lives"
STATUSES = "| exit status | means |"
FILES = {
    "~/.s4.conf": "The addresses of the nodes in their order, one host:port a line.",
    "~/.s4.key": "The cluster key.",
    "~/.s4/": "What s4 up has started: data, logs, conf file and key; $S4_HOME names another folder.",
    "~/.s4/clusters/": "Conf files and keys of clusters on EC2.",
}
VARIABLES = {
    "S4_CONF_PATH": "The conf file, where -c is not given.",
    "S4_KEY_PATH": "The cluster key, where --key is not given.",
    "S4_HOME": "Where s4 up keeps what it starts (else ~/.s4).",
}


def page() -> str:
    """The whole page, in the macros of man(7)."""
    usage, verbs = synopsis.parts(), synopsis.verbs()
    readme = README.read_text()
    name, _, about = usage.title.rstrip(".").partition(": ")
    lines = [
        f'.TH {name.upper()} 1 "" "s4zmq {__version__}" "User Commands"',
        *_section("Name", f"{name} \\- {_text(about)}"),
        *_section("Synopsis", *(line for said in usage.lines for line in (".HP 4", _bold_options(said)))),
        *_section("Description", *_paragraphs(_without_pictures(readme))),
        *_section("Commands", *(line for verb in verbs for line in _command(verb, usage.texts))),
        *_section("Options", *(line for option in usage.options for line in _option(option))),
        *_section(PLACEMENT, *_paragraphs(_readme_section(readme, PLACEMENT))),
        *_section("Exit status", *_table(STATUSES + readme.partition(STATUSES)[2].partition("\n\n")[0])),
        *_section("Environment", *_pairs(VARIABLES)),
        *_section("Files", *_pairs(FILES)),
        *_section("Examples", *(line for verb in verbs for line in _examples(verb))),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, *lines: str) -> list[str]:
    return [f".SH {title.upper()}", *lines]


def _command(verb: Verb, texts: dict[str, str]) -> list[str]:
    """One of its own for each first word; `cluster` is told of once."""
    firsts = [words for words in (one.words for one in synopsis.verbs()) if words[0] == verb.words[0]]
    if firsts[0] != verb.words:
        return []
    return [".TP", f".B {_text(verb.words[0])}", _text(verb.text)]


def _option(option: Option) -> list[str]:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
    argument = f" \\fI{_text(option.argument)}\\fR" if option.argument else ""
    return [".TP", names + argument, _text(option.text)]


def _pairs(texts: dict[str, str]) -> Iterator[str]:
    for head, text in texts.items():
        yield from (".TP", f".B {_text(head)}", _text(text))


def _examples(verb: Verb) -> Iterator[str]:
    examples = helptexts.EXAMPLES.get(verb.name, ())
    if examples:
        yield f".SS {_text(verb.name)}"
    for number, (about, command) in enumerate(examples):
        if about:
            yield from (".PP",)[:number]
            yield f"{_text(about)}:"
        yield from (".RS 4", ".nf", _text(command), ".fi", ".RE")


def _bold_options(line: str) -> str:
    """A usage line with `s4` and its options in bold, as man pages have them."""
    parts = re.split(r"(^s4|(?<![\w-])--?[a-z][\w-]*)", line)
    bold = (f"\\fB{_text(part, '')}\\fR" for part in parts[1::2])
    return "".join(map("".join, zip((_text(part, "") for part in parts[::2]), [*bold, ""], strict=True)))


def _readme_section(readme: str, title: str) -> str:
    return readme.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _without_pictures(readme: str) -> str:
    """What stands before the first section; a paragraph that begins with a picture is about it."""
    head = readme.partition("\n\n")[2].partition("\n## ")[0]
    return "\n\n".join(part for part in head.split("\n\n") if not part.startswith("!["))


def _paragraphs(markdown: str) -> Iterator[str]:
    """Paragraphs and tables; the first needs no macro in front."""
    blocks = [block for block in markdown.strip().split("\n\n") if block.strip()]
    for number, block in enumerate(blocks):
        if block.startswith("|"):
            yield from _table(block)
            continue
        if number:
            yield ".PP"
        yield _marked(" ".join(block.split()))


def _table(markdown: str) -> Iterator[str]:
    """Rows as tagged paragraphs: the first cell is the tag; other cells stand behind it."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in markdown.splitlines()]
    for first, *others in rows[2:]:
        yield from (".TP", _marked(first), "; ".join(_marked(cell.replace("\\|", "|")) for cell in others))


def _marked(markdown: str) -> str:
    """A line of markdown: **bold** and `code` become bold."""
    parts = re.split(r"\*\*(.+?)\*\*|`([^`]+)`", markdown)
    done = []
    for plain, bold, code in zip(parts[::3], [*parts[1::3], None], [*parts[2::3], None], strict=True):
        done.append(_text(plain, "") + (f"\\fB{_text(bold or code or '', '')}\\fR" if bold or code else ""))
    return _guarded("".join(done))


def _text(text: str, guard: str = "\\&") -> str:
    """What no macro can be made of."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    escaped = escaped.replace("`", "\\(ga").replace("'", "\\(aq").replace("…", "...")
    return _guarded(escaped) if guard else escaped


def _guarded(line: str) -> str:
    return f"\\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    sys.stdout.write(page())
