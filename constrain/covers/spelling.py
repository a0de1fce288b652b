"""What each token of a tokenizer may do in a canonical sequence, whatever stands before it.

And the one thing that reaches back: a normal form, which may join a character to those before.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from constrain.covers.encoding import Encoding
from constrain.covers.merges import Neighbours
from constrain.covers.shapes import decode
from constrain.vocabulary import Vocabulary


@dataclass(frozen=True)
class Normal:
    """A normal form of texts, whose beginnings are normal too.

    Attributes:
        normalize: the tokenizer's own normaliser.
    """

    normalize: Callable[[str], str]

    def holds(self, text: str) -> bool:
        """Whether the text is normal."""
        return self.normalize(text) == text

    def may_join(self, char: str) -> bool:
        """Whether a character may change what stands before it, or be moved there."""
        return char in _joining()

    def may_join_any(self, text: str, partial: bytes) -> bool:
        """The same of the first character, which may be a partial one, of some bytes."""
        return self.may_join(text[0]) if text else partial in _joining_starts()


@cache
def _joining() -> frozenset[str]:
    """Characters that canonical composition or ordering may join to those before them."""
    chars = map(chr, range(0x110000))
    found = set()
    for char in chars:
        if unicodedata.combining(char):
            found.add(char)
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    found.update(map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))))  # Hangul
    return frozenset(found)


@cache
def _joining_starts() -> frozenset[bytes]:
    """The bytes with which those characters begin."""
    return frozenset(
        data[:n] for data in (char.encode() for char in _joining()) for n in range(1, len(data))
    )


@dataclass(frozen=True, eq=False)
class Tokens:
    """What each token may do, whatever stands before it.

    Attributes:
        written: int64[n], ids of the tokens that some canonical sequence may hold.
        may_stand: bool[V], the same.
        may_begin: bool[V], a piece that is no literal may begin with it.
        is_literal: bool[V], it is an added token whose text it writes.
        unmade: the bytes of tokens that no merges make and that are a piece by themselves,
            sorted.
        alphabet: the characters that are tokens, where the others are spelled by byte tokens.
        joining: tokens whose first character may be joined to what stands before it, or be
            completed to such a one.
    """

    written: NDArray[np.int64]
    may_stand: NDArray[np.bool_]
    may_begin: NDArray[np.bool_]
    is_literal: NDArray[np.bool_]
    unmade: tuple[bytes, ...]
    alphabet: frozenset[str]
    joining: tuple[int, ...]


def sort_tokens(
    vocabulary: Vocabulary, encoding: Encoding, neighbours: Neighbours, normal: Normal | None
) -> Tokens:
    """Judge each token by itself."""
    size = vocabulary.size
    alphabet = _alphabet(encoding)
    may_begin, is_literal = neighbours.is_made.copy(), np.zeros(size, np.bool_)
    unmade, joining = [], []
    for text, token in encoding.literals.items():
        is_literal[token] = vocabulary.tokens[token] == text.encode()
    for token, data in enumerate(vocabulary.tokens):
        if not data:
            may_begin[token] = is_literal[token] = False
            continue
        if token in encoding.names and not may_begin[token] and encoding.ignore_merges:
            may_begin[token] = True
            unmade.append(data)
        found = decode(data)
        if found is None:
            continue
        text = found[0]
        is_byte = (
            encoding.byte_fallback and len(data) == 1 and len(encoding.names.get(token, "")) > 1
        )
        if (is_byte and text in alphabet and text) or (normal and not normal.holds(text)):
            may_begin[token] = is_literal[token] = False
        if normal and normal.may_join_any(*found):
            joining.append(token)
    may_stand = may_begin | is_literal
    return Tokens(
        np.flatnonzero(may_stand),
        may_stand,
        may_begin,
        is_literal,
        tuple(sorted(unmade)),
        alphabet,
        tuple(joining),
    )


def _alphabet(encoding: Encoding) -> frozenset[str]:
    """The characters that are tokens; empty where every character is made of byte tokens."""
    if not encoding.byte_fallback:
        return frozenset()
    chars = {name for name in encoding.names.values() if len(name) == 1}
    if encoding.metaspace and "▁" in chars:
        chars.add(" ")
    return frozenset(chars)
