"""`GrammarLogitsProcessor`: a grammar as a logits processor of transformers.

Shapes: B rows, N token ids a row, of which the first P are the prompt, L logits, W words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor

from constrain.bitmask import n_words
from constrain.compiler import MaskStore
from constrain.decode.matcher import Matcher
from constrain.errors import (
    BudgetError,
    DeadEndError,
    LogitsError,
    PromptError,
    TokenNotAllowedError,
    VocabularyError,
)
from constrain.fim.healing import MiddleMatcher
from constrain.generation.apply import apply_rows_, dead_rows
from constrain.recent import Recent
from constrain.vocabulary import Vocabulary

Ids = NDArray[np.int64]
Mask = NDArray[np.int32]

_BEAMS_KEPT = 8
"""Steps of a whole batch that the memory holds at least, whatever its size."""


@dataclass(frozen=True)
class _Forbidden:
    """The state of a row that holds a token its grammar forbids."""

    position: int
    token: int
    text: bytes


_Follower = Matcher | MiddleMatcher
_State = _Follower | _Forbidden


@dataclass(frozen=True)
class _Row:
    """What is known of one row of ids.

    Attributes:
        state: after the generated part.
        prompt_length: P, the ids before it.
        is_start: generation starts here: no call asked for the row less its last id. Then
            a fault in it is the caller's, and no draft's.
    """

    state: _State
    prompt_length: int
    is_start: bool


class TextStore(Protocol):
    """Matchers over one vocabulary, such as a `MaskStore`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """What tokens write."""

    def matcher(self) -> _Follower:
        """A matcher for one new text."""


