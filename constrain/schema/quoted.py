"""What is inside the quotes of strings, as states of a lexicon.

A string is one lexeme, or, where the characters of a long one are counted, one for each block of
them: `awaited.py` says which.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import START, ByteDFA
from constrain.automata.lexer import DEAD
from constrain.schema import strings
from constrain.schema.counting import Characters, Inner
from constrain.schema.lexicon import BLOCK, FIRST_BLOCK, QUOTE, VALUE, Lexicon, Row, empty_row


def string(lexicon: Lexicon, content: ByteDFA | None, winner: int, *, any_escape: bool) -> int:
    """The state behind the opening quote of a string of a language."""
    language = strings.ANY if content is None else content
    key = ("string", language.content_hash, winner, any_escape)
    state = lexicon.made.get(key)
    if state is None:
        spelling = strings.spell(language, any_escape=any_escape)
        state = lexicon.made[key] = lexicon.embed(spelling, winner, QUOTE)
    return state


def counted(lexicon: Lexicon, least: int, room: int | None, block: int | None) -> int:
    """The state inside a string of which some characters are still to come.

    Args:
        lexicon: where the states are made.
        least: characters that must come before the closing quote.
        room: characters that may come; None: any number.
        block: characters after which the lexeme ends as a `BLOCK`; None: it does not.
    """
    if room is None and not least and block is None:
        return string(lexicon, None, VALUE, any_escape=True)
    key = ("counted", least, room, block)
    if key not in lexicon.made:
        # The shorter ones first: each is built on the next.
        depth = block if block is not None else room if room is not None else least
        for left in range(depth + 1):
            done = depth - left
            here = (
                max(0, least - done),
                None if room is None else room - done,
                None if block is None else left,
            )
            if here != (0, None, None) and ("counted", *here) not in lexicon.made:
                lexicon.made["counted", *here] = _count_one(lexicon, *here)
    return lexicon.made[key]


def _count_one(lexicon: Lexicon, least: int, room: int | None, block: int | None) -> int:
    if block == 0:
        return lexicon.end(BLOCK)
    row = empty_row()
    if room != 0:
        behind = counted(
            lexicon,
            max(0, least - 1),
            None if room is None else room - 1,
            None if block is None else block - 1,
        )
        row = _one_character(lexicon, behind)
    if not least:
        row[QUOTE] = lexicon.end(VALUE)
    state = lexicon.state(row)
    if least:
        return lexicon.like(state, counted(lexicon, 0, room, block))
    within = block if block is not None else room
    return lexicon.like(state, string(lexicon, None, VALUE, any_escape=True), within or 0)


def counted_text(
    lexicon: Lexicon, text: Characters, state: int, least: int, room: int | None, block: int | None
) -> int:
    """The state inside a string of a language of which some characters are still to come.

    Args:
        lexicon: where the states are made.
        text: the spellings of the whole string.
        state: of these, where it stands.
        least: see `counted`.
        room: see `counted`.
        block: characters after which the lexeme ends, as `FIRST_BLOCK` and the state then.
    """
    depth = block if block is not None else room if room is not None else least
    levels = [{(state, least)}]
    for _ in range(depth):
        levels.append({(t, max(0, few - 1)) for here, few in levels[-1] for t in text.after(here)})
    if block is not None and room is not None:
        needed = [text.fewest(t, few) for t, few in levels[-1]]
        if all(n is None or n <= room - block for n in needed):
            room = None  # so it is the same in all blocks but the last ones
    for done in range(depth, -1, -1):
        left = None if room is None else room - done
        until = None if block is None else block - done
        for t, few in levels[done]:
            key = ("text", text, t, few, left, until)
            if key not in lexicon.made:
                lexicon.made[key] = _text_state(lexicon, text, t, few, left, until)
    return lexicon.made["text", text, state, least, room, block]


def _text_state(
    lexicon: Lexicon, text: Characters, state: int, least: int, room: int | None, block: int | None
) -> int:
    if block == 0:
        needed = text.fewest(state, least)
        is_possible = needed is not None and (room is None or needed <= room)
        return lexicon.end(FIRST_BLOCK + state) if is_possible else DEAD
    if room is None and block is None and not least:
        return lexicon.embed(text.spelling, VALUE, QUOTE) + state - START
    behind = (
        max(0, least - 1),
        None if room is None else room - 1,
        None if block is None else block - 1,
    )
    row = empty_row() if room == 0 else _inside(lexicon, text, Inner(state, START), behind)
    if not least and text.may_end(state):
        row[QUOTE] = lexicon.end(VALUE)
    return lexicon.state(row)


def _inside(
    lexicon: Lexicon, text: Characters, inner: Inner, behind: tuple[int | None, ...]
) -> Row:
    """int32[256], the bytes of one character, behind which some more may come."""
    moves = text.moves(inner)
    states = np.zeros(len(moves.targets), np.int32)
    for place, target in enumerate(moves.targets):
        if isinstance(target, Inner):
            key = ("inside", text, target, *behind)
            if key not in lexicon.made:
                lexicon.made[key] = lexicon.state(_inside(lexicon, text, target, behind))
            states[place] = lexicon.made[key]
        elif target is not None:
            states[place] = lexicon.made["text", text, target, *behind]
    return states[moves.column]


class _Step(NamedTuple):
    """A state within the spellings of one character.

    state:   of their automaton
    targets: where bytes lead to, distinct
    column:  uint8[256], which of these each byte leads to
    """

    state: int
    targets: tuple[int, ...]
    column: NDArray[np.uint8]


@cache
def _one_character_steps() -> tuple[int, tuple[_Step, ...]]:
    """The state behind a character, and the steps of all others, each behind those it leads to."""
    one = strings.spell(strings.length(1, 1), any_escape=True)
    rows = one.next[:, one.byte_class]
    whole = int(np.flatnonzero(one.accepting)[0])
    waiting = [state for state in range(len(rows) - 1, START, -1) if state != whole]
    done = {DEAD, whole}
    steps = []
    for state in chain(waiting, (START,)):
        distinct, column = np.unique(rows[state], return_inverse=True)
        targets = tuple(distinct.tolist())
        if not done.issuperset(targets):
            waiting.append(state)  # again, behind those that it leads to
            continue
        done.add(state)
        steps.append(_Step(state, targets, column.astype(np.uint8)))
    return whole, tuple(steps)


def _one_character(lexicon: Lexicon, target: int) -> Row:
    """int32[256], the spellings of one character, behind which `target` is reached."""
    whole, steps = _one_character_steps()
    made = {DEAD: DEAD, whole: target}
    for step in steps[:-1]:
        row = np.array([made[state] for state in step.targets], np.int32)[step.column]
        made[step.state] = lexicon.state(row)
    return np.array([made[state] for state in steps[-1].targets], np.int32)[steps[-1].column]
