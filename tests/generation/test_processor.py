"""GrammarLogitsProcessor called directly: what it returns for which ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import constrain
from constrain import Grammar, MaskStore, Production, Terminal, Vocabulary
from constrain.errors import (
    BudgetError,
    DeadEndError,
    LogitsError,
    PromptError,
    TokenNotAllowedError,
    VocabularyError,
)
from constrain.generation.processor import GrammarLogitsProcessor

END, STOP, PAD = 0, 1, 2
WIDTH = 288
PROMPT = [5, 6, 7]


@pytest.fixture(scope="module")
def ids(vocabulary: Vocabulary) -> dict[str, int]:
    """Token id by the token's text."""
    return {
        token.decode(): i for i, token in enumerate(vocabulary.tokens) if token and token.isascii()
    }


def rows(*generated: list[int], prompt: list[int] | None = None) -> Tensor:
    start = PROMPT if prompt is None else prompt
    return torch.tensor([[*start, *row] for row in generated], dtype=torch.long)


def scores_of(n_rows: int, width: int = WIDTH, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(n_rows)
    return torch.randn(n_rows, width, generator=generator).to(dtype)


def drafted(processor: GrammarLogitsProcessor, group: list[list[int]], scores: Tensor) -> Tensor:
    """The scores at the last place of each row, all of whose places are asked for in turn."""
    for length in range(len(group[0])):
        processor(rows(*(row[:length] for row in group)), scores)
    return processor(rows(*group), scores)


def allowed(masked: Tensor) -> list[list[int]]:
    return [torch.nonzero(row > -torch.inf).flatten().tolist() for row in masked]


def by_accept(store: MaskStore, generated: list[int]) -> list[int]:
    """The ids a fresh matcher accepts after `generated`, one by one."""
    matcher = store.matcher()
    assert all(map(matcher.accept_token, generated))
    return [t for t in range(store.vocabulary.size) if matcher.fork().accept_token(t)]


@pytest.mark.parametrize("prompt_length", [3, None, [3], [3, 3]], ids=str)
def test_allows_what_a_matcher_accepts(
    store: MaskStore, ids: dict[str, int], prompt_length: Any
) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=prompt_length)
    text = [ids["(("], ids["ab"], ids["("]]
    for length in range(4):
        generated = text[:length]
        masked = processor(rows(generated, generated), scores_of(2))
        assert allowed(masked) == [by_accept(store, generated)] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_masks_any_float_type_and_keeps_it(store: MaskStore, dtype: torch.dtype) -> None:
    scores = scores_of(1, dtype=dtype)
    masked = GrammarLogitsProcessor(store, prompt_length=3)(rows([]), scores)
    assert masked.dtype == dtype
    assert allowed(masked) == [by_accept(store, [])]
    kept = masked > -torch.inf
    assert torch.equal(masked[kept], scores[kept])


def test_is_out_of_place_unless_asked(store: MaskStore) -> None:
    scores = scores_of(1)
    before = scores.clone()
    masked = GrammarLogitsProcessor(store, prompt_length=3)(rows([]), scores)
    assert torch.equal(scores, before)

    overwritten = GrammarLogitsProcessor(store, prompt_length=3, inplace=True)(rows([]), scores)
    assert overwritten is scores
    assert torch.equal(scores, masked)


def test_logits_wider_than_the_vocabulary_are_masked_and_narrower_ones_refused(
    store: MaskStore,
) -> None:
    size = store.vocabulary.size
    processor = GrammarLogitsProcessor(store, prompt_length=3)
    wide = processor(rows([]), torch.zeros(1, size + 100))
    assert allowed(wide) == allowed(processor(rows([]), torch.zeros(1, size)))
    for width in (2, size - 1):
        with pytest.raises(LogitsError, match=f"{width} logits and the vocabulary writes"):
            processor(rows([]), torch.zeros(1, width))


def test_logits_need_not_cover_ids_that_are_never_written() -> None:
    """As where a tokenizer got a padding token that the model has no row for."""
    tokens = [b"()", b"", *[bytes([b]) for b in range(256)], b"", b""]
    vocabulary = Vocabulary(tuple(tokens), (1,), frozenset({1, 258, 259}))
    grammar = Grammar(
        (Terminal("PAIR", r"\(\)"),), (Production("start", ("PAIR",)),), start="start"
    )
    processor = GrammarLogitsProcessor(constrain.compile(grammar, vocabulary), prompt_length=0)
    nothing = torch.zeros(1, 0, dtype=torch.long)
    assert allowed(processor(nothing, torch.zeros(1, 258))) == [[0, 2 + ord("(")]]
    with pytest.raises(LogitsError, match="257 logits"):
        processor(nothing, torch.zeros(1, 257))


