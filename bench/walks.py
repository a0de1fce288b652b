"""Walks engines through texts, token by token, with a clock.

Engines take turns text by text, so that a busy moment of the machine hits all of them, and another
one begins with each text, so that what stood before in the caches slows all of them. The collector
of garbage is off while the clock runs.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.engines import Engine
from bench.floor import Fill, Floor
from bench.measures import microseconds, ratio, seconds
from bench.records import resident_mb, trim

MAX_ROLLBACK = 4
WARM_UP_TOKENS = 2_500
CALLS = ("cold", "warm", "advance_cold", "advance_warm", "rollback", "fork", "forced")


@dataclass
class Times:
    """Nanoseconds of one engine's calls, and what it took besides.

    Attributes:
        cold, warm: masks of the first walk and of all later ones; `advance` likewise.
        rollback: of up to `MAX_ROLLBACK` tokens.
        apply: a row to the logits; `step`: advance, mask and apply together.
        grown_mb: resident memory that compiling and walking added.
    """

    cold: list[int] = field(default_factory=list)
    warm: list[int] = field(default_factory=list)
    advance_cold: list[int] = field(default_factory=list)
    advance_warm: list[int] = field(default_factory=list)
    rollback: list[int] = field(default_factory=list)
    fork: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    apply: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    first_mask_ms: float = 0.0
    grown_mb: float = 0.0
    compiled_bytes: int | None = None

    def summary(self, floor_us: float, fill: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """Statistics in µs, and how many times the floor they are.

        Args:
            floor_us: the median of `Floor`.
            fill: the summary of `Fill`.
        """
        us = {name: microseconds(getattr(self, name)) for name in (*CALLS, "apply", "step")}
        return {
            "first_mask_ms": round(self.first_mask_ms, 2),
            "grown_mb": round(self.grown_mb, 1),
            "compiled_bytes": self.compiled_bytes,
            **{f"{name}_us": found for name, found in us.items()},
            "of_floor": {
                name: {key: ratio(us[name][key], floor_us) for key in ("mean", "p50", "p99")}
                for name in ("cold", "warm")
                if us[name]
            },
            "step_of_fill": {
                name: ratio(us["step"]["p50"], found["p50"])
                for name, found in fill.items()
                if us["step"] and found
            },
        }


def walk(engine: Engine, token_ids: Sequence[int], masks: list[int], advances: list[int]) -> bool:
    """One text; whether the engine accepts it."""
    clock = time.perf_counter_ns
    engine.begin()
    for token_id in token_ids:
        begin = clock()
        engine.mask()
        between = clock()
        accepted = engine.advance(token_id)
        end = clock()
        if not accepted:
            return False
        masks.append(between - begin)
        advances.append(end - between)
    return True


def accepts(engine: Engine, token_ids: Sequence[int]) -> bool:
    """Whether the engine takes every token; no mask is asked for."""
    engine.begin()
    return all(engine.advance(token_id) for token_id in token_ids)


def accepted_by_all(
    engines: Sequence[Engine], texts: Sequence[Sequence[int]]
) -> tuple[list[Sequence[int]], dict[str, int]]:
    """The texts that every engine accepts, and how many each refuses.

    Some texts are walked with masks, which pays for all code that is compiled late.
    """
    refused: dict[str, int] = {}
    common = list(range(len(texts)))
    for engine in engines:
        engine.compile()
        for text in _short_ones(texts):
            walk(engine, text, [], [])
        accepted = {i for i, text in enumerate(texts) if accepts(engine, text)}
        refused[engine.name] = len(texts) - len(accepted)
        common = [i for i in common if i in accepted]
    return [texts[i] for i in common], refused


def _short_ones(texts: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """The shortest texts, as many as have `WARM_UP_TOKENS` together."""
    n_tokens = 0
    for text in sorted(texts, key=len):
        if n_tokens < WARM_UP_TOKENS:
            yield text
        n_tokens += len(text)


def measure(
    engines: Sequence[Engine], texts: Sequence[Sequence[int]], rounds: int, floor: Floor
) -> dict[str, Times]:
    """Compile anew, walk all texts once cold and `rounds` times warm; by the engines' names."""
    times = {engine.name: Times() for engine in engines}
    for engine in engines:
        found = times[engine.name]
        engine.forget()
        trim()
        with _grown(found):
            found.first_mask_ms = 1e3 * seconds(lambda e=engine: (e.compile(), e.mask()))  # type: ignore[misc]
        found.compiled_bytes = engine.compiled_bytes()
    with no_collections():
        for turn in range(1 + rounds):
            for index, text in enumerate(texts):
                for engine in in_turn(engines, index):
                    found = times[engine.name]
                    masks, advances = (
                        (found.warm, found.advance_warm)
                        if turn
                        else (found.cold, found.advance_cold)
                    )
                    with _grown(found):
                        walk(engine, text, masks, advances)
                floor.sample()
    return times


