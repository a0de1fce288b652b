"""`generate`: prompts to texts, streams, budgets and refusals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    MaxTimeCriteria,
    PreTrainedTokenizerFast,
    StoppingCriteriaList,
)

import constrain
from constrain import Grammar, MaskStore, Production, Terminal, Vocabulary
from constrain.errors import (
    BudgetError,
    DeadEndError,
    TokenNotAllowedError,
    UnfinishedError,
    VocabularyError,
)
from constrain.generation import generate as module
from constrain.generation.generate import generate

PROMPTS = ["hello (a(b", "(((", "x", ""]


@pytest.fixture
def write(model: Any, tokenizer: PreTrainedTokenizerFast, store: MaskStore) -> Callable[..., Any]:
    def write(prompt: Any, **options: Any) -> Any:
        return generate(model, tokenizer, prompt, store, **options)

    return write


def test_one_prompt_gives_a_text_and_several_a_list(
    write: Callable[..., Any], is_group: Callable[[str], bool]
) -> None:
    one = write(PROMPTS[0], max_new_tokens=20)
    assert is_group(one)
    many = write(PROMPTS, max_new_tokens=20)
    assert many == [write(prompt, max_new_tokens=20) for prompt in PROMPTS]
    assert many[0] == one
    assert write(PROMPTS[:1], max_new_tokens=20) == [one]


def test_several_texts_of_a_prompt_are_a_list(
    write: Callable[..., Any], is_group: Callable[[str], bool]
) -> None:
    options = {"do_sample": True, "num_return_sequences": 3, "max_new_tokens": 20}
    assert len(write(PROMPTS[0], **options)) == 3
    texts = write(PROMPTS[:2], **options)
    assert len(texts) == 6
    assert all(map(is_group, texts))


def test_a_tokenizer_without_padding_token_serves_and_is_left_as_it_is(
    model: Any, tokenizer: PreTrainedTokenizerFast, store: MaskStore
) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>")
    texts = generate(model, bare, PROMPTS, store, max_new_tokens=20)
    assert texts == generate(model, tokenizer, PROMPTS, store, max_new_tokens=20)
    assert bare.pad_token is None
    assert bare.padding_side == "right"


def test_a_grammar_is_compiled_once_for_a_tokenizer(
    monkeypatch: pytest.MonkeyPatch,
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    store: MaskStore,
    grammar: Grammar,
) -> None:
    calls = []

    def compile_store(*arguments: Any) -> MaskStore:
        calls.append(arguments)
        return store

    monkeypatch.setattr(module, "compile_store", compile_store)
    for _ in range(3):
        text = generate(model, tokenizer, "a", grammar, max_new_tokens=20)
    assert text == generate(model, tokenizer, "a", store, max_new_tokens=20)
    assert len(calls) == 1


def test_a_built_in_grammar_is_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    store: MaskStore,
    grammar: Grammar,
) -> None:
    monkeypatch.setattr(module, "builtin", {"groups": grammar}.__getitem__)
    text = generate(model, tokenizer, "a", "groups", max_new_tokens=20)
    assert text == generate(model, tokenizer, "a", store, max_new_tokens=20)


# --- budget


@pytest.mark.parametrize("budget", [2, 3, 4, 7])
def test_every_sample_is_whole_and_within_a_tight_budget(
    write: Callable[..., Any],
    tokenizer: PreTrainedTokenizerFast,
    is_group: Callable[[str], bool],
    budget: int,
) -> None:
    torch.manual_seed(budget)
    texts = write(
        PROMPTS[:2],
        max_new_tokens=budget,
        do_sample=True,
        temperature=3.0,
        num_return_sequences=25,
    )
    assert len(texts) == 50
    assert all(map(is_group, texts))
    if budget > 3:
        assert len(set(texts)) > 5


def test_a_budget_too_small_is_refused_before_the_model_runs(
    model: Any, tokenizer: PreTrainedTokenizerFast
) -> None:
    grammar = Grammar(
        terminals=(Terminal("WORD", "xyxyx"),),
        productions=(Production("start", ("WORD",)),),
        start="start",
    )

    class Untouchable:
        generation_config = model.generation_config

    for stream in (False, True):
        with pytest.raises(BudgetError) as caught:
            generate(Untouchable(), tokenizer, "a", grammar, max_new_tokens=5, stream=stream)
        assert (caught.value.needed, caught.value.given) == (6, 5)
    assert generate(model, tokenizer, "a", grammar, max_new_tokens=6) == "xyxyx"


def test_without_finish_a_text_may_be_cut_but_never_wrong(
    write: Callable[..., Any], store: MaskStore
) -> None:
    cut = write(PROMPTS[0], max_new_tokens=1, finish=False)
    assert cut
    assert store.matcher().accept_bytes(cut.encode())
    torch.manual_seed(0)
    for text in write(
        PROMPTS[0], max_new_tokens=4, finish=False, do_sample=True, num_return_sequences=20
    ):
        assert store.matcher().accept_bytes(text.encode())


def test_a_cut_inside_a_character_drops_its_first_bytes(
    model: Any, tokenizer: PreTrainedTokenizerFast
) -> None:
    grammar = Grammar(
        terminals=(Terminal("WORD", "é"),),
        productions=(Production("start", ("WORD",)),),
        start="start",
    )
    assert generate(model, tokenizer, "a", grammar, max_new_tokens=1, finish=False) == ""
    assert generate(model, tokenizer, "a", grammar, max_new_tokens=2, finish=False) == "é"
    assert generate(model, tokenizer, "a", grammar, max_new_tokens=3) == "é"


def test_a_stopping_criterion_that_cuts_a_promised_text_is_an_error(
    write: Callable[..., Any],
) -> None:
    stop = {"stopping_criteria": StoppingCriteriaList([MaxTimeCriteria(0.0)])}
    with pytest.raises(UnfinishedError, match="stopping criterion") as caught:
        write(PROMPTS[0], max_new_tokens=20, **stop)
    assert caught.value.text
    assert write(PROMPTS[0], max_new_tokens=20, finish=False, **stop)
    with pytest.raises(UnfinishedError, match="stopping criterion"):
        list(write(PROMPTS[0], max_new_tokens=20, stream=True, **stop))
    assert list(write(PROMPTS[0], max_new_tokens=20, stream=True, finish=False, **stop))


# --- stream


@pytest.mark.parametrize(
    "options", [{}, {"prompt_lookup_num_tokens": 4}, {"do_sample": True}], ids=str
)
def test_the_pieces_of_a_stream_join_to_the_text(
    write: Callable[..., Any], options: dict[str, Any]
) -> None:
    for prompt in PROMPTS:
        torch.manual_seed(0)
        whole = write(prompt, max_new_tokens=20, **options)
        torch.manual_seed(0)
        pieces = list(write(prompt, max_new_tokens=20, stream=True, **options))
        assert "".join(pieces) == whole
        assert all(pieces)
        assert len(pieces) > 1 or len(whole) < 3


def test_a_piece_comes_before_the_text_is_finished(model: Any, write: Callable[..., Any]) -> None:
    may_go_on = threading.Event()
    passes = []

    def wait(*_: Any) -> None:
        passes.append(None)
        if len(passes) > 1:
            may_go_on.wait(timeout=20)

    handle = model.register_forward_pre_hook(wait)
    try:
        pieces = write(PROMPTS[0], max_new_tokens=20, stream=True)
        first = next(pieces)
        assert len(passes) <= 2
        may_go_on.set()
        assert first + "".join(pieces) == write(PROMPTS[0], max_new_tokens=20)
    finally:
        handle.remove()


def test_characters_of_several_tokens_come_whole(
    model: Any, tokenizer: PreTrainedTokenizerFast
) -> None:
    grammar = Grammar(
        terminals=(Terminal("WORD", "é€𝄞!"),),
        productions=(Production("start", ("WORD",)),),
        start="start",
    )
    pieces = generate(model, tokenizer, "a", grammar, max_new_tokens=20, stream=True)
    assert list(pieces) == ["é", "€", "𝄞", "!"]


class _Breaks(LogitsProcessor):
    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] > 14:
            raise ZeroDivisionError("in the thread")
        return scores


def test_an_error_in_the_thread_of_a_stream_reaches_the_reader(
    write: Callable[..., Any],
) -> None:
    seen = []
    with pytest.raises(ZeroDivisionError, match="in the thread"):
        for piece in write(
            "hello hello", max_new_tokens=20, stream=True, logits_processor=[_Breaks()]
        ):
            seen.append(piece)  # noqa: PERF402 - what came before the error is wanted
    assert seen
    with pytest.raises(DeadEndError):
        list(write("a", max_new_tokens=20, min_new_tokens=20, stream=True))


def test_a_stream_that_is_closed_stops_its_thread(model: Any, write: Callable[..., Any]) -> None:
    before = threading.active_count()
    passes = []
    handle = model.register_forward_pre_hook(lambda *_: passes.append(None))
    try:
        pieces = write(PROMPTS[0], max_new_tokens=200, finish=False, stream=True)
        next(pieces)
        pieces.close()
    finally:
        handle.remove()
    assert threading.active_count() == before
    assert len(passes) < 200


def test_a_stream_is_of_one_prompt(write: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="one prompt, not of 2"):
        write(PROMPTS[:2], stream=True)


def test_a_stream_is_of_one_text(write: Callable[..., Any]) -> None:
    """transformers would put the rows' tokens side by side, as if they were one text."""
    for options in (
        {"num_return_sequences": 2, "do_sample": True},
        {"num_beams": 2},
        {"generation_config": GenerationConfig(num_return_sequences=2, do_sample=True)},
    ):
        with pytest.raises(ValueError, match=r"of one text: num_\w+ is 2"):
            write("a", stream=True, **options)


