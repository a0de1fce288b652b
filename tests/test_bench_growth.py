"""Growth and start: what is measured is what it says, and where a run ends is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import constrain
from bench import first_mask, growth, start
from bench.growth import (
    COLUMNS,
    JSON_PLACES,
    RULE_PLACES,
    along_rules,
    json_of_length,
    live_matchers,
    point,
    statements,
    tables,
)
from bench.start import ChildError, child, medians
from constrain import Grammar, MaskStore, Vocabulary
from constrain.generation.embedded import load_embedded

BYTES = Vocabulary.from_tokens([*(bytes([byte]) for byte in range(256)), b""], [256])


@pytest.fixture(scope="module")
def store() -> MaskStore:
    return constrain.compile(Grammar.builtin("json"), BYTES)


def test_beginnings_are_about_as_long_as_asked_for_and_go_on_anyhow(store: MaskStore) -> None:
    for length in (100, 1_000, 20_000):
        text = json_of_length(length)
        assert length // 2 <= len(text) <= length + 50
        assert json.loads(text + b"0]")[-1] == 0
        for place in JSON_PLACES:
            assert store.matcher().accept_bytes(text + place)


def test_a_point_has_a_time_for_each_call(store: MaskStore) -> None:
    found = point(store, b"[", JSON_PLACES, 3)
    assert set(found) == set(COLUMNS)
    assert all(us > 0 for us in found.values())
    with pytest.raises(ValueError, match="is refused behind"):
        point(store, b"[]]", JSON_PLACES, 1)


def test_first_is_a_mask_that_was_not_finished(
    store: MaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[bool] = []

    def note(action: object) -> float:
        known.append(store.matcher()._engine.start.mask is not None)
        action()  # type: ignore[operator]
        return 1.0

    monkeypatch.setattr(growth, "_us", note)
    point(store, b"", [b""], 2)
    n_calls = len(known) // 3
    assert known == ([False] + [True] * (n_calls - 1)) * 3


def test_statements_are_as_many_as_asked_for() -> None:
    text = statements(12)
    grammar = Grammar.from_lark(text)
    matcher = constrain.compile(grammar, BYTES).matcher()
    assert matcher.accept_bytes(b"do11 AB, C; do1 X;")
    assert matcher.is_accepting()
    assert not matcher.accept_bytes(b"do12 X;")
    for place in RULE_PLACES:
        assert constrain.compile(grammar, BYTES).matcher().accept_bytes(place)


def test_the_grammar_that_takes_too_long_ends_the_axis() -> None:
    found = list(along_rules(BYTES, 1, 30.0, (3, 10)))
    assert [one["x"] for one in found] == [3, 10]
    assert all(one["first"] > 0 for one in found)
    (last,) = along_rules(BYTES, 1, 0.002, (300, 1_000))
    assert last == {"x": 300, "stopped": "OverLimitError: more than 0.002 s"}
    text = tables({"rules": [*found, last]})
    assert "300 is where it ends: OverLimitError" in text
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["3", "10"]


def test_live_matchers_are_counted_beyond_the_store() -> None:
    _, tokenizer = load_embedded()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    few, many = (live_matchers(tokenizer, vocabulary, n) for n in (40, 80))
    assert (few["matchers"], many["matchers"]) == (40, 80)
    assert few["tokens_read"] < many["tokens_read"]
    for found in (few, many):
        assert 100 < found["bytes_per_matcher"] < 20_000


def test_a_process_is_timed_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bench" / "first_mask.py"
    program.parent.mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    program.write_text(
        "import json, os, sys\n"
        "assert sys.argv[2] != 'bad', 'no such thing'\n"
        "print(json.dumps({'total': 1.0, 'cache': os.environ['NUMBA_CACHE_DIR']}))\n"
    )
    monkeypatch.setattr(start, "ROOT", tmp_path)
    assert child(["good"], tmp_path) == {"total": 1.0, "cache": str(tmp_path)}
    with pytest.raises(ChildError, match=r"(?s)exit code 1: .*no such thing"):
        child(["bad"], tmp_path)
    assert medians([{"a": 1.0}, {"a": 9.0}, {"a": 2.0}]) == {"a": 2.0}


def test_the_child_comes_to_a_mask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["first_mask", "0", str(start.EMBEDDED)])
    first_mask.main()
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(start.PARTS)
    assert found["first mask"] > 0
