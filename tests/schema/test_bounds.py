"""Schemas that would explode are compiled all the same, or refused by a named error, and soon."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import constrain
from constrain import Grammar, Vocabulary
from constrain.errors import EmptyLanguageError, GrammarError, GrammarLimitError, SchemaError
from tests.timing import within

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])
GUARD_S = 60  # against hanging; on an idle machine each takes a few seconds at most


def nested(keyword: str, size: int, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", keyword: size, "items": schema}
    return schema


def deep(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    return schema


NAMES = {f"name{i}": {"type": "integer"} for i in range(2_000)}
OVERLAPPING = [{"properties": {f"p{i}": {"type": "integer"}}} for i in range(40)]
EXCLUDED = [{"properties": {"k": {"const": i}, "v": {"minLength": i}}} for i in range(12)]
DEPENDENCIES = {f"p{i}": [f"q{i}"] for i in range(30)}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (nested("maxItems", 10**6, 4), b"[[[[1,2],[3]]]]"),
        ({"maxLength": 10**9}, b'"abc"'),
        ({"minLength": 10**6}, b"1"),
        ({"minItems": 10**6}, b"1"),
        ({"minProperties": 10**4, "maxProperties": 10**6}, b"1"),
        ({"enum": [f"text {i}" for i in range(5_000)]}, b'"text 4321"'),
        ({"enum": list(range(300))}, b"299"),
        ({"properties": NAMES}, b'{"name5":1,"name7":2}'),
        ({"properties": NAMES, "required": list(NAMES)[:200]}, b"3"),
        ({"oneOf": OVERLAPPING}, b"{" + b",".join(b'"p%d":""' % i for i in range(39)) + b"}"),
        ({"anyOf": [{"const": i} for i in range(300)]}, b"299"),
        ({"allOf": [{"minLength": i} for i in range(200)]}, b"null"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, b"[[],[[]]]"),
        ({"pattern": "^[ab]{1,60}$", "maxLength": 1000}, b'"ab"'),
        ({"multipleOf": 9973}, b"19946"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_large_sizes_cost_little(schema: dict[str, Any], text: bytes) -> None:
    with within(GUARD_S):
        store = constrain.compile(Grammar.from_json_schema(schema, order="any"), BYTES)
        matcher = store.matcher()
        assert matcher.allowed_bytes().any()
        assert matcher.accept_bytes(text)
        assert matcher.is_accepting()


@pytest.mark.parametrize(
    ("schema", "error", "bound"),
    [
        ({"pattern": "((a|b|c){1000}){1000}"}, SchemaError, "pattern"),
        ({"enum": [f"text {i}" for i in range(100_001)]}, SchemaError, "100000"),
        (deep(300), SchemaError, "200"),
        ({"required": [f"name{i}" for i in range(2_001)]}, SchemaError, "2000"),
        ({"oneOf": [{"required": ["v", "w"]}, *EXCLUDED]}, SchemaError, "512"),
        ({"dependencies": DEPENDENCIES}, SchemaError, "512"),
        ({"multipleOf": 12345679}, SchemaError, "10000"),
        ({"pattern": "^(?:\\S+\\s+){0,99}\\S+$", "maxLength": 5000}, GrammarLimitError, "1500"),
        ({"$ref": "#"}, SchemaError, "itself"),
        ({"allOf": [{"$ref": "#"}]}, SchemaError, "itself"),
        ({"items": {"anyOf": [{"$ref": "#/items"}, {"type": "null"}]}}, SchemaError, "itself"),
        (
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            EmptyLanguageError,
            "no JSON value",
        ),
    ],
    ids=lambda part: str(part)[:60],
)
def test_what_would_explode_is_refused_by_name(
    schema: dict[str, Any], error: type[GrammarError], bound: str
) -> None:
    with within(GUARD_S), pytest.raises(error, match=re.escape(bound)):
        Grammar.from_json_schema(schema)


def test_a_hundred_thousand_texts_are_compiled_or_refused_by_name() -> None:
    schema = {"enum": [f"{i:06}" for i in range(100_000)]}
    with within(GUARD_S):
        try:
            store = constrain.compile(Grammar.from_json_schema(schema), BYTES)
            assert store.matcher().accept_bytes(b'"000')
        except GrammarError as refusal:
            assert "states" in str(refusal)


def test_equal_schemas_are_compiled_once_and_options_tell_them_apart() -> None:
    one = Grammar.from_json_schema({"type": "integer", "minimum": 3})
    assert Grammar.from_json_schema(json.dumps({"type": "integer", "minimum": 3})) is one
    assert constrain.compile(one, BYTES) is constrain.compile(one, BYTES)
    other = Grammar.from_json_schema({"type": "integer", "minimum": 3}, whitespace="compact")
    assert other.fingerprint != one.fingerprint
    ab = Grammar.from_json_schema({"properties": {"a": {}, "b": {}}})
    ba = Grammar.from_json_schema({"properties": {"b": {}, "a": {}}})
    assert ab.fingerprint != ba.fingerprint
