"""The processor inside `model.generate`, one test for each way of decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from constrain import MaskStore
from constrain.errors import DeadEndError
from constrain.generation.generate import constrained_generate
from constrain.generation.processor import GrammarLogitsProcessor

END, STOP, PAD = 0, 1, 2
PROMPTS = ["hello (a(b", "(((", "x"]
BUDGET = 24

IsGroup = Callable[[str], bool]


@contextmanager
def counted_forwards(model: Any) -> Iterator[list[int]]:
    """The number of forward passes so far, as a list of one."""
    count = [0]

    def hook(*_: Any) -> None:
        count[0] += 1

    handle = model.register_forward_pre_hook(hook)
    try:
        yield count
    finally:
        handle.remove()


@pytest.fixture
def run(
    model: Any, store: MaskStore, tokenizer: PreTrainedTokenizerFast
) -> Callable[..., list[str]]:
    """`model.generate` with a grammar, from prompts to checked texts."""

    def run(*prompts: str, learned: bool = False, **options: Any) -> list[str]:
        inputs = tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left")
        length = inputs["input_ids"].shape[1]
        processor = options.pop("processor", None) or GrammarLogitsProcessor(
            store, prompt_length=None if learned else length, max_new_tokens=BUDGET
        )
        output = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            logits_processor=[processor],
            max_new_tokens=BUDGET,
            **options,
        )
        return [whole_text(store, row[length:]) for row in output]

    return run


def whole_text(store: MaskStore, generated: Tensor) -> str:
    """The text of generated ids, which must be whole, ended, and then only padded."""
    matcher = store.matcher()
    ids = generated.tolist()
    ended = next(i for i, token in enumerate(ids) if token in (END, STOP))
    assert all(map(matcher.accept_token, ids[: ended + 1]))
    assert matcher.is_terminated()
    assert set(ids[ended + 1 :]) <= {END, STOP, PAD}
    return matcher.text.decode()


@pytest.mark.parametrize("learned", [False, True], ids=["given", "learned"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True},
        {"do_sample": True, "temperature": 2.0, "top_k": 3, "top_p": 0.5},
        {"num_beams": 3},
        {"num_beams": 3, "do_sample": True},
        {"num_beams": 4, "num_return_sequences": 2},
        {"do_sample": True, "num_return_sequences": 3},
        {"cache_implementation": "static"},
        {"use_cache": False},
        {"repetition_penalty": 1.3},
        {"prompt_lookup_num_tokens": 4},
        {"prompt_lookup_num_tokens": 4, "do_sample": True},
    ],
    ids=str,
)
def test_every_way_of_decoding_writes_whole_texts(
    run: Callable[..., list[str]], is_group: IsGroup, options: dict[str, Any], learned: bool
) -> None:
    torch.manual_seed(0)
    prompts = PROMPTS[:1] if "prompt_lookup_num_tokens" in options else PROMPTS
    texts = run(*prompts, learned=learned, **options)
    assert len(texts) == len(prompts) * options.get("num_return_sequences", 1)
    assert all(map(is_group, texts))


def test_sampling_is_reproducible_and_various(run: Callable[..., list[str]]) -> None:
    texts = set()
    for seed in range(8):
        torch.manual_seed(seed)
        first = run(PROMPTS[0], do_sample=True)
        torch.manual_seed(seed)
        assert run(PROMPTS[0], do_sample=True) == first
        texts.update(first)
    assert len(texts) > 1


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_a_left_padded_batch_equals_its_rows_alone(
    run: Callable[..., list[str]], options: dict[str, Any]
) -> None:
    together = run(*PROMPTS, **options)
    assert together == [run(prompt, **options)[0] for prompt in PROMPTS]
    assert len(set(together)) > 1


def test_a_static_cache_writes_what_a_dynamic_one_does(run: Callable[..., list[str]]) -> None:
    assert run(PROMPTS[0], cache_implementation="static") == run(PROMPTS[0])


def test_beams_are_at_least_as_likely_as_greedy_search(
    model: Any, store: MaskStore, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Reordered beams that read each other's matchers would lose likelihood or validity."""
    inputs = tokenizer(PROMPTS[0], return_tensors="pt")
    length = inputs["input_ids"].shape[1]

    def best(n_beams: int) -> float:
        output = model.generate(
            **inputs,
            logits_processor=[
                GrammarLogitsProcessor(store, prompt_length=length, max_new_tokens=8)
            ],
            max_new_tokens=8,
            num_beams=n_beams,
            length_penalty=0.0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        whole_text(store, output.sequences[0][length:])
        return log_likelihood(model, output.sequences[:1], length)

    assert best(6) >= best(1) - 1e-4


def log_likelihood(model: Any, sequence: Tensor, prompt_length: int) -> float:
    ended = next(
        i for i, token in enumerate(sequence[0]) if i >= prompt_length and token in (END, STOP)
    )
    with torch.no_grad():
        logits = model(sequence[:, : ended + 1]).logits[0].log_softmax(-1)
    places = range(prompt_length, ended + 1)
    return sum(float(logits[i - 1, sequence[0, i]]) for i in places)


def test_more_beams_than_continuations_return_no_row_that_is_not_a_text(
    model: Any, store: MaskStore, tokenizer: PreTrainedTokenizerFast
) -> None:
    """With a budget of 2 there is one text only, so beams of probability zero are carried."""
    inputs = tokenizer(PROMPTS[0], return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    for do_sample in (False, True):
        processor = GrammarLogitsProcessor(store, prompt_length=length, max_new_tokens=2)
        output = model.generate(
            **inputs,
            logits_processor=[processor],
            max_new_tokens=2,
            num_beams=5,
            do_sample=do_sample,
        )
        assert whole_text(store, output[0][length:]) == "()"


# --- drafts


@pytest.mark.parametrize("n_tokens", [1, 3, 10])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompt_lookup_writes_the_undrafted_text(
    run: Callable[..., list[str]], prompt: str, n_tokens: int
) -> None:
    assert run(prompt, prompt_lookup_num_tokens=n_tokens) == run(prompt)


def test_prompt_lookup_takes_fewer_forwards(model: Any, run: Callable[..., list[str]]) -> None:
    plain, drafted = 0, 0
    for prompt in PROMPTS:
        with counted_forwards(model) as count:
            run(prompt)
        plain += count[0]
        with counted_forwards(model) as count:
            run(prompt, prompt_lookup_num_tokens=6)
        drafted += count[0]
    assert drafted < plain


@pytest.mark.parametrize("seed", [0, 1], ids=["same model", "another model"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_assistant_drafts_the_undrafted_text(
    run: Callable[..., list[str]], make_model: Callable[[int], Any], prompt: str, seed: int
) -> None:
    assert run(prompt, assistant_model=make_model(seed)) == run(prompt)


def test_an_assistant_saves_forwards(
    model: Any, run: Callable[..., list[str]], make_model: Callable[[int], Any]
) -> None:
    with counted_forwards(model) as plain:
        run(PROMPTS[0])
    with counted_forwards(model) as drafted:
        run(PROMPTS[0], assistant_model=make_model(0))
    assert 0 < drafted[0] < plain[0]


def test_an_assistant_drafts_samples_that_are_whole(
    run: Callable[..., list[str]], make_model: Callable[[int], Any], is_group: IsGroup
) -> None:
    for seed in range(10):
        torch.manual_seed(seed)
        texts = run(PROMPTS[0], assistant_model=make_model(1), do_sample=True)
        assert all(map(is_group, texts))


@pytest.mark.parametrize("do_sample", [False, True], ids=["greedy", "sampling"])
def test_drafts_full_of_forbidden_tokens_are_rejected_where_they_begin(
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., list[str]],
    is_group: IsGroup,
    do_sample: bool,
) -> None:
    """Drafts whose maker does not ask the processor."""
    lookup = pytest.importorskip("transformers.generation.candidate_generator")

    def drafts(self: Any, input_ids: Tensor, **_: Any) -> tuple[Tensor, None]:
        room = max(0, self.max_length - input_ids.shape[1] - 1)
        wild = torch.randint(0, 288, (1, min(5, room)))
        return torch.cat([input_ids, wild], dim=1), None

    monkeypatch.setattr(lookup.PromptLookupCandidateGenerator, "get_candidates", drafts)
    for seed in range(10):
        torch.manual_seed(seed)
        drafted = run(PROMPTS[0], prompt_lookup_num_tokens=5, do_sample=do_sample)
        assert all(map(is_group, drafted))
        assert do_sample or drafted == run(PROMPTS[0])


# --- calls


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_one_processor_serves_a_second_call(
    run: Callable[..., list[str]], store: MaskStore, options: dict[str, Any]
) -> None:
    processor = GrammarLogitsProcessor(store, max_new_tokens=BUDGET)
    for prompt in [*PROMPTS, *PROMPTS]:
        assert run(prompt, processor=processor, **options) == run(prompt, **options)


def test_either_end_token_ends_a_text(
    run: Callable[..., list[str]], model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are allowed; a bias makes the model prefer one."""
    texts = []
    for end in (END, STOP):
        bias = {(end,): 1000.0}
        texts.append(run(PROMPTS[0], sequence_bias=bias))
    assert texts[0] == texts[1]


def test_an_end_forbidden_by_another_processor_is_an_error_and_no_other_text(
    run: Callable[..., list[str]],
) -> None:
    with pytest.raises(DeadEndError, match="min_new_tokens"):
        run(PROMPTS[0], min_new_tokens=BUDGET)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_models_of_half_precision(
    make_model: Callable[[int], Any],
    store: MaskStore,
    tokenizer: PreTrainedTokenizerFast,
    is_group: IsGroup,
    dtype: torch.dtype,
) -> None:
    model = make_model(0).to(dtype)
    inputs = tokenizer(PROMPTS[0], return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    processor = GrammarLogitsProcessor(store, prompt_length=length, max_new_tokens=BUDGET)
    output = model.generate(**inputs, logits_processor=[processor], max_new_tokens=BUDGET)
    assert is_group(whole_text(store, output[0][length:]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True, "top_k": 1},
        {"num_beams": 3},
        {"num_beams": 3, "do_sample": True, "top_k": 2},
        {"prompt_lookup_num_tokens": 4},
    ],
    ids=str,
)
def test_custom_generate(
    model: Any,
    store: MaskStore,
    tokenizer: PreTrainedTokenizerFast,
    run: Callable[..., list[str]],
    is_group: IsGroup,
    options: dict[str, Any],
) -> None:
    inputs = tokenizer(PROMPTS[0], return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    output = model.generate(
        **inputs,
        custom_generate=constrained_generate,
        store=store,
        max_new_tokens=BUDGET,
        **options,
    )
    text = whole_text(store, output[0][length:])
    assert is_group(text)
    if not options.get("do_sample"):
        assert [text] == run(PROMPTS[0], **options)


def test_custom_generate_may_be_cut(
    model: Any, store: MaskStore, tokenizer: PreTrainedTokenizerFast
) -> None:
    inputs = tokenizer(PROMPTS[0], return_tensors="pt")
    output = model.generate(
        **inputs,
        custom_generate=constrained_generate,
        store=store,
        finish=False,
        max_new_tokens=1,
    )
    assert store.matcher().accept_token(output[0, -1].item())
