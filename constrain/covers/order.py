"""A vocabulary in the order of bytes, and a distribution over it.

All tokens with a given beginning lie side by side, so the mass of a beginning is a sum over one
range, and the masses of all its next bytes are the sums over consecutive parts of it.

The sums are taken part by part (`log_sums`), each relative to its own largest term, and not as
differences of one cumulative sum: a difference loses the digits of every mass that is small
beside what stands before it.

Shapes: K text tokens, V ids, L logits, N trie nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from constrain.errors import DeadEndError, LogitsError
from constrain.masks.trie import FlatTrie, build_trie, rank_ends
from constrain.vocabulary import Vocabulary

ROOT = 0
"""The trie's node of the empty string."""


@dataclass(frozen=True, eq=False)
class Children:
    """What may follow the bytes of a trie's node, in the order of bytes; n children.

    Attributes:
        bytes: int64[n], the next byte.
        nodes: int64[n].
        starts: int64[n], the first token below each, an index of `ByteOrder.tokens`.
        stop: one past the last child's tokens.
    """

    bytes: NDArray[np.int64]
    nodes: NDArray[np.int64]
    starts: NDArray[np.int64]
    stop: int


@dataclass(frozen=True, eq=False)
class ByteOrder:
    """The text tokens of a vocabulary, sorted by their bytes.

    Attributes:
        vocabulary: whose.
        trie: of the text tokens.
        tokens: int64[K], ids in the order of bytes. Read-only.
        end_ids: int64[E], ids that end a text. Read-only.
    """

    vocabulary: Vocabulary
    trie: FlatTrie
    tokens: NDArray[np.int64]
    end_ids: NDArray[np.int64]
    _known: dict[int, Children] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """Sort a vocabulary: once, for all texts."""
        text = np.flatnonzero([bool(token) for token in vocabulary.tokens])
        trie = build_trie(rank_ends(vocabulary.tokens), text)
        arrays = trie.tokens.astype(np.int64), np.array(vocabulary.end_ids, np.int64)
        for array in arrays:
            array.setflags(write=False)
        return cls(vocabulary, trie, *arrays)

    def children(self, node: int) -> Children:
        """The children of a node."""
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = _children(self.trie, node)
        return found

    def child(self, node: int, byte: int) -> int | None:
        """The node behind one more byte; None if no token goes on so."""
        children = self.children(node)
        place = int(np.searchsorted(children.bytes, byte))
        if place == len(children.bytes) or children.bytes[place] != byte:
            return None
        return int(children.nodes[place])

    def spelled(self, node: int) -> range:
        """The tokens that end at a node, as indices of `tokens`."""
        return range(int(self.trie.first[node]), int(self.trie.first[node + 1]))

    def below(self, node: int) -> slice:
        """The tokens that run past a node, as indices of `tokens`."""
        return slice(int(self.trie.first[node + 1]), int(self.trie.first[self.trie.end[node]]))


def _children(trie: FlatTrie, node: int) -> Children:
    nodes = []
    child, end = node + 1, int(trie.end[node])
    while child < end:
        nodes.append(child)
        child = int(trie.end[child])
    found = np.array(nodes, np.int64)
    starts = trie.first[found].astype(np.int64)
    return Children(trie.byte[found].astype(np.int64), found, starts, int(trie.first[end]))


@dataclass(frozen=True, eq=False)
class Row:
    """The distribution of the next token, over text tokens and stop.

    Attributes:
        logp: float64[K], in the order of bytes. Read-only.
        stop: log-probability of all end tokens together.
    """

    logp: NDArray[np.float64]
    stop: float


def make_row(
    order: ByteOrder, logits: NDArray[np.float64], allowed: NDArray[np.bool_] | None = None
) -> Row:
    """The distribution of text tokens and end tokens, of those that are allowed.

    Args:
        order: of the vocabulary.
        logits: float64[L], L ≥ V; what stands behind V is padding.
        allowed: bool[V], by token id; None: all.

    Raises:
        LogitsError: there are fewer logits than ids, or one is NaN or +inf.
        DeadEndError: all that is allowed has probability 0.
    """
    size = order.vocabulary.size
    if logits.ndim != 1 or len(logits) < size:
        raise LogitsError(
            f"the model gives logits of shape {logits.shape} for a vocabulary of {size} ids; "
            f"use the tokenizer that belongs to the model"
        )
    kept = logits[:size]
    if allowed is not None:
        kept = np.where(allowed, kept, -np.inf)
    text, ends = kept[order.tokens], kept[order.end_ids]
    largest = max(text.max(initial=-np.inf), ends.max(initial=-np.inf))
    if np.isnan(text).any() or np.isnan(ends).any() or largest == np.inf:
        raise LogitsError("the model gives logits that are NaN or +inf; is it in half precision?")
    if largest == -np.inf:
        raise DeadEndError(b"", "every token that may come next has probability 0")
    total = largest + np.log(np.exp(text - largest).sum() + np.exp(ends - largest).sum())
    logp = text - total
    logp.setflags(write=False)
    return Row(logp, log_sum(ends) - float(total))


def log_sum(logs: NDArray[np.float64]) -> float:
    """Return log Σ exp; -inf for nothing."""
    largest = logs.max(initial=-np.inf)
    if largest == -np.inf:
        return -np.inf
    return float(largest + np.log(np.exp(logs - largest).sum()))


def log_sums(logs: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log Σ exp of consecutive parts, each as exact as if it stood alone.

    Args:
        logs: float64[n].
        starts: int64[m], strictly ascending, the first is 0: where each part begins.

    Returns:
        float64[m].
    """
    if not len(starts):
        return np.zeros(0)
    largest = np.maximum.reduceat(logs, starts)
    largest[largest == -np.inf] = 0.0
    sizes = np.diff(starts, append=len(logs))
    sums = np.add.reduceat(np.exp(logs - np.repeat(largest, sizes)), starts)
    with np.errstate(divide="ignore"):
        summed: NDArray[np.float64] = largest + np.log(sums)
    return summed