# --- refusals


def test_an_assistant_of_another_tokenizer_is_refused(write: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="shares the tokenizer"):
        write("a", assistant_model=object(), assistant_tokenizer=object())


class Stubborn:
    """A model that returns what it was told not to."""

    device = torch.device("cpu")

    def __init__(self, model: Any, *generated: list[int]) -> None:
        self.generation_config = model.generation_config
        self.generated = generated

    def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        prompts = input_ids.repeat_interleave(len(self.generated) // len(input_ids), dim=0)
        return torch.cat([prompts, torch.tensor(self.generated)], dim=1)


def test_a_row_that_is_no_text_is_an_error_and_no_wrong_text(
    model: Any, tokenizer: PreTrainedTokenizerFast, store: MaskStore
) -> None:
    """A beam search that finds too few texts returns rows of padding."""
    end, pad = 0, 2
    whole = [tokenizer.convert_tokens_to_ids("()"), end]
    with pytest.raises(TokenNotAllowedError, match=r"row 1: .*num_return_sequences") as caught:
        generate(Stubborn(model, whole, [pad, pad]), tokenizer, "a", store)
    assert (caught.value.row, caught.value.position, caught.value.token) == (1, 0, pad)
    with pytest.raises(UnfinishedError):
        generate(Stubborn(model, [tokenizer.convert_tokens_to_ids("(")]), tokenizer, "a", store)
    assert generate(Stubborn(model, whole, whole), tokenizer, ["a", "b"], store) == ["()", "()"]


def test_beams_that_find_too_few_texts_write_no_wrong_text(write: Callable[..., Any]) -> None:
    """Which of the two happens hangs on ties between beams of no probability."""
    beams = {"max_new_tokens": 2, "num_beams": 3, "num_return_sequences": 3}
    for length_penalty in (0.0, 1.0):
        try:
            texts = write("a", length_penalty=length_penalty, **beams)
        except TokenNotAllowedError:
            continue
        assert texts == ["()"] * 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("finish", [False, True])
def test_a_vocabulary_without_end_token_is_refused_before_the_model_runs(
    grammar: Grammar, vocabulary: Vocabulary, tokenizer: Any, finish: bool, stream: bool
) -> None:
    endless = Vocabulary(vocabulary.tokens, (), vocabulary.special_ids)
    store = constrain.compile(grammar, endless)
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)

    class Untouchable:
        generation_config = GenerationConfig()

    for prompt in ("", "a"):
        with pytest.raises(VocabularyError, match="no end token"):
            generate(Untouchable(), bare, prompt, store, finish=finish, stream=stream)


