"""How a tokenizer may have cut a text that is not finished yet: an automaton over characters.

A tokenizer cuts a text into pieces by patterns, and tokens never cross the end of a piece. Where
a piece ends may depend on what follows. So one asks the other way round: the cuts are *guessed*,
and the automaton says whether some continuation of the text makes exactly these cuts.

A `Level` is one pattern. Its state is what a guess owes:

- inside a match, the ordered threads one of which must still match;
- inside a gap, where no match begins, nothing;
- *owed*: threads that must die without a match, else the tokenizer had cut elsewhere: those that
  were preferred to the match that was taken, and those that began inside a gap.

Several levels run one inside the other: a level sees each piece of the one before as a text of
its own. `Splitter` numbers the states of all levels together and tabulates the steps.

Shapes: Q states, C classes of characters, G guesses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrain.automata.charset import LAST_CHARACTER, Ranges
from constrain.automata.utf8 import NO_CLASS, Alphabet, partition
from constrain.covers.pattern import MATCH, Program
from constrain.errors import CanonicalError

END = -1
"""In the place of a class: the text ends. It is in no set."""

DEAD = 0
START = 1

MAX_STATES = 20_000

LevelState = tuple[frozenset[int], tuple[int, ...] | None]
"""What must die, and the threads of the match, or None inside a gap."""

State = tuple[LevelState, ...]

_IDLE: LevelState = (frozenset(), None)
"""Of a level inside a literal, which it does not see."""


class Level:
    """One pattern over classes of characters."""

    def __init__(self, program: Program, members: Sequence[frozenset[int]]) -> None:
        self._code = program.code
        self._start = program.start
        self._members = members
        self._closures: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}

    def begin(self, char: int) -> list[LevelState]:
        """The states behind the first character of a text."""
        return self._begin_match(frozenset(), char) + self._begin_gap(frozenset(), char)

    def go_on(self, state: LevelState, char: int) -> list[LevelState]:
        """The state behind one more character of the same piece: one or none."""
        owed, threads = state
        left = self._survive(owed, char)
        if left is None:
            return []
        if threads is None:
            return self._begin_gap(left, char)
        live = self._consume(_before_match(self._closure(threads, char)), char)
        return [(left, live)] if live else []

    def cut(self, state: LevelState, char: int) -> list[LevelState]:
        """The states behind a character that begins the next piece."""
        owed, threads = state
        left = self._survive(owed, char)
        if left is None:
            return []
        if threads is None:
            return self._begin_match(left, char)
        reached = self._closure(threads, char)
        if MATCH not in reached:
            return []
        left |= frozenset(self._consume(_before_match(reached), char))
        return self._begin_match(left, char) + self._begin_gap(left, char)

    def can_end(self, state: LevelState) -> bool:
        """Whether the text may end here, and with it the piece."""
        owed, threads = state
        if MATCH in self._closure(tuple(sorted(owed)), END):
            return False
        return threads is None or MATCH in self._closure(threads, END)

    def _begin_match(self, owed: frozenset[int], char: int) -> list[LevelState]:
        live = self._consume(self._closure((self._start,), char), char)
        return [(owed, live)] if live else []

    def _begin_gap(self, owed: frozenset[int], char: int) -> list[LevelState]:
        """A character of a gap: the match that would begin with it must fail."""
        return [(owed | frozenset(self._consume(self._closure((self._start,), char), char)), None)]

    def _survive(self, owed: frozenset[int], char: int) -> frozenset[int] | None:
        """What is owed behind the character; None if something matched."""
        reached = self._closure(tuple(sorted(owed)), char)
        return None if MATCH in reached else frozenset(self._consume(reached, char))

    def _consume(self, places: Sequence[int], char: int) -> tuple[int, ...]:
        code = self._code
        return tuple(
            code[p].to[0] for p in places if p != MATCH and char in self._members[code[p].chars]
        )

    def _closure(self, places: tuple[int, ...], char: int) -> tuple[int, ...]:
        """Where threads stand before the next character, which is known; the first preferred."""
        found = self._closures.get((places, char))
        if found is None:
            found = self._closures[places, char] = self._close(places, char)
        return found

    def _close(self, places: tuple[int, ...], char: int) -> tuple[int, ...]:
        seen: set[int] = set()
        reached = []
        stack = list(reversed(places))
        while stack:
            place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            instruction = self._code[place]
            if instruction.kind in ("set", "match"):
                reached.append(place)
            elif instruction.kind == "split":
                stack.extend(reversed(instruction.to))
            elif char not in self._members[instruction.chars]:
                stack.append(instruction.to[0])
        return tuple(reached)


def _before_match(places: tuple[int, ...]) -> tuple[int, ...]:
    return places[: places.index(MATCH)] if MATCH in places else places


@dataclass(frozen=True, eq=False)
class Splitter:
    """The states of all levels together, tabulated. State 0 is dead, 1 the start of a text.

    Attributes:
        alphabet: the classes of characters.
        go_on: int32[Q, C], the state behind one more character of the same piece.
        cut: int32[G, Q, C], the states behind a character that begins a piece, DEAD where
            there are fewer guesses.
        can_end: bool[Q], the text may end here.
        can_cut: bool[Q], the piece may end here, in some text. All other states but DEAD lead
            to such a one, by characters of the same piece.
        in_literal: bool[Q], the first level is inside a match.
    """

    alphabet: Alphabet
    go_on: NDArray[np.int32]
    cut: NDArray[np.int32]
    can_end: NDArray[np.bool_]
    can_cut: NDArray[np.bool_]
    in_literal: NDArray[np.bool_]

    def class_of(self, char: str) -> int:
        """The class of a character."""
        return self.alphabet.classes[bisect_right(self.alphabet.starts, ord(char)) - 1]

    def classes_of(self, partial: bytes) -> list[int]:
        """The classes of the characters whose UTF-8 begins with some bytes, not all of it."""
        first, last = _completed(partial, 0x80), _completed(partial, 0xBF)
        starts, classes = self.alphabet.starts, self.alphabet.classes
        places = range(bisect_right(starts, first) - 1, bisect_right(starts, last))
        return sorted({classes[place] for place in places} - {NO_CLASS})


def build_splitter(
    programs: Sequence[Program], ranges_of: Callable[[str], Ranges], *, literal_first: bool = False
) -> Splitter:
    """Tabulate the levels of a tokenizer.

    Args:
        programs: of the levels, the outermost first.
        ranges_of: a pattern of one character → the characters that it matches.
        literal_first: the matches of the first level are tokens of their own, which no
            level further in sees.

    Raises:
        CanonicalError: there are too many states.
    """
    names = list(dict.fromkeys(name for program in programs for name in program.sets))
    alphabet, members = partition([_ranges(name, ranges_of) for name in names])
    of_name = {name: frozenset(found) for name, found in zip(names, members, strict=True)}
    levels = [Level(program, [of_name[name] for name in program.sets]) for program in programs]
    return _Tabulation(levels, literal_first).table(alphabet)


def _completed(partial: bytes, byte: int) -> int:
    """The code point, were all missing bytes the same; past the last one if it is too large."""
    lead = partial[0]
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    code = lead & (0x7F >> length)
    for part in partial[1:] + bytes([byte]) * (length - len(partial)):
        code = code << 6 | part & 0x3F
    return min(code, LAST_CHARACTER)


def _ranges(name: str, ranges_of: Callable[[str], Ranges]) -> Ranges:
    char = name.removeprefix("\\")
    if len(char) == 1 and not (name.startswith("\\") and char.isalnum()):
        return ((ord(char), ord(char)),)
    return ranges_of(name)


class _Tabulation:
    """Numbers the states of all levels together, breadth first."""

    def __init__(self, levels: Sequence[Level], literal_first: bool) -> None:
        self._levels = levels
        self._literal_first = literal_first
        self._states: list[State | None] = [None, None]
        self._number: dict[State, int] = {}

    def table(self, alphabet: Alphabet) -> Splitter:
        """All states that texts lead to."""
        go_on: list[list[int]] = [[DEAD] * alphabet.n_classes] * 2
        cut: list[list[list[int]]] = [[[] for _ in range(alphabet.n_classes)] for _ in range(2)]
        for char in range(alphabet.n_classes):
            cut[START][char] = [self._intern(s) for s in self._begin(char)]
        at = 2
        while at < len(self._states):
            state = self._states[at]
            assert state is not None
            ons, cuts = [], []
            for char in range(alphabet.n_classes):
                ons.append(next((self._intern(s) for s in self._go_on(state, char)), DEAD))
                cuts.append([self._intern(s) for s in dict.fromkeys(self._cut(state, char))])
            go_on.append(ons)
            cut.append(cuts)
            at += 1
        return self._finish(alphabet, np.array(go_on, np.int32), cut)

    def _intern(self, state: State) -> int:
        number = self._number.setdefault(state, len(self._states))
        if number == len(self._states):
            if number >= MAX_STATES:
                raise CanonicalError(
                    f"the tokenizer's way to split texts has more than {MAX_STATES} states; "
                    f"use covers='all'"
                )
            self._states.append(state)
        return number

    def _begin(self, char: int) -> Iterator[State]:
        """The states behind the first character of a text."""
        if not self._levels:
            yield ()
            return
        inner = [level.begin(char) for level in self._levels[1:]]
        for outermost in self._levels[0].begin(char):
            for states in product(*self._inside(outermost, inner)):
                yield (outermost, *states)

    def _inside(self, outermost: LevelState, inner: Sequence[Sequence[LevelState]]) -> Any:
        """The states of the inner levels, which see nothing of a literal."""
        if self._is_literal(outermost):
            return [[_IDLE]] * (len(self._levels) - 1)
        return inner

    def _is_literal(self, outermost: LevelState) -> bool:
        return self._literal_first and outermost[1] is not None

    def _go_on(self, state: State, char: int) -> Iterator[State]:
        if state and self._is_literal(state[0]):
            for outermost in self._levels[0].go_on(state[0], char):
                yield (outermost, *state[1:])
            return
        pairs = zip(self._levels, state, strict=True)
        yield from product(*(level.go_on(s, char) for level, s in pairs))

    def _cut(self, state: State, char: int) -> Iterator[State]:
        """A level cuts; those outside go on; those inside see a text end and another begin."""
        levels = self._levels
        literal = bool(state) and self._is_literal(state[0])
        for place in range(1 if literal else len(levels)):
            inner = range(place + 1, len(levels))
            if not literal and not all(levels[i].can_end(state[i]) for i in inner):
                continue
            outside = [levels[i].go_on(state[i], char) for i in range(place)]
            inside = [levels[i].begin(char) for i in inner]
            for outer in product(*outside, levels[place].cut(state[place], char)):
                behind = self._inside(outer[0], inside) if place == 0 else inside
                for states in product(*behind):
                    yield (*outer, *states)

    def _finish(
        self, alphabet: Alphabet, go_on: NDArray[np.int32], cut: list[list[list[int]]]
    ) -> Splitter:
        states = self._states
        n_guesses = max((len(targets) for row in cut for targets in row), default=0)
        cuts = np.zeros((max(n_guesses, 1), *go_on.shape), np.int32)
        for state, row in enumerate(cut):
            for char, targets in enumerate(row):
                cuts[: len(targets), state, char] = targets
        can_end = np.array([self._can_end(state) for state in states])
        can_end[DEAD], can_end[START] = False, True
        can_cut = _leading_to(can_end, cuts)
        alive = _leading_to(can_end, np.concatenate([cuts, go_on[None]]))
        in_literal = np.array(
            [s is not None and len(s) > 0 and self._is_literal(s[0]) for s in states]
        )
        go_on[~alive[go_on]] = DEAD
        cuts[~alive[cuts]] = DEAD
        return Splitter(alphabet, go_on, cuts, can_end, can_cut, in_literal)

    def _can_end(self, state: State | None) -> bool:
        if state is None:
            return False
        pairs = list(zip(self._levels, state, strict=True))
        if state and self._is_literal(state[0]):
            pairs = pairs[:1]
        return all(level.can_end(s) for level, s in pairs)


def _leading_to(goal: NDArray[np.bool_], steps: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[Q]: the states from which steps int32[G, Q, C] lead to the goal."""
    reached = goal.copy()
    while True:
        more = reached | reached[steps].any(axis=(0, 2))
        if (more == reached).all():
            return reached
        reached = more