class GrammarLogitsProcessor(LogitsProcessor):
    """Sets to -inf the score of every token that the grammar does not allow next.

    The scores returned depend on the row's ids alone: on nothing that an earlier call did.
    So beams may be reordered, rows repeated, drafts tried and rejected. What is kept is a
    bounded memory of matchers by the ids they have read, which saves reading them again.

    There is no dead end. A text that can be completed is either whole, and an end token is
    allowed, or some tokens spell a completion, and the first of them is allowed and leaves
    a text that can be completed. The empty text can, or `compile` had refused the grammar.
    So a `DeadEndError` is always the work of another processor.

    Where the prompt ends. `prompt_length` says it, and then the above holds without
    exception; `generate` passes it. Without it the prompt is learned: a row never seen is
    a prompt, and a row that is a known one plus one token continues it, since every mode
    of transformers asks for the scores of a row before it appends to it. A row that begins
    with a known prompt and skips a step could be either: that is a `PromptError`. So use
    a new processor (or `prompt_length`) for a prompt that extends an earlier answer.

    Forbidden tokens. transformers hands over rows that the mask ruled out: a draft is
    scored at every position before it is rejected at its first forbidden token, whose
    probability is zero, and a beam search with fewer continuations than beams carries
    beams of probability zero. Nothing of such a row is ever kept, so it gets scores that
    let it end and nothing else. With `strict` it is an error: right for greedy search and
    sampling without drafts. It is always an error in a row that generation starts from, as
    where `prompt_length` is too small: no draft and no beam begins so.

    Finished rows (those with an end token) may only end again; their padding is not read.
    An assistant model must share the tokenizer: the processor is run on its drafts too.

    Args:
        store: of the grammar, over the model's vocabulary.
        starts: where texts begin, a matcher for each prompt, if not where the grammar's do:
            middles before a suffix, or pending bytes (`constrain.fim`). They are not changed.
            With `prompt_length`.
        prompt_length: P, the ids before the generated text, padding included; one for
            all rows, or one a row of the prompt batch (beams and returned sequences
            repeat each); None to learn it.
        max_new_tokens: a promise: the masks narrow in time, so that the text ends whole
            within that many tokens after the prompt, the end token included. None promises
            nothing.
        strict: refuse rows with a forbidden token, or beyond `max_new_tokens`.
        inplace: overwrite the scores given. Saves a copy; the raw logits that
            transformers records with `output_logits` are then masked too.
        memory: matchers kept; more where a batch needs more.

    Raises:
        BudgetError: the shortest text does not fit into `max_new_tokens`.
        VocabularyError: the vocabulary has no end token: no text could ever end.
    """

    def __init__(
        self,
        store: TextStore,
        *,
        starts: Sequence[_Follower] | None = None,
        prompt_length: int | Sequence[int] | None = None,
        max_new_tokens: int | None = None,
        strict: bool = False,
        inplace: bool = False,
        memory: int = 1024,
    ) -> None:
        if starts is not None and prompt_length is None:
            raise PromptError("texts that begin elsewhere need prompt_length: where they begin")
        self.store = store
        self.starts = starts
        self.prompt_length = prompt_length
        self.max_new_tokens = max_new_tokens
        self.strict = strict
        self.inplace = inplace
        self._memory: Recent[bytes, _Row] = Recent(memory)
        self._prompts: Recent[bytes, None] = Recent(memory)
        self._ends = list(store.vocabulary.end_ids)
        check_ends(store.vocabulary)
        self._width = _width(store.vocabulary)
        self._nothing = np.zeros(n_words(store.vocabulary.size), np.int32)
        if max_new_tokens is not None and isinstance(store, MaskStore):
            check_budget(store, max_new_tokens)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores, -inf where the grammar does not allow the token.

        Args:
            input_ids: int64[B, N].
            scores: float[B, L].

        Raises:
            DeadEndError: no allowed token has a score above -inf.
            BudgetError: the shortest text does not fit.
            PromptError: it is unknown where the prompt ends.
            TokenNotAllowedError: a row holds a forbidden token, and `strict` or generation
                starts from it.
            LogitsError: a token of the vocabulary has no score.
        """
        self._check_width(scores)
        rows = self._rows(np.ascontiguousarray(input_ids.detach().cpu().numpy(), np.int64))
        masks = [
            self._mask(row, index, input_ids.shape[1] - row.prompt_length)
            for index, row in enumerate(rows)
        ]
        masked = scores if self.inplace else scores.clone()
        apply_rows_(masked, [self._nothing if mask is None else mask for mask in masks])
        _check_live(masked, rows, masks)
        ended = [index for index, mask in enumerate(masks) if mask is None]
        if ended:
            # Not the scores given: another processor may have forbidden the end, and a row
            # without any finite score makes sampling fail for the whole batch.
            masked[torch.tensor(ended)[:, None], torch.tensor(self._ends)] = 0.0
        return masked

    def _check_width(self, scores: Tensor) -> None:
        """Refuse a model that lacks tokens of the vocabulary, whether allowed now or not."""
        if scores.shape[-1] < self._width:
            raise LogitsError(
                f"the model has {scores.shape[-1]} logits and the vocabulary writes with "
                f"token {self._width - 1}; compile the grammar for this model's tokenizer"
            )

    def reset(self) -> None:
        """Forget every prompt and matcher."""
        self._memory = Recent(self._memory.size)
        self._prompts = Recent(self._prompts.size)

    def _rows(self, ids: Ids) -> list[_Row]:
        """The states of the rows of ids int64[B, N]."""
        wanted = _BEAMS_KEPT * len(ids)
        self._memory.size = max(self._memory.size, wanted)
        self._prompts.size = max(self._prompts.size, wanted)
        if self.prompt_length is None:
            return [self._learned(row) for row in ids]
        lengths = _lengths(self.prompt_length, ids)
        if self.starts is not None and len(ids) % max(1, len(self.starts)):
            raise PromptError(f"there are {len(self.starts)} starts and {len(ids)} rows of ids")
        n_each = len(ids) // len(self.starts) if self.starts else len(ids) + 1
        return [
            self._given(row, length, index // n_each)
            for index, (row, length) in enumerate(zip(ids, lengths, strict=True))
        ]

    def _given(self, row: Ids, prompt_length: int, prompt: int) -> _Row:
        """The state of a row whose prompt is known; the memory's keys are generated ids.

        Args:
            row: all ids.
            prompt_length: where the generated ones begin.
            prompt: which of the starts is the row's; 0 where all begin alike.
        """
        generated = row[prompt_length:]
        key = b"%d:" % prompt
        known = self._memory.get(key + generated.tobytes())
        if known is None:
            parent = self._memory.get(key + generated[:-1].tobytes()) if len(generated) else None
            start = len(generated) - 1 if parent else 0
            state = parent.state if parent else self._start(prompt)
            known = _Row(_read(state, generated, start), prompt_length, parent is None)
            self._memory.put(key + generated.tobytes(), known)
        return _Row(known.state, prompt_length, known.is_start)

    def _start(self, prompt: int) -> _Follower:
        return self.store.matcher() if self.starts is None else self.starts[prompt].fork()

    def _learned(self, row: Ids) -> _Row:
        """The state of a row whose prompt is learned; the memory's keys are whole rows."""
        key = row.tobytes()
        known = self._memory.get(key)
        if known is None:
            parent = self._memory.get(row[:-1].tobytes()) if len(row) else None
            known = self._continued(row, parent) if parent else self._prompt(row)
            self._memory.put(key, known)
        # A use, so that the prompt of a long text is never the one forgotten.
        self._prompts.touch(row[: known.prompt_length].tobytes())
        return known

    def _continued(self, row: Ids, parent: _Row) -> _Row:
        generated = row[parent.prompt_length :]
        state = _read(parent.state, generated, len(generated) - 1)
        return _Row(state, parent.prompt_length, is_start=False)

    def _prompt(self, row: Ids) -> _Row:
        """A row never seen before is a prompt, if it cannot be anything else."""
        key = row.tobytes()
        for prompt in self._prompts:
            if key.startswith(prompt):
                raise PromptError(
                    f"a row of {len(row)} ids begins with an earlier prompt of "
                    f"{len(prompt) // row.itemsize}, and the ids in between were not scored "
                    f"one by one: it is a new prompt, or a text that skipped a step; use a "
                    f"new GrammarLogitsProcessor for each prompt, or give prompt_length"
                )
        self._prompts.put(key, None)
        return _Row(self.store.matcher(), len(row), is_start=True)

    def _mask(self, row: _Row, index: int, n_generated: int) -> Mask | None:
        """A row's mask int32[W], maybe shared; None where the row may only end."""
        state = row.state
        if isinstance(state, _Forbidden):
            if self.strict or row.is_start:
                raise TokenNotAllowedError(
                    index,
                    state.position,
                    state.token,
                    state.text,
                    "is prompt_length right, and is there no processor after the grammar's? "
                    "A processor of another prompt's length cannot serve; drafts and beams "
                    "need strict=False",
                )
            return None
        if state.is_terminated():
            return None
        if self.max_new_tokens is None:
            return state.mask()
        try:
            return state.mask_within(max(0, self.max_new_tokens - n_generated))
        except BudgetError:
            # A draft may run out of the budget as it may leave the grammar.
            if self.strict or row.is_start:
                raise
            return None


