"""Byte strings with token ids as a preorder trie, the form every walk runs over.

Input:  (bytes, token id) pairs; several tokens may have the same bytes.
Output: `FlatTrie`.

In preorder a subtree is a contiguous range of nodes, so a dead byte skips all tokens
below it by one jump, and the tokens below a node are a contiguous range too.

Shapes: N trie nodes, K (string, token) pairs, D bytes of the longest string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class FlatTrie(NamedTuple):
    """A byte trie in preorder. Node 0 is the root, the empty string.

    The tokens spelled at node n are `tokens[first[n]:first[n + 1]]`, those at or below it
    `tokens[first[n]:first[end[n]]]`.
    """

    byte: NDArray[np.uint8]  # [N] byte on the edge into the node
    depth: NDArray[np.int32]  # [N] bytes from the root
    end: NDArray[np.int32]  # [N] one past the node's subtree
    first: NDArray[np.int32]  # [N + 1] index of the node's first token
    tokens: NDArray[np.int32]  # [K] token ids


def build_trie(strings: Sequence[bytes], tokens: Sequence[int] | None = None) -> FlatTrie:
    """The trie of all non-empty `strings`.

    Args:
        strings: in any order.
        tokens: the token id of each; default its index.
    """
    ids = range(len(strings)) if tokens is None else tokens
    pairs = sorted((string, token) for string, token in zip(strings, ids, strict=True) if string)
    return _from_sorted(pairs)


def remainder_trie(trie: FlatTrie, nodes: NDArray[np.int32], strings: Sequence[bytes]) -> FlatTrie:
    """What is left of the tokens below `nodes` once the bytes up to each node are gone.

    Equal remainders are one node: that of `x",`, `name",` and `"",` behind `"` is `,`.

    Args:
        trie: the tokens.
        nodes: each contributes the tokens strictly below it.
        strings: the tokens' bytes, by token id.
    """
    pairs: set[tuple[bytes, int]] = set()
    for node in nodes.tolist():
        depth = int(trie.depth[node])
        below = trie.tokens[trie.first[node + 1] : trie.first[trie.end[node]]]
        pairs.update([(strings[token][depth:], token) for token in below.tolist()])
    return _from_sorted(sorted(pairs))


def spelling(trie: FlatTrie, node: int, strings: Sequence[bytes]) -> bytes:
    """The bytes from the root to a node, at or below which some token ends.

    Args:
        trie: of whole tokens or of their remainders.
        node: of `trie`.
        strings: the tokens' bytes, by token id; the trie may hold only their ends.
    """
    end = node
    while trie.first[end + 1] == trie.first[node]:
        end += 1  # the first token of the subtree ends further down
    string = strings[int(trie.tokens[trie.first[node]])]
    depth = int(trie.depth[end])
    return string[len(string) - depth : len(string) - depth + int(trie.depth[node])]


def _from_sorted(pairs: Sequence[tuple[bytes, int]]) -> FlatTrie:
    data = np.frombuffer(b"".join(string for string, _ in pairs), np.uint8)
    lengths = np.array([len(string) for string, _ in pairs], np.int64)
    capacity = 1 + len(data)
    trie = FlatTrie(
        byte=np.zeros(capacity, np.uint8),
        depth=np.zeros(capacity, np.int32),
        end=np.zeros(capacity, np.int32),
        first=np.zeros(capacity + 1, np.int32),
        tokens=np.array([token for _, token in pairs], np.int32),
    )
    n_nodes = int(_fill(data, lengths, trie))
    return FlatTrie(
        byte=trie.byte[:n_nodes].copy(),
        depth=trie.depth[:n_nodes].copy(),
        end=trie.end[:n_nodes].copy(),
        first=trie.first[: n_nodes + 1].copy(),
        tokens=trie.tokens,
    )


@njit()
def _fill(data: NDArray[np.uint8], lengths: NDArray[np.int64], trie: FlatTrie) -> int:
    """Write the nodes of sorted strings in preorder; returns N.

    A string shares with the one before it the path up to their common prefix; the path's
    deeper nodes end there.
    """
    longest = 0
    for length in lengths:
        longest = max(longest, length)
    path = np.zeros(longest + 1, np.int32)
    depth = 0
    n_nodes = 1
    offset = 0
    for index in range(lengths.size):
        length = lengths[index]
        shared = 0
        while (
            shared < depth
            and shared < length
            and trie.byte[path[shared + 1]] == data[offset + shared]
        ):
            shared += 1
        for level in range(shared + 1, depth + 1):
            trie.end[path[level]] = n_nodes
        for level in range(shared + 1, length + 1):
            trie.byte[n_nodes] = data[offset + level - 1]
            trie.depth[n_nodes] = level
            trie.first[n_nodes] = index
            path[level] = n_nodes
            n_nodes += 1
        depth = length
        offset += length
    for level in range(depth + 1):
        trie.end[path[level]] = n_nodes
    trie.first[n_nodes] = lengths.size
    return n_nodes
