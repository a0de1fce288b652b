"""The walk through the trie against each token followed byte by byte; JIT and interpreted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from constrain import bitmask
from constrain.masks.kernels import DEAD, Hits, LexerTable, mark, walk
from constrain.masks.trie import FlatTrie, build_trie

Kernel = Callable[..., None]

both_walks = pytest.mark.parametrize("kernel", [walk, walk.py_func], ids=["jit", "py"])
both_marks = pytest.mark.parametrize("kernel", [mark, mark.py_func], ids=["jit", "py"])

# Few tokens, to shrink well, or enough to cross words and bit 31. Empty ones are no text.
TOKENS = st.sampled_from([0, 40]).flatmap(
    lambda n: st.lists(st.text("abc", max_size=5).map(str.encode), min_size=n, max_size=70)
)


@st.composite
def tables(draw: st.DrawFn) -> LexerTable:
    """Up to six states over classes {a}, {b} and all others; many transitions are dead."""
    n_states = draw(st.integers(2, 6))
    target = st.sampled_from([DEAD, *range(n_states)])
    rows = draw(st.lists(st.tuples(target, target, target), min_size=n_states, max_size=n_states))
    byte_class = np.full(256, 2, np.uint8)
    byte_class[[97, 98]] = [0, 1]
    accepting = draw(st.lists(st.booleans(), min_size=n_states, max_size=n_states))
    table = LexerTable(np.array(rows, np.int32), byte_class, np.array(accepting))
    table.next[DEAD] = DEAD
    table.accepting[DEAD] = False
    return table


def follow(table: LexerTable, state: int, text: bytes) -> int:
    for byte in text:
        state = int(table.next[state, table.byte_class[byte]])
    return state


def node_strings(trie: FlatTrie) -> list[bytes]:
    found = [b""]
    for byte, depth in zip(trie.byte[1:].tolist(), trie.depth[1:].tolist(), strict=True):
        found.append(found[-1][: depth - 1] + bytes([byte]))
    return found


def new_hits(capacity: int) -> Hits:
    node, state, base = (np.zeros(capacity, np.int32) for _ in range(3))
    return Hits(node, state, base, np.zeros(1, np.int64))


def pairs(hits: Hits) -> list[tuple[int, int]]:
    used = int(hits.used[0])
    return list(zip(hits.node[:used].tolist(), hits.state[:used].tolist(), strict=True))


def expected(
    table: LexerTable, start: int, strings: list[bytes], tokens: set[bytes], roots: list[int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The ends and the cuts, by following every string below every root."""
    ends, cuts = [], []
    for root in roots:
        for node, string in enumerate(strings):
            if string.startswith(strings[root]) and string != strings[root]:
                state = follow(table, start, string[len(strings[root]) :])
                if state != DEAD and string in tokens:
                    ends.append((node, state))
                longer = any(s.startswith(string) and s != string for s in strings)
                if table.accepting[state] and longer:
                    cuts.append((node, state))
    return ends, cuts


@both_walks
@given(table=tables(), tokens=TOKENS, data=st.data())
def test_ends_and_cuts_are_those_of_every_token_followed_by_itself(
    kernel: Kernel, table: LexerTable, tokens: list[bytes], data: st.DataObject
) -> None:
    trie = build_trie(tokens)
    strings = node_strings(trie)
    start = data.draw(st.integers(1, len(table.next) - 1), label="start")
    roots = data.draw(st.lists(st.integers(0, len(strings) - 1), max_size=3), label="roots")
    capacity = sum(int(trie.end[r]) - r for r in roots)
    ends, cuts = new_hits(capacity), new_hits(capacity)
    stack = np.full(int(trie.depth.max()) + 2, -1, np.int32)

    kernel(table, start, trie, np.array(roots, np.int32), stack, ends, cuts)

    assert (pairs(ends), pairs(cuts)) == expected(table, start, strings, set(tokens), roots)


@both_walks
@given(table=tables(), tokens=TOKENS)
def test_hits_are_added_behind_those_there(
    kernel: Kernel, table: LexerTable, tokens: list[bytes]
) -> None:
    trie = build_trie(tokens)
    stack = np.zeros(int(trie.depth.max()) + 2, np.int32)
    root = np.zeros(1, np.int32)
    once, twice = ([new_hits(2 * len(trie.byte)) for _ in range(2)] for _ in range(2))

    kernel(table, 1, trie, root, stack, *once)
    kernel(table, 1, trie, root, stack, *twice)
    kernel(table, 1, trie, root, stack, *twice)

    assert [pairs(hits) for hits in twice] == [2 * pairs(hits) for hits in once]


@both_marks
@given(tokens=TOKENS, data=st.data())
def test_marks_the_tokens_that_end_in_chosen_states(
    kernel: Kernel, tokens: list[bytes], data: st.DataObject
) -> None:
    trie = build_trie(tokens)
    strings = node_strings(trie)
    nodes = [n for n, s in enumerate(strings) if s in tokens and n]
    states = [data.draw(st.integers(1, 3)) for _ in nodes]
    hits = new_hits(len(nodes))
    hits.node[:], hits.state[:], hits.used[0] = nodes, states, len(nodes)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
    before = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(tokens), max_size=len(tokens)))
    )
    row: NDArray[Any] = bitmask.pack(before.astype(np.bool_))

    kernel(trie, hits, chosen, row)

    state_of = {strings[node]: state for node, state in zip(nodes, states, strict=True)}
    wanted = [
        bool(before[t] or (token and chosen[state_of[token]])) for t, token in enumerate(tokens)
    ]
    assert bitmask.unpack(row, len(tokens)).tolist() == wanted
