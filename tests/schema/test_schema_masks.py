"""Masks, budgets, pools and threads of the engine of JSON Schema, on random schemas."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from constrain import Grammar, Matcher, Vocabulary, bitmask
from constrain.masks.rows import tokens_at
from constrain.pools import Pool
from constrain.schema import lexicon
from tests.timing import share

pytest.importorskip("jsonschema")
pytest.importorskip("regress")

from tests.schema.strategies import schemas
from tests.schema.trial import SEEDS, TOKENS, Trial, told

N_STEPS = 8
CLOSED = {"additionalProperties": False}


def assert_mask(trial: Trial, matcher: Matcher, vocabulary: Vocabulary) -> list[int]:
    """The mask is what `accept_token` says of each token; the tokens allowed."""
    row = np.full(bitmask.n_words(vocabulary.size), -1, np.int32)
    matcher.fill_bitmask(row)
    allowed = bitmask.unpack(row, vocabulary.size)
    for token_id in (*trial.random.sample(range(256), 40), *range(256, vocabulary.size)):
        accepted = matcher.fork().accept_token(token_id)
        assert accepted == allowed[token_id], told(
            trial.schema,
            matcher.text,
            f"{vocabulary.tokens[token_id]!r}: mask {allowed[token_id]}, accept_token {accepted}",
        )
    return np.flatnonzero(allowed).tolist()


def walk(trial: Trial, vocabulary: Vocabulary, n_steps: int) -> Iterator[Matcher]:
    """Random steps, mostly by the longest tokens, each behind a check of the mask."""
    assert trial.store is not None
    matcher = trial.store.matcher()
    for _ in range(n_steps):
        yield matcher
        ids = [i for i in assert_mask(trial, matcher, vocabulary) if vocabulary.tokens[i]]
        if not ids:
            return
        ids.sort(key=lambda i: len(vocabulary.tokens[i]), reverse=True)
        some = ids[:6] if trial.random.random() < 0.6 else ids
        assert matcher.accept_token(trial.random.choice(some))


@share(4)
@given(schemas(), SEEDS)
@example({"uniqueItems": True, "items": {"enum": [1, 2, "a", None]}}, 1)
def test_a_mask_is_what_accept_token_says(schema: dict[str, Any], seed: int) -> None:
    check_masks(schema, seed)


def check_masks(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, TOKENS)
    if trial.store is None:
        return
    for matcher in walk(trial, TOKENS, N_STEPS):
        trial.assert_completes(matcher)


@share(2)
@given(schemas(), SEEDS)
def test_budgets_are_kept_by_valid_texts(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, TOKENS)
    if trial.store is None:
        return
    matcher = trial.store.matcher()
    row = bitmask.allocate(TOKENS.size)
    for left in range(matcher.tokens_to_finish() + trial.random.randrange(12), 0, -1):
        matcher.fill_bitmask_within(row, left)
        allowed = bitmask.token_ids(row).tolist()
        assert allowed, told(schema, matcher.text, f"nothing allowed, {left} tokens left")
        assert matcher.accept_token(trial.random.choice(allowed))
        if matcher.is_terminated():
            break
    assert matcher.is_terminated(), told(schema, matcher.text, "not whole within the budget")
    assert trial.is_valid(matcher.text), told(schema, matcher.text, "not valid")


@pytest.mark.tokenizers
@share(10)
@given(schemas(), SEEDS)
def test_a_mask_of_a_real_vocabulary_is_what_accept_token_says(
    real_vocabulary: Any, schema: dict[str, Any], seed: int
) -> None:
    vocabulary = real_vocabulary("llama3")
    trial = Trial(schema, seed, vocabulary)
    if trial.store is None:
        return
    row = bitmask.allocate(vocabulary.size)
    for text in islice(trial.valid_texts(6), 1):
        matcher = trial.store.matcher()
        for byte in text.encode()[:30]:
            matcher.fill_bitmask(row)
            allowed = bitmask.unpack(row, vocabulary.size)
            some = trial.random.sample(range(vocabulary.size), 20)
            near = trial.random.choices(starting(vocabulary, byte), k=40)
            for token_id in (*some, *near, *bitmask.token_ids(row)[:10].tolist()):
                accepted = matcher.fork().accept_token(token_id)
                told_of = f"{vocabulary.tokens[token_id]!r}: accept_token {accepted}"
                assert accepted == allowed[token_id], told(schema, matcher.text, told_of)
            assert matcher.accept_bytes(bytes([byte]))


@cache
def starting(vocabulary: Vocabulary, byte: int) -> list[int]:
    """The tokens that begin with a byte."""
    return [i for i, token in enumerate(vocabulary.tokens) if token[:1] == bytes([byte])]


def masks_of(engine: Any, text: bytes) -> list[bytes]:
    """The masks along a text, one a byte."""
    matcher = Matcher(engine)
    row = bitmask.allocate(TOKENS.size)
    found = []
    for byte in text:
        matcher.fill_bitmask(row)
        found.append(row.tobytes())
        if not matcher.accept_bytes(bytes([byte])):
            break
    return found


CRAMPED = (*range(16, 20_000, 16), lexicon.MAX_STATES)
"""Rooms of a lexicon that is moved whenever some states are made."""


@share(3)
@given(schemas(), SEEDS)
def test_masks_are_those_that_a_fresh_pool_makes_of_rows(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, TOKENS)
    if trial.store is None:
        return
    texts = [text.encode() for text in trial.texts(3)]
    old = [masks_of(trial.store._engine, text) for text in texts]
    with patch.object(lexicon, "ROOMS", CRAMPED):
        pool = Pool(TOKENS)
        pool.walker.max_small = -1
        fresh = pool.engine(Grammar.from_json_schema(schema, order="any"))
        for text, masks in zip(texts, old, strict=True):
            assert masks_of(fresh, text) == masks, told(schema, text, "another in a fresh pool")


def test_threads_may_compile_and_walk_at_once() -> None:
    found: list[tuple[dict[str, Any], list[bytes]]] = []

    @settings(
        max_examples=40, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(schemas())
    def collect(schema: dict[str, Any]) -> None:
        trial = Trial(schema, 1)
        if trial.store is not None:
            found.append((schema, [text.encode() for text in trial.texts(4)]))

    collect()
    assert len(found) > 20
    pool = Pool(TOKENS)

    def masks(case: tuple[dict[str, Any], list[bytes]]) -> list[list[bytes]]:
        engine = pool.engine(Grammar.from_json_schema(case[0], order="any"))
        return [masks_of(engine, text) for text in case[1]]

    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(masks, found))
    pool = Pool(TOKENS)
    assert at_once == list(map(masks, found))


def test_rows_by_difference_hold_the_tokens_that_a_whole_walk_finds() -> None:
    schemas = [
        {"properties": {"swap": {}, "ab": {}}, "patternProperties": {"^/": {}}, **CLOSED},
        {"properties": {"a": {}, "abc": {}, "b": {"maxLength": 3, "minLength": 2}}},
        {"propertyNames": {"maxLength": 70}, "additionalProperties": {"maxLength": 80}},
        {"additionalProperties": {"pattern": "^[ab]+$", "maxLength": 2000}},
    ]
    more = [b"swap", b"abc", b"ab", b'ab"', b'abc":', b"a" * 40, b"b" * 66, b"/", b"/a", b'"a']
    vocabulary = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + more)
    pool = Pool(vocabulary)
    for schema in schemas:
        engine = pool.engine(Grammar.from_json_schema(schema, order="any"))
        matcher = Matcher(engine)
        for byte in b'{"ab":"aa':
            matcher.allowed_bytes()
            matcher.accept_bytes(bytes([byte]))
    lexicon, walker = pool.lexicon, pool.walker
    derived = [state for state in range(1, lexicon.n_states) if lexicon.alike.base[state]]
    assert len(derived) > 20
    for state in derived:
        ends, _ = walker.walk(state)
        whole = tokens_at(walker.trie, ends.node, walker.words)
        assert (engine.masker.inside(state) == whole).all(), state
