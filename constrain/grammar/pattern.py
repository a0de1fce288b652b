r"""Lark literals and terminal definitions → Python `re` patterns with inline flags only.

A regular expression keeps its meaning in Python's `re`. Where Lark's own translation differs,
it is because Lark pastes texts: it evaluates `\x2a` to a bare `*` before `re` sees it, and it
joins `/a|b/ "c"` to `a|bc`. Here an escaped character is that character, and a part is a part.

A lexeme is the longest match, so a lazy quantifier would have no effect. Lark's library relies
on them (`ESCAPED_STRING`, `C_COMMENT`), so an alternative of a terminal that contains one means
its *shortest* matches: those with no proper prefix that matches as well. A greedy quantifier
after a lazy one has no such meaning and is refused.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lark import Token, Tree

from constrain.errors import (
    EmptyTerminalError,
    GrammarError,
    GrammarLimitError,
    GrammarSyntaxError,
    PatternError,
)
from constrain.grammar.larkfile import Body, Definition, Node, Source, declared_problem, name_token
from constrain.grammar.literal import escape

MAX_PATTERN = 200_000  # characters of one terminal's pattern
MAX_REPEAT = 65_536  # n and m of `~n..m`

ANY_CHARACTER = r"[\s\S]"


@dataclass(frozen=True)
class Piece:
    """A part of a terminal.

    Attributes:
        pattern: a Python `re` pattern.
        is_literal: it is one string as written.
        is_sealed: it may stand in a sequence as it is.
    """

    pattern: str
    is_literal: bool = False
    is_sealed: bool = True

    @property
    def sealed(self) -> str:
        """The pattern, grouped if it must be in a sequence."""
        return self.pattern if self.is_sealed else f"(?:{self.pattern})"


class PatternWriter:
    """Writes the patterns of terminals, each definition once."""

    def __init__(self) -> None:
        self._known: dict[Definition, Piece] = {}
        self._open: set[Definition] = set()

    def terminal(self, definition: Definition) -> Piece:
        """Return the pattern of a terminal that stands in a rule or is ignored.

        Raises:
            EmptyTerminalError: it matches the empty string.
            PatternError: a regular expression in it is malformed or mixes lazy and greedy.
        """
        piece = self._shortest_where_lazy(self.definition(definition), definition)
        check_not_empty(piece, definition.source, definition.name)
        return piece

    def definition(self, definition: Definition) -> Piece:
        """Return the pattern of a terminal as a part of others; it may match nothing."""
        if definition in self._known:
            return self._known[definition]
        source, name = definition.source, definition.name
        if not definition.bodies:
            raise source.error(GrammarError, declared_problem(name), name)
        if definition in self._open:
            problem = f"the terminal {str(name)!r} is defined by itself; only rules may recurse"
            raise source.error(GrammarSyntaxError, problem, name)
        self._open.add(definition)
        piece = _union([self.body(body) for body in definition.bodies])
        self._open.discard(definition)
        if len(piece.pattern) > MAX_PATTERN:
            problem = f"the terminal {str(name)!r} grows past {MAX_PATTERN} characters of pattern"
            raise source.error(GrammarLimitError, problem, name)
        self._known[definition] = piece
        return piece

    def body(self, body: Body) -> Piece:
        """Return the pattern of a right-hand side."""
        return self._expression(body.tree, body)

    def ignored(self, body: Body, at: Token) -> Piece:
        """Return the pattern of an `%ignore` with an inline definition."""
        parts = [self._expression(tree, body) for tree in _alternatives(body.tree)]
        piece = _union([shortest_where_lazy(part, body.module.source, at) for part in parts])
        check_not_empty(piece, body.module.source, at)
        return piece

    def _shortest_where_lazy(self, piece: Piece, definition: Definition) -> Piece:
        if _quantifiers(piece.pattern) == "greedy":
            return piece
        source, name = definition.source, definition.name
        parts = self._alternatives_of(definition)
        return _union([shortest_where_lazy(part, source, name) for part in parts])

    def _alternatives_of(self, definition: Definition) -> list[Piece]:
        parts: list[Piece] = []
        for body in definition.bodies:
            for tree in _alternatives(body.tree):
                referred = _only_terminal(tree)
                if referred is None:
                    parts.append(self._expression(tree, body))
                else:
                    parts += self._alternatives_of(body.bound[str(referred)])
        return parts

    def _expression(self, node: Node, body: Body) -> Piece:
        kind = node.data
        trees = [child for child in node.children if isinstance(child, Tree)]
        if kind in ("expansions", "expansion"):
            pieces = [self._expression(child, body) for child in trees]
            return _union(pieces) if kind == "expansions" else _sequence(pieces)
        if kind in ("maybe", "expr"):
            operator = "?" if kind == "maybe" else _operator(node, body.module.source)
            return _repeated(self._expression(trees[0], body), operator)
        if kind == "value":
            return self._expression(trees[0], body)
        if kind == "terminal":
            return self.definition(body.bound[str(name_token(node))])
        return leaf(node, body.module.source)


def leaf(node: Node, source: Source) -> Piece:
    """Return the pattern of a `literal` or `range` node."""
    if node.data == "range":
        return _range(node, source)
    if node.data != "literal":
        token = next(node.scan_values(lambda value: isinstance(value, Token)))
        raise source.error(GrammarSyntaxError, "a template cannot be used inside a terminal", token)
    token = node.children[0]
    assert isinstance(token, Token)
    return _string(token, source) if token.type == "STRING" else _regexp(token, source)


def check_not_empty(piece: Piece, source: Source, at: Token | int) -> None:
    """Raise EmptyTerminalError, pointing `at`, if the pattern matches the empty string."""
    if compile_re(piece.pattern, source, at).fullmatch(""):
        problem = (
            f"the terminal {str(at)!r} matches the empty string, and a lexeme has at least "
            f"one character; make the terminal longer and its use optional"
        )
        raise source.error(EmptyTerminalError, problem, at)


def compile_re(pattern: str, source: Source, at: Token | int) -> re.Pattern[str]:
    """Return the compiled pattern; an error points at the terminal as a whole."""
    compiled = _try_re(pattern, 0)
    if isinstance(compiled, re.Pattern):
        return compiled
    line, column = source.place(at)
    raise PatternError(
        compiled[0], pattern=pattern, position=compiled[1], line=line, column=column,
        source=source.text,
    )  # fmt: skip


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern.

    Raises:
        PatternError: Python's `re` refuses it.
    """
    compiled = _try_re(pattern, 0)
    if isinstance(compiled, re.Pattern):
        return compiled
    raise PatternError(compiled[0], pattern=pattern, position=compiled[1])


