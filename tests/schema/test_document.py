"""References, names, drafts and registries of schema documents, judged by jsonschema."""

from __future__ import annotations

import json
from typing import Any

import pytest

import constrain
from constrain import Grammar, Vocabulary
from constrain.errors import EmptyLanguageError, SchemaError

pytest.importorskip("jsonschema")

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.schema.strategies import DRAFTS

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])
INT, TEXT, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
VALUES = [None, True, 0, 3, 7, 7.0, 2.5, "", "a", [], [1], ["a"], [[[1]]], [[["a"]]], {}]
VALUES += [{"a": 1}, {"a": "a"}, {"a": {"a": 1}}, {"a": {"a": "a"}}, {"b": 1}, {"b": "b"}]

OTHERS = {
    "http://other/doc": {
        "$defs": {"n": {"$anchor": "named", **INT}, "self": {"items": {"$ref": "#/$defs/self"}}},
        "type": "integer",
    },
    "http://other/chain": {"$ref": "doc#/$defs/n"},
    "http://other/own": {"$defs": {"t": TEXT}, "$ref": "#/$defs/t"},
    "http://other/root": {"properties": {"a": {"$ref": "#"}}, "type": ["object", "integer"]},
    "http://other/old": {
        "$schema": DRAFTS[4],
        "definitions": {"e": {"id": "#e", "minimum": 3, "exclusiveMinimum": True}},
    },
    "http://other/away/far.json": {"$ref": "../doc#named"},
}


def matcher_of(schema: Any, **options: Any) -> constrain.Matcher:
    grammar = Grammar.from_json_schema(schema, order="any", **options)
    return constrain.compile(grammar, BYTES).matcher()


def fits(schema: Any, value: Any, **options: Any) -> bool:
    matcher = matcher_of(schema, **options)
    return matcher.accept_bytes(json.dumps(value).encode()) and matcher.is_accepting()


def refusal_of(schema: Any, **options: Any) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        Grammar.from_json_schema(schema, **options)
    return caught.value


