"""Every way of decoding that transformers offers, with the embedded model and JSON.

Each test runs with a processor that holds its own scores against a fresh matcher, row by
row, at every step: so beams, drafts and finished rows are judged by their masks, and not
only by the text that comes out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM, LogitsProcessor
from transformers.generation.candidate_generator import PromptLookupCandidateGenerator

import constrain
from constrain import Grammar, MaskStore, Production, Terminal, Vocabulary
from constrain.bitmask import allocate, token_ids
from constrain.errors import BudgetError, DeadEndError, LogitsError
from constrain.generation.embedded import load_embedded
from constrain.generation.generate import constrained_generate, generate
from constrain.generation.processor import GrammarLogitsProcessor
from constrain.grammar.builtin import builtin

BUDGET = 48
PROMPTS = [
    "A JSON object describing a person:\n",
    "Keys: id, tags\n",
    "A list of three users with name and age:\n",
    "x",
]
REPEATED = 'Users:\n{"name": "Ada", "age": 36}\nThe same users as a list:\n[{"name": "Ada",'


@pytest.fixture(scope="module")
def model() -> Any:
    return load_embedded()[0]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_embedded()[1]


@pytest.fixture(scope="module")
def vocabulary(model: Any, tokenizer: Any) -> Vocabulary:
    return Vocabulary.from_tokenizer(tokenizer, model.generation_config)


@pytest.fixture(scope="module")
def store(vocabulary: Vocabulary) -> MaskStore:
    return constrain.compile(builtin("json"), vocabulary)


class Checked(GrammarLogitsProcessor):
    """A processor whose every answer is compared with a matcher that reads the row anew."""

    def __init__(self, store: MaskStore, prompt_length: int, budget: int | None = BUDGET) -> None:
        super().__init__(store, prompt_length=prompt_length, max_new_tokens=budget)
        self.n_prompt = prompt_length
        self.budget = budget
        self.forbidden = self.finished = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        before = scores.clone()
        masked = super().__call__(input_ids, scores)
        assert torch.equal(scores, before)
        for ids, given, got in zip(input_ids.tolist(), before, masked, strict=True):
            wanted, is_live = self.expected(ids[self.n_prompt :])
            allowed = torch.nonzero(got > -torch.inf).flatten()
            assert allowed.tolist() == wanted
            assert not is_live or torch.equal(got[allowed], given[allowed])
        return masked

    def expected(self, generated: list[int]) -> tuple[list[int], bool]:
        """The ids allowed after `generated`, and whether the row is a text that goes on."""
        matcher = self.store.matcher()
        ends = list(self.store.vocabulary.end_ids)
        for token in generated:
            if matcher.is_terminated():
                break
            if not matcher.accept_token(token):
                self.forbidden += 1
                return ends, False
        if matcher.is_terminated():
            self.finished += 1
            return ends, False
        row = allocate(self.store.vocabulary.size)
        try:
            left = (self.budget or 0) - len(generated)
            matcher.fill_bitmask_within(row, left) if self.budget else matcher.fill_bitmask(row)
        except BudgetError:
            self.forbidden += 1
            return ends, False
        return token_ids(row).tolist(), True


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


class Run:
    """`model.generate` with a checked processor; texts are read and parsed."""

    def __init__(self, model: Any, tokenizer: Any, store: MaskStore) -> None:
        self.model, self.tokenizer, self.store = model, tokenizer, store
        self.processor: Any = None
        self.forwards = 0
        self.output: Any = None

    def __call__(self, *prompts: str, model: Any = None, **options: Any) -> list[str]:
        inputs = self.tokenizer(
            list(prompts), return_tensors="pt", padding=True, padding_side="left"
        )
        length = inputs["input_ids"].shape[1]
        self.processor = options.pop("processor", None) or Checked(self.store, length)
        model = model or self.model
        with counted_forwards(model) as count:
            self.output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                logits_processor=[self.processor],
                max_new_tokens=BUDGET,
                **options,
            )
        self.forwards = count[0]
        rows = getattr(self.output, "sequences", self.output)[:, length:]
        return [self.text(row) for row in rows.tolist()]

    def text(self, generated: list[int]) -> str:
        """The text of generated ids: whole, ended, JSON, and then only padded."""
        matcher = self.store.matcher()
        ends = self.store.vocabulary.end_ids
        ended = next(i for i, token in enumerate(generated) if token in ends)
        assert all(map(matcher.accept_token, generated[: ended + 1]))
        assert matcher.is_terminated()
        assert set(generated[ended + 1 :]) <= {*ends, self.tokenizer.pad_token_id}
        text = matcher.text.decode()
        json.loads(text, parse_constant=pytest.fail)
        return text


@pytest.fixture
def run(model: Any, tokenizer: Any, store: MaskStore) -> Run:
    return Run(model, tokenizer, store)


def test_greedy(run: Run) -> None:
    for prompt in PROMPTS:
        run(prompt)
        assert run.processor.forbidden == 0


def test_sampling(run: Run) -> None:
    texts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        texts.update(run(PROMPTS[0], do_sample=True, temperature=2.5, top_k=0))
        texts.update(run(PROMPTS[0], do_sample=True, temperature=1.5, top_k=5, top_p=0.9))
    assert len(texts) == 6


def test_beams_are_reordered_and_each_reads_its_own_text(run: Run) -> None:
    (text,) = run(PROMPTS[0], num_beams=4, return_dict_in_generate=True, output_scores=True)
    parents = run.output.beam_indices[0]
    parents = parents[parents >= 0].tolist()
    assert len(set(parents)) > 1, "the winner moved between beams"
    assert text != run(PROMPTS[0])[0]


def test_sampled_beams(run: Run) -> None:
    torch.manual_seed(0)
    assert len(run(*PROMPTS[:2], num_beams=3, do_sample=True)) == 2


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_a_left_padded_batch_equals_its_rows_alone(run: Run, options: dict[str, Any]) -> None:
    together = run(*PROMPTS, **options)
    assert together == [run(prompt, **options)[0] for prompt in PROMPTS]
    assert len(set(together)) == len(PROMPTS)


def test_several_sequences_of_a_prompt(run: Run) -> None:
    torch.manual_seed(0)
    sampled = run(*PROMPTS[:2], do_sample=True, num_return_sequences=3)
    assert len(sampled) == 6
    beams = run(*PROMPTS[:2], num_beams=4, num_return_sequences=4)
    assert len(set(beams)) == len(beams) == 8


def test_prompt_lookup_writes_the_undrafted_text_in_fewer_forwards(run: Run) -> None:
    for prompt in (REPEATED, PROMPTS[2]):
        plain = run(prompt)
        undrafted = run.forwards
        assert run(prompt, prompt_lookup_num_tokens=8) == plain
        assert run.forwards < 0.75 * undrafted


def cut_off(model: Any, n_layers: int) -> Any:
    """The model's first layers, as a model."""
    config = deepcopy(model.config)
    config.num_hidden_layers = n_layers
    config.layer_types = None
    smaller = LlamaForCausalLM(config)
    smaller.load_state_dict(model.state_dict(), strict=False)
    smaller.generation_config = deepcopy(model.generation_config)
    return smaller.eval()


