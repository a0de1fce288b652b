"""How this library's times grow with what is asked of it: `python -m bench.growth`.

Along one axis at a time, from small to large: how deep brackets are nested, how long the text
is, how large the vocabulary, how many rules the grammar has; and what a live matcher takes.

At each point a matcher reads a text up to some places. *First*: a mask there when no mask was
finished before and no question to the parser answered; the rows of the lexer's states are there,
as in a store on disk. *Warm*: the same mask again; of `advance` and `advance_2nd` likewise. Each
number is the median of several.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import constrain
from bench.corpora import corpus, encode, read_tokenizer
from bench.measures import table
from bench.records import RECORD, machine, resident_mb, today, trim, write
from bench.schema_judge import OverLimitError, alarm
from bench.texts import shared_folder
from bench.walks import no_collections
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask
from constrain.errors import ConstrainError

DEPTHS = (1, 10, 100, 1_000, 10_000)
LENGTHS = (100, 1_000, 10_000, 100_000, 1_000_000)
RULES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
JSON_PLACES = (b"", b'"a', b'{"k": ')
"""Where a mask is asked for, behind the beginning that the axis gives."""

RULE_PLACES = (b"", b"do1 ", b"do1 AB, C")
N_MATCHERS = 1_000
TOKENS_READ = 64
AXES = ("depth", "length", "vocabulary", "rules", "matchers")
COLUMNS = ("first", "warm", "advance", "advance_2nd", "rollback", "fork")


def _us(action: Callable[[], Any]) -> float:
    begin = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - begin) / 1e3


def point(
    store: MaskStore, beginning: bytes, places: Sequence[bytes], repeats: int
) -> dict[str, float]:
    """The medians of a mask and of the other calls, in µs, behind a beginning.

    Args:
        store: compiled.
        beginning: a text that has valid continuations, those of `places` among them.
        places: texts that lead on to where masks are asked for.
        repeats: how often all is done.

    Raises:
        ValueError: the store's grammar has no such text.
    """
    row = bitmask.allocate(store.vocabulary.size)
    times: dict[str, list[float]] = {name: [] for name in COLUMNS}
    _visit(store, beginning, places, row, {name: [] for name in COLUMNS})  # makes lexer rows
    with no_collections():
        for _ in range(repeats):
            _visit(store, beginning, places, row, times)
    return {name: round(float(np.median(found)), 3) for name, found in times.items()}


def _visit(
    store: MaskStore,
    beginning: bytes,
    places: Sequence[bytes],
    row: NDArray[np.int32],
    times: dict[str, list[float]],
) -> None:
    store.forget()
    base = store.matcher()
    _read(base, beginning)
    for place in places:
        matcher = base.fork()
        for byte in place:
            _read(matcher, bytes([byte]))
        for name in ("first", "warm"):
            times[name].append(_us(lambda m=matcher: m.fill_bitmask(row)))  # type: ignore[misc]
        times["fork"].append(_us(matcher.fork))
        token = _some_token(matcher)
        for name in ("advance", "advance_2nd"):
            times[name].append(_us(lambda m=matcher, t=token: m.accept_token(t)))  # type: ignore[misc]
            rollback_us = _us(lambda m=matcher: m.rollback(1))  # type: ignore[misc]
        times["rollback"].append(rollback_us)


def _read(matcher: Matcher, text: bytes) -> None:
    if not matcher.accept_bytes(text):
        raise ValueError(f"{text[:40]!r} is refused behind {matcher.text[-40:]!r}")


def _some_token(matcher: Matcher) -> int:
    """The allowed token that is in the middle of the mask."""
    allowed = bitmask.token_ids(matcher.mask())
    return int(allowed[len(allowed) // 2])


def json_of_length(n_bytes: int) -> bytes:
    """The beginning of an array, up to the comma behind an item; about so many bytes."""
    items = [f'{{"id": {i}, "name": "some words", "tags": [true, 2.5]}}, ' for i in range(10)]
    block = "".join(items).encode()
    text = b"[" + block * (n_bytes // len(block) + 1)
    return text[: text.index(b"}, ", max(0, n_bytes - len(items[0]))) + 3]


def statements(n_rules: int) -> str:
    """A grammar of that many statements, each by a rule and a keyword of its own."""
    names = [f"s{i}" for i in range(n_rules)]
    rules = [f'{name}: "do{i}" NAME ("," NAME)* ";"' for i, name in enumerate(names)]
    choice = "\n    | ".join(names)
    head = f'start: statement*\nNAME: /[A-Z]+/\n%ignore " "\nstatement: {choice}\n'
    return head + "\n".join(rules) + "\n"


def along_depth(vocabulary: Vocabulary, repeats: int) -> Iterator[dict[str, Any]]:
    store = constrain.compile(Grammar.builtin("json"), vocabulary)
    for depth in DEPTHS:
        yield {"x": depth, **point(store, b"[" * depth, JSON_PLACES, repeats)}


def along_length(vocabulary: Vocabulary, repeats: int) -> Iterator[dict[str, Any]]:
    store = constrain.compile(Grammar.builtin("json"), vocabulary)
    for length in LENGTHS:
        text = json_of_length(length)
        yield {"x": len(text), **point(store, text, JSON_PLACES, repeats)}


def along_vocabulary(repeats: int) -> Iterator[dict[str, Any]]:
    """All tokenizers that are at hand, the small ones first."""
    folder = shared_folder() / "tokenizers"
    names = sorted(path.name for path in folder.glob("*/")) if folder.is_dir() else [""]
    read = [(name, Vocabulary.from_tokenizer(read_tokenizer(name)[1])) for name in names]
    for name, vocabulary in sorted(read, key=lambda pair: pair[1].size):
        begin = time.perf_counter()
        store = constrain.compile(Grammar.builtin("json"), vocabulary)
        store.matcher().mask()  # for which the trie of the vocabulary is made
        compile_s = round(time.perf_counter() - begin, 3)
        found = point(store, b"[", JSON_PLACES, repeats)
        yield {"x": vocabulary.size, "name": name, "compile_s": compile_s, **found}


def along_rules(
    vocabulary: Vocabulary, repeats: int, limit_s: float, sizes: Sequence[int] = RULES
) -> Iterator[dict[str, Any]]:
    """Grammars of more and more rules, until one does not compile in time or is refused."""
    for n_rules in sizes:
        begin = time.perf_counter()
        try:
            with alarm(limit_s):
                store = constrain.compile(Grammar.from_lark(statements(n_rules)), vocabulary)
        except (OverLimitError, ConstrainError) as error:
            yield {"x": n_rules, "stopped": f"{type(error).__name__}: {error}"[:300]}
            return
        compile_s = round(time.perf_counter() - begin, 3)
        yield {"x": n_rules, "compile_s": compile_s, **point(store, b"", RULE_PLACES, repeats)}


def live_matchers(tokenizer: Any, vocabulary: Vocabulary, n: int = N_MATCHERS) -> dict[str, float]:
    """What `n` matchers take that each read a text of its own, beyond what the store holds.

    The store has seen all the texts before, so what it keeps for all is not counted.
    """
    store = constrain.compile(Grammar.builtin("json"), vocabulary)
    encoded = [encode(tokenizer, text)[:TOKENS_READ] for text in corpus("json", 200).texts]
    texts = [text for text in encoded if _reads(store.matcher(), text)]
    trim()
    resident = resident_mb()
    tracemalloc.start()
    matchers = [store.matcher() for _ in range(n)]
    for index, matcher in enumerate(matchers):
        _reads(matcher, texts[index % len(texts)])
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    n_tokens = sum(len(texts[index % len(texts)]) for index in range(n))
    return {
        "matchers": n,
        "tokens_read": n_tokens,
        "bytes_per_matcher": round(traced / n),
        "bytes_per_token": round(traced / n_tokens, 1),
        "resident_mb": round(resident_mb() - resident, 1),
    }


def _reads(matcher: Matcher, token_ids: Sequence[int]) -> bool:
    for token_id in token_ids:
        matcher.mask()
        if not matcher.accept_token(token_id):
            return False
    matcher.mask()
    return True


def run(axes: Sequence[str], tokenizer_name: str, repeats: int, limit_s: float) -> dict[str, Any]:
    """Measure along the axes and return the report."""
    before = machine()
    name, tokenizer = read_tokenizer(tokenizer_name)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    known: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "depth": lambda: along_depth(vocabulary, repeats),
        "length": lambda: along_length(vocabulary, repeats),
        "vocabulary": lambda: along_vocabulary(repeats),
        "rules": lambda: along_rules(vocabulary, repeats, limit_s),
    }
    found: dict[str, Any] = {axis: _told(axis, known[axis]()) for axis in axes if axis in known}
    if "matchers" in axes:
        found["matchers"] = live_matchers(tokenizer, vocabulary)
    return {
        "date": today(),
        "machine": before,
        "tokenizer": name,
        "tokens_in_vocabulary": vocabulary.size,
        "repeats": repeats,
        "limit_s": limit_s,
        **found,
    }


def _told(axis: str, points: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for one in points:
        print(f"{axis} {one['x']:,} …", file=sys.stderr)
        found.append(one)
    return found


def tables(report: dict[str, Any]) -> str:
    """The report in tables, a line for each point."""
    parts = []
    for axis in AXES[:-1]:
        points = report.get(axis, [])
        rows = {f"{one['x']:,} {one.get('name', '')}".strip(): one for one in points}
        parts.append(table(f"{axis}; µs, compile in s", rows, (*COLUMNS, "compile_s")))
        parts += [
            f"{one['x']:,} is where it ends: {one['stopped']}" for one in points if "stopped" in one
        ]
    if "matchers" in report:
        told = ", ".join(f"{key} {value:,}" for key, value in report["matchers"].items())
        parts.append(f"live matchers: {told}")
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--axes", default=",".join(AXES), help="comma separated; default: all")
    parser.add_argument("--tokenizer", default="llama3", help="a folder of `tokenizers`")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--limit", type=float, default=60, help="seconds to compile a grammar")
    parser.add_argument("--record", action="store_true", help="keep the report in bench/record")
    options = parser.parse_args()
    axes = options.axes.split(",")
    if not set(axes).issubset(AXES):
        raise SystemExit(f"error: --axes are of {', '.join(AXES)}")
    report = run(axes, options.tokenizer, options.repeats, options.limit)
    print(tables(report))
    if options.record:
        print(f"\nwritten to {write(report, 'growth').relative_to(RECORD.parents[1])}")


if __name__ == "__main__":
    main()