def assert_as_jsonschema(schema: dict[str, Any]) -> None:
    """Every value fits by our reading exactly if it does by jsonschema's; some do, some do not."""
    kind = validator_for(schema, default=Draft202012Validator)
    resources = [
        (uri, Resource.from_contents(document, default_specification=DRAFT202012))
        for uri, document in OTHERS.items()
    ]
    judge = kind(schema, registry=Registry().with_resources(resources))
    verdicts = [judge.is_valid(value) for value in VALUES]
    assert len(set(verdicts)) == 2, "the values tell nothing of this schema"
    ours = [fits(schema, value, registry=OTHERS) for value in VALUES]
    assert ours == verdicts, [v for v, a, b in zip(VALUES, ours, verdicts, strict=True) if a != b]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": INT}},
        {"$ref": "#/definitions/a", "definitions": {"a": INT}},
        {"$ref": "#/$defs/a/properties/b", "$defs": {"a": {"properties": {"b": INT}}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": INT, "a": TEXT}},
        {"$ref": "#/$defs/a~0b", "$defs": {"a~b": INT, "a": TEXT}},
        {"$ref": "#/$defs/~01", "$defs": {"~1": INT, "/": TEXT}},
        {"$ref": "#/$defs/a%25b", "$defs": {"a%b": INT, "a%25b": TEXT}},
        {"$ref": "#/$defs/a%20%22b", "$defs": {'a "b': INT}},
        {"$ref": "#/$defs/", "$defs": {"": INT}},
        {"$ref": "#/$defs/%C3%A9", "$defs": {"é": INT}},
        {"$ref": "#/allOf/1", "allOf": [{}, INT]},
        {"anyOf": [TEXT, {"$ref": "#/anyOf/0"}]},
        {"$ref": "#/$defs/a/prefixItems/1", "$defs": {"a": {"prefixItems": [TEXT, INT]}}},
        {"$ref": "#/x-own/a", "x-own": {"a": INT}},
        {"$ref": "#n", "$defs": {"a": {"$anchor": "n", **INT}}},
        {"$ref": "#n", "$defs": {"a": {"$dynamicAnchor": "n", **INT}}},
        {"items": {"$ref": "#"}, "type": ["array", "integer"]},
        {"properties": {"a": {"$ref": "#"}}, "type": ["object", "integer"]},
        {"$ref": "#/$defs/a", "$defs": {
            "a": {"anyOf": [INT, {"type": "array", "items": {"$ref": "#/$defs/b"}}]},
            "b": {"anyOf": [TEXT, {"type": "array", "items": {"$ref": "#/$defs/a"}}]}}},
        {"properties": {"$ref": INT, "a": {"$ref": "#/properties/$ref"}}},
        {"$ref": "#/$defs/t", "$defs": {"t": True, "f": False}, "items": {"$ref": "#/$defs/f"}},
        {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": INT}},
    ],
)  # fmt: skip
def test_local_references(schema: dict[str, Any]) -> None:
    assert_as_jsonschema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "http://x/a", "$ref": "b", "$defs": {"b": {"$id": "b", **INT}}},
        {"$id": "http://x/a", "$ref": "/b", "$defs": {"b": {"$id": "http://x/b", **INT}}},
        {"$id": "http://x/a/", "$ref": "b#/$defs/c", "$defs": {
            "c": TEXT, "b": {"$id": "b", "$defs": {"c": INT}}}},
        {"$id": "http://x/a", "$ref": "http://x/a#/$defs/i", "$defs": {"i": INT}},
        {"$id": "http://x/a", "$ref": "#n", "$defs": {"i": {"$anchor": "n", **INT}}},
        # A base changes what `#` is below it.
        {"$id": "http://x/a", "properties": {"a": {
            "$id": "b", "$ref": "#/$defs/c", "$defs": {"c": INT}}}, "$defs": {"c": TEXT}},
        {"$id": "http://x/a", "properties": {"a": {"$id": "b", "$ref": "#n", "$defs": {
            "c": {"$anchor": "n", **INT}}}}, "$defs": {"c": {"$anchor": "n", **TEXT}}},
        {"$id": "http://x/a", "properties": {"a": {
            "$id": "b/", "properties": {"a": {"$ref": "c"}},
            "$defs": {"c": {"$id": "c", **INT}}}}, "$defs": {"c": {"$id": "c", **TEXT}}},
        {"$schema": DRAFTS[4], "$ref": "#n", "definitions": {"a": {"id": "#n", **INT}}},
        {"$schema": DRAFTS[4], "id": "http://x/a", "properties": {"a": {"$ref": "b"}},
         "definitions": {"b": {"id": "b", **INT}}},
        {"$schema": DRAFTS[7], "$ref": "#n", "definitions": {"a": {"$id": "#n", **INT}}},
        # The name of a member is no identifier.
        {"properties": {"a": {"$ref": "#/properties/$id"}, "$id": INT, "$anchor": TEXT}},
        # Neither is what a `const` or an `enum` holds.
        {"$ref": "#n", "$defs": {"a": {"const": {"$anchor": "n", "type": "string"}},
                                 "b": {"$anchor": "n", **INT}}},
    ],
)  # fmt: skip
def test_names_and_bases(schema: dict[str, Any]) -> None:
    assert_as_jsonschema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://other/doc"},
        {"$ref": "http://other/doc#"},
        {"$ref": "http://other/doc#/$defs/n"},
        {"$ref": "http://other/doc#named"},
        {"$ref": "http://other/doc#/$defs/self", "maxItems": 0},
        {"$ref": "http://other/chain"},
        {"$ref": "http://other/own"},
        {"$ref": "http://other/root"},
        {"$ref": "http://other/away/far.json"},
        {"$id": "http://other/mine", "properties": {"a": {"$ref": "doc"}, "b": {"$ref": "own#"}}},
        {"$defs": {"t": INT}, "properties": {"a": {"$ref": "http://other/own"}}},
        # The other document's draft is its own.
        {"properties": {"a": {"$ref": "http://other/old#/definitions/e"}}, "type": "object",
         "additionalProperties": False},
    ],
)  # fmt: skip
def test_other_documents(schema: dict[str, Any]) -> None:
    assert_as_jsonschema(schema)


@pytest.mark.parametrize("draft", DRAFTS)
def test_siblings_of_references_count_from_2019_on(draft: int) -> None:
    schema = {"$ref": "#/definitions/a", "minimum": 5, "definitions": {"a": INT}}
    assert_as_jsonschema({"$schema": DRAFTS[draft], **schema})
    assert fits({"$schema": DRAFTS[draft], **schema}, 3) == (draft <= 7)


@pytest.mark.parametrize(
    ("draft", "schema"),
    [(draft, schema) for draft in DRAFTS for schema in (INT, {"items": INT}, {"required": ["a"]})]
    + [(draft, {"items": [INT]}) for draft in DRAFTS if draft < 2020],
)
def test_integers_and_lists_of_items_in_each_draft(draft: int, schema: dict[str, Any]) -> None:
    assert_as_jsonschema({"$schema": DRAFTS[draft], **schema})