@pytest.mark.parametrize("n_layers", [4, 3], ids=["the model itself", "its first layers"])
def test_an_assistant_drafts_the_undrafted_text_in_fewer_forwards(
    run: Run, model: Any, n_layers: int
) -> None:
    drafted = undrafted = 0
    for prompt in PROMPTS:
        plain = run(prompt)
        undrafted += run.forwards
        assert run(prompt, assistant_model=cut_off(model, n_layers)) == plain
        drafted += run.forwards
    assert drafted < (0.5 if n_layers == 4 else 1.0) * undrafted


def test_an_assistant_drafts_samples(run: Run, model: Any) -> None:
    torch.manual_seed(0)
    run(PROMPTS[0], assistant_model=cut_off(model, 3), do_sample=True)


@pytest.mark.parametrize("kind", ["anything", "almost right", "past the end"])
def test_drafts_beyond_the_grammar_are_rejected_where_they_leave_it(
    monkeypatch: pytest.MonkeyPatch, run: Run, kind: str
) -> None:
    """Drafts made without asking the processor, as an engine of another kind makes them."""
    prompt = PROMPTS[1]
    plain = run(prompt)
    n_prompt = len(run.tokenizer(prompt)["input_ids"])
    right = run.output[0]

    def candidates(self: Any, input_ids: Tensor, **_: Any) -> tuple[Tensor, None]:
        place = input_ids.shape[1]
        room = max(0, self.max_length - place - 1)
        draft = torch.randint(4, 4096, (8,))
        if kind == "almost right":
            draft[:3] = torch.cat([right, draft])[place : place + 3]
        if kind == "past the end":
            draft = torch.cat([right[place:], draft[:3]])
        return torch.cat([input_ids, draft[None, :room]], dim=1), None

    monkeypatch.setattr(PromptLookupCandidateGenerator, "get_candidates", candidates)
    torch.manual_seed(0)
    undrafted = run.forwards
    assert run(prompt, prompt_lookup_num_tokens=8) == plain
    assert run.processor.forbidden + run.processor.finished > 0
    assert run.forwards <= undrafted
    if kind != "anything":
        assert run.forwards < 0.5 * (len(right) - n_prompt)


