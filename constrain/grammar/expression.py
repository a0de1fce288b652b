"""Expressions over characters and names: what a rule of a scannerless grammar says.

Sets of characters are sorted, disjoint (first, last) code points. An expression without names
is regular, and `pattern` writes it for Python's `re`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from constrain.grammar.literal import escape

LAST_CHARACTER = 0x10FFFF
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Text:
    """A text of one character at least."""

    value: str


@dataclass(frozen=True)
class Name:
    """Whatever the rule of that name says.

    Attributes:
        at: the place in the grammar's text.
    """

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Cat:
    """One after the other; empty: the empty text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Alt:
    """Any of them; there are two at least."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Repeat:
    """From `low` to `high` times; without end if that is None."""

    part: Expression
    low: int
    high: int | None


Expression = Chars | Text | Name | Cat | Alt | Repeat

EMPTY = Cat(())


def cat(parts: Iterable[Expression]) -> Expression:
    """The sequence of some expressions, flat."""
    flat: list[Expression] = []
    for part in parts:
        flat += part.parts if isinstance(part, Cat) else [part]
    return flat[0] if len(flat) == 1 else Cat(tuple(flat))


def alt(parts: Iterable[Expression]) -> Expression:
    """The choice between some expressions, of which there is one; flat, each one once."""
    flat: dict[Expression, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, Alt) else [part]))
    return next(iter(flat)) if len(flat) == 1 else Alt(tuple(flat))


def children(expression: Expression) -> tuple[Expression, ...]:
    """What an expression is made of."""
    if isinstance(expression, Cat | Alt):
        return expression.parts
    return (expression.part,) if isinstance(expression, Repeat) else ()


def names(expression: Expression) -> Iterator[Name]:
    """The names in an expression, as they stand in it."""
    if isinstance(expression, Name):
        yield expression
    for part in children(expression):
        yield from names(part)


def is_nullable(expression: Expression) -> bool:
    """Whether a regular expression matches the empty text."""
    if isinstance(expression, Cat):
        return all(is_nullable(part) for part in expression.parts)
    if isinstance(expression, Alt):
        return any(is_nullable(part) for part in expression.parts)
    return isinstance(expression, Repeat) and (
        expression.low == 0 or expression.high == 0 or is_nullable(expression.part)
    )


def without_empty(expression: Expression) -> Expression | None:
    """A regular expression's texts but the empty one; None if there is no other."""
    if not is_nullable(expression):
        return expression
    if isinstance(expression, Alt):
        parts = [part for one in expression.parts if (part := without_empty(one)) is not None]
        return alt(parts) if parts else None
    if isinstance(expression, Repeat):
        part = without_empty(expression.part)
        if part is None or expression.high == 0:
            return None
        return Repeat(part, 1, expression.high)
    assert isinstance(expression, Cat)
    middle = len(expression.parts) // 2
    if middle == 0:
        return without_empty(expression.parts[0]) if expression.parts else None
    # Both halves are nullable. Halves, so that the result is longer by a logarithm only.
    left, right = cat(expression.parts[:middle]), cat(expression.parts[middle:])
    first, second = without_empty(left), without_empty(right)
    found = [cat([first, right])] if first is not None else []
    found += [second] if second is not None else []
    return alt(found) if found else None


def loosened(expression: Expression) -> Expression:
    """The same texts, with `x{n,m}` written as `x{n}(x?){m-n}`.

    The NFA has more edges, and may have far fewer sets of states: how many of the optional
    parts are left to read is known up to the least number that it can be.
    """
    if isinstance(expression, Cat):
        return cat(loosened(part) for part in expression.parts)
    if isinstance(expression, Alt):
        return alt(loosened(part) for part in expression.parts)
    if not isinstance(expression, Repeat):
        return expression
    part, low, high = loosened(expression.part), expression.low, expression.high
    if high is None or high - low < 2:
        return Repeat(part, low, high)
    option = Repeat(Repeat(part, 0, 1), high - low, high - low)
    return cat([Repeat(part, low, low), option]) if low else option


def complement(ranges: Ranges) -> Ranges:
    """All other characters."""
    edges = [-1, *(end for pair in ranges for end in pair), LAST_CHARACTER + 1]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple((low + 1, high - 1) for low, high in pairs if low + 1 <= high - 1)


def union(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """The set of characters of some (first, last) pairs in any order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def is_only_surrogates(ranges: Ranges) -> bool:
    """Whether no character of a set can be spelled in UTF-8."""
    return all(low >= FIRST_SURROGATE and high <= LAST_SURROGATE for low, high in ranges)


# --- writing --------------------------------------------------------------------------


def pattern(expression: Expression) -> str:
    """A regular expression as a pattern of Python's `re`."""
    if isinstance(expression, Chars):
        return _class(expression.ranges)
    if isinstance(expression, Text):
        return escape(expression.value)
    if isinstance(expression, Cat):
        return "".join(
            f"(?:{pattern(part)})" if isinstance(part, Alt) else pattern(part)
            for part in expression.parts
        )
    if isinstance(expression, Alt):
        return "|".join(pattern(part) for part in expression.parts)
    assert isinstance(expression, Repeat), expression
    part = pattern(expression.part)
    if not isinstance(expression.part, Chars):
        part = f"(?:{part})"
    return part + _times(expression.low, expression.high)


def _times(low: int, high: int | None) -> str:
    simple = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (low, high) in simple:
        return simple[low, high]
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"


def _class(ranges: Ranges) -> str:
    inside = complement(ranges) if ranges[-1][1] == LAST_CHARACTER else ranges
    if not inside:
        return r"[\s\S]"
    written = "".join(
        _member(low) + (f"-{_member(high)}" if high > low else "") for low, high in inside
    )
    return f"[{'' if inside is ranges else '^'}{written}]"


def _member(code_point: int) -> str:
    character = chr(code_point)
    if character.isascii() and character.isprintable():
        return escape(character)
    if code_point < 0x100:
        return f"\\x{code_point:02x}"
    return f"\\u{code_point:04x}" if code_point < 0x10000 else f"\\U{code_point:08x}"


def show(expression: Expression) -> str:
    """An expression as GBNF writes it."""
    if isinstance(expression, Name):
        return expression.name
    if isinstance(expression, Text):
        return '"' + "".join(map(_shown_character, expression.value)).replace('"', '\\"') + '"'
    if isinstance(expression, Chars):
        return _class(expression.ranges).replace(r"[\s\S]", ".")
    if isinstance(expression, Cat):
        return " ".join(_shown_part(part, Alt) for part in expression.parts) or '""'
    if isinstance(expression, Alt):
        return " | ".join(show(part) for part in expression.parts)
    return _shown_part(expression.part, Alt | Cat) + _times(expression.low, expression.high)


def _shown_character(character: str) -> str:
    simple = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
    if character in simple:
        return simple[character]
    return character if character.isprintable() else _member(ord(character))


def _shown_part(part: Expression, loose: object) -> str:
    needs_brackets = isinstance(part, loose) and part != EMPTY  # type: ignore[arg-type]
    return f"({show(part)})" if needs_brackets else show(part)
