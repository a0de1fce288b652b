"""The shortest completion put together from frames is the one that a search finds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Vocabulary, bitmask
from constrain.decode.completion import Completer
from constrain.errors import ConstrainError, ViabilityLimitError
from tests.schema.strategies import Near, schemas

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])


def assert_shortest(store: constrain.MaskStore, text: bytes) -> None:
    matcher = store.matcher()
    if not matcher.accept_bytes(text) or matcher.is_accepting():
        return
    completer = store._engine.completer
    threads = matcher._now.state.threads
    try:
        expected = Completer._first_shortest(completer, threads)
    except ViabilityLimitError:
        return
    assert matcher.shortest_completion() == expected, text


@given(schemas(), st.integers(0, 2**32))
def test_random_schemas(schema: dict[str, Any], seed: int) -> None:
    try:
        store = constrain.compile(Grammar.from_json_schema(schema, order="any"), BYTES)
    except ConstrainError:
        return
    chance = random.Random(seed)
    near = Near(schema, seed)
    for _ in range(3):
        text = json.dumps(near.value()).encode()
        assert_shortest(store, text[: chance.randrange(len(text) + 1)])


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "object", "required": ["b", "a"]}, b"{", b'"a":0,"b":0}'),
        ({"type": "array", "minItems": 3, "items": {"enum": [True, 10]}}, b"", b"[10,10,10]"),
        ({"const": {"x": [1, "é"]}}, b'{"x"', ':[1,"é"]}'.encode()),
        ({"items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}, b"[0", b",1]"),
    ],
)
def test_by_hand(schema: dict[str, Any], text: bytes, expected: bytes) -> None:
    grammar = Grammar.from_json_schema(schema, order="any")
    matcher = constrain.compile(grammar, BYTES).matcher()
    assert matcher.accept_bytes(text)
    assert matcher.shortest_completion() == expected


@pytest.mark.parametrize("begun", [b'{"a\\"', b'{"\\"b:', b'{"x": 1, "\\": '])
def test_a_key_with_a_quote_in_it_is_not_taken_for_whole(begun: bytes) -> None:
    schema = {"type": "object", "minProperties": 3}
    store = constrain.compile(Grammar.from_json_schema(schema), BYTES)
    matcher = store.matcher()
    assert matcher.accept_bytes(begun)
    row = bitmask.allocate(BYTES.size)
    matcher.fill_bitmask_within(row, 60)
    assert row.any()
    assert len(json.loads(begun + matcher.shortest_completion())) == 3
