"""Mask times for JSON, of this library and its peers in one run: `python -m bench.masks`.

Texts are walked token by token: a mask, then the token. *Cold* is the first walk of all
texts after compiling, *warm* all later ones. Engines take turns text by text, so that a
busy moment of the machine hits all of them. Only texts that all engines accept count.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import constrain
from bench.engines import Constrain, Engine, peers
from bench.texts import json_texts, shared_folder
from constrain import Grammar, MaskStore, Vocabulary

RECORD = Path(__file__).parent / "record"
COLUMNS = ("mean", "p50", "p99")


@dataclass
class Times:
    """Nanoseconds of one engine's calls."""

    cold: list[int] = field(default_factory=list)
    warm: list[int] = field(default_factory=list)
    advance: list[int] = field(default_factory=list)
    first_mask_ms: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Milliseconds to compile and to a first mask; microseconds of the others, by statistic."""
        return {
            "first_mask_ms": round(self.first_mask_ms, 2),
            "cold_us": statistics(self.cold),
            "warm_us": statistics(self.warm),
            "advance_us": statistics(self.advance),
        }


def statistics(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Mean, median and 99th percentile in microseconds."""
    us = np.array(nanoseconds) / 1e3
    values = (us.mean(), np.percentile(us, 50), np.percentile(us, 99))
    return {name: round(float(value), 2) for name, value in zip(COLUMNS, values, strict=True)}


def seconds(action: Callable[[], Any]) -> float:
    """How long `action` takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def walk(engine: Engine, token_ids: list[int], masks: list[int], advances: list[int]) -> bool:
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


def accepted_by_all(
    engines: Sequence[Engine], texts: list[list[int]]
) -> tuple[list[list[int]], dict[str, int]]:
    """The texts that every engine accepts, and how many each refuses.

    Also pays for all code that is compiled late.
    """
    refused: dict[str, int] = {}
    common = list(range(len(texts)))
    for engine in engines:
        engine.compile()
        accepted = {i for i, text in enumerate(texts) if walk(engine, text, [], [])}
        refused[engine.name] = len(texts) - len(accepted)
        common = [i for i in common if i in accepted]
    return [texts[i] for i in common], refused


def measure(engines: Sequence[Engine], texts: list[list[int]], rounds: int) -> dict[str, Times]:
    """Compile anew, walk all texts once cold and `rounds` times warm."""
    times = {engine.name: Times() for engine in engines}
    for engine in engines:
        begin = time.perf_counter()
        engine.compile()
        engine.mask()
        times[engine.name].first_mask_ms = 1e3 * (time.perf_counter() - begin)
    gc.collect()
    gc.disable()
    for turn in range(1 + rounds):
        for text in texts:
            for engine in engines:
                found = times[engine.name]
                walk(engine, text, found.warm if turn else found.cold, found.advance)
    gc.enable()
    return times


def measure_store(vocabulary: Vocabulary, folder: Path) -> dict[str, float]:
    """Compile, write and load the JSON store."""
    grammar = Grammar.builtin("json")
    compile_s = seconds(lambda: constrain.compile(grammar, vocabulary, folder))
    (path,) = folder.iterdir()
    load_s = min(seconds(lambda: MaskStore.load(path, grammar, vocabulary)) for _ in range(3))
    return {
        "compile_and_write_s": round(compile_s, 2),
        "size_mb": round(path.stat().st_size / 1e6, 2),
        "load_ms": round(1e3 * load_s, 1),
    }


def read_tokenizer(name: str) -> tuple[str, Any]:
    """The tokenizer's name and itself: the one asked for, else the embedded model's."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow to import

    from constrain.generation.embedded import FOLDER  # noqa: PLC0415

    folder = shared_folder() / "tokenizers" / name
    if folder.is_dir():
        return name, AutoTokenizer.from_pretrained(folder)
    print(f"{name} is not at hand (name the data's folder by CONSTRAIN_SHARED): ", end="")
    print("measuring with the embedded model's tokenizer")
    return "embedded", AutoTokenizer.from_pretrained(FOLDER)


def read_texts(n: int) -> tuple[str, list[str]]:
    """Where the texts come from, and the texts."""
    folder = shared_folder() / "maskbench"
    if folder.is_dir():
        return "MaskBench instances", json_texts(folder, n)
    print("MaskBench is not at hand: measuring with made-up texts")
    rng = random.Random(0)
    return "made-up values", [
        json.dumps([made_up(rng, 3)], indent=rng.choice([None, 2]), ensure_ascii=False)
        for _ in range(n)
    ]


