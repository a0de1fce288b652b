"""Whether longest match can lead into a dead end, decided once per grammar.

Input:  the lexer, which terminals may follow which, the bytes that tokens can spell.
Output: `Adjacency`: which lexer states are *surely* finishable, and the trap if there is one.

After a lexeme of A = /ab*/ no B = /b/ can ever come: A swallows it. A parser that knows
nothing of lexing would offer `a` and never finish. In most grammars no such pair exists,
or white space may always be put between. Then every live state leads to a whole text, and
the mask needs no search. The proof, in two parts:

1. A terminal is *ownable* if some spellable string is matched by it and by no terminal that
   beats it. Its *entries* are the first bytes of such strings.
2. A boundary after terminal t is *open* to u if some entry of u continues no terminal that
   may be alive where t ends, or some longer string of u refutes them all on its way. A
   terminal is *open* if its boundary is open to all terminals that may follow, or to an
   ignored terminal that is open itself.

If all terminals are ownable and open, any plan of the parser can be carried out: choose
the next terminal of a shortest sentence, an ignored one before it where needed, and an owned
string for it. Where the proof fails the decoder asks `constrain.decode.completion`, which
searches and is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD, Lexer, Members, as_bits
from constrain.grammar.sets import bits


class Plan(NamedTuple):
    """How terminals are written, one after the other, so that no lexeme runs into the next.

    length: per terminal, bytes of the shortest string that it owns
    blank:  1 if some need a blank before them, which is then counted before all; else 0
    apart:  the ignored terminals that nothing needs a blank behind
    """

    length: dict[int, int]
    blank: int
    apart: frozenset[int]


class Adjacency:
    """The proof's result for one grammar and one set of spellable bytes.

    Attributes:
        trap: (t, u) such that the boundary after terminal t is not shown open to u;
            u == t where t is not ownable; None if the proof holds.
        spellable: bool[C], byte classes of which some byte is a token by itself.
        entry_bytes: per terminal, bool[C] of its entries.

    Args of the constructor that may be left out: `ignored_behind`, per terminal the ignored
    ones that may stand behind it wherever it stands; `together`, per terminal those that may
    be candidates where it is, as bits; without them, all. `can_do_without`: whether every stack
    can be completed without some terminals; then no plan needs them.
    """

    def __init__(
        self,
        lexer: Lexer,
        follow: Sequence[int],
        ignored: frozenset[int],
        used: Iterable[int],
        spellable_bytes: NDArray[np.bool_],
        ignored_behind: Mapping[int, frozenset[int]] | None = None,
        together: Mapping[int, int] | None = None,
        can_do_without: Callable[[frozenset[int]], bool] | None = None,
    ) -> None:
        self._lexer = lexer
        table = lexer.table
        self.spellable = np.zeros(table.next.shape[1], np.bool_)
        self.spellable[table.byte_class[spellable_bytes]] = True
        self._sure = np.zeros(0, np.bool_)
        self.used = sorted({*used, *ignored})
        self._ignored_behind = ignored_behind or {}
        self._together = together or {}
        self._can_do_without = can_do_without or (lambda _: False)
        self._unbeaten: set[int] = set()
        self._shortest: dict[int, tuple[int, int]] = {}  # length, and first byte classes as bits
        self._after: dict[int, int] = {}  # the byte classes that may continue it, as bits
        self._wanted: dict[int, list[int]] = {}
        self._outlasting: dict[tuple[int, int], int] = {}  # what is not told by the first byte
        self.entry_bytes = {t: self._entries(t) for t in self.used}
        self._ignored = ignored
        self.trap = self._find_trap(follow, ignored)

    def sure(self) -> NDArray[np.bool_]:
        """bool[L]: states from which every stack of the parser can be brought to an end.

        A False entry is no proof of the contrary.
        """
        lexer = self._lexer
        known = len(self._sure)
        if self.trap is not None:
            self._sure = np.zeros(lexer.n_states, np.bool_)
        elif known < lexer.n_states:
            fresh = np.arange(known, lexer.n_states)
            good = [lexer.stands(state) for state in fresh.tolist()]
            self._sure = np.concatenate([self._sure, np.array(good, np.bool_)])
            rows = lexer.next[fresh][:, self.spellable]
            while True:
                now = self._sure[fresh] | self._sure[np.maximum(rows, DEAD)].any(axis=1)
                if (now == self._sure[fresh]).all():
                    break
                self._sure[fresh] = now
            self._sure[DEAD] = False
        return self._sure

    def plan(self) -> Plan | None:
        """A way to write all terminals in any order that the parser wants; None: none is known."""
        if self.trap is not None:
            return None
        length = {t: self._shortest[t][0] for t in self.used}
        first = {t: self._shortest[t][1] for t in self.used}
        needed = {u for others in self._wanted.values() for u in others}
        runs_into = {
            t: [
                u
                for u in others
                if not first[u] & ~self._after[t] and self._outlasting.get((t, u)) != length[u]
            ]
            for t, others in self._wanted.items()
        }
        stuck = [t for t, others in runs_into.items() if others]
        plan = Plan(
            {t: n for t, n in length.items() if t in needed or not self._wanted},
            0,
            self._ignored.difference(stuck),
        )
        if not stuck:
            return plan
        for blank, allowed in self._ignored_behind_all(stuck).items():
            apart = all(first[blank] & ~self._after[t] for t in stuck)
            if allowed and apart and length[blank] == 1 and not runs_into.get(blank):
                return plan._replace(blank=1)
        return None

    def _ignored_behind_all(self, terminals: Iterable[int]) -> dict[int, bool]:
        """The ignored terminals, and whether they are so behind all of some terminals."""
        return {
            blank: all(blank in self._ignored_behind.get(t, self._ignored) for t in terminals)
            for blank in self._ignored
        }

    def _find_trap(self, follow: Sequence[int], ignored: frozenset[int]) -> tuple[int, int] | None:
        for terminal in self.used:
            if not self.entry_bytes[terminal].any():
                return terminal, terminal
        if not self._lexer.longest:
            return None
        alive = {t: self._alive_behind(t) for t in self.used}
        table = self._lexer.table
        after = {t: (table.next[sorted(alive[t])] != DEAD).any(axis=0) for t in self.used}
        known = self._outlasting

        def is_open(left: int, right: int) -> bool:
            if (self.entry_bytes[right] & ~after[left]).any():
                return True
            if (left, right) not in known:
                known[left, right] = self._outlast(right, alive[left])
            return known[left, right] > 0

        def may_part(left: int, other: int) -> bool:
            return other in self._ignored_behind.get(left, ignored) and is_open(left, other)

        wanted = {t: [u for u in bits(follow[t]) if u in self.entry_bytes] for t in self.used}
        for terminal in ignored:
            wanted[terminal] = [u for u in self.used if u not in ignored]
        swallowed = frozenset(u for t in ignored for u in wanted[t] if not is_open(t, u))
        if swallowed and self._can_do_without(swallowed):
            wanted = {t: [u for u in others if u not in swallowed] for t, others in wanted.items()}
        self._wanted = wanted
        self._after = {t: as_bits(classes) for t, classes in after.items()}
        blocked = {t: next((u for u in wanted[t] if not is_open(t, u)), None) for t in self.used}
        open_ignored = {t for t in ignored if blocked[t] is None}
        while True:
            more = {
                t
                for t in ignored - open_ignored
                if any(may_part(t, other) for other in open_ignored)
            }
            if not more:
                break
            open_ignored |= more
        for terminal in self.used:
            other = blocked[terminal]
            if other is None or terminal in open_ignored:
                continue
            if not any(may_part(terminal, between) for between in open_ignored):
                return terminal, other
        return None

    def _entries(self, terminal: int) -> NDArray[np.bool_]:
        """First byte classes of the spellable strings that `terminal` owns."""
        table = self._lexer.table
        together = self._together.get(terminal, -1)
        rivals = [t for t in self._lexer.beaters(terminal) if together >> t & 1]
        start = int(table.start[terminal])
        entries = np.zeros(table.next.shape[1], np.bool_)
        if start == DEAD:
            return entries
        begin = (start, *(int(table.start[r]) for r in rivals if table.start[r] != DEAD))
        order: list[Members] = [begin]
        index = {begin: 0}
        before: list[list[int]] = [[]]
        first: list[tuple[int, int]] = []  # where the byte classes lead at the start
        spellable = as_bits(self.spellable)
        for i, members in enumerate(order):
            for classes, key in self._steps(members, spellable):
                if key not in index:
                    index[key] = len(order)
                    order.append(key)
                    before.append([])
                before[index[key]].append(i)
                if i == 0:
                    first.append((classes, index[key]))
        accepted = [i for i, members in enumerate(order) if table.accepting[members[0]]]
        owned = {i for i in accepted if not table.accepting[list(order[i][1:])].any()}
        if len(owned) == len(accepted):
            self._unbeaten.add(terminal)
        self._keep_shortest(terminal, owned, before, first)
        for i in (queue := list(owned)):
            queue.extend(fresh := set(before[i]) - owned)
            owned |= fresh
        for classes, target in first:
            entries[list(bits(classes))] = target in owned
        return entries

    def _keep_shortest(
        self,
        terminal: int,
        owned: set[int],
        before: list[list[int]],
        first: list[tuple[int, int]],
    ) -> None:
        """Keep the length of the shortest string to an owned state, and all its first bytes."""
        level, length = owned, 0
        while level and 0 not in level:
            ahead = {i for target in level for i in before[target]}
            length += 1
            if 0 in ahead:
                classes = [classes for classes, target in first if target in level]
                self._shortest[terminal] = length, reduce(or_, classes)
                return
            level = ahead

    def _steps(self, members: Members, spellable: int) -> list[tuple[int, Members]]:
        """Where `spellable` byte classes lead a DFA state, and others beside it, as bits."""
        moves = self._lexer.table.moves
        cells: list[tuple[int, Members]] = []
        for target, moved in moves[members[0]]:
            if both := moved & spellable:
                cells.append((both, (target,)))
        for state in members[1:]:
            split: list[tuple[int, Members]] = []
            for classes, targets in cells:
                left = classes
                for target, moved in moves[state]:
                    if both := classes & moved:
                        split.append((both, (*targets, target)))
                        left ^= both
                if left:
                    split.append((left, targets))
            cells = split
        return [(classes, (after[0], *sorted(set(after[1:])))) for classes, after in cells]

    def _outlast(self, terminal: int, alive: set[int]) -> int:
        """The length of the shortest string of `terminal` that refutes all of `alive`; 0: none.

        None of what is alive accepts on its way.
        """
        if terminal not in self._unbeaten:
            return 0
        lexer = self._lexer
        start = lexer.start(frozenset({terminal}), tuple(sorted(alive)))
        levels = enumerate(lexer.levels(start, self.spellable))
        return next((length for length, level in levels if any(map(lexer.stands, level))), 0)

    def _alive_behind(self, terminal: int) -> set[int]:
        """The DFA states that may be alive where a lexeme of `terminal` ends, and lead on."""
        table = self._lexer.table
        own = np.flatnonzero((table.owner == terminal) & table.accepting & table.has_next)
        found = set(own.tolist())
        together = self._together.get(terminal, -1)
        beside = [start for _, start in table.guards]
        for other in self.used:
            if together >> other & 1:
                beside += [int(table.refusal[other]), int(table.reserved[other])]
                beside += [int(table.start[other])] * (other != terminal)
        order = [(int(table.start[terminal]), start) for start in dict.fromkeys(beside)]
        seen = set(order)
        moves = table.moves
        for one, two in order:
            if table.accepting[one] and table.has_next[two]:
                found.add(two)
            for after_one, moved in moves[one]:
                for after_two, others in moves[two]:
                    pair = (after_one, after_two)
                    if moved & others and pair not in seen:
                        seen.add(pair)
                        order.append(pair)
        return found
