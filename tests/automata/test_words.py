"""The words of a DFA: counted up to a limit, and listed by length and bytes."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from constrain.automata.dfa import compile_literals
from constrain.automata.regex import compile_pattern
from constrain.automata.words import count_words, iterate_words
from tests.automata.dfas import count_accepted
from tests.automata.patterns import plain_patterns
from tests.timing import share, within

MANY = 10**9
words = st.sets(st.binary(max_size=4) | st.text("ab", max_size=5).map(str.encode), max_size=12)


def by_length(texts: set[bytes]) -> list[bytes]:
    return sorted(texts, key=lambda text: (len(text), text))


@given(words, st.integers(0, 14))
def test_a_finite_language_is_counted_and_listed(texts: set[bytes], limit: int) -> None:
    dfa = compile_literals(texts)
    assert count_words(dfa, MANY) == len(texts)
    assert count_words(dfa, limit) == min(limit, len(texts))
    assert list(iterate_words(dfa, MANY)) == by_length(texts)
    assert list(iterate_words(dfa, limit)) == by_length(texts)[:limit]


@share(8)
@given(plain_patterns())
def test_the_words_of_a_pattern_are_as_many_as_its_walks(pattern: str) -> None:
    dfa = compile_pattern(pattern)
    assume(dfa.n_states < 40)  # the walks are counted in a slow way
    longest = 6
    counts = count_accepted(dfa, longest)
    listed = list(islice(iterate_words(dfa, MANY), min(sum(counts), 3000)))
    assert all(map(dfa.matches, listed))
    assert listed == by_length(set(listed))
    assert len(listed) == min(sum(counts), 3000)
    assert all(len(text) <= longest for text in listed)
    # A word of S bytes or more goes through a loop; S − 1 bytes are the longest otherwise.
    is_endless = any(count_accepted(dfa, 2 * dfa.n_states)[dfa.n_states :])
    total = sum(count_accepted(dfa, dfa.n_states))
    assert count_words(dfa, MANY) == (MANY if is_endless else min(MANY, total))


def test_bytes_of_one_class_are_words_of_their_own() -> None:
    dfa = compile_pattern("[a-z][0-9]?")
    assert count_words(dfa, 10_000) == 26 * 11
    assert list(iterate_words(dfa, 28))[25:] == [b"z", b"a0", b"a1"]


@pytest.mark.parametrize("pattern", ["[0-9]{400}", "[0-9]{400}a*", "(?:[0-9]{37})*"])
def test_words_are_found_without_a_walk_through_their_beginnings(pattern: str) -> None:
    dfa = compile_pattern(pattern)
    with within(2):
        assert count_words(dfa, 10**30) == 10**30
        assert len(list(iterate_words(dfa, 100))) == 100
