"""Completion of `s4` for bash, zsh and fish: scripts that are made from USAGE.

What may stand where is a table in each script; keys and folders are asked of the cluster by `s4 ls` when
they are needed, in silence and for KEYS_S at the most. How USAGE is read stands in `synopsis`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator

from . import synopsis
from .synopsis import Option, Verb

KEYS_S = 2
"""After so many seconds a cluster that does not answer has nothing to offer."""

KEYS_MOST = 500
"""Nobody reads more; `s4 ls` ends when these are read."""

KINDS = {
    **dict.fromkeys(("SRC", "DST"), "any"),
    **dict.fromkeys(("PREFIX", "KEY", "INDIR", "OUTDIR"), "key"),
    **dict.fromkeys(("PATH", "PUB", "FILE"), "file"),
    "VERB": "verb",
}
"""What stands in the place of a word of USAGE. Of others nothing is known: "none"."""


def script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    return SHELLS[shell]()


def kind(argument: str) -> str:
    return KINDS.get(argument, "none")


def words_after(before: tuple[str, ...], verbs: Iterable[Verb]) -> list[str]:
    """The words of verbs that may follow some others: behind `cluster` that is `up` and more."""
    count = len(before)
    longer = [verb.words for verb in verbs if len(verb.words) > count and verb.words[:count] == before]
    return list(dict.fromkeys(words[count] for words in longer))


def _stems(verbs: list[Verb]) -> list[tuple[str, ...]]:
    """Every verb, and what stands before the last word of one; () first."""
    return list(dict.fromkeys(verb.words[:count] for count in range(3) for verb in verbs))


def _options_at(words: tuple[str, ...], verbs: list[Verb]) -> list[Option]:
    found = [option for verb in verbs if verb.words == words for option in verb.options]
    general = synopsis.general_options()
    help_too = [option for option in general if "--help" in option.names]
    return list(dict.fromkeys([*found, *help_too] if words else general))


def _value_kinds(verbs: list[Verb]) -> dict[str, list[str]]:
    """Kinds to the options whose value is of that kind."""
    kinds: dict[str, list[str]] = {}
    for option in dict.fromkeys(option for verb in verbs for option in verb.options if option.argument):
        kinds.setdefault(kind(option.argument), []).extend(option.names)
    return kinds


def _place_kinds(words: tuple[str, ...], verbs: list[Verb]) -> list[str]:
    return [kind(place) for verb in verbs if verb.words == words for place in verb.places]


def _names(options: Iterable[Option]) -> list[str]:
    return [name for option in options for name in option.names]


# -- bash and zsh


def _tables(verbs: list[Verb]) -> str:
    """Two functions: what may follow a verb, and what stands behind an option."""
    lines = ["_s4_table() {", "    next='' flags='' places=''", "    case $1 in"]
    for words in _stems(verbs):
        of_verb = {
            "next": words_after(words, verbs),
            "flags": _names(_options_at(words, verbs)),
            "places": _place_kinds(words, verbs),
        }
        said = " ".join(f"{name}={shlex.quote(' '.join(of))}" for name, of in of_verb.items() if of)
        lines.append(f"        {shlex.quote(' '.join(words))}) {said} ;;")
    lines += ["    esac", "}", "", "_s4_takes() {", "    case $1 in"]
    lines += [f"        {'|'.join(names)}) kind={its} ;;" for its, names in _value_kinds(verbs).items()]
    return "\n".join([*lines, "        *) kind='' ;;", "    esac", "}", ""])


_WALK = r"""
# Sets verb, conf, and kind: what is to stand at the cursor in place of $1, behind the other words.
_s4_walk() {
    local word at_cursor=$1 option='' rest='' place=0
    shift
    verb='' kind='' conf=()
    _s4_table ''
    for word in "$@"; do
        if [[ -n $kind ]]; then
            [[ $option == -c || $option == --key ]] && conf+=("$option" "${word/#\~\//$HOME/}")
            kind=''
        elif [[ -z $rest && $word == -- ]]; then
            rest=yes
        elif [[ -z $rest && $word == -?* ]]; then
            option=$word
            _s4_takes "$word"
        elif [[ -n $next && " $next " == *" $word "* ]]; then
            verb="${verb:+$verb }$word"
            _s4_table "$verb"
        else
            place=$((place + 1))
        fi
    done
    if [[ -n $kind ]]; then
        return
    elif [[ -z $rest && $at_cursor == --*=* ]]; then
        _s4_takes "${at_cursor%%=*}"
    elif [[ -z $rest && $at_cursor == -* ]]; then
        kind=flags
    elif [[ -n $next ]]; then
        kind=next
    else
        while [[ $place -gt 0 && -n $places ]]; do
            [[ $places == *' '* ]] && places=${places#* } || places=''
            place=$((place - 1))
        done
        kind=${places%% *}
    fi
}

# Keys, folders and buckets that start with $1, a line each.
_s4_keys() {
    local folder=s4:// limit=() prefix=() first rest
    [[ $1 == s4://*/* ]] && folder=${1%/*}/ prefix=("$1")
    command -v timeout > /dev/null && limit=(timeout @KEYS_S@)
    "${limit[@]}" env s4 "${conf[@]}" ls "${prefix[@]}" 2> /dev/null < /dev/null | head -n @KEYS_MOST@ |
        while read -r first rest; do
            printf '%s%s\n' "$folder" "${rest##* }"
        done
}
""".replace("@KEYS_S@", str(KEYS_S)).replace("@KEYS_MOST@", str(KEYS_MOST))

_BASH = r"""
_s4() {
    local line=${COMP_LINE:0:COMP_POINT} words cur verb kind conf next flags places
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    cur=${words[${#words[@]} - 1]}
    [[ $cur == s4://* ]] && cur=${cur//\\/}
    _s4_walk "$cur" "${words[@]:1:${#words[@]} - 2}"
    COMPREPLY=()
    [[ $cur == --*=* ]] && cur=${cur#*=}
    case $kind in
        next) mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur") ;;
        flags) mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur") ;;
        verb)
            _s4_table ''
            mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur")
            ;;
        file) _s4_files ;;
        any | key)
            if [[ $cur == s4://* ]]; then
                mapfile -t COMPREPLY < <(_s4_keys "$cur" | grep -F -- "$cur" |
                    sed 's/[^[:alnum:]@%+=:,./_-]/\\&/g')
            elif [[ $kind == any ]]; then
                [[ $cur == s3://* ]] || _s4_files
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 's4:// s3://' -- "$cur")
            else
                mapfile -t COMPREPLY < <(compgen -W 's4://' -- "$cur")
            fi
            [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2> /dev/null
            ;;
    esac
    # Where a colon breaks words, only what follows it is replaced.
    [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]] &&
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    return 0
}

_s4_files() {
    mapfile -t COMPREPLY < <(compgen -f -- "${cur/#\~\//$HOME/}")
    compopt -o filenames 2> /dev/null
    return 0
}

complete -F _s4 s4
"""

_ZSH = r"""
_s4() {
    local verb kind next flags places
    local -a conf found
    _s4_walk "$PREFIX" "${(@)words[2,CURRENT-1]}"
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    case $kind in
        next) _s4_describe "$verb" next ;;
        flags) _s4_describe "$verb" flags ;;
        verb) _s4_describe '' next ;;
        file) _files ;;
        any | key)
            if [[ $PREFIX == s4://* ]]; then
                found=("${(@f)$(_s4_keys "$PREFIX")}")
                compadd -S '' -- "${(@M)found:#*/}"
                compadd -- "${(@)found:#*/}"
            else
                compadd -S '' -- s4://
                [[ $kind == key ]] || compadd -S '' -- s3://
                [[ $kind == key || $PREFIX == s3://* ]] || _files
            fi
            ;;
    esac
}

if [[ $funcstack[1] == _s4 ]]; then
    _s4 "$@"
elif (( $+functions[compdef] )); then
    compdef _s4 s4
else
    autoload -Uz compinit && compinit && compdef _s4 s4
fi
"""


def _bash() -> str:
    head = "# Completion of s4 for bash, made by `s4 completion bash`.\n\n"
    return head + _tables(synopsis.verbs()) + _WALK + _BASH


def _zsh() -> str:
    verbs = synopsis.verbs()
    head = "#compdef s4\n# Completion of s4 for zsh, made by `s4 completion zsh`.\n\n"
    return head + _tables(verbs) + _WALK + _descriptions(verbs) + _ZSH


def _descriptions(verbs: list[Verb]) -> str:
    """A function that offers the words behind a verb, or its options, with what they are about."""
    lines = ["", "_s4_describe() {", "    local -a said", '    case "$1/$2" in']
    for words in _stems(verbs):
        next_words = [(word, _about((*words, word), verbs)) for word in words_after(words, verbs)]
        flags = [(name, option.text) for option in _options_at(words, verbs) for name in option.names]
        for what, entries in (("next", next_words), ("flags", flags)):
            said = " ".join(shlex.quote(f"{name}:{text}") for name, text in entries)
            if said:
                lines.append(f"        {shlex.quote(' '.join(words))}/{what}) said=({said}) ;;")
    return "\n".join([*lines, "    esac", '    _describe "s4 $1" said', "}", ""])


def _about(words: tuple[str, ...], verbs: list[Verb]) -> str:
    """The first sentence of what a verb does."""
    text = next(verb.text for verb in verbs if verb.words[: len(words)] == words)
    return text.partition(". ")[0].rstrip(".")


# -- fish


_FISH = r"""
# Whether the words before the cursor are those of a verb, with so many arguments behind it.
function __s4_at
    set -l verb
    set -l skip no
    set -l place 0
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test $skip = yes
            set skip no
        else if contains -- $word @TAKES@
            set skip yes
        else if string match -q -- '-?*' $word
            continue
        else if contains -- "$(string join ' ' $verb $word)" @STEMS@
            set -a verb $word
        else
            set place (math $place + 1)
        end
    end
    test "$verb" = "$argv[1]"; and test (count $argv) -eq 1 -o "$place" = "$argv[2]"
end

# Keys, folders and buckets that start with what stands at the cursor.
function __s4_keys
    set -l cur (commandline -ct)
    set -l folder s4://
    set -l prefix
    set -l limit
    set -l conf
    set -l words (commandline -opc)
    for at in (seq 2 (math (count $words) - 1))
        if contains -- $words[$at] -c --key
            set -a conf $words[$at] (string replace -r '^~/' "$HOME/" -- $words[(math $at + 1)])
        end
    end
    string match -q -- 's4://*' $cur; or begin
        printf '%s\n' s4://
        return
    end
    if string match -q -- 's4://*/*' $cur
        set folder (string replace -r '[^/]*$' '' -- $cur)
        set prefix $cur
    end
    command -q timeout; and set limit timeout @KEYS_S@
    $limit env s4 $conf ls $prefix 2> /dev/null < /dev/null | head -n @KEYS_MOST@ | while read -l line
        printf '%s%s\n' $folder (string replace -r '.* ' '' -- $line)
    end
end

complete -c s4 -f
"""


def _fish() -> str:
    verbs = synopsis.verbs()
    takes = " ".join(name for names in _value_kinds(verbs).values() for name in names)
    stems = " ".join(shlex.quote(" ".join(words)) for words in _stems(verbs) if words)
    text = _FISH.replace("@TAKES@", takes).replace("@STEMS@", stems)
    text = text.replace("@KEYS_S@", str(KEYS_S)).replace("@KEYS_MOST@", str(KEYS_MOST))
    head = "# Completion of s4 for fish, made by `s4 completion fish`.\n"
    return head + text + "\n".join(_fish_lines(verbs)) + "\n"


def _fish_lines(verbs: list[Verb]) -> Iterator[str]:
    for words in _stems(verbs):
        at = f"__s4_at {_fish_quoted(' '.join(words))}"
        for word in words_after(words, verbs):
            about = _fish_quoted(_about((*words, word), verbs))
            yield f"complete -c s4 -n {_fish_quoted(at)} -a {word} -d {about}"
        for option in _options_at(words, verbs):
            yield f"complete -c s4 -n {_fish_quoted(at)} {_fish_option(option)}"
        for place, its in enumerate(_place_kinds(words, verbs)):
            if its != "none":
                yield f"complete -c s4 -n {_fish_quoted(f'{at} {place}')} {_FISH_KINDS[its]}"


_FISH_KINDS = {
    "any": "-F -a '(__s4_keys; echo s3://)'",
    "key": "-a '(__s4_keys)'",
    "file": "-F",
    "verb": "-a '(complete -C \"s4 \")'",
}


def _fish_option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    value = {"": "", "file": " -r -F"}.get(option.argument and kind(option.argument), " -x")
    return f"{' '.join(names)}{value} -d {_fish_quoted(option.text)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
