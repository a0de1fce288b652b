"""The engines of `bench.maskbench`: those of `bench.engines`, given JSON schemas.

Each keeps what it keeps by itself from one schema to the next, as a server's would, unless it is
told to `forget`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import constrain
from bench.caches import warm_vocabulary
from bench.engines import Constrain, LLGuidance, OutlinesCore, XGrammar
from bench.schema_judge import SchemaEngine
from constrain import Grammar, Vocabulary
from constrain.errors import ConstrainError

END_TOKEN = "<|end_of_text|>"
"""What ends a text of Llama 3 where no chat is meant; other tokenizers have their own."""

XGRAMMAR_CACHE = 2**30
"""Bytes that xgrammar may keep from one schema to the next; by itself it sets no bound."""


class OurSchemas(Constrain):
    """This library, with properties in any order."""

    refusals: tuple[type[Exception], ...] = (ConstrainError,)

    def forget(self) -> None:
        """Keep of other schemas what is the same for all: the vocabulary's rows."""
        super().forget()
        warm_vocabulary(self._vocabulary)

    def compile_schema(self, schema: str) -> None:
        """Compile and begin."""
        grammar = Grammar.from_json_schema(schema, order="any")
        self.store = constrain.compile(grammar, self._vocabulary)
        self.begin()


class UnimplementedError(ValueError):
    """llguidance refuses a schema; the keywords that it names, as they are counted."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = re.search(r"Unimplemented keys: \[(.*?)\]", message)
        self.keyword = found[1].replace('"', "") if found else None


class LLGuidanceSchemas(LLGuidance):
    """llguidance as it is."""

    refusals: tuple[type[Exception], ...] = (ValueError, RuntimeError)

    def compile_schema(self, schema: str) -> None:
        """Compile and begin."""
        grammar = self._matcher_class.grammar_from_json_schema(schema)
        first = self._matcher_class(self._tokenizer, grammar, log_level=0)
        if first.is_error():
            raise UnimplementedError(first.get_error())
        self._first = first
        self.begin()


class XGrammarSchemas(XGrammar):
    """xgrammar: `strict` as it is; else what the schema does not name is allowed."""

    refusals: tuple[type[Exception], ...] = (ValueError, RuntimeError)

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, *, strict: bool = True) -> None:
        super().__init__(tokenizer, vocabulary)
        if not strict:
            self.name += ", not strict"
        self._options = {} if strict else {"strict_mode": False, "any_whitespace": True}
        self._compiler = self._xgrammar.GrammarCompiler(
            self._info, max_threads=1, cache_limit_bytes=XGRAMMAR_CACHE
        )

    def compile_schema(self, schema: str) -> None:
        """Compile and begin."""
        self._compiled = self._compiler.compile_json_schema(schema, **self._options)  # type: ignore[arg-type, unused-ignore]
        self.begin()


class OutlinesCoreSchemas(OutlinesCore):
    """outlines-core, with the regular expression that it makes of a schema."""

    refusals: tuple[type[Exception], ...] = (ValueError, RuntimeError, TypeError)

    def __init__(self, vocabulary: Vocabulary) -> None:
        from outlines_core.json_schema import (  # noqa: PLC0415 - it may be absent
            build_regex_from_schema,
        )

        super().__init__(vocabulary)
        self._as_pattern = build_regex_from_schema

    def compile_schema(self, schema: str) -> None:
        """Compile and begin."""
        self.compile_pattern(self._as_pattern(schema))


PACKAGES: Mapping[str, str] = {
    "ours": "constrain",
    "llguidance": "llguidance",
    "xgrammar": "xgrammar",
    "xgrammar-loose": "xgrammar",
    "outlines-core": "outlines_core",
}
"""What each engine needs, by its name on the command line."""

ALL_ENGINES = tuple(PACKAGES)


class RealBench:
    """A tokenizer and the engines over it, each built when it is asked for.

    Attributes:
        end_id: the end token's.
        builders: by the engines' names on the command line.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        from transformers import AutoTokenizer  # noqa: PLC0415 - slow to import

        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        if END_TOKEN in self._tokenizer.get_vocab():
            self._tokenizer.eos_token = END_TOKEN
        self._vocabulary = Vocabulary.from_tokenizer(self._tokenizer)
        if not self._vocabulary.end_ids:
            raise SystemExit(f"{folder} names no end token, by which a text could be seen to end")
        self.end_id = self._vocabulary.end_ids[0]
        peer = (self._tokenizer, self._vocabulary)
        known: dict[str, Callable[[], SchemaEngine]] = {
            "ours": partial(OurSchemas, self._vocabulary),
            "llguidance": partial(LLGuidanceSchemas, *peer),
            "xgrammar": partial(XGrammarSchemas, *peer),
            "xgrammar-loose": partial(XGrammarSchemas, *peer, strict=False),
            "outlines-core": partial(OutlinesCoreSchemas, self._vocabulary),
        }
        self.builders: Mapping[str, Callable[[], SchemaEngine]] = {n: known[n] for n in names}

    def tokenize(self, text: str) -> list[int]:
        """Token ids that write exactly `text`; what looks like a special token is text too.

        Raises:
            ValueError: the tokenizer changes the text.
        """
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        token_ids: list[int] = encoded["input_ids"]
        written = b"".join(map(self._vocabulary.tokens.__getitem__, token_ids))
        if written != text.encode():
            raise ValueError(f"the tokenizer does not give back the text {text[:80]!r}")
        return token_ids


def installed(names: Sequence[str]) -> list[str]:
    """Those of the engines whose package is here."""
    return [name for name in names if find_spec(PACKAGES[name])]