def test_drafts_differ_in_exclusive_bounds_and_integers() -> None:
    assert_as_jsonschema({"$schema": DRAFTS[4], "minimum": 3, "exclusiveMinimum": True})
    assert_as_jsonschema({"$schema": DRAFTS[4], "maximum": 3, "exclusiveMaximum": True})
    assert_as_jsonschema({"$schema": DRAFTS[4], "maximum": 3, "exclusiveMaximum": False})
    assert_as_jsonschema({"$schema": DRAFTS[6], "exclusiveMinimum": 3})
    assert not fits({"$schema": DRAFTS[4], **INT}, 1.0)
    assert all(fits({"$schema": DRAFTS[draft], **INT}, 1.0) for draft in DRAFTS if draft > 4)


@pytest.mark.parametrize("draft", ["draft-03", "draft-02", "draft-01"])
def test_drafts_before_4_are_refused(draft: str) -> None:
    error = refusal_of({"$schema": f"http://json-schema.org/{draft}/schema#", **INT})
    assert (error.pointer, error.keyword) == ("#/$schema", "$schema")
    assert "draft 4 or later" in str(error)


A_TO_B = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
BY_CHOICE = {
    "a": {"anyOf": [{"$ref": "#/$defs/b"}, NULL]},
    "b": {"anyOf": [{"$ref": "#/$defs/a"}, TEXT]},
}


@pytest.mark.parametrize(
    ("schema", "pointer", "advice"),
    [
        ({"items": {"$ref": "#/nowhere"}}, "#/items/$ref", "'#/nowhere' leads nowhere"),
        ({"items": {"$ref": "#/items/5"}}, "#/items/$ref", "leads nowhere"),
        ({"allOf": [{}], "items": {"$ref": "#/allOf/1"}}, "#/items/$ref", "leads nowhere"),
        ({"allOf": [{}], "items": {"$ref": "#/allOf/x"}}, "#/items/$ref", "leads nowhere"),
        ({"properties": {"a/b": {"$ref": "#gone"}}}, "#/properties/a~1b/$ref", "anchor"),
        ({"$ref": "http://elsewhere/doc"}, "#/$ref", "`registry`"),
        ({"$ref": "doc.json#/a"}, "#/$ref", "`registry`"),
        ({"$ref": 5}, "#/$ref", "is a string"),
        ({"$ref": None}, "#/$ref", "is a string"),
        ({"$ref": "#/title", "title": "no schema"}, "#/$ref", "leads to no schema"),
        ({"$ref": "#/required", "required": []}, "#/$ref", "leads to no schema"),
        ({"$ref": "#"}, "#/$ref", "back to itself"),
        ({"$ref": "#/$defs/a", "$defs": A_TO_B}, "#/$defs/a/$ref", "back to itself"),
        ({"items": {"$ref": "#/items"}}, "#/items/$ref", "back to itself"),
        ({"allOf": [{"$ref": "#"}]}, "#", "items or members"),
        ({"anyOf": [{"$ref": "#"}, TEXT]}, "#", "items or members"),
        ({"oneOf": [{"$ref": "#"}, TEXT]}, "#", "items or members"),
        ({"not": {"$ref": "#"}}, "#", "items or members"),
        ({"if": {"$ref": "#"}, "then": TEXT}, "#", "items or members"),
        ({"$ref": "#/$defs/a", "$defs": BY_CHOICE}, "#/$defs/a", "items or members"),
        ({"items": {"anyOf": [{"$ref": "#/items"}, NULL]}}, "#/items", "items or members"),
    ],
    ids=str,
)
def test_references_that_cannot_be_followed_are_refused(
    schema: dict[str, Any], pointer: str, advice: str
) -> None:
    error = refusal_of(schema)
    assert (error.pointer, error.keyword) == (pointer, "$ref")
    assert advice in str(error)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}])
def test_a_schema_that_is_defined_by_itself_is_refused_even_where_lenient(schema: Any) -> None:
    assert refusal_of(schema, lenient=True).keyword == "$ref"


def test_a_recursion_that_never_ends_has_no_value() -> None:
    with pytest.raises(EmptyLanguageError):
        Grammar.from_json_schema(
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
        )


def test_errors_in_other_documents_are_told_with_the_place_there() -> None:
    registry = {"http://other/bad": {"$defs": {"a": {"type": "any"}}}}
    error = refusal_of({"items": {"$ref": "http://other/bad#/$defs/a"}}, registry=registry)
    assert (error.pointer, error.keyword) == ("#/$defs/a/type", "type")