def scoped(pattern: str, flags: str = "") -> str:
    """Return `pattern` with its global flags, and `flags`, limited to itself."""
    leading = re.match(r"\(\?([aiLmsux]+)\)", pattern)
    if leading:
        flags += leading.group(1)
        pattern = pattern[leading.end() :]
    letters = "".join(sorted(set(flags) - {"u"}))
    if not letters:
        return pattern
    # In verbose mode the pattern may end in a comment, which would hide the bracket.
    return f"(?{letters}:{pattern}\n)" if "x" in letters else f"(?{letters}:{pattern})"


def shortest_where_lazy(piece: Piece, source: Source, at: Token) -> Piece:
    """Return the piece, or its shortest matches if it has a lazy quantifier."""
    order = _quantifiers(piece.pattern)
    if order == "greedy":
        return piece
    if order == "mixed":
        line, column = source.place(at)
        raise PatternError(
            f"{str(at)!r} has a greedy quantifier after a lazy one, so where it ends is "
            f'not defined by longest match; say where the lazy part stops, as in "[^"]*"',
            pattern=piece.pattern, line=line, column=column, source=source.text,
        )  # fmt: skip
    whole = f"(?:{piece.pattern})"
    # No proper prefix of the lexeme matches: the look-ahead ends inside the lexeme.
    return Piece(f"(?!{whole}{ANY_CHARACTER}){whole}")


