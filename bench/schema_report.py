"""What `bench.maskbench` found, as numbers to keep and as tables to read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.measures import TIMES, cell, ratio, statistics
from bench.schema_judge import (
    CRASH,
    INVALID_ACCEPTED,
    OVER,
    PASS,
    REFUSED,
    STATUSES,
    VALID_REJECTED,
)
from bench.schema_results import Result

OURS = "ours"
COMPARED = (OURS, "llguidance", "xgrammar")
"""Engines whose masks are put into ratios, on the schemas that all of them take."""

REFERENCE = "llguidance"
"""The engine beside whose times all others' are put."""

FIRST_MASK = ("n", "mean", "p50", "p90", "p99", "max")
MAX_NAMES = 200
"""Cases named for each status of an engine in the record."""

SHOWN_MESSAGES = 15
SHOWN_NAMES = 10

ByEngine = Mapping[str, Sequence[Result]]


def summary(by_engine: ByEngine) -> dict[str, Any]:
    """All that is recorded, by engine.

    Args:
        by_engine: the results by the engines' short names; the same cases for each.
    """
    compiled = _common(by_engine, lambda found: found.outcome.first_mask_ms is not None)
    walked = _common(by_engine, _accepts_timed_texts)
    return {
        short: {
            "name": results[-1].name,
            **_verdicts(results),
            "first_mask_ms": statistics(_first_masks(results), FIRST_MASK),
            "first_mask_ms_common": statistics(_first_masks(results, compiled), FIRST_MASK),
            "mask_us": statistics(_masks(results)),
            "mask_us_common": statistics(_masks(results, walked), TIMES),
            "mask_us_common_quantiles": quantiles(_masks(results, walked)),
            "build_s": results[-1].build_s,
            "memory_mb": _memory(results),
            "refused_keywords": _counted(_keywords(results)),
            "messages": _counted(_messages(results)),
            "cases": _named(results),
            "by_split": _by_split(results),
        }
        for short, results in by_engine.items()
        if results
    }


SHARES = (
    *range(1, 100),
    *(99 + i / 10 for i in range(1, 10)),
    *(99.9 + i / 100 for i in range(1, 10)),
)
"""Per cent of masks; the slowest are told apart finely."""


def quantiles(values: Sequence[float]) -> list[tuple[float, float]]:
    """Pairs of a share in per cent and the time within which it is done; for a picture."""
    if not values:
        return []
    found = np.percentile(values, SHARES)
    return [
        (round(share, 2), round(float(value), 2))
        for share, value in zip(SHARES, found, strict=True)
    ]


def ratios(by_engine: ByEngine) -> dict[str, float]:
    """This library's mask times over the peers', where all of `COMPARED` take the same schemas.

    Empty where one of them did not run, or there is no such schema.
    """
    if not set(COMPARED).issubset(by_engine):
        return {}
    compared = {name: by_engine[name] for name in COMPARED}
    walked = _common(compared, _accepts_timed_texts)
    times = {name: statistics(_masks(results, walked)) for name, results in compared.items()}
    if not all(times.values()):
        return {}
    ours, peers = times[OURS], [times[name] for name in COMPARED if name != OURS]
    return {
        "schemas": len(walked),
        "masks": ours["n"],
        "mean / llguidance's": ratio(ours["mean"], times["llguidance"]["mean"]),
        "p50 / xgrammar's": ratio(ours["p50"], times["xgrammar"]["p50"]),
        "p99 / the better peer's": ratio(ours["p99"], min(peer["p99"] for peer in peers)),
        "p99.9 / the better peer's": ratio(ours["p99.9"], min(peer["p99.9"] for peer in peers)),
    }


def ratio_lines(found: Mapping[str, float]) -> str:
    """The ratios in words; nothing where there are none."""
    if not found:
        return ""
    of = f"Masks of the {found['schemas']:,} schemas that {', '.join(COMPARED)} take"
    rest = [f"  {name:28}{value:8.2f}" for name, value in found.items() if "/" in name]
    return "\n".join([f"\n{of}: ours over theirs", *rest])


