"""What a DFA accepts, worked out without its own methods.

Shapes: S states, C byte classes, N characters.
"""

from __future__ import annotations

import random
import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import ByteDFA

DEAD, START = 0, 1
SURROGATES = range(0xD800, 0xE000)


@cache
def all_characters() -> str:
    """The 1,112,064 characters that UTF-8 can encode, in order."""
    return "".join(chr(c) for c in range(0x110000) if c not in SURROGATES)


@cache
def _encoded() -> list[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """By length in UTF-8: the code points int64[N], their bytes uint8[N, length]."""
    parts = []
    bounds = (0, 0x80, 0x800, 0x10000, 0x110000)
    for length in (1, 2, 3, 4):
        points = [p for p in range(bounds[length - 1], bounds[length]) if p not in SURROGATES]
        flat = np.frombuffer("".join(map(chr, points)).encode(), np.uint8)
        parts.append((np.array(points), flat.reshape(-1, length)))
    return parts


def run(dfa: ByteDFA, rows: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The state int32[N] after each of `rows` uint8[N, length]."""
    states = np.full(len(rows), START, np.int32)
    for column in rows.T:
        states = dfa.next[states, dfa.byte_class[column]]
    return states


def accepted_characters(dfa: ByteDFA, before: str = "", after: str = "") -> NDArray[np.int64]:
    """The code points c, ascending, such that the DFA accepts `before + c + after`."""
    if not dfa.accepting.any():
        return np.zeros(0, np.int64)
    head, tail = (np.frombuffer(text.encode(), np.uint8)[None, :] for text in (before, after))
    found = []
    for points, rows in _encoded():
        around = [np.repeat(part, len(rows), axis=0) for part in (head, tail)]
        states = run(dfa, np.concatenate([around[0], rows, around[1]], axis=1))
        found.append(points[dfa.accepting[states]])
    return np.concatenate(found)


def matched_characters(pattern: str, characters: str | None = None) -> NDArray[np.int64]:
    """The code points among `characters`, or all, that `re` matches, in their order.

    The pattern is of one character and looks at no other.
    """
    found = re.findall(pattern, all_characters() if characters is None else characters)
    return np.frombuffer("".join(found).encode("utf-32-le"), np.uint32).astype(np.int64)


def count_accepted(dfa: ByteDFA, max_length: int) -> list[int]:
    """How many byte strings of each length 0…max_length the DFA accepts."""
    if not dfa.accepting.any():
        return [0] * (max_length + 1)
    edges = np.zeros((len(dfa.next), len(dfa.next)), object)
    for column in dfa.byte_class.tolist():
        for state, target in enumerate(dfa.next[:, column].tolist()):
            edges[state, target] += 1
    ways = np.zeros(len(dfa.next), object)
    ways[START] = 1
    counts = []
    for _ in range(max_length + 1):
        counts.append(int(ways[dfa.accepting].sum()))
        ways = ways @ edges
    return counts


def accepted_text(dfa: ByteDFA, choose: random.Random, max_wander: int) -> bytes:
    """A random text of a non-empty language: some steps at random, then the shortest way."""
    distance = distances(dfa)
    text, state = bytearray(), START
    wander = choose.randint(0, max_wander)
    while wander > 0 or not dfa.accepting[state]:
        ways = [c for c in range(dfa.next.shape[1]) if dfa.next[state, c] != DEAD]
        if wander <= 0:
            ways = [c for c in ways if distance[dfa.next[state, c]] < distance[state]]
        if not ways:
            break
        column = choose.choice(ways)
        text.append(int(choose.choice(np.flatnonzero(dfa.byte_class == column).tolist())))
        state = int(dfa.next[state, column])
        wander -= 1
    return bytes(text)


def finite_language(dfa: ByteDFA) -> set[bytes]:
    """All texts of a language without repetition."""
    found: set[bytes] = set()
    pending = [(START, b"")] if dfa.accepting.any() else []
    while pending:
        state, text = pending.pop()
        if dfa.accepting[state]:
            found.add(text)
        targets = dfa.next[state, dfa.byte_class]
        pending += [(int(targets[b]), text + bytes([b])) for b in np.flatnonzero(targets).tolist()]
    return found


def distances(dfa: ByteDFA) -> NDArray[np.int64]:
    """int64[S]: the fewest bytes from each state to acceptance; a huge number if none."""
    far = np.int64(1 << 40)
    found = np.where(dfa.accepting, 0, far)
    while True:
        closer = np.minimum(found, found[dfa.next].min(axis=1) + 1)
        if (closer == found).all():
            return found
        found = closer


def assert_canonical(dfa: ByteDFA) -> None:
    """Everything that is promised about the arrays of a `ByteDFA`, and `check` agrees."""
    dfa.check()
    n_states, n_classes = dfa.next.shape
    for array, kind in ((dfa.next, "i4"), (dfa.byte_class, "u1"), (dfa.accepting, "b1")):
        assert array.dtype == np.dtype(kind)
    assert (dfa.byte_class.shape, dfa.accepting.shape) == ((256,), (n_states,))
    assert re.fullmatch("[0-9a-f]{64}", dfa.content_hash)
    assert not dfa.next[DEAD].any(), "the dead state has a way out"
    assert not dfa.accepting[DEAD]
    assert 0 <= dfa.next.min() <= dfa.next.max() < max(n_states, 2)
    _assert_classes(dfa, n_classes)
    if not dfa.accepting.any():
        assert not dfa.next.any(), "the empty language has an edge"
        return
    assert (distances(dfa)[START:] < n_states).all(), "a state is not live"
    assert _breadth_first(dfa) == list(range(1, n_states)), "states are not numbered as found"
    assert len(set(_equivalence(dfa).tolist())) == n_states, "two states are equivalent"


def _assert_classes(dfa: ByteDFA, n_classes: int) -> None:
    first_seen = list(dict.fromkeys(dfa.byte_class.tolist()))
    assert first_seen == list(range(n_classes)), "classes are not numbered by their first byte"
    columns = {column.tobytes() for column in np.ascontiguousarray(dfa.next.T)}
    assert len(columns) == n_classes, "two byte classes have equal columns"


def _breadth_first(dfa: ByteDFA) -> list[int]:
    order = [START]
    for state in order:
        order += [t for t in dict.fromkeys(dfa.next[state].tolist()) if t and t not in order]
    return order


def _equivalence(dfa: ByteDFA) -> NDArray[np.int64]:
    """int64[S]: Moore's algorithm; equal numbers are equivalent states."""
    block = dfa.accepting.astype(np.int64)
    while True:
        signature = np.concatenate([block[:, None], block[dfa.next]], axis=1)
        _, finer = np.unique(signature, axis=0, return_inverse=True)
        finer = finer.reshape(-1)
        if finer.max() == block.max():
            return finer
        block = finer