def check_ends(vocabulary: Vocabulary) -> None:
    """Refuse a vocabulary in which no text could ever end.

    Raises:
        VocabularyError: it has no end token.
    """
    if not vocabulary.end_ids:
        raise VocabularyError(
            "the vocabulary has no end token, so no text could end; read it with the "
            "model's generation config, or name its end_ids"
        )


def check_budget(store: MaskStore, max_new_tokens: int) -> None:
    """Refuse a budget that no text fits into.

    Raises:
        BudgetError: with the number of tokens that the shortest text takes.
    """
    needed = store.matcher().tokens_to_finish()
    if needed > max_new_tokens:
        raise BudgetError(needed, max_new_tokens)


def _read(state: _State, generated: Ids, start: int) -> _State:
    """The state after `generated[start:]`, where `state` has read what is before."""
    if isinstance(state, _Forbidden) or state.is_terminated():
        return state
    matcher = state.fork()
    for position in range(start, len(generated)):
        token = int(generated[position])
        if not matcher.accept_token(token):
            return _Forbidden(position, token, matcher.text)
        if matcher.is_terminated():
            break
    return matcher


def _lengths(prompt_length: int | Sequence[int], ids: Ids) -> Sequence[int]:
    """P of each row of ids int64[B, N]."""
    n_rows, width = ids.shape
    given = [prompt_length] if isinstance(prompt_length, int) else [int(p) for p in prompt_length]
    if not given or n_rows % len(given):
        raise PromptError(
            f"prompt_length names {len(given)} prompts and there are {n_rows} rows; name as "
            f"many as the batch has, before beams and returned sequences repeat them"
        )
    if not 0 <= min(given) <= max(given) <= width:
        raise PromptError(
            f"prompt_length is {prompt_length} and a row has {width} ids; give the length "
            f"of the input_ids that generation starts from"
        )
    return [length for length in given for _ in range(n_rows // len(given))]


def _check_live(masked: Tensor, rows: Sequence[_Row], masks: Sequence[Mask | None]) -> None:
    """Refuse a live row whose scores are all -inf, where a choice would be arbitrary."""
    for row, dead in zip(rows, dead_rows(masked, masks), strict=True):
        if dead and not isinstance(row.state, _Forbidden):
            raise DeadEndError(
                row.state.text,
                "every token that the grammar allows had the score -inf already: another "
                "logits processor (min_new_tokens, bad_words_ids, suppress_tokens, "
                "no_repeat_ngram_size, top_k before the grammar) forbids them; drop it",
            )


def _width(vocabulary: Vocabulary) -> int:
    """One past the highest id that a mask may ever allow."""
    written = (i for i in range(vocabulary.size - 1, -1, -1) if vocabulary.tokens[i])
    return 1 + max(next(written, 0), *vocabulary.end_ids)
