"""Tiny tokenizers whose every text can be encoded, and a model that is a hash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from constrain.covers.canonical import CanonicalSequences
from constrain.covers.encoding import plain_description, read_encoding
from constrain.vocabulary import Vocabulary, describe
from tests.oracles.covers import hash_logits

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class HashReader:
    """A model whose logits are a hash of what it has read; a memory is the tokens."""

    def __init__(self, seed: int, n_logits: int) -> None:
        self.seed, self.n_logits = seed, n_logits
        self.n_passes = 0

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        return np.array(hash_logits(tokens, self.seed, self.n_logits))

    def read(self, steps: Sequence[tuple[Any, int]]) -> list[tuple[Any, np.ndarray]]:
        self.n_passes += 1
        return [((*memory, token), self.logits((*memory, token))) for memory, token in steps]


@dataclass(frozen=True)
class Tiny:
    """A tokenizer and all texts of a few characters."""

    name: str
    backend: Tokenizer
    letters: str

    @property
    def vocabulary(self) -> Vocabulary:
        """The backend alone does not say that its first token ends a text."""
        return Vocabulary.from_tokens(Vocabulary.from_tokenizer(self.backend).tokens, [0])

    def law(self) -> CanonicalSequences:
        from constrain.generation.plain import ranges_of  # noqa: PLC0415 - not at collection

        vocabulary = self.vocabulary
        plain = plain_description(describe(self.backend), vocabulary)
        normalizer = Tokenizer.from_str(json.dumps(plain)).normalizer
        normalize = normalizer.normalize_str if normalizer is not None else str
        return CanonicalSequences(vocabulary, read_encoding(plain), ranges_of, normalize)

    def canonical(self, longest: int) -> set[tuple[int, ...]]:
        """What the tokenizer makes of each text of at most `longest` characters."""
        tokens = self.vocabulary.tokens
        texts = ["".join(t) for n in range(longest + 1) for t in product(self.letters, repeat=n)]
        encoded = [e.ids for e in self.backend.encode_batch(texts, add_special_tokens=False)]
        return {
            tuple(ids)
            for text, ids in zip(texts, encoded, strict=True)
            if b"".join(tokens[i] for i in ids) == text.encode()
        }


def _byte_level(name: str, letters: str, merges: list[str], **options: Any) -> Tiny:
    """Byte-level BPE with the bytes of a few letters alone."""
    alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = alphabet.pre_tokenize_str("".join(letters))
    symbols = sorted({char for piece, _ in spelled for char in piece})
    pairs = [tuple(merge.split()) for merge in merges]
    names = ["<end>", *symbols, *dict.fromkeys(map("".join, pairs)), *options.get("whole", ())]
    bpe = models.BPE(
        vocab={n: i for i, n in enumerate(names)},
        merges=pairs,
        ignore_merges=bool(options.get("whole")),
    )
    backend = Tokenizer(bpe)
    steps = [
        pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in options.get("patterns", ())
    ]
    backend.pre_tokenizer = pre_tokenizers.Sequence([*steps, alphabet])
    backend.decoder = decoders.ByteLevel()
    if options.get("nfc"):
        backend.normalizer = normalizers.NFC()
    backend.add_special_tokens(["<end>"])
    backend.add_tokens(list(options.get("literals", ())))
    return Tiny(name, backend, letters)


def _metaspace() -> Tiny:
    """Characters with byte fall-back, a space that is `▁`; è is a token, é spelled by bytes."""
    pairs = [("▁", "a"), ("a", "b"), ("▁", "▁"), ("▁a", "b")]
    names = ["<end>", "a", "b", "▁", "▁a", "ab", "▁▁", "▁ab", "è"]
    names += ["<0xC3>", "<0xA8>", "<0xA9>", "<0x61>"]
    bpe = models.BPE(vocab={n: i for i, n in enumerate(names)}, merges=pairs, byte_fallback=True)
    backend = Tokenizer(bpe)
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens(["<end>"])
    return Tiny("metaspace", backend, "ab éè")


@cache
def tiny(name: str) -> Tiny:
    """A tokenizer by its name."""
    merges = ["a b", "a a", "b a", "ab a"]
    match name:
        case "plain":
            return _byte_level(name, "ab", merges)
        case "look-ahead":
            return _byte_level(name, " a1", ["Ġ a", "Ġ Ġ", "a a"], patterns=[GPT4])
        case "lines":
            return _byte_level(name, " \na", ["Ġ Ċ", "Ġ a", "Ċ Ċ"], patterns=[GPT4])
        case "contraction":
            return _byte_level(name, "'sla", ["' s", "l l", "s a", "' l"], patterns=[GPT4])
        case "characters":
            return _byte_level(name, "aéè", ["Ã ©", "a Ã", "© a"], patterns=[GPT4])
        case "digits":
            return _byte_level(name, "a1", ["1 1", "a a"], patterns=[r"\p{N}", r" ?\p{L}+"])
        case "whole":
            return _byte_level(name, "ab", ["a b", "b a"], whole=["aba", "bb"])
        case "whole pieces":
            patterns = [r"\p{L}{1,3}| "]
            return _byte_level(name, "ab ", ["a b", "b a"], whole=["aba", "bb"], patterns=patterns)
        case "goes on":
            return _byte_level(name, "ac", ["a c", "a a"], patterns=["aac|a|c"])
        case "goes on, or not":
            return _byte_level(name, "abc", ["a c", "a a"], patterns=["aab|aac|a|b|c"])
        case "literals":
            return _byte_level(name, "ab\n", ["a b", "Ċ Ċ"], literals=["\n\n", "b\n"])
        case "normal":
            return _byte_level(name, "ae\u0301", ["a e", "Ì ģ", "e Ì"], nfc=True)
        case "metaspace":
            return _metaspace()
    raise ValueError(name)


NAMES = (
    "plain",
    "look-ahead",
    "lines",
    "contraction",
    "characters",
    "digits",
    "whole",
    "whole pieces",
    "goes on",
    "goes on, or not",
    "literals",
    "normal",
    "metaspace",
)
