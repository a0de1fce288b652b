"""Where a text leaves its grammar, and what was expected there, for people.

    {"a": [1,]}
             ^

Offsets count bytes from 0; lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

import codecs
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from constrain.decode.matcher import Matcher
from constrain.errors import ViabilityLimitError

CHUNK = 4096
"""Bytes read at once, and so the length of the stretch in which a fault is searched."""

MARGIN = 60
"""Characters shown on either side of a caret."""

MAX_SHOWN = 200


@dataclass(frozen=True)
class Place:
    """A point of a text."""

    offset: int
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column} (byte {self.offset})"


def read_viable(matcher: Matcher, data: bytes) -> int:
    """Advance `matcher`, over the longest viable beginning of `data`.

    Returns:
        The beginning's length: the offset of the first byte that cannot stand.
    """
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK]
        if not matcher.accept_bytes(chunk):
            length = _longest(matcher, chunk)
            matcher.accept_bytes(chunk[:length])
            return start + length
    return len(data)


def _longest(matcher: Matcher, chunk: bytes) -> int:
    """The length of the longest viable beginning, by bisection: those of it are viable too."""
    viable, dead = 0, len(chunk)
    while dead - viable > 1:
        middle = (viable + dead) // 2
        if matcher.fork().accept_bytes(chunk[:middle]):
            viable = middle
        else:
            dead = middle
    return viable


def place_of(data: bytes, offset: int) -> Place:
    """The place of the byte at `offset`; inside a character, that of the character."""
    start = data.rfind(b"\n", 0, offset) + 1
    return Place(offset, data.count(b"\n", 0, offset) + 1, len(_before(data, start, offset)) + 1)


def show_caret(data: bytes, offset: int, indent: str = "    ") -> str:
    """The line around `offset`, and a caret below it."""
    start = data.rfind(b"\n", 0, offset) + 1
    before = _before(data, max(start, offset - 4 * MARGIN), offset)
    first = offset - _pending(data, start, offset)
    after = data[first : first + 4 * MARGIN].decode("utf-8", "surrogateescape")
    left = _printable(before[-MARGIN:])
    right = _printable(after.partition("\n")[0].removesuffix("\r")[:MARGIN])
    return f"{indent}{left}{right}\n{indent}{' ' * _width(left)}^"


def describe_expected(matcher: Matcher) -> str:
    """What may come next: terminals, and the bytes that they begin or go on with."""
    following = matcher.allowed_bytes()
    names = _terminals_after(matcher, np.flatnonzero(following).tolist())
    if matcher.is_accepting():
        names.append("the end of the text")
    lines = [f"expected: {_join(names)}"]
    if following.any():
        lines.append(f"next byte: {spell_bytes(following)}")
    return "\n".join(lines)


def _terminals_after(matcher: Matcher, following: list[int]) -> list[str]:
    """The terminals that one of the bytes `following` goes on with or begins."""
    names: set[str] = set()
    for byte in following:
        ahead = matcher.fork()
        ahead.accept_bytes(bytes([byte]))
        explanation = ahead.explain()
        names.update(explanation.terminals, explanation.complete)
    return sorted(names)


def describe_completion(matcher: Matcher) -> str:
    """The shortest text that makes the text so far whole."""
    try:
        return f"shortest completion: {quote(matcher.shortest_completion())}"
    except ViabilityLimitError:
        return "shortest completion: too long to be searched for"


def quote(data: bytes) -> str:
    """Bytes as a text in quotes where they are one, cut where they are many."""
    shown = data[:MAX_SHOWN]
    try:
        text = repr(shown.decode())
    except UnicodeDecodeError:
        text = repr(shown)
    rest = len(data) - len(shown)
    return f"{text} and {rest} bytes more" if rest else text


def spell_bytes(allowed: NDArray[np.bool_]) -> str:
    """A set of bytes in words, neighbours as ranges.

    Args:
        allowed: bool[256].
    """
    edges = np.flatnonzero(np.diff(allowed, prepend=False, append=False)).tolist()
    parts: list[str] = []
    for first, stop in list(pairwise(edges))[::2]:
        if stop - first > 2:
            parts.append(f"{_spell_byte(first)}..{_spell_byte(stop - 1)}")
        else:
            parts.extend(map(_spell_byte, range(first, stop)))
    return " ".join(parts)


def _spell_byte(value: int) -> str:
    return repr(chr(value)) if value < 0x80 else f"0x{value:02x}"


def _join(names: list[str]) -> str:
    if len(names) < 2:
        return names[0] if names else "nothing"
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _before(data: bytes, start: int, offset: int) -> str:
    """The characters between `start` and `offset`; a byte that is none counts as one."""
    stop = offset - _pending(data, start, offset)
    return data[start:stop].decode("utf-8", "surrogateescape")


def _pending(data: bytes, start: int, offset: int) -> int:
    """How many bytes before `offset` belong to the same character as the byte there."""
    if not data[offset : offset + 1] or data[offset] & 0xC0 != 0x80:
        return 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    decoder.decode(data[max(start, offset - 3) : offset])
    return len(decoder.getstate()[0])


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)


def _width(text: str) -> int:
    """Columns that a terminal takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
