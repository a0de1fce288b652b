"""One small adapter per engine: masks of a language over one tokenizer.

Every engine fills one row of int32 in place and is called through one Python method, so
that all pay alike for the call. The peers are set up as their documentation shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import constrain
from bench.caches import forget_grammars
from bench.records import is_installed
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask
from constrain.generation.apply import apply_bitmask_

LARK_JSON = r"""
start: value
value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" (member ("," member)*)? "}"
member: STRING ":" value
array: "[" (value ("," value)*)? "]"
STRING: /"([^"\\\x00-\x1f]|\\["\\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
%ignore /[ \t\n\r]+/
"""
"""JSON as llguidance's own grammar language says it fastest; its schema `{}` is as fast."""


class Engine(Protocol):
    """What is measured. `begin` starts a text, `mask` fills `row`, `advance` takes a token.

    Attributes:
        name: with the version.
        row: int32[W].
    """

    name: str
    row: NDArray[np.int32]

    def forget(self) -> None:
        """Drop what was compiled, and what is kept of other grammars."""
        ...

    def compile(self) -> None:
        """From the grammar to a first matcher."""
        ...

    def compiled_bytes(self) -> int | None:
        """What the compiled grammar takes, if the engine tells."""
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

    def rollback(self, n_tokens: int) -> None:
        """Undo the last tokens."""
        ...

    def fork(self) -> Any:
        """A second matcher in the same state."""
        ...

    def forced(self) -> bytes | str:
        """What every text goes on with."""
        ...

    def apply(self, logits: Tensor) -> None:
        """Set the logits float32[1, V] of tokens that are not in `row` to -inf."""
        ...


class Constrain:
    """This library. With `cache_dir`, `compile` loads the store that lies there."""

    store: MaskStore
    matcher: Matcher

    def __init__(
        self, vocabulary: Vocabulary, language: str = "json", cache_dir: Path | None = None
    ) -> None:
        self.name = f"constrain {constrain_version()}"
        if cache_dir is not None:
            self.name += ", stored"
        self._vocabulary = vocabulary
        self._language = language
        self._cache_dir = cache_dir
        rows = bitmask.allocate(vocabulary.size)[None]
        self.row = rows[0]
        self._tensor = torch.from_numpy(rows)  # the same memory

    def forget(self) -> None:
        """Drop the store, and what is kept of other grammars."""
        self.__dict__.pop("store", None)
        self.__dict__.pop("matcher", None)
        forget_grammars()

    def compile(self) -> None:
        """Compile, or load, and begin."""
        grammar = Grammar.builtin(self._language)
        self.store = constrain.compile(grammar, self._vocabulary, self._cache_dir)
        self.begin()

    def compiled_bytes(self) -> int | None:
        """Nothing is told; the size of the file is measured."""
        return None

    def begin(self) -> None:
        """Take a new matcher."""
        self.matcher = self.store.matcher()

    def mask(self) -> None:
        """Fill `row`."""
        self.matcher.fill_bitmask(self.row)

    def advance(self, token_id: int) -> bool:
        """Append a token."""
        return self.matcher.accept_token(token_id)

    def rollback(self, n_tokens: int) -> None:
        """Undo tokens."""
        self.matcher.rollback(n_tokens)

    def fork(self) -> Any:
        """A second matcher."""
        return self.matcher.fork()

    def forced(self) -> bytes | str:
        """Bytes that must come."""
        return self.matcher.forced_bytes()

    def apply(self, logits: Tensor) -> None:
        """Mask the logits."""
        apply_bitmask_(logits, self._tensor)


class LLGuidance:
    """llguidance, with JSON in its own language of grammars."""

    _first: Any
    _matcher: Any

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        import llguidance.hf  # noqa: PLC0415 - it may be absent
        import llguidance.numpy  # noqa: PLC0415
        import llguidance.torch  # noqa: PLC0415

        self.name = f"llguidance {version('llguidance')}"
        self._matcher_class = llguidance.LLMatcher
        self._fill = llguidance.numpy.fill_next_token_bitmask
        self._apply = llguidance.torch.apply_token_bitmask_inplace
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=vocabulary.size, eos_token=vocabulary.end_ids[0]
        )
        self._rows = bitmask.allocate(vocabulary.size)[None]
        self.row = self._rows[0]
        self._tensor = torch.from_numpy(self._rows)  # the same memory

    def forget(self) -> None:
        """Drop the matchers; a new one knows nothing of another grammar."""
        self._first = self._matcher = None

    def compile(self) -> None:
        """Compile and begin."""
        self._compile(self._matcher_class.grammar_from_lark(LARK_JSON))

    def _compile(self, grammar: str) -> None:
        self._first = self._matcher_class(self._tokenizer, grammar, log_level=0)
        if self._first.is_error():
            raise ValueError(self._first.get_error())
        self.begin()

    def compiled_bytes(self) -> int | None:
        """Nothing is told."""
        return None

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

    def rollback(self, n_tokens: int) -> None:
        """Undo tokens."""
        self._matcher.rollback(n_tokens)

    def fork(self) -> Any:
        """A second matcher."""
        return self._matcher.deep_copy()

    def forced(self) -> bytes | str:
        """Bytes that must come."""
        found: bytes = self._matcher.compute_ff_bytes()
        return found

    def apply(self, logits: Tensor) -> None:
        """Mask the logits, by the kernel that it gives to `torch.compile`."""
        self._apply(logits, self._tensor)


