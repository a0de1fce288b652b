"""Byte probabilities by enumeration: every sequence of tokens is written down and weighed.

Nothing of the library is used. A model is a hash: the logits behind a sequence of tokens are
pseudo-random numbers made of the sequence and a seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

Sequence_ = tuple[int, ...]
Allowed = Callable[[Sequence_], set[int]]
"""Of a sequence: the tokens that may follow, end tokens among them."""


def hash_logits(sequence: Sequence[int], seed: int, n_logits: int) -> list[float]:
    """Numbers between -4 and 4."""
    digests = (
        hashlib.blake2b(repr((tuple(sequence), seed, i)).encode(), digest_size=8).digest()
        for i in range(n_logits)
    )
    return [int.from_bytes(digest, "big") / 2**64 * 8 - 4 for digest in digests]


class Enumeration:
    """All sequences of at most so many tokens, under a law."""

    def __init__(
        self,
        tokens: Sequence[bytes],
        ends: set[int],
        logits: Callable[[Sequence_], Sequence[float]],
        allowed: Allowed | None = None,
    ) -> None:
        self.tokens = tokens
        self.ends = ends
        self.text = [i for i, token in enumerate(tokens) if token]
        self._logits = logits
        self._allowed = allowed or (lambda _: set(self.text) | ends)
        self._next: dict[Sequence_, dict[int, float]] = {}

    def next(self, sequence: Sequence_) -> dict[int, float]:
        """The distribution of the next token."""
        if sequence not in self._next:
            logits = self._logits(sequence)
            weights = {i: math.exp(logits[i]) for i in self._allowed(sequence)}
            total = sum(weights.values())
            self._next[sequence] = {i: weight / total for i, weight in weights.items()}
        return self._next[sequence]

    def probability(self, sequence: Sequence_) -> float:
        """That the model's tokens begin with these."""
        found = 1.0
        for place, token in enumerate(sequence):
            found *= self.next(sequence[:place]).get(token, 0.0)
            if found == 0.0:
                break
        return found

    def bytes_of(self, sequence: Sequence_) -> bytes:
        """What a sequence writes."""
        return b"".join(self.tokens[token] for token in sequence)

    def covers(self, text: bytes) -> Iterator[Sequence_]:
        """The covers of a byte string, by their definition."""
        for n_tokens in range(len(text) + 1):
            for sequence in product(self.text, repeat=n_tokens):
                begins = self.bytes_of(sequence).startswith(text)
                if begins and (not sequence or len(self.bytes_of(sequence[:-1])) < len(text)):
                    yield sequence

    def mass(self, text: bytes) -> float:
        """W(text)."""
        return sum(map(self.probability, self.covers(text)))

    def stop_mass(self, text: bytes) -> float:
        """W(text, stop)."""
        return sum(
            self.probability(cover) * sum(self.next(cover).get(end, 0.0) for end in self.ends)
            for cover in self.covers(text)
            if self.bytes_of(cover) == text and self.probability(cover) > 0
        )
