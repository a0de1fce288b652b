"""The built-in grammars against their example files and against an independent truth."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrain.errors import GrammarError
from constrain.grammar.builtin import builtin, builtin_folder, builtin_names
from tests.matchers import is_accepted
from tests.reference import Reference
from tests.sentences import texts_of_every_production

FOLDER = Path(__file__).parents[2] / "grammars"
SMALL = ("calc", "json")  # enough for `Reference`, which knows no layout
EXAMPLES = sorted(path for path in FOLDER.glob("*/*valid/*") if path.is_file())


@lru_cache
def reference(name: str) -> Reference:
    return Reference(builtin(name))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: "/".join(p.parts[-3:]))
def test_example_file(path: Path) -> None:
    name, verdict = path.parts[-3:-1]
    assert is_accepted(name, path.read_bytes()) == (verdict == "valid")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: "/".join(p.parts[-3:]))
def test_example_file_by_the_slow_twin(path: Path) -> None:
    name, verdict = path.parts[-3:-1]
    if name in SMALL:
        assert reference(name).accepts(path.read_bytes()) == (verdict == "valid")


@pytest.mark.parametrize("name", builtin_names())
def test_texts_of_every_production_are_accepted(name: str) -> None:
    for text in texts_of_every_production(builtin(name)):
        assert is_accepted(name, text), text


@pytest.mark.parametrize("name", builtin_names())
def test_every_grammar_has_examples_of_both_kinds(name: str) -> None:
    for verdict in ("valid", "invalid"):
        assert len(list((FOLDER / name / verdict).iterdir())) >= 5


def test_readme_lists_every_grammar() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"## {name}" in readme for name in builtin_names())


@pytest.mark.parametrize("name", ["no_such", "../grammars/json", "json.lark", ""])
def test_unknown_name_lists_the_names(name: str) -> None:
    with pytest.raises(GrammarError, match=r"calc, .*json"):
        builtin(name)


def test_folder_is_the_checkouts() -> None:
    assert builtin_folder().samefile(FOLDER)


def is_json(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
JSON_PIECES = [
    *'[]{},:"\\/-+.eE0123789aftbnu \t\n\r', "\u00e9", "\u2028", "\ufeff", "\x00", "\x1f", "\x7f",
    "true", "false", "null", "NaN", "Infinity", '\\"', "\\u12aF", "\\u12a", "\\ud800", '""', "1e5",
    "-0", "0.5", "'", "/*", "//", "\\x41", "\xa0", "\x0b", "\u0661",
]  # fmt: skip
near_json = st.lists(st.sampled_from(JSON_PIECES), max_size=7).map("".join)


@settings(max_examples=300, deadline=None)
@given(near_json)
def test_json_is_what_json_loads_reads(text: str) -> None:
    assert reference("json").accepts(text.encode()) == is_json(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(JSON_PIECES), max_size=5).map(lambda p: '"' + "".join(p) + '"'))
def test_json_strings_are_what_json_loads_reads(text: str) -> None:
    assert reference("json").accepts(text.encode()) == is_json(text)


@settings(max_examples=300, deadline=None)
@given(st.text("-+.eE019 ", max_size=8))
def test_json_numbers_are_what_json_loads_reads(text: str) -> None:
    assert reference("json").accepts(text.encode()) == is_json(text)


@settings(max_examples=150, deadline=None)
@given(json_values, st.booleans(), st.sampled_from([None, 1, "\t"]), st.data())
def test_dumped_json_and_its_mutants(value, ascii_only, indent, data) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert reference("json").accepts(text.encode())
    at = data.draw(st.integers(0, len(text)))
    n_cut = data.draw(st.integers(0, 2))
    mutant = text[:at] + data.draw(st.sampled_from(["", *JSON_PIECES])) + text[at + n_cut :]
    assert reference("json").accepts(mutant.encode()) == is_json(mutant)


def is_calc_expression(text: str) -> bool:
    """A recursive descent over characters, without the grammar."""
    rest = text.replace(" ", "")

    def operand(i: int) -> set[int]:
        if rest[i : i + 1] == "(":
            return {j + 1 for j in expression(i + 1) if rest[j : j + 1] == ")"}
        if rest[i : i + 1] == "x":
            j = i + 1
            while rest[j : j + 1] in ("x", "1"):
                j += 1
            return {j} | call(j)
        j = i
        while rest[j : j + 1] == "1":
            j += 1
        return {j} if j > i else set()

    def call(i: int) -> set[int]:
        if rest[i : i + 1] != "(":
            return set()
        ends, seen = expression(i + 1), set()
        while ends - seen:
            seen |= ends
            ends = {k for j in ends if rest[j : j + 1] == "," for k in expression(j + 1)} | ends
        return {j + 1 for j in ends | {i + 1} if rest[j : j + 1] == ")"}

    def expression(i: int) -> set[int]:
        while rest[i : i + 1] in ("+", "-"):
            i += 1
        ends = operand(i)
        return ends | {
            k for j in ends if rest[j : j + 1] in tuple("+-*/^%") for k in expression(j + 1)
        }

    return len(rest) in expression(0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*"x1+-*^(),", "(1)", "x(", "1+"]), max_size=7).map("".join))
def test_calc_expressions(text: str) -> None:
    assert reference("calc").accepts(text.encode()) == is_calc_expression(text)
