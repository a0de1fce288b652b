"""The lexemes that a suffix may hold, whatever is before it.

Input:  the terminals' DFAs and the suffix.
Output: for a terminal and a place, where its lexemes end.

What decides a cut is in part not known: which other terminals the parser would take, and what
the lexemes before still forbid. Only what holds in any case is asked for: by longest match a lexeme
is the longest of its own terminal, is not refused, and no guard is longer. So all lexemes of every
text with this suffix are found, and some that are in none.
"""

from __future__ import annotations

from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD, Lexer

BEYOND = -1
"""A place behind the part of the suffix that is looked at."""

NOWHERE = -2

WORD = 62
"""Places that are told apart at a time, as bits."""

MAX_STEPS = 10_000_000
"""Steps of DFAs over one suffix: some seconds."""

Ends = frozenset[int]


class Undecided(Exception):  # noqa: N818 - control flow between these modules and `joining.py`
    """To read the suffix from all places where a middle may end passes a bound."""


class Lexemes:
    """The ends of lexemes in one suffix, found as they are asked for.

    Args:
        lexer: its terminals and lexing rule.
        data: the suffix, with what a layout reads behind it; or its beginning.
        is_cut: `data` is only a beginning.
    """

    def __init__(self, lexer: Lexer, data: bytes, *, is_cut: bool) -> None:
        self._table = lexer.table
        self._longest = lexer.longest
        self._classes = data.translate(lexer.table.byte_class.tobytes())
        self._is_cut = is_cut
        self._accepting = lexer.table.accepting.tolist()
        self._rows: dict[int, list[int]] = {}
        self._runs: dict[tuple[int, int], Ends] = {}
        self._ends: dict[tuple[int, int], Ends] = {}
        self._lexer = lexer
        self._n_steps = 0
        leads = lexer.table.next[lexer.table.start] != DEAD
        self._beginning = [np.flatnonzero(column).tolist() for column in leads.T]

    def beginning(self, place: int) -> list[int]:
        """The terminals that may begin with the byte at a place before the end."""
        return self._beginning[self._classes[place]]

    def ends(self, terminal: int, start: int) -> Ends:
        """The places where a lexeme of `terminal` that begins at `start` may end."""
        key = terminal, start
        found = self._ends.get(key)
        if found is None:
            state = int(self._table.start[terminal])
            found = self._ends[key] = self._standing(terminal, start, self._run(state, start))
        return found

    def at_seam(self, state: int) -> Ends:
        """Where a lexeme may end that is in a DFA state, and of which any bytes may come first."""
        return self._seam[0][self._seam[1][state]]

    @cached_property
    def _seam(self) -> tuple[list[Ends], list[int]]:
        """`at_seam` of all DFA states: different answers, and which of them each state has."""
        own = self._ends_of_all()
        places = sorted(set().union(*own))
        sources, firsts, targets = _edges(self._lexer)
        words = []
        for start in range(0, len(places), WORD):
            bit = {place: 1 << i for i, place in enumerate(places[start : start + WORD])}
            bits = np.array([sum(bit.get(end, 0) for end in ends) for ends in own], np.int64)
            while len(sources):
                gained = bits[sources] | np.bitwise_or.reduceat(bits[targets], firsts)
                if (gained == bits[sources]).all():
                    break
                bits[sources] = gained
            words.append(bits)
        if not words:
            return [frozenset()], [0] * len(own)
        rows, which = np.unique(np.stack(words, axis=1), axis=0, return_inverse=True)
        answers = [
            frozenset(p for i, p in enumerate(places) if row[i // WORD] >> (i % WORD) & 1)
            for row in rows.tolist()
        ]
        return answers, which.ravel().tolist()

    def _ends_of_all(self) -> list[Ends]:
        """Where lexemes end that are in each DFA state where the suffix begins."""
        n_states = len(self._accepting)
        if not self._longest:
            return [self._run(state, 0) for state in range(n_states)]
        table = self._table
        last = np.where(table.accepting, 0, NOWHERE)
        alive = np.arange(1, n_states)
        now = alive
        n_certain = len(self._classes) - self._is_cut  # at the end of a beginning more may come
        for place, column in enumerate(self._classes, 1):
            now = table.next[now, column]
            alive, now = alive[now != DEAD], now[now != DEAD]
            if not len(alive):
                break
            if place <= n_certain:
                last[alive[table.accepting[now]]] = place
        going_on = set(alive.tolist()) if self._is_cut else set()
        return [
            frozenset([end] * (end != NOWHERE) + [BEYOND] * (state in going_on))
            for state, end in enumerate(last.tolist())
        ]

    def begun(self, terminal: int) -> Ends:
        """Where a lexeme may end of which at least one byte stands before the suffix."""
        start = int(self._table.start[terminal])
        firsts = [self.at_seam(target) for target, _ in self._table.moves[start]]
        return frozenset().union(*firsts)

    def _standing(self, terminal: int, start: int, ends: Ends) -> Ends:
        """Those of `ends` that neither a refusal nor a guard forbids."""
        if not ends:
            return ends
        refusal = int(self._table.refusal[terminal])
        if refusal != DEAD:
            ends -= self._run_all(refusal, start) - {BEYOND}
        if not self._longest:
            return ends
        longer = [int(self._table.reserved[terminal])]
        longer += [guard for owner, guard in self._table.guards if owner != terminal]
        for forbidding in longer:
            if forbidding != DEAD:
                last = max(self._run(forbidding, start), default=0)
                ends = frozenset(end for end in ends if end == BEYOND or end >= last)
        return ends

    def _run(self, state: int, start: int) -> Ends:
        """Where the DFA accepts from `start` on; by longest match, the last such place."""
        key = state, start
        found = self._runs.get(key)
        if found is None:
            found = self._run_all(state, start)
            if self._longest and found:
                last = max(found)
                found = frozenset({last, BEYOND} & found)
            self._runs[key] = found
        return found

    def _run_all(self, state: int, place: int) -> Ends:
        accepting, classes = self._accepting, self._classes
        found = [place] if accepting[state] else []
        start = place
        while place < len(classes):
            row = self._rows.get(state)
            if row is None:
                row = self._rows[state] = self._table.next[state].tolist()
            state = row[classes[place]]
            place += 1
            if state == DEAD:
                break
            if accepting[state]:
                found.append(place)
        self._n_steps += place - start
        if self._n_steps > MAX_STEPS:
            raise Undecided
        if state == DEAD:
            return frozenset(found)
        if not self._is_cut:
            return frozenset(found)
        return frozenset([BEYOND, *(end for end in found if end < len(classes))])


Edges = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]

_edges_of: WeakKeyDictionary[Lexer, Edges] = WeakKeyDictionary()


def _edges(lexer: Lexer) -> Edges:
    """The moves of the terminals' DFAs: states that have some, where each one's begin, targets."""
    found = _edges_of.get(lexer)
    if found is None:
        found = _edges_of[lexer] = _find_edges(lexer)
    return found


def _find_edges(lexer: Lexer) -> Edges:
    moves = lexer.table.moves
    sources = [state for state, leading in enumerate(moves) if leading]
    sizes = [len(moves[state]) for state in sources]
    firsts = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    targets = [target for state in sources for target, _ in moves[state]]
    return np.array(sources, np.int32), firsts, np.array(targets, np.int32)
