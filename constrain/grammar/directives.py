"""What Lark's grammar language lacks: one-line directives for whole languages.

    %reserve NAME: "if" "else" "select"i
    %refuse NUMBER: NUMBER_AND_WORD
    %guard NAME ARROW
    %layout indentation newline=_NEWLINE indent=_INDENT dedent=_DEDENT open=LPAR close=RPAR
    %layout semicolons newline=NEWLINE semicolon=SEMICOLON after=IDENT,RPAR
    %mode open=STRING_START close=STRING_END ignore=BLANK

`%reserve` takes texts away from a terminal; `%refuse` lets a lexeme not begin what another
terminal matches, which need be in no rule; `%guard` does so for all lexemes, as far as the
guard is longer; `%layout` says what line ends mean (see `Indentation` and `Semicolons`), and
`%mode` adds a `Mode` to indentation. To Lark's parser they are comments.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

from constrain.grammar.rules import LINE_END, NEVER, Indentation, Layout, Mode, Semicolons

_DIRECTIVE = re.compile(r"^%(?:reserve|refuse|guard|layout|mode)\b.*$", re.MULTILINE)
_REFUSE = re.compile(r"%refuse\s+(?P<name>[_A-Z][_A-Z0-9]*)\s*:\s*(?P<other>[_A-Z][_A-Z0-9]*)\s*")
_RESERVE = re.compile(r'%reserve\s+(?P<name>[_A-Z][_A-Z0-9]*)\s*:(?P<words>(?:\s*"[^"\n]*"i?)+)\s*')
_WORD = re.compile(r'(?P<text>"[^"\n]*")(?P<flag>i?)')
_LAYOUT = re.compile(r"%layout\s+(?P<kind>\w+)(?P<options>(?:\s+[a-z]+=[\w,]+)*)\s*")
_GUARD = re.compile(r"%guard(?P<names>(?:\s+[_A-Z][_A-Z0-9]*)+)\s*")
_MODE = re.compile(r"%mode(?P<options>(?:\s+[a-z]+=[\w,]+)*)\s*")
_MODE_KEYS = {"open", "switch", "close", "ignore"}
_KEYS = {
    "indentation": {"newline", "indent", "dedent", "open", "close", "continuation"},
    "semicolons": {"newline", "semicolon", "after"},
}
_OPTIONAL = {"open", "close", "continuation"}


@dataclass(frozen=True)
class Reserved:
    """One word of a `%reserve`.

    Attributes:
        terminal: from which it is taken.
        position: of the directive in the text.
    """

    terminal: str
    text: str
    ignores_case: bool
    position: int


@dataclass(frozen=True)
class Refused:
    """A `%refuse`: where `other` matches, there is no lexeme of `terminal`."""

    terminal: str
    other: str
    position: int


@dataclass(frozen=True)
class Directives:
    """All directives of one grammar text.

    Attributes:
        guards: the terminals named by `%guard`.
        position: of the `%layout`, in the text.
    """

    reserved: tuple[Reserved, ...] = ()
    refused: tuple[Refused, ...] = ()
    guards: tuple[str, ...] = ()
    layout: Layout | None = None
    position: int = 0

    @property
    def made_by_layout(self) -> dict[str, str]:
        """The patterns of the terminals that the layout defines, by name."""
        if not isinstance(self.layout, Indentation):
            return {}
        made = {self.layout.indent: NEVER, self.layout.dedent: NEVER}
        return {self.layout.newline: LINE_END, **made}


class DirectiveError(Exception):
    """A directive that is malformed, for `larkfile`, which knows lines and columns."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.position = position


def hide_directives(text: str) -> str:
    """The text with directives made comments, every other character in its place."""
    return _DIRECTIVE.sub(lambda found: "//" + found.group()[2:], text)


