"""A pattern's tree → an NFA over classes of characters, with look-arounds on its ε-edges.

Thompson's construction. A look-around is an ε-edge that may only be taken where a second
part of the same NFA matches what lies ahead, or does not; or what lies behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from constrain.automata.charset import Ranges
from constrain.automata.regex_tree import Alt, Cat, Chars, Look, Repeat, Tree
from constrain.errors import GrammarLimitError

MAX_NFA_STATES = 200_000

Table = tuple[NDArray[np.int32], NDArray[np.bool_]]  # next int32[S, K], accepting bool[S]


@dataclass(frozen=True)
class LookPart:
    """What a look-around looks for: the part of the NFA from `start` to `final`.

    Looking ahead, `final` goes on over any text; looking behind, `start` may begin anywhere.
    """

    ahead: bool
    start: int
    final: int


@dataclass(frozen=True)
class Edge:
    """An ε-edge; with `look` ≥ 0 it needs that look-around, or with `negated` its contrary."""

    target: int
    look: int = -1
    negated: bool = False


@dataclass
class Nfa:
    """An NFA over classes of characters.

    Attributes:
        moves: per state, (classes, target).
        edges: per state, its ε-edges.
        looks: the look-arounds; one inside another comes before it.
        start, final: of the whole.
        n_classes: K.
    """

    n_classes: int
    moves: list[list[tuple[tuple[int, ...], int]]] = field(default_factory=list)
    edges: list[list[Edge]] = field(default_factory=list)
    looks: list[LookPart] = field(default_factory=list)
    start: int = 0
    final: int = 0

    def state(self) -> int:
        """A new state.

        Raises:
            GrammarLimitError: there are MAX_NFA_STATES already.
        """
        if len(self.moves) >= MAX_NFA_STATES:
            raise GrammarLimitError(
                f"a pattern takes more than {MAX_NFA_STATES} steps written out; make its "
                f"counted repetitions shorter"
            )
        self.moves.append([])
        self.edges.append([])
        return len(self.moves) - 1


def build_nfa(
    tree: Tree,
    classes: dict[Ranges, tuple[int, ...]],
    n_classes: int,
    shortest: Callable[[Tree], Table],
) -> Nfa:
    """The NFA of a tree.

    Args:
        tree: the pattern.
        classes: of every set of characters in the tree.
        n_classes: K.
        shortest: the DFA of the shortest matches of a tree.

    Raises:
        GrammarLimitError: it has more than MAX_NFA_STATES states.
    """
    nfa = Nfa(n_classes)
    nfa.start = nfa.state()
    nfa.final = _Writer(nfa, classes, shortest).write(tree, nfa.start)
    return nfa


def character_sets(tree: Tree) -> Iterable[Ranges]:
    """All sets of characters in a tree."""
    if isinstance(tree, Chars):
        yield tree.ranges
    elif isinstance(tree, Cat | Alt):
        for part in tree.parts:
            yield from character_sets(part)
    else:
        yield from character_sets(tree.part)


class _Writer:
    def __init__(
        self,
        nfa: Nfa,
        classes: dict[Ranges, tuple[int, ...]],
        shortest: Callable[[Tree], Table],
    ) -> None:
        self._nfa = nfa
        self._classes = classes
        self._shortest = shortest
        self._looks: dict[Look, int] = {}

    def write(self, tree: Tree, start: int) -> int:
        """Add `tree` behind the state `start`; return the state where it ends."""
        if isinstance(tree, Chars):
            final = self._nfa.state()
            self._nfa.moves[start].append((self._classes[tree.ranges], final))
            return final
        if isinstance(tree, Cat):
            for part in tree.parts:
                start = self.write(part, start)
            return start
        if isinstance(tree, Alt):
            return self._alternatives(tree, start)
        if isinstance(tree, Repeat):
            return self._repetition(tree, start)
        if isinstance(tree, Look):
            final = self._nfa.state()
            self._nfa.edges[start].append(Edge(final, self._look(tree), tree.negated))
            return final
        return self._table(*self._shortest(tree.part), start)

    def _alternatives(self, tree: Alt, start: int) -> int:
        final = self._nfa.state()
        for part in tree.parts:
            begin = self._nfa.state()
            self._nfa.edges[start].append(Edge(begin))
            self._nfa.edges[self.write(part, begin)].append(Edge(final))
        return final

    def _repetition(self, tree: Repeat, start: int) -> int:
        for _ in range(tree.low):
            n_states = len(self._nfa.moves)
            start = self.write(tree.part, start)
            if len(self._nfa.moves) == n_states:
                break  # it is the empty text, however often
        final = self._nfa.state()
        if tree.high is None:
            again = self._nfa.state()  # of its own, so that nothing else loops with it
            self._nfa.edges[start].append(Edge(again))
            self._nfa.edges[self.write(tree.part, again)].append(Edge(again))
            self._nfa.edges[again].append(Edge(final))
            return final
        for _ in range(tree.high - tree.low):
            self._nfa.edges[start].append(Edge(final))
            start = self.write(tree.part, self._begin(start))
        self._nfa.edges[start].append(Edge(final))
        return final

    def _begin(self, start: int) -> int:
        begin = self._nfa.state()
        self._nfa.edges[start].append(Edge(begin))
        return begin

    def _look(self, tree: Look) -> int:
        key = Look(tree.part, tree.ahead, negated=False)
        if key not in self._looks:
            begin = self._nfa.state()
            final = self.write(tree.part, begin)
            if tree.ahead:
                final, matched = self._nfa.state(), final
                self._nfa.edges[matched].append(Edge(final))
                self._nfa.moves[final].append((tuple(range(self._nfa.n_classes)), final))
            self._looks[key] = len(self._nfa.looks)
            self._nfa.looks.append(LookPart(tree.ahead, begin, final))
        return self._looks[key]

    def _table(self, table: NDArray[np.int32], accepting: NDArray[np.bool_], start: int) -> int:
        """Add a DFA, of which state 1 is the start, behind the state `start`."""
        final = self._nfa.state()
        states = [start, start, *(self._nfa.state() for _ in range(len(table) - 2))]
        if (table == 1).any():
            states[1] = self._begin(start)
        for state in range(1, len(table)):
            by_target: dict[int, list[int]] = {}
            for k, target in enumerate(table[state].tolist()):
                by_target.setdefault(target, []).append(k)
            for target, ks in by_target.items():
                if target != 0:
                    self._nfa.moves[states[state]].append((tuple(ks), states[target]))
            if accepting[state]:
                self._nfa.edges[states[state]].append(Edge(final))
        return final
