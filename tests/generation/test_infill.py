"""`infill`: healing against enumeration, holes by name, and that nothing depends on the way."""

from __future__ import annotations

import ast
import json
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import constrain
from constrain import Grammar, MaskStore, infill
from constrain.errors import ContextLengthError, FimFormatError, InfillError, VocabularyError
from constrain.fim.suffix import BrokenPrefix, NoLegalStop, NothingJoins
from constrain.generation.embedded import load_embedded
from constrain.generation.fim import FimPrompter, fim_vocabulary
from constrain.vocabulary import Vocabulary
from tests.oracles.covers import Enumeration

SENTINELS = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>"]
PREFIX, SUFFIX = "bab", "a"
OUTCOMES = ["", "a", "b", "aa", "ab", "ba", "bb"]
"""The first two bytes of a middle, or all of it where it is shorter."""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Two letters and what they merge to."""
    merges = [("a", "b"), ("a", "a"), ("b", "a"), ("ab", "a")]
    names = ["<end>", *SENTINELS, "a", "b", *map("".join, merges)]
    backend = Tokenizer(models.BPE(vocab={n: i for i, n in enumerate(names)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", additional_special_tokens=SENTINELS
    )


@pytest.fixture(scope="module")
def model() -> Any:
    """Random, with distributions that are far from flat."""
    torch.manual_seed(4)
    config = LlamaConfig(
        vocab_size=12,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    made: Any = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(6.0)
    return made.eval()


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return load_embedded()


@pytest.fixture(scope="module")
def python(embedded: tuple[Any, Any]) -> MaskStore:
    return constrain.compile(Grammar.builtin("python"), fim_vocabulary(*embedded))


@pytest.fixture(scope="module")
def as_json(embedded: tuple[Any, Any]) -> MaskStore:
    return constrain.compile(Grammar.builtin("json"), fim_vocabulary(*embedded))


# --- healing ------------------------------------------------------------------------------


def context_of(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """All that stands before the healed bytes: the whole prefix is pending."""
    ids = tokenizer.convert_tokens_to_ids
    return (ids("<fim_prefix>"), ids("<fim_suffix>"), ids("a"), ids("<fim_middle>"))


def truth(model: Any, tokenizer: Any, temperature: float) -> list[float]:
    """The probability of each outcome, given the context and the prefix's bytes."""
    context = context_of(model, tokenizer)

    def logits(sequence: tuple[int, ...]) -> list[float]:
        with torch.no_grad():
            output = model(torch.tensor([[*context, *sequence]]))
        return (output.logits[0, -1].double() / temperature).tolist()

    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    exact = Enumeration(vocabulary.tokens, {0}, logits)
    prefix = PREFIX.encode()
    masses = [
        exact.mass(prefix + o.encode()) if len(o) == 2 else exact.stop_mass(prefix + o.encode())
        for o in OUTCOMES
    ]
    total = exact.mass(prefix)
    assert math.isclose(sum(masses), total, rel_tol=1e-9)
    return [mass / total for mass in masses]