def test_a_store_of_another_tokenizer_is_refused(
    model: Any, tokenizer: PreTrainedTokenizerFast, grammar: Grammar, vocabulary: Vocabulary
) -> None:
    tokens = list(vocabulary.tokens)
    tokens[10], tokens[11] = tokens[11], tokens[10]
    for other in (tokens, [*vocabulary.tokens, b"more"], vocabulary.tokens[:-1]):
        store = constrain.compile(grammar, Vocabulary.from_tokens(other, vocabulary.end_ids))
        with pytest.raises(VocabularyError, match="another tokenizer"):
            generate(model, tokenizer, "a", store)


def test_other_end_tokens_than_the_models_may_be_chosen(
    model: Any, tokenizer: PreTrainedTokenizerFast, grammar: Grammar, vocabulary: Vocabulary
) -> None:
    store = constrain.compile(grammar, Vocabulary.from_tokens(vocabulary.tokens, [1]))
    seen = []

    class Watch(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            seen.append(input_ids[0, -1].item())
            return scores

    text = generate(model, tokenizer, "a", store, max_new_tokens=20, logits_processor=[Watch()])
    assert text == generate(model, tokenizer, "a", grammar, max_new_tokens=20)
    assert 0 not in seen[1:]


def test_no_prompts_give_no_texts(write: Callable[..., Any]) -> None:
    assert write([]) == []
