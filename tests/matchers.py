"""One matcher of bytes for each built-in grammar: some take seconds to build."""

from __future__ import annotations

from functools import cache

from constrain import Matcher
from constrain.cli.diagnosis import byte_matcher
from constrain.grammar.builtin import builtin


@cache
def builtin_matcher(name: str) -> Matcher:
    """A matcher at the beginning of a text; fork it."""
    return byte_matcher(builtin(name))