def test_a_static_cache_writes_what_a_dynamic_one_does(run: Run) -> None:
    for prompts in (PROMPTS[:1], PROMPTS[:3]):
        assert run(*prompts, cache_implementation="static") == run(*prompts)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_one_processor_serves_a_second_call(run: Run, options: dict[str, Any]) -> None:
    """Also for the same prompt again, and for prompts of other lengths."""
    prompts = PROMPTS[1:]
    once = [run(prompt, **options)[0] for prompt in prompts]
    processor = GrammarLogitsProcessor(run.store, max_new_tokens=BUDGET)
    for prompt, text in zip([*prompts, *prompts], [*once, *once], strict=True):
        assert run(prompt, processor=processor, **options) == [text]


def test_several_end_tokens(model: Any, tokenizer: Any, run: Run) -> None:
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<fim_middle>")]
    config = GenerationConfig(eos_token_id=ends, pad_token_id=0)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, config)
    assert vocabulary.end_ids == tuple(ends)
    several = Run(model, tokenizer, constrain.compile(builtin("json"), vocabulary))
    text = run(PROMPTS[1])
    for end in ends:
        assert several(PROMPTS[1], eos_token_id=ends, sequence_bias={(end,): 1e3}) == text
        assert several.output[0, -1] == end
    assert several(*PROMPTS, eos_token_id=ends) == run(*PROMPTS)
    assert several.processor.finished > 0


@pytest.mark.parametrize("do_sample", [False, True], ids=["greedy", "sampling"])
def test_finished_rows_wait_for_the_others(run: Run, do_sample: bool) -> None:
    torch.manual_seed(0)
    for prompts in (PROMPTS, ["Keys: id\n", "Keys: x\n", "A list of numbers:\n"]):
        run(*prompts, do_sample=do_sample)
        assert run.processor.finished > 0
        assert run.processor.forbidden == 0


class Forbids(LogitsProcessor):
    """Another processor, which forbids some ids."""

    def __init__(self, *ids: int) -> None:
        self.ids = list(ids)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores[:, self.ids] = -torch.inf
        return scores


def test_a_dead_end_made_by_another_processor_is_named_with_its_text(
    model: Any, tokenizer: Any, store: MaskStore
) -> None:
    with pytest.raises(DeadEndError) as caught:
        generate(
            model,
            tokenizer,
            PROMPTS[1],
            store,
            max_new_tokens=BUDGET,
            logits_processor=[Forbids(tokenizer.eos_token_id)],
        )
    json.loads(caught.value.text)
    assert repr(caught.value.text) in str(caught.value)


def test_logits_wider_than_the_vocabulary(run: Run, model: Any) -> None:
    torch.manual_seed(0)
    padded = deepcopy(model)
    padded.resize_token_embeddings(4096 + 77, mean_resizing=False)
    assert padded(torch.tensor([[5]])).logits.shape[-1] == 4173
    assert run(*PROMPTS, model=padded) == run(*PROMPTS)
    assert run(PROMPTS[2], model=padded, prompt_lookup_num_tokens=4) == run(PROMPTS[2])


