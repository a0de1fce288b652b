"""The suffix in view, on random grammars and vocabularies small enough to enumerate.

A middle is legal if the oracle of `tests/reference.py` accepts prefix, middle and suffix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import constrain
from constrain import Vocabulary, bitmask
from constrain.errors import GrammarError, SuffixError, ViabilityLimitError
from constrain.fim.suffix import (
    BrokenPrefix,
    Middle,
    NoLegalStop,
    NothingJoins,
    SuffixMatcher,
    open_middle,
)
from tests.profiles import NIGHTLY
from tests.reference import Reference, fewest_tokens, spelled_texts, texts
from tests.strategies import Case, cases

MAX_MIDDLE = 5
MAX_MIDDLES = 150
LETTERS = b"abc"


@dataclass(frozen=True)
class Hole:
    """A case, and what stands around a hole."""

    case: Case
    prefix: bytes
    suffix: bytes

    def __str__(self) -> str:
        return f"{self.prefix!r} … {self.suffix!r}\n{self.case}"


@st.composite
def holes(draw: st.DrawFn) -> Hole:
    """A grammar's short text with a hole in it, or any letters around one."""
    case = draw(cases())
    short = st.text("abc", max_size=3).map(str.encode)
    if draw(st.integers(0, 3)):
        seed = draw(st.integers(0, 200))
        reference = Reference(case.grammar)
        found = [t for t in texts(LETTERS, 5) if len(t) > 1 and reference.accepts(t)]
        if found:
            text = found[seed % len(found)]
            i = draw(st.integers(0, len(text)))
            j = draw(st.integers(i, len(text)))
            return Hole(case, text[:i], text[j:])
    return Hole(case, draw(short), draw(short))


class Truth:
    """What the oracle says of a hole."""

    def __init__(self, hole: Hole) -> None:
        self.hole = hole
        self.reference = Reference(hole.case.grammar)
        self.middles = spelled_texts(hole.case.tokens, MAX_MIDDLE, MAX_MIDDLES)

    def is_legal(self, middle: bytes) -> bool:
        return self.reference.accepts(self.hole.prefix + middle + self.hole.suffix)

    def told(self, middle: bytes, problem: str) -> str:
        return f"middle {middle!r}: {problem}\n{self.hole}"


def opened(
    hole: Hole, *, past_stop: bool = False
) -> SuffixMatcher | BrokenPrefix | NothingJoins | None:
    """What `open_middle` says; None where grammar or suffix were refused."""
    case = hole.case
    try:
        store = constrain.compile(case.grammar, Vocabulary.from_tokens(case.tokens, case.end_ids))
    except (GrammarError, ViabilityLimitError):
        return None
    try:
        return open_middle(store, hole.prefix, hole.suffix, past_stop=past_stop)
    except SuffixError:
        return None
    except ViabilityLimitError:
        return None


def mask_of(matcher: SuffixMatcher, size: int) -> NDArray[np.bool_]:
    row = np.full(bitmask.n_words(size), -1, np.int32)
    matcher.fill_bitmask(row)
    return bitmask.unpack(row, size)


def check_hole(hole: Hole) -> None:
    matcher = opened(hole)
    if matcher is None:
        event("refused")
        return
    truth = Truth(hole)
    legal = [middle for middle in truth.middles if truth.is_legal(middle)]
    event(f"{type(matcher).__name__}, legal middles: {min(len(legal), 3)}")
    if not isinstance(matcher, SuffixMatcher):
        assert not legal, truth.told(legal[0], f"is legal, and {matcher}")
        return
    for middle in legal:
        check_reachable(truth, matcher, middle)
    check_walk(truth, matcher)
    past = opened(hole, past_stop=True)
    assert isinstance(past, SuffixMatcher)
    check_past(truth, past, matcher)
    check_walk(truth, past)


def check_past(truth: Truth, past: SuffixMatcher, matcher: SuffixMatcher) -> None:
    """What may run past a stop is what has one within, and can be read on."""
    tokens = truth.hole.case.tokens
    allowed, strict = mask_of(past, len(tokens)), mask_of(matcher, len(tokens))
    for token_id, token in enumerate(tokens):
        if token and past.wide_mask()[token_id >> 5] >> (token_id & 31) & 1:
            has_stop = any(truth.is_legal(token[:n]) for n in range(1, len(token)))
            expected = strict[token_id] or has_stop
            assert allowed[token_id] == expected, truth.told(token, "as a token past a stop")


def check_reachable(truth: Truth, matcher: SuffixMatcher, middle: bytes) -> None:
    """All ways to spell a legal middle are open."""
    tokens = truth.hole.case.tokens
    ends = {n for n in range(len(middle) + 1) if fewest_tokens(tokens, middle[n:]) is not None}
    todo, met = [(0, matcher.fork())], {0}
    while todo:
        place, at = todo.pop()
        allowed = mask_of(at, len(tokens))
        if place == len(middle):
            for end in truth.hole.case.end_ids:
                assert allowed[end], truth.told(middle, "its end is refused")
                assert at.fork().accept_token(end)
            assert at.finish() == Middle(middle)
        for token_id, token in enumerate(tokens):
            if token and middle.startswith(token, place) and place + len(token) in ends:
                assert allowed[token_id], truth.told(middle, f"{token!r} is refused at {place}")
                after = at.fork()
                assert after.accept_token(token_id), truth.told(middle, f"{token!r} at {place}")
                if place + len(token) not in met:
                    met.add(place + len(token))
                    todo.append((place + len(token), after))


def check_walk(truth: Truth, matcher: SuffixMatcher) -> None:
    """Where a walk may stop is told exactly, and mask, tokens and bytes agree."""
    case = truth.hole.case
    at = matcher.fork()
    for choice in (*case.walk, 3, 1):
        check_stops(truth, at)
        allowed = mask_of(at, len(case.tokens))
        for token_id, token in enumerate(case.tokens):
            if token:
                agreed = at.fork().accept_token(token_id)
                assert agreed == allowed[token_id], truth.told(at.middle, f"{token!r}")
                assert at.fork().accept_bytes(token) == agreed
        ids = [i for i in np.flatnonzero(allowed).tolist() if i not in case.end_ids]
        stops = at.is_accepting() or not ids
        assert all(allowed[end] == stops for end in case.end_ids)
        if not ids:
            return
        token_id = ids[choice % len(ids)]
        before = at.middle
        assert at.accept_token(token_id)
        at.rollback(1)
        assert at.middle == before
        assert at.accept_token(token_id)


def check_stops(truth: Truth, at: SuffixMatcher) -> None:
    written = at.middle
    stops = [n for n in range(len(written) + 1) if truth.is_legal(written[:n])]
    assert at.stops() == stops, truth.told(written, f"may stop at {stops}, told {at.stops()}")
    assert at.is_accepting() == (len(written) in stops)
    if stops:
        assert at.finish() == Middle(written[: stops[-1]], len(written) - stops[-1])
    else:
        assert at.finish() == NoLegalStop(written)


@given(holes())
def test_no_legal_middle_is_refused_and_stops_are_exact(hole: Hole) -> None:
    try:
        check_hole(hole)
    except ViabilityLimitError:
        event("not decided")


@pytest.mark.slow
@NIGHTLY
@given(holes())
def test_no_legal_middle_is_refused_and_stops_are_exact_at_length(hole: Hole) -> None:
    try:
        check_hole(hole)
    except ViabilityLimitError:
        event("not decided")
