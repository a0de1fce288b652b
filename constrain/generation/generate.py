"""`generate`: a model, a prompt and a grammar become a text of the grammar.

prompt ─► ids, left-padded ─► model.generate with the processor ─► ids ─► checked text
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, Literal, overload

import torch
from torch import Tensor
from transformers import LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from constrain.compiler import MaskStore
from constrain.compiler import compile as compile_store
from constrain.errors import TokenNotAllowedError, UnfinishedError, VocabularyError
from constrain.generation.processor import GrammarLogitsProcessor, check_budget, check_ends
from constrain.grammar.builtin import builtin
from constrain.recent import Recent
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

_vocabularies: Recent[tuple[int, int, str], tuple[Any, Vocabulary]] = Recent(4)
_stores: Recent[tuple[str, str], MaskStore] = Recent(16)


@overload
def generate(
    model: Any,
    tokenizer: Any,
    prompt: str,
    grammar: AnyGrammar | MaskStore | str,
    *,
    max_new_tokens: int = 256,
    finish: bool = True,
    stream: Literal[True],
    cache_dir: Path | str | None = None,
    **options: Any,
) -> Iterator[str]: ...


@overload
def generate(
    model: Any,
    tokenizer: Any,
    prompt: str,
    grammar: AnyGrammar | MaskStore | str,
    *,
    max_new_tokens: int = 256,
    finish: bool = True,
    stream: Literal[False] = False,
    cache_dir: Path | str | None = None,
    **options: Any,
) -> str: ...


@overload
def generate(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[str],
    grammar: AnyGrammar | MaskStore | str,
    *,
    max_new_tokens: int = 256,
    finish: bool = True,
    stream: Literal[False] = False,
    cache_dir: Path | str | None = None,
    **options: Any,
) -> list[str]: ...


def generate(
    model: Any,
    tokenizer: Any,
    prompt: str | Sequence[str],
    grammar: AnyGrammar | MaskStore | str,
    *,
    max_new_tokens: int = 256,
    finish: bool = True,
    stream: bool = False,
    cache_dir: Path | str | None = None,
    **options: Any,
) -> str | list[str] | Iterator[str]:
    """Write texts of the grammar after the prompts; the prompts are no part of them.

    Every text returned was read by a fresh matcher, token by token. Its bytes are those
    of its tokens: no clean-up is applied.

    Args:
        model: a causal language model of transformers.
        tokenizer: its fast tokenizer; it is only read.
        prompt: one prompt, or several, which are padded on the left.
        grammar: a grammar, a store compiled for this tokenizer, or a built-in's name.
        max_new_tokens: of each text, its end token included.
        finish: promise a whole text within `max_new_tokens`. Otherwise the text may be
            cut off; what there is can always be completed.
        stream: return the pieces of the text as they come, each as soon as it is final.
            For one prompt and one text.
        cache_dir: a folder in which compiled stores are kept.
        **options: for `model.generate`: `do_sample`, `num_beams`, `num_return_sequences`,
            `assistant_model`, `prompt_lookup_num_tokens`, ...

    Returns:
        The text of one prompt; a list for several prompts or several texts each, those of
        the first prompt first; an iterator over pieces with `stream`.

    Raises:
        BudgetError: before the first token: no text fits into `max_new_tokens`.
        VocabularyError: the store is of another tokenizer, or there is no end token.
        UnfinishedError: a stopping criterion in `options` cut a text that was promised.
        TokenNotAllowedError: transformers returned a text that it was told not to write.
        DeadEndError: another logits processor in `options` forbids all the grammar allows.
    """
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if stream:
        _check_stream(model, prompts, options)
    store = store_of(grammar, vocabulary_of(tokenizer, model.generation_config), cache_dir)
    if not prompts:
        return []
    request = _request(
        model,
        tokenizer,
        prompts,
        store,
        max_new_tokens=max_new_tokens,
        finish=finish,
        options=options,
    )
    if stream:
        return _stream(request)
    texts = request.texts(request.run())
    return texts[0] if isinstance(prompt, str) and len(texts) == 1 else texts


def constrained_generate(
    model: Any,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: Any,
    store: MaskStore,
    finish: bool = True,
    **model_kwargs: Any,
) -> Any:
    """A decoding method for `model.generate(..., custom_generate=constrained_generate)`.

        model.generate(**inputs, custom_generate=constrained_generate, store=store)

    Greedy search, sampling, beams and prompt lookup, as the other arguments ask for. An
    assistant model and a streamer are not: transformers gives neither to such a method.

    Args:
        model: given by transformers, as everything else that is not listed here.
        input_ids: int64[B, N], the prompts.
        logits_processor: those asked for; the grammar's is put before the ones that
            narrow the distribution (temperature, top_k, ...).
        stopping_criteria: those asked for.
        generation_config: the complete configuration.
        store: of the grammar, over the model's vocabulary.
        finish: promise a whole text within the length asked for.
        **model_kwargs: for the model.

    Returns:
        What the decoding method of transformers returns.

    Raises:
        BudgetError: no text fits into the length asked for.
    """
    prompt_length = input_ids.shape[1]
    budget = generation_config.max_length - prompt_length
    processor = GrammarLogitsProcessor(
        store, prompt_length=prompt_length, max_new_tokens=budget if finish else None
    )
    decode = _decoding_method(model, generation_config)
    return decode(
        input_ids,
        logits_processor=_before_warpers(logits_processor, processor),
        stopping_criteria=stopping_criteria,
        generation_config=generation_config,
        **model_kwargs,
    )


def _decoding_method(model: Any, generation_config: Any) -> Any:
    if generation_config.prompt_lookup_num_tokens is not None:
        return model._assisted_decoding
    if generation_config.num_beams is not None and generation_config.num_beams > 1:
        return model._beam_search
    return model._sample


def _before_warpers(
    processors: LogitsProcessorList, processor: GrammarLogitsProcessor
) -> LogitsProcessorList:
    """`processor` before the first that keeps only the likeliest tokens.

    Behind them, the tokens kept might all be forbidden.
    """
    is_warper = [type(other).__name__.endswith("Warper") for other in processors]
    place = is_warper.index(True) if any(is_warper) else len(processors)
    return LogitsProcessorList([*processors[:place], processor, *processors[place:]])


@dataclass(frozen=True)
class _Request:
    """One call of `model.generate`, prepared.

    Attributes:
        run: make the call; takes more of its options.
        prompt_length: P of all rows.
    """

    store: MaskStore
    run: Any
    prompt_length: int
    finish: bool

    def texts(self, output: Any) -> list[str]:
        """The texts of what `model.generate` returned, checked."""
        rows = getattr(output, "sequences", output)[:, self.prompt_length :].tolist()
        texts = []
        for index, row in enumerate(rows):
            reader = _Reader(self.store, index)
            texts.append("".join(map(reader.read, row)))
            reader.close(finish=self.finish)
        return texts


class _Reader:
    """Turns generated ids into text, and checks every one of them."""

    def __init__(self, store: MaskStore, row: int = 0) -> None:
        self._matcher = store.matcher()
        self._tokens = store.vocabulary.tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._row = row
        self._position = 0

    def read(self, token: int) -> str:
        """The characters that `token` completes; padding after the end is none."""
        if self._matcher.is_terminated():
            return ""
        if not self._matcher.accept_token(token):
            raise TokenNotAllowedError(
                self._row,
                self._position,
                token,
                self._matcher.text,
                "transformers was told not to return it: a beam search returns such rows "
                "where it finds fewer texts than num_return_sequences; ask for fewer",
            )
        self._position += 1
        if self._matcher.is_terminated():
            return ""
        return self._decoder.decode(self._tokens[token])

    def close(self, *, finish: bool) -> None:
        """Nothing more comes. A cut inside a character drops its first bytes.

        Raises:
            UnfinishedError: `finish`, and the text is not whole.
        """
        if finish and not (self._matcher.is_terminated() or self._matcher.is_accepting()):
            raise UnfinishedError(
                self._matcher.text,
                "generation stopped before the text was whole: a stopping criterion "
                "(max_time, stop_strings, max_length) cut it; drop it, or pass finish=False",
            )


def _request(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    store: MaskStore,
    *,
    max_new_tokens: int,
    finish: bool,
    options: dict[str, Any],
) -> _Request:
    """Prepare the call.

    Raises:
        BudgetError: no text fits into `max_new_tokens`.
        VocabularyError: there is no end token.
    """
    if options.get("assistant_tokenizer") is not None:
        raise ValueError(
            "an assistant model of another tokenizer drafts ids that the grammar's mask does "
            "not speak of; use an assistant that shares the tokenizer"
        )
    check_ends(store.vocabulary)
    ends = list(store.vocabulary.end_ids)
    if finish:
        check_budget(store, max_new_tokens)
    encoded = [_encode(tokenizer, prompt, ends) for prompt in prompts]
    pad = pad_id(tokenizer, ends)
    input_ids, attention_mask = pad_left(encoded, pad)
    options = dict(options)
    processor = GrammarLogitsProcessor(
        store,
        prompt_length=input_ids.shape[1],
        max_new_tokens=max_new_tokens if finish else None,
    )
    run = partial(
        model.generate,
        input_ids=input_ids.to(model.device),
        attention_mask=attention_mask.to(model.device),
        max_new_tokens=max_new_tokens,
        eos_token_id=ends,
        pad_token_id=pad,
        logits_processor=LogitsProcessorList(
            [*(options.pop("logits_processor", None) or ()), processor]
        ),
        **options,
    )
    return _Request(store, run, input_ids.shape[1], finish)


def _encode(tokenizer: Any, prompt: str, ends: Sequence[int]) -> list[int]:
    """The ids of a prompt, at least one: a model cannot start from nothing."""
    ids: list[int] = tokenizer(prompt)["input_ids"]
    if ids:
        return ids
    first = tokenizer.bos_token_id
    return [ends[0] if first is None else first]


def pad_id(tokenizer: Any, ends: Sequence[int]) -> int:
    """Padding is masked, so that an end token serves where there is no padding token."""
    pad = tokenizer.pad_token_id
    return ends[0] if pad is None else int(pad)


def pad_left(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and attention mask, int64[B, N] both."""
    width = max(map(len, rows))
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    seen = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(seen)


