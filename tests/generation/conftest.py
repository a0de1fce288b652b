"""A model, a tokenizer and a grammar small enough to generate hundreds of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import constrain
from constrain import Grammar, MaskStore, Production, Terminal, Vocabulary

MERGES = ["( (", ") )", "( )", "( a", "a )", "a b", "b a", "(( ((", ")) ))"]
SPECIALS = ["<end>", "<stop>", "<pad>"]
PADDED_WIDTH = 288
"""Logits of the model: more than the tokenizer has ids, as real models have."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost a tiny model more than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, a few merges, two end tokens and a padding token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [tuple(merge.split()) for merge in MERGES]
    names = [*SPECIALS, *alphabet, *map("".join, merges)]
    bpe = models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges)
    backend = Tokenizer(bpe)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<end>",
        pad_token="<pad>",
        additional_special_tokens=["<stop>"],
    )


@pytest.fixture(scope="session")
def make_model() -> Callable[[int], Any]:
    """A random model by its seed."""

    def make(seed: int) -> Any:
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=PADDED_WIDTH,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=512,
            initializer_range=0.5,
            bos_token_id=None,
            eos_token_id=[0, 1],
            pad_token_id=2,
        )
        return LlamaForCausalLM(config).eval()

    return make


@pytest.fixture(scope="session")
def model(make_model: Callable[[int], Any]) -> Any:
    return make_model(0)


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    """Nested groups of letters: `(a(bé)())`."""
    return Grammar(
        terminals=(
            Terminal("OPEN", r"\("),
            Terminal("CLOSE", r"\)"),
            Terminal("LETTER", "[abé]"),
        ),
        productions=(
            Production("group", ("OPEN", "items", "CLOSE")),
            Production("items", ()),
            Production("items", ("items", "item")),
            Production("item", ("LETTER",)),
            Production("item", ("group",)),
        ),
        start="group",
        name="groups",
    )


@pytest.fixture(scope="session")
def vocabulary(tokenizer: PreTrainedTokenizerFast, model: Any) -> Vocabulary:
    return Vocabulary.from_tokenizer(tokenizer, model.generation_config)


@pytest.fixture(scope="session")
def store(grammar: Grammar, vocabulary: Vocabulary) -> MaskStore:
    return constrain.compile(grammar, vocabulary)


def is_group(text: str) -> bool:
    """Whether `text` is a whole text of the grammar, by counting."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter not in "()abé" or depth < (place < len(text) - 1):
            return False
    return bool(text) and depth == 0


@pytest.fixture(scope="session", name="is_group")
def _is_group() -> Callable[[str], bool]:
    return is_group