# --- the parts ------------------------------------------------------------------------


def _union(pieces: list[Piece]) -> Piece:
    pieces = list(dict.fromkeys(pieces))
    if len(pieces) == 1:
        return pieces[0]
    return Piece(f"(?:{'|'.join(piece.pattern for piece in pieces)})")


def _sequence(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    return Piece("".join(piece.sealed for piece in pieces))


def _repeated(piece: Piece, operator: str) -> Piece:
    return Piece(f"(?:{piece.pattern}){operator}")


def _operator(node: Node, source: Source) -> str:
    tokens = [child for child in node.children if isinstance(child, Token)]
    if tokens[0].type == "OP":
        return str(tokens[0])
    low, high = repeat_bounds(node, source)
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def repeat_bounds(node: Node, source: Source) -> tuple[int, int]:
    """Return n and m of an `x~n..m` node; of `x~n`, n twice."""
    tilde, *numbers = [child for child in node.children if isinstance(child, Token)]
    if any(len(number) > 20 for number in numbers):
        bounds = [MAX_REPEAT + 1]
    else:
        bounds = [int(number) for number in numbers]
    low, high = bounds[0], bounds[-1]
    if max(bounds) > MAX_REPEAT:
        problem = f"a repetition ~n..m goes up to {MAX_REPEAT}"
        raise source.error(GrammarLimitError, problem, tilde)
    if not 0 <= low <= high:
        problem = f"the repetition ~{low}..{high} needs 0 <= n <= m"
        raise source.error(GrammarSyntaxError, problem, tilde)
    return low, high


def _alternatives(tree: Node) -> list[Node]:
    """Return the alternatives of an `expansions` tree, nested ones opened."""
    found: list[Node] = []
    for child in tree.children:
        assert isinstance(child, Tree)
        single = child.children[0] if child.data == "expansion" and child.children else None
        if child.data == "expansions":
            found += _alternatives(child)
        elif len(child.children) == 1 and isinstance(single, Tree) and single.data == "expansions":
            found += _alternatives(single)
        else:
            found.append(child)
    return found


def _only_terminal(tree: Node) -> Token | None:
    """Return the terminal that an alternative consists of, if it is just one."""
    node: Any = tree
    while isinstance(node, Tree) and len(node.children) == 1:
        if node.data == "terminal":
            return name_token(node)
        node = node.children[0]
    return None


_STRING_ESCAPE = re.compile(
    r"\\(?:([nftr])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\"\\])|(.))"
)
_CONTROL = {"n": "\n", "f": "\f", "t": "\t", "r": "\r"}


def string_value(token: Token, source: Source) -> str:
    """Return the text that a Lark string stands for.

    Raises:
        GrammarSyntaxError: an escape in it is malformed or no character.
    """

    def replace(match: re.Match[str]) -> str:
        control, x, u, big_u, itself, other = match.groups()
        digits = x or u or big_u
        at = (token.start_pos or 0) + 1 + match.start()
        if other in ("x", "u", "U") or (digits and int(digits, 16) > 0x10FFFF):
            problem = f"the escape {match.group()!r} is malformed: \\xHH, \\uHHHH or \\UHHHHHHHH"
            raise source.error(GrammarSyntaxError, problem, at)
        if digits and 0xD800 <= int(digits, 16) <= 0xDFFF:
            problem = f"{match.group()} is a surrogate and no character of its own"
            raise source.error(GrammarSyntaxError, problem, at)
        if digits:
            return chr(int(digits, 16))
        return _CONTROL[control] if control else itself or match.group()

    return _STRING_ESCAPE.sub(replace, token[1 : token.rindex('"')])


def _string(token: Token, source: Source) -> Piece:
    value = string_value(token, source)
    if not value:
        problem = 'the string "" is empty, and a lexeme has at least one character; remove it'
        raise source.error(EmptyTerminalError, problem, token)
    pattern = escape(value)
    return Piece(f"(?i:{pattern})" if token.endswith("i") else pattern, is_literal=True)


def _range(node: Node, source: Source) -> Piece:
    tokens = [child for child in node.children if isinstance(child, Token)]
    ends = []
    for token in tokens:
        value = string_value(token, source)
        if token.endswith("i") or len(value) != 1:
            problem = f"{token} is no end of a range: it must be one character, without flag"
            raise source.error(GrammarSyntaxError, problem, token)
        ends.append(value)
    low, high = ends
    if low > high:
        problem = f"the range {low!r}..{high!r} is empty; swap its ends"
        raise source.error(GrammarSyntaxError, problem, tokens[0])
    return Piece(f"[{_escape_in_class(low)}-{_escape_in_class(high)}]")


def _escape_in_class(character: str) -> str:
    return "\\^" if character == "^" else escape(character)


def _regexp(token: Token, source: Source) -> Piece:
    end = token.rindex("/")
    pattern, flags = token[1:end], token[end + 1 :]
    _check_regexp(token, pattern, flags, source)
    piece = scoped(pattern, flags)
    return Piece(piece, is_sealed="|" not in piece)


def _check_regexp(token: Token, pattern: str, flags: str, source: Source) -> None:
    start = (token.start_pos or 0) + 1
    if "l" in flags:
        problem = "the flag `l` (locale) has no meaning on Unicode text; remove it"
        raise source.error(GrammarSyntaxError, problem, start + len(pattern) + 1)
    if "\n" in pattern and "x" not in flags:
        problem = "a regular expression over several lines needs the flag `x`; is a `/` missing?"
        raise source.error(GrammarSyntaxError, problem, start - 1)
    mask = 0
    for flag in flags:
        mask |= getattr(re, flag.upper())
    compiled = _try_re(pattern, mask)
    if not isinstance(compiled, re.Pattern):
        problem, position = compiled
        line, column = source.place(start + (position or 0))
        raise PatternError(
            problem, pattern=pattern, position=position, line=line, column=column,
            source=source.text,
        )  # fmt: skip


def _try_re(pattern: str, flags: int) -> re.Pattern[str] | tuple[str, int | None]:
    """Return the compiled pattern, or what is wrong with it and where."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(pattern, flags)
    except re.error as error:
        return f"the regular expression is malformed: {error.msg}", error.pos
    except (OverflowError, RecursionError, ValueError) as error:
        return f"the regular expression is too large: {error}", None


_sre: Any = import_module("re._parser")
_sre_names: Any = import_module("re._constants")


def _quantifiers(pattern: str) -> str:
    """Say how lazy a pattern is: "greedy", "lazy", or "mixed" (greedy after lazy).

    A quantifier counts where its part ends; those inside look-arounds do not count.
    """
    if not re.search(r"[*+?}]\s*\?", pattern):
        return "greedy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        events = list(_quantifier_events(_sre.parse(pattern)))
    if True not in events:
        return "greedy"
    return "mixed" if False in events[events.index(True) :] else "lazy"


def _quantifier_events(node: Any) -> Any:
    """Yield, in order of their ends, True for a lazy quantifier, False for a greedy one."""
    if isinstance(node, _sre.SubPattern):
        for operation, argument in node.data:
            if operation in (_sre_names.ASSERT, _sre_names.ASSERT_NOT):
                continue
            yield from _quantifier_events(argument)
            repeats = (_sre_names.MIN_REPEAT, _sre_names.MAX_REPEAT)
            if operation in repeats and argument[0] != argument[1]:
                yield operation is _sre_names.MIN_REPEAT
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _quantifier_events(child)
