"""The hot loops within one lexeme: byte tries walked through the lexer's table.

Input:  a `FlatTrie`, and the lexer's dense transitions.
Output: where tokens end inside a lexeme, and where a lexeme may end inside a token.

The trie is in preorder, so a dead byte skips its subtree by one jump. Nothing here
allocates, raises, or knows about grammars: `constrain.masks.rows` owns the arrays. What a
kernel lacks it asks for, by its result.

Shapes: L lexer states, C byte classes, K ways to end a lexeme, N trie nodes, D bytes of the
longest token, E effects on indentation, W words of a mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import Alike
from constrain.kernel import kernel
from constrain.masks.trie import FlatTrie

DEAD = 0
UNKNOWN = -1

ALIKE = -1
"""In the place of a lexer state: what follows is that of another walk."""

DONE = 0
NO_ROOM = 1
NO_EFFECT = 2
"""Results of kernels."""

EFFECT_BITS = 15
"""Of the number of an effect."""


class LexerTable(NamedTuple):
    """The lexer as arrays. Row DEAD of `next` is all DEAD; every row reached is known."""

    next: NDArray[np.int32]  # [L, C] -> lexer state
    byte_class: NDArray[np.uint8]  # [256] -> column of `next`
    cut: NDArray[np.int32]  # [L] the way in which the lexeme ends here, UNKNOWN: it may not
    is_line_end: NDArray[np.bool_]  # [L] the bytes move an indentation
    kills: NDArray[np.bool_]  # [K, C] no lexeme can begin so behind this way to end one


class EffectTable(NamedTuple):
    """What bytes inside a line end do to indentation, as an automaton from 0, no effect."""

    next: NDArray[np.int32]  # [E, kinds of bytes] -> effect, or UNKNOWN
    kind: NDArray[np.uint8]  # [256]
    wanted: NDArray[np.int32]  # [2] effect and kind that were UNKNOWN


class Hits(NamedTuple):
    """Trie nodes with the lexer state there, `used[0]` of them in use."""

    node: NDArray[np.int32]  # [N]
    state: NDArray[np.int32]  # [N]
    effect: NDArray[np.int32]  # [N] of the lexeme's bytes so far
    used: NDArray[np.int64]  # [1]


class Path(NamedTuple):
    """Scratch: what is known after each byte of the current path."""

    state: NDArray[np.int32]  # [D + 1]
    effect: NDArray[np.int32]  # [D + 1]


@kernel(inline="always")
def _step(
    table: LexerTable, effects: EffectTable, path: Path, depth: int, byte: int
) -> tuple[int, int]:
    """The lexer state and the effect after `byte`, and both on the path; UNKNOWN effects wanted."""
    state = table.next[path.state[depth - 1], table.byte_class[byte]]
    effect = 0
    if table.is_line_end[state]:
        effect = effects.next[path.effect[depth - 1], effects.kind[byte]]
        if effect == UNKNOWN:
            effects.wanted[0] = path.effect[depth - 1]
            effects.wanted[1] = effects.kind[byte]
    path.state[depth] = state
    path.effect[depth] = effect
    return state, effect


@kernel
def walk(
    table: LexerTable,
    effects: EffectTable,
    start: int,
    trie: FlatTrie,
    path: Path,
    ends: Hits,
    cuts: Hits,
) -> int:
    """Walk the whole trie from lexer state `start`; DONE, or NO_EFFECT to be called again.

    ends: becomes the nodes with tokens that are reached alive
    cuts: becomes the nodes inside tokens at which the lexeme may end
    """
    n_ends = 0
    n_cuts = 0
    path.state[0] = start
    path.effect[0] = 0
    node = 1
    stop = trie.end[0]
    while node < stop:
        state, effect = _step(table, effects, path, trie.depth[node], trie.byte[node])
        if state == DEAD:
            node = trie.end[node]
            continue
        if effect == UNKNOWN:
            return NO_EFFECT
        if trie.first[node] != trie.first[node + 1]:
            ends.node[n_ends] = node
            ends.state[n_ends] = state
            ends.effect[n_ends] = effect
            n_ends += 1
        if table.cut[state] != UNKNOWN and node + 1 != trie.end[node]:
            cuts.node[n_cuts] = node
            cuts.state[n_cuts] = state
            cuts.effect[n_cuts] = effect
            n_cuts += 1
        node += 1
    ends.used[0] = n_ends
    cuts.used[0] = n_cuts
    return DONE


@kernel(allocates=True)
def heights(trie: FlatTrie) -> NDArray[np.int32]:
    """int32[N]: the most bytes below each node."""
    height = np.zeros(len(trie.byte), np.int32)
    for start in range(len(trie.byte) - 1, -1, -1):
        node = start + 1
        while node < trie.end[start]:
            height[start] = max(height[start], height[node] + 1)
            node = trie.end[node]
    return height


@kernel(inline="always")
def _step_beside(
    table: LexerTable,
    alike: Alike,
    trie: FlatTrie,
    height: NDArray[np.int32],
    path: Path,
    apart: int,
    node: int,
) -> tuple[int, int]:
    """The lexer state at a node, or ALIKE where all tokens below end as in another walk.

    path:  its effects are the states of the other walk, which began in the state that this is like
    apart: up to this node all is otherwise than in the other walk; returned as it is then
    """
    depth = trie.depth[node]
    column = table.byte_class[trie.byte[node]]
    state = table.next[path.state[depth - 1], column]
    if node >= apart:
        other = table.next[path.effect[depth - 1], column]
        is_near = alike.base[state] == other and height[node] <= alike.within[state]
        if state == other or (is_near and DEAD not in (state, other)):
            return ALIKE, apart
        path.effect[depth] = other
        if table.cut[state] != UNKNOWN or table.cut[other] != UNKNOWN or state == DEAD:
            apart = trie.end[node]
    path.state[depth] = state
    return state, apart


@kernel
def differ(
    table: LexerTable,
    alike: Alike,
    start: int,
    trie: FlatTrie,
    height: NDArray[np.int32],
    path: Path,
    ends: Hits,
    cuts: Hits,
    changed: NDArray[np.int32],
) -> int:
    """Walk from `start` where tokens do not end as they do from the state that it is like.

    ends, cuts: as of `walk`, at those nodes only
    changed: int32[N], becomes the nodes with tokens that may end otherwise

    Returns:
        How many nodes are in `changed`.
    """
    n_ends = 0
    n_cuts = 0
    n_changed = 0
    path.state[0] = start
    path.effect[0] = alike.base[start]  # the states of the other walk
    apart = 0  # up to this node everything is changed
    node = 1
    stop = trie.end[0]
    while node < stop:
        state, apart = _step_beside(table, alike, trie, height, path, apart, node)
        if state == ALIKE:
            node = trie.end[node]
            continue
        if trie.first[node] != trie.first[node + 1]:
            changed[n_changed] = node
            n_changed += 1
            if state != DEAD:
                ends.node[n_ends] = node
                ends.state[n_ends] = state
                ends.effect[n_ends] = 0
                n_ends += 1
        if state != DEAD and table.cut[state] != UNKNOWN and node + 1 != trie.end[node]:
            cuts.node[n_cuts] = node
            cuts.state[n_cuts] = state
            cuts.effect[n_cuts] = 0
            n_cuts += 1
        node += 1
    ends.used[0] = n_ends
    cuts.used[0] = n_cuts
    return n_changed


@kernel
def extent(
    table: LexerTable,
    alike: Alike,
    start: int,
    trie: FlatTrie,
    height: NDArray[np.int32],
    path: Path,
    most: int,
) -> int:
    """The nodes that a walk from `start` meets, or more than `most` where it meets so many.

    From a state that is like another one it is that of `differ`.
    """
    n_met = 0
    base = alike.base[start] if alike.base.size else DEAD
    path.state[0] = start
    path.effect[0] = base
    apart = 0
    node = 1
    stop = trie.end[0]
    while node < stop and n_met <= most:
        n_met += 1
        if base == DEAD:
            depth = trie.depth[node]
            state = table.next[path.state[depth - 1], table.byte_class[trie.byte[node]]]
            path.state[depth] = state
        else:
            state, apart = _step_beside(table, alike, trie, height, path, apart, node)
        is_skipped = state == DEAD if base == DEAD else state == ALIKE
        node = trie.end[node] if is_skipped else node + 1
    return n_met


@kernel(inline="always")
def mark(trie: FlatTrie, node: int, row: NDArray[np.int32]) -> None:
    """Set in `row`, int32[W], the bits of the tokens spelled at a node."""
    for place in range(trie.first[node], trie.first[node + 1]):
        token = trie.tokens[place]
        row[token >> 5] |= np.int32(1) << np.int32(token & 31)


@kernel
def mark_all(trie: FlatTrie, nodes: NDArray[np.int32], row: NDArray[np.int32]) -> None:
    """Set in `row`, int32[W], the bits of the tokens spelled at some nodes."""
    for node in nodes:
        mark(trie, node, row)
