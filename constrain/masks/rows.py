"""What the vocabulary can do from one lexer state, whatever the parser's stack.

Input:  the lexer and the vocabulary's trie.
Output: per lexer state q a `LexerRow`: the tokens that end inside the lexeme, and for
        each way the lexeme can end inside a token, the trie of what is left of such tokens.

This is the mask store's content (SynCode's DFA mask store, arXiv:2403.01632, section 4.3,
with remainders of any length in place of a second terminal). The decoder adds what
depends on the stack: `constrain.decode.masker`.

Shapes: L lexer states, N trie nodes, V tokens, W = ceil(V / 32).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import Lexer, Members
from constrain.automata.margin import canonical_effect
from constrain.bitmask import n_words
from constrain.masks.kernels import Hits, LexerTable, mark, walk
from constrain.masks.trie import FlatTrie, remainder_trie, spelling
from constrain.vocabulary import Vocabulary

ROOT = np.zeros(1, np.int32)

MAX_WALKED = 10_000_000
"""Ends and cuts of remembered walks, 12 bytes each; beyond it all walks are forgotten."""


class Ends(NamedTuple):
    """Tokens that end inside a lexeme, by the lexer state they end in."""

    trie: FlatTrie
    hits: Hits

    def states(self) -> NDArray[np.int32]:
        """The distinct lexer states, ascending."""
        return np.unique(self.hits.state[: self.hits.used[0]])

    def at(self, places: NDArray[np.int64]) -> Ends:
        """Only those at some places of `hits`."""
        node, state, base, _ = self.hits
        used = np.array([len(places)], np.int64)
        return Ends(self.trie, Hits(node[places], state[places], base[places], used))

    def mark(self, chosen: NDArray[np.bool_], row: NDArray[np.int32]) -> None:
        """Set in `row` the tokens that end in a chosen state.

        Args:
            chosen: bool[L].
            row: int32[W], bits are added.
        """
        mark(self.trie, self.hits, chosen, row)


class Cut(NamedTuple):
    """One way in which a lexeme ends inside tokens."""

    winners: tuple[int, ...]  # the terminals that the lexeme is
    residue: Members  # what the text behind it must not complete, see `Lexer.residue`
    effect: bytes  # what the token adds to a line end's indentation before the cut
    trie: FlatTrie  # the tokens' remainders
    roots: NDArray[np.int32]  # the nodes of `trie` behind which the next lexeme starts


class LexerRow(NamedTuple):
    """All that one lexer state says about the vocabulary.

    inside: tokens that end in a state surely finishable
    unsure: the other tokens that end alive inside the lexeme, by end state
    cuts:   the ways to end the lexeme inside a token
    """

    inside: NDArray[np.int32]  # [W]
    unsure: tuple[tuple[int, NDArray[np.int32]], ...]  # (lexer state, [W])
    cuts: tuple[Cut, ...]


class Walker:
    """Walks tries through one lexer. Owns the scratch arrays; not safe under threads."""

    def __init__(self, lexer: Lexer, vocabulary: Vocabulary, trie: FlatTrie) -> None:
        self.lexer = lexer
        self.words = n_words(vocabulary.size)
        self.trie = trie
        self._strings = vocabulary.tokens
        self._stack = np.zeros(int(trie.depth.max(initial=0)) + 2, np.int32)
        self._accepting = np.zeros(0, np.bool_)
        self._walks: dict[tuple[int, int, bytes], tuple[Ends, tuple[Cut, ...]]] = {}
        self._walked = 0

    def walk(
        self, state: int, trie: FlatTrie, roots: NDArray[np.int32] = ROOT
    ) -> tuple[Ends, tuple[Cut, ...]]:
        """Where the tokens of `trie` behind `roots` lead from lexer state `state`.

        The cuts refer to nodes of `trie` itself. Walks are remembered: the same remainders
        are walked from the same few states for ever new stacks.
        """
        key = (id(trie), state, roots.tobytes())
        known = self._walks.get(key)
        if known is not None:
            return known
        capacity = int((trie.end[roots] - roots).sum())  # roots may be nested
        ends, cuts = _hits(capacity), _hits(capacity)
        walk(self._table(), state, trie, roots, self._stack, ends, cuts)
        result = Ends(trie, _used(ends)), self._group(trie, cuts)
        if trie is not self.trie:
            self._walked += int(ends.used[0]) + int(cuts.used[0])
            if self._walked > MAX_WALKED:
                self._walks.clear()
                self._walked = 0
            self._walks[key] = result  # which holds the trie, so that its id stays its own
        return result

    def row(self, state: int, sure: NDArray[np.bool_]) -> LexerRow:
        """The row of `state` over the whole vocabulary.

        Args:
            state: of the lexer, not DEAD.
            sure: bool[L], see `constrain.automata.adjacency.Adjacency.sure`.
        """
        ends, cuts = self.walk(state, self.trie)
        inside = self.new_row()
        ends.mark(sure, inside)
        unsure = []
        for end in ends.states().tolist():
            if not sure[end]:
                row = self.new_row()
                ends.mark(only(end, len(sure)), row)
                unsure.append((end, row))
        merged = (
            cut._replace(trie=remainder_trie(self.trie, cut.roots, self._strings), roots=ROOT)
            for cut in cuts
        )
        return LexerRow(inside, tuple(unsure), tuple(merged))

    def new_row(self) -> NDArray[np.int32]:
        """int32[W], no token."""
        return np.zeros(self.words, np.int32)

    def _table(self) -> LexerTable:
        lexer = self.lexer
        known = len(self._accepting)
        if known < lexer.n_states:
            fresh = np.array([bool(w) for w in lexer.winners[known:]], np.bool_)
            self._accepting = np.concatenate([self._accepting, fresh])
        return LexerTable(lexer.next, lexer.table.byte_class, self._accepting)

    def _group(self, trie: FlatTrie, hits: Hits) -> tuple[Cut, ...]:
        count = int(hits.used[0])
        groups: dict[tuple[tuple[int, ...], Members, bytes], list[NDArray[np.int32]]] = {}
        states = hits.state[:count]
        for state in np.unique(states).tolist():
            for effect, places in self.by_effect(trie, hits, state):
                key = (self.lexer.winners[state], self.lexer.residue(state), effect)
                groups.setdefault(key, []).append(hits.node[places])
        return tuple(
            Cut(winners, residue, effect, trie, np.concatenate(parts))
            for (winners, residue, effect), parts in groups.items()
        )

    def by_effect(
        self, trie: FlatTrie, hits: Hits, state: int
    ) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
        """Where in `hits` a lexer state stands, by what the tokens' bytes do to indentation."""
        places = np.flatnonzero(hits.state[: hits.used[0]] == state)
        if not self.lexer.is_line_end[state]:
            yield b"", places
            return
        found: dict[bytes, list[int]] = {}
        for place in places.tolist():
            path = spelling(trie, int(hits.node[place]), self._strings)
            found.setdefault(canonical_effect(path[hits.base[place] :]), []).append(place)
        for effect, members in found.items():
            yield effect, np.array(members, np.int64)


def _hits(capacity: int) -> Hits:
    node, state, base = (np.empty(capacity, np.int32) for _ in range(3))
    return Hits(node, state, base, np.zeros(1, np.int64))


def _used(hits: Hits) -> Hits:
    n = int(hits.used[0])
    return Hits(hits.node[:n].copy(), hits.state[:n].copy(), hits.base[:n].copy(), hits.used)


def only(state: int, n_states: int) -> NDArray[np.bool_]:
    """bool[L]: one lexer state."""
    chosen = np.zeros(n_states, np.bool_)
    chosen[state] = True
    return chosen
