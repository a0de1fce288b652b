"""What the vocabulary can do from one lexer state, whatever the parser's stack.

Input:  the lexer and the vocabulary's trie.
Output: per lexer state q a `LexerRow`: the tokens that end inside the lexeme, and for
        each way the lexeme can end inside a token, the trie of what is left of such tokens.

This is the mask store's content (SynCode's DFA mask store, arXiv:2403.01632, section 4.3,
with remainders of any length in place of a second terminal). The decoder adds what
depends on the stack: `constrain.decode.masker`.

Shapes: L lexer states, C byte classes, V tokens, W = ceil(V / 32).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD, FINAL, Alike, Lexer, Members
from constrain.automata.margin import canonical_effect
from constrain.bitmask import n_words
from constrain.errors import GrammarLimitError
from constrain.masks.kernels import (
    DONE,
    EFFECT_BITS,
    UNKNOWN,
    EffectTable,
    Hits,
    LexerTable,
    Path,
    differ,
    heights,
    mark_all,
    walk,
)
from constrain.masks.trie import Ends, FlatTrie, Forest, build_trie, rank_ends, remainder_tries
from constrain.vocabulary import Vocabulary

MAX_SMALL = 16_384
"""Trie nodes that a walk may meet for each mask; where it meets more, a row is kept."""

_NONE_ALIKE = Alike(np.zeros(0, np.int32), np.zeros(0, np.int32))

Way = tuple[tuple[int, ...], Members]
"""How a lexeme ends: the terminals that it is, and what must not follow (`Lexer.residue`)."""


class LexerRow(NamedTuple):
    """All that one lexer state says about the vocabulary.

    inside: tokens that end in a state surely finishable
    unsure: the other tokens that end alive inside the lexeme, by end state and effect
    forest: what is left of the tokens inside which the lexeme ends
    base: a state nearly like it, whose row has all other tokens; 0: there is none
    changed: the tokens of which this row speaks, where there is a base
    """

    inside: NDArray[np.int32]  # [W]
    unsure: tuple[tuple[int, int, NDArray[np.int32]], ...]  # (lexer state, effect, [W])
    forest: Forest
    base: int = 0
    changed: NDArray[np.int32] | None = None  # [W]

    def n_bytes(self) -> int:
        """Of all arrays."""
        forest = (*self.forest.trie, self.forest.root, self.forest.cut, self.forest.effect)
        changed = () if self.changed is None else (self.changed,)
        arrays = self.inside, *forest, *changed, *(tokens for *_, tokens in self.unsure)
        return sum(array.nbytes for array in arrays)


class Effects:
    """What tokens do to the indentation of the current line, numbered; 0 is nothing.

    Attributes:
        spelled: per effect, few bytes that have it.
    """

    _KINDS = b" \t\f\r\n\\#"  # all other bytes are as a comment is

    def __init__(self) -> None:
        self.spelled = [b""]
        self._ids = {b"": 0}
        kind = np.full(256, len(self._KINDS) - 1, np.uint8)
        kind[list(self._KINDS)] = np.arange(len(self._KINDS))
        self.table = EffectTable(self._unknown(64), kind, np.zeros(2, np.int32))

    def learn(self) -> None:
        """Find out what `table.wanted` asks for."""
        effect, kind = self.table.wanted.tolist()
        target = self.number(canonical_effect(self.spelled[effect] + self._KINDS[kind : kind + 1]))
        self.table.next[effect, kind] = target

    def number(self, spelled: bytes) -> int:
        """The number of the effect of some bytes.

        Raises:
            GrammarLimitError: there are too many.
        """
        effect = self._ids.setdefault(spelled, len(self.spelled))
        if effect == len(self.spelled):
            if effect >= 1 << EFFECT_BITS:
                raise GrammarLimitError(
                    f"the vocabulary's tokens indent lines in more than {1 << EFFECT_BITS} ways"
                )
            self.spelled.append(spelled)
            if effect == len(self.table.next):
                grown = np.concatenate([self.table.next, self._unknown(effect)])
                self.table = self.table._replace(next=grown)
        return effect

    def _unknown(self, n_effects: int) -> NDArray[np.int32]:
        return np.full((n_effects, len(self._KINDS)), UNKNOWN, np.int32)


class Walker:
    """Walks the vocabulary through one lexer. Owns the arrays; not safe under threads.

    Attributes:
        words: W.
        effects: what tokens do to indentation.
        ways: the ways in which lexemes end, by number.
        path: scratch for the kernels.
        max_small: see `MAX_SMALL`.
        small: states from which walks are known to meet no more nodes, or more.
    """

    def __init__(self, lexer: Lexer, vocabulary: Vocabulary) -> None:
        self.lexer = lexer
        self.words = n_words(vocabulary.size)
        self.effects = Effects()
        self.ways: list[Way] = []
        self._way_ids: dict[Way, int] = {}
        longest = vocabulary.max_bytes + 2
        self.path = Path(np.zeros(longest, np.int32), np.zeros(longest, np.int32))
        self._tokens = vocabulary.tokens
        self.max_small = MAX_SMALL
        self.small: dict[int, bool] = {}
        self._kills = np.zeros((64, lexer.next.shape[1]), np.bool_)
        self._n_known = 0
        no_way, no_line_end = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        self._table = LexerTable(
            lexer.next, lexer.table.byte_class, no_way, no_line_end, self._kills
        )

    @cached_property
    def _ends(self) -> Ends:
        return rank_ends(self._tokens)

    @cached_property
    def trie(self) -> FlatTrie:
        """The whole vocabulary."""
        ids = np.array([token for token, string in enumerate(self._tokens) if string], np.int64)
        return build_trie(self._ends, ids)

    def n_bytes(self) -> int:
        """Of the vocabulary's trie and what is known of its tokens' ends."""
        return sum(array.nbytes for array in (*self.trie, *self._ends, self.heights))

    def table(self) -> LexerTable:
        """The lexer's arrays as they are now; the same object as long as they are the same."""
        lexer, table = self.lexer, self._table
        known, n_states = self._n_known, lexer.n_states
        if n_states > len(table.cut):
            room = max(n_states, 2 * len(table.cut))
            cut, is_line_end = np.full(room, UNKNOWN, np.int32), np.zeros(room, np.bool_)
            cut[:known], is_line_end[:known] = table.cut[:known], table.is_line_end[:known]
            table = table._replace(cut=cut, is_line_end=is_line_end)
        for state in range(known, n_states):
            table.cut[state] = self._way(state)
            table.is_line_end[state] = lexer.is_line_end[state]
        self._n_known = n_states
        if table.next is not lexer.next or table.kills is not self._kills:
            table = table._replace(next=lexer.next, kills=self._kills)
        self._table = table
        return table

    @property
    def alike(self) -> Alike:
        """What the lexer says of states that are like others; nothing where it says so."""
        return self.lexer.alike or _NONE_ALIKE

    def walk(self, state: int) -> tuple[Hits, Hits]:
        """Where the vocabulary's tokens end from a lexer state, and where they end the lexeme."""
        trie = self.trie
        ends, cuts = _hits(len(trie.byte)), _hits(len(trie.byte))
        table = self.table()
        while walk(table, self.effects.table, state, trie, self.path, ends, cuts) != DONE:
            self.effects.learn()
        return _used(ends), _used(cuts)

    def row(self, state: int, sure: NDArray[np.bool_]) -> LexerRow:
        """The row of `state` over the whole vocabulary.

        Args:
            state: of the lexer, not DEAD.
            sure: bool[L], see `constrain.automata.adjacency.Adjacency.sure`.
        """
        base = self.base(state)
        changed = None
        if base:
            ends, cuts, changed = self._differing(state)
        else:
            ends, cuts = self.walk(state)
        is_sure = sure[ends.state]
        inside = tokens_at(self.trie, ends.node[is_sure], self.words)
        others = Hits(ends.node[~is_sure], ends.state[~is_sure], ends.effect[~is_sure], ends.used)
        unsure = tuple(
            (end, effect, tokens_at(self.trie, nodes, self.words))
            for end, effect, nodes in by_end(others)
        )
        return LexerRow(inside, unsure, self._forest(cuts), base, changed)

    def base(self, state: int) -> int:
        """The state that a lexer says this one is nearly like; DEAD for none."""
        alike = self.lexer.alike
        return DEAD if alike is None else int(alike.base[state])

    def _differing(self, state: int) -> tuple[Hits, Hits, NDArray[np.int32]]:
        """Ends and cuts of the tokens that end otherwise than from the base, and these tokens."""
        trie = self.trie
        ends, cuts = _hits(len(trie.byte)), _hits(len(trie.byte))
        nodes = np.empty(len(trie.byte), np.int32)
        alike = self.lexer.alike
        assert alike is not None
        used = differ(self.table(), alike, state, trie, self.heights, self.path, ends, cuts, nodes)
        return _used(ends), _used(cuts), tokens_at(trie, nodes[:used], self.words)

    @cached_property
    def heights(self) -> NDArray[np.int32]:
        """int32[N]: the most bytes below each node of `trie`."""
        return heights(self.trie)

    def new_row(self) -> NDArray[np.int32]:
        """int32[W], no token."""
        return np.zeros(self.words, np.int32)

    def _forest(self, cuts: Hits) -> Forest:
        """The remainders behind `cuts`, one trie for each way and effect."""
        table = self.table()
        kinds = table.cut[cuts.state].astype(np.int64) << EFFECT_BITS | cuts.effect
        found, group = np.unique(kinds, return_inverse=True)
        ways = (found >> EFFECT_BITS).astype(np.int32)
        killed = np.ascontiguousarray(table.kills[ways][:, table.byte_class])
        trie, root, left = remainder_tries(self.trie, self._ends, cuts.node, group, killed)
        effects = found[left] & ((1 << EFFECT_BITS) - 1)
        return Forest(trie, root[: len(left)], ways[left], effects.astype(np.int32))

    def _way(self, state: int) -> int:
        """The number of the way in which the lexeme ends in a lexer state.

        UNKNOWN if it cannot, or if nothing could come behind it.
        """
        if not self.lexer.winners[state] or self.lexer.winners[state] == FINAL:
            return UNKNOWN
        way = self.lexer.winners[state], self.lexer.residue(state)
        number = self._way_ids.setdefault(way, len(self.ways))
        if number == len(self.ways):
            self.ways.append(way)
            if number == len(self._kills):
                self._kills = np.concatenate([self._kills, np.zeros_like(self._kills)])
            if way[1]:
                table = self.lexer.table
                self._kills[number] = table.accepting[table.next[list(way[1])]].any(axis=0)
        return number


def by_end(hits: Hits) -> Iterator[tuple[int, int, NDArray[np.int32]]]:
    """The lexer states and effects in `hits`, ascending, each with its nodes."""
    kinds = hits.state.astype(np.int64) << EFFECT_BITS | hits.effect
    for kind in np.unique(kinds).tolist():
        state, effect = divmod(kind, 1 << EFFECT_BITS)
        yield state, effect, hits.node[kinds == kind]


def tokens_at(trie: FlatTrie, nodes: NDArray[np.int32], words: int) -> NDArray[np.int32]:
    """int32[W]: the tokens spelled at some nodes."""
    row = np.zeros(words, np.int32)
    mark_all(trie, nodes, row)
    return row


def _hits(capacity: int) -> Hits:
    node, state, effect = (np.empty(capacity, np.int32) for _ in range(3))
    return Hits(node, state, effect, np.zeros(1, np.int64))


def _used(hits: Hits) -> Hits:
    n = int(hits.used[0])
    return Hits(hits.node[:n], hits.state[:n], hits.effect[:n], hits.used)
