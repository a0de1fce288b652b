"""Ceilings on completions: never too low, and lower by a byte with some byte, up to the end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Matcher, Vocabulary
from constrain.decode.completion import IMPOSSIBLE
from constrain.errors import GrammarError
from tests.matchers import builtin_matcher
from tests.strategies import Case, cases
from tests.test_exactness import decided
from tests.timing import share

GRAMMARS = Path(__file__).parents[2] / "grammars"
LANGUAGES = ("json", "go", "sql", "python")

BYTES = [bytes([byte]) for byte in range(256)]

third = share(3)


@cache
def examples(language: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((GRAMMARS / language).glob("valid/*"))]


def ceiling(matcher: Matcher) -> int:
    ceilings = matcher._engine.ceilings
    return min((ceilings.of(thread) for thread in matcher._now.state.threads), default=IMPOSSIBLE)


def steps(matcher: Matcher, texts: list[bytes]) -> Iterator[Matcher]:
    for text in texts:
        fork = matcher.fork()
        if fork.accept_bytes(text):
            yield fork


def check_falls(matcher: Matcher, texts: list[bytes]) -> bytes:
    """Some byte lowers the ceiling, and one behind it, until the text is whole."""
    begun = len(matcher.text)
    while not matcher.is_accepting():
        high = ceiling(matcher)
        lower = (after for after in steps(matcher, texts) if ceiling(after) < high)
        after = next(lower, None)
        assert after is not None, (matcher.text, high)
        matcher = after
    return matcher.text[begun:]


@pytest.mark.parametrize("language", LANGUAGES)
@given(data=st.data())
@third
def test_a_byte_lowers_the_ceiling_in_every_language(language: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(examples(language)))
    matcher = builtin_matcher(language).fork()
    assert matcher.accept_bytes(text[: data.draw(st.integers(0, len(text)))])
    high = ceiling(matcher)
    assert high < IMPOSSIBLE
    assert len(check_falls(matcher, BYTES)) <= high


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sql", "-- nothing ends this but a line end"),
        ("sql", "/* a"),
        ("go", "package p // a"),
        ("go", "/* a\n"),
        ("python", "@a  # \u00e9"),
        ("python", "x = [1,  # a"),
        ("python", "f'''a"),
        ("python", "if x:\n\t@a\n  "),
        ("python", "if x:\n  if y:\n    z\n   "),
        ("python", "if x:\n"),
        ("python", "if x:\n  try:\n    y  # b\n     # c\n    "),
        ("python", "if x:\n  try:\n    y"),
        ("python", "try:\n  x \\"),
    ],
)
def test_a_byte_lowers_the_ceiling_behind(language: str, text: str) -> None:
    matcher = builtin_matcher(language).fork()
    assert matcher.accept_bytes(text.encode())
    if ceiling(matcher) < IMPOSSIBLE:
        check_falls(matcher, BYTES)


@third
@given(cases())
@decided
def test_no_completion_is_longer_than_its_ceiling(case: Case) -> None:
    vocabulary = Vocabulary.from_tokens(case.tokens, case.end_ids)
    try:
        store = constrain.compile(case.grammar, vocabulary)
    except GrammarError:
        return
    matcher = store.matcher()
    texts = [token for token in store.vocabulary.tokens if len(token) == 1]
    for choice in case.walk:
        high = ceiling(matcher)
        if high < IMPOSSIBLE and not matcher.is_accepting():
            assert len(matcher.shortest_completion()) <= high
            assert len(check_falls(matcher.fork(), texts)) <= high
        following = list(steps(matcher, [token for token in store.vocabulary.tokens if token]))
        if not following:
            return
        matcher = following[choice % len(following)]
