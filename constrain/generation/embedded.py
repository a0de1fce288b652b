"""The small language model that the package carries: it loads with no network."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from constrain.errors import EmbeddedModelError

FOLDER = Path(__file__).resolve().parent.parent / "embedded"
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def load_embedded() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load the embedded model, ready to generate, and its tokenizer.

    The weights are bf16 on disk and float32 in memory: on a CPU that is the faster of the two,
    and a batch then gives the same texts as its prompts one by one.

    Raises:
        EmbeddedModelError: a file of the model is missing from the installed package.
    """
    missing = [name for name in FILES if not (FOLDER / name).is_file()]
    if missing:
        raise EmbeddedModelError(FOLDER, missing)
    model = LlamaForCausalLM.from_pretrained(FOLDER, dtype=torch.float32, local_files_only=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(FOLDER, local_files_only=True)
    return model, tokenizer
