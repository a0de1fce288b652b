"""Exact token masks: a language model that writes only texts of a formal language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constrain.compiler import MaskStore, compile
from constrain.decode.batch import fill_bitmasks
from constrain.decode.matcher import Matcher
from constrain.errors import ConstrainError
from constrain.grammar.rules import Grammar, Production, Terminal
from constrain.schema.tags import Tag
from constrain.vocabulary import Vocabulary

if TYPE_CHECKING:
    from constrain.generation.apply import apply_bitmask_, apply_rows_
    from constrain.generation.byte_model import ByteModel
    from constrain.generation.generate import constrained_generate, generate
    from constrain.generation.infill import Infilled, infill
    from constrain.generation.processor import GrammarLogitsProcessor

__all__ = [
    "ByteModel",
    "ConstrainError",
    "Grammar",
    "GrammarLogitsProcessor",
    "Infilled",
    "MaskStore",
    "Matcher",
    "Production",
    "Tag",
    "Terminal",
    "Vocabulary",
    "apply_bitmask_",
    "apply_rows_",
    "compile",
    "constrained_generate",
    "fill_bitmasks",
    "generate",
    "infill",
]

_NEEDS_TORCH = {
    "ByteModel": "constrain.generation.byte_model",
    "GrammarLogitsProcessor": "constrain.generation.processor",
    "apply_bitmask_": "constrain.generation.apply",
    "apply_rows_": "constrain.generation.apply",
    "constrained_generate": "constrain.generation.generate",
    "Infilled": "constrain.generation.infill",
    "generate": "constrain.generation.generate",
    "infill": "constrain.generation.infill",
}


def __getattr__(name: str) -> Any:
    """Load torch and transformers only once a name that needs them is used."""
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module 'constrain' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as late as what it imports

    return getattr(import_module(_NEEDS_TORCH[name]), name)
