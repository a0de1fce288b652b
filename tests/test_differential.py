"""Masks of real tokenizers at every step of real JSON texts.

Each step's mask, from the memory of finished masks, is compared with one computed
anew by another store, and with a hand-written JSON machine on the whole vocabulary
(`tests.jsonmachine`). At some steps every single token is also tried by `accept_token`.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import constrain
from bench.texts import SMALL, json_texts
from constrain import Grammar, Matcher, Vocabulary, bitmask
from tests.jsonmachine import DEAD, JsonOracle, JsonState

QUICK = ("llama3", "mistral-v1", "starcoder2")
N_TEXTS = 200
N_QUICK_TEXTS = 12
N_DIRECT = 6
N_QUICK_DIRECT = 1


class Spellings:
    """Ways to write a text with a vocabulary's tokens."""

    def __init__(self, vocabulary: Vocabulary, tokenizer: Any) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = tokenizer
        self._ids: dict[bytes, list[int]] = defaultdict(list)
        for token_id, token in enumerate(vocabulary.tokens):
            if token:
                self._ids[token].append(token_id)

    def usual(self, text: bytes) -> list[int] | None:
        """As the tokenizer cuts it; None where it rewrites the text or writes a special token."""
        encoded = self._tokenizer(text.decode(), add_special_tokens=False)["input_ids"]
        written = b"".join(self._vocabulary.tokens[i] for i in encoded)
        return list(encoded) if written.removeprefix(b" ") == text else None

    def scattered(self, text: bytes, rng: random.Random) -> list[int]:
        """Cut at random places, in the middle of characters too."""
        found: list[int] = []
        place = 0
        while place < len(text):
            stop = min(len(text), place + self._vocabulary.max_bytes)
            pieces = [text[place:end] for end in range(place + 1, stop + 1)]
            piece = rng.choice([piece for piece in pieces if piece in self._ids])
            found.append(rng.choice(self._ids[piece]))
            place += len(piece)
        return found

    def of(self, texts: list[str]) -> Iterator[list[int]]:
        """The texts, in turn as usual and scattered."""
        rng = random.Random(0)
        for index, text in enumerate(texts):
            usual = self.usual(text.encode()) if index % 2 == 0 else None
            yield usual or self.scattered(text.encode(), rng)


def assert_equals_every_accept(matcher: Matcher, mask: np.ndarray) -> None:
    """`accept_token` on a fork, for each id there is."""
    accepted = [matcher.fork().accept_token(token_id) for token_id in range(len(mask))]
    differing = np.flatnonzero(np.array(accepted) != mask)
    assert not differing.size, (matcher.text, differing[:10].tolist())


def compare(vocabulary: Vocabulary, tokenizer: Any, texts: list[str], n_direct: int) -> None:
    """Every step of `texts` three ways; `n_direct` steps token by token as well."""
    grammar = Grammar.builtin("json")
    store, anew = (constrain.compile(grammar, vocabulary) for _ in range(2))
    oracle = JsonOracle(vocabulary.tokens, vocabulary.end_ids)
    row, row_anew = (bitmask.allocate(vocabulary.size) for _ in range(2))
    judged: set[bytes] = set()
    rng = random.Random(0)
    for token_ids in Spellings(vocabulary, tokenizer).of(texts):
        matcher, matcher_anew, state = store.matcher(), anew.matcher(), JsonState()
        for token_id in [*token_ids, vocabulary.end_ids[0]]:
            matcher.fill_bitmask(row)
            anew.forget()
            matcher_anew.fill_bitmask(row_anew)
            assert (row == row_anew).all(), f"cached and uncached differ after {matcher.text!r}"
            mask = bitmask.unpack(row, vocabulary.size)
            differing = np.flatnonzero(mask != oracle.mask(state))
            assert not differing.size, (matcher.text, differing[:10].tolist())
            # One in fifty, so that the steps tried are spread over the texts.
            if len(judged) < n_direct and rng.random() < 0.02 and row.tobytes() not in judged:
                judged.add(row.tobytes())
                assert_equals_every_accept(matcher, mask)
            assert matcher.accept_token(token_id)
            assert matcher_anew.accept_token(token_id)
            state = state.after(vocabulary.tokens[token_id])
        assert matcher.is_terminated()
    assert len(judged) == n_direct


@pytest.mark.tokenizers
@pytest.mark.parametrize("name", QUICK)
def test_masks_are_exact_at_every_step_of_a_few_texts(
    name: str, shared: Path, real_tokenizer: Callable[[str], Any], real_vocabulary: Any
) -> None:
    texts = json_texts(shared / "maskbench", N_QUICK_TEXTS, names=SMALL, longest=300)
    compare(real_vocabulary(name), real_tokenizer(name), texts, N_QUICK_DIRECT)


@pytest.mark.slow
def test_masks_are_exact_at_every_step(
    tokenizer_folder: Path, shared: Path, real_tokenizer: Callable[[str], Any], real_vocabulary: Any
) -> None:
    name = tokenizer_folder.name
    texts = json_texts(shared / "maskbench", N_TEXTS)
    compare(real_vocabulary(name), real_tokenizer(name), texts, N_DIRECT)


# The oracle itself, against `json.loads`.

PIECES = st.sampled_from(
    [
        b"[", b"]", b"{", b"}", b",", b":", b'"', b'"a"', b'"k":', b"\\", b"\\u12aF", b"\\n",
        b"0", b"1", b"-", b".", b"e", b"E+", b"true", b"false", b"null", b" ", b"\n", b"\x0c",
        "é".encode(), "€".encode(), "𝄞".encode(), b"\xc3", b"\xed\xa0\x80", b"\xf4\x90", b"\x00",
    ]
)  # fmt: skip


def is_json(text: bytes) -> bool:
    """Whether it is RFC 8259 JSON in UTF-8, as the standard library has it."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text.decode(), parse_constant=refuse)
    except ValueError:
        return False
    return True


@given(text=st.lists(PIECES, max_size=12).map(b"".join))
@example(text=b'{"a": [1, -0.5e+3, {"b": "\\u00e9\xc3\xa9"}], "c": null}')
def test_the_oracle_accepts_what_json_loads(text: bytes) -> None:
    assert JsonState().after(text).is_whole == is_json(text)


KEYS = st.text('é"\\n', max_size=2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)  # fmt: skip


@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_the_oracle_accepts_what_json_dumps(value: Any, ascii_only: bool, indent: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert JsonState().after(text).is_whole
    assert all(JsonState().after(text[:n]).mode != DEAD for n in range(len(text)))