def in_turn(engines: Sequence[Engine], index: int) -> list[Engine]:
    """All engines, another one first for each index."""
    first = index % len(engines)
    return [*engines[first:], *engines[:first]]


@contextmanager
def _grown(found: Times) -> Iterator[None]:
    before = resident_mb()
    yield
    found.grown_mb += resident_mb() - before


@contextmanager
def no_collections() -> Iterator[None]:
    """Collects garbage, and then none until the end."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def probe(engine: Engine, token_ids: Sequence[int], every: int, found: Times, fill: Fill) -> None:
    """Along a text, at every so many tokens: the other calls, and a whole step to the logits.

    Masks are of those that `measure` asked for, so that they are met again.

    Args:
        engine: one that accepts the text.
        token_ids: the text.
        every: tokens from one probe to the next.
        found: where times go.
        fill: has the logits.
    """
    clock = time.perf_counter_ns
    engine.begin()
    for index, token_id in enumerate(token_ids[:-1]):
        if index % every:
            engine.advance(token_id)
            continue
        logits = fill.renew()
        begin = clock()
        engine.advance(token_id)
        engine.mask()
        engine.apply(logits)
        found.step.append(clock() - begin)
        logits = fill.renew()
        begin = clock()
        engine.apply(logits)
        found.apply.append(clock() - begin)
        begin = clock()
        engine.fork()
        found.fork.append(clock() - begin)
        begin = clock()
        engine.forced()
        found.forced.append(clock() - begin)
        _roll_back(engine, token_ids[max(0, index + 1 - MAX_ROLLBACK) : index + 1], found.rollback)


def probe_fill(engine: Engine, token_ids: Sequence[int], every: int, fill: Fill) -> None:
    """The fill to compare with, of the engine's masks at the same places.

    In a walk of its own: what it puts into the caches must not slow one engine down.
    """
    engine.begin()
    for index, token_id in enumerate(token_ids[:-1]):
        engine.advance(token_id)
        if index % every == 0:
            engine.mask()
            fill.sample(engine.row)


def _roll_back(engine: Engine, last: Sequence[int], times: list[int]) -> None:
    begin = time.perf_counter_ns()
    engine.rollback(len(last))
    times.append(time.perf_counter_ns() - begin)
    if not all(engine.advance(token_id) for token_id in last):
        raise AssertionError(
            f"{engine.name} is not where it was before the last {len(last)} tokens"
        )


def probe_all(
    engines: Sequence[Engine],
    texts: Sequence[Sequence[int]],
    n_probes: int,
    times: Mapping[str, Times],
    fill: Fill,
) -> None:
    """About `n_probes` probes of each engine, evenly along the texts."""
    every = max(1, sum(map(len, texts)) // n_probes)
    for engine in engines:  # pays for what is compiled late
        engine.begin()
        engine.mask()
        for _ in range(3):
            engine.apply(fill.renew())
    with no_collections():
        for index, text in enumerate(texts):
            for engine in in_turn(engines, index):
                probe(engine, text, every, times[engine.name], fill)
            probe_fill(engines[0], text, every, fill)
