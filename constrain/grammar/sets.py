"""First, last and follow: which terminals may begin, end and come after what.

Input:  `NormalGrammar`, which has no ε, so that no set needs another's nullability.
Output: sets of terminals as Python integers, bit t for terminal t.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from constrain.grammar.normalize import NormalGrammar


def first_sets(grammar: NormalGrammar) -> list[int]:
    """Per symbol id, the terminals that may begin a sentence of it."""
    return _corner_sets(grammar, 0)


def last_sets(grammar: NormalGrammar) -> list[int]:
    """Per symbol id, the terminals that may end a sentence of it."""
    return _corner_sets(grammar, -1)


def follow_terminals(grammar: NormalGrammar) -> list[int]:
    """Per terminal as it is lexed, those that may stand directly after it in some sentence."""
    follow = [0] * (max(grammar.lexed, default=-1) + 1)
    for terminal, members in zip(grammar.lexed, follow_symbols(grammar), strict=True):
        follow[terminal] |= members
    return follow


def follow_symbols(grammar: NormalGrammar) -> list[int]:
    """Per terminal of the automaton, as lexed those that may stand directly after it."""
    first = first_sets(grammar)
    last = last_sets(grammar)
    follow = [0] * len(grammar.terminals)
    pairs = {pair for _, rhs in grammar.productions for pair in pairwise(rhs)}
    for left, right in sorted(pairs):
        for terminal in bits(last[left]):
            follow[terminal] |= first[right]
    return [as_lexed(grammar, members) for members in follow]


def as_lexed(grammar: NormalGrammar, symbols: int) -> int:
    """Terminals of the automaton, as they are lexed."""
    return sum({1 << grammar.lexed[symbol] for symbol in bits(symbols)})


def bits(members: int) -> Iterator[int]:
    """The set bits' places, ascending."""
    while members:
        low = members & -members
        yield low.bit_length() - 1
        members ^= low


def _corner_sets(grammar: NormalGrammar, corner: int) -> list[int]:
    n_terminals = len(grammar.terminals)
    sets = [1 << t for t in range(n_terminals)] + [0] * len(grammar.nonterminals)
    users: dict[int, dict[int, None]] = {}
    for lhs, rhs in grammar.productions:
        users.setdefault(rhs[corner], {})[lhs] = None
    waiting = list(range(n_terminals))
    for symbol in waiting:
        for user in users.get(symbol, ()):
            merged = sets[user] | sets[symbol]
            if merged != sets[user]:
                sets[user] = merged
                waiting.append(user)
    return sets