@given(seed=st.integers(0, 2**32 - 1), memory=st.integers(1, 8), budget=st.booleans())
def test_depends_on_the_ids_alone(store: MaskStore, seed: int, memory: int, budget: bool) -> None:
    """Any order, repeats, other rows beside, garbage rows, a memory of any size."""
    rng = np.random.default_rng(seed)
    limit = 12 if budget else None
    walk: list[int] = []
    while len(walk) < 10:
        options = by_accept(store, walk)
        walk.append(int(rng.choice(options)))
        if walk[-1] in (END, STOP):
            break
    garbage = rng.integers(0, WIDTH, (2, len(walk))).tolist()
    processor = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=limit, memory=memory)
    for _ in range(4):
        length = int(rng.integers(0, len(walk) + 1))
        group = [walk[:length], garbage[0][:length], garbage[1][:length]]
        order = rng.permutation(3)
        fresh = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=limit)
        if not budget:
            processor(rows(walk[:length]), scores_of(1))
        together = drafted(processor, [group[i] for i in order], scores_of(3)[order])
        for place, i in enumerate(order):
            alone = drafted(fresh, [group[i]], scores_of(3)[i : i + 1])
            assert torch.equal(together[place], alone[0])


def test_the_prompt_and_its_padding_do_not_matter(store: MaskStore, ids: dict[str, int]) -> None:
    text = [ids["("], ids["a"]]
    processor = GrammarLogitsProcessor(store, prompt_length=3)
    batch = torch.cat([rows(text, prompt=[PAD, PAD, 9]), rows(text, prompt=[50, 51, 52])])
    masked = processor(batch, scores_of(1).repeat(2, 1))
    assert torch.equal(masked[0], masked[1])


def test_finished_rows_may_only_end_and_their_padding_is_not_read(
    store: MaskStore, ids: dict[str, int]
) -> None:
    whole = [ids["()"]]
    processor = GrammarLogitsProcessor(store, prompt_length=3, strict=True)
    for end in (END, STOP):
        for padding in ([], [PAD, PAD], [end, 77]):
            row = [*whole, end, *padding]
            fresh = GrammarLogitsProcessor(store, prompt_length=3, strict=True)
            assert allowed(processor(rows(row), scores_of(1))) == [[END, STOP]]
            assert allowed(drafted(fresh, [row], scores_of(1))) == [[END, STOP]]


def test_finished_rows_keep_a_finite_score_though_another_processor_forbids_the_end(
    store: MaskStore, ids: dict[str, int]
) -> None:
    scores = scores_of(1)
    scores[:, [END, STOP]] = -torch.inf
    masked = GrammarLogitsProcessor(store, prompt_length=3)(rows([ids["()"], END]), scores)
    assert torch.softmax(masked, -1).isfinite().all()


def test_a_row_with_a_forbidden_token_may_only_end(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=3)
    for bad in ([ids["("], ids["x"], ids["a"], ids[")"]], [WIDTH - 1], [END], [PAD, ids["("]]):
        assert allowed(drafted(processor, [bad], scores_of(1))) == [[END, STOP]]


@pytest.mark.parametrize("budget", [None, 20], ids=str)
def test_generation_cannot_start_from_a_row_that_the_grammar_forbids(
    store: MaskStore, ids: dict[str, int], budget: int | None
) -> None:
    """As where a processor for one prompt's length is used for a longer prompt."""
    processor = GrammarLogitsProcessor(store, prompt_length=2, max_new_tokens=budget)
    processor(rows([], prompt=[5, 6]), scores_of(1))
    for _ in range(2):
        with pytest.raises(TokenNotAllowedError, match="is prompt_length right"):
            processor(rows([], prompt=[5, 6, ids["("], ids["x"]]), scores_of(1))
    assert allowed(processor(rows([ids["("]], prompt=[5, 6]), scores_of(1)))


def test_generation_cannot_start_beyond_its_budget(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=3)
    for _ in range(2):
        with pytest.raises(BudgetError):
            processor(rows([ids["(("], ids["("]]), scores_of(1))


def test_strict_names_the_forbidden_token(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=3, strict=True)
    good, bad = [ids["("], ids["a"], ids["a"]], [ids["("], ids["x"], ids["a"]]
    for length in range(2):
        processor(rows(good[:length], bad[:length]), scores_of(2))
    for _ in range(2):
        with pytest.raises(TokenNotAllowedError, match=r"row 1: .* generated token 1,") as caught:
            processor(rows(good, bad), scores_of(2))
        error = caught.value
        assert (error.row, error.position, error.token) == (1, 1, ids["x"])
        assert error.text == b"("


def test_a_dead_end_made_by_another_processor_is_an_error(
    store: MaskStore, ids: dict[str, int]
) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=3)
    scores = scores_of(2)
    scores[1, [END, STOP]] = -torch.inf
    with pytest.raises(DeadEndError, match="another logits processor") as caught:
        processor(rows([ids["("]], [ids["()"]]), scores)
    assert caught.value.text == b"()"


def test_without_an_end_token_no_processor_is_made(store: MaskStore) -> None:
    class Endless:
        vocabulary = Vocabulary.from_tokens([b"a"])
        words = 1

    with pytest.raises(VocabularyError, match="no end token"):
        GrammarLogitsProcessor(Endless())  # type: ignore[arg-type]


