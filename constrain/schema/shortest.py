"""The fewest bytes of a scalar or a key, and what is asked about costs that are being found.

Costs count JSON without white space. With more of it they are lower bounds.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Protocol

from constrain.automata.dfa import ByteDFA
from constrain.schema import strings
from constrain.schema.counting import check_countable, fewest_within
from constrain.schema.languages import Expr, Numbers, Strings, Values, encode
from constrain.schema.space import Space

IMPOSSIBLE = 1 << 40
"""A cost no text has."""


class Known(Protocol):
    """The costs of expressions, as far as they are found; see `constrain.schema.costs.Costs`."""

    space: Space

    def of_known(self, expr: Expr) -> int:
        """The fewest bytes of a value, and while they are being found what is known so far."""


def scalar_cost(values: Values) -> int:
    """Bytes of the shortest scalar; IMPOSSIBLE where there is none."""
    cost = 4 if values.null or True in values.booleans else IMPOSSIBLE
    if False in values.booleans:
        cost = min(cost, 5)
    return min(cost, number_cost(values.numbers), string_cost(values.strings))


@lru_cache(maxsize=4096)
def number_cost(spellings: Numbers) -> int:
    """Bytes of the shortest number."""
    if spellings.spelling is None:
        return 1
    shortest = spellings.spelling.shortest()
    return IMPOSSIBLE if shortest is None else len(shortest)


@lru_cache(maxsize=4096)
def string_cost(texts: Strings) -> int:
    """Bytes of the shortest string, quotes included."""
    if texts.content is None:
        return IMPOSSIBLE if texts.is_empty() else 2 + texts.least
    if texts.least == 0 and texts.most is None:
        shortest = strings.spell(texts.content, any_escape=False).shortest()
        return IMPOSSIBLE if shortest is None else 2 + len(shortest)
    plain = texts.plain()
    check_countable(texts.content, max(plain.least, plain.most or 0))
    fewest = fewest_within(texts.content, texts.least, texts.most)
    return IMPOSSIBLE if fewest is None else 2 + fewest


@lru_cache(maxsize=4096)
def key_cost(keys: ByteDFA | None) -> int:
    """Bytes of the shortest key of a language, quotes and colon included."""
    return 1 + string_cost(Strings(keys))


def name_cost(name: str) -> int:
    """Bytes of a key, quotes and colon included."""
    return len(spelled(name)) + 3


@lru_cache(maxsize=65536)
def spelled(name: str) -> bytes:
    """The canonical spelling of a string, without its quotes."""
    return encode(json.dumps(name, ensure_ascii=False)[1:-1])
