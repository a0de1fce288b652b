"""What each token writes, as characters: whole ones, and parts of one at either end.

A token of bytes may begin inside a character and end inside one. `Shapes` holds those that do
neither as rows of classes, so that all of them can be stepped through an automaton at once.

Shapes: V ids, P plain tokens.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from constrain.vocabulary import Vocabulary


def decode(data: bytes) -> tuple[str, bytes] | None:
    """The characters of some bytes and the beginning of one more; None if they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError:
        return None
    partial = decoder.getstate()[0]
    return (text, partial) if _begins_character(partial) else None


@cache
def _begins_character(partial: bytes) -> bool:
    """Whether some character's UTF-8 begins so; a decoder may find out only at its end.

    What completes to a character is a range of code points, and one of its two ends does.
    """
    if not partial:
        return True
    missing = (2 if partial[0] < 0xE0 else 3 if partial[0] < 0xF0 else 4) - len(partial)
    return any(_is_character(partial + byte * missing) for byte in (b"\x80", b"\xbf"))


def _is_character(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, eq=False)
class Shapes:
    """The tokens of a vocabulary by where they begin and end.

    Attributes:
        plain: int64[P], ids of the tokens of whole characters, the longest first.
        classes: for each place in a token, the class of the character there, of the plain
            tokens that have one: the first ones.
        open: ids of tokens that begin a character and end inside one.
        inner: int64[n], ids of tokens that begin inside a character, the shortest first.
    """

    plain: NDArray[np.int64]
    classes: tuple[NDArray[np.int32], ...]
    open: tuple[int, ...]
    inner: NDArray[np.int64]

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, tokens: Iterable[int], class_of: Callable[[str], int]
    ) -> Self:
        """Sort some tokens; those that no UTF-8 holds are left out."""
        plain: list[tuple[int, str]] = []
        opened, inner = [], []
        for token in tokens:
            data = vocabulary.tokens[token]
            if 0x80 <= data[0] < 0xC0:
                inner.append(token)
                continue
            found = decode(data)
            if found is None:
                continue
            if found[1]:
                opened.append(token)
            else:
                plain.append((token, found[0]))
        plain.sort(key=lambda item: -len(item[1]))
        inner.sort(key=lambda token: len(vocabulary.tokens[token]))
        return cls(
            np.array([token for token, _ in plain], np.int64),
            tuple(_columns([text for _, text in plain], class_of)),
            tuple(opened),
            np.array(inner, np.int64),
        )

    def walk(self, first: NDArray[np.int32], go_on: NDArray[np.int32]) -> NDArray[np.int32]:
        """The states behind all plain tokens.

        Args:
            first: int32[C], the state behind a first character, by its class.
            go_on: int32[Q, C], the step of every other character.

        Returns:
            int32[P].
        """
        if not self.classes:
            return np.zeros(0, np.int32)
        states = first[self.classes[0]]
        for column in self.classes[1:]:
            states[: len(column)] = go_on[states[: len(column)], column]
        return states


def _columns(texts: list[str], class_of: Callable[[str], int]) -> Iterable[NDArray[np.int32]]:
    """The classes of the i-th characters, for each i."""
    known: dict[str, int] = {}
    rows = []
    for text in texts:
        for char in text:
            if char not in known:
                known[char] = class_of(char)
        rows.append([known[char] for char in text])
    for place in range(len(texts[0]) if texts else 0):
        n_rows = next((i for i, row in enumerate(rows) if len(row) <= place), len(rows))
        yield np.array([row[place] for row in rows[:n_rows]], np.int32)
