"""The canonical law against the tokenizers' own `encode`: tiny, embedded and real ones."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from constrain.covers.canonical import CanonicalSequences
from constrain.covers.encoding import NUMERIC, plain_description, read_encoding
from constrain.covers.merges import Neighbours
from constrain.covers.pattern import parse
from constrain.covers.shapes import decode
from constrain.errors import CanonicalError
from constrain.generation.byte_model import canonical_law
from constrain.generation.embedded import FOLDER
from constrain.generation.plain import ranges_of
from constrain.vocabulary import Vocabulary, describe
from tests.conftest import TOKENIZERS
from tests.covers.conftest import NAMES, tiny
from tests.timing import within

FRAGMENTS = (
    *("  ", " ", "\n", "\n\n", "\t", "\v", "\r\n", "\u00a0", "\u200d", " \n ", "   x", "//\r\n"),
    *("1", "12345", "٣", "½", "1 2", "x = ", "()[]", "!!\n", "...", "'s", "'ll", "'LL", "'", "'re"),
    *(
        "a",
        "é",
        "e\u0301",
        "\u0301",
        "中文",
        "ünï",
        "ABc",
        "aB",
        "Ǆ",
        "中B",
        "\u017f",
        "İ",
        "ß",
        "ﬁ",
    ),
    *("🙂", "👩‍👩‍👧", "한국", "ᄀ", "ᅡ", "ก็", "中B", "<table>", "</h1>", "<|fim_prefix|>", "õ", "▁"),
    "def f(x):\n    return x\n",
)
BEHIND = ("", "a", "B", "1", " ", "\n", " a", "!", "é", "中", "e", " 1", "ab", "l", " \n", "x y")
SOURCE = Path(__file__).read_text()


class Judge:
    """A tokenizer's encoder for plain text, and the law that is said to follow it."""

    def __init__(self, vocabulary: Vocabulary, law: CanonicalSequences, plain: Any) -> None:
        self.tokens, self.law = vocabulary.tokens, law
        self._backend = Tokenizer.from_str(json.dumps(plain))

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def write(self, sequence: list[int]) -> bytes:
        return b"".join(self.tokens[token] for token in sequence)

    def is_canonical(self, sequence: list[int]) -> bool:
        try:
            return self.encode(self.write(sequence).decode()) == sequence
        except UnicodeDecodeError:
            return False

    def is_seen(self, sequence: list[int], rng: random.Random) -> bool:
        """Whether some text is found whose encoding begins so."""
        data = self.write(sequence)
        found = decode(data)
        if found is None:
            return False
        ends = [""] if not found[1] else list(completions(found[1], rng))
        for end in ends:
            for behind in BEHIND if len(ends) == 1 else ("", "a"):
                text = (found[0] if found[1] else data.decode()) + end + behind
                ids = self.encode(text)
                if ids[: len(sequence)] == sequence and self.write(ids) == text.encode():
                    return True
        return False


def completions(partial: bytes, rng: random.Random) -> list[str]:
    """Characters that begin with some bytes."""
    missing = (2 if partial[0] < 0xE0 else 3 if partial[0] < 0xF0 else 4) - len(partial)
    if missing < 3:
        tails = list(map(bytes, product(range(0x80, 0xC0), repeat=missing)))
    else:
        tails = [bytes(rng.randrange(0x80, 0xC0) for _ in range(missing)) for _ in range(4000)]
    read = [decode(partial + tail) for tail in tails]
    return [found[0] for found in read if found is not None and found[0]]


def draw_text(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        place = rng.randrange(len(SOURCE))
        return SOURCE[place : place + rng.randrange(1, 40)]
    if kind < 0.9:
        return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 8)))
    blocks = ((1, 0x500), (0x500, 0xD800), (0x1F300, 0x1F700))
    return "".join(chr(rng.randrange(*rng.choice(blocks))) for _ in range(rng.randrange(1, 5)))


def check_texts(judge: Judge, n_texts: int, seed: int) -> None:
    """Walk random texts' encodings; at some steps judge tokens that may follow, and some not."""
    rng = random.Random(seed)
    n_checked = 0
    while n_checked < n_texts:
        text = draw_text(rng)
        ids = judge.encode(text)
        if judge.write(ids) != text.encode():
            assert not judge.law.is_beginning(ids) or judge.is_seen(ids, rng), (text, ids)
            continue
        n_checked += 1
        state = judge.law.start()
        for place, token in enumerate(ids):
            mask = judge.law.allowed(state)
            assert mask[token], (text, ids, place)
            if rng.random() < 0.25:
                check_step(judge, mask, state, ids[:place], rng)
            state = judge.law.advance(state, token)
        assert judge.law.is_canonical(state), (text, ids)


def check_step(judge: Judge, mask: Any, state: Any, before: list[int], rng: random.Random) -> None:
    assert judge.law.is_canonical(state) == judge.is_canonical(before), before
    allowed = [token for token in np.flatnonzero(mask).tolist() if judge.tokens[token]]
    for token in rng.sample(allowed, min(6, len(allowed))):
        assert judge.is_seen([*before, token], rng), (before, token, "allowed, and never seen")
    for token in rng.sample(range(len(mask)), min(30, len(mask))):
        if judge.tokens[token] and not mask[token]:
            assert not judge.is_seen([*before, token], rng), (before, token, "refused, and seen")


@cache
def judge_of(folder: Path) -> Judge:
    from transformers import AutoTokenizer  # noqa: PLC0415 - slow

    tokenizer = AutoTokenizer.from_pretrained(folder)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    plain = plain_description(describe(tokenizer), vocabulary)
    return Judge(vocabulary, canonical_law(tokenizer, vocabulary), plain)


