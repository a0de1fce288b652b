"""Sentences of a grammar, written top-down, until every production has occurred.

Independent of the engine: no automaton, no stacks. A text that comes out belongs to the
grammar unless lexemes run into each other; the tests ask the engine and another parser.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from constrain.compiler import terminal_dfa
from constrain.grammar.rules import Grammar, Indentation, Production
from tests.automata.dfas import accepted_text

FAR = 1 << 40


class Sentences:
    """Draws sentences; each is drawn for the sake of the production that occurred least.

    Attributes:
        n_used: how often each production has occurred.
    """

    def __init__(self, grammar: Grammar, seed: int, max_wander: int = 3) -> None:
        self._grammar = grammar
        self._random = random.Random(seed)
        self._max_wander = max_wander
        self._by_lhs: dict[str, list[Production]] = {}
        for production in grammar.productions:
            self._by_lhs.setdefault(production.lhs, []).append(production)
        self._height = self._heights()
        for lhs, productions in self._by_lhs.items():  # those that derive some sentence
            self._by_lhs[lhs] = [p for p in productions if self._height_of(p) < FAR]
        self._way = self._ways()
        self._dfas = {t.name: terminal_dfa(t, in_context=True) for t in grammar.terminals}
        self.n_used = Counter({p: 0 for lhs in self._way for p in self._by_lhs[lhs]})

    @property
    def coverage(self) -> float:
        """The share of the reachable productions that have occurred."""
        return sum(n > 0 for n in self.n_used.values()) / len(self.n_used)

    def draw(self) -> list[str]:
        """The terminals of one sentence."""
        least = min(self.n_used.values())
        target = self._random.choice([p for p, n in self.n_used.items() if n == least])
        found: list[str] = []
        todo: list[tuple[str, list[Production]]] = [
            (self._grammar.start, [*self._way[target.lhs], target])
        ]
        while todo:
            symbol, way = todo.pop()
            if symbol not in self._by_lhs:
                found.append(symbol)
                continue
            production = way[0] if way else self._short(symbol)
            self.n_used[production] += 1
            after = way[1].lhs if len(way) > 1 else None
            steps: list[tuple[str, list[Production]]] = []
            for part in production.rhs:
                steps.append((part, way[1:] if part == after else []))
                if part == after:
                    after = None
            todo.extend(reversed(steps))
        return found

    def write(self, terminals: list[str]) -> bytes:
        """A text of these lexemes, with blanks between them; line ends as the layout asks."""
        layout = self._grammar.layout
        if not isinstance(layout, Indentation):
            return b" ".join(map(self._lexeme, terminals))
        text = bytearray()
        depth = 0
        for terminal in terminals[1:]:  # the first line end is there
            if terminal == layout.newline:
                text += b"\n"
            elif terminal in (layout.indent, layout.dedent):
                depth += 1 if terminal == layout.indent else -1
            else:
                text += b" " * depth if text[-1:] in (b"", b"\n") else b" "
                text += self._lexeme(terminal)
        return bytes(text)

    def _lexeme(self, terminal: str) -> bytes:
        return accepted_text(self._dfas[terminal], self._random, self._max_wander)

    def _short(self, symbol: str) -> Production:
        """One of the productions that end soonest; among those, one that occurred least."""
        height = self._height[symbol]
        soon = [p for p in self._by_lhs[symbol] if self._height_of(p) <= height]
        least = min(self.n_used[p] for p in soon)
        return self._random.choice([p for p in soon if self.n_used[p] == least])

    def _height_of(self, production: Production) -> int:
        """How deep the flattest derivation by a production is; `FAR` if there is none."""
        return 1 + max((self._height.get(s, 0) for s in production.rhs), default=0)

    def _heights(self) -> dict[str, int]:
        """How deep the flattest derivation of each nonterminal is."""
        self._height = dict.fromkeys(self._by_lhs, FAR)
        changed = True
        while changed:
            changed = False
            for production in self._grammar.productions:
                height = self._height_of(production)
                if height < self._height[production.lhs]:
                    self._height[production.lhs] = height
                    changed = True
        return self._height

    def _ways(self) -> dict[str, list[Production]]:
        """For each nonterminal that the start reaches, the productions that lead to it."""
        ways: dict[str, list[Production]] = {self._grammar.start: []}
        for lhs in (queue := [self._grammar.start]):
            for production in self._by_lhs[lhs]:
                for symbol in production.rhs:
                    if symbol in self._by_lhs and symbol not in ways:
                        ways[symbol] = [*ways[lhs], production]
                        queue.append(symbol)
        return ways


def texts_of_every_production(grammar: Grammar, seed: int = 0, times: int = 1) -> Iterator[bytes]:
    """Texts in which each production occurs at least `times`."""
    sentences = Sentences(grammar, seed)
    while min(sentences.n_used.values()) < times:
        yield sentences.write(sentences.draw())
