"""What a model reads before it fills in a middle: ids in its family's layout, cut to its context.

prefix, suffix ─► plain ids ─► those of the seam taken back ─► sentinels around both
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from tokenizers import Tokenizer

from constrain.covers.encoding import plain_description
from constrain.errors import ContextLengthError, FimFormatError, VocabularyError
from constrain.fim.formats import FimFormat, Place, detect_format
from constrain.vocabulary import Vocabulary, describe

HEALED_TOKENS = 3
"""Tokens of the prefix that are taken back and spelled again, at most."""

HEALED_BYTES = 32
"""Bytes of these, at most."""

SUFFIX_SHARE = 3
"""Where both do not fit, the suffix gets one part of the context in so many, at least."""


@dataclass(frozen=True)
class FimPrompt:
    """What stands before a middle.

    Attributes:
        context: token ids, at least one.
        pending: the prefix's last bytes, which the context lacks.
        is_cut: the model sees only the end of the prefix or the beginning of the suffix.
    """

    context: tuple[int, ...]
    pending: bytes
    is_cut: bool


class FimPrompter:
    """Lays out prefixes and suffixes for one model.

    Args:
        model: a causal language model of transformers.
        tokenizer: its fast tokenizer.
        fim: the format; None: detected from the tokenizer.
        layout: "psm" or "spm"; "auto": SPM where the model was trained on it.

    Attributes:
        vocabulary: the tokenizer's, with the tokens that end a middle as end tokens.

    Raises:
        FimFormatError: no format is known, or the model lacks its sentinels or the layout.
        VocabularyError: the tokenizer's tokens have no bytes of their own.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        vocabulary: Vocabulary,
        fim: FimFormat | None,
        layout: Literal["auto", "psm", "spm"],
    ) -> None:
        description = describe(tokenizer)
        names = {added["content"]: int(added["id"]) for added in description["added_tokens"]}
        fim = detect_format(names) if fim is None else fim
        lacking = [sentinel for sentinel in fim.sentinels if sentinel not in names]
        if lacking:
            raise FimFormatError(
                f"the tokenizer has no {', '.join(lacking)}, which the format {fim.name!r} needs"
            )
        self.vocabulary = _with_ends(vocabulary, [names[e] for e in fim.ends if e in names])
        plain = plain_description(description, vocabulary)
        self._encoder = Tokenizer.from_str(json.dumps(plain))
        self._parts = fim.parts(fim.layout(layout))
        self._names = names
        first = getattr(tokenizer, "bos_token_id", None)
        self._first = (int(first),) if fim.is_begun and first is not None else ()
        self._limit = getattr(model.config, "max_position_embeddings", None)

    def prompt(self, prefix: bytes, suffix: bytes, *, heals: bool, n_new: int) -> FimPrompt:
        """The ids before a middle.

        Args:
            prefix: the bytes before the hole; any, also a part of a character.
            suffix: those behind it.
            heals: take the last tokens of the prefix back.
            n_new: tokens that are to be written.

        Raises:
            ContextLengthError: so many and the sentinels are more than the model reads.
            VocabularyError: the vocabulary cannot spell prefix or suffix.
        """
        before, behind = self.encode(prefix), self.encode(suffix)
        pending = self._taken_back(before, prefix) if heals else b""
        n_sentinels = len(self._first) + sum(isinstance(part, str) for part in self._parts)
        n_before, n_behind = len(before), len(behind)
        if self._limit is not None:
            room = self._limit - n_sentinels - n_new
            if room <= 0:
                raise ContextLengthError(n_sentinels + n_new + 1, self._limit)
            if n_before + n_behind > room:
                n_behind = min(n_behind, max(room // SUFFIX_SHARE, room - n_before))
                n_before = min(n_before, room - n_behind)
        texts = {
            Place.PREFIX: before[len(before) - n_before :],
            Place.SUFFIX: behind[:n_behind],
        }
        context = list(self._first)
        for part in self._parts:
            context += [self._names[part]] if isinstance(part, str) else texts[part]
        is_cut = (n_before, n_behind) != (len(before), len(behind))
        return FimPrompt(tuple(context), pending, is_cut)

    def encode(self, text: bytes) -> list[int]:
        """Tokens of a text by itself, as plain text; bytes of no character one by one.

        Raises:
            VocabularyError: a byte is of no character, and no token writes it alone.
        """
        ids: list[int] = []
        while text:
            try:
                whole, broken, text = text.decode(), b"", b""
            except UnicodeDecodeError as error:
                whole = text[: error.start].decode()
                broken, text = text[error.start : error.end], text[error.end :]
            ids += self._encoder.encode(whole, add_special_tokens=False).ids
            for byte in broken:
                tokens = self.vocabulary.ids.get(bytes([byte]))
                if not tokens:
                    raise VocabularyError(
                        f"the text holds the byte {byte:#04x} outside of any character, and no "
                        f"token writes it alone; give text that is UTF-8"
                    )
                ids.append(tokens[0])
        return ids

    def _taken_back(self, ids: list[int], prefix: bytes) -> bytes:
        """Take the last tokens off `ids`, and return the bytes of `prefix` that they spell."""
        pending = b""
        for _ in range(min(HEALED_TOKENS, len(ids))):
            longer = self.vocabulary.tokens[ids[-1]] + pending
            if len(longer) > HEALED_BYTES or not longer or not prefix.endswith(longer):
                break  # a normaliser may have changed what the tokens spell
            pending = longer
            ids.pop()
        return pending


def fim_vocabulary(model: Any, tokenizer: Any, fim: FimFormat | None = None) -> Vocabulary:
    """The vocabulary to compile a grammar for, if it is to be of infilled texts.

    It has the tokens that end a middle as end tokens, besides those of the tokenizer.

    Args:
        model: see `FimPrompter`.
        tokenizer: its fast tokenizer.
        fim: the format; None: detected from the tokenizer.

    Raises:
        FimFormatError, VocabularyError: as of `FimPrompter`.
    """
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    return FimPrompter(model, tokenizer, vocabulary, fim, "auto").vocabulary


def _with_ends(vocabulary: Vocabulary, ends: list[int]) -> Vocabulary:
    """The vocabulary with more end tokens, which are no text."""
    if set(ends) <= set(vocabulary.end_ids):
        return vocabulary
    tokens = list(vocabulary.tokens)
    for end in ends:
        tokens[end] = b""
    return replace(
        vocabulary,
        tokens=tuple(tokens),
        end_ids=tuple(sorted({*vocabulary.end_ids, *ends})),
        special_ids=vocabulary.special_ids | set(ends),
    ).check()