class Pieces(BaseStreamer):
    """Hands the ids that `model.generate` puts to another thread."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[list[int] | None] = SimpleQueue()
        self._is_prompt = True

    def put(self, value: Tensor) -> None:
        """The prompt at first, then the ids chosen."""
        if not self._is_prompt:
            self.queue.put(value.flatten().tolist())
        self._is_prompt = False

    def end(self) -> None:
        """The end of the queue is told by the thread's own end, error or not."""


class StopWhen(StoppingCriteria):
    """Stops generation once an event is set."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """bool[B]: every row, or none."""
        return torch.full((len(input_ids),), self._event.is_set(), device=input_ids.device)


def _check_stream(model: Any, prompts: Sequence[str], options: dict[str, Any]) -> None:
    """Refuse what a stream cannot tell apart: it is of one text."""
    if len(prompts) != 1:
        raise ValueError(f"a stream is of one prompt, not of {len(prompts)}")
    for name in ("num_beams", "num_return_sequences"):
        config = options.get("generation_config") or model.generation_config
        number = options.get(name) or getattr(config, name, None) or 1
        if number > 1:
            raise ValueError(f"a stream is of one text: {name} is {number}; pass {name}=1")


def _stream(request: _Request) -> Iterator[str]:
    """The pieces of a text, generated in another thread while they are read.

    An error in the thread is raised here. Closing the iterator stops the thread.
    """
    pieces, closed = Pieces(), Event()
    criteria = StoppingCriteriaList(
        [*(request.run.keywords.get("stopping_criteria") or ()), StopWhen(closed)]
    )

    def finished(_: Future[Any]) -> None:
        pieces.queue.put(None)

    reader = _Reader(request.store)
    with ThreadPoolExecutor(max_workers=1) as thread:
        future = thread.submit(request.run, streamer=pieces, stopping_criteria=criteria)
        future.add_done_callback(finished)
        try:
            while (ids := pieces.queue.get()) is not None:
                if piece := "".join(map(reader.read, ids)):
                    yield piece
        finally:
            closed.set()
        future.result()
    reader.close(finish=request.finish)


def store_of(
    grammar: AnyGrammar | MaskStore | str, vocabulary: Vocabulary, cache_dir: Path | str | None
) -> MaskStore:
    """The store of a grammar, the last few of which are kept in memory."""
    if isinstance(grammar, MaskStore):
        _check_same(grammar.vocabulary, vocabulary)
        return grammar
    rules = builtin(grammar) if isinstance(grammar, str) else grammar
    key = (rules.fingerprint, vocabulary.fingerprint)
    store = _stores.get(key)
    if store is None:
        store = compile_store(rules, vocabulary, cache_dir)
        _stores.put(key, store)
    return store


def _check_same(compiled: Vocabulary, read: Vocabulary) -> None:
    """Refuse a store whose token ids write other bytes than the tokenizer's.

    End tokens may differ: they are for the caller to choose.
    """
    ours, theirs = compiled.tokens, read.tokens
    if ours == theirs:
        return
    for token in range(max(len(ours), len(theirs))):
        pair = [tokens[token] if token < len(tokens) else b"" for tokens in (ours, theirs)]
        if pair[0] != pair[1] and token not in compiled.end_ids + read.end_ids:
            raise VocabularyError(
                f"the store was compiled for another tokenizer: token {token} writes "
                f"{pair[0]!r} there and {pair[1]!r} here; compile the grammar for this one"
            )


def vocabulary_of(tokenizer: Any, generation_config: Any) -> Vocabulary:
    """The tokenizer's vocabulary, the last few of which are kept in memory.

    Each is kept with its tokenizer, so that no other can take over the identity.
    """
    key = (id(tokenizer), len(tokenizer), repr(generation_config.eos_token_id))
    known = _vocabularies.get(key)
    if known is None:
        known = tokenizer, Vocabulary.from_tokenizer(tokenizer, generation_config)
        _vocabularies.put(key, known)
    return known[1]
