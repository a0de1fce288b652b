"""`infill`: a model writes the middle between a prefix and a suffix.

prefix, suffix ─► ids in the model's layout ─► the seam healed ─► model.generate ─► checked middle

A grammar is of prefix, middle and suffix together: the text returned is of it, or there is none,
and the result says why.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessorList, StoppingCriteriaList

from constrain.compiler import MaskStore
from constrain.errors import InfillError, TokenNotAllowedError
from constrain.fim.formats import FimFormat
from constrain.fim.healing import FreeText, Healed, MiddleMatcher
from constrain.fim.suffix import (
    BrokenPrefix,
    Middle,
    NoLegalStop,
    NothingJoins,
    SuffixMatcher,
    open_middle,
)
from constrain.generation.fim import FimPrompt, FimPrompter
from constrain.generation.generate import (
    Pieces,
    StopWhen,
    pad_id,
    pad_left,
    store_of,
    vocabulary_of,
)
from constrain.generation.heal import Healer, Seam, rng_of_torch
from constrain.generation.memory import ModelReader
from constrain.generation.processor import GrammarLogitsProcessor, check_ends
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

Healing = Literal["exact", "mask", "none"]
Text = str | bytes
Problem = BrokenPrefix | NothingJoins | NoLegalStop

_ONE_ROW = ("num_beams", "num_return_sequences")
_NO_DRAFTS = ("assistant_model", "prompt_lookup_num_tokens")


@dataclass(frozen=True)
class Infilled:
    """What became of a hole.

    Attributes:
        prefix: the bytes before it.
        suffix: those behind it.
        middle: what was written in between; None where there is no legal one.
        problem: why there is none.
        parses: prefix, middle and suffix are a text of the grammar, read once more from its
            beginning; None without a grammar.
        stop: "end": the model ended the middle; "budget": `max_new_tokens` did.
        healed: the prefix's last bytes that the model spelled again.
        n_dropped: bytes that were written behind the middle and dropped.
        log_probability: of the tokens written, those of `healed` too, by the model without masks.
        masked_mass: how likely the model, without masks, would have left them somewhere on its way.
        n_tokens: that were written, the end token included.
        n_passes: forward passes of the whole batch.
        is_cut: the model saw the end of the prefix or the beginning of the suffix only.
    """

    prefix: bytes
    suffix: bytes
    middle: bytes | None
    problem: Problem | None = None
    parses: bool | None = None
    stop: Literal["end", "budget"] | None = None
    healed: bytes = b""
    n_dropped: int = 0
    log_probability: float = 0.0
    masked_mass: float = 0.0
    n_tokens: int = 0
    n_passes: int = 0
    is_cut: bool = False

    @property
    def whole(self) -> bytes:
        """Prefix, middle and suffix.

        Raises:
            InfillError: there is no middle; it says why.
        """
        if self.middle is None:
            raise InfillError(str(self.problem))
        return self.prefix + self.middle + self.suffix

    @property
    def text(self) -> str:
        """`whole` as characters; bytes that are none are replaced.

        Raises:
            InfillError: as of `whole`.
        """
        return self.whole.decode(errors="replace")


@overload
def infill(
    model: Any,
    tokenizer: Any,
    prefix: Text,
    suffix: Text,
    grammar: AnyGrammar | MaskStore | str | None = None,
    *,
    stream: Literal[True],
    **options: Any,
) -> Iterator[str]: ...


@overload
def infill(
    model: Any,
    tokenizer: Any,
    prefix: Text,
    suffix: Text,
    grammar: AnyGrammar | MaskStore | str | None = None,
    **options: Any,
) -> Infilled: ...


@overload
def infill(
    model: Any,
    tokenizer: Any,
    prefix: Sequence[Text],
    suffix: Sequence[Text],
    grammar: AnyGrammar | MaskStore | str | None = None,
    **options: Any,
) -> list[Infilled]: ...


def infill(
    model: Any,
    tokenizer: Any,
    prefix: Text | Sequence[Text],
    suffix: Text | Sequence[Text],
    grammar: AnyGrammar | MaskStore | str | None = None,
    *,
    healing: Healing = "exact",
    layout: Literal["auto", "psm", "spm"] = "auto",
    fim: FimFormat | None = None,
    refuse: bool = True,
    max_new_tokens: int = 128,
    stream: bool = False,
    cache_dir: Path | str | None = None,
    **options: Any,
) -> Infilled | list[Infilled] | Iterator[str]:
    """Write the middle between a prefix and a suffix; either may be cut anywhere.

    Where the model's last tokens before the hole are taken back and spelled again (`healing`):

    - "exact": one way to spell them is drawn with its probability, once; from there on the model
      goes on. So the texts are those of the model conditioned on the prefix's bytes.
    - "mask": tokens are chosen one by one among those that spell them. Cheaper, and biased: it
      pays no heed to how likely the rest of the bytes is behind a token.
    - "none": the prefix's tokens are as the tokenizer cuts them.

    Args:
        model: a causal language model of transformers, trained to fill in middles.
        tokenizer: its fast tokenizer; it is only read.
        prefix: what stands before the hole: text or bytes; or several, each with its suffix.
        suffix: what stands behind it.
        grammar: of prefix, middle and suffix together: a grammar, a store compiled for the
            `fim_vocabulary` of this tokenizer, or a built-in's name; None: any text.
        healing: see above.
        layout: "psm" or "spm", see `FimFormat`; "auto": SPM where the model knows it.
        fim: the model's sentinels; None: they are known by the tokenizer.
        refuse: refuse tokens from which nothing leads to the suffix; False: only the end of the
            middle is gated by it.
        max_new_tokens: to be written at most, the end token included. Where they do not suffice
            the middle is cut at its last legal end.
        stream: return the pieces of the middle as they come, each once it is surely part of
            it. For one hole.
        cache_dir: a folder in which compiled stores are kept.
        **options: for `model.generate`: `do_sample`, `temperature`, ... Beams, several
            sequences a prompt and drafts are not for middles.

    Returns:
        What became of the hole; a list for several; an iterator over pieces with `stream`.

    Raises:
        FimFormatError: how to ask this model for a middle is not known.
        SuffixError: the vocabulary cannot spell the suffix.
        InfillError: `stream`, and there is no legal middle.
        ContextLengthError: `max_new_tokens` are more than the model reads.
        VocabularyError: the store is of another tokenizer, or a text cannot be spelled.
        DeadEndError: another logits processor in `options` forbids all that may come.
    """
    if healing not in ("exact", "mask", "none"):
        raise ValueError(f"healing is {healing!r}; it is 'exact', 'mask' or 'none'")
    _check_options(model, options)
    is_single = isinstance(prefix, str | bytes)
    if isinstance(suffix, str | bytes) != is_single:
        raise ValueError("prefix and suffix are one text each, or lists of the same length")
    prefixes = [_bytes(text) for text in ([prefix] if isinstance(prefix, str | bytes) else prefix)]
    suffixes = [_bytes(text) for text in ([suffix] if isinstance(suffix, str | bytes) else suffix)]
    if len(prefixes) != len(suffixes):
        raise ValueError(f"there are {len(prefixes)} prefixes and {len(suffixes)} suffixes")
    if stream and not is_single:
        raise ValueError("a stream is of one hole")
    vocabulary = vocabulary_of(tokenizer, model.generation_config)
    prompter = FimPrompter(model, tokenizer, vocabulary, fim, layout)
    check_ends(prompter.vocabulary)
    store = None if grammar is None else store_of(grammar, prompter.vocabulary, cache_dir)
    tasks = []
    for before, behind in zip(prefixes, suffixes, strict=True):
        prompt = prompter.prompt(before, behind, heals=healing != "none", n_new=max_new_tokens)
        tasks.append(_open(store, prompter.vocabulary, before, behind, prompt, refuse=refuse))
    request = _Request(model, tokenizer, store, prompter.vocabulary, tasks, max_new_tokens, options)
    if stream:
        return _stream(request, healing)
    results = request.run(healing)
    return results[0] if is_single else results


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def _check_options(model: Any, options: dict[str, Any]) -> None:
    config = options.get("generation_config") or model.generation_config
    for name in _ONE_ROW:
        number = options.get(name) or getattr(config, name, None) or 1
        if number > 1:
            raise ValueError(f"{name} is {number}, and a hole is filled once; pass {name}=1")
    for name in _NO_DRAFTS:
        if options.get(name) or getattr(config, name, None):
            raise ValueError(f"{name} drafts tokens, which middles are not written by; drop it")


@dataclass(frozen=True)
class _Task:
    """One hole.

    Attributes:
        prompt: what the model reads before it.
        start: a matcher at its beginning; or why there is nothing to write.
        early: one that stands before the pending bytes; None where there are none.
    """

    prefix: bytes
    suffix: bytes
    prompt: FimPrompt
    start: MiddleMatcher | Problem
    early: MiddleMatcher | None

    def mask_at(self, place: int) -> NDArray[np.int32]:
        """int32[W]: what may come behind so many of the pending bytes."""
        assert self.early is not None
        ahead = self.early.fork()
        if place and not ahead.accept_bytes(self.prompt.pending[:place]):
            raise AssertionError("the prefix was read before, and now is refused")
        return ahead.mask()


def _open(
    store: MaskStore | None,
    vocabulary: Vocabulary,
    prefix: bytes,
    suffix: bytes,
    prompt: FimPrompt,
    *,
    refuse: bool,
) -> _Task:
    n_pending = len(prompt.pending)
    before = prefix[: len(prefix) - n_pending]
    if store is None:
        start, early = FreeText(vocabulary, prefix), FreeText(vocabulary, before)
        return _Task(prefix, suffix, prompt, start, early)
    opened = open_middle(store, prefix, suffix, refuse=refuse, past_stop=True)
    if not n_pending or not isinstance(opened, SuffixMatcher):
        return _Task(prefix, suffix, prompt, opened, None)
    earlier = open_middle(store, before, suffix, refuse=refuse)
    assert isinstance(earlier, SuffixMatcher)  # what joins behind the prefix joins before its end
    return _Task(prefix, suffix, prompt, opened, earlier)


@dataclass(frozen=True)
class _Row:
    """One row that `model.generate` continues.

    Attributes:
        ids: the model's prompt, the tokens over the seam included.
        start: the matcher of what follows.
        seam: those tokens; None where the mask chooses them.
    """

    task: _Task
    ids: tuple[int, ...]
    start: MiddleMatcher
    seam: Seam | None


@dataclass(frozen=True)
class _Request:
    """One call of `infill`, prepared."""

    model: Any
    tokenizer: Any
    store: MaskStore | None
    vocabulary: Vocabulary
    tasks: list[_Task]
    max_new_tokens: int
    options: dict[str, Any]

    def run(self, healing: Healing) -> list[Infilled]:
        """Fill all holes."""
        reader = self.reader()
        return self.fill(self.rows(healing, reader), reader)

    def reader(self) -> ModelReader:
        """The model, as it samples."""
        return ModelReader(self.model, temperature=self._temperature())

    def fill(
        self, rows: list[_Row | Infilled], reader: ModelReader, **options: Any
    ) -> list[Infilled]:
        """Write what is lacking of each row."""
        live = [row for row in rows if isinstance(row, _Row)]
        if not live:
            return [row for row in rows if isinstance(row, Infilled)]
        watch, call = self._call(live, reader)
        ids = call(**options)
        ids = getattr(ids, "sequences", ids)
        watch.end(ids)
        written = iter(enumerate(ids[:, watch.width :].tolist()))
        return [
            row if isinstance(row, Infilled) else self._result(row, *next(written), watch, reader)
            for row in rows
        ]

    def rows(self, healing: Healing, reader: ModelReader) -> list[_Row | Infilled]:
        """What is to be continued of each hole, or its end where there is nothing to write."""
        open_tasks = [task for task in self.tasks if not isinstance(task.start, Problem)]
        seams: dict[int, Seam | None] = {}
        if healing == "exact" and open_tasks:
            healer = Healer(reader, self.vocabulary)
            found = healer.heal(
                [task.prompt.context for task in open_tasks],
                [task.prompt.pending for task in open_tasks],
                [task.mask_at for task in open_tasks],
                rng_of_torch() if self._samples() else None,
            )
            seams = {id(task): seam for task, seam in zip(open_tasks, found, strict=True)}
        return [self._row(task, healing, seams.get(id(task))) for task in self.tasks]

    def _row(self, task: _Task, healing: Healing, seam: Seam | None) -> _Row | Infilled:
        start, prompt = task.start, task.prompt
        if isinstance(start, Problem):
            return Infilled(task.prefix, task.suffix, None, start, is_cut=prompt.is_cut)
        if healing == "exact" and seam is not None:
            ahead = start.fork()
            if seam.past and not ahead.accept_bytes(seam.past):
                raise AssertionError(f"{seam.past!r} was allowed, and now is refused")
            return _Row(task, prompt.context + seam.tokens, ahead, seam)
        if task.early is not None and prompt.pending:
            healed = Healed(task.early, start, prompt.pending, self.vocabulary)
            return _Row(task, prompt.context, healed, None)
        return _Row(task, prompt.context, start, None)

    def _call(self, rows: list[_Row], reader: ModelReader) -> tuple[_Watch, Any]:
        """The call of `model.generate`, and what watches it."""
        pad = pad_id(self.tokenizer, list(self.vocabulary.end_ids))
        input_ids, attention_mask = pad_left([row.ids for row in rows], pad)
        store = FreeText(self.vocabulary) if self.store is None else self.store
        width = input_ids.shape[1]
        watch = _Watch(store, width, [row.start for row in rows])
        options = dict(self.options)
        cache = self._cache(rows, reader)
        if cache is not None:
            options["past_key_values"] = cache
        given = options.pop("logits_processor", None) or ()
        call = partial(
            self.model.generate,
            input_ids=input_ids.to(self.model.device),
            attention_mask=attention_mask.to(self.model.device),
            max_new_tokens=self.max_new_tokens,
            eos_token_id=list(self.vocabulary.end_ids),
            pad_token_id=pad,
            logits_processor=LogitsProcessorList([*given, watch]),
            **options,
        )
        return watch, call

    def _cache(self, rows: list[_Row], reader: ModelReader) -> Any:
        """What healing has read of all rows but their last ids; None where it was not used."""
        seams = [row.seam for row in rows if row.seam is not None]
        lengths = [len(row.ids) - 1 for row in rows]
        if len(seams) < len(rows) or min(lengths) == 0:
            return None
        if self._option("cache_implementation") or self._option("use_cache") is False:
            return None
        return reader.cache_of_batch([seam.memory for seam in seams], lengths)

    def _result(
        self, row: _Row, index: int, ids: list[int], watch: _Watch, reader: ModelReader
    ) -> Infilled:
        task, matcher = row.task, row.start.fork()
        n_tokens = 0
        for place, token in enumerate(ids):
            if matcher.is_terminated():
                break
            if not matcher.accept_token(token):
                raise TokenNotAllowedError(
                    index, place, token, matcher.text, "transformers was told not to return it"
                )
            n_tokens += 1
        became = matcher.finish()
        middle = became.text if isinstance(became, Middle) else None
        log_probability, log_kept = watch.log_probability[index], watch.log_kept[index]
        if row.seam is not None:
            log_probability += row.seam.log_probability
            log_kept += row.seam.log_kept
            n_tokens += len(row.seam.tokens)
        return Infilled(
            task.prefix,
            task.suffix,
            middle,
            None if isinstance(became, Middle) else became,
            None if middle is None else self._parses(task.prefix + middle + task.suffix),
            "end" if matcher.is_terminated() else "budget",
            task.prompt.pending,
            became.n_dropped if isinstance(became, Middle) else 0,
            log_probability,
            float(-np.expm1(log_kept)),
            n_tokens,
            watch.n_calls + reader.n_passes,
            task.prompt.is_cut,
        )

    def _parses(self, text: bytes) -> bool | None:
        if self.store is None:
            return None
        matcher = self.store.matcher()
        return (not text or matcher.accept_bytes(text)) and matcher.is_accepting()

    def _option(self, name: str) -> Any:
        config = self.options.get("generation_config") or self.model.generation_config
        given = self.options.get(name)
        return getattr(config, name, None) if given is None else given

    def _samples(self) -> bool:
        return bool(self._option("do_sample"))

    def _temperature(self) -> float:
        return float(self._option("temperature") or 1.0) if self._samples() else 1.0


class _Watch(GrammarLogitsProcessor):
    """The masks, and what the model would have done without them.

    Attributes:
        width: ids of a row before what is generated.
        n_calls: so many steps.
        log_probability: of each row's tokens, by the model without masks.
        log_kept: of each row, the logarithm of the mass that the masks left, over all steps.
    """

    def __init__(self, store: Any, width: int, starts: Sequence[MiddleMatcher]) -> None:
        super().__init__(store, starts=starts, prompt_length=width)
        self.width = width
        self.n_calls = 0
        self.log_probability = [0.0] * len(starts)
        self.log_kept = [0.0] * len(starts)
        self._last: Tensor | None = None
        self._is_live = [True] * len(starts)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores, -inf where a token may not come."""
        self._settle(input_ids)
        masked = super().__call__(input_ids, scores)
        before = torch.logsumexp(scores.float(), -1)
        kept = (torch.logsumexp(masked.float(), -1) - before).tolist()
        for row, log in enumerate(kept):
            if self._is_live[row]:
                self.log_kept[row] += min(0.0, log)
        self._last = scores.float() - before[:, None]
        self.n_calls += 1
        return masked

    def end(self, ids: Tensor) -> None:
        """Nothing more comes; `ids` is all that was returned."""
        self._settle(ids)

    def _settle(self, ids: Tensor) -> None:
        """Account for the last token of each row."""
        if self._last is None or ids.shape[1] <= self.width:
            return
        chosen = ids[:, -1]
        logs = self._last.gather(1, chosen[:, None]).squeeze(1).tolist()
        ends = self.store.vocabulary.end_ids
        for row, (token, log) in enumerate(zip(chosen.tolist(), logs, strict=True)):
            if self._is_live[row]:
                self.log_probability[row] += log
                self._is_live[row] = token not in ends
        self._last = None