def made_up(rng: random.Random, depth: int) -> Any:
    """Some value."""
    kind = rng.randrange(6 if depth else 4)
    if kind < 2:
        return " ".join(rng.choices(["name", "é", "value\n", "street", "12"], k=rng.randrange(6)))
    if kind < 4:
        return rng.choice([True, None, rng.randrange(10**6), rng.random()])
    if kind == 4:
        return [made_up(rng, depth - 1) for _ in range(rng.randrange(5))]
    return {f"key{i}": made_up(rng, depth - 1) for i in range(rng.randrange(6))}


def machine() -> dict[str, Any]:
    """What the numbers depend on; no names of hosts or people."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return {
        "cpu": found.group(1).strip() if found else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numba", "numpy", "transformers")},
        "load_before": round(os.getloadavg()[0], 2),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """One line per engine; below each peer, how many times as long as the first engine."""
    kinds = ("cold_us", "warm_us", "advance_us")
    heads = [f"{k.removesuffix('_us')} {c}" for k in kinds for c in COLUMNS]
    lines = [f"{'µs':24}" + "".join(f"{head:>13}" for head in heads) + f"{'1st mask ms':>13}"]
    first = next(iter(results.values()))
    for name, result in results.items():
        values = [result[k][c] for k in kinds for c in COLUMNS] + [result["first_mask_ms"]]
        lines.append(f"{name:24}" + "".join(f"{value:13.2f}" for value in values))
        if result is not first:
            ours = [first[k][c] for k in kinds for c in COLUMNS] + [first["first_mask_ms"]]
            ratios = [f"x{v / o:.2f}" for v, o in zip(values, ours, strict=True)]
            lines.append(f"{'  of the first line':24}" + "".join(f"{r:>13}" for r in ratios))
    return "\n".join(lines)


def record(report: dict[str, Any]) -> Path:
    """Write the report to `bench/record/<date>-<machine>.json`."""
    words = re.sub(r"\W+", "-", str(report["machine"]["cpu"]).lower()).strip("-")
    path = RECORD / f"{report['date']}-{words}-{report['machine']['cores']}.json"
    RECORD.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def run(tokenizer_name: str, n_texts: int, rounds: int) -> dict[str, Any]:
    """Measure everything and return the report."""
    before = machine()
    name, tokenizer = read_tokenizer(tokenizer_name)
    source, texts = read_texts(n_texts)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    encoded = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        constrain.compile(Grammar.builtin("json"), vocabulary)  # pays for the kernels
        store = measure_store(vocabulary, Path(folder))
        engines: list[Engine] = [
            Constrain(vocabulary, Path(folder)),
            Constrain(vocabulary),
            *peers(tokenizer, vocabulary),
        ]
        common, refused = accepted_by_all(engines, encoded)
        if not common:
            raise SystemExit(f"no text is accepted by all engines; refused: {refused}")
        times = measure(engines, common, rounds)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": before,
        "tokenizer": name,
        "tokens_in_vocabulary": vocabulary.size,
        "texts": {"from": source, "walked": len(common), "refused": refused},
        "masks_per_walk": sum(map(len, common)),
        "store": store,
        "engines": {name: found.summary() for name, found in times.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.masks", description=__doc__)
    parser.add_argument("--tokenizer", default="llama3", help="a folder of `tokenizers`")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="warm walks of all texts")
    parser.add_argument("--record", action="store_true", help="keep the report in bench/record")
    options = parser.parse_args()
    report = run(options.tokenizer, options.texts, options.rounds)
    print(f"JSON, {report['tokenizer']}: {report['tokens_in_vocabulary']} tokens")
    print(f"{report['machine']['cpu']}, load before {report['machine']['load_before']}")
    print(
        f"{report['texts']['walked']} {report['texts']['from']}, "
        f"{report['masks_per_walk']} masks a walk"
    )
    for name, n_refused in report["texts"]["refused"].items():
        if n_refused:
            print(f"{name} refuses {n_refused} more")
    print("store: " + ", ".join(f"{k} {v}" for k, v in report["store"].items()) + "\n")
    print(table(report["engines"]))
    if options.record:
        print(f"\nwritten to {record(report).relative_to(RECORD.parents[1])}")


if __name__ == "__main__":
    main()
