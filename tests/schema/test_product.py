"""The product of automata of a lexicon against each by itself; compiled and interpreted."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from constrain.automata.lexer import DEAD
from constrain.schema import product as products
from constrain.schema.lexicon import Lexicon
from tests.interpreted import interpreted

both = pytest.mark.parametrize("runs", [nullcontext, interpreted], ids=["jit", "py"])

BYTES = b"ab"
WINNERS = (0, 1, 16)
MANY = 6


@st.composite
def lexicons(draw: st.DrawFn) -> tuple[Lexicon, tuple[int, ...]]:
    """A lexicon of a few random states over two bytes, and some in which automata begin.

    Each state is live. Some are like others, whether they are or not: it is a hint.
    """
    lexicon = Lexicon()
    n = draw(st.integers(2, MANY))
    for state in range(1, n + 1):
        row = np.zeros(256, np.int32)
        winners = draw(st.sets(st.sampled_from(WINNERS), max_size=2)) if state > 1 else {0}
        for byte in BYTES:
            row[byte] = draw(st.sampled_from([DEAD, *range(1, n + 1)])) if state > 1 else DEAD
        if not winners and not row.any():
            row[BYTES[0]] = 1
        lexicon._new(row, tuple(sorted(winners)))
    for state in range(2, n + 1):
        if draw(st.booleans()):
            lexicon.like(state, draw(st.integers(1, state - 1)))
    starts = draw(st.sets(st.integers(1, n), min_size=2, max_size=3))
    return lexicon, tuple(sorted(starts))


def state_behind(lexicon: Lexicon, state: int, text: bytes) -> int:
    """Where a text leads."""
    for byte in text:
        state = int(lexicon.next[state, byte])
    return state


def check(lexicon: Lexicon, starts: tuple[int, ...]) -> None:
    """Behind each short text the product says of each automaton what it says itself."""
    labels = [lexicon.labels(start) for start in starts]
    joint = lexicon.product(starts)
    for length in range(MANY):
        for text in map(bytes, product(BYTES, repeat=length)):
            found = set(lexicon.winners[state_behind(lexicon, joint, text)])
            alive = [state_behind(lexicon, start, text) for start in starts]
            for start, state, known in zip(starts, alive, labels, strict=True):
                for winner in known:
                    is_there = winner in found or lexicon.wrapped(start, winner) in found
                    assert is_there == (winner in lexicon.winners[state])
            told = {lexicon.parts.get(winner, (0, winner))[1] for winner in found}
            assert told == {winner for state in alive for winner in lexicon.winners[state]}
            assert (state_behind(lexicon, joint, text) != DEAD) == any(alive)


@both
@given(drawn=lexicons())
def test_product_is_its_parts(runs: Any, drawn: tuple[Lexicon, tuple[int, ...]]) -> None:
    lexicon, starts = drawn
    n_states = lexicon.n_states
    with runs():
        check(lexicon, starts)
    event(f"{min(lexicon.n_states - n_states, 5)} states")
    bases = lexicon.alike.base[: lexicon.n_states]
    assert (bases < np.maximum(1, np.arange(len(bases)))).all()


@both
def test_room_grows(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Circles of 5 and 7 states come to 35 pairs, of which few have room at first."""
    monkeypatch.setattr(products, "FIRST_ROOM", 2)
    lexicon = Lexicon()
    starts = []
    for length in (5, 7):
        first = lexicon.n_states
        for i in range(length):
            row = np.zeros(256, np.int32)
            row[BYTES[0]] = first + (i + 1) % length
            lexicon._new(row, (0,) if i == 0 else ())
        starts.append(first)
    n_states = lexicon.n_states
    with runs():
        joint = lexicon.product(tuple(starts))
    assert lexicon.n_states - n_states == 35
    for n in range(80):
        winners = lexicon.winners[state_behind(lexicon, joint, BYTES[:1] * n)]
        assert (len(winners) > 0) == (n % 5 == 0 or n % 7 == 0)
        assert (0 in winners) == (n % 35 == 0)


def test_states_are_like_the_widest_part() -> None:
    """A word beside any text of many bytes: what is not on the word's way is looked at once."""
    lexicon = Lexicon()
    end = lexicon.end(0)
    row = np.zeros(256, np.int32)
    row[32:128], row[34] = lexicon.n_states, end
    text = lexicon._new(row, ())
    word = lexicon.text(b'word"', lexicon.end(1))
    joint = lexicon.product((text, word))
    assert lexicon.alike.base[joint] == text
    assert lexicon.next[joint, ord("x")] == text