def _stream(request: _Request, healing: Healing) -> Iterator[str]:
    """The pieces of a middle, generated in another thread while they are read.

    An error in the thread is raised here. Closing the iterator stops the thread.
    """
    reader = request.reader()
    (row,) = rows = request.rows(healing, reader)
    if isinstance(row, Infilled):
        raise InfillError(str(row.problem))
    pieces, closed = Pieces(), Event()
    criteria = StoppingCriteriaList(
        [*(request.options.pop("stopping_criteria", None) or ()), StopWhen(closed)]
    )

    def finished(_: Future[Any]) -> None:
        pieces.queue.put(None)

    follower = _Follower(row.start.fork())
    with ThreadPoolExecutor(max_workers=1) as thread:
        future = thread.submit(
            request.fill, rows, reader, streamer=pieces, stopping_criteria=criteria
        )
        future.add_done_callback(finished)
        try:
            if piece := follower.piece():
                yield piece
            while (ids := pieces.queue.get()) is not None:
                if piece := follower.read(ids):
                    yield piece
        finally:
            closed.set()
        (result,) = future.result()
    if result.middle is None:
        raise InfillError(str(result.problem))


class _Follower:
    """Says what of a middle is surely part of it: up to the last place where it may end."""

    def __init__(self, matcher: MiddleMatcher) -> None:
        self._matcher = matcher
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._n_told = 0

    def read(self, ids: list[int]) -> str:
        """The characters that are final with some more ids."""
        for token in ids:
            if not self._matcher.is_terminated():
                self._matcher.accept_token(token)
        return self.piece()

    def piece(self) -> str:
        """The characters that are final and were not told yet."""
        became = self._matcher.finish()
        if not isinstance(became, Middle):
            return ""
        new, self._n_told = became.text[self._n_told :], len(became.text)
        return self._decoder.decode(new)
