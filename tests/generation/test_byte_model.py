"""`ByteModel` against enumeration with a real forward pass, and against itself."""

from __future__ import annotations

import copy
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

import constrain
from constrain.covers.covers import STOP
from constrain.errors import ByteTextError, ContextLengthError, LogitsError
from constrain.generation.byte_model import ByteModel, CoversName
from constrain.generation.embedded import load_embedded
from tests.covers.conftest import Tiny, tiny
from tests.oracles.covers import Enumeration

LAWS: tuple[CoversName, ...] = ("all", "canonical")
CODE = b"def add(left, right):\n    return left  + 1  # \xc3\xa9\n"


def make_llama(n_ids: int, seed: int) -> Any:
    """In double precision, so that ways of computing the same differ by 1e-15."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=n_ids + 3,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=96,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).double().eval()


def make_gpt2(n_ids: int, seed: int) -> Any:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=n_ids + 3,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=96,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config).double().eval()


def tokenizer_of(backend: Tiny) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=backend.backend, eos_token="<end>")


def sharpen(model: Any) -> Any:
    """Larger weights, so that distributions are not flat."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8.0)
    return model


@pytest.fixture(scope="module")
def spaces() -> Tiny:
    return tiny("look-ahead")


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return load_embedded()


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("make", [make_llama, make_gpt2])
def test_every_probability_equals_enumeration(make: Any, law: CoversName, spaces: Tiny) -> None:
    vocabulary = spaces.vocabulary
    model = sharpen(make(vocabulary.size, 0))
    context = [1, 2]

    def logits(sequence: tuple[int, ...]) -> list[float]:
        ids = torch.tensor([[*context, *sequence]])
        with torch.inference_mode():
            found: list[float] = model(ids).logits[0, -1].tolist()
        return found

    canonical = spaces.canonical(6)
    viable = {ids[:n] for ids in canonical for n in range(len(ids) + 1)}

    def allowed(sequence: tuple[int, ...]) -> set[int]:
        text = {i for i, t in enumerate(vocabulary.tokens) if t and (*sequence, i) in viable}
        return text | ({0} if sequence in canonical else set())

    oracle = Enumeration(vocabulary.tokens, {0}, logits, allowed if law == "canonical" else None)
    bytes_of = ByteModel(model, tokenizer_of(spaces), covers=law, beam=None)
    for text in (bytes(t) for n in range(4) for t in product(b" a1", repeat=n)):
        mass = oracle.mass(text)
        assert math.exp(bytes_of.score(text, context)) == pytest.approx(mass, rel=1e-9)
        if len(text) == 3:
            continue
        found = np.exp(bytes_of.next_byte_logprobs(text, context))
        assert found.sum() == pytest.approx(1, abs=1e-12)
        assert found[STOP] == pytest.approx(oracle.stop_mass(text) / mass, rel=1e-9, abs=1e-300)
        for byte in b" a1":
            expected = oracle.mass(text + bytes([byte])) / mass
            assert found[byte] == pytest.approx(expected, rel=1e-9)
        stopped = math.exp(bytes_of.score(text, context, stop=True))
        assert stopped == pytest.approx(oracle.stop_mass(text), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("make", [make_llama, make_gpt2])
def test_caches_batches_and_repetition_change_nothing(
    make: Any, law: CoversName, spaces: Tiny
) -> None:
    model = sharpen(make(spaces.vocabulary.size, 1))
    texts = [b"a  1", b"", b" a", b"1 1 aaaa   1", b"a", b"  ", b"a" * 60]
    plain = ByteModel(model, tokenizer_of(spaces), covers=law, beam=8, use_cache=False)
    expected = [plain.next_byte_logprobs(text) for text in texts]
    scores = [plain.score(text) for text in texts]

    cached = ByteModel(model, tokenizer_of(spaces), covers=law, beam=8)
    together = cached.next_byte_logprobs(texts)
    np.testing.assert_allclose(together, expected, rtol=1e-9)
    np.testing.assert_allclose(cached.score(texts), scores, rtol=1e-9)
    again = cached.next_byte_logprobs(texts)
    np.testing.assert_array_equal(again, together)
    fresh = ByteModel(model, tokenizer_of(spaces), covers=law, beam=8)
    for text, row in zip(texts, expected, strict=True):
        np.testing.assert_allclose(fresh.next_byte_logprobs(text), row, rtol=1e-9)


def test_what_is_handed_on_may_be_changed(spaces: Tiny) -> None:
    model = sharpen(make_llama(spaces.vocabulary.size, 2))
    bytes_of = ByteModel(model, tokenizer_of(spaces))
    [covers] = bytes_of.covers_of([b"a a1"])
    before = bytes_of.next_byte_logprobs(b"a a1 a")
    rng = np.random.default_rng(0)
    cover = bytes_of.walk.sample(covers, rng)

    cache = bytes_of.cache(cover.path.memory)
    rest = cover.tokens[len(cover.path.tokens) :] or (1,)
    with torch.no_grad():
        output = model(torch.tensor([rest]), past_key_values=cache)
        whole = torch.tensor([[*cover.path.memory.sequence(), *rest]])
        torch.testing.assert_close(output.logits[0, -1], model(whole).logits[0, -1])
    for layer in cache.layers:
        layer.keys.zero_()
        layer.values.zero_()

    fresh = bytes_of.extend([covers], [b" a"])
    np.testing.assert_allclose(bytes_of.walk.log_probabilities(fresh[0]), before, rtol=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_log_probabilities_along_a_text_sum_to_its_score(
    law: CoversName, embedded: tuple[Any, Any]
) -> None:
    bytes_of = ByteModel(*embedded, covers=law, beam=16)
    total = 0.0
    for place in range(len(CODE)):
        row = bytes_of.next_byte_logprobs(CODE[:place])
        assert np.exp(row).sum() == pytest.approx(1, abs=1e-9)
        total += float(row[CODE[place]])
    if law == "canonical":
        assert total == pytest.approx(bytes_of.score(CODE), abs=1e-6)
        assert bytes_of.reader.n_passes <= len(CODE) + 1
    else:  # what the beam drops is no part of any sum
        [covers] = bytes_of.covers_of([CODE])
        assert total >= bytes_of.score(CODE)
        assert 0 < covers.dropped < 1e-2
        assert covers.dropped < covers.error  # a bound, and no good one along many bytes
    assert bytes_of.score(CODE, stop=True) < bytes_of.score(CODE)


def test_the_laws_agree_where_the_model_writes_as_its_tokenizer_does(
    embedded: tuple[Any, Any],
) -> None:
    canonical, every = (ByteModel(*embedded, covers=law).score(CODE) for law in LAWS[::-1])

    assert canonical == pytest.approx(every, abs=0.05 * abs(every))
    assert canonical != every


def test_a_text_inside_a_character_goes_on(embedded: tuple[Any, Any]) -> None:
    bytes_of = ByteModel(*embedded)
    row = np.exp(bytes_of.next_byte_logprobs(b"# caf\xc3"))

    assert row[0x80:0xC0].sum() == pytest.approx(1, abs=1e-12)
    assert row[STOP] == 0
    with pytest.raises(ByteTextError, match="not UTF-8") as raised:
        bytes_of.next_byte_logprobs(b"# caf\xc3a")
    assert raised.value.prefix == b"# caf\xc3"
    assert bytes_of.score(b"# caf\xff") == -np.inf
    assert ByteModel(*embedded, covers="all").score(b"# caf\xff") > -np.inf


def test_texts_are_drawn_by_their_probability(spaces: Tiny) -> None:
    model = make_llama(spaces.vocabulary.size, 3)
    bytes_of = ByteModel(model, tokenizer_of(spaces))
    n_draws = 1500
    samples = bytes_of.sample(b"a", n_samples=n_draws, max_bytes=2, seed=0)

    assert samples[:50] == bytes_of.sample(b"a", n_samples=n_draws, max_bytes=2, seed=0)[:50]
    counts: dict[tuple[bytes, bool], int] = {}
    for sample in samples:
        key = (sample.text, sample.is_stopped)
        counts[key] = counts.get(key, 0) + 1
    chi, n_free = 0.0, -1
    for (text, is_stopped), n_found in counts.items():
        log = bytes_of.score(b"a" + text, stop=is_stopped) - bytes_of.score(b"a")
        expected = n_draws * math.exp(log)
        if expected > 5:
            chi += (n_found - expected) ** 2 / expected
            n_free += 1
    assert n_free >= 4
    assert chi < n_free + 4 * math.sqrt(2 * n_free)
    for sample in samples[:20]:
        log = bytes_of.score(b"a" + sample.text, stop=sample.is_stopped) - bytes_of.score(b"a")
        assert sample.log_probability == pytest.approx(log, abs=1e-9)
        assert sample.error == 0


def test_what_cannot_be_is_refused_by_name(spaces: Tiny) -> None:
    tokenizer = tokenizer_of(spaces)
    model = make_llama(spaces.vocabulary.size, 4)
    with pytest.raises(ValueError, match="'all' or 'canonical'"):
        ByteModel(model, tokenizer, covers="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="beam"):
        ByteModel(model, tokenizer, beam=0)
    every = ByteModel(model, tokenizer, covers="all")
    with pytest.raises(ByteTextError, match="do not spell") as raised:
        every.next_byte_logprobs(b"aab")
    assert raised.value.prefix == b"aa"
    assert every.score([b"b", b"a"])[0] == -np.inf
    with pytest.raises(ContextLengthError, match="96"):
        every.score(b"a", context=[1] * 97)
    with pytest.raises(ContextLengthError, match="97"):
        every.next_byte_logprobs(b"1" * 96)
    with pytest.raises(LogitsError, match="ids"):
        ByteModel(make_llama(1, 0), tokenizer).score(b"a")
    training = copy.deepcopy(model).train()
    with pytest.raises(ValueError, match="eval"):
        ByteModel(training, tokenizer)


def test_the_name_is_public() -> None:
    assert constrain.ByteModel is ByteModel


def test_nothing_asked_is_nothing_answered(spaces: Tiny) -> None:
    bytes_of = ByteModel(make_llama(spaces.vocabulary.size, 5), tokenizer_of(spaces))

    assert bytes_of.next_byte_logprobs([]).shape == (0, 257)
    assert bytes_of.score([]).shape == (0,)
    assert bytes_of.score(b"") == 0.0
    assert bytes_of.sample(n_samples=0) == []
