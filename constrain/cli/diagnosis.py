"""Matchers of bytes, for people's texts; what is said of faults is in `decode/diagnosis.py`."""

from __future__ import annotations

from constrain.compiler import compile as compile_store
from constrain.decode.diagnosis import (
    Place,
    describe_completion,
    describe_expected,
    place_of,
    quote,
    read_viable,
    show_caret,
    spell_bytes,
)
from constrain.decode.matcher import Matcher
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

__all__ = [
    "Place",
    "byte_matcher",
    "describe_completion",
    "describe_expected",
    "place_of",
    "quote",
    "read_viable",
    "show_caret",
    "spell_bytes",
]


def byte_matcher(grammar: AnyGrammar) -> Matcher:
    """A matcher that reads any bytes, of no tokenizer.

    Raises:
        GrammarError: the grammar cannot be used.
    """
    every_byte = Vocabulary.from_tokens([bytes([value]) for value in range(256)])
    return compile_store(grammar, every_byte).matcher()
