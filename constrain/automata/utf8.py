"""Sets of characters → classes of characters → the bytes that spell them.

Input:  the sets of characters that a pattern tells apart.
Output: `Alphabet`, the coarsest partition that keeps them apart, and its UTF-8 tree.

Only valid UTF-8 is in the tree: no overlong form, no surrogate, nothing past U+10FFFF
(RFC 3629, section 4).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from constrain.automata.charset import EVERY, LAST_CHARACTER, Ranges

NO_CLASS = -1
"""The class of what is no character: a surrogate, or past U+10FFFF."""

_LEADS = (  # first lead byte, first code point, code points per lead byte, continuation bytes
    (0xC0, 0x0, 0x40, 1, 0x20),
    (0xE0, 0x0, 0x1000, 2, 0x10),
    (0xF0, 0x0, 0x40000, 3, 0x05),
)
_FIRST_LONG = 0x80  # the first character of more than one byte
_SHORTEST = (0x0, _FIRST_LONG, 0x800, 0x10000)  # the first that needs so many continuations

Edges = tuple[tuple[int, int, int], ...]
"""Of a node of a `ByteTree`: (first byte, last byte, target)."""


@dataclass(frozen=True)
class Alphabet:
    """A partition of all characters into classes.

    Attributes:
        starts: sorted first code points of the segments; the first is 0.
        classes: the class of each segment, NO_CLASS for surrogates.
        n_classes: K; classes are numbered by their first character.
    """

    starts: tuple[int, ...]
    classes: tuple[int, ...]
    n_classes: int


@dataclass(frozen=True)
class ByteTree:
    """How bytes spell the classes of an alphabet. Node 0 is the root.

    Attributes:
        edges: per node, (first byte, last byte, target); a target ≥ 0 is a node, and
            ~k is the class k: the character ends there.
    """

    edges: tuple[Edges, ...]


def partition(sets: Sequence[Ranges]) -> tuple[Alphabet, list[tuple[int, ...]]]:
    """The coarsest alphabet that tells `sets` apart, and each set's classes in it."""
    cuts = sorted({c for part in (EVERY, *sets) for low, high in part for c in (low, high + 1)})
    starts = np.array([c for c in dict.fromkeys([0, *cuts]) if c <= LAST_CHARACTER])
    inside = np.zeros((1 + len(sets), len(starts)), np.bool_)
    for row, part in enumerate((EVERY, *sets)):
        for low, high in part:
            inside[row, np.searchsorted(starts, low) : np.searchsorted(starts, high + 1)] = True
    signatures = [row.tobytes() for row in np.packbits(inside, axis=0).T]
    first: dict[bytes, int] = {}
    for segment, signature in enumerate(signatures):
        if inside[0, segment]:
            first.setdefault(signature, segment)
    number = {signature: k for k, signature in enumerate(first)}
    members = [tuple(np.flatnonzero(row[list(first.values())]).tolist()) for row in inside[1:]]
    classes = tuple(number.get(signature, NO_CLASS) for signature in signatures)
    return Alphabet(tuple(starts.tolist()), classes, len(number)), members


def byte_tree(alphabet: Alphabet) -> ByteTree:
    """The tree of all characters' UTF-8 encodings, equal subtrees shared.

    Alphabets that part the characters past ASCII alike share that part but for its labels.
    """
    starts, classes = alphabet.starts, alphabet.classes
    place = bisect_right(starts, _FIRST_LONG) - 1  # the segment of that character
    long_classes = [k for k in dict.fromkeys(classes[place:]) if k != NO_CLASS]
    label = {NO_CLASS: NO_CLASS} | {k: i for i, k in enumerate(long_classes)}
    long = _long_characters(
        (_FIRST_LONG, *starts[place + 1 :]), tuple(label[k] for k in classes[place:])
    )
    target_of = {~i: ~k for i, k in enumerate(long_classes)}
    edges = [
        tuple((low, high, target_of.get(target, target)) for low, high, target in node)
        for node in long
    ]
    ascii_edges = [
        (low, high - 1, ~k)
        for (low, high), k in zip(
            pairwise((*starts[: place + 1], _FIRST_LONG)), classes, strict=False
        )
        if low < high
    ]
    edges[0] = _merged([*ascii_edges, *edges[0]])
    return ByteTree(tuple(edges))


@lru_cache(maxsize=64)
def _long_characters(starts: tuple[int, ...], classes: tuple[int, ...]) -> tuple[Edges, ...]:
    """The edges of a `ByteTree` of all characters past ASCII, in segments as of an `Alphabet`."""
    return _TreeBuilder(starts, classes).build()


class _TreeBuilder:
    def __init__(self, starts: tuple[int, ...], classes: tuple[int, ...]) -> None:
        self._starts = starts
        self._classes = classes
        self._edges: list[Edges] = [()]
        self._ids: dict[Edges, int] = {}

    def build(self) -> tuple[Edges, ...]:
        edges: list[tuple[int, int, int | None]] = []
        for lead, first, size, n_continuations, n_leads in _LEADS:
            floor = _SHORTEST[n_continuations]
            for i in range(n_leads):
                low = first + i * size
                target = self._target(low, size, n_continuations, floor)
                edges.append((lead + i, lead + i, target))
        self._edges[0] = _merged(edges)
        return tuple(self._edges)

    def _target(self, low: int, size: int, depth: int, floor: int) -> int | None:
        """The target for `size` code points from `low`, of which those below `floor` are out."""
        if low + size <= floor or low > LAST_CHARACTER:
            return None
        if depth == 0:
            number = self._classes[self._segment(low)]
            return None if number == NO_CLASS else ~number
        step = size // 64
        if low >= floor and self._segment(low) == self._segment(low + size - 1):
            child = self._target(low, step, depth - 1, floor)
            return None if child is None else self._node([(0x80, 0xBF, child)])
        return self._node(
            [
                (0x80 + i, 0x80 + i, self._target(low + i * step, step, depth - 1, floor))
                for i in range(64)
            ]
        )

    def _segment(self, code_point: int) -> int:
        if code_point > LAST_CHARACTER:
            return len(self._starts)
        return bisect_right(self._starts, code_point) - 1

    def _node(self, edges: list[tuple[int, int, int | None]]) -> int | None:
        merged = _merged(edges)
        if not merged:
            return None
        node = self._ids.get(merged)
        if node is None:
            node = self._ids[merged] = len(self._edges)
            self._edges.append(merged)
        return node


def _merged(edges: Sequence[tuple[int, int, int | None]]) -> Edges:
    """Edges without those to None; neighbours with one target are one edge."""
    merged: list[tuple[int, int, int]] = []
    for low, high, target in edges:
        if target is None:
            continue
        if merged and merged[-1][2] == target and merged[-1][1] + 1 == low:
            merged[-1] = (merged[-1][0], high, target)
        else:
            merged.append((low, high, target))
    return tuple(merged)
