"""Pictures and tables say what the records say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.measures import TIMES
from bench.picture import (
    BEGIN,
    END,
    draw_growth,
    draw_mask_times,
    figures,
    language_table,
    maskbench_record,
    schema_table,
    with_speed,
)

KNOWN_OF_MACHINES = {*("cpu", "cores", "system", "python", "load_before"), *records.PACKAGES}
TIMES_US = {name: float(i + 1) for i, name in enumerate(TIMES)}


def maskbench(n: int, date: str, **more: Any) -> dict[str, Any]:
    engine = {
        "name": "some engine 1.0",
        "mask_us_common": TIMES_US,
        "mask_us_common_quantiles": [(1, 0.5), (50, 20.0), (99.9, 3_000.0)],
    }
    return {
        **{"date": date, "schemas": n, "cold": False, "tokenizer": "t"},
        **{"engines": {"ours": engine}, "ratios": {"masks": 7, "mean / other's": 0.25}},
        **more,
    }


def test_the_record_of_most_schemas_is_drawn(tmp_path: Path) -> None:
    assert maskbench_record(tmp_path) is None
    kept = [
        ("maskbench", maskbench(10, "2026-01-01")),
        ("maskbench-250", maskbench(5, "2026-01-02")),
        ("maskbench-cold", maskbench(99, "2026-01-03", cold=True)),
        ("maskbench", maskbench(99, "2026-01-04", engines={"ours": {"name": "old"}})),
    ]
    for name, record in kept:
        records.write(record, name, tmp_path)
    found = maskbench_record(tmp_path)
    assert found is not None
    assert found["date"] == "2026-01-01"


def test_pictures_are_the_same_for_the_same_record(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    point = {"x": 10, "first": 5.0, "warm": 1.0, "advance": 2.0, "advance_2nd": 1.0}
    growth = {"depth": [point, {**point, "x": 100}], "rules": [{"x": 10, "stopped": "late"}]}
    texts = []
    for turn in ("a", "b"):
        draw_mask_times(maskbench(1, "2026-01-01"), tmp_path / f"masks-{turn}.svg")
        draw_growth(growth, tmp_path / f"growth-{turn}.svg")
        texts.append([(tmp_path / f"{n}-{turn}.svg").read_text() for n in ("masks", "growth")])
    assert texts[0] == texts[1]
    masks, grown = texts[0]
    assert "some engine 1.0" in masks
    assert "brackets nested" in grown
    assert "rules of the grammar" in grown
    assert "tokens of the vocabulary" not in grown


def test_tables_have_the_figures_of_the_record() -> None:
    lines = schema_table(maskbench(1234, "2026-01-01")).splitlines()
    assert "1,234 of MaskBench" in lines[0]
    assert lines[2] == "| | mean | p50 | p90 | p99 | p99.9 | max |"
    assert lines[4] == "| some engine 1.0 | 2 | 3 | 4 | 5 | 6 | 7 |"
    assert lines[-1] == "Ratios, ours over theirs: mean / other's 0.25."
    engine = {
        **dict.fromkeys(("cold_us", "warm_us", "advance_cold_us"), TIMES_US),
        "of_floor": {"warm": {"p50": 1.5}},
        "first_mask_ms": 1234.5,
    }
    told = language_table([{"language": "json", "engines": {"some": engine}}])
    assert told.splitlines()[-1] == "| json, some | 2 | 3 | 5 | 2 | 5 | 1.5 | 2 | 1,234 |"


def test_numbers_have_three_figures() -> None:
    assert [figures(v) for v in (0.01234, 1.0, 45.678, 99.99, 123.4, 12345.6, None)] == [
        *("0.0123", "1", "45.7", "100", "123", "12,346", "-")
    ]


def test_only_what_is_between_the_marks_is_written_anew() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter"
    assert with_speed(text, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"
    assert with_speed(with_speed(text, "x"), "new") == with_speed(text, "new")
    for broken in ("", BEGIN, END + BEGIN, text + BEGIN, text + END):
        with pytest.raises(ValueError, match="has not once"):
            with_speed(broken, "new")


def test_the_readme_and_the_records_are_of_one_form() -> None:
    root = Path(__file__).parents[1]
    with_speed((root / "README.md").read_text("utf-8"), "")
    for path in (root / "bench" / "record").glob("*.json"):
        record = json.loads(path.read_text("utf-8"))
        assert set(record["machine"]) <= KNOWN_OF_MACHINES
        assert not re.search(r"/(home|root|tmp|work|usr)/", json.dumps(record))
