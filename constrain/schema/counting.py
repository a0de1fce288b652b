"""Counting the characters of spelled strings of a language, without unrolling it for each length.

Input:  the spellings of a string between its quotes, as a `ByteDFA`.
Output: where each character leads, and in how many characters what is left can be written.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import DEAD, START, ByteDFA
from constrain.errors import GrammarLimitError
from constrain.schema import strings

MAX_LEVELS = 20_000
"""Characters that are looked ahead for an end."""


SMALL = 2_000
"""States for which a string's automaton is unrolled by length, and is one lexeme."""


MAX_COUNTED_STATES = 1_500
"""Of a language whose strings are counted in blocks."""


class Inner(NamedTuple):
    """Inside the spelling of one character.

    state: of the string's automaton
    part:  of the automaton of a single character's spellings
    """

    state: int
    part: int


class Moves(NamedTuple):
    """What bytes lead to.

    targets: still inside the character, the state behind it, or nothing
    column:  uint8[256], which of these each byte leads to
    """

    targets: tuple[Inner | int | None, ...]
    column: NDArray[np.uint8]


class Characters:
    """The automaton of a string's spellings, character by character.

    Args:
        spelling: minimal; each of its texts is a sequence of canonically spelled characters.
    """

    def __init__(self, spelling: ByteDFA) -> None:
        self.spelling = spelling
        one = strings.spell(strings.length(1, 1), any_escape=False)
        self._one = one.next[:, one.byte_class]
        self._is_whole = one.accepting
        self._next = spelling.next[:, spelling.byte_class]
        self._moves: dict[Inner, Moves] = {}
        self._after: dict[int, frozenset[int]] = {}
        self._ahead: dict[tuple[int, int], int | None] = {}

    def moves(self, inner: Inner) -> Moves:
        """What bytes lead to from inside a character."""
        found = self._moves.get(inner)
        if found is None:
            states, parts = self._next[inner.state], self._one[inner.part]
            parts = np.where(self._is_whole[parts], 0, parts)
            codes = np.where(states == DEAD, 0, states * len(self._one) + parts)
            distinct, column = np.unique(codes, return_inverse=True)
            targets: list[Inner | int | None] = []
            for code in distinct.tolist():
                state, part = divmod(code, len(self._one))
                targets.append((Inner(state, part) if part else state) if code else None)
            found = self._moves[inner] = Moves(tuple(targets), column.astype(np.uint8))
        return found

    def may_end(self, state: int) -> bool:
        """Whether a string may end between two characters."""
        return bool(self.spelling.accepting[state])

    def after(self, state: int) -> frozenset[int]:
        """The states that one character leads to."""
        found = self._after.get(state)
        if found is None:
            reached: set[int] = set()
            todo = [Inner(state, START)]
            seen = set(todo)
            for inner in todo:
                for target in self.moves(inner).targets:
                    if isinstance(target, int):
                        reached.add(target)
                    elif target is not None and target not in seen:
                        seen.add(target)
                        todo.append(target)
            found = self._after[state] = frozenset(reached)
        return found

    def fewest(self, state: int, least: int) -> int | None:
        """The fewest characters, `least` or more, that end the string; None if none do."""
        key = (state, least)
        if key not in self._ahead:
            self._ahead[key] = self._look_ahead(state, least)
        return self._ahead[key]

    def _look_ahead(self, state: int, least: int) -> int | None:
        level, seen = frozenset((state,)), set()
        for n in range(MAX_LEVELS + least):
            if n >= least:
                if any(map(self.may_end, level)):
                    return n
                if level in seen:
                    return None
                seen.add(level)
            level = frozenset().union(*map(self.after, level))
            if not level:
                return None
        return None

    @cached_property
    def longest(self) -> int | None:
        """The most characters of a string; None: any number."""
        depth: dict[int, int] = {}
        order: list[tuple[int, bool]] = [(START, False)]
        open_states: set[int] = set()
        while order:
            state, is_done = order.pop()
            if is_done:
                open_states.discard(state)
                depth[state] = max((1 + depth[t] for t in self.after(state)), default=0)
            elif state not in depth:
                if state in open_states:
                    return None
                open_states.add(state)
                order.append((state, True))
                for target in self.after(state):
                    if target in open_states:
                        return None
                    order.append((target, False))
        return depth[START]


@lru_cache(maxsize=256)
def characters(spelling: ByteDFA) -> Characters:
    """The characters of a language's spellings."""
    return Characters(spelling)


def check_countable(content: ByteDFA, longest: int) -> None:
    """Raise GrammarLimitError if the strings of a language are too many to be counted.

    Args:
        content: the language.
        longest: characters up to which they are counted.
    """
    if longest * content.n_states <= SMALL:
        return
    n_states = strings.spell(content, any_escape=False).n_states
    if n_states > MAX_COUNTED_STATES:
        raise GrammarLimitError(
            f"strings of up to {longest} characters are to be counted, of a pattern that takes "
            f"{n_states} states; at most {MAX_COUNTED_STATES} states are counted: make its "
            f"repetitions shorter, or leave `minLength` and `maxLength` out"
        )


def fewest_within(content: ByteDFA, least: int, most: int | None) -> int | None:
    """The fewest characters of a text of a language within bounds; None where there is none."""
    text = characters(strings.spell(content, any_escape=False))
    n = text.fewest(START, least)
    return None if n is None or (most is not None and n > most) else n
