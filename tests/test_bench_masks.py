"""What `bench.masks` counts, in which order it asks, and what it makes of the times."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import constrain
from bench import corpora, records
from bench.caches import forget_grammars, warm_vocabulary
from bench.corpora import MAX_FILE_BYTES, NoCorpusError, corpus
from bench.floor import Fill, or_rows
from bench.masks import heading, tables
from bench.measures import microseconds, ratio, table
from bench.walks import Times, accepted_by_all, measure, probe_all
from constrain import Grammar, Vocabulary, pools
from constrain.compiler import _schema_store
from constrain.masks import rows
from tests.fake_walkers import N_TOKENS, InOrder, Walker, asked

TEXTS = [[0, 1, 2], [0, 1, 2, 3, 4, 5], [7, 8]]


class Floors:
    """Counts how often the floor is sampled."""

    n_samples = 0

    def sample(self) -> None:
        self.n_samples += 1


def test_a_text_that_one_engine_refuses_is_walked_by_none() -> None:
    log: list[tuple[str, str]] = []
    engines = [Walker("a", log), Walker("b", log, refused=8), Walker("c", log, refused=5)]
    common, refused = accepted_by_all(engines, TEXTS)
    assert common == [TEXTS[0]]
    assert refused == {"a": 0, "b": 1, "c": 1}


def test_engines_take_turns_text_by_text() -> None:
    log: list[tuple[str, str]] = []
    engines, floor = [Walker("a", log), Walker("b", log)], Floors()
    times = measure(engines, TEXTS, 2, floor)  # type: ignore[arg-type]
    walked = asked(log[log.index(("b", "compile")) + 2 :], "begin")
    assert walked == ["a", "b", "b", "a", "a", "b"] * 3
    assert [noted for name, noted in log if name == "a"][:4] == [
        *("forget", "compile", "begin", "mask")
    ]
    n = sum(map(len, TEXTS))
    for found in times.values():
        assert len(found.cold) == len(found.advance_cold) == n
        assert len(found.warm) == len(found.advance_warm) == 2 * n
        assert found.compiled_bytes == 5_000_000
        assert found.first_mask_ms > 0
    assert floor.n_samples == 3 * len(TEXTS)


def test_probes_leave_the_engine_where_it_was() -> None:
    log: list[tuple[str, str]] = []
    engines = [Walker("a", log), Walker("b", log)]
    times = {"a": Times(), "b": Times()}
    fill = Fill(N_TOKENS)
    probe_all(engines, TEXTS, 1_000, times, fill)
    for found in times.values():
        for calls in (found.step, found.apply, found.fork, found.forced, found.rollback):
            assert len(calls) == sum(len(text) - 1 for text in TEXTS)
    assert {noted for _, noted in log if noted.startswith("rollback")} == {
        f"rollback {n}" for n in (1, 2, 3, 4)
    }
    assert engines[0].done == TEXTS[-1][:-1]
    assert fill.summary()["in_place"]["n"] == len(times["a"].step)
    few = {"a": Times()}
    probe_all(engines[:1], [list(range(50))], 10, few, fill)
    assert len(few["a"].step) == 10

    broken = InOrder("broken", log)
    with pytest.raises(AssertionError, match="broken is not where it was"):
        probe_all([broken], [[0, 1, 2]], 10, {"broken": Times()}, fill)


def test_the_floor_is_a_union_and_a_fill_forbids_what_the_row_lacks() -> None:
    into, other = np.array([1, 4], np.int32), np.array([2, -1], np.int32)
    or_rows(into, other)
    assert into.tolist() == [3, -1]
    fill = Fill(40)
    fill.sample(np.array([0b101, 1 << 7], np.int32))
    assert fill.logits[0].isfinite().nonzero().flatten().tolist() == [0, 2, 39]
    assert fill.renew().isfinite().all()


def test_times_are_put_beside_the_floor() -> None:
    found = Times(cold=[4_000], warm=[1_000, 3_000], step=[9_000], first_mask_ms=1.234)
    fill = {"in_place": microseconds([36_000]), "into_new": microseconds([18_000])}
    got = found.summary(2.0, fill)
    assert got["warm_us"] == {
        **{"n": 2, "mean": 2.0, "p50": 2.0, "p90": 2.8, "p99": 2.98, "p99.9": 2.998, "max": 3.0}
    }
    assert got["of_floor"] == {
        "cold": {"mean": 2.0, "p50": 2.0, "p99": 2.0},
        "warm": {"mean": 1.0, "p50": 1.0, "p99": 1.49},
    }
    assert got["step_of_fill"] == {"in_place": 0.25, "into_new": 0.5}
    assert got["rollback_us"] == {}
    assert ratio(1.0, 0.0) == 1000.0

    engine = {"build_s": 1.5, "built_mb": 20.0, **got}
    report = {
        "language": "json",
        "tokenizer": "t",
        "tokens_in_vocabulary": 7,
        "machine": {"cpu": "some", "load_before": 0.5},
        "texts": {"from": "somewhere", "walked": 3, "refused": {"one": 0, "two": 4}},
        "masks_per_walk": 9,
        "rounds": 1,
        "store": {"size_mb": 1.0},
        "floor_us": microseconds([2_000]),
        "masked_fill_us": fill,
        "engines": {"one": engine},
    }
    assert "two refuses 4 more" in heading(report)
    assert "one refuses" not in heading(report)
    lines = tables(report).splitlines()
    beside = next(at for at, line in enumerate(lines) if line.startswith("Times the floor"))
    assert lines[beside + 1].split()[1:] == [
        *("2.00", "2.00", "2.00", "1.00", "1.00", "1.49", "0.25", "0.50")
    ]
    assert not any("rollback" in line for line in lines)


def test_a_table_has_a_dash_where_nothing_was_measured() -> None:
    lines = table("Title", {"one": {"n": 1234, "mean": 0.5}, "two": {}}, ("n", "mean", "max"))
    assert [line.split() for line in lines.splitlines()] == [
        ["Title", "n", "mean", "max"],
        ["one", "1,234", "0.50", "-"],
    ]
    assert table("Title", {"two": {}}, ("n",)) == ""


def test_python_files_are_of_the_library_small_and_python() -> None:
    found = corpus("python", 3, seed=5)
    assert len(found.texts) == 3
    for text in found.texts:
        ast.parse(text)
        assert 0 < len(text.encode()) < MAX_FILE_BYTES
    assert found == corpus("python", 3, seed=5) != corpus("python", 3, seed=6)


def test_without_go_there_are_no_texts_of_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.shutil, "which", lambda name: None)
    with pytest.raises(NoCorpusError, match="Go is not installed"):
        corpus("go", 1)


def test_nothing_is_kept_of_a_grammar_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_SMALL", -1)  # so that a vocabulary as small as this has rows
    vocabulary = Vocabulary.from_tokens([*(bytes([byte]) for byte in range(256)), b""], [256])
    schema = {"type": "string", "pattern": "^a+b$"}
    constrain.compile(Grammar.from_json_schema(schema), vocabulary).matcher().mask()
    assert _schema_store.cache_info().currsize
    assert pools._pools
    forget_grammars()
    assert not _schema_store.cache_info().currsize
    assert not pools._pools
    warm_vocabulary(vocabulary)
    assert not _schema_store.cache_info().currsize
    (pool,) = pools._pools.values()
    n_rows = len(pool.rows)
    assert n_rows > 5
    matcher = constrain.compile(Grammar.from_json_schema({}), vocabulary).matcher()
    for byte in b'{"a": [1, "b"]}':
        matcher.mask()
        assert matcher.accept_bytes(bytes([byte]))
    assert len(pool.rows) == n_rows


def test_the_newest_record_of_a_name_is_found(tmp_path: Path) -> None:
    assert records.newest("masks-json", tmp_path) is None
    for date, name in (("2026-01-02", "masks-json"), ("2026-01-01", "masks-json")):
        records.write({"date": date}, name, tmp_path)
    records.write({"date": "2027-01-01"}, "more-masks-json", tmp_path)
    assert records.newest("masks-json", tmp_path) == {"date": "2026-01-02"}
