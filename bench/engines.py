"""One small adapter per engine: JSON masks over one tokenizer.

Every engine fills one row of int32 in place and is called through one Python method, so
that all pay alike for the call. The peers are set up as their documentation shows for JSON.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask


class Engine(Protocol):
    """What is measured. `begin` starts a text, `mask` fills `row`, `advance` takes a token.

    Attributes:
        name: with the version.
        row: int32[W].
    """

    name: str
    row: NDArray[np.int32]

    def compile(self) -> None:
        """From the grammar to a first matcher, nothing kept from before."""
        ...

    def begin(self) -> None:
        """Stand at the beginning of a new text."""
        ...

    def mask(self) -> None:
        """Fill `row`."""
        ...

    def advance(self, token_id: int) -> bool:
        """Append a token; False where it is refused."""
        ...


class Constrain:
    """This library. With `cache_dir`, `compile` loads the store that lies there."""

    store: MaskStore
    matcher: Matcher

    def __init__(self, vocabulary: Vocabulary, cache_dir: Path | None = None) -> None:
        self.name = f"constrain {constrain_version()}"
        if cache_dir is not None:
            self.name += ", stored"
        self.row = bitmask.allocate(vocabulary.size)
        self._vocabulary = vocabulary
        self._cache_dir = cache_dir

    def compile(self) -> None:
        """Compile, or load, and begin."""
        grammar = Grammar.builtin("json")
        self.store = constrain.compile(grammar, self._vocabulary, self._cache_dir)
        self.begin()

    def begin(self) -> None:
        """Take a new matcher."""
        self.matcher = self.store.matcher()

    def mask(self) -> None:
        """Fill `row`."""
        self.matcher.fill_bitmask(self.row)

    def advance(self, token_id: int) -> bool:
        """Append a token."""
        return self.matcher.accept_token(token_id)


class LLGuidance:
    """llguidance, with the schema that allows any JSON."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        import llguidance.hf  # noqa: PLC0415 - it may be absent
        import llguidance.numpy  # noqa: PLC0415

        self.name = f"llguidance {version('llguidance')}"
        self._matcher_class = llguidance.LLMatcher
        self._fill = llguidance.numpy.fill_next_token_bitmask
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=vocabulary.size, eos_token=vocabulary.end_ids[0]
        )
        self._rows = bitmask.allocate(vocabulary.size)[None]
        self.row = self._rows[0]

    def compile(self) -> None:
        """Compile, or load, and begin."""
        grammar = self._matcher_class.grammar_from_json_schema(json.dumps({}))
        self._first = self._matcher_class(self._tokenizer, grammar, log_level=0)
        if self._first.is_error():
            raise ValueError(self._first.get_error())
        self.begin()

    def begin(self) -> None:
        """Take a new matcher."""
        self._matcher = self._first.deep_copy()  # keeps the lexer states built so far
        self._matcher.reset()

    def mask(self) -> None:
        """Fill `row`."""
        self._fill(self._matcher, self._rows, 0)

    def advance(self, token_id: int) -> bool:
        """Append a token."""
        return bool(self._matcher.consume_token(token_id))


class XGrammar:
    """xgrammar, with its own JSON grammar, on one thread as all others are."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        import torch  # noqa: PLC0415 - only this engine needs it
        import xgrammar  # noqa: PLC0415 - it may be absent

        self.name = f"xgrammar {version('xgrammar')}"
        self._xgrammar = xgrammar
        self._info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocabulary.size, stop_token_ids=list(vocabulary.end_ids)
        )
        rows = bitmask.allocate(vocabulary.size)[None]
        self.row = rows[0]
        self._tensor = torch.from_numpy(rows)  # the same memory

    def compile(self) -> None:
        """Compile, or load, and begin."""
        compiler = self._xgrammar.GrammarCompiler(self._info, max_threads=1, cache_enabled=False)
        self._compiled = compiler.compile_builtin_json_grammar()
        self.begin()

    def begin(self) -> None:
        """Take a new matcher."""
        self._matcher = self._xgrammar.GrammarMatcher(self._compiled)

    def mask(self) -> None:
        """Fill `row`."""
        if not self._matcher.fill_next_token_bitmask(self._tensor):
            self.row.fill(-1)  # it leaves the row alone where all is allowed

    def advance(self, token_id: int) -> bool:
        """Append a token."""
        return bool(self._matcher.accept_token(token_id))


def peers(tokenizer: Any, vocabulary: Vocabulary) -> list[Engine]:
    """The peers that are installed."""
    found: list[Engine] = []
    if find_spec("llguidance"):
        found.append(LLGuidance(tokenizer, vocabulary))
    if find_spec("xgrammar"):
        found.append(XGrammar(tokenizer, vocabulary))
    return found


def constrain_version() -> str:
    return version("constrain") if find_spec("constrain") and _is_installed() else "(checkout)"


def _is_installed() -> bool:
    from importlib.metadata import packages_distributions  # noqa: PLC0415

    return "constrain" in packages_distributions()
