"""Times as numbers to keep and as tables to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

TIMES = ("n", "mean", "p50", "p90", "p99", "p99.9", "max")
"""The statistics of many calls."""


def statistics(values: Sequence[float], names: Sequence[str] = TIMES) -> dict[str, float]:
    """The statistics of these names; `p99.9` is a percentile. Empty where there are no values."""
    if not len(values):
        return {}
    array = np.asarray(values, np.float64)
    known: dict[str, Callable[[], float]] = {
        "n": lambda: len(array),
        "mean": lambda: float(array.mean()),
        "max": lambda: float(array.max()),
    }
    return {
        name: round(known[name]() if name in known else _percentile(array, name), 3)
        for name in names
    }


def _percentile(array: Any, name: str) -> float:
    return float(np.percentile(array, float(name.removeprefix("p"))))


def microseconds(nanoseconds: Sequence[int]) -> dict[str, float]:
    """The statistics of calls, in µs."""
    return statistics([ns / 1e3 for ns in nanoseconds])


def seconds(action: Callable[[], Any]) -> float:
    """How long `action` takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def ratio(value: float, of: float) -> float:
    """How many times as long; what took no time that the clock could tell counts as 1 ns."""
    return round(value / max(of, 1e-3), 3)


def table(title: str, rows: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> str:
    """A line for each row that has a column at all; `-` stands where it lacks one."""
    lines = [f"{title:40}" + "".join(f"{column:>12}" for column in columns)]
    for name, row in rows.items():
        if any(column in row for column in columns):
            lines.append(f"{name:40}" + "".join(_cell(row, column) for column in columns))
    return "\n".join(lines) if len(lines) > 1 else ""


def cell(value: float, *, is_count: bool = False) -> str:
    """A number in 12 columns; of large ones no fraction."""
    return f"{value:12,.{0 if is_count or value >= 1e4 else 2}f}"


def _cell(row: Mapping[str, float], column: str) -> str:
    if column not in row:
        return f"{'-':>12}"
    return cell(row[column], is_count=column == "n")
