"""Byte strings with token ids as preorder tries, the form every walk runs over.

Input:  the tokens' bytes; several tokens may have the same.
Output: `FlatTrie`, of whole tokens or of what is left of some of them.

In preorder a subtree is a contiguous range of nodes, so a dead byte skips all tokens
below it by one jump, and the tokens below a node are a contiguous range too.

Every end of every token is ranked once, in the order of bytes. So what is left of tokens
behind some nodes is sorted as integers, and equal remainders lie side by side.

Shapes: N trie nodes, V tokens, K (string, token) pairs, S bytes of all tokens together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.kernel import kernel


class FlatTrie(NamedTuple):
    """A byte trie in preorder, or several one behind the other. A root is the empty string.

    The tokens spelled at node n are `tokens[first[n]:first[n + 1]]`, those at or below it
    `tokens[first[n]:first[end[n]]]`. What is known of a node lies side by side, since walks leap
    from node to node: all but `tokens` are columns of one array, see `columns`.
    """

    byte: NDArray[np.int32]  # [N] byte on the edge into the node
    depth: NDArray[np.int32]  # [N] bytes from the root
    end: NDArray[np.int32]  # [N] one past the node's subtree
    first: NDArray[np.int32]  # [N + 1] index of the node's first token
    tokens: NDArray[np.int32]  # [K] token ids


def columns(nodes: NDArray[np.int32], tokens: NDArray[np.int32]) -> FlatTrie:
    """The trie whose nodes are the rows of an array.

    Args:
        nodes: int32[N + 1, 4], end, first token, depth and byte; the last row has the second only.
        tokens: int32[K].
    """
    return FlatTrie(nodes[:-1, 3], nodes[:-1, 2], nodes[:-1, 0], nodes[:, 1], tokens)


def node_rows(trie: FlatTrie) -> NDArray[np.int32]:
    """What `columns` made a trie of: int32[N + 1, 4]."""
    nodes = np.zeros((len(trie.first), 4), np.int32)
    nodes[:, 1] = trie.first
    nodes[:-1, 0], nodes[:-1, 2], nodes[:-1, 3] = trie.end, trie.depth, trie.byte
    return nodes


class Forest(NamedTuple):
    """What is left of tokens behind the ways in which a lexeme ends inside them.

    One trie for each way, all in one preorder. R of them.
    """

    trie: FlatTrie
    root: NDArray[np.int32]  # [R]
    cut: NDArray[np.int32]  # [R] the way, see `LexerTable.cut`
    effect: NDArray[np.int32]  # [R] of the bytes before


class Ends(NamedTuple):
    """All tokens' bytes, one token after the other, and their ends in the order of bytes.

    The end of token t from its byte i on has the rank `rank[start[t] + i]`; equal ends have one
    rank, the r-th of them is `data[place[r]:place[r] + length[r]]`.
    """

    data: NDArray[np.uint8]  # [S]
    start: NDArray[np.int64]  # [V]
    rank: NDArray[np.int32]  # [S]
    place: NDArray[np.int64]  # [ranks]
    length: NDArray[np.int64]  # [ranks]


def rank_ends(strings: Sequence[bytes]) -> Ends:
    """Rank all ends of the tokens, by prefix doubling.

    Args:
        strings: the tokens' bytes, by token id.

    Source: U. Manber, G. Myers, Suffix arrays, SIAM J. Comput. 22, 1993.
    """
    data = np.frombuffer(b"".join(strings), np.uint8)
    lengths = np.array([len(string) for string in strings], np.int64)
    stop = np.repeat(np.cumsum(lengths), lengths)
    left = stop - np.arange(data.size)  # bytes of the end that begins here
    rank = data.astype(np.int64) + 1
    n_bytes, n_known = 1, 0
    while True:  # rank is by the first n_bytes, from 1; 0 is what ends before
        behind = np.zeros_like(rank)
        longer = np.flatnonzero(left > n_bytes)
        behind[longer] = rank[longer + n_bytes]
        found, places, rank = np.unique(
            rank * (int(rank.max(initial=0)) + 1) + behind, return_index=True, return_inverse=True
        )
        if len(found) == n_known:
            break
        n_bytes, n_known, rank = 2 * n_bytes, len(found), rank + 1
    return Ends(data, np.cumsum(lengths) - lengths, rank.astype(np.int32), places, left[places])


def build_trie(ends: Ends, tokens: NDArray[np.int64]) -> FlatTrie:
    """The trie of some whole tokens.

    Args:
        ends: of all tokens.
        tokens: ids of tokens that are not empty, ascending.
    """
    keys = (ends.rank[ends.start[tokens]].astype(np.int64) << _token_bits(ends)) | tokens
    keys.sort()
    trie, _ = _from_keys(ends, keys)
    return trie


def remainder_tries(
    trie: FlatTrie,
    ends: Ends,
    nodes: NDArray[np.int32],
    group: NDArray[np.int64],
    killed: NDArray[np.bool_],
) -> tuple[FlatTrie, NDArray[np.int32], NDArray[np.int64]]:
    """What is left of the tokens below `nodes` once the bytes up to each node are gone.

    Equal remainders of a group are one node: that of `x",`, `name",` and `"",` behind `"` is `,`.

    Args:
        trie: of whole tokens.
        ends: of the tokens.
        nodes: each contributes the tokens strictly below it.
        group: int64[nodes], in which trie.
        killed: bool[groups, 256], bytes that no remainder in a group may begin with.

    Returns:
        The groups' tries in one, the root of each, and which group it is; no empty ones.
    """
    keys = np.zeros(0, np.int64)
    keys = np.zeros(_remainders(trie, ends, nodes, group, killed, keys), np.int64)
    _remainders(trie, ends, nodes, group, killed, keys)
    keys.sort()
    tries, roots = _from_keys(ends, keys)
    return tries, roots, np.unique(keys >> _group_bit(ends))


@kernel
def _bits(number: int) -> int:
    """How many bits the numbers below `number` take."""
    n_bits = 1
    while number > (1 << n_bits):
        n_bits += 1
    return n_bits


@kernel
def _token_bits(ends: Ends) -> int:
    """A key is (group, rank, token), the token in that many bits."""
    return _bits(ends.start.size)


@kernel
def _group_bit(ends: Ends) -> int:
    return _bits(ends.start.size) + _bits(ends.place.size)


@kernel
def _remainders(
    trie: FlatTrie,
    ends: Ends,
    nodes: NDArray[np.int32],
    group: NDArray[np.int64],
    killed: NDArray[np.bool_],
    keys: NDArray[np.int64],
) -> int:
    """Write the keys of `remainder_tries`, not sorted, unless there is no room; their number."""
    token_bits, group_bit = _token_bits(ends), _group_bit(ends)
    n_keys = 0
    for index in range(nodes.size):
        node = nodes[index]
        depth = trie.depth[node]
        child = node + 1
        while child < trie.end[node]:
            if not killed[group[index], trie.byte[child]]:
                first, last = trie.first[child], trie.first[trie.end[child]]
                if keys.size:
                    for place in range(first, last):
                        token = trie.tokens[place]
                        rank = np.int64(ends.rank[ends.start[token] + depth])
                        key = (np.int64(group[index]) << group_bit) | (rank << token_bits) | token
                        keys[n_keys + place - first] = key
                n_keys += last - first
            child = trie.end[child]
    return n_keys


def _from_keys(ends: Ends, keys: NDArray[np.int64]) -> tuple[FlatTrie, NDArray[np.int32]]:
    """The tries of sorted keys, one a group, and their roots."""
    ranks = (keys >> _token_bits(ends)) & ((1 << _bits(ends.place.size)) - 1)
    capacity = int(ends.length[ranks].sum()) + len(keys) + 1
    nodes = np.zeros((capacity + 1, 4), np.int32)
    tokens = (keys & ((1 << _token_bits(ends)) - 1)).astype(np.int32)
    roots = np.zeros(len(keys) + 1, np.int32)
    trie = columns(nodes, tokens)
    n_nodes, n_roots = _fill(ends, keys >> _group_bit(ends), ranks, trie, roots)
    return columns(nodes[: n_nodes + 1].copy(), tokens), roots[:n_roots].copy()


@kernel(allocates=True)
def _fill(
    ends: Ends,
    groups: NDArray[np.int64],
    ranks: NDArray[np.int64],
    trie: FlatTrie,
    roots: NDArray[np.int32],
) -> tuple[int, int]:
    """Write the nodes of sorted strings in preorder; returns N and how many roots.

    A string shares with the one before it the path up to their common prefix; the path's
    deeper nodes end there. Without strings there is one root.
    """
    path = np.zeros(ends.length.max() + 1 if ends.length.size else 1, np.int32)
    depth = 0
    n_nodes = 1
    n_roots = 1
    for index in range(ranks.size):
        length = ends.length[ranks[index]]
        place = ends.place[ranks[index]]
        shared = 0
        if index == 0 or groups[index] == groups[index - 1]:
            while (
                shared < depth
                and shared < length
                and trie.byte[path[shared + 1]] == ends.data[place + shared]
            ):
                shared += 1
        for level in range(shared + 1, depth + 1):
            trie.end[path[level]] = n_nodes
        if index and groups[index] != groups[index - 1]:
            trie.end[path[0]] = n_nodes
            trie.first[n_nodes] = index
            roots[n_roots] = n_nodes
            path[0] = n_nodes
            n_nodes += 1
            n_roots += 1
        for level in range(shared + 1, length + 1):
            trie.byte[n_nodes] = ends.data[place + level - 1]
            trie.depth[n_nodes] = level
            trie.first[n_nodes] = index
            path[level] = n_nodes
            n_nodes += 1
        depth = length
    for level in range(depth + 1):
        trie.end[path[level]] = n_nodes
    trie.first[n_nodes] = ranks.size
    return n_nodes, n_roots
