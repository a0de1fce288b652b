"""What `explain` says of schemas and tags: places, types, keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrain import Grammar
from constrain.cli.diagnosis import byte_matcher, describe_expected
from constrain.schema.describe import pointer_of
from constrain.schema.tags import Tag

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["red", "blue", 3, None]},
        "n": {"type": ["integer", "boolean", "array"]},
        "yes": {"const": True},
    },
    "required": ["name", "n"],
    "additionalProperties": False,
}
GRAMMAR = Grammar.from_json_schema(SCHEMA)
TAGS = Grammar.tags(
    [Tag("<f>", SCHEMA, "</f>"), Tag("<g>", Grammar.from_regex("a*"), "</g>"), Tag("<h>", True)],
    triggers=["<"],
)


def explained(grammar: Any, text: bytes) -> Any:
    matcher = byte_matcher(grammar)
    assert matcher.accept_bytes(text)
    return matcher.explain()


@pytest.mark.parametrize(
    ("text", "opened", "complete", "after"),
    [
        (b"", ["object"], [], []),
        (b"{", [], ["object"], ['"name":']),
        (b'{"na', ['"name":'], [], []),
        (b'{"name"', ['"name":'], [], []),
        (b'{"name": ', ["string"], [], []),
        (b'{"name": "x', ["string"], [], []),
        (b'{"name": "x"', [], ["string"], ['"kind":', '"n":']),
        (b'{"name": "x", "kind":', [], ['"kind":'], ['"blue"', '"red"', "null", "number"]),
        (b'{"name": "x", "kind": n', ["null"], [], []),
        (b'{"name": "x", "n": ', ["array", "boolean", "number"], [], []),
        (b'{"name": "x", "n": 1', ["number"], ["number"], ['"yes":', '"}"']),
        (b'{"name": "x", "n": fals', ["boolean"], [], []),
        (b'{"name": "x", "n": [1', ["number"], ["number"], ['","', '"]"']),
        (b'{"name": "x", "n": [1]', [], ['"]"'], ['"yes":', '"}"']),
        (b'{"name": "x", "n": 1, "yes": ', ["true"], [], []),
        (b'{"name": "x", "n": 1}', [], ['"}"'], ["white space"]),
    ],
)
def test_types_and_keys_are_told(
    text: bytes, opened: list[str], complete: list[str], after: list[str]
) -> None:
    found = explained(GRAMMAR, text)
    assert [*found.terminals] == opened
    assert [*found.complete] == complete
    assert [*found.after] == after


def test_what_is_open_is_told_from_within() -> None:
    found = explained(GRAMMAR, b'{"name": "x", "n": [1, "a')
    assert found.pointer == "#/n/1"
    assert found.rules == (
        "value",
        "array: items so far: 1",
        "object: members that must come: none",
    )
    assert "\nplace: #/n/1\n" in str(found)
    missing = explained(GRAMMAR, b'{"').rules
    assert missing == ('object: members that must come: "name", "n"',)


@pytest.mark.parametrize(
    ("text", "opened", "complete", "after"),
    [
        (b"a", ['"<f>"', '"<g>"', '"<h>"', "free text"], ["free text"], []),
        (b"a<", ['"<f>"', '"<g>"', '"<h>"'], [], []),
        (b"<f>", [], ['"<f>"'], ["object"]),
        (b'<f>{"name": "', ["string"], [], []),
        (b"<g>", [], ['"<g>"'], ['"</g>"', "a text of the tag"]),
        (b"<g>a</", ['"</g>"'], [], []),
        (b"<h>0", [], ["number"], ['"<f>"', '"<g>"', '"<h>"', "free text", "white space"]),
    ],
)
def test_tags_are_told(
    text: bytes, opened: list[str], complete: list[str], after: list[str]
) -> None:
    found = explained(TAGS, text)
    assert found.pointer == ""
    if text != b"<h>0":  # which may go on as 0.5 and 0e1
        assert [*found.terminals] == opened
    assert [*found.complete] == complete
    assert [*found.after] == after


def test_a_tag_that_must_come_is_told() -> None:
    grammar = Grammar.tags([Tag("<", True)], at_least=1)
    found = explained(grammar, b"a")
    assert found.rules == ("free text, before a tag that must come",)
    assert not found.is_accepting
    assert {*explained(TAGS, b"<g>a").rules} == {"text of a tag", 'tag, until "</g>"', "free text"}


def test_a_token_that_dies_is_told_with_what_was_expected() -> None:
    matcher = byte_matcher(GRAMMAR)
    verdict = matcher.explain(ord("[")).verdict
    assert verdict is not None
    assert verdict.expected == ("object",)
    assert "dies at its byte 0, b'[', where object was expected" in str(verdict)


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"type": "object", "maxProperties": 1}, b"{", '"}" or any key'),
        ({"properties": {"a": {}}}, b"{", '"a":, "}" or another key'),
        ({"patternProperties": {"^x": {}}}, b"{", '"}" or a key of a pattern'),
        ({"type": "array", "maxItems": 1}, b"[1", '"]" or number'),
        ({"type": "string", "minLength": 200}, b'"' + b"a" * 100, "string"),
        ({"type": "string", "maxLength": 1}, b'"a', "string"),
        ({"const": "a"}, b"", '"a"'),
        ({"enum": ["ab", "ac", "b"]}, b' "a', '"ab" or "ac"'),
        ({"enum": [f"{i}" for i in range(9)]}, b' "', "string"),
        ({"enum": [True, 1.5]}, b"", "number or true"),
        (True, b"", "array, boolean, null, number, object or string"),
        (True, b"1 ", "white space or the end of the text"),
    ],
)
def test_what_was_expected_is_said(schema: Any, text: bytes, expected: str) -> None:
    matcher = byte_matcher(Grammar.from_json_schema(schema))
    assert matcher.accept_bytes(text)
    assert describe_expected(matcher).splitlines()[0] == f"expected: {expected}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a"\\/~[{,: é', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a/~"\\{', max_size=2), inner)
    ),
)


def places(value: Any, pointer: str = "#") -> list[str]:
    """The pointers of all scalars, in the order of the text."""
    if isinstance(value, dict):
        parts = [(k.replace("~", "~0").replace("/", "~1"), v) for k, v in value.items()]
    elif isinstance(value, list):
        parts = [(str(i), v) for i, v in enumerate(value)]
    else:
        return [pointer]
    return [place for step, part in parts for place in places(part, f"{pointer}/{step}")]


def marked(value: Any) -> Any:
    """The same with a mark in the place of each scalar."""
    if isinstance(value, dict):
        return {key: marked(part) for key, part in value.items()}
    return [marked(part) for part in value] if isinstance(value, list) else "\u2603"


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_the_place_is_that_of_the_value(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(marked(value), ensure_ascii=False, indent=indent)
    ends = [i for i, character in enumerate(text) if character == "\u2603"]
    assert [pointer_of(text[:end]) for end in ends] == places(value)
    whole = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    if isinstance(value, dict | list):
        assert pointer_of(whole) == "#"
