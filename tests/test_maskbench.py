"""The benchmark of JSON schemas: engines with known faults get the verdicts that they deserve."""

from __future__ import annotations

import argparse
import json
import lzma
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.maskbench import run
from bench.measures import statistics
from bench.schema_cases import Case, Instance, read_cases, sample, spell, spelled
from bench.schema_judge import STATUSES, Outcome
from bench.schema_report import quantiles, ratio_lines, ratios, summary, tables
from bench.schema_results import Result, ResultFile
from bench.schema_worker import Worker, WorkerError
from tests.fake_engines import FakeBench, only_once

VALUE = {"a": [1, "é"]}
OTHER = {"a": [2, "é"]}
LIMIT_S = 0.5
OPTIONS = argparse.Namespace(limit=LIMIT_S, memory=100_000.0, cold=False)
COLD = argparse.Namespace(**{**vars(OPTIONS), "cold": True})


def case(name: str, *instances: Instance, split: str = "one") -> Case:
    """A case whose schema is the list of its valid instances' texts."""
    accepted = [text for one in instances if one.is_valid for text in one.texts.values()]
    return Case(split, name, json.dumps(accepted), instances)


ASKED = case("asked", spelled(VALUE, True), spelled(OTHER, False))
NOT_ASKED = case("not asked", split="two")


def verdicts(path: Path, *names: str, cases: tuple[Case, ...] = (ASKED,)) -> ResultFile:
    results = ResultFile(path)
    run(cases, names, results, partial(FakeBench, *names), OPTIONS)
    results.close()
    return results


def by_engine(results: ResultFile) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for result in results.results.values():
        found.setdefault(result.engine, {})[result.case] = result.outcome.status
    return found


EXPECTED = {
    "exact": "pass",
    "everything": "invalid accepted",
    "compact": "valid rejected",
    "endless": "valid rejected",
    "refusing": "refused",
    "raising": "crash",
    "dying": "crash",
    "slow": "over the limit",
    "stuck": "over the limit",
}


def test_each_fault_gets_its_verdict_and_stops_nobody_else(tmp_path: Path) -> None:
    results = verdicts(tmp_path / "results", *EXPECTED, cases=(ASKED, NOT_ASKED))
    found = by_engine(results)
    assert {name: statuses["asked"] for name, statuses in found.items()} == EXPECTED
    assert {statuses["not asked"] for statuses in found.values()} == {"pass"}
    outcomes = {r.engine: r.outcome for r in results.results.values() if r.case == "asked"}
    assert outcomes["dying"].message == "killed by SIGKILL"
    assert "no answer" in outcomes["stuck"].message
    assert outcomes["raising"].kind == "ValueError"
    assert outcomes["everything"].accepted == {"default": 1, "compact": 1}
    assert outcomes["compact"].rejected == {"default": 1, "indent": 1}
    assert outcomes["endless"].rejected == {"default": 1, "compact": 1, "indent": 1}
    n_tokens = len(spell(VALUE, "default").encode())
    assert len(outcomes["exact"].masks_us) == n_tokens + 1
    assert len(outcomes["compact"].masks_us) == spell(VALUE, "default").index(" ") + 1

    told = summary(
        {name: [r for r in results.results.values() if r.engine == name] for name in EXPECTED}
    )
    for name, status in EXPECTED.items():
        assert told[name]["with_instances"] == {"all": 1, **dict.fromkeys(STATUSES, 0), status: 1}
        assert told[name]["schemas"]["all"] == 2
        assert told[name]["percent"] == (100.0 if name == "exact" else 0.0)
    assert told["refusing"]["refused_keywords"] == {"not": 1}
    assert "refused: ValueError: cannot do … with # letters" in told["refusing"]["messages"]
    assert told["everything"]["cases"] == {"invalid accepted": ["one/asked"]}
    text = tables(told)
    assert all(name in text for name in EXPECTED)


def test_a_child_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    worker = Worker(partial(FakeBench, "greedy"), 30, tmp_path / "log", max_resident_mb=150)
    outcome = worker.run(ASKED, "greedy")
    worker.close()
    assert (outcome.status, outcome.message) == ("crash", "more than 150 MB resident")


def test_what_cannot_be_built_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"building unbuildable: exited with 1; see .*log"):
        Worker(partial(FakeBench, "exact", "unbuildable"), 1, tmp_path / "log")
    assert "no such engine" in (tmp_path / "log").read_text()


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "results"
    cases = (ASKED, NOT_ASKED)
    load = partial(only_once, tmp_path / "mark")
    results = ResultFile(path)
    with pytest.raises(WorkerError, match="building what the engines share"):
        run(cases, ["exact", "dying"], results, load, OPTIONS)
    results.close()
    before = path.read_text("utf-8")
    assert by_engine(results) == {"exact": {"asked": "pass"}, "dying": {"asked": "crash"}}
    path.write_text(before + before[:40], "utf-8")  # cut off while it was written

    after = verdicts(path, "exact", "dying", cases=cases)
    assert path.read_text("utf-8").startswith(before)
    assert by_engine(after)["exact"] == {"asked": "pass", "not asked": "pass"}
    assert Counter(found.start for found in after.results.values()) == {1: 2, 2: 2}
    whole = path.read_text("utf-8")
    verdicts(path, "exact", "dying", cases=cases)
    assert path.read_text("utf-8") == whole


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results"
    path.write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="line 1: no result of this benchmark"):
        ResultFile(path)
    assert path.read_text() == '{"a": 1}\n'


