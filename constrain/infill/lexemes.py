"""The lexemes that a suffix may hold, whatever is before it.

Input:  the terminals' DFAs and the suffix.
Output: for a terminal and a place, where its lexemes end.

What decides a cut is in part not known: which other terminals the parser would take, and what
the lexemes before still forbid. Only what holds in any case is asked for: by longest match a lexeme
is the longest of its own terminal, is not refused, and no guard is longer. So all lexemes of every
text with this suffix are found, and some that are in none.
"""

from __future__ import annotations

import numpy as np

from constrain.automata.lexer import DEAD, Lexer

BEYOND = -1
"""A place behind the part of the suffix that is looked at."""

Ends = frozenset[int]


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
        self._behind: dict[int, Ends] = {}
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
        found = self._behind.get(state)
        if found is None:
            reached = {state: None}
            for one in (queue := [state]):
                for target, _ in self._table.moves[one]:
                    if target not in reached:
                        reached[target] = None
                        queue.append(target)
            runs = {self._run(one, 0) for one in reached}
            found = self._behind[state] = frozenset().union(*runs)
        return found

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
        while place < len(classes):
            row = self._rows.get(state)
            if row is None:
                row = self._rows[state] = self._table.next[state].tolist()
            state = row[classes[place]]
            place += 1
            if state == DEAD:
                return frozenset(found)
            if accepting[state]:
                found.append(place)
        if not self._is_cut:
            return frozenset(found)
        return frozenset([BEYOND, *(end for end in found if end < len(classes))])
