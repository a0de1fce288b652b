"""The one hot loop: a byte trie walked through the lexer's table.

Input:  a `FlatTrie` and the lexer's dense transitions.
Output: where tokens end inside a lexeme, and where a lexeme may end inside a token.

The trie is in preorder, so a dead byte skips its subtree by one jump. Nothing here
allocates, raises, or knows about grammars: `constrain.masks.rows` owns the arrays.

Shapes: L lexer states, C byte classes, N trie nodes, D bytes of the longest token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from constrain.masks.trie import FlatTrie

DEAD = 0


class LexerTable(NamedTuple):
    """The lexer as arrays. Row DEAD of `next` is all DEAD; every row reached is known."""

    next: NDArray[np.int32]  # [L, C] -> lexer state
    byte_class: NDArray[np.uint8]  # [256] -> column of `next`
    accepting: NDArray[np.bool_]  # [L] the lexeme may end here


class Hits(NamedTuple):
    """Pairs (trie node, lexer state), `used[0]` of them in use."""

    node: NDArray[np.int32]  # [N]
    state: NDArray[np.int32]  # [N]
    base: NDArray[np.int32]  # [N] depth of the root that the node was reached from
    used: NDArray[np.int64]  # [1]


@njit(nogil=True)
def walk(
    table: LexerTable,
    start: int,
    trie: FlatTrie,
    roots: NDArray[np.int32],
    stack: NDArray[np.int32],
    ends: Hits,
    cuts: Hits,
) -> None:
    """Walk all subtrees below `roots`, each from lexer state `start`.

    roots: [R] the nodes after whose bytes the lexer stands in `start`
    stack: [D + 1] scratch, state after each byte of the current path
    ends:  gains the nodes with tokens that are reached alive
    cuts:  gains the nodes inside tokens at which the lexeme may end
    """
    n_ends = ends.used[0]
    n_cuts = cuts.used[0]
    for root in roots:
        base = trie.depth[root]
        stack[0] = start
        node = root + 1
        stop = trie.end[root]
        while node < stop:
            depth = trie.depth[node] - base
            state = table.next[stack[depth - 1], table.byte_class[trie.byte[node]]]
            if state == DEAD:
                node = trie.end[node]
                continue
            stack[depth] = state
            if trie.first[node] != trie.first[node + 1]:
                ends.node[n_ends] = node
                ends.state[n_ends] = state
                ends.base[n_ends] = base
                n_ends += 1
            if table.accepting[state] and node + 1 != trie.end[node]:
                cuts.node[n_cuts] = node
                cuts.state[n_cuts] = state
                cuts.base[n_cuts] = base
                n_cuts += 1
            node += 1
    ends.used[0] = n_ends
    cuts.used[0] = n_cuts


@njit(nogil=True)
def mark(trie: FlatTrie, ends: Hits, chosen: NDArray[np.bool_], row: NDArray[np.int32]) -> None:
    """Set in `row` the bits of all tokens that end in a chosen lexer state.

    chosen: [L] by lexer state
    row:    [W] bits are added, never cleared
    """
    for index in range(ends.used[0]):
        if chosen[ends.state[index]]:
            node = ends.node[index]
            for place in range(trie.first[node], trie.first[node + 1]):
                token = trie.tokens[place]
                row[token >> 5] |= np.int32(1) << np.int32(token & 31)
