"""Mask times for whole languages, of this library and its peers: `python -m bench.masks`.

Texts are walked token by token: a mask, then the token. *Cold* is the first walk of all
texts after compiling, *warm* all later ones of the same texts. Only texts that all engines
accept count. Peers take part where they have a grammar of the language: in JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import constrain
from bench.corpora import DEFAULT_N, Corpus, NoCorpusError, corpus, encode, read_tokenizer
from bench.engines import Engine, builders
from bench.floor import Fill, Floor
from bench.measures import TIMES, ratio, seconds, table
from bench.records import RECORD, machine, resident_mb, today, trim, write
from bench.walks import accepted_by_all, measure, probe_all
from constrain import Grammar, MaskStore, Vocabulary

N_PROBES = 400
TITLES = {
    "cold": "A mask, first walk, µs",
    "warm": "A mask, later walks of the same texts, µs",
    "advance_cold": "advance, first walk, µs",
    "advance_warm": "advance, later walks, µs",
    "rollback": "rollback of 4 tokens, µs",
    "fork": "fork, µs",
    "forced": "forced bytes, µs",
    "apply": "apply to one float32 row, µs",
    "step": "advance + mask + apply, µs",
}


def measure_store(grammar: Grammar, vocabulary: Vocabulary, folder: Path) -> dict[str, float]:
    """Compile, write and load the store."""
    compile_s = seconds(lambda: constrain.compile(grammar, vocabulary, folder))
    (path,) = folder.iterdir()
    load_s = min(seconds(lambda: MaskStore.load(path, grammar, vocabulary)) for _ in range(3))
    return {
        "compile_and_write_s": round(compile_s, 2),
        "size_mb": round(path.stat().st_size / 1e6, 2),
        "load_ms": round(1e3 * load_s, 1),
    }


def build(built: Mapping[str, Callable[[], Engine]]) -> tuple[list[Engine], dict[str, Any]]:
    """The engines, and what it took to build the tables of tokens of each, by name."""
    engines, costs = [], {}
    for make in built.values():
        trim()
        before = resident_mb()
        build_s = seconds(lambda make=make: engines.append(make()))  # type: ignore[misc]
        costs[engines[-1].name] = {
            "build_s": round(build_s, 3),
            "built_mb": round(resident_mb() - before, 1),
        }
    return engines, costs


def run(tokenizer_name: str, found: Corpus, rounds: int, n_probes: int) -> dict[str, Any]:
    """Measure everything and return the report.

    Raises:
        SystemExit: the engines agree on no text.
    """
    before = machine()
    torch.set_num_threads(1)
    name, tokenizer = read_tokenizer(tokenizer_name)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    grammar = Grammar.builtin(found.language)
    encoded = [encode(tokenizer, text) for text in found.texts]
    floor, fill = Floor(-(-vocabulary.size // 32)), Fill(vocabulary.size)
    with tempfile.TemporaryDirectory() as folder:
        pay_for_kernels(vocabulary)
        store = measure_store(grammar, vocabulary, Path(folder))
        engines, costs = build(builders(found.language, tokenizer, vocabulary, Path(folder)))
        common, refused = accepted_by_all(engines, encoded)
        if not common:
            raise SystemExit(f"error: no text is accepted by all engines; refused: {refused}")
        times = measure(engines, common, rounds, floor)
        probe_all(engines, common, n_probes, times, fill)
    floor_us, fill_us = floor.summary(), fill.summary()
    return {
        "date": today(),
        "machine": before,
        "language": found.language,
        "tokenizer": name,
        "tokens_in_vocabulary": vocabulary.size,
        "texts": {"from": found.source, "walked": len(common), "refused": refused},
        "masks_per_walk": sum(map(len, common)),
        "rounds": rounds,
        "store": store,
        "floor_us": floor_us,
        "masked_fill_us": fill_us,
        "engines": {
            engine: {**costs[engine], **got.summary(floor_us["p50"], fill_us)}
            for engine, got in times.items()
        },
    }


def pay_for_kernels(vocabulary: Vocabulary) -> None:
    """Have the code compiled that is compiled late."""
    matcher = constrain.compile(Grammar.builtin("json"), vocabulary).matcher()
    matcher.mask()
    matcher.accept_bytes(b"[")
    matcher.mask()


def tables(report: Mapping[str, Any]) -> str:
    """The report in words and tables."""
    engines: Mapping[str, Any] = report["engines"]
    parts = [
        *(
            table(title, {n: e[f"{key}_us"] for n, e in engines.items()}, TIMES)
            for key, title in TITLES.items()
        ),
        table(
            "Floor: a row ORed into another, µs",
            {"one call of compiled code": report["floor_us"]},
            TIMES,
        ),
        table(
            "torch's masked_fill alone, µs",
            {name.replace("_", " "): found for name, found in report["masked_fill_us"].items()},
            TIMES,
        ),
        _ratio_table(engines),
        _cost_table(engines),
    ]
    return "\n\n".join(part for part in parts if part)


def _ratio_table(engines: Mapping[str, Any]) -> str:
    rows = {
        name: {
            **{
                f"{turn} {key}": value
                for turn, found in engine["of_floor"].items()
                for key, value in found.items()
            },
            **{
                f"fill {key.split('_')[-1]}": value for key, value in engine["step_of_fill"].items()
            },
        }
        for name, engine in engines.items()
    }
    columns = [f"{turn} {key}" for turn in ("cold", "warm") for key in ("mean", "p50", "p99")]
    title = "Times the floor; step, times a fill"
    return table(title, rows, [*columns, "fill place", "fill new"])


def _cost_table(engines: Mapping[str, Any]) -> str:
    heads = {
        "build_s": "build s",
        "built_mb": "built MB",
        "first_mask_ms": "1st mask ms",
        "grown_mb": "grown MB",
    }
    rows: dict[str, dict[str, float]] = {}
    for name, engine in engines.items():
        rows[name] = {head: engine[key] for key, head in heads.items()}
        if engine["compiled_bytes"] is not None:
            rows[name]["grammar MB"] = ratio(engine["compiled_bytes"], 1e6)
    return table("Build, compile, memory", rows, [*heads.values(), "grammar MB"])


def heading(report: Mapping[str, Any]) -> str:
    """What the tables are of."""
    cpu, load = report["machine"]["cpu"], report["machine"]["load_before"]
    refusals = [f"{name} refuses {n} more" for name, n in report["texts"]["refused"].items() if n]
    lines = [
        f"{report['language']}, {report['tokenizer']}: {report['tokens_in_vocabulary']} tokens",
        f"{cpu}, load before {load}",
        f"{report['texts']['walked']} {report['texts']['from']}, "
        f"{report['masks_per_walk']} masks a walk, {report['rounds']} warm walks",
        *refusals,
        "store: " + ", ".join(f"{key} {value}" for key, value in report["store"].items()),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.masks", description=__doc__)
    parser.add_argument("--language", choices=tuple(DEFAULT_N), default="json")
    parser.add_argument("--tokenizer", default="llama3", help="a folder of `tokenizers`")
    parser.add_argument("--n", type=int, help="texts; default: " + json.dumps(DEFAULT_N))
    parser.add_argument("--seed", type=int, default=0, help="which files")
    parser.add_argument("--rounds", type=int, default=3, help="warm walks of all texts")
    parser.add_argument("--probes", type=int, default=N_PROBES, help="of calls that are no masks")
    parser.add_argument("--record", action="store_true", help="keep the report in bench/record")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        found = corpus(options.language, options.n or DEFAULT_N[options.language], options.seed)
    except NoCorpusError as error:
        print(f"skipped: {error}")
        return
    report = run(options.tokenizer, found, options.rounds, options.probes)
    print(f"{heading(report)}\n\n{tables(report)}")
    if options.record:
        path = write(report, f"masks-{report['language']}")
        print(f"\nwritten to {path.relative_to(RECORD.parents[1])}")


if __name__ == "__main__":
    main()
