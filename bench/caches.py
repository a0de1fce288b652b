"""Makes this library forget what it keeps from one grammar to the next.

`functools.lru_cache` keeps automata of patterns and languages of keywords for the life of a
process; the pool of a vocabulary keeps the lexicon of all schemas, and its rows. What is only
about Unicode stays: it is a table, though it is made when it is first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import _lru_cache_wrapper

import constrain
from constrain import pools
from constrain.vocabulary import Vocabulary

ABOUT_UNICODE = frozenset(
    {"constrain.automata.charset", "constrain.automata.utf8", "constrain.schema.properties"}
)

PLAIN_TEXTS: Sequence[bytes] = (
    '{"a": [1, -0.5e+3, true, false, null, "b\\u00e9\\n\u00e9\u4e2d\U0001f600"], "": {}}'.encode(),
    b'[{"key": "words with blanks", "other": []}, [], {}, 0, "", 12345678901]',
)
"""What the rows of every schema over a vocabulary are made by: texts of the schema `{}`."""


OF_WHOLE_GRAMMARS = ("constrain.compiler", "constrain.schema.grammar")


def forget_grammars() -> None:
    """Drop all that was kept of other grammars."""
    _clear([name for name in sys.modules if name.split(".")[0] == "constrain"])
    pools._pools.clear()


def _clear(names: Sequence[str]) -> None:
    for name in names:
        if name not in ABOUT_UNICODE:
            for value in list(vars(sys.modules[name]).values()):
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()


def warm_vocabulary(vocabulary: Vocabulary) -> None:
    """A new pool with the rows that any schema over the vocabulary needs, and none of another.

    Masks of the schema `{}` itself are not kept.
    """
    grammar = constrain.Grammar.from_json_schema({}, order="any")
    store = constrain.compile(grammar, vocabulary)
    for text in PLAIN_TEXTS:
        matcher = store.matcher()
        for byte in text:
            matcher.mask()
            if not matcher.accept_bytes(bytes([byte])):
                raise ValueError(f"{text!r} is not JSON behind {matcher.text!r}")
        matcher.mask()
    _clear(OF_WHOLE_GRAMMARS)