def test_in_the_cold_nothing_is_kept_of_the_schema_before(tmp_path: Path) -> None:
    first = case("first", spelled(OTHER, True))
    for options, expected in ((OPTIONS, "invalid accepted"), (COLD, "pass")):
        path = tmp_path / expected
        results = ResultFile(path, cold=options.cold)
        run(
            (first, ASKED),
            ["exact", "lasting"],
            results,
            partial(FakeBench, "exact", "lasting"),
            options,
        )
        results.close()
        assert by_engine(results)["lasting"] == {"first": "pass", "asked": expected}
        assert [(found.case, found.engine) for found in results.results.values()] == [
            *(("first", "exact"), ("first", "lasting"), ("asked", "exact"), ("asked", "lasting"))
        ]
        with pytest.raises(ValueError, match=r"line 1: a result with.* --cold"):
            ResultFile(path, cold=not options.cold)
        again = ResultFile(path, cold=options.cold)
        again.close()
        assert len(again.results) == 4


def result(engine: str, name: str, masks_us: list[float], **outcome: Any) -> Result:
    found = Outcome(first_mask_ms=1.0, masks_us=masks_us, **outcome)
    return Result("one", name, engine, engine, 0.0, 0.0, 1, 0, 1, found)


def test_ratios_are_of_the_schemas_that_all_take() -> None:
    by_name = {
        "ours": [result("ours", "both", [2.0, 4.0]), result("ours", "one", [1e9])],
        "llguidance": [
            result("llguidance", "both", [6.0, 6.0]),
            result("llguidance", "one", [1.0]),
        ],
        "xgrammar": [
            result("xgrammar", "both", [1.0, 3.0], status="valid rejected", rejected={"indent": 1}),
            result("xgrammar", "one", [1.0], status="valid rejected", rejected={"default": 1}),
        ],
    }
    found = ratios(by_name)
    assert found == {
        "schemas": 1,
        "masks": 2,
        "mean / llguidance's": 0.5,
        "p50 / xgrammar's": 1.5,
        "p99 / the better peer's": round(3.98 / 2.98, 3),
        "p99.9 / the better peer's": round(3.998 / 2.998, 3),
    }
    assert [line.split()[-1] for line in ratio_lines(found).splitlines()[2:]] == [
        *("0.50", "1.50", "1.34", "1.33")
    ]
    assert ratios({**by_name, "outlines-core": []}) == found
    assert ratios({name: by_name[name] for name in ("ours", "xgrammar")}) == {}
    assert ratio_lines({}) == ""
    assert ratios({**by_name, "ours": by_name["ours"][1:]}) == {}


def test_quantiles_end_among_the_slowest() -> None:
    found = quantiles([float(i) for i in range(10_001)])
    assert found[0] == (1, 100.0)
    assert found[-1] == (99.99, 9_999.0)
    assert [share for share, _ in found] == sorted({share for share, _ in found})
    assert quantiles([]) == []


def test_cases_are_read_and_sampled_by_their_splits_share(tmp_path: Path) -> None:
    for split, n in (("a", 60), ("b", 30), ("c", 10)):
        lines = [
            json.dumps(
                {"name": f"{i}", "schema": {"const": i}, "tests": [{"valid": True, "data": i}]}
            )
            for i in range(n)
        ]
        (tmp_path / f"{split}.jsonl.xz").write_bytes(lzma.compress("\n".join(lines).encode()))
    cases = read_cases(tmp_path)
    assert len(cases) == 100
    assert cases[61].schema == '{"const": 1}'
    assert cases[61].instances == (spelled(1, True),)
    chosen = sample(cases, 20, seed=3)
    assert Counter(one.split for one in chosen) == {"a": 12, "b": 6, "c": 2}
    assert len({one.key for one in chosen}) == 20
    assert chosen == sample(cases, 20, seed=3) != sample(cases, 20, seed=4)
    assert sorted(one.key for one in sample(cases, 0, seed=3)) == sorted(c.key for c in cases)


def test_spellings_are_json_and_utf_8() -> None:
    assert spelled(VALUE, True).texts == {
        "default": '{"a": [1, "é"]}',
        "compact": '{"a":[1,"é"]}',
        "indent": '{\n  "a": [\n    1,\n    "é"\n  ]\n}',
    }
    assert set(spelled(VALUE, False).texts) == {"default", "compact"}
    assert spell("é\ud800", "default") == '"\\u00e9\\ud800"'
    with pytest.raises(ValueError, match="not JSON compliant"):
        spell([float("nan")], "default")


def test_statistics_are_those_of_their_names() -> None:
    found = statistics([float(i) for i in range(1001)], ("n", "mean", "p50", "p99.9", "max"))
    assert found == {"n": 1001, "mean": 500.0, "p50": 500.0, "p99.9": 999.0, "max": 1000.0}
    assert statistics([], ("n", "mean")) == {}