class XGrammar:
    """xgrammar, with its own JSON grammar, on one thread as all others are."""

    _compiled: Any
    _matcher: Any

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        import xgrammar  # noqa: PLC0415 - it may be absent

        self.name = f"xgrammar {version('xgrammar')}"
        self._xgrammar = xgrammar
        self._info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocabulary.size, stop_token_ids=list(vocabulary.end_ids)
        )
        rows = bitmask.allocate(vocabulary.size)[None]
        self.row = rows[0]
        self._tensor = torch.from_numpy(rows)  # the same memory
        self.forget()

    def forget(self) -> None:
        """Drop the grammar, and take a compiler that keeps nothing."""
        self._compiled = self._matcher = None
        self._compiler = self._xgrammar.GrammarCompiler(
            self._info, max_threads=1, cache_enabled=False
        )

    def compile(self) -> None:
        """Compile and begin."""
        self._compiled = self._compiler.compile_builtin_json_grammar()
        self.begin()

    def compiled_bytes(self) -> int | None:
        """As xgrammar counts them."""
        return int(self._compiled.memory_size_bytes)

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

    def rollback(self, n_tokens: int) -> None:
        """Undo tokens."""
        self._matcher.rollback(n_tokens)

    def fork(self) -> Any:
        """A second matcher."""
        return self._matcher.fork()

    def forced(self) -> bytes | str:
        """Text that must come."""
        found: str = self._matcher.find_jump_forward_string()
        return found

    def apply(self, logits: Tensor) -> None:
        """Mask the logits."""
        self._xgrammar.apply_token_bitmask_inplace(logits, self._tensor)


class OutlinesCore:
    """outlines-core: an index of a regular expression. It has no grammars, only schemas."""

    _index: Any
    _guide: Any

    def __init__(self, vocabulary: Vocabulary) -> None:
        import outlines_core  # noqa: PLC0415 - it may be absent

        self.name = f"outlines-core {version('outlines-core')}"
        self._outlines = outlines_core
        by_bytes = {token: list(ids) for token, ids in vocabulary.ids.items()}
        self._tokens = outlines_core.Vocabulary(vocabulary.end_ids[0], by_bytes)
        self.row = bitmask.allocate(vocabulary.size)

    def forget(self) -> None:
        """Drop the index, which is of one pattern."""
        self._index = self._guide = None

    def compile_pattern(self, pattern: str) -> None:
        """Compile and begin."""
        self._index = self._outlines.Index(pattern, self._tokens)
        self.begin()

    def begin(self) -> None:
        """Take a new guide."""
        self._guide = self._outlines.Guide(self._index)

    def mask(self) -> None:
        """Fill `row`."""
        self._guide.write_mask_into(self.row.ctypes.data, self.row.size, self.row.itemsize)

    def advance(self, token_id: int) -> bool:
        """Append a token."""
        try:
            self._guide.advance(token_id, False)
        except ValueError:  # by which it refuses a token
            return False
        return True


def builders(
    language: str, tokenizer: Any, vocabulary: Vocabulary, stores: Path
) -> Mapping[str, Callable[[], Engine]]:
    """What builds each engine that is installed and has a grammar of the language.

    The vocabulary tells the peers its size and end tokens; this library reads its own, so that
    all build their tables of tokens in their own time.

    Args:
        language: of `bench.corpora`.
        tokenizer: of transformers.
        vocabulary: the tokenizer's.
        stores: a folder where a compiled store lies.
    """
    found: dict[str, Callable[[], Engine]] = {
        "stored": lambda: Constrain(Vocabulary.from_tokenizer(tokenizer), language, stores),
        "ours": lambda: Constrain(Vocabulary.from_tokenizer(tokenizer), language),
    }
    if language == "json":
        peers: Mapping[str, Callable[..., Engine]] = {
            "llguidance": LLGuidance,
            "xgrammar": XGrammar,
        }
        for name, build in peers.items():
            if find_spec(name):
                import_module(name)  # which is no part of building
                found[name] = partial(build, tokenizer, vocabulary)
    return found


def constrain_version() -> str:
    return version("constrain") if is_installed("constrain") else "(checkout)"
