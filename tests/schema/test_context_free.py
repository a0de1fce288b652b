"""A schema as a plain grammar: two engines, one language, equal masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, example, given

import constrain
from constrain import Grammar, MaskStore, bitmask
from constrain.errors import GrammarLimitError, SchemaError, ViabilityLimitError
from constrain.grammar.compose import compose
from constrain.grammar.rules import NEVER, Production, Terminal
from tests.timing import share

pytest.importorskip("jsonschema")
pytest.importorskip("regress")

from tests.schema.strategies import schemas
from tests.schema.trial import SEEDS, TOKENS, Trial, is_accepted, told

OPEN = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"enum": [1, "a", None]}}}
CLOSED = {**OPEN, "additionalProperties": False}


def context_free(trial: Trial) -> MaskStore | None:
    """The store of the schema's plain grammar; None where there is none that is small."""
    if trial.store is None:
        return None
    try:
        return constrain.compile(trial.store.grammar.as_grammar(), TOKENS)
    except (SchemaError, GrammarLimitError, ViabilityLimitError) as error:
        event(f"no grammar: {type(error).__name__}")
        return None


@share(2)
@given(schemas(), SEEDS)
@example(OPEN, 1)
@example({**OPEN, "minLength": 70, "maxLength": 200}, 1)
def test_the_plain_grammar_has_the_same_texts(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, TOKENS)
    store = context_free(trial)
    if store is None:
        return
    for text in trial.texts():
        expected = is_accepted(trial.store, text)
        assert is_accepted(store, text) == expected, told(schema, text, f"{expected=}")


@share(4)
@given(schemas(), SEEDS)
@example(OPEN, 1)
def test_the_plain_grammar_has_the_same_masks(schema: dict[str, Any], seed: int) -> None:
    trial = Trial(schema, seed, TOKENS)
    store = context_free(trial)
    if store is None or trial.store is None:
        return
    mine, other = (np.full(bitmask.n_words(TOKENS.size), -1, np.int32) for _ in range(2))
    for text in trial.texts(4):
        one, two = trial.store.matcher(), store.matcher()
        for byte in text.encode():
            one.fill_bitmask(mine)
            two.fill_bitmask(other)
            unlike = bitmask.token_ids(mine ^ other).tolist()
            assert not unlike, told(schema, one.text, f"{[TOKENS.tokens[i] for i in unlike]}")
            accepted = one.accept_bytes(bytes([byte]))
            assert two.accept_bytes(bytes([byte])) == accepted
            if not accepted:
                break


def test_the_plain_grammar_can_be_stored(tmp_path: Path) -> None:
    grammar = Grammar.from_json_schema(CLOSED).as_grammar()
    for _ in range(2):
        store = constrain.compile(grammar, TOKENS, tmp_path)
        assert is_accepted(store, '{"a": {}, "b": "a"}')
        assert not is_accepted(store, '{"b": "a", "a": {}}')
    assert len(list(tmp_path.iterdir())) == 1


def test_a_schema_can_stand_inside_another_grammar() -> None:
    terminals = (Terminal("OPEN", "<call>"), Terminal("CLOSE", "</call>"))
    calls = Production("calls", ("calls", "OPEN", "value", "CLOSE"))
    outer = Grammar(terminals, (calls, Production("calls", ())), "calls", (), "any", "all")
    schema = Grammar.from_json_schema(CLOSED)
    store = constrain.compile(compose(outer, {"value": schema.as_grammar()}), TOKENS)
    assert is_accepted(store, '<call>{"a": {}}</call><call> {"b": null} </call>')
    assert not is_accepted(store, '<call>{"b": 2}</call>')


def test_terminals_of_unlike_automata_have_unlike_fingerprints() -> None:
    one, other = (
        Grammar.from_json_schema({"maxLength": n, "type": "string"}).as_grammar() for n in (3, 4)
    )
    assert one.fingerprint != other.fingerprint
    assert (
        one.fingerprint
        == Grammar.from_json_schema(json.loads('{"maxLength": 3, "type": "string"}'))
        .as_grammar()
        .fingerprint
    )
    plain = Grammar((Terminal("A", NEVER),), one.productions, "text")
    assert plain.fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("schema", "error", "style"),
    [
        ({"type": "object", "minProperties": 2}, SchemaError, {}),
        ({"uniqueItems": True, "items": {"type": "integer"}}, SchemaError, {}),
        ({"required": list("abcdefghijklmn")}, GrammarLimitError, {"order": "any"}),
        ({"type": "array", "maxItems": 1_000_000}, GrammarLimitError, {}),
        ({"items": {"$ref": "#"}}, GrammarLimitError, {"indent": 2}),
    ],
)
def test_what_has_no_small_grammar_is_refused(
    schema: dict[str, Any], error: type[Exception], style: dict[str, Any]
) -> None:
    with pytest.raises(error):
        Grammar.from_json_schema(schema, **style).as_grammar()
