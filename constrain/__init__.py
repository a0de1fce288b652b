"""Exact token masks: a language model that writes only texts of a formal language."""

from constrain.compiler import MaskStore, compile
from constrain.decode.matcher import Matcher
from constrain.errors import ConstrainError
from constrain.grammar.rules import Grammar, Production, Terminal
from constrain.vocabulary import Vocabulary

__all__ = [
    "ConstrainError",
    "Grammar",
    "MaskStore",
    "Matcher",
    "Production",
    "Terminal",
    "Vocabulary",
    "compile",
]