def _verdicts(results: Sequence[Result]) -> dict[str, Any]:
    asked = [found for found in results if found.has_instances]
    n_pass = sum(found.outcome.status == PASS for found in asked)
    return {
        "schemas": _statuses(results),
        "with_instances": _statuses(asked),
        "percent": round(100 * n_pass / len(asked), 2) if asked else None,
        "accepted_by_spelling": _schemas_by_spelling(found.outcome.accepted for found in results),
        "rejected_by_spelling": _schemas_by_spelling(found.outcome.rejected for found in results),
    }


def _statuses(results: Iterable[Result]) -> dict[str, int]:
    counted = Counter(found.outcome.status for found in results)
    return {"all": counted.total(), **{status: counted[status] for status in STATUSES}}


def _schemas_by_spelling(found: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(Counter(spelling for by_spelling in found for spelling in by_spelling))


def _by_split(results: Sequence[Result]) -> dict[str, Any]:
    splits = sorted({found.split for found in results})
    return {split: _verdicts([f for f in results if f.split == split]) for split in splits}


def _common(by_engine: ByEngine, holds: Callable[[Result], bool]) -> set[tuple[str, str]]:
    """The cases that hold for every engine."""
    sets = [{(f.split, f.case) for f in found if holds(f)} for found in by_engine.values()]
    return set.intersection(*sets) if sets else set()


def _accepts_timed_texts(found: Result) -> bool:
    outcome = found.outcome
    is_walked = outcome.status in {PASS, INVALID_ACCEPTED, VALID_REJECTED}
    return is_walked and "default" not in outcome.rejected


def _first_masks(
    results: Sequence[Result], cases: set[tuple[str, str]] | None = None
) -> list[float]:
    return [
        found.outcome.first_mask_ms
        for found in results
        if found.outcome.first_mask_ms is not None
        and (cases is None or (found.split, found.case) in cases)
    ]


def _masks(results: Sequence[Result], cases: set[tuple[str, str]] | None = None) -> list[float]:
    return [
        us
        for found in results
        if cases is None or (found.split, found.case) in cases
        for us in found.outcome.masks_us
    ]


def _memory(results: Sequence[Result]) -> dict[str, float]:
    """Of the last child: what building and its cases added, and the process at its end."""
    last = max(found.start for found in results)
    of_last = [found for found in results if found.start == last]
    return {
        "built": of_last[-1].built_mb,
        "grown": round(sum(found.outcome.grown_mb for found in of_last), 1),
        "process": of_last[-1].outcome.resident_mb,
        "schemas": len(of_last),
    }


def _keywords(results: Iterable[Result]) -> Iterable[str]:
    for found in results:
        if found.outcome.status == REFUSED and found.outcome.keyword is not None:
            yield found.outcome.keyword


def _messages(results: Iterable[Result]) -> Iterable[str]:
    for found in results:
        if found.outcome.status in {REFUSED, CRASH, OVER}:
            yield f"{found.outcome.status}: {found.outcome.kind}: {pattern_of(found.outcome)}"


def pattern_of(outcome: Any) -> str:
    """The first line of the message with what differs from schema to schema left out."""
    line = outcome.message.strip().split("\n")[0]
    if outcome.pointer:
        line = line.replace(outcome.pointer, "…")
    line = re.sub(r"\"(\\.|[^\"\\])*\"|'[^']*'|`[^`]*`", "…", line)
    return re.sub(r"(?<![\w.])\d+(\.\d+)?", "#", line)[:160]


def _counted(found: Iterable[str]) -> dict[str, int]:
    return dict(Counter(found).most_common())


def _named(results: Sequence[Result]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for result in results:
        status = result.outcome.status
        if status not in {PASS, REFUSED}:
            found.setdefault(status, []).append(f"{result.split}/{result.case}")
    return {status: sorted(names)[:MAX_NAMES] for status, names in found.items()}


def tables(found: Mapping[str, Any]) -> str:
    """The whole summary in words and tables."""
    parts = [
        _verdict_table("All schemas", {e["name"]: e["schemas"] for e in found.values()}),
        _verdict_table("With instances", {e["name"]: e["with_instances"] for e in found.values()}),
        _spelling_lines(found),
        _split_table(found),
        _time_table(found, "first_mask_ms", "Schema's text to first mask, ms", FIRST_MASK),
        _time_table(found, "mask_us", "A mask, µs", TIMES),
        _memory_table(found),
        *(_failures(engine) for engine in found.values()),
    ]
    return "\n\n".join(part for part in parts if part)


def _verdict_table(title: str, rows: Mapping[str, Mapping[str, int]]) -> str:
    lines = [f"{title:32}{'schemas':>9}{'pass %':>9}" + "".join(f"{s:>18}" for s in STATUSES)]
    for name, counted in rows.items():
        percent = _percent(counted[PASS], counted["all"])
        cells = "".join(f"{counted[status]:18,}" for status in STATUSES)
        lines.append(f"{name:32}{counted['all']:9,}{percent:>9}{cells}")
    return "\n".join(lines)


def _percent(n: int, of: int) -> str:
    return f"{100 * n / of:.2f}" if of else "-"


def _spelling_lines(found: Mapping[str, Any]) -> str:
    lines = []
    for engine in found.values():
        for key, what in (("accepted", "an invalid"), ("rejected", "a valid")):
            counted = engine[f"{key}_by_spelling"]
            if counted:
                told = ", ".join(f"{n} {spelling}" for spelling, n in sorted(counted.items()))
                lines.append(f"{engine['name']}: schemas with {what} instance {key}: {told}")
    return "\n".join(lines)


def _split_table(found: Mapping[str, Any]) -> str:
    """By split, with instances: passes and, where there are any, what else came."""
    engines = list(found.values())
    splits = sorted({split for engine in engines for split in engine["by_split"]})
    marks = dict(zip(STATUSES[1:], "rivco", strict=True))
    lines = [
        "By split, schemas with instances: pass %, then how many are "
        + ", ".join(f"{status} ({mark})" for status, mark in marks.items()),
        f"{'':24}{'schemas':>9}" + "".join(f"{engine['name']:>32}" for engine in engines),
    ]
    for split in splits:
        counted = [engine["by_split"][split]["with_instances"] for engine in engines]
        cells = []
        for row in counted:
            others = " ".join(f"{row[s]}{mark}" for s, mark in marks.items() if row[s])
            cells.append(f"{_percent(row[PASS], row['all'])} {others:>20}")
        lines.append(f"{split:24}{counted[0]['all']:9,}" + "".join(f"{c:>32}" for c in cells))
    return "\n".join(lines)


def _time_table(found: Mapping[str, Any], key: str, title: str, names: Sequence[str]) -> str:
    """Each engine's own times; then those of the cases that all engines take, with ratios."""
    lines = [f"{title:40}" + "".join(f"{name:>12}" for name in names)]
    for suffix, of in (("", ""), ("_common", ", common")):
        reference = found.get(REFERENCE, {}).get(key + suffix)
        for short, engine in found.items():
            row = engine[key + suffix]
            if not row:
                continue
            values = "".join(cell(row[n], is_count=n == "n") for n in names)
            lines.append(f"{engine['name'] + of:40}{values}")
            if suffix and reference and short != REFERENCE:
                ratios = [f"x{row[n] / max(reference[n], 1e-9):.2f}" for n in names if n != "n"]
                lines.append(
                    f"{'  of ' + REFERENCE:40}{'':12}" + "".join(f"{r:>12}" for r in ratios)
                )
    return "\n".join(lines)


def _memory_table(found: Mapping[str, Any]) -> str:
    heads = ("build s", "built MB", "grown MB", "process MB", "schemas")
    lines = [f"{'Build and memory of the last process':40}" + "".join(f"{h:>12}" for h in heads)]
    for engine in found.values():
        memory = engine["memory_mb"]
        values = [engine["build_s"], *(memory[k] for k in ("built", "grown", "process"))]
        cells = "".join(f"{value:12,.1f}" for value in values)
        lines.append(f"{engine['name']:40}{cells}{memory['schemas']:12,}")
    return "\n".join(lines)


def _failures(engine: Mapping[str, Any]) -> str:
    lines = []
    if engine["refused_keywords"]:
        told = ", ".join(f"{key} {n}" for key, n in engine["refused_keywords"].items())
        lines.append(f"  refused keywords: {told}")
    messages = engine["messages"]
    lines += [f"  {n:5} {text}" for text, n in list(messages.items())[:SHOWN_MESSAGES]]
    rest = sum(list(messages.values())[SHOWN_MESSAGES:])
    if rest:
        lines.append(f"  {rest:5} of other messages")
    for status, names in engine["cases"].items():
        told = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
        lines.append(f"  {status}: {told}")
    return "\n".join([engine["name"], *lines]) if lines else ""
