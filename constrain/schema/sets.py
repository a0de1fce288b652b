"""Unions and intersections of the languages of a schema: bounded, and each made once."""

from __future__ import annotations

from functools import lru_cache

from constrain.automata import dfa
from constrain.automata.dfa import ByteDFA

MAX_STATES = 20_000
"""Of an automaton that is put together of others: a second or two."""


@lru_cache(maxsize=4096)
def intersect(left: ByteDFA, right: ByteDFA) -> ByteDFA:
    """The texts of both.

    Raises:
        GrammarLimitError: there are more than `MAX_STATES` states.
    """
    return dfa.intersect(left, right, max_states=MAX_STATES)


@lru_cache(maxsize=4096)
def union(left: ByteDFA, right: ByteDFA) -> ByteDFA:
    """The texts of either. Raises like `intersect`."""
    return dfa.union(left, right, max_states=MAX_STATES)


@lru_cache(maxsize=4096)
def subtract(left: ByteDFA, right: ByteDFA) -> ByteDFA:
    """The texts of `left` that are not of `right`. Raises like `intersect`."""
    return dfa.subtract(left, right, max_states=MAX_STATES)
