"""`response_format` objects, as OpenAI's API documents them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from constrain import Grammar
from constrain.cli.diagnosis import byte_matcher
from constrain.errors import EmptyLanguageError, SchemaError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
BAD: dict[str, Any] = {"properties": {"a/b": {"unevaluatedItems": False}}}


def chat(**inner: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", **inner}}


def flat(**inner: Any) -> dict[str, Any]:
    return {"type": "json_schema", "name": "answer", **inner}


def accepts(grammar: Any, text: bytes) -> bool:
    matcher = byte_matcher(grammar)
    return matcher.accept_bytes(text) and matcher.is_accepting()


@pytest.mark.parametrize("shape", [chat, flat])
def test_both_shapes_are_the_grammar_of_the_schema(shape: Any) -> None:
    given = shape(schema=SCHEMA, strict=True, description="an answer")
    before = copy.deepcopy(given)
    grammar = Grammar.from_response_format(given)
    assert grammar is not None
    assert given == before
    assert grammar.name == "answer"
    assert grammar.fingerprint == Grammar.from_json_schema(SCHEMA).fingerprint
    assert accepts(grammar, b'{"a": 1}')
    assert not accepts(grammar, b'{"a": 1, "b": 2}')


def test_a_json_object_is_any_object() -> None:
    grammar = Grammar.from_response_format({"type": "json_object"})
    assert accepts(grammar, b'{"a": [1, {}]}')
    assert not accepts(grammar, b"[]")


def test_text_is_no_constraint() -> None:
    assert Grammar.from_response_format({"type": "text"}) is None


@pytest.mark.parametrize("shape", [chat, flat])
@pytest.mark.parametrize("strict", [{}, {"strict": None}, {"strict": False}])
def test_what_is_not_strict_warns_of_what_cannot_be_enforced(
    shape: Any, strict: dict[str, Any]
) -> None:
    grammar = Grammar.from_response_format(shape(schema=BAD, **strict))
    assert grammar is not None
    assert [w.pointer for w in grammar.warnings] == ["#/properties/a~1b/unevaluatedItems"]
    assert accepts(grammar, b'{"a/b": [1]}')


def test_strict_refuses_with_the_place_in_the_whole_object() -> None:
    for shape, pointer in ((chat, "#/json_schema/schema"), (flat, "#/schema")):
        place = f"{pointer}/properties/a~1b/unevaluatedItems"
        with pytest.raises(SchemaError, match=f"^{place}: `unevaluatedItems` cannot") as caught:
            Grammar.from_response_format(shape(schema=BAD, strict=True))
        assert (caught.value.pointer, caught.value.keyword) == (place, "unevaluatedItems")


def test_options_go_before_what_the_object_says() -> None:
    with pytest.raises(SchemaError):
        Grammar.from_response_format(chat(schema=BAD), lenient=False)
    grammar = Grammar.from_response_format(chat(schema=SCHEMA), whitespace="compact")
    assert accepts(grammar, b'{"a":1}')
    assert not accepts(grammar, b'{"a": 1}')
    assert not accepts(
        Grammar.from_response_format({"type": "json_object"}, whitespace="compact"), b"{ }"
    )


@pytest.mark.parametrize(
    ("response_format", "pointer", "message"),
    [
        ("json_object", "#", "an object with a `type`, not 'json_object'"),
        (None, "#", "not None"),
        ({}, "#/type", "one of json_schema, json_object, text, not None"),
        ({"type": "grammar"}, "#/type", "not 'grammar'"),
        ({"type": ["text"]}, "#/type", "not \\['text'\\]"),
        ({"type": "text", "schema": {}}, "#/schema", "'schema' is no member"),
        ({"type": "json_object", "a/b": 1}, "#/a~1b", "'a/b' is no member"),
        ({"type": "json_schema"}, "#/schema", "`schema` is a JSON Schema, not None"),
        ({"type": "json_schema", "json_schema": []}, "#/json_schema", "an object with a `schema`"),
        (chat(), "#/json_schema/schema", "not None"),
        (chat(schema="{}"), "#/json_schema/schema", "not '{}'"),
        (chat(schema={}, strict="yes"), "#/json_schema/strict", "true or false, not 'yes'"),
        (chat(schema={}, name=3), "#/json_schema/name", "a text, not 3"),
        (chat(schema={}, strikt=True), "#/json_schema/strikt", "no member"),
        ({**chat(schema={}), "strict": True}, "#/strict", "no member"),
        (flat(schema={"type": "strin"}, strict=True), "#/schema/type", "`type` is one of"),
        (chat(schema={"$ref": "http://a"}, strict=True), "#/json_schema/schema/$ref", "not given"),
    ],
)
def test_what_is_refused(response_format: Any, pointer: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        Grammar.from_response_format(response_format)
    assert caught.value.pointer == pointer


def test_a_schema_that_nothing_fits_is_refused() -> None:
    with pytest.raises(EmptyLanguageError):
        Grammar.from_response_format(chat(schema=False))
