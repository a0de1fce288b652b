"""Syntax errors with and without a grammar: `python -m bench.errors`.

The embedded model goes on behind whole statements of Python files that it was not trained
on. What it writes is given to `ast.parse`. Both ways sample with the same seeds, from the
whole distribution, within the same number of tokens.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import constrain
from bench.records import RECORD, machine, today
from bench.records import write as write_record
from constrain import Grammar, MaskStore, Vocabulary
from constrain.generation.embedded import load_embedded
from examples.train_texts import load_corpus

PICTURE = Path(__file__).parents[1] / "docs" / "python-errors.svg"
MAX_PROMPT = 600  # characters
Z = 1.96  # of a 95 % interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=300, help="samples of each kind")
    parser.add_argument("--tokens", type=int, default=120, help="in a sample, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="keep the result in bench/record")
    parser.add_argument(
        "--picture", action="store_true", help="measure nothing; draw the newest record in docs"
    )
    options = parser.parse_args()
    if options.picture:
        newest = max(RECORD.glob("*-python-errors.json"))
        PICTURE.write_text(picture(json.loads(newest.read_text(encoding="utf-8"))), "utf-8")
        return
    model, tokenizer = load_embedded()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    store = constrain.compile(Grammar.builtin("python"), vocabulary)
    prompts = python_prompts(options.n, random.Random(options.seed))
    writers: dict[str, Callable[[str], str]] = {
        "without": lambda prompt: write_freely(model, tokenizer, prompt, options.tokens),
        "with": lambda prompt: write_python(model, tokenizer, prompt, store, options.tokens),
    }
    n_errors = dict.fromkeys(writers, 0)
    for seed, prompt in enumerate(tqdm(prompts, unit="prompt", smoothing=0)):
        for name, write in writers.items():
            torch.manual_seed(seed)
            n_errors[name] += not is_python(write(prompt))
    result = {name: share(n, len(prompts)) for name, n in n_errors.items()}
    for name, (per_100, low, high) in result.items():
        print(
            f"{name:8} {per_100:6.1f} errors per 100 samples, 95 % interval {low:.1f} to {high:.1f}"
        )
    if options.record:
        settings = {"n": len(prompts), "tokens": options.tokens, "seed": options.seed}
        record = {"date": today(), "machine": machine(), **settings, "errors_per_100": result}
        path = write_record(record, "python-errors")
        print(f"written to {path.relative_to(Path(__file__).parents[1])}")


def python_prompts(n: int, rng: random.Random) -> list[str]:
    """Whole functions and classes of files that the model was not trained on."""
    found = []
    for path in load_corpus(held_out=True).files:
        source = path.read_text("utf-8")
        for node in ast.parse(source).body:
            text = ast.get_source_segment(source, node) or ""
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and len(text) <= MAX_PROMPT:
                found.append(f"{text}\n\n\n")
    return rng.choices(found, k=n) if len(found) < n else rng.sample(found, n)


def write_freely(model: Any, tokenizer: Any, prompt: str, n_tokens: int) -> str:
    """What the model writes with no grammar, up to its end token or the last token."""
    inputs = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=n_tokens)
    added = output[0, inputs["input_ids"].shape[1] :]
    text: str = tokenizer.decode(added, skip_special_tokens=True)
    return text


def write_python(model: Any, tokenizer: Any, prompt: str, store: MaskStore, n_tokens: int) -> str:
    """The same under the grammar."""
    return constrain.generate(
        model, tokenizer, prompt, store, max_new_tokens=n_tokens, do_sample=True, top_k=0
    )


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def picture(record: dict[str, Any]) -> str:
    """The record as a bar chart, in SVG: a bar for each way to write, a line for its interval."""
    left, width, bar = 110, 400, 26
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 130" font-family="sans-serif" '
        'font-size="14">',
        '<rect width="620" height="130" fill="#fff"/>',
        f'<text x="{left}" y="20">Syntax errors per 100 samples, {record["n"]} of each kind</text>',
    ]
    for index, (name, (per_100, low, high)) in enumerate(record["errors_per_100"].items()):
        y = 36 + index * 42
        x, low_x, high_x = (left + width * value / 100 for value in (per_100, low, high))
        middle = y + bar / 2
        lines += [
            f'<text x="{left - 8}" y="{middle + 5}" text-anchor="end">{name}</text>',
            f'<rect x="{left}" y="{y}" width="{x - left:.1f}" height="{bar}" fill="#c44"/>',
            f'<path d="M{low_x:.1f} {middle}H{high_x:.1f}" stroke="#222" stroke-width="2"/>',
            f'<text x="{high_x + 8:.1f}" y="{middle + 5}">{per_100:g} ({low:g} to {high:g})</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def share(n: int, of: int) -> tuple[float, float, float]:
    """Per cent, and its 95 % interval by Wilson (1927)."""
    p = n / of
    middle = (p + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * math.sqrt(p * (1 - p) / of + Z**2 / (4 * of**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return round(100 * p, 1), round(100 * low, 1), round(100 * high, 1)


if __name__ == "__main__":
    main()
