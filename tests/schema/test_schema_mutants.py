"""The exactness tests notice each of several mistakes in the engine of JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from constrain import compiler, pools
from constrain.schema import grammar as schema_grammar
from tests.mutants import SCHEMA_MUTANTS, Mutant

pytest.importorskip("jsonschema")
pytest.importorskip("regress")

from tests.schema.strategies import schemas
from tests.schema.test_schema_exactness import CONTAINS_OBJECT, check_acceptance
from tests.schema.test_schema_masks import check_masks
from tests.schema.trial import SEEDS

MAX_SCHEMAS = 1_500
UNIQUE = {"type": "array", "uniqueItems": True, "items": {"enum": [1, 2, "a", "b", None]}}


COUNTED: tuple[dict[str, Any], ...] = (
    {"type": "array", **CONTAINS_OBJECT},
    {"type": "array", "minItems": 3},
    {"type": "array", "contains": {"type": "integer"}, "maxContains": 1},
    {"allOf": [{"minItems": 1}, {"type": "array", "minItems": 2}]},
)


def check_many() -> None:
    for seed in range(4):
        for schema in COUNTED:
            check_acceptance(schema, seed)
        check_masks(UNIQUE, seed)

    @settings(
        max_examples=MAX_SCHEMAS,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schemas(), SEEDS)
    def check(schema: dict[str, Any], seed: int) -> None:
        check_acceptance(schema, seed)

    check()


@contextmanager
def nothing_remembered() -> Iterator[None]:
    """What is compiled here is compiled anew, and is forgotten."""
    remembered = (compiler._schema_store, schema_grammar._compiled)
    for memory in remembered:
        memory.cache_clear()
    kept = dict(pools._pools)
    pools._pools.clear()
    try:
        yield
    finally:
        for memory in remembered:
            memory.cache_clear()
        pools._pools.clear()
        pools._pools.update(kept)


@pytest.mark.parametrize("mutant", SCHEMA_MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    with nothing_remembered(), mutant.applied(), pytest.raises(AssertionError) as caught:
        check_many()
    print(f"{mutant.name}: {str(caught.value).splitlines()[0]}")


@pytest.mark.slow
def test_the_engine_itself_passes() -> None:
    with nothing_remembered():
        check_many()
