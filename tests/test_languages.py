"""Whole languages through the mask of real vocabularies: real files, and texts drawn at random.

- Every token of a real file is in the mask before it.
- A text that begins as a real file does, goes on at random, and is then completed, is judged by
  the language's own parser: `ast.parse`, go/parser, SQLite.
"""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask
from tests.draws import Draw, by_first_byte, uniform
from tests.matchers import read_cases
from tests.oracles import go
from tests.oracles.python import is_python
from tests.oracles.sql import Oracle, Verdict

pytestmark = pytest.mark.tokenizers

BUDGET = 150
MAX_PREFIX = 1_500
MAX_FILE = 4_000
CHUNK = 500
LANGUAGES = ("python", "go", "sql")

RealVocabulary = Callable[[str], Vocabulary]


def are_python(texts: Sequence[bytes]) -> list[bool]:
    """Whether `ast.parse` reads each; True where it gives up for want of memory."""
    return [is_python(text) is not False for text in texts]


def are_sql(texts: Sequence[bytes]) -> list[bool]:
    """Whether SQLite prepares each; True where another complaint hides the rest of a text."""
    with closing(Oracle()) as oracle:
        return [oracle.verdict(text) != Verdict.REFUSED for text in texts]


def are_go(texts: Sequence[bytes]) -> list[bool]:
    """Whether go/parser reads each."""
    return go.accepts(texts)


ORACLES = {"python": are_python, "go": are_go, "sql": are_sql}


@cache
def real_texts(language: str) -> list[bytes]:
    """Texts of the language that nobody wrote for this project; for SQL, the cases."""
    if language == "sql":
        cases = read_cases(Path(__file__).parent / "grammar" / "sql_cases.txt", "@@")
        return [text.encode() for text, is_valid in cases if is_valid]
    if language == "go":
        paths = go.library_files()
    else:
        paths = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    texts = [path.read_bytes() for path in paths if path.stat().st_size <= MAX_FILE]
    verdicts = ORACLES[language](texts)
    return [text for text, is_valid in zip(texts, verdicts, strict=True) if is_valid and text]


@cache
def store_of(language: str, vocabulary: Vocabulary) -> MaskStore:
    return constrain.compile(Grammar.builtin(language), vocabulary)


def skip_without(language: str) -> None:
    if language == "go" and not go.IS_INSTALLED:
        pytest.skip("Go is not installed")


def walk(matcher: Matcher, n_tokens: int, draw: Draw, rng: np.random.Generator) -> int:
    """Go on for up to `n_tokens` tokens from the mask; how many there were."""
    row = bitmask.allocate(matcher._engine.vocabulary.size)
    for done in range(n_tokens):
        matcher.fill_bitmask(row)
        token_id = draw(bitmask.token_ids(row), rng)
        assert matcher.accept_token(token_id), (matcher.text, token_id)
        if matcher.is_terminated():
            return done + 1
    return n_tokens


def complete(matcher: Matcher, n_drawn: int) -> bytes:
    """The text once it is completed, within the budget: a few tokens are taken back for that."""
    while not matcher.is_terminated():
        completion = matcher.shortest_completion()
        if n_drawn == 0 or n_drawn + matcher.tokens_to_finish() <= BUDGET:
            assert matcher.accept_bytes(completion)
            assert matcher.is_accepting()
            break
        back = min(n_drawn, 10)
        matcher.rollback(back)
        n_drawn -= back
    return matcher.text


def draw_texts(language: str, vocabulary: Vocabulary, n_texts: int, seed: int) -> list[bytes]:
    """Texts that begin as real ones, go on at random, and end."""
    store = store_of(language, vocabulary)
    rng = np.random.default_rng(seed)
    texts = []
    for index in range(n_texts):
        text = real_texts(language)[rng.integers(len(real_texts(language)))][:MAX_PREFIX]
        matcher = store.matcher()
        assert matcher.accept_bytes(text[: rng.integers(len(text) + 1)])
        draw = uniform if index % 2 else by_first_byte(vocabulary)
        n_tokens = int(rng.integers(1, 80))
        n_drawn = walk(matcher, n_tokens, draw, rng)
        texts.append(complete(matcher, n_drawn))
    return texts


def assert_sound(language: str, vocabulary: Vocabulary, n_texts: int, seed: int) -> None:
    skip_without(language)
    texts = draw_texts(language, vocabulary, n_texts, seed)
    verdicts = ORACLES[language](texts)
    wrong = [text for text, is_valid in zip(texts, verdicts, strict=True) if not is_valid]
    assert not wrong, f"{len(wrong)} of {n_texts}, such as {min(wrong, key=len)!r}"
    assert len(set(texts)) > n_texts // 2, "the draws are all alike"


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_drawn_at_random_are_of_the_language(
    language: str, real_vocabulary: RealVocabulary
) -> None:
    assert_sound(language, real_vocabulary("llama3"), 10, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(10))
@pytest.mark.parametrize("language", LANGUAGES)
def test_five_thousand_texts_are_of_the_language(
    language: str, chunk: int, real_vocabulary: RealVocabulary
) -> None:
    assert_sound(language, real_vocabulary("llama3"), CHUNK, seed=100 + chunk)


def assert_files_pass(language: str, tokenizer: Any, vocabulary: Vocabulary, n_files: int) -> int:
    """Every token of every file is in the mask, and every file may end; the number of masks."""
    skip_without(language)
    store = store_of(language, vocabulary)
    row = bitmask.allocate(vocabulary.size)
    n_masks = 0
    for text in random.Random(1).sample(real_texts(language), n_files):
        matcher = store.matcher()
        for token_id in tokenizer.encode(text.decode(), add_special_tokens=False):
            matcher.fill_bitmask(row)
            n_masks += 1
            is_allowed = bool(row[token_id >> 5] >> (token_id & 31) & 1)
            assert is_allowed, (matcher.text[-80:], vocabulary.tokens[token_id])
            assert matcher.accept_token(token_id)
        assert matcher.is_accepting(), matcher.text
    return n_masks


@pytest.mark.parametrize("language", ["python", "go"])
def test_a_file_passes_the_mask(
    language: str, real_vocabulary: RealVocabulary, real_tokenizer: Callable[[str], Any]
) -> None:
    assert_files_pass(language, real_tokenizer("llama3"), real_vocabulary("llama3"), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama3", "qwen2.5-coder"])
@pytest.mark.parametrize("language", ["python", "go"])
def test_two_hundred_files_pass_the_mask(
    language: str, name: str, real_vocabulary: RealVocabulary, real_tokenizer: Callable[[str], Any]
) -> None:
    n_masks = assert_files_pass(language, real_tokenizer(name), real_vocabulary(name), 200)
    print(f"200 files of {language} pass {n_masks} masks of {name}")
