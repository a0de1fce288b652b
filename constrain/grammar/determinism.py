"""How large the automaton of a regular expression is, before it is made, within a bound.

A terminal must become a DFA. Whether parts of a grammar may be put together into one is so
decided on the DFA's size: `(a|b)*a(a|b){20}` is short and has two million states. What is
counted are the sets of states that `automata.subset` will make of the same pattern. Positions
are those of Glushkov's construction (V. Glushkov, The abstract theory of automata, Russian
Mathematical Surveys 16, 1961), sets of them the DFA's states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from constrain.grammar.expression import Alt, Cat, Chars, Expression, Ranges, Repeat, Text

MAX_SIZE = 20_000  # characters and operators of one expression, repetitions written out
MAX_DEPTH = 40  # operators in one another
MAX_STATES = 50_000  # of the DFA over bytes, estimated from above
MAX_WORK = 100_000  # steps for one expression
MAX_ALL_WORK = 2_000_000  # steps for one grammar
STATES_PER_RANGE = 12  # inside a character, for one range of characters beyond ASCII


class _TooLargeError(Exception):
    """A bound was passed; never leaves this module."""


@dataclass
class Budget:
    """How many steps are left, for one grammar."""

    left: int = MAX_ALL_WORK

    def spend(self, n_steps: int) -> bool:
        """Take some steps; whether there were any left."""
        self.left -= n_steps
        return self.left > 0

    def fits(self, expression: Expression) -> bool:
        """Whether a regular expression of at most MAX_SIZE has a DFA within the bounds."""
        counter = _Counter(min(self.left, MAX_WORK))
        try:
            _Positions(counter).check(expression)
        except _TooLargeError:
            return False
        finally:
            self.left -= counter.used
        return True


@dataclass
class _Counter:
    limit: int
    used: int = 0

    def add(self, n_steps: int) -> None:
        self.used += n_steps
        if self.used > self.limit:
            raise _TooLargeError


@dataclass
class _Part:
    """Where a part begins and ends."""

    is_nullable: bool
    first: set[int] = field(default_factory=set)
    last: set[int] = field(default_factory=set)


class _Positions:
    """The places of an expression at which a character is read."""

    def __init__(self, counter: _Counter) -> None:
        self._counter = counter
        self._sets: list[Ranges] = []
        self._follow: list[set[int]] = []

    def check(self, expression: Expression) -> None:
        start = frozenset(self._part(expression).first)
        classes = self._classes()
        seen = {start}
        n_states = 0
        for state in (queue := [start]):
            by_class: dict[int, list[int]] = {}
            for position in state:
                for k in classes[self._sets[position]]:
                    by_class.setdefault(k, []).append(position)
            n_states += 1 + STATES_PER_RANGE * sum(self._n_ranges[k] for k in by_class)
            if n_states > MAX_STATES:
                raise _TooLargeError
            for positions in {tuple(positions) for positions in by_class.values()}:
                self._counter.add(sum(len(self._follow[p]) for p in positions) + len(positions))
                after = frozenset().union(*(self._follow[p] for p in positions))
                if after not in seen:
                    seen.add(after)
                    queue.append(after)

    def _classes(self) -> dict[Ranges, list[int]]:
        """The classes of characters that each set consists of."""
        sets = list(dict.fromkeys(self._sets))
        events = sorted(
            event
            for i, ranges in enumerate(sets)
            for low, high in ranges
            for event in ((low, i), (high + 1, i))
        )
        self._counter.add(len(events))
        number: dict[frozenset[int], int] = {}
        self._n_ranges: list[int] = []
        found: dict[Ranges, list[int]] = {ranges: [] for ranges in sets}
        active: set[int] = set()
        for (place, i), (then, _) in pairwise(events):
            active ^= {i}
            if place == then or not active:
                continue
            self._counter.add(len(active))
            key = frozenset(active)
            if key not in number:
                number[key] = len(number)
                self._n_ranges.append(0)
                for member in active:
                    found[sets[member]].append(number[key])
            self._n_ranges[number[key]] += then > 0x80
        return found

    def _part(self, expression: Expression) -> _Part:
        self._counter.add(1)
        if isinstance(expression, Chars):
            return self._position(expression.ranges)
        if isinstance(expression, Text):
            return self._sequence([self._position(((ord(c), ord(c)),)) for c in expression.value])
        if isinstance(expression, Cat):
            return self._sequence([self._part(part) for part in expression.parts])
        if isinstance(expression, Alt):
            return self._alternatives([self._part(part) for part in expression.parts])
        assert isinstance(expression, Repeat), expression
        return self._repetition(expression)

    def _position(self, ranges: Ranges) -> _Part:
        self._counter.add(1)
        position = len(self._sets)
        self._sets.append(ranges)
        self._follow.append(set())
        return _Part(False, {position}, {position})

    def _sequence(self, parts: list[_Part]) -> _Part:
        whole = _Part(True)
        for part in parts:
            self._link(whole.last, part.first)
            if whole.is_nullable:
                self._counter.add(len(part.first))
                whole.first |= part.first
            whole.last = part.last | whole.last if part.is_nullable else part.last
            whole.is_nullable &= part.is_nullable
            self._counter.add(len(whole.last) * part.is_nullable)
        return whole

    def _alternatives(self, parts: list[_Part]) -> _Part:
        firsts, lasts = [part.first for part in parts], [part.last for part in parts]
        is_nullable = any(part.is_nullable for part in parts)
        whole = _Part(is_nullable, set().union(*firsts), set().union(*lasts))
        self._counter.add(len(whole.first) + len(whole.last))
        return whole

    def _repetition(self, expression: Repeat) -> _Part:
        """As `automata.nfa` writes it out: `x{1,3}` is x(x(x)?)?, and `x+` is xx*."""
        whole = _Part(True)
        last: set[int] = set()
        high = expression.low if expression.high is None else expression.high
        for n in range(1, high + 1):
            whole = self._sequence([whole, self._part(expression.part)])
            if n >= expression.low:
                last |= whole.last
                self._counter.add(len(whole.last))
        if expression.high is None:
            part = self._part(expression.part)
            self._link(part.last, part.first)
            return self._sequence([whole, _Part(True, part.first, part.last)])
        return _Part(expression.low == 0 or whole.is_nullable, whole.first, last)

    def _link(self, ends: set[int], begins: set[int]) -> None:
        self._counter.add(len(ends) * len(begins))
        for end in ends:
            self._follow[end] |= begins
