"""Texts drawn at random from the mask are JSON, whole, and within their budget.

No model has a hand in them: each token is drawn uniformly from the mask, or, so that
brackets and escapes are not drowned by the letters, uniformly by its first byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

import constrain
from constrain import Grammar, MaskStore, Vocabulary, bitmask
from tests.draws import Draw, by_first_byte, uniform

BUDGET = 200
OTHERS = ("gemma2", "mistral-v1", "starcoder2")
DRAWS = ("uniform", "by_first_byte")
CHUNK = 1000


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def assert_is_json(text: bytes) -> None:
    """`json.loads` reads it, strict, NaN and Infinity refused, and it is UTF-8."""
    # As strings: Python refuses to convert thousands of digits, JSON does not.
    json.loads(text.decode(), parse_constant=refuse_constant, parse_int=str)


def generate(store: MaskStore, draw: Draw, rng: np.random.Generator) -> bytes:
    """One text of at most `BUDGET` tokens, the end token included."""
    matcher, row = store.matcher(), bitmask.allocate(store.vocabulary.size)
    for n_left in range(BUDGET, 0, -1):
        # No dead end: `fill_bitmask_within` raises DeadEndError or BudgetError there.
        matcher.fill_bitmask_within(row, n_left)
        token_id = draw(bitmask.token_ids(row), rng)
        assert matcher.accept_token(token_id), (matcher.text, token_id)
        if matcher.is_terminated():
            return matcher.text
    raise AssertionError(f"over budget: {matcher.text!r}")


def assert_sound(vocabulary: Vocabulary, n_texts: int, seed: int, kind: str) -> None:
    store = constrain.compile(Grammar.builtin("json"), vocabulary)
    draw = uniform if kind == "uniform" else by_first_byte(vocabulary)
    rng = np.random.default_rng(seed)
    texts = [generate(store, draw, rng) for _ in range(n_texts)]
    for text in texts:
        assert_is_json(text)
    assert len(set(texts)) > n_texts // 2, "the draws are all alike"


RealVocabulary = Callable[[str], Vocabulary]


@pytest.mark.tokenizers
@pytest.mark.parametrize("kind", DRAWS)
def test_a_hundred_texts_are_json_llama3(kind: str, real_vocabulary: RealVocabulary) -> None:
    assert_sound(real_vocabulary("llama3"), 100, seed=1, kind=kind)


@pytest.mark.tokenizers
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", DRAWS)
def test_twenty_texts_are_json(name: str, kind: str, real_vocabulary: RealVocabulary) -> None:
    assert_sound(real_vocabulary(name), 20, seed=1, kind=kind)


@pytest.mark.slow
@pytest.mark.tokenizers
@pytest.mark.parametrize("chunk", range(10))
def test_ten_thousand_texts_are_json_llama3(chunk: int, real_vocabulary: RealVocabulary) -> None:
    assert_sound(real_vocabulary("llama3"), CHUNK, seed=100 + chunk, kind="uniform")


@pytest.mark.slow
@pytest.mark.tokenizers
@pytest.mark.parametrize("name", OTHERS)
def test_a_thousand_texts_are_json(name: str, real_vocabulary: RealVocabulary) -> None:
    assert_sound(real_vocabulary(name), CHUNK, seed=100, kind="uniform")


@pytest.mark.slow
@pytest.mark.tokenizers
@pytest.mark.parametrize("name", ("llama3", *OTHERS))
def test_a_thousand_texts_rich_in_brackets_are_json(
    name: str, real_vocabulary: RealVocabulary
) -> None:
    assert_sound(real_vocabulary(name), CHUNK, seed=200, kind="by_first_byte")
