"""How many bytes surely complete a text, told without a search.

Where the proof of `constrain.automata.adjacency` holds, every plan of the parser can be
written: each terminal as the shortest string that is no other's, blanks between those that
would run together, each new line as far indented as the deepest block there is. What the
cheapest plan takes is a ceiling on the shortest completion. It falls by a byte or more with
each byte of the plan; so a budget that a ceiling fits in is never lost (`decisions/0008`).
"""

from __future__ import annotations

from functools import cached_property

from constrain.automata.adjacency import Adjacency, Plan
from constrain.decode.completion import IMPOSSIBLE, StackCosts
from constrain.decode.machine import Machine, Thread
from constrain.decode.stacks import Stacks

LINE_BITS = 16
"""A plan's cost is its bytes and, in the low bits, its line ends."""

MAX_STATES = 20_000
"""Lexer states that are looked at for the ends of a lexeme."""

Ends = dict[tuple[int, ...], int]


class Ceilings:
    """Upper bounds on what it takes to complete threads. Not safe under threads by itself.

    Attributes:
        are_asked: some lexemes want a blank between them, which the lower bounds of a search
            know nothing of, so that it is long; without, the shortest completion is found at once.
    """

    def __init__(self, machine: Machine, adjacency: Adjacency) -> None:
        self._machine = machine
        self._adjacency = adjacency
        self._writing = adjacency.plan() or Plan({}, 0, frozenset())
        self.are_asked = self._writing.blank > 0
        self._known_ends: dict[int, Ends] = {}
        self._known: dict[Thread, int] = {}
        self._lines: dict[Stacks, int] = {}

    @cached_property
    def _costs(self) -> StackCosts:
        parser = self._machine.parser
        costs = []
        for terminal in parser.automaton.grammar.lexed:
            length = self._writing.length.get(terminal)
            if terminal in parser.free:
                costs.append(0)
            elif length is None:
                costs.append(IMPOSSIBLE)
            else:
                n_bytes = length + self._writing.blank
                costs.append((n_bytes << LINE_BITS) + (terminal == parser.newline))
        return StackCosts(parser, costs, frozenset(), place=1)

    def of(self, thread: Thread) -> int:
        """Bytes that complete `thread`, or IMPOSSIBLE where no plan tells."""
        if not self._writing.length or not self._adjacency.sure()[thread[1]]:
            return IMPOSSIBLE
        ceiling = self._known.get(thread)
        if ceiling is None:
            ceiling = self._known[thread] = self._of(thread)
        return ceiling

    def forget(self) -> None:
        """Drop what was told so far."""
        self._known.clear()
        self._lines.clear()

    def _of(self, thread: Thread) -> int:
        stacks, state = thread
        parser = self._machine.parser
        if self._machine.accepts(thread):
            return 0
        found = [IMPOSSIBLE]
        for winners, n_more in self._ends(state).items():
            if parser.newline in winners:
                for after, n_bytes, least in parser.lines(stacks):
                    n_first = 0 if least is None else max(least, n_more)
                    found.append(n_first + n_bytes + self._line(after))
                continue
            after = parser.advance(stacks, winners)
            if after is not parser.nothing:
                found.append(
                    n_more + self._plan(after, is_apart=self._writing.apart.issuperset(winners))
                )
        return min(found)

    def _line(self, stacks: Stacks) -> int:
        """Bytes of the cheapest plan for `stacks` at the beginning of a line: a lexeme comes first.

        The block that the line is in cannot end before it.
        """
        cost = self._lines.get(stacks)
        if cost is None:
            parser = self._machine.parser
            firsts = parser.acceptable(stacks) & self._writing.length.keys()
            cost = self._lines[stacks] = min(
                (
                    self._writing.length[first]
                    + self._writing.blank
                    + self._plan(parser.advance(stacks, (first,)))
                    for first in firsts - parser.ignored
                ),
                default=IMPOSSIBLE,
            )
        return cost

    def _plan(self, stacks: Stacks, *, is_apart: bool = False) -> int:
        """Bytes of the cheapest plan for `stacks`; behind a blank it begins with none."""
        cost = self._costs.of(stacks)
        if cost >= IMPOSSIBLE:
            return IMPOSSIBLE
        n_bytes, n_lines = divmod(cost, 1 << LINE_BITS)
        indentation = n_lines * (self._machine.parser.margin(stacks) + n_lines)
        return n_bytes + indentation - (is_apart and n_bytes > 0) * self._writing.blank

    def _ends(self, state: int) -> Ends:
        """The ways to end the lexeme so that the cut stands, each with the fewest bytes to it."""
        known = self._known_ends.get(state)
        if known is None:
            known = self._known_ends[state] = self._find_ends(state)
        return known

    def _find_ends(self, state: int) -> Ends:
        lexer = self._machine.lexer
        ends: Ends = {}
        n_seen = 0
        for distance, level in enumerate(lexer.levels(state, self._adjacency.spellable)):
            n_seen += len(level)
            if n_seen >= MAX_STATES:
                break
            for end in filter(lexer.stands, level):
                ends.setdefault(lexer.winners[end], distance)
        return ends
