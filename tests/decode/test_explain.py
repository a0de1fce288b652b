"""Explanations say what the mask says, in the grammar's words."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, MaskStore, Vocabulary, bitmask
from constrain.decode import completion
from constrain.errors import GrammarError, ViabilityLimitError
from tests import strategies

TOKENS = (*(bytes([b]) for b in range(256)), b"truth", b"true,", b'a": 1', b"", b"")
SPECIAL, END = len(TOKENS) - 2, len(TOKENS) - 1
TRUTH, TRUE_COMMA, KEY = 256, 257, 258


@pytest.fixture(autouse=True, scope="module")
def _short_searches() -> Iterator[None]:
    """Random grammars may be too tangled to decide; a few hundred steps tell that too."""
    with patch.object(completion, "MAX_EXPANSIONS", 300):
        yield


@pytest.fixture(scope="module")
def store() -> MaskStore:
    return constrain.compile(Grammar.builtin("json"), Vocabulary.from_tokens(TOKENS, [END]))


@given(case=strategies.cases(), data=st.data())
def test_a_verdict_is_the_masks(case: strategies.Case, data: st.DataObject) -> None:
    vocabulary = Vocabulary.from_tokens(case.tokens, case.end_ids)
    try:
        matcher = constrain.compile(case.grammar, vocabulary).matcher()
        matcher.accept_bytes(data.draw(st.text("abc", max_size=3)).encode())
        row = bitmask.allocate(vocabulary.size)
        matcher.fill_bitmask(row)
    except (GrammarError, ViabilityLimitError):
        return
    allowed = bitmask.unpack(row, vocabulary.size)
    for token_id in range(vocabulary.size):
        explanation = matcher.explain(token_id)
        verdict = explanation.verdict
        assert verdict is not None
        assert (verdict.token, verdict.spelling) == (token_id, case.tokens[token_id])
        assert verdict.is_allowed == allowed[token_id]
        assert verdict.reason
        assert str(verdict) in str(explanation)
        if verdict.is_allowed and verdict.spelling:
            assert verdict.alive == len(verdict.spelling)


@given(case=strategies.cases())
def test_open_terminals_are_terminals_and_whole_is_whole(case: strategies.Case) -> None:
    vocabulary = Vocabulary.from_tokens(case.tokens, case.end_ids)
    try:
        matcher = constrain.compile(case.grammar, vocabulary).matcher()
    except GrammarError:
        return
    names = {terminal.name for terminal in case.grammar.terminals}
    for choice in case.walk:
        explanation = matcher.explain()
        assert explanation.verdict is None
        assert names.issuperset(explanation.terminals + explanation.after)
        assert explanation.is_accepting == matcher.is_accepting()
        assert explanation.text == matcher.text
        try:
            allowed = np.flatnonzero(matcher.allowed_bytes())
        except ViabilityLimitError:
            return
        if not allowed.size:
            return
        matcher.accept_bytes(bytes([int(allowed[choice % allowed.size])]))


def test_the_state_inside_an_object(store: MaskStore) -> None:
    matcher = store.matcher()
    assert matcher.accept_bytes(b'{"name": tr')
    explanation = matcher.explain()
    assert not explanation.is_accepting
    assert len(explanation.terminals) == 1  # the literal "true"
    assert explanation.after == ()
    assert any('"name"' not in rule and "•" in rule for rule in explanation.rules)
    assert any(rule.startswith("member →") for rule in explanation.rules)
    assert any(rule.startswith("object →") for rule in explanation.rules)
    assert str(explanation).splitlines()[0] == "text: b'{\"name\": tr'"


def test_what_may_follow_an_ended_lexeme(store: MaskStore) -> None:
    matcher = store.matcher()
    assert matcher.accept_bytes(b"[12")
    explanation = matcher.explain()
    assert explanation.terminals == ("NUMBER",)
    assert "WS" in explanation.after
    assert len(explanation.after) == 3  # the comma, the bracket, white space


def test_a_whole_text_says_so(store: MaskStore) -> None:
    matcher = store.matcher()
    assert matcher.accept_bytes(b"[]")
    explanation = matcher.explain(END)
    assert explanation.is_accepting
    assert "(whole)" in str(explanation)
    assert explanation.verdict is not None
    assert explanation.verdict.is_allowed
    assert "whole" in explanation.verdict.reason


def test_where_in_a_token_it_dies_and_what_was_expected(store: MaskStore) -> None:
    verdict = store.matcher().explain(TRUTH).verdict
    assert verdict is not None
    assert not verdict.is_allowed
    assert verdict.alive == 3
    assert len(verdict.expected) == 1
    assert verdict.expected[0] in verdict.reason
    assert "byte 3" in verdict.reason
    assert "b't'" in verdict.reason


def test_a_token_that_dies_behind_a_lexeme_names_what_may_follow(store: MaskStore) -> None:
    verdict = store.matcher().explain(TRUE_COMMA).verdict
    assert verdict is not None
    assert not verdict.is_allowed
    assert verdict.alive == 4
    assert "WS" in verdict.expected


def test_a_token_over_several_lexemes_is_allowed(store: MaskStore) -> None:
    matcher = store.matcher()
    assert matcher.accept_bytes(b'{"')
    verdict = matcher.explain(KEY).verdict
    assert verdict is not None
    assert verdict.is_allowed
    assert verdict.expected == ("NUMBER",)


@pytest.mark.parametrize("token_id", [SPECIAL, -1, len(TOKENS), 10**9])
def test_ids_that_are_no_text_are_explained_too(store: MaskStore, token_id: int) -> None:
    verdict = store.matcher().explain(token_id).verdict
    assert verdict is not None
    assert not verdict.is_allowed
    assert "never text" in verdict.reason


def test_an_end_token_before_the_end(store: MaskStore) -> None:
    verdict = store.matcher().explain(END).verdict
    assert verdict is not None
    assert not verdict.is_allowed
    assert "not whole yet" in verdict.reason


def test_a_token_that_nothing_can_complete() -> None:
    """`é` may go on with é only, whose second byte no token has."""
    grammar = Grammar.from_choices(["aé", "ab"])
    tokens = [b"a", b"b", b"a\xc3", b""]
    matcher = constrain.compile(grammar, Vocabulary.from_tokens(tokens, [3])).matcher()
    verdict = matcher.explain(2).verdict
    assert verdict is not None
    assert not verdict.is_allowed
    assert verdict.alive == 2
    assert "can spell" in verdict.reason


def test_after_the_end_nothing_is_allowed(store: MaskStore) -> None:
    matcher = store.matcher()
    assert matcher.accept_bytes(b"[]")
    assert matcher.accept_token(END)
    for token_id in (END, ord(" ")):
        verdict = matcher.explain(token_id).verdict
        assert verdict is not None
        assert not verdict.is_allowed
