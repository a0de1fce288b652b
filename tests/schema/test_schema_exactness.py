"""The engine of JSON Schema against jsonschema, on random schemas.

A text is allowed whole exactly if jsonschema finds its value valid; a byte exactly if some valid
text begins so. Of "not allowed" there are two proofs: valid texts, all of whose beginnings must
be alive, and the list of all short texts over a small alphabet. "Allowed" is proved by a
completion that the engine names and jsonschema judges.

The order of members is any, unless a test says otherwise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from constrain import Matcher
from tests.profiles import NIGHTLY
from tests.test_exactness import tell
from tests.timing import share, within

pytest.importorskip("jsonschema")
pytest.importorskip("regress")

from tests.schema.strategies import schemas
from tests.schema.trial import SEEDS, Trial, is_accepted, told

MOST_REFUSED = 0.1


def check_acceptance(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed)
    if trial.is_refused:
        return
    for text in trial.texts():
        valid = trial.is_valid(text)
        tell("valid" if valid else "invalid")
        assert is_accepted(trial.store, text) == valid, told(schema, text, f"valid: {valid}")


CONTAINS_OBJECT = {"contains": {"type": "object"}}


@given(schemas(), SEEDS)
@example({"exclusiveMaximum": 0}, 1)
@example({"type": "array", **CONTAINS_OBJECT}, 1)
@example({**CONTAINS_OBJECT, "not": CONTAINS_OBJECT}, 1)
@example({"type": "object", "minProperties": 2}, 1)
@example({"contains": {"type": "object", "minProperties": 2}}, 1)
@example({"type": "array", "maxItems": 0, "contains": {"$ref": "#"}, "uniqueItems": True}, 1)
def test_a_text_is_accepted_iff_jsonschema_finds_it_valid(
    schema: dict[str, Any], seed: int
) -> None:
    check_acceptance(schema, seed)


@pytest.mark.slow
@NIGHTLY
@given(schemas(depth=3), SEEDS)
def test_a_text_is_accepted_iff_jsonschema_finds_it_valid_at_length(
    schema: dict[str, Any], seed: int
) -> None:
    check_acceptance(schema, seed)


def test_few_random_schemas_are_refused_and_many_values_are_valid() -> None:
    counts: Counter[str] = Counter()

    @settings(
        max_examples=300, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(schemas(), SEEDS)
    def count(schema: dict[str, Any], seed: int) -> None:
        trial = Trial(schema, seed)
        counts.update(["tried", *["refused"] * trial.is_refused])
        if not trial.is_refused:
            counts.update("valid" if trial.is_valid(text) else "invalid" for text in trial.texts(4))

    count()
    assert counts["refused"] <= MOST_REFUSED * counts["tried"], counts
    assert 3 * min(counts["valid"], counts["invalid"]) >= counts["tried"], counts


# --- the order of members -----------------------------------------------------------------


def is_in_order(schema: Any, value: Any) -> bool:
    """Whether members come in the order of `properties`, then of `required`, others behind.

    For schemas in which only `properties`, `items` and the like lead to subschemas.
    """
    if isinstance(value, list):
        return all(is_in_order(part, item) for item, part in _items(schema, value))
    if not isinstance(value, dict):
        return True
    schema = schema if isinstance(schema, dict) else {}
    properties = schema.get("properties", {})
    listed = list(dict.fromkeys([*properties, *schema.get("required", [])]))
    places = [listed.index(n) if n in listed else len(listed) for n in value]
    rest = schema.get("additionalProperties", {})
    parts = ((properties.get(name, rest), member) for name, member in value.items())
    return places == sorted(places) and all(is_in_order(part, member) for part, member in parts)


def _items(schema: Any, value: list[Any]) -> Iterator[tuple[Any, Any]]:
    schema = schema if isinstance(schema, dict) else {}
    items = schema.get("items", {})
    prefix = items if isinstance(items, list) else schema.get("prefixItems", [])
    rest = schema.get("additionalItems", {}) if isinstance(items, list) else items
    return zip(value, [*prefix, *[rest] * len(value)], strict=False)


def orders(value: Any) -> Iterator[Any]:
    """The same value with its members in every order."""
    if isinstance(value, list):
        yield from (list(items) for items in product(*(list(orders(item)) for item in value)))
    elif isinstance(value, dict):
        for names in permutations(value):
            for members in product(*(list(orders(value[name])) for name in names)):
                yield dict(zip(names, members, strict=True))
    else:
        yield value


def n_orders(value: Any) -> int:
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else []
    n = 1
    for i, part in enumerate(parts, 1):
        n *= n_orders(part) * (i if isinstance(value, dict) else 1)
    return n


def holds(value: Any, keyword: str) -> bool:
    """Whether a keyword stands anywhere."""
    return f'"{keyword}"' in json.dumps(value)


@share(2)
@given(schemas(combined=False).filter(lambda schema: not holds(schema, "contains")), SEEDS)
def test_members_come_in_the_order_of_properties(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, order="schema")
    if trial.is_refused:
        return
    for text in trial.texts():
        expected = trial.is_valid(text) and is_in_order(schema, json.loads(text))
        assert is_accepted(trial.store, text) == expected, told(schema, text, f"{expected=}")


@share(3)
@given(schemas(), SEEDS)
def test_each_valid_value_can_be_written_in_some_order_and_no_other(
    schema: dict[str, Any], seed: int
) -> None:
    trial = Trial(schema, seed, order="schema")
    if trial.is_refused:
        return
    for text in trial.texts():
        if n_orders(value := json.loads(text)) > 50:
            continue
        found = any(
            is_accepted(trial.store, json.dumps(v, ensure_ascii=False)) for v in orders(value)
        )
        valid = trial.is_valid(text)
        assert found == valid, told(schema, text, f"valid: {valid}")


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": True}},
        {"required": ["a"]},
        {"minProperties": 2},
        {"patternProperties": {"^a$": {"type": "integer"}}},
        {"not": {"properties": {"a": {"type": "string"}}}},
    ],
    ids=json.dumps,
)
def test_no_key_that_makes_a_difference_comes_twice(schema: dict[str, Any]) -> None:
    trial = Trial(schema)
    for text in ('{"a": 1, "b": 2, "a": 3}', '{"a": 1, "a": 3}', '{"a": "", "a": 1}'):
        assert not is_accepted(trial.store, text)


def test_no_key_comes_twice_in_another_spelling() -> None:
    trial = Trial({"minProperties": 2}, escapes="any")
    assert not is_accepted(trial.store, r'{"a": 1, "\u0061": 2}')


# --- white space and escapes --------------------------------------------------------------


@share(3)
@given(schemas(), SEEDS, st.sampled_from([None, 0, 1, 2]))
def test_white_space_is_exactly_as_asked(
    schema: dict[str, Any], seed: int, indent: int | None
) -> None:
    style: dict[str, Any] = {"whitespace": "compact"} if indent is None else {"indent": indent}
    trial = Trial(schema, seed, **style)
    if trial.is_refused:
        return
    separators = (",", ":") if indent is None else None
    for text in trial.texts():
        wanted = json.dumps(
            json.loads(text), ensure_ascii=False, indent=indent, separators=separators
        )
        for written in (text, wanted):
            expected = written == wanted and trial.is_valid(text)
            assert is_accepted(trial.store, written) == expected, told(
                schema, written, f"{style}: {expected=}"
            )


@share(3)
@given(schemas(), SEEDS)
@example({"required": ["é"]}, 1)
def test_any_escapes_are_read_where_they_are_asked_for(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, escapes="any")
    if trial.is_refused:
        return
    for text in trial.texts():
        written = json.dumps(json.loads(text))
        valid = trial.is_valid(written)
        assert is_accepted(trial.store, written) == valid, told(schema, written, f"valid: {valid}")


# --- viability ----------------------------------------------------------------------------

MAX_BYTES = 8
OTHER_BYTES = b'{}[]:,"\\1.e \xc3'


@cache
def short_texts() -> frozenset[bytes]:
    """All JSON texts of at most `MAX_BYTES` with numbers of 1, strings of a and no white space."""
    by_size: list[set[bytes]] = [set()]
    for size in range(1, MAX_BYTES + 1):
        by_size.append({b"1" * size})
        by_size[size] |= {b'"' + b"a" * (size - 2) + b'"'} if size >= 2 else set()
        by_size[size] |= {b"[" + row + b"]" for row in _rows(by_size, size - 2, False)}
        by_size[size] |= {b"{" + row + b"}" for row in _rows(by_size, size - 2, True)}
    return frozenset(text for texts in by_size for text in texts)


def _rows(by_size: list[set[bytes]], size: int, has_keys: bool) -> Iterator[bytes]:
    """All rows of a size of members, commas between them."""
    if size == 0:
        yield b""
    for key_size in range(3, size) if has_keys else (0,):
        key = b'"' + b"a" * (key_size - 3) + b'":' if has_keys else b""
        for n in range(1, size - key_size + 1):
            rest = size - key_size - n
            tails = (
                [b""] if rest == 0 else [b"," + t for t in _rows(by_size, rest - 1, has_keys) if t]
            )
            yield from (key + one + tail for one in by_size[n] for tail in tails)


def has_unlike_keys(text: bytes) -> bool:
    sizes: list[bool] = []
    json.loads(text, object_pairs_hook=lambda pairs: sizes.append(len(dict(pairs)) == len(pairs)))
    return all(sizes)


def written(trial: Trial, matcher: Matcher) -> Iterator[bytes]:
    """All texts like `short_texts` that the engine lets be written."""
    room = MAX_BYTES - len(matcher.text)
    if len(trial.assert_completes(matcher)) > room:
        return
    if matcher.is_accepting():
        yield matcher.text
    for byte in b'a"' if matcher.text.count(b'"') % 2 else b'{}[]:,"1':
        after = matcher.fork()
        if after.accept_bytes(bytes([byte])):
            yield from written(trial, after)


@share(5)
@given(schemas())
@example({})
@example({"items": {"items": False}})
@example({"type": "object", "minProperties": 3})
@example({"type": "array", "uniqueItems": True, "items": {"type": ["integer", "string"]}})
def test_what_can_be_written_is_all_valid_texts_up_to_a_length(schema: dict[str, Any]) -> None:
    trial = Trial(schema)
    if trial.is_refused:
        return
    found = set() if trial.store is None else set(written(trial, trial.store.matcher()))
    expected = {text for text in short_texts() if trial.is_valid(text)}
    assert not expected - found, told(schema, min(expected - found), "valid, and not written")
    for text in found - expected:  # a key may come twice where only the last one counts
        assert trial.is_valid(text) and not has_unlike_keys(text), told(schema, text, "written")


@share(2)
@given(schemas(), SEEDS)
def test_bytes_are_allowed_iff_something_valid_begins_so(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed)
    if trial.store is None:
        return
    for text in trial.valid_texts(4):
        matcher = trial.store.matcher()
        for byte in text.encode():
            allowed = matcher.allowed_bytes()
            assert allowed[byte], told(schema, text, f"dead behind {matcher.text!r}")
            for other in trial.random.sample(sorted({*text.encode(), *OTHER_BYTES}), 2):
                after = matcher.fork()
                assert after.accept_bytes(bytes([other])) == allowed[other]
                if allowed[other]:
                    trial.assert_completes(after)
            assert matcher.accept_bytes(bytes([byte]))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_keys_and_items_that_must_differ_are_completed_at_once(n: int) -> None:
    with within(20):
        for schema in (
            {"type": "object", "minProperties": n},
            {"type": "array", "uniqueItems": True, "minItems": n, "items": {"type": "integer"}},
        ):
            trial = Trial(schema)
            assert trial.store is not None
            trial.assert_completes(trial.store.matcher())
