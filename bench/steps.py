"""What a step of generation costs beside the model: `python -m bench.steps`.

One row: `accept_token`, `Matcher.mask` and `apply_rows_` along the texts of `bench.masks`, beside
torch's `masked_fill` alone with the same masks as bools, and beside filling as many bytes, which no
way to mask a row goes below where few tokens are allowed. Batches: `fill_bitmasks`,
`apply_bitmask_` and the logits processor, with matchers at different places of the texts. All
masks are known. One thread of torch, unless --threads says otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch

import constrain
from bench.corpora import corpus, encode, read_tokenizer
from bench.records import machine
from constrain import Grammar, MaskStore, Matcher, Vocabulary
from constrain.bitmask import unpack

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
BATCHES = (1, 32, 256)
REPEATS = 5


def microseconds(action: Callable[[], Any]) -> float:
    """How long `action` takes once."""
    begin = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - begin) / 1e3


def quickest(action: Callable[[], Any]) -> float:
    """The least of some tries: other work on the machine only adds."""
    return min(microseconds(action) for _ in range(REPEATS))


def steps(store: MaskStore, texts: list[list[int]]) -> Iterator[tuple[Matcher, int]]:
    """Each place of each text as a matcher of its own, and the token that comes next."""
    for text in texts:
        matcher = store.matcher()
        for token in text:
            if not matcher.fork().accept_token(token):
                break
            yield matcher.fork(), token
            matcher.accept_token(token)


def one_row(store: MaskStore, texts: list[list[int]], dtype: torch.dtype) -> dict[str, float]:
    """Microseconds of a step, mean over all places of the texts."""
    size = store.vocabulary.size
    logits = torch.zeros(1, size, dtype=dtype)
    found: dict[str, list[float]] = {}
    for matcher, token in steps(store, texts):
        mask = matcher.mask()
        allowed = unpack(mask, size)
        ruled_out = torch.from_numpy(~allowed)[None]

        def step(matcher: Matcher = matcher, token: int = token) -> None:
            after = matcher.fork()
            after.accept_token(token)
            constrain.apply_rows_(logits, [after.mask()])

        ways = {
            "step": step,
            "apply": lambda mask=mask: constrain.apply_rows_(logits, [mask]),
            "masked_fill": lambda out=ruled_out: logits.masked_fill(out, -torch.inf),
            "masked_fill_": lambda out=ruled_out: logits.masked_fill_(out, -torch.inf),
            "floor": lambda: logits.fill_(0.0),
        }
        for name, way in ways.items():
            found.setdefault(name, []).append(quickest(way))
    return {name: float(np.mean(times)) for name, times in found.items()}


def batch(store: MaskStore, texts: list[list[int]], n_rows: int, threads: int) -> dict[str, float]:
    """Microseconds a row."""
    size = store.vocabulary.size
    places = list(islice(steps(store, texts), 4_000))
    matchers = [matcher for matcher, _ in islice(cycle(places[:: len(places) // 97]), n_rows)]
    out = np.zeros((n_rows, store.words), np.int32)
    bitmask = torch.from_numpy(out)
    logits = torch.zeros(n_rows, size)
    ways = {
        "fill_bitmasks": lambda: constrain.fill_bitmasks(matchers, out, threads),
        "apply_bitmask_": lambda: constrain.apply_bitmask_(logits, bitmask),
        "floor": lambda: logits.fill_(0.0),
        "processor": decoding(store, texts, n_rows),
    }
    return {name: quickest(way) / n_rows for name, way in ways.items()}


def decoding(store: MaskStore, texts: list[list[int]], n_rows: int) -> Callable[[], Any]:
    """A call of the processor in which each row has one token more than in the call before."""
    rows = [text[: 1 + REPEATS] for text in texts if len(text) > REPEATS]
    ids = torch.tensor(list(islice(cycle(rows), n_rows)))
    processor = constrain.GrammarLogitsProcessor(store, prompt_length=0, inplace=True)
    logits = torch.zeros(n_rows, store.vocabulary.size)
    lengths = iter(range(1, 1 + REPEATS))

    def call() -> None:
        logits.zero_()  # as a model would
        processor(ids[:, : next(lengths)], logits)

    return call


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=__doc__)
    parser.add_argument("--tokenizer", default="llama3", help="a folder of `tokenizers`")
    parser.add_argument("--texts", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name, tokenizer = read_tokenizer(options.tokenizer)
    found = corpus("json", options.texts)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    encoded = [encode(tokenizer, text) for text in found.texts]
    store = constrain.compile(Grammar.builtin("json"), vocabulary)
    print(
        f"{machine()['cpu']}, load {machine()['load_before']}, {options.threads} threads of torch"
    )
    print(f"JSON, {name}, {vocabulary.size} tokens, {len(found.texts)} {found.source}\n")
    print("one row, µs: step = accept_token + mask + apply_rows_")
    for dtype in DTYPES:
        times = one_row(store, encoded, dtype)
        print(f"  {dtype!s:16}" + "  ".join(f"{k} {v:.1f}" for k, v in times.items()))
    print("\nbatches, µs a row")
    for n_rows in BATCHES:
        times = batch(store, encoded, n_rows, options.threads)
        print(f"  {n_rows:4} rows  " + "  ".join(f"{k} {v:.2f}" for k, v in times.items()))


if __name__ == "__main__":
    main()
