r"""A Python `re` pattern → a tree of six kinds of nodes.

Anchors and word boundaries become look-arounds, flags go into the sets of characters, and
greedy or lazy makes no difference to which texts match. What is no regular language, and what
has no meaning on a whole lexeme, is refused.

`re`'s own parser reads the pattern, so that the two never disagree about what is written.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from constrain.automata.charset import EVERY, Ranges, characters, complement
from constrain.errors import PatternError

_op: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Cat:
    """One after the other; empty: the empty text."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Alt:
    """Any of them; empty: nothing at all."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Repeat:
    """From `low` to `high` times; without end if that is None."""

    part: Tree
    low: int
    high: int | None


@dataclass(frozen=True)
class Look:
    """A look-around: whether `part` matches from here on (ahead), or up to here."""

    part: Tree
    ahead: bool
    negated: bool


@dataclass(frozen=True)
class Shortest:
    r"""The matches of `part` that have no proper beginning that matches.

    In a pattern: `(?!(?:part)[\s\S])(?:part)`, where `part` sees nothing outside itself.
    """

    part: Tree


Tree = Chars | Cat | Alt | Repeat | Look | Shortest

EMPTY = Cat(())
ANY = Chars(EVERY)
_NEWLINE = Chars(((10, 10),))
_NOT_NEWLINE = Chars(complement(_NEWLINE.ranges))
AT_START = Look(ANY, ahead=False, negated=True)
AT_END = Look(ANY, ahead=True, negated=True)
_TYPE_FLAGS = re.ASCII | re.LOCALE | re.UNICODE
_NO_BOUNDARY_IN_EMPTY = re.fullmatch(r"\B", "") is None  # it differs between Pythons

_REFUSED = {  # what to say, and a pattern of how it is written
    _op.GROUPREF: ("a back-reference is not regular; write out its text", r"\\[1-9]|\(\?P="),
    _op.GROUPREF_EXISTS: ("a conditional group is refused; write two alternatives", r"\(\?\("),
    _op.ATOMIC_GROUP: ("an atomic group is refused; use (?:…)", r"\(\?>"),
    _op.POSSESSIVE_REPEAT: ("a possessive quantifier is refused; leave its + out", r"[*+?}]\+"),
}


def parse(pattern: str) -> Tree:
    """The tree of a pattern.

    Raises:
        PatternError: it is malformed, or not regular.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = _parser.parse(pattern)
            if "(?<" in pattern:
                re.compile(pattern)  # the rule of look-behinds is checked only here
    except re.error as error:
        raise PatternError(
            f"the regular expression is malformed: {error.msg}", pattern=pattern, position=error.pos
        ) from None
    except OverflowError as error:
        raise PatternError(
            f"the regular expression is too large: {error}", pattern=pattern
        ) from None
    return _Reader(pattern).sequence(parsed, parsed.state.flags)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def sequence(self, nodes: Any, flags: int) -> Tree:
        parts: list[Tree] = []
        for operation, argument in nodes:
            parts.append(self.node(operation, argument, flags))
        return parts[0] if len(parts) == 1 else Cat(tuple(parts))

    def node(self, operation: Any, argument: Any, flags: int) -> Tree:
        ranges = characters(operation, argument, flags)
        if ranges is not None:
            return Chars(ranges)
        if operation is _op.SUBPATTERN:
            _, add, remove, part = argument
            if add & _TYPE_FLAGS:
                flags &= ~_TYPE_FLAGS
            return self.sequence(part, (flags | add) & ~remove)
        if operation is _op.BRANCH:
            return Alt(tuple(self.sequence(part, flags) for part in argument[1]))
        if operation in (_op.MAX_REPEAT, _op.MIN_REPEAT):
            low, high, part = argument
            most = None if high is _op.MAXREPEAT else int(high)
            return Repeat(self.sequence(part, flags), int(low), most)
        if operation in (_op.ASSERT, _op.ASSERT_NOT):
            direction, part = argument
            return Look(self.sequence(part, flags), direction > 0, operation is _op.ASSERT_NOT)
        return self._without_part(operation, argument, flags)

    def _without_part(self, operation: Any, argument: Any, flags: int) -> Tree:
        if operation is _op.AT:
            return _anchor(argument, flags)
        if operation is _op.FAILURE:
            return Alt(())
        problem, shown = _REFUSED.get(operation, (f"{operation} of `re` is not supported", "(?!)"))
        position = _position(self._pattern, shown)
        raise PatternError(problem, pattern=self._pattern, position=position)