def read_directives(text: str) -> Directives:
    """All directives of a grammar text.

    Raises:
        DirectiveError: one is malformed, or there are two layouts.
    """
    reserved: list[Reserved] = []
    refused: list[Refused] = []
    guards: list[str] = []
    layout: Layout | None = None
    modes: list[Mode] = []
    position = 0
    for found in _DIRECTIVE.finditer(text):
        if found.group().startswith("%reserve"):
            reserved += _read_reserve(found.group(), found.start())
            continue
        if found.group().startswith("%refuse"):
            refused.append(_read_refuse(found.group(), found.start()))
            continue
        if found.group().startswith("%guard"):
            guards += _read_guard(found.group(), found.start())
            continue
        if found.group().startswith("%mode"):
            modes.append(_read_mode(found.group(), found.start()))
            continue
        if layout is not None:
            raise DirectiveError("a grammar has one %layout; leave this one out", found.start())
        layout, position = _read_layout(found.group(), found.start()), found.start()
    if modes:
        if not isinstance(layout, Indentation):
            raise DirectiveError("a %mode belongs to `%layout indentation`; add one", position)
        layout = replace(layout, modes=tuple(modes))
    return Directives(tuple(reserved), tuple(refused), tuple(guards), layout, position)


def _read_reserve(line: str, position: int) -> list[Reserved]:
    found = _RESERVE.fullmatch(line)
    if found is None:
        problem = 'a %reserve is written `%reserve NAME: "word" "other"i`, on one line'
        raise DirectiveError(problem, position)
    words = []
    for word in _WORD.finditer(found["words"]):
        try:
            text = ast.literal_eval(word["text"])
        except (SyntaxError, ValueError):
            problem = f"the string {word['text']} has an escape that means nothing"
            raise DirectiveError(problem, position) from None
        words.append(Reserved(found["name"], text, bool(word["flag"]), position))
    return words


def _read_refuse(line: str, position: int) -> Refused:
    found = _REFUSE.fullmatch(line)
    if found is None:
        raise DirectiveError("a %refuse is written `%refuse NAME: OTHER`", position)
    return Refused(found["name"], found["other"], position)


def _read_guard(line: str, position: int) -> list[str]:
    found = _GUARD.fullmatch(line)
    if found is None:
        raise DirectiveError("a %guard is written `%guard NAME OTHER ...`", position)
    return found["names"].split()


def _read_mode(line: str, position: int) -> Mode:
    found = _MODE.fullmatch(line)
    options = _options(found["options"]) if found else None
    if not options or not set(options) <= _MODE_KEYS:
        problem = f"a %mode is written `%mode key=TERMINAL,OTHER ...`, of {', '.join(_MODE_KEYS)}"
        raise DirectiveError(problem, position)
    return Mode(*(options.get(key, ()) for key in ("open", "switch", "close", "ignore")))


def _options(text: str) -> dict[str, tuple[str, ...]] | None:
    """Keys and their names; None if a key is there twice."""
    pairs = [option.split("=") for option in text.split()]
    options = {key: tuple(names.split(",")) for key, names in pairs}
    return options if len(options) == len(pairs) else None


def _read_layout(line: str, position: int) -> Layout:
    found = _LAYOUT.fullmatch(line)
    if found is None or found["kind"] not in _KEYS:
        problem = f"a %layout is written `%layout {' | '.join(_KEYS)} key=TERMINAL,OTHER ...`"
        raise DirectiveError(problem, position)
    options = _options(found["options"])
    keys = _KEYS[found["kind"]]
    if options is None or not keys - _OPTIONAL <= set(options) <= keys:
        problem = f"the layout {found['kind']} takes {', '.join(sorted(keys))}, each once"
        raise DirectiveError(problem, position)
    if found["kind"] == "semicolons":
        (semicolon,) = _single(options, "semicolon", position)
        return Semicolons(options["newline"], semicolon, options["after"])
    newline, indent, dedent, continuation = (
        _single(options, key, position)[0]
        for key in ("newline", "indent", "dedent", "continuation")
    )
    opening, closing = options.get("open", ()), options.get("close", ())
    if len(opening) != len(closing):
        raise DirectiveError("there are as many `open` terminals as `close` ones", position)
    return Indentation(newline, indent, dedent, opening, closing, continuation)


def _single(options: dict[str, tuple[str, ...]], key: str, position: int) -> tuple[str]:
    names = options.get(key, ("",))
    if len(names) != 1:
        raise DirectiveError(f"`{key}` is one terminal, not {len(names)}", position)
    return (names[0],)