def test_logits_narrower_than_the_vocabulary_are_refused(run: Run, model: Any) -> None:
    narrow = deepcopy(model)
    narrow.resize_token_embeddings(4000)
    with pytest.raises(LogitsError, match="4000 logits"):
        run(PROMPTS[0], model=narrow)


def test_raw_logits_are_recorded_as_the_model_gave_them(run: Run) -> None:
    run(PROMPTS[1], return_dict_in_generate=True, output_logits=True, output_scores=True)
    assert all(logits.isfinite().all() for logits in run.output.logits)
    assert all(scores.isinf().any() for scores in run.output.scores)


def test_three_lines_write_json_and_stream_it(model: Any, tokenizer: Any, run: Run) -> None:
    text = generate(model, tokenizer, PROMPTS[0], "json", max_new_tokens=BUDGET)
    assert [text] == run(PROMPTS[0])
    pieces = list(
        generate(model, tokenizer, PROMPTS[0], "json", max_new_tokens=BUDGET, stream=True)
    )
    assert "".join(pieces) == text
    assert len(pieces) > 5


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 3}, {"prompt_lookup_num_tokens": 4}], ids=str
)
def test_custom_generate(
    model: Any, tokenizer: Any, store: MaskStore, run: Run, options: dict[str, Any]
) -> None:
    inputs = tokenizer(PROMPTS[1], return_tensors="pt", return_token_type_ids=False)
    with counted_forwards(model) as count:
        output = model.generate(
            **inputs,
            custom_generate=constrained_generate,
            store=store,
            max_new_tokens=BUDGET,
            **options,
        )
    text = run.text(output[0, inputs["input_ids"].shape[1] :].tolist())
    assert [text] == run(PROMPTS[1], **options)
    assert count[0] == run.forwards


@pytest.mark.parametrize(
    "write",
    [
        lambda m, t, s, n: generate(m, t, "x", s, max_new_tokens=n),
        lambda m, t, s, n: generate(m, t, ["x", "yy"], s, max_new_tokens=n, do_sample=True)[1],
        lambda m, t, s, n: generate(m, t, "x", s, max_new_tokens=n, num_beams=3),
        lambda m, t, s, n: generate(m, t, "x", s, max_new_tokens=n, prompt_lookup_num_tokens=3),
        lambda m, t, s, n: "".join(generate(m, t, "x", s, max_new_tokens=n, stream=True)),
    ],
    ids=["greedy", "sampling", "beams", "drafts", "stream"],
)
def test_the_least_budget_is_enough_and_one_less_is_refused_before_any_forward(
    model: Any, tokenizer: Any, vocabulary: Vocabulary, write: Callable[..., str]
) -> None:
    grammar = Grammar(
        (Terminal("TEXT", r'\{"lighthouse": "[a-z]{5,9}", "lit": (true|false)\}'),),
        (Production("start", ("TEXT",)),),
        start="start",
    )
    store = constrain.compile(grammar, vocabulary)
    needed = store.matcher().tokens_to_finish()
    assert needed > 8
    text = write(model, tokenizer, store, needed)
    assert 5 <= len(json.loads(text)["lighthouse"]) <= 9
    with counted_forwards(model) as count, pytest.raises(BudgetError) as caught:
        write(model, tokenizer, store, needed - 1)
    assert count == [0]
    assert (caught.value.needed, caught.value.given) == (needed, needed - 1)
    assert f"at least {needed}" in str(caught.value)


@pytest.mark.parametrize("budget", [2, 3, 5, 9, 17])
def test_any_budget_gives_whole_json_from_wild_samples(
    model: Any, tokenizer: Any, store: MaskStore, budget: int
) -> None:
    torch.manual_seed(budget)
    texts = generate(
        model,
        tokenizer,
        PROMPTS[:2],
        store,
        max_new_tokens=budget,
        do_sample=True,
        temperature=4.0,
        top_k=0,
        num_return_sequences=20,
    )
    assert len([json.loads(text, parse_constant=pytest.fail) for text in texts]) == 40