def _anchor(kind: Any, flags: int) -> Tree:
    if kind in (_op.AT_BOUNDARY, _op.AT_NON_BOUNDARY):
        return _boundary(kind is _op.AT_BOUNDARY, flags)
    line = Look(_NOT_NEWLINE, ahead=kind is _op.AT_END, negated=True)
    if kind is _op.AT_BEGINNING:
        return line if flags & re.MULTILINE else AT_START
    if kind is _op.AT_END:
        last_newline = Cat((Repeat(_NEWLINE, 0, 1), AT_END))
        return line if flags & re.MULTILINE else Look(last_newline, ahead=True, negated=False)
    return AT_START if kind is _op.AT_BEGINNING_STRING else AT_END


def _boundary(wanted: bool, flags: int) -> Tree:
    category = [(_op.CATEGORY, _op.CATEGORY_WORD)]
    word = Chars(characters(_op.IN, category, flags & ~re.IGNORECASE) or ())
    before = [Look(word, ahead=False, negated=negated) for negated in (False, True)]
    after = [Look(word, ahead=True, negated=negated) for negated in (False, True)]
    if wanted:
        return Alt((Cat((before[0], after[1])), Cat((before[1], after[0]))))
    outside: tuple[Tree, ...] = (before[1], after[1])
    if _NO_BOUNDARY_IN_EMPTY:
        outside += (Alt((Look(ANY, True, False), Look(ANY, False, False))),)
    return Alt((Cat((before[0], after[0])), Cat(outside)))


def shortest_parts(tree: Tree, is_self_contained: Callable[[Tree], bool]) -> Tree:
    r"""The tree with `Shortest(P)` for the alternatives that are `(?!(?:P)[\s\S])` and P.

    Only for alternatives of the whole pattern, and only where P sees nothing outside itself:
    elsewhere the look-ahead may end outside of what P matches.
    """
    if isinstance(tree, Alt):
        return Alt(tuple(shortest_parts(part, is_self_contained) for part in tree.parts))
    if not isinstance(tree, Cat) or not tree.parts or not isinstance(tree.parts[0], Look):
        return tree
    look, rest = tree.parts[0], tree.parts[1:]
    part = rest[0] if len(rest) == 1 else Cat(rest)
    body = look.part.parts if isinstance(look.part, Cat) else ()
    inner = part.parts if isinstance(part, Cat) else (part,)
    wanted = look.ahead and look.negated and body in ((part, ANY), (*inner, ANY))
    return Shortest(part) if wanted and is_self_contained(part) else tree


def looks(tree: Tree) -> bool:
    """Whether there is a look-around in the tree."""
    if isinstance(tree, Look):
        return True
    if isinstance(tree, Cat | Alt):
        return any(looks(part) for part in tree.parts)
    return isinstance(tree, Repeat | Shortest) and looks(tree.part)


def _position(pattern: str, shown: str) -> int | None:
    """Where `shown`, itself a pattern, first stands in a pattern outside classes and escapes."""
    comment = "|#[^\n]*" if re.match(r"\(\?[a-w]*x", pattern) else ""
    tokens = re.compile(rf"(?P<found>{shown})|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]{comment}|.", re.DOTALL)
    for token in tokens.finditer(pattern):
        if token["found"] is not None:
            return token.start()
    return None
