r"""One item of a Python pattern that matches a single character → the characters it matches.

What `\w`, a class or a letter under IGNORECASE matches is asked of Python's `re` itself, by
one sweep over the characters in question: so it is right by construction, for the running
Python.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import numpy as np

_op: Any = import_module("re._constants")

Ranges = tuple[tuple[int, int], ...]
"""Sets of characters: disjoint (first, last) code points, sorted, without surrogates."""

FIRST_SURROGATE, LAST_SURROGATE, LAST_CHARACTER = 0xD800, 0xDFFF, 0x10FFFF
EVERY: Ranges = ((0, FIRST_SURROGATE - 1), (LAST_SURROGATE + 1, LAST_CHARACTER))

_LEAF_FLAGS = re.IGNORECASE | re.ASCII | re.DOTALL
_BLOCK = 256  # characters; divides the first and the last surrogate's place
_CATEGORIES = {
    _op.CATEGORY_DIGIT: r"\d",
    _op.CATEGORY_NOT_DIGIT: r"\D",
    _op.CATEGORY_SPACE: r"\s",
    _op.CATEGORY_NOT_SPACE: r"\S",
    _op.CATEGORY_WORD: r"\w",
    _op.CATEGORY_NOT_WORD: r"\W",
}


def characters(operation: Any, argument: Any, flags: int) -> Ranges | None:
    """The characters that a node of `re`'s syntax tree matches; None if it is no such node.

    Args:
        operation: what kind of node it is.
        argument: what belongs to it.
        flags: those in force there, as `re` numbers them.
    """
    if operation is _op.LITERAL:
        return _literal(argument, flags & _LEAF_FLAGS)
    return _node(operation, argument, flags)


@lru_cache(maxsize=4096)
def _literal(code_point: int, flags: int) -> Ranges | None:
    return _node(_op.LITERAL, code_point, flags)


def _node(operation: Any, argument: Any, flags: int) -> Ranges | None:
    if not flags & re.IGNORECASE and (simple := _simple(operation, argument, flags)) is not None:
        return simple
    if operation is _op.LITERAL:
        shown = _escape(argument)
    elif operation is _op.NOT_LITERAL:
        shown = f"[^{_escape(argument)}]"
    elif operation is _op.ANY:
        shown = "."
    elif operation is _op.IN:
        shown = f"[{''.join(_class_item(*item) for item in argument)}]"
    else:
        return None
    if not flags & re.IGNORECASE:
        return _matching(shown, flags & _LEAF_FLAGS, EVERY)
    exact = _node(operation, argument, flags & ~re.IGNORECASE) or ()
    return _in_either_case(exact, shown, flags & _LEAF_FLAGS)


def without_surrogates(pairs: Sequence[tuple[int, int]]) -> Ranges:
    """The union of (first, last) pairs in any order, surrogates taken out."""
    merged: list[list[int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    parts: list[tuple[int, int]] = []
    for low, high in merged:
        parts.append((low, min(high, FIRST_SURROGATE - 1)))
        parts.append((max(low, LAST_SURROGATE + 1), high))
    return tuple((low, high) for low, high in parts if low <= high)


def _simple(operation: Any, argument: Any, flags: int) -> Ranges | None:
    """The characters of a node that is nothing but code points; None for any other."""
    if operation is _op.ANY:
        return EVERY if flags & re.DOTALL else complement(((10, 10),))
    if operation is _op.LITERAL:
        return without_surrogates([(argument, argument)])
    if operation is _op.NOT_LITERAL:
        return complement(((argument, argument),))
    if operation is not _op.IN or any(item[0] is _op.CATEGORY for item in argument):
        return None
    items = [item for item in argument if item[0] is not _op.NEGATE]
    pairs = without_surrogates([(a, a) if op is _op.LITERAL else a for op, a in items])
    return pairs if len(items) == len(argument) else complement(pairs)


def complement(ranges: Ranges) -> Ranges:
    """All characters that are not in a set."""
    lows = [0, *(high + 1 for _, high in ranges)]
    highs = [*(low - 1 for low, _ in ranges), LAST_CHARACTER]
    return without_surrogates([(a, b) for a, b in zip(lows, highs, strict=True) if a <= b])


def _class_item(operation: Any, argument: Any) -> str:
    if operation is _op.NEGATE:
        return "^"
    if operation is _op.LITERAL:
        return _escape(argument)
    if operation is _op.RANGE:
        return f"{_escape(argument[0])}-{_escape(argument[1])}"
    return _CATEGORIES[argument]


def _escape(code_point: int) -> str:
    return f"\\U{code_point:08x}"


@cache
def _matching(pattern: str, flags: int, within: Ranges) -> Ranges:
    """The characters of `within` that a one-character pattern matches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = re.compile(f"{pattern}+", flags)
    return without_surrogates(
        [
            (low + match.start(), low + match.end() - 1)
            for low, high in within
            for match in runs.finditer(_text(low, high))
        ]
    )


@cache
def _in_either_case(exact: Ranges, pattern: str, flags: int) -> Ranges:
    """The characters that a pattern matches, of which `exact` without IGNORECASE."""
    uncased = complement(without_surrogates([*complement(exact), *_cased()]))
    return without_surrogates([*uncased, *_matching(pattern, flags, _cased())])


@cache
def _cased() -> Ranges:
    """Blocks with all characters that IGNORECASE may take for others."""
    starts = [start for low, high in EVERY for start in range(low, high + 1, _BLOCK)]
    blocks = [(start, _text(start, start + _BLOCK - 1)) for start in starts]
    return without_surrogates(
        [
            (start, start + _BLOCK - 1)
            for start, text in blocks
            if text.lower() != text or text.upper() != text
        ]
    )


@cache
def _text(low: int, high: int) -> str:
    """The characters from `low` to `high`, none of them a surrogate."""
    return np.arange(low, high + 1, dtype="<u4").tobytes().decode("utf-32-le")
