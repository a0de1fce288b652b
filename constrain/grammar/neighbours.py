"""A grammar without the sentences in which certain terminals stand side by side.

Input:  `NormalGrammar`, and the pairs of terminals that longest match never lets meet.
Output: the `NormalGrammar` of the other sentences.

This is the intersection with a regular language of pairs (Bar-Hillel, Perles, Shamir 1961):
each nonterminal is split by the classes of the terminals its sentences begin and end with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from constrain.grammar.normalize import NormalGrammar

MAX_SPLIT_PRODUCTIONS = 20_000
"""Beyond it the grammar is left as it is, and the decoder's search keeps it exact."""

Pair = tuple[int, int]
Corners = tuple[int, int]  # a terminal each for those a sentence begins and ends with


def without_neighbours(grammar: NormalGrammar, forbidden: Collection[Pair]) -> NormalGrammar | None:
    """The sentences of `grammar` with no pair of `forbidden` side by side; None if there is none.

    Args:
        grammar: over terminal ids.
        forbidden: (left, right) terminal ids.
    """
    if not forbidden:
        return grammar
    splitter = _Splitter(grammar, set(forbidden))
    if not splitter.corners[grammar.start] and not grammar.accepts_empty:
        return None
    return splitter.split()


class _Splitter:
    def __init__(self, grammar: NormalGrammar, forbidden: set[Pair]) -> None:
        self._grammar = grammar
        self._forbidden = forbidden
        n_terminals = len(grammar.terminals)
        before = [frozenset(a for a, b in forbidden if b == t) for t in range(n_terminals)]
        after = [frozenset(b for a, b in forbidden if a == t) for t in range(n_terminals)]
        self.corners: list[set[Corners]] = [
            {(before.index(before[t]), after.index(after[t]))} for t in range(n_terminals)
        ] + [set() for _ in grammar.nonterminals]
        changed = True
        while changed:
            changed = False
            for lhs, rhs in grammar.productions:
                found = {(variant[0][0], variant[-1][1]) for variant in self._variants(rhs)}
                if not found <= self.corners[lhs]:
                    self.corners[lhs] |= found
                    changed = True

    def split(self) -> NormalGrammar:
        """The grammar over nonterminals with corners; a new start leads to all of the start's."""
        grammar = self._grammar
        n_terminals = len(grammar.terminals)
        ids: dict[tuple[int, Corners | None], int] = {(grammar.start, None): n_terminals}

        def number(symbol: int, corners: Corners) -> int:
            if symbol < n_terminals:
                return symbol
            return ids.setdefault((symbol, corners), n_terminals + len(ids))

        productions: dict[tuple[int, tuple[int, ...]], None] = {}
        for corners in sorted(self.corners[grammar.start]):
            productions[n_terminals, (number(grammar.start, corners),)] = None
        for lhs, rhs in grammar.productions:
            for variant in self._variants(rhs):
                left = number(lhs, (variant[0][0], variant[-1][1]))
                right = tuple(number(s, c) for s, c in zip(rhs, variant, strict=True))
                if right != (left,):
                    productions[left, right] = None
                if len(productions) > MAX_SPLIT_PRODUCTIONS:
                    return grammar
        names = tuple(grammar.name(symbol) for symbol, _ in ids)
        reachable = _reachable(productions, n_terminals)
        kept = tuple(p for p in productions if p[0] in reachable)
        return replace(grammar, nonterminals=names, productions=kept)

    def _variants(self, rhs: tuple[int, ...]) -> Iterator[tuple[Corners, ...]]:
        """The ways to give each symbol corners, neighbours being allowed."""
        todo: list[tuple[Corners, ...]] = [()]
        while todo:
            variant = todo.pop()
            if len(variant) == len(rhs):
                yield variant
                continue
            todo.extend(
                (*variant, corners)
                for corners in sorted(self.corners[rhs[len(variant)]])
                if not variant or (variant[-1][1], corners[0]) not in self._forbidden
            )


def _reachable(productions: Collection[tuple[int, tuple[int, ...]]], start: int) -> set[int]:
    by_lhs: dict[int, list[tuple[int, ...]]] = {}
    for lhs, rhs in productions:
        by_lhs.setdefault(lhs, []).append(rhs)
    seen = {start}
    todo = [start]
    for symbol in todo:
        for rhs in by_lhs.get(symbol, ()):
            fresh = set(rhs) - seen
            seen |= fresh
            todo.extend(fresh)
    return seen
