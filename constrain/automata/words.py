"""The words of a byte DFA, counted and listed.

Shapes: S states, C byte classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import DEAD, START, ByteDFA


def count_words(dfa: ByteDFA, limit: int) -> int:
    """How many texts the language has, or `limit` if it has more.

    One pass over the transitions: an endless language is known by its loop.
    """
    if dfa.is_empty():
        return 0
    width = np.bincount(dfa.byte_class).tolist()
    rows = dfa.next.tolist()
    waiting = np.bincount(dfa.next[START:].ravel(), minlength=dfa.n_states).tolist()
    ways = [0] * dfa.n_states  # to reach each state, at most `limit`
    ways[START] = 1
    found, n_counted = 0, 0
    ready = [START] if waiting[START] == 0 else []
    for state in ready:
        n_counted += 1
        found += ways[state] * bool(dfa.accepting[state])
        for column, target in enumerate(rows[state]):
            ways[target] = min(limit, ways[target] + ways[state] * width[column])
            waiting[target] -= 1
            if waiting[target] == 0 and target != DEAD:
                ready.append(target)
    # All states but the dead one are live, so one that is never ready means a loop.
    return min(limit, found) if n_counted == dfa.n_states - 1 else limit


def iterate_words(dfa: ByteDFA, limit: int) -> Iterator[bytes]:
    """The first `limit` texts of the language, or all: shorter ones first, then in byte order.

    Between two texts there are at most S steps for each length; none leads to a dead end.
    """
    if dfa.is_empty():
        return
    ends: list[NDArray[np.bool_]] = [dfa.accepting]  # [n]: the states n bytes before an end
    here = np.zeros(dfa.n_states, np.bool_)  # the states at the beginnings of one length
    here[START] = True
    edges = _Edges(dfa)
    while limit > 0 and here[START:].any():
        for word in _words_of_length(edges, ends):
            yield word
            limit -= 1
            if limit <= 0:
                return
        ends.append(np.any(ends[-1][dfa.next], axis=1))
        after = np.zeros(dfa.n_states, np.bool_)
        after[dfa.next[here]] = True
        after[DEAD] = False
        here = after


class _Edges(dict[int, list[tuple[int, int]]]):
    """Of each state that is asked for, the bytes that do not kill it, the last first; targets."""

    def __init__(self, dfa: ByteDFA) -> None:
        self._dfa = dfa

    def __missing__(self, state: int) -> list[tuple[int, int]]:
        targets = self._dfa.next[state, self._dfa.byte_class].tolist()
        edges = [(byte, targets[byte]) for byte in range(255, -1, -1) if targets[byte] != DEAD]
        self[state] = edges
        return edges


def _words_of_length(edges: _Edges, ends: list[NDArray[np.bool_]]) -> Iterator[bytes]:
    """The texts of as many bytes as the last of `ends` speaks of, in byte order."""
    n = len(ends) - 1
    if not ends[n][START]:
        return
    word = bytearray()
    pending: list[tuple[int, int, int]] = [(0, 0, START)]  # length, last byte, state behind it
    while pending:
        length, last, state = pending.pop()
        if length:
            del word[length - 1 :]
            word.append(last)
        if length == n:
            yield bytes(word)
            continue
        lives = ends[n - length - 1]
        pending += [(length + 1, byte, target) for byte, target in edges[state] if lives[target]]