def test_the_embedded_tokenizer_writes_what_the_law_allows() -> None:
    check_texts(judge_of(FOLDER), 30, seed=0)


@pytest.mark.tokenizers
@pytest.mark.parametrize("name", ["gpt2", "llama2", "starcoder2"])
def test_real_tokenizers_write_what_the_law_allows(shared: Path, name: str) -> None:
    check_texts(judge_of(shared / "tokenizers" / name), 20, seed=1)


@pytest.mark.slow
@pytest.mark.tokenizers
@pytest.mark.parametrize("name", TOKENIZERS)
def test_all_real_tokenizers_write_what_the_law_allows(shared: Path, name: str) -> None:
    check_texts(judge_of(shared / "tokenizers" / name), 120, seed=2)


@pytest.mark.parametrize("name", NAMES)
def test_every_short_sequence_is_judged_as_all_short_texts_have_it(name: str) -> None:
    backend = tiny(name)
    law, tokens = backend.law(), backend.vocabulary.tokens
    canonical = backend.canonical(6)
    viable = {ids[:n] for ids in canonical for n in range(len(ids) + 1)}
    todo = [((), law.start())]
    n_seen = 0
    for sequence, state in todo:
        n_seen += 1
        mask = law.allowed(state)
        assert law.is_canonical(state) == (sequence in canonical) == mask[0]
        for token in range(1, len(tokens)):
            longer = (*sequence, token)
            n_bytes = sum(len(tokens[t]) for t in longer)
            if n_bytes <= 4:
                assert mask[token] == (longer in viable), longer
            if mask[token] and n_bytes <= 3:
                todo.append((longer, law.advance(state, token)))
    assert n_seen > 5


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_says_what_single_steps_say(name: str) -> None:
    law = tiny(name).law()
    size = tiny(name).vocabulary.size
    todo = [(law.start(), 0)]
    for state, depth in todo:
        for token in range(1, size):
            try:
                reached = law.advance(state, token)
            except CanonicalError:
                assert not law.allowed(state)[token]
            else:
                assert law.allowed(state)[token]
                if depth < 2:
                    todo.append((reached, depth + 1))


def test_neighbours_are_what_merging_them_together_gives() -> None:
    rng = random.Random(0)
    letters = "abc"
    for _ in range(40):
        names = list(letters)
        merges: list[tuple[str, str]] = []
        for _ in range(rng.randrange(1, 12)):
            pair = (rng.choice(names), rng.choice(names))
            if pair not in merges and len("".join(pair)) < 7:
                merges.append(pair)
                names.append("".join(pair))
        rng.shuffle(merges)  # so that ranks need not ascend
        vocab = {name: i for i, name in enumerate(dict.fromkeys(names))}
        model = {
            "type": "BPE",
            "vocab": vocab,
            "merges": [list(merge) for merge in merges],
        }
        description = {"model": model, "added_tokens": []}
        neighbours = Neighbours.of(read_encoding(description), len(vocab))
        backend = Tokenizer.from_str(json.dumps({**_EMPTY, "model": {**_BPE, **model}}))
        everything = np.arange(len(vocab))
        for left, token in vocab.items():
            assert neighbours.is_made[token] == (backend.encode(left).ids == [token])
            found = neighbours.after(token, everything)
            for right, other in vocab.items():
                assert found[other] == (backend.encode(left + right).ids == [token, other])


_EMPTY = {
    "version": "1.0",
    "added_tokens": [],
    **dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    ),
}
_BPE = {
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
}


def test_classes_hold_what_the_engine_matches() -> None:
    assert ranges_of("[a-c\\n]") == ((10, 10), (97, 99))
    assert ranges_of("[^a]") == ((0, 96), (98, 0xD7FF), (0xE000, 0x10FFFF))
    digits = {c for low, high in ranges_of(NUMERIC) for c in range(low, high + 1)}
    assert {ord("0"), ord("½"), ord("٣")} <= digits
    assert ord("a") not in digits


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "Unigram"),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "Whitespace"),
        ({"added_tokens": [{"id": 0, "content": "a", "lstrip": True}]}, "lstrip"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(part: dict[str, Any], said: str) -> None:
    model = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
    with pytest.raises(CanonicalError, match=said):
        read_encoding({"model": model, "added_tokens": [], **part})


@pytest.mark.parametrize("pattern", ["(?=a)", "a++", "(a", "a)", "(?!ab)", "a{1000}", "(?<=a)b"])
def test_patterns_that_are_not_supported_are_refused(pattern: str) -> None:
    with within(5), pytest.raises(CanonicalError, match="not supported"):
        parse(pattern)


def test_a_pattern_that_is_too_large_is_refused() -> None:
    with within(10), pytest.raises(CanonicalError, match="instructions"):
        parse("(?:(?:(?:a{90}){90}){90}){90}")


def test_what_is_allowed_is_never_a_dead_end() -> None:
    judge = judge_of(FOLDER)
    rng = np.random.default_rng(0)
    state, ids = judge.law.start(), []
    while len(ids) < 300 or not judge.law.is_canonical(state):
        allowed = np.flatnonzero(judge.law.allowed(state)).tolist()
        ids.append(int(rng.choice([t for t in allowed if judge.tokens[t]])))
        state = judge.law.advance(state, ids[-1])
    assert judge.encode(judge.write(ids).decode()) == ids


def test_what_begins_no_character_is_no_text() -> None:
    for data in (b"\xed\xa8", b"\xe0\x80", b"\xf4\x90", b"\xf5", b"\xc1", b"a\xff", b"\xf0\x80"):
        assert decode(data) is None
    for data in (b"\xed\x9f", b"\xe0\xa0", b"\xf4\x8f", b"\xf0\x90", b"\xef\xbf"):
        assert decode(data) == ("", data)
