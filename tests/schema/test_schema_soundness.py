"""Whatever is drawn from the masks of a JSON schema is valid by jsonschema, formats included.

Texts are drawn with no model, within a budget of tokens. The schemas are MaskBench's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import constrain
from bench.schema_cases import Case, read_cases
from constrain import Grammar, MaskStore, Vocabulary, bitmask
from constrain.errors import GrammarError
from tests.draws import Draw, by_first_byte, uniform
from tests.timing import within

pytest.importorskip("jsonschema")
pytest.importorskip("regress")

from tests.oracles.schema import Judge, UndecidedError, is_multiple

BUDGET = 150
"""Tokens of a text, the end token included; more where the shortest text needs more."""

N_TEXTS = 5
CHUNKS = 10
LIMIT_S = 120
"""For the texts of one schema."""

BYTES = Vocabulary.from_tokens([bytes([b]) for b in range(256)] + [b""], [256])

Compile = Callable[[str], MaskStore]
RealVocabulary = Callable[[str], Vocabulary]


def draw_text(store: MaskStore, vocabulary: Vocabulary, draw: Draw, seed: int) -> str:
    """A whole text, within the budget."""
    rng = np.random.default_rng(seed)
    matcher = store.matcher()
    row = bitmask.allocate(vocabulary.size)
    for left in range(max(BUDGET, 2 * matcher.tokens_to_finish()), 0, -1):
        matcher.fill_bitmask_within(row, left)
        token_id = draw(bitmask.token_ids(row), rng)
        assert matcher.accept_token(token_id), (matcher.text, token_id)
        if matcher.is_terminated():
            return matcher.text.decode()
    raise AssertionError(f"not whole within the budget: {matcher.text!r}")


def complaints(case: Case, store: MaskStore, vocabulary: Vocabulary, n_texts: int) -> Iterator[str]:
    """What is wrong with each of `n_texts` texts of the schema that is not valid."""
    judge = Judge(case.schema)
    draws = (by_first_byte(vocabulary), uniform)
    for seed in range(n_texts):
        text = draw_text(store, vocabulary, draws[seed % 2], seed)
        try:
            complaint = judge.complaint(text)
        except UndecidedError:
            continue
        if complaint is not None:
            yield f"{case.split}/{case.name}, draw {seed}: {complaint}\n{text!r}"


def check(case: Case, store: MaskStore, vocabulary: Vocabulary, n_texts: int) -> list[str]:
    """The complaints, and what was raised where nothing should be."""
    try:
        with within(LIMIT_S):
            return list(complaints(case, store, vocabulary, n_texts))
    except Exception as error:  # noqa: BLE001 - told with the schema's name, beside all others
        return [f"{case.split}/{case.name}: {type(error).__name__}: {error}"]


def compiled(cases: list[Case], compile_schema: Compile) -> Iterator[tuple[Case, MaskStore]]:
    """The cases that are not refused."""
    for case in cases:
        try:
            store = compile_schema(case.schema)
        except GrammarError:
            continue
        yield case, store


def assert_sound(shared: Path, vocabulary: Vocabulary, n_schemas: int, chunk: int) -> None:
    if not (folder := shared / "maskbench").is_dir():
        pytest.skip(f"{folder} is absent")
    cases = read_cases(folder)
    random.Random(1).shuffle(cases)
    stores = compiled(
        cases[chunk::CHUNKS],
        lambda schema: constrain.compile(Grammar.from_json_schema(schema), vocabulary),
    )
    n_done = 0
    wrong = []
    for case, store in islice(stores, n_schemas):
        n_done += 1
        wrong += check(case, store, vocabulary, N_TEXTS)
    assert not wrong, f"{len(wrong)} complaints:\n\n" + "\n\n".join(wrong[:20])
    assert n_done == n_schemas, "too few schemas compile"


needs_schemas = pytest.mark.skipif(
    not hasattr(Grammar, "from_json_schema"), reason="no grammars from JSON schemas yet"
)


@needs_schemas
@pytest.mark.tokenizers
def test_texts_of_a_few_schemas_are_valid(shared: Path, real_vocabulary: RealVocabulary) -> None:
    assert_sound(shared, real_vocabulary("llama3"), 5, chunk=0)


@needs_schemas
@pytest.mark.slow
@pytest.mark.tokenizers
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_texts_of_a_thousand_schemas_are_valid(
    chunk: int, shared: Path, real_vocabulary: RealVocabulary
) -> None:
    assert_sound(shared, real_vocabulary("llama3"), 1_000 // CHUNKS, chunk)


def test_the_walks_find_a_grammar_that_allows_too_much() -> None:
    store = constrain.compile(Grammar.builtin("json"), BYTES)
    assert check(Case("s", "any", "{}", ()), store, BYTES, 20) == []
    wrong = check(Case("s", "array", '{"type": "array"}', ()), store, BYTES, 20)
    assert wrong
    assert all(found.startswith("s/array, draw ") for found in wrong)
    assert "is not of type 'array' (by type)" in wrong[0]


def test_the_walks_tell_what_is_raised_and_go_on() -> None:
    store = constrain.compile(Grammar.builtin("json"), BYTES)
    (wrong,) = check(Case("s", "away", '{"$ref": "http://example.com/a"}', ()), store, BYTES, 5)
    assert wrong.startswith("s/away: ")
    assert "Unresolvable" in wrong


def is_valid(schema: object, text: str) -> bool:
    return Judge(json.dumps(schema)).complaint(text) is None


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        ({"multipleOf": 0.1}, "0.3", True),
        ({"multipleOf": 0.1}, "0.35", False),
        ({"multipleOf": 0.01}, "1e99999999", True),
        ({"multipleOf": 3}, "1e99999999", False),
        ({"multipleOf": 3}, "-0.0", True),
        ({"type": "integer"}, "1.0", True),
        ({"type": "integer"}, "1e3", True),
        ({"type": "integer"}, "1.5", False),
        ({"type": "integer", "$schema": "http://json-schema.org/draft-04/schema#"}, "1.0", False),
        ({"enum": [1]}, "1.0", True),
        ({"const": 0.1}, "0.10", True),
        ({"maximum": 0.1}, "0.10000000000000000000001", False),
        ({"pattern": r"^\d$"}, '"1"', True),
        ({"pattern": r"^\d$"}, '"٣"', False),
        ({"pattern": "^a$"}, r'"a\n"', False),
        ({"pattern": r"^\S$"}, r'"\ufeff"', False),
        ({"pattern": r"^\_$"}, '"_"', True),
        ({"pattern": r"^\p{Lu}$"}, '"É"', True),
        ({"pattern": "^.$"}, '"😀"', True),
        ({"patternProperties": {r"^\d$": False}}, '{"٣": 1}', True),
        ({"patternProperties": {r"^\d$": {}}, "additionalProperties": False}, '{"٣": 1}', False),
        ({"format": "ipv4"}, '"1.2.3.4"', True),
        ({"format": "ipv4"}, '"1.2.3"', False),
        ({"format": "date-time"}, '"2020-02-30T00:00:00Z"', False),
        ({}, "NaN", False),
        ({}, "[1,]", False),
        (True, "1", True),
        (False, "1", False),
    ],
)
def test_the_oracle_is_exact_where_python_is_not(schema: object, text: str, expected: bool) -> None:
    assert is_valid(schema, text) == expected


def test_the_oracle_does_not_guess() -> None:
    with pytest.raises(UndecidedError):
        is_valid({"multipleOf": 3}, "1e9999999999999999999999")


NUMBERS = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-200, 200),
    st.integers(-5, 5),
)


@given(NUMBERS, NUMBERS.filter(bool))
@example(Decimal("1.5"), Decimal("0.5"))
@example(Decimal("100"), Decimal("1E+1"))
@example(Decimal("0E-5"), Decimal("7"))
def test_multiples_are_those_of_fractions(value: Decimal, divisor: Decimal) -> None:
    assert is_multiple(value, divisor) == ((Fraction(value) / Fraction(divisor)).denominator == 1)
