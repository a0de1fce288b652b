"""Random middles through the embedded model's vocabulary: all that are returned make whole texts.

Holes are cut at random bytes into functions of Python's standard library, and JSON texts.
"""

from __future__ import annotations

import ast
import json
import random
import sysconfig
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import constrain
from constrain import Grammar, MaskStore, Vocabulary, bitmask
from constrain.fim.suffix import Middle, SuffixMatcher, open_middle
from constrain.generation.embedded import load_embedded
from tests.draws import by_first_byte
from tests.oracles.python import is_python

MAX_FUNCTION = 1_200
MAX_TOKENS = 12
LENGTHS = (0, 1, 3, 10, 40, 200)
STOP = 0.4

Judge = Callable[[bytes], bool]


@cache
def store_of(name: str) -> MaskStore:
    model, tokenizer = load_embedded()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    return constrain.compile(Grammar.builtin(name), vocabulary)


def functions(rng: random.Random) -> Iterator[bytes]:
    """Functions of the standard library, without their indentation."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    rng.shuffle(paths)
    for path in paths:
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines(keepends=True)
        found = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
        for node in rng.sample(found, min(2, len(found))):
            text = textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno])).encode()
            if len(text) <= MAX_FUNCTION and is_python(text):
                yield text


def values(rng: random.Random) -> Iterator[bytes]:
    """JSON texts."""

    def value(depth: int) -> object:
        kind = rng.randrange(7 if depth < 4 else 5)
        if kind == 5:
            return [value(depth + 1) for _ in range(rng.randrange(4))]
        if kind == 6:
            return {rng.choice(["a", "bé", 'c"\\']): value(depth + 1) for _ in range(3)}
        return [None, True, -1.5e-7, 120, 'x\n"é\u2028'][kind]

    while True:
        ascii_only, indent = rng.random() < 0.5, rng.choice([None, 1])
        yield json.dumps(value(0), ensure_ascii=ascii_only, indent=indent).encode()


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def holes(texts: Iterator[bytes], rng: random.Random) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Texts in three parts."""
    for text in texts:
        start = rng.randrange(len(text) + 1)
        stop = min(len(text), start + rng.choice(LENGTHS))
        yield text[:start], text[start:stop], text[stop:]


def walk(matcher: SuffixMatcher, rng: np.random.Generator) -> None:
    """Go on at random; where the middle may end, perhaps end."""
    vocabulary = matcher.engine.vocabulary
    draw, row = by_first_byte(vocabulary), bitmask.allocate(vocabulary.size)
    for _ in range(MAX_TOKENS):
        if matcher.is_accepting() and rng.random() < STOP:
            return
        matcher.fill_bitmask(row)
        token = draw(bitmask.token_ids(row), rng)
        assert matcher.accept_token(token)
        if matcher.is_terminated():
            return


def retrace(matcher: SuffixMatcher, middle: bytes) -> None:
    """The middle that was there is legal, and each token on the way to it is in the mask."""
    vocabulary, place = matcher.engine.vocabulary, 0
    while place < len(middle):
        longest = min(vocabulary.max_bytes, len(middle) - place)
        length = next(
            n for n in range(longest, 0, -1) if middle[place : place + n] in vocabulary.ids
        )
        token = vocabulary.ids[middle[place : place + length]][0]
        assert matcher.mask()[token >> 5] >> (token & 31) & 1, (middle[:place], token)
        assert matcher.accept_token(token)
        place += length
    assert matcher.is_accepting()
    assert matcher.finish() == Middle(middle)


def check(name: str, n_holes: int, seed: int) -> Counter[str]:
    rng, draws = random.Random(seed), np.random.default_rng(seed)
    texts, judge = {"python": (functions, is_python), "json": (values, is_json)}[name]
    outcomes: Counter[str] = Counter()
    for prefix, middle, suffix in islice(holes(texts(rng), rng), n_holes):
        matcher = open_middle(store_of(name), prefix, suffix)
        assert isinstance(matcher, SuffixMatcher), (prefix, suffix)
        retrace(matcher.fork(), middle)
        walk(matcher, draws)
        outcome = matcher.finish()
        outcomes[type(outcome).__name__] += 1
        if isinstance(outcome, Middle):
            assert judge(prefix + outcome.text + suffix), (prefix, outcome.text, suffix)
            outcomes["cut"] += outcome.n_dropped > 0
    return outcomes


@pytest.mark.parametrize(("name", "n_holes"), [("json", 40), ("python", 6)])
def test_every_middle_that_is_returned_makes_a_whole_text(name: str, n_holes: int) -> None:
    outcomes = check(name, n_holes, seed=5)
    assert outcomes["Middle"] >= n_holes // 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_holes"), [("json", 1_000), ("python", 300)])
def test_every_one_of_many_middles_makes_a_whole_text(name: str, n_holes: int) -> None:
    outcomes = check(name, n_holes, seed=6)
    assert outcomes["Middle"] >= n_holes // 2
