"""References, names and drafts of schema documents; keywords that are malformed or refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

import constrain
from constrain import Grammar, Vocabulary
from constrain.errors import SchemaError

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def fits(schema: Any, value: Any, **options: Any) -> bool:
    grammar = Grammar.from_json_schema(schema, order="any", **options)
    matcher = constrain.compile(grammar, BYTES).matcher()
    return matcher.accept_bytes(json.dumps(value).encode()) and matcher.is_accepting()


INT, TEXT = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": INT}},
        {"$ref": "#/definitions/a", "definitions": {"a": INT}},
        {"$ref": "#/$defs/a~1b~0c%25", "$defs": {"a/b~c%": INT}},
        {"$ref": "#/allOf/1", "$defs": {"x": {}}, "allOf": [{}, INT]},
        {"$ref": "#n", "$defs": {"a": {"$anchor": "n", **INT}}},
        {"$schema": DRAFT_4, "$ref": "#n", "definitions": {"a": {"id": "#n", **INT}}},
        {"$id": "http://x/a", "$ref": "b", "$defs": {"b": {"$id": "b", **INT}}},
        {"$id": "http://x/a/", "$ref": "http://x/a/b#/$defs/c", "$defs": {
            "b": {"$id": "b", "$defs": {"c": INT}}}},
        {"$ref": "http://other/doc#/$defs/n"},
        {"$ref": "http://other/doc#named"},
        {"$ref": "http://other/chain"},
    ],
)  # fmt: skip
def test_references_lead_to_what_they_name(schema: dict[str, Any]) -> None:
    registry = {
        "http://other/doc": {"$defs": {"n": {"$anchor": "named", **INT}}},
        "http://other/chain": {"$ref": "doc#/$defs/n"},
    }
    assert fits(schema, 1, registry=registry)
    assert not fits(schema, "1", registry=registry)


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"items": {"$ref": "#/nowhere"}}, "#/items/$ref"),
        ({"properties": {"a/b": {"$ref": "#gone"}}}, "#/properties/a~1b/$ref"),
        ({"$ref": "http://elsewhere/doc"}, "#/$ref"),
        ({"$ref": 5}, "#/$ref"),
        ({"$ref": "#/title", "title": "no schema"}, "#/$ref"),
    ],
)
def test_references_that_lead_nowhere_are_refused(schema: dict[str, Any], pointer: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        Grammar.from_json_schema(schema)
    assert (refusal.value.pointer, refusal.value.keyword) == (pointer, "$ref")


def test_siblings_of_references_count_from_2019_on() -> None:
    schema = {"$ref": "#/definitions/a", "minimum": 5, "definitions": {"a": INT}}
    assert not fits(schema, 3)
    assert fits({"$schema": DRAFT_7, **schema}, 3)


def test_drafts_differ_in_exclusive_bounds_and_integers() -> None:
    assert not fits({"$schema": DRAFT_4, "minimum": 3, "exclusiveMinimum": True}, 3)
    assert not fits({"exclusiveMinimum": 3}, 3)
    assert fits({"exclusiveMinimum": 3}, 3.5)
    assert not fits({"$schema": DRAFT_4, **INT}, 1.0)
    assert fits({"$schema": DRAFT_7, **INT}, 1.0)
    with pytest.raises(SchemaError, match="draft-03"):
        Grammar.from_json_schema({"$schema": "http://json-schema.org/draft-03/schema#"})


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("type", "any"), ("type", 5), ("type", ["string", 5]), ("minLength", -1),
        ("minLength", "3"), ("maxItems", 1.5), ("minimum", "0"), ("multipleOf", 0),
        ("pattern", 5), ("pattern", "("), ("pattern", r"(a)\1"), ("required", True),
        ("required", [1]), ("enum", {}), ("properties", []), ("allOf", {}),
        ("uniqueItems", "yes"), ("additionalProperties", 5), ("items", 5),
        ("unevaluatedProperties", False), ("unevaluatedItems", False), ("$dynamicRef", "#a"),
        ("format", "regex"),
    ],
)  # fmt: skip
def test_what_is_malformed_or_not_enforceable_is_told_with_its_place(
    keyword: str, value: Any
) -> None:
    with pytest.raises(SchemaError) as refusal:
        Grammar.from_json_schema({"properties": {"x": {keyword: value}}})
    assert refusal.value.keyword == keyword
    assert refusal.value.pointer.startswith(f"#/properties/x/{keyword}")


def test_lenient_ignores_what_is_not_enforceable_tells_it_and_enforces_the_rest() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "format": "regex", "maxLength": 2}},
        "unevaluatedProperties": False,
    }
    grammar = Grammar.from_json_schema(schema, lenient=True)
    places = [(warning.pointer, warning.keyword) for warning in grammar.warnings]
    assert sorted(places) == [
        ("#/properties/a/format", "format"),
        ("#/unevaluatedProperties", "unevaluatedProperties"),
    ]
    assert fits(schema, {"a": "(("}, lenient=True)
    assert not fits(schema, {"a": "((("}, lenient=True)
    assert Grammar.from_json_schema({"type": "object"}, lenient=True).warnings == ()


@dataclasses.dataclass
class Point:
    x: int
    y: int


def test_types_are_read_through_pydantic() -> None:
    pytest.importorskip("pydantic")
    movie = pytest.importorskip("typing_extensions").TypedDict("movie", {"title": str, "year": int})
    assert fits(movie, {"title": "M", "year": 1931})
    assert not fits(movie, {"title": "M"})
    assert fits(Point, {"x": 1, "y": 2})
    assert fits(list[int], [1, 2])
    assert not fits(list[int], ["1"])


def test_what_is_no_schema_is_refused() -> None:
    for schema in ("{", "[]", [], 5):
        with pytest.raises(SchemaError):
            Grammar.from_json_schema(schema)
    assert fits(True, {"anything": None})
    assert fits(b'{"type": "null"}', None)
