"""Languages of strings' contents, and what JSON writes for them between the quotes.

A content is a text of Unicode, encoded as UTF-8. Half a surrogate pair is no text.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from constrain.automata.dfa import ByteDFA, canonical, compile_literals, subtract
from constrain.automata.regex import compile_pattern
from constrain.errors import GrammarError, GrammarLimitError
from constrain.schema.spelling import spell

__all__ = ["ANY", "MAX_LENGTH", "complement", "length", "literals", "spell"]

ANY = compile_pattern(r"[\s\S]*")
"""All texts."""

MAX_LENGTH = 4096
"""Characters that `length` can count; each takes 8 states."""

_CONTINUATIONS = (1, 2, 3)  # the byte classes of 80–8F, 90–9F, A0–BF
_BYTE_RANGES = (  # by byte class; the last class is of bytes that UTF-8 has not
    ((0x00, 0x7F),), ((0x80, 0x8F),), ((0x90, 0x9F),), ((0xA0, 0xBF),), ((0xC2, 0xDF),),
    ((0xE0, 0xE0),), ((0xE1, 0xEC), (0xEE, 0xEF)), ((0xED, 0xED),), ((0xF0, 0xF0),),
    ((0xF1, 0xF3),), ((0xF4, 0xF4),),
)  # fmt: skip
_N_CLASSES = len(_BYTE_RANGES) + 1
_PER_CHARACTER = 8  # states: one before the character, seven inside it
_LEADS = ((4, 1), (5, 4), (6, 2), (7, 5), (8, 6), (9, 3), (10, 7))  # byte class, state inside
_INSIDE = (  # state inside, byte classes, the next one; 0 is the character's end
    (1, _CONTINUATIONS, 0), (2, _CONTINUATIONS, 1), (3, _CONTINUATIONS, 2),
    (4, (3,), 1), (5, (1, 2), 1), (6, (2, 3), 2), (7, (1,), 2),
)  # fmt: skip


@lru_cache(maxsize=1024)
def complement(content: ByteDFA) -> ByteDFA:
    """All texts but those of `content`.

    Raises:
        GrammarLimitError: the automaton would be too large.
    """
    return subtract(ANY, content)


@lru_cache(maxsize=256)
def length(minimum: int, maximum: int | None) -> ByteDFA:
    """The texts of `minimum` to `maximum` code points; None: of as many as you like.

    Raises:
        GrammarLimitError: a number is larger than MAX_LENGTH.
    """
    last = minimum if maximum is None else maximum
    if max(minimum, last) > MAX_LENGTH:
        raise GrammarLimitError(
            f"a length of {max(minimum, last)} characters is asked for; at most {MAX_LENGTH} are "
            f"counted"
        )
    if last < max(minimum, 0):
        return compile_literals([])
    column = np.full(256, _N_CLASSES - 1)
    for k, ranges in enumerate(_BYTE_RANGES):
        for low, high in ranges:
            column[low : high + 1] = k
    before = 1 + _PER_CHARACTER * np.arange(last + 1)
    after = np.minimum(before + _PER_CHARACTER, before[-1])
    table = np.zeros((1 + _PER_CHARACTER * (last + 1), _N_CLASSES), np.int32)
    moving = slice(None) if maximum is None else slice(0, last)
    table[before[moving], 0] = after[moving]
    inside = np.minimum(before, max(int(before[-1]) - _PER_CHARACTER, 1))  # the last two share
    for k, inner in _LEADS:
        table[before[moving], k] = inside[moving] + inner
    for inner, classes, target in _INSIDE:
        for k in classes:
            ends = after if target == 0 else before + target
            table[before[moving] + inner, k] = ends[moving]
    accepting = np.zeros(len(table), np.bool_)
    accepting[before[max(minimum, 0) :]] = True
    return canonical(table, accepting, column)


def literals(texts: Iterable[str]) -> ByteDFA:
    """Exactly the given texts.

    Raises:
        GrammarError: half a surrogate pair stands in one.
        GrammarLimitError: they have too many different beginnings.
    """
    return _literals(frozenset(texts))


@lru_cache(maxsize=1024)
def _literals(texts: frozenset[str]) -> ByteDFA:
    try:
        return compile_literals(text.encode() for text in sorted(texts))
    except UnicodeEncodeError as error:
        raise GrammarError(
            f"{error.object!r} has half a surrogate pair at {error.start}, which no text of "
            f"Unicode has; leave that text out"
        ) from None
