"""The real tokenizers where they are at hand; Hypothesis' profiles are in `tests.profiles`.

The tokenizers lie outside the repository: in the folder named by `CONSTRAIN_SHARED`, else
in `shared` beside the checkout. Tests that need them are skipped where it is absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tests.profiles  # noqa: F401 - registers and loads Hypothesis' profiles

if TYPE_CHECKING:
    from constrain.vocabulary import Vocabulary

TOKENIZERS = (
    "cl100k_base",
    "deepseek-coder",
    "deepseek-v4",
    "gemma2",
    "gpt2",
    "llama2",
    "llama3",
    "mistral-v1",
    "o200k_base",
    "qwen2.5-coder",
    "starcoder2",
    "tekken-nemo",
)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real tokenizers and data."""
    beside = Path(__file__).parents[1].parent / "shared"
    folder = Path(os.environ.get("CONSTRAIN_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; name the data's folder by CONSTRAIN_SHARED")
    return folder


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.tokenizers) for name in TOKENIZERS],
)
def tokenizer_folder(shared: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of each real tokenizer in turn."""
    folder = shared / "tokenizers" / str(request.param)
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


@pytest.fixture(scope="session")
def real_tokenizer(shared: Path) -> Callable[[str], Any]:
    """`real_tokenizer(name)`: a real tokenizer, read once a session."""

    @cache
    def load(name: str) -> Any:
        from transformers import AutoTokenizer  # noqa: PLC0415 - slow, and few tests need it

        return AutoTokenizer.from_pretrained(shared / "tokenizers" / name)

    return load


@pytest.fixture(scope="session")
def real_vocabulary(real_tokenizer: Callable[[str], Any]) -> Callable[[str], Vocabulary]:
    """`real_vocabulary(name)`: a real tokenizer's vocabulary, read once a session."""

    @cache
    def load(name: str) -> Vocabulary:
        from constrain.vocabulary import Vocabulary  # noqa: PLC0415 - not at hypothesis' start

        return Vocabulary.from_tokenizer(real_tokenizer(name))

    return load