def p_value(counts: np.ndarray, expected: list[float]) -> float:
    """Of Pearson's chi-square test."""
    wanted = np.array(expected) * counts.sum()
    statistic = float(((counts - wanted) ** 2 / wanted).sum())
    half = torch.tensor([(len(counts) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def draw(model: Any, tokenizer: Any, healing: Any, n: int, temperature: float) -> np.ndarray:
    """How often each outcome came."""
    torch.manual_seed(17)
    counts = np.zeros(len(OUTCOMES), np.int64)
    for first in range(0, n, 1000):
        size = min(1000, n - first)
        results = infill(
            model,
            tokenizer,
            [PREFIX] * size,
            [SUFFIX] * size,
            healing=healing,
            max_new_tokens=5,
            do_sample=True,
            temperature=temperature,
            top_k=0,
        )
        for result in results:
            assert result.middle is not None and result.healed == PREFIX.encode()
            counts[OUTCOMES.index(result.middle[:2].decode())] += 1
    return counts


@pytest.mark.parametrize(
    "n", [2_000, pytest.param(20_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_exact_healing_is_unbiased_and_mask_healing_is_not(
    model: Any, tokenizer: Any, n: int, temperature: float
) -> None:
    expected = truth(model, tokenizer, temperature)
    assert p_value(draw(model, tokenizer, "exact", n, temperature), expected) > 1e-3
    assert p_value(draw(model, tokenizer, "mask", n, temperature), expected) < 1e-9


def test_greedy_healing_takes_the_heaviest_cover(model: Any, tokenizer: Any) -> None:
    context = context_of(model, tokenizer)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)

    def logits(sequence: tuple[int, ...]) -> list[float]:
        with torch.no_grad():
            return model(torch.tensor([[*context, *sequence]])).logits[0, -1].tolist()

    exact = Enumeration(vocabulary.tokens, {0}, logits)
    heaviest = max(exact.covers(PREFIX.encode()), key=exact.probability)
    result = infill(model, tokenizer, PREFIX, SUFFIX, max_new_tokens=1, do_sample=False)
    assert result.middle is not None
    written = PREFIX.encode() + result.middle
    assert written.startswith(exact.bytes_of(heaviest))


@pytest.mark.parametrize("healing", ["exact", "mask", "none"])
def test_a_grammar_takes_mass(model: Any, tokenizer: Any, healing: Any) -> None:
    """The grammar rules out much that the model would write; it says how likely that was."""
    store = constrain.compile(Grammar.from_regex("(ba)*b?a?a"), fim_vocabulary(model, tokenizer))
    free = infill(model, tokenizer, "bab", "a", healing=healing, max_new_tokens=6)
    kept = infill(model, tokenizer, "bab", "a", store, healing=healing, max_new_tokens=6)
    assert kept.parses and free.parses is None
    assert 0.0 <= free.masked_mass <= 1.0 and 0.0 < kept.masked_mass <= 1.0
    assert kept.log_probability < 0.0 and kept.n_passes >= kept.n_tokens > 0


def test_log_probability_without_healing(model: Any, tokenizer: Any) -> None:
    result = infill(model, tokenizer, "b", "a", healing="none", max_new_tokens=4)
    ids = tokenizer.convert_tokens_to_ids
    context = [ids("<fim_prefix>"), ids("<fim_suffix>"), ids("a"), ids("<fim_middle>"), ids("b")]
    log_probability, log_kept, written = 0.0, 0.0, b""
    names = ["<end>", *SENTINELS]
    for _ in range(4):
        with torch.no_grad():
            logs = model(torch.tensor([context])).logits[0, -1].double().log_softmax(-1)
        logs_of_text = logs[:10].clone()
        logs_of_text[[1, 2, 3]] = -math.inf
        log_kept += float(logs_of_text.logsumexp(-1))
        token = int(logs_of_text.argmax())
        log_probability += float(logs[token])
        context.append(token)
        if token == 0:
            break
        name = tokenizer.convert_ids_to_tokens(token)
        assert name not in names
        written += name.encode()
    assert result.middle == written
    assert math.isclose(result.log_probability, log_probability, rel_tol=1e-4)
    assert math.isclose(result.masked_mass, -math.expm1(log_kept), rel_tol=1e-3)


# --- holes by name ------------------------------------------------------------------------

FUNCTION = "def area(width, height):\n    "
HOLES = {
    "inside a keyword": (FUNCTION + "retu", "\n\n\nprint(area(1, 2))\n"),
    "inside an operator": ("x = 3\nif x =", " 4:\n    x >>= 1\n"),
    "inside a string": ('name = "wor', '"\nprint(name)\n'),
    "inside a character": ("x = 'caf\u00e9".encode()[:-1], b"'\n"),
    "before closing brackets": ("x = f([1, 2", "], {'a': (3, 4)})\n"),
    "between operator and rest": (FUNCTION + "return width *", "\n"),
    "indentation fixed by the suffix": ("if True:\n", "\n    y = 1\nz = 2\n"),
    "a comment would swallow the suffix": ("x = (1,  ", " 2)\n"),
    "line ends of DOS": ("def f(a):\r\n    retu", "\r\n\r\nf(1)\r\n"),
    "empty may be legal": ("x = 1", "\ny = 2\n"),
    "in an annotation": ("def f(a) -", " None:\n    pass\n"),
}


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("healing", ["exact", "mask", "none"])
def test_holes_in_python(embedded: Any, python: MaskStore, name: str, healing: Any) -> None:
    prefix, suffix = HOLES[name]
    result = infill(*embedded, prefix, suffix, python, healing=healing, max_new_tokens=16)
    if result.middle is None:
        assert isinstance(result.problem, NoLegalStop)
        with pytest.raises(InfillError, match="no beginning of"):
            _ = result.whole
        return
    assert result.parses
    ast.parse(result.whole)
    assert result.text.encode() == result.whole


def test_empty_middle_that_is_not_legal(embedded: Any, python: MaskStore) -> None:
    result = infill(*embedded, "x =", "\n", python, max_new_tokens=12)
    assert result.middle
    ast.parse(result.whole)


def test_problems_are_named(embedded: Any, python: MaskStore) -> None:
    broken = infill(*embedded, "x = )1\ny = ", "\n", python)
    assert isinstance(broken.problem, BrokenPrefix) and broken.problem.offset == 4
    closed = infill(*embedded, "x = 1\n", ")\n", Grammar.from_regex(r"x = 1\n"))
    assert isinstance(closed.problem, NothingJoins) and closed.n_tokens == 0
    short = infill(*embedded, "x = [", "\ny = 2\n", python, max_new_tokens=1)
    assert isinstance(short.problem, NoLegalStop)
    many = infill(*embedded, ["x = )1\n", "x = ["], ["\n", "]\n"], python, max_new_tokens=8)
    assert isinstance(many[0].problem, BrokenPrefix) and many[1].parses


def test_holes_in_json_and_schemas(embedded: Any, as_json: MaskStore) -> None:
    result = infill(*embedded, '{"name": "Al', ', "age": 3}', as_json, max_new_tokens=16)
    assert result.middle is not None
    assert json.loads(result.whole)["age"] == 3
    schema = Grammar.from_json_schema(
        {"properties": {"name": {"enum": ["Ada", "Alan"]}}, "required": ["name"]}
    )
    result = infill(*embedded, '{"name": "Al', "}", schema, max_new_tokens=16)
    assert result.middle is not None
    assert json.loads(result.whole)["name"] == "Alan"


# --- what does not matter -----------------------------------------------------------------


def told(result: Any) -> tuple[Any, ...]:
    """What must not depend on how it was computed."""
    return result.middle, str(result.problem), result.stop, result.n_tokens, result.healed


def test_a_batch_equals_singles(embedded: Any, python: MaskStore) -> None:
    holes = [HOLES[name] for name in list(HOLES)[:8]]
    prefixes = [p if isinstance(p, bytes) else p.encode() for p, _ in holes]
    suffixes = [s if isinstance(s, bytes) else s.encode() for _, s in holes]
    many = infill(*embedded, prefixes, suffixes, python, max_new_tokens=8)
    again = infill(*embedded, prefixes, suffixes, python, max_new_tokens=8)
    for prefix, suffix, one, two in zip(prefixes, suffixes, many, again, strict=True):
        single = infill(*embedded, prefix, suffix, python, max_new_tokens=8)
        assert told(single) == told(one) == told(two)
        assert math.isclose(single.log_probability, one.log_probability, abs_tol=1e-3)
        assert math.isclose(single.masked_mass, one.masked_mass, abs_tol=1e-3)


@pytest.mark.parametrize("healing", ["exact", "mask", "none"])
def test_caches_are_equal(embedded: Any, healing: Any) -> None:
    def fill(**options: Any) -> tuple[Any, ...]:
        return told(
            infill(
                *embedded, *HOLES["inside a keyword"], healing=healing, max_new_tokens=8, **options
            )
        )

    assert fill() == fill(cache_implementation="static") == fill(use_cache=False)


def test_pieces_of_a_stream_are_the_middle(embedded: Any, python: MaskStore) -> None:
    for name in ("inside a keyword", "before closing brackets", "inside a string"):
        prefix, suffix = HOLES[name]
        for store in (None, python):
            pieces = list(infill(*embedded, prefix, suffix, store, max_new_tokens=12, stream=True))
            result = infill(*embedded, prefix, suffix, store, max_new_tokens=12)
            assert result.middle is not None
            assert "".join(pieces) == result.middle.decode(errors="replace")
            assert all(pieces)
    with pytest.raises(InfillError, match="the prefix is of no text"):
        list(infill(*embedded, "x = )", "\n", python, stream=True))


def test_seeds(embedded: Any, python: MaskStore) -> None:
    def fill(seed: int) -> Any:
        torch.manual_seed(seed)
        return told(
            infill(*embedded, *HOLES["inside a keyword"], python, do_sample=True, max_new_tokens=8)
        )

    assert fill(1) == fill(1)
    assert len({fill(seed) for seed in range(6)}) > 1


# --- what the model reads -----------------------------------------------------------------


def prompter_of(embedded: Any, layout: Any) -> FimPrompter:
    model, tokenizer = embedded
    vocabulary = Vocabulary.from_tokenizer(tokenizer, model.generation_config)
    return FimPrompter(model, tokenizer, vocabulary, None, layout)


@pytest.mark.parametrize("layout", ["psm", "spm"])
def test_layouts(embedded: Any, layout: Any) -> None:
    prompter = prompter_of(embedded, layout)
    tokens = prompter.vocabulary.tokens
    ids = embedded[1].convert_tokens_to_ids
    prompt = prompter.prompt(b"def f(x):\n    retu", b"\n\nf(1)\n", heals=True, n_new=10)
    names = {ids(name): name.encode() for name in SENTINELS}
    seen = b"".join(names.get(token, tokens[token]) for token in prompt.context)
    kept = b"def f(x):\n    retu"[: -len(prompt.pending)]
    assert 0 < len(prompt.pending) <= 32
    if layout == "psm":
        assert seen == b"<fim_prefix>" + kept + b"<fim_suffix>\n\nf(1)\n<fim_middle>"
    else:
        assert seen == b"<fim_prefix><fim_suffix>\n\nf(1)\n<fim_middle>" + kept


def test_sentinels_in_code_are_text(embedded: Any, python: MaskStore) -> None:
    prompter = prompter_of(embedded, "auto")
    text = b'x = "<fim_suffix><|endoftext|>" # <fim_middle>'
    ids = prompter.encode(text)
    assert not {embedded[1].convert_tokens_to_ids(name) for name in SENTINELS} & set(ids)
    assert b"".join(prompter.vocabulary.tokens[i] for i in ids) == text
    result = infill(*embedded, text, "\n", python, max_new_tokens=4)
    assert result.middle is not None
    ast.parse(result.whole)


def test_long_files_are_seen_through_a_window(embedded: Any, python: MaskStore) -> None:
    prefix = "".join(f"x{i} = [{i}, {i}]\n" for i in range(300)) + "y = ["
    suffix = "]\n" + "".join(f"z{i} = {i}\n" for i in range(300))
    result = infill(*embedded, prefix, suffix, python, max_new_tokens=8)
    assert result.is_cut and result.parses
    ast.parse(result.whole)
    with pytest.raises(ContextLengthError, match="the model reads 1024"):
        infill(*embedded, "x", "y", max_new_tokens=2000)


def test_bytes_of_no_character(embedded: Any, model: Any, tokenizer: Any) -> None:
    assert prompter_of(embedded, "auto").encode(b"a\xffb") != []
    with pytest.raises(VocabularyError, match="0xff outside of any character"):
        infill(model, tokenizer, b"a\xff", b"b")


def test_arguments_are_checked(embedded: Any) -> None:
    for options, message in (
        ({"healing": "some"}, "healing is 'some'"),
        ({"num_beams": 2}, "num_beams is 2"),
        ({"prompt_lookup_num_tokens": 3}, "drafts tokens"),
    ):
        with pytest.raises(ValueError, match=message):
            infill(*embedded, "a", "b", **options)
    with pytest.raises(ValueError, match="2 prefixes and 1 suffixes"):
        infill(*embedded, ["a", "b"], ["c"])
    with pytest.raises(ValueError, match="lists of the same length"):
        infill(*embedded, "a", ["c"])


def test_a_model_that_knows_no_middles(tokenizer: Any, model: Any) -> None:
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str().replace("<fim_", "<other_"))
    other = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    with pytest.raises(FimFormatError, match="no sentinels that are known"):
        infill(model, other, "a", "b")


def test_all_outcomes_are_told_apart() -> None:
    words = {"".join(p) for n in range(3) for p in product("ab", repeat=n)}
    assert words == set(OUTCOMES)