# --- budget


def test_narrows_so_that_the_text_can_end_in_time(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=3)
    first = allowed(processor(rows([]), scores_of(1)))[0]
    assert ids["("] in first
    assert ids["(("] in first
    assert ids["(((("] in first
    second = allowed(processor(rows([ids["(((("]]), scores_of(1)))[0]
    assert second == [ids["))))"]]
    third = allowed(processor(rows([ids["(((("], ids["))))"]]), scores_of(1)))[0]
    assert third == [END, STOP]


def test_a_budget_too_small_is_refused_with_the_number_needed(store: MaskStore) -> None:
    GrammarLogitsProcessor(store, max_new_tokens=2)
    with pytest.raises(BudgetError) as caught:
        GrammarLogitsProcessor(store, max_new_tokens=1)
    assert (caught.value.needed, caught.value.given) == (2, 1)


def test_a_draft_out_of_budget_may_only_end(store: MaskStore, ids: dict[str, int]) -> None:
    draft = [ids["("], ids["("], ids["("]]
    loose = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=3)
    assert allowed(drafted(loose, [draft], scores_of(1))) == [[END, STOP]]
    strict = GrammarLogitsProcessor(store, prompt_length=3, max_new_tokens=3, strict=True)
    with pytest.raises(BudgetError):
        drafted(strict, [draft], scores_of(1))


# --- where the prompt ends


def test_a_prompt_length_must_fit_the_rows(store: MaskStore) -> None:
    with pytest.raises(PromptError, match="a row has 3 ids"):
        GrammarLogitsProcessor(store, prompt_length=4)(rows([]), scores_of(1))
    with pytest.raises(PromptError, match="there are 3 rows"):
        GrammarLogitsProcessor(store, prompt_length=[3, 3])(rows([], [], []), scores_of(3))


def test_prompt_lengths_differ_by_row_and_are_repeated(
    store: MaskStore, ids: dict[str, int]
) -> None:
    """A row's prompt may end early: the rest of it is text of the grammar already."""
    processor = GrammarLogitsProcessor(store, prompt_length=[3, 2])
    batch = torch.tensor([[5, 6, 7], [5, 6, ids["("]]]).repeat_interleave(2, dim=0)
    masked = allowed(processor(batch, scores_of(4)))
    assert masked == [by_accept(store, [])] * 2 + [by_accept(store, [ids["("]])] * 2


def test_learned_prompts_tell_second_calls_apart(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store)
    for prompt in (PROMPT, [9, 9], PROMPT, [9, 8, 7, 6], []):
        processor.reset() if not prompt else None
        for text in ([], [ids["("]], [ids["("], ids["a"]]):
            masked = processor(rows(text, prompt=prompt), scores_of(1))
            assert allowed(masked) == [by_accept(store, text)]


def test_learned_prompts_survive_interleaved_calls(store: MaskStore, ids: dict[str, int]) -> None:
    processor = GrammarLogitsProcessor(store)
    text = [ids["("], ids["a"], ids["("]]
    for length in range(4):
        for prompt in (PROMPT, [9, 9]):
            masked = processor(rows(text[:length], prompt=prompt), scores_of(1))
            assert allowed(masked) == [by_accept(store, text[:length])]


def test_a_learned_prompt_that_may_be_a_continuation_is_refused(
    store: MaskStore, ids: dict[str, int]
) -> None:
    processor = GrammarLogitsProcessor(store)
    processor(rows([]), scores_of(1))
    with pytest.raises(PromptError, match="begins with an earlier prompt of 3"):
        processor(rows([ids["("], ids["a"]]), scores_of(1))
    processor.reset()
    masked = processor(rows([ids["("], ids["a"]]), scores_of(1))
    assert allowed(masked) == [by_accept(store, [])]


@pytest.mark.parametrize("prompt_length", [3, None], ids=str)
def test_memory_is_bounded(
    store: MaskStore, ids: dict[str, int], prompt_length: int | None
) -> None:
    processor = GrammarLogitsProcessor(store, prompt_length=prompt_length, memory=16)
    text: list[int] = []
    for _ in range(100):
        assert allowed(processor(rows(text), scores_of(1))) == [by_accept(store, text)]
        assert len(processor._memory) <= 16
        assert len(processor._prompts) <= 16
        text.append(ids["("])


def test_memory_grows_with_the_batch_so_that_no_row_is_forgotten_between_steps(
    store: MaskStore, ids: dict[str, int]
) -> None:
    processor = GrammarLogitsProcessor(store, memory=1)
    prompts = [[i] for i in range(10, 30)]
    for text in ([], [ids["("]], [ids["("], ids["a"]]):
        batch = torch.tensor([[*prompt, *text] for prompt in prompts])
        assert allowed(processor(batch, scores_of(20))) == [by_accept(store, text)] * 20
