"""The seam before a middle: the prefix's last bytes, spelled again together with what follows.

A prompt that ends inside a word ends in tokens that the model has not learned to go on from. So
its last bytes, the *pending* ones, are taken back and written again by the model: `Healed` is a
matcher that lets nothing else come before them. `FreeText` is one where there is no grammar.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from constrain.bitmask import n_words, pack
from constrain.fim.suffix import Middle, NoLegalStop
from constrain.vocabulary import Vocabulary

Mask = NDArray[np.int32]


class MiddleMatcher(Protocol):
    """What follows one middle, token by token; `SuffixMatcher` says what each means."""

    @property
    def text(self) -> bytes:
        """The prefix, and what was read behind it."""

    def mask(self) -> Mask:
        """int32[W], read-only: the tokens that may come next."""

    def mask_within(self, n_tokens: int) -> Mask:
        """int32[W], read-only: the same where so many tokens may still come."""

    def accept_token(self, token: int) -> bool:
        """Append a token; False, and nothing changes, where the mask does not hold it."""

    def accept_bytes(self, added: bytes) -> bool:
        """Append bytes; False, and nothing changes, where they cannot come."""

    def is_terminated(self) -> bool:
        """An end token was read."""

    def fork(self) -> Self:
        """An independent matcher in the same state."""

    def finish(self) -> Middle | NoLegalStop:
        """What became of the middle."""


class FreeText:
    """A middle with no grammar: any text, which may end anywhere."""

    def __init__(self, vocabulary: Vocabulary, prefix: bytes = b"") -> None:
        self.vocabulary = vocabulary
        self._prefix = prefix
        self._written = b""
        self._is_end = False

    @property
    def text(self) -> bytes:
        """The prefix, and what was read behind it."""
        return self._prefix + self._written

    def mask(self) -> Mask:
        """int32[W], read-only: all tokens that are text, and the end tokens."""
        return _nothing(self.vocabulary) if self._is_end else _all_tokens(self.vocabulary)

    def mask_within(self, n_tokens: int) -> Mask:
        """The same: a text may be cut anywhere."""
        return self.mask()

    def accept_token(self, token: int) -> bool:
        """Append a token; False, and nothing changes, where it is no text."""
        if self._is_end or not self.mask()[token >> 5] >> (token & 31) & 1:
            return False
        self._is_end = token in self.vocabulary.end_ids
        self._written += b"" if self._is_end else self.vocabulary.tokens[token]
        return True

    def accept_bytes(self, added: bytes) -> bool:
        """Append bytes."""
        self._written += b"" if self._is_end else added
        return not self._is_end

    def is_terminated(self) -> bool:
        """An end token was read."""
        return self._is_end

    def fork(self) -> Self:
        """An independent matcher in the same state."""
        copy = type(self)(self.vocabulary, self._prefix)
        copy._written, copy._is_end = self._written, self._is_end
        return copy

    def finish(self) -> Middle:
        """All that was written."""
        return Middle(self._written)


class Healed:
    """A middle whose first tokens spell the prefix's last bytes again.

    Args:
        early: a matcher that stands before the pending bytes.
        behind: one that stands behind them, where the middle begins.
        pending: the bytes.
        vocabulary: what tokens write.
    """

    __slots__ = ("_behind", "_early", "_pending", "_vocabulary")

    def __init__(
        self, early: MiddleMatcher, behind: MiddleMatcher, pending: bytes, vocabulary: Vocabulary
    ) -> None:
        self._early = early
        self._behind = behind
        self._pending = pending
        self._vocabulary = vocabulary

    @property
    def text(self) -> bytes:
        """The prefix, and what was read behind it; less the bytes that are still pending."""
        return self._early.text if self._pending else self._behind.text

    def mask(self) -> Mask:
        """int32[W], read-only: tokens that spell pending bytes, all of them or their beginning.

        A token that runs past them is there if what it writes behind them may begin the middle.
        """
        if not self._pending:
            return self._behind.mask()
        row: Mask = self._early.mask() & _compatible(self._vocabulary, self._pending)
        return row

    def mask_within(self, n_tokens: int) -> Mask:
        """See `SuffixMatcher.mask_within`."""
        return self.mask() if self._pending else self._behind.mask_within(n_tokens)

    def accept_token(self, token: int) -> bool:
        """Append a token; False, and nothing changes, where the mask does not hold it."""
        pending = self._pending
        if not pending:
            return self._behind.accept_token(token)
        if not self.mask()[token >> 5] >> (token & 31) & 1:
            return False
        return self.accept_bytes(self._vocabulary.tokens[token])

    def accept_bytes(self, added: bytes) -> bool:
        """Append bytes; False, and nothing changes, where they cannot come."""
        pending = self._pending
        if len(added) < len(pending):
            if not (pending.startswith(added) and self._early.accept_bytes(added)):
                return False
            self._pending = pending[len(added) :]
            return True
        past = added[len(pending) :]
        if not added.startswith(pending) or (past and not self._behind.accept_bytes(past)):
            return False
        self._pending = b""
        return True

    def is_terminated(self) -> bool:
        """An end token was read."""
        return not self._pending and self._behind.is_terminated()

    def fork(self) -> Self:
        """An independent matcher in the same state."""
        early, behind = self._early.fork(), self._behind.fork()
        return type(self)(early, behind, self._pending, self._vocabulary)

    def finish(self) -> Middle | NoLegalStop:
        """What became of the middle; with bytes still pending nothing was written of it."""
        return self._behind.finish()


@lru_cache(maxsize=256)
def _compatible(vocabulary: Vocabulary, pending: bytes) -> Mask:
    """int32[W]: tokens that begin with the pending bytes, or that these begin with."""
    found = np.array(
        [bool(t) and (t.startswith(pending) or pending.startswith(t)) for t in vocabulary.tokens],
        np.bool_,
    )
    return pack(found)


@lru_cache(maxsize=4)
def _all_tokens(vocabulary: Vocabulary) -> Mask:
    found = np.array([bool(token) for token in vocabulary.tokens], np.bool_)
    found[list(vocabulary.end_ids)] = True
    row = pack(found)
    row.flags.writeable = False
    return row


@lru_cache(maxsize=4)
def _nothing(vocabulary: Vocabulary) -> Mask:
    row = np.zeros(n_words(vocabulary.size), np.int32)
    row.flags.writeable = False
    return row
