"""Sets of LR stacks, as interned persistent nodes, and how a terminal advances them.

A node is a set of stacks, written from the top: edges (state, node below). Equal sets of
edges are the same object, so that a step computed once is a dictionary look-up for ever,
and `fork` and `rollback` cost nothing. A deterministic grammar keeps one edge per node; an
ambiguous one shares what its stacks have in common. This is the graph-structured stack of
Tomita (1985) made immutable. As there, nodes are never merged below their edges: joining
two sets is joining their edges, at a cost that does not grow with the stacks' depth.

`cut(node, depth)` replaces all below the top `depth` states by `UNDERFLOW`. Whoever looks
at what was cut away gets `StackUnderflow`; a result computed without one holds for every
stack with that top.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from constrain.automata.lr0 import LRAutomaton

Edge = tuple[int, "Stacks"]


class StackUnderflow(Exception):  # noqa: N818 - control flow between `cut` and its caller
    """The computation looked below the depth at which a stack was cut."""


class Stacks:
    """A set of stacks. Compare by identity: equal sets are one object.

    Attributes:
        edges: (top state, the stacks below it), distinct; several may have one state.
        depth: of the highest stack.
        is_marker: the edges' states are negative: they tell a layout something
            (`constrain.decode.layout`), and are no states of the automaton.
        acceptable: terminals that some stack can shift after reductions; filled by `Parser`.
    """

    __slots__ = (
        "__weakref__",
        "_advanced",
        "_closure",
        "_cuts",
        "_following",
        "acceptable",
        "after",
        "completion",
        "depth",
        "edges",
        "is_marker",
    )

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        self.edges: Final = edges
        self.depth: Final[int] = 1 + max((below.depth for _, below in edges), default=-1)
        self.is_marker: Final[bool] = bool(edges) and edges[0][0] < 0
        self.acceptable: frozenset[int] | None = None
        self.completion: int | None = None  # least bytes, see `constrain.decode.completion`
        self.after: dict[tuple[int, int], int] = {}  # the same, by state and nonterminal on top
        self._closure: dict[int, Stacks] | None = None
        self._advanced: dict[tuple[int, ...], Stacks] = {}
        self._cuts: dict[int, Stacks] = {}
        self._following: dict[int, tuple[Stacks, int]] = {}  # by lexer state, see `Machine`

    def __repr__(self) -> str:
        return f"Stacks(tops={[state for state, _ in self.edges]}, depth={self.depth})"


class Hope(NamedTuple):
    """A way to go on behind a lexeme, for a lower bound on what it costs.

    stacks:    then
    n_more:    bytes that a layout asks for before
    n_written: bytes among those that `stacks` asks for that are then there
    """

    stacks: Stacks
    n_more: int = 0
    n_written: int = 0


class Parser:
    """All operations on stacks of one grammar.

    Attributes:
        initial: the stacks before the first lexeme.
        nothing: no stack at all.
        n_interned: how often a node was asked for: the work done so far.
        free: terminals that a layout may make of no bytes.
        line_ends: symbols of the automaton's grammar behind which a new line begins.
        reads_line_end_before: the text is read as if a line end stood before it.
        reads_line_end_behind: the same at its end.
    """

    def __init__(self, automaton: LRAutomaton, ignored: Iterable[int]) -> None:
        self.automaton = automaton
        self.ignored = frozenset(ignored)
        self._interned: WeakValueDictionary[frozenset[tuple[int, int]], Stacks] = (
            WeakValueDictionary()
        )
        self.free: frozenset[int] = frozenset()
        self.line_ends: frozenset[int] = frozenset()
        self.reads_line_end_before = False
        self.reads_line_end_behind = False
        self.n_interned = 0
        self.nothing = Stacks(())
        self.bottom = Stacks(())
        self.underflow = Stacks(())
        self.initial = self.intern([(0, self.bottom)])

    def intern(self, edges: Iterable[Edge]) -> Stacks:
        """The node with these edges."""
        self.n_interned += 1
        distinct = tuple(dict.fromkeys(edges))
        if not distinct:
            return self.nothing
        key = frozenset((state, id(below)) for state, below in distinct)
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Stacks(tuple(sorted(distinct, key=_state)))
        return node

    def union(self, one: Stacks, other: Stacks) -> Stacks:
        """All stacks of both."""
        if one is other or other is self.nothing:
            return one
        if one is self.nothing:
            return other
        if not (one.edges and other.edges):
            raise StackUnderflow  # a cut or finished stack beside a longer one
        return self.intern((*one.edges, *other.edges))

    def closure(self, stacks: Stacks) -> dict[int, Stacks]:
        """Top state → stacks below it, after any number of reductions, none included."""
        if stacks._closure is None:
            stacks._closure = self._reduce_all(stacks)
        return stacks._closure

    def _reduce_all(self, stacks: Stacks) -> dict[int, Stacks]:
        if stacks is self.underflow:
            raise StackUnderflow
        level: dict[int, Stacks] = {}
        for state, below in stacks.edges:
            level[state] = self.union(level.get(state, self.nothing), below)
        reduced: dict[int, dict[Edge, None]] = {}  # top state → edges below it
        todo = list(level.items())
        for state, below in todo:
            for lhs, length in self.automaton.reductions[state]:
                for edge in self.pop(below, length - 1):
                    target = self.automaton.goto[edge[0]][lhs]
                    found = reduced.setdefault(target, {})
                    if edge not in found:
                        found[edge] = None
                        todo.append((target, self.intern([edge])))
        for state, edges in reduced.items():
            level[state] = self.union(level.get(state, self.nothing), self.intern(edges))
        return level

    def pop(self, stacks: Stacks, length: int) -> Iterable[Edge]:
        """The edges that are on top once `length` more states are gone."""
        nodes = _beneath_markers({stacks: None})
        for _ in range(length):
            if self.underflow in nodes:
                raise StackUnderflow
            nodes = _beneath_markers({below: None for node in nodes for _, below in node.edges})
        if self.underflow in nodes:
            raise StackUnderflow
        return [edge for node in nodes for edge in node.edges]

    def acceptable(self, stacks: Stacks) -> frozenset[int]:
        """The terminals that may come next, ignored ones included."""
        if stacks.acceptable is None:
            shift = self.automaton.shift
            found = {t for state in self.closure(stacks) for t in shift[state]}
            found.update(*(self._ignored_on(state) for state, _ in stacks.edges))
            stacks.acceptable = frozenset(found)
        return stacks.acceptable

    def advance(self, stacks: Stacks, terminals: tuple[int, ...]) -> Stacks:
        """The stacks after a lexeme that is each of `terminals` at once."""
        result = stacks._advanced.get(terminals)
        if result is None:
            result = self.nothing
            for terminal in terminals:
                result = self.union(result, self._take(stacks, terminal))
            stacks._advanced[terminals] = result
        return result

    def measure(self, stacks: Stacks, added: bytes) -> Stacks:
        """The stacks with the current line's indentation, for layouts that ask for it."""
        return stacks

    def end_line(self, stacks: Stacks, winners: tuple[int, ...]) -> tuple[Stacks, bool] | None:
        """The stacks after a lexeme, and whether they wait for the indentation behind it.

        For layouts; None where nothing can be told without the indentation.
        """
        return self.advance(stacks, winners), False

    def indent(self, stacks: Stacks, added: bytes) -> Stacks:
        """The stacks that wait behind a line end, with `added` as the rest of it."""
        return stacks

    def hoped(self, stacks: Stacks, terminal: int) -> list[Hope]:
        """Ways to go on if the open lexeme becomes `terminal`."""
        return [Hope(self.advance(stacks, (terminal,)))]

    def line_width(self, edge: Edge) -> int:
        """The least bytes of indentation of a line in the block that `edge` is in."""
        return 0

    def may_end(self, stacks: Stacks, winners: tuple[int, ...]) -> bool:
        """Whether the layout lets a text end behind a lexeme of `winners`."""
        return True

    def _take(self, stacks: Stacks, terminal: int) -> Stacks:
        """The stacks after one lexeme of `terminal`."""
        shifted = self._shift(stacks, terminal)
        kept = [edge for edge in stacks.edges if terminal in self._ignored_on(edge[0])]
        if len(kept) == len(stacks.edges):
            return self.union(stacks, shifted)
        return self.union(self.intern(kept), shifted)

    def _ignored_on(self, state: int) -> frozenset[int]:
        """The terminals that are ignored where `state` is on top."""
        return self.ignored

    def _shift(self, stacks: Stacks, terminal: int) -> Stacks:
        tops: dict[int, list[Edge]] = {}
        shift = self.automaton.shift
        for state, below in self.closure(stacks).items():
            target = shift[state].get(terminal)
            if target is not None:
                tops.setdefault(target, []).append((state, below))
        return self.intern((target, self.intern(edges)) for target, edges in tops.items())

    def accepts(self, stacks: Stacks) -> bool:
        """Some stack is a whole sentence. State 0 is on top only where nothing was shifted."""
        tops = self.closure(stacks)
        return self.automaton.accept in tops or (self.automaton.grammar.accepts_empty and 0 in tops)

    def cut(self, stacks: Stacks, depth: int) -> Stacks:
        """The stacks with all below the top `depth` states replaced by `underflow`."""
        if stacks.depth <= depth or stacks is self.underflow:
            return stacks
        if depth == 0:
            return self.underflow
        result = stacks._cuts.get(depth)
        if result is None:
            result = self.intern((s, self.cut(below, depth - 1)) for s, below in stacks.edges)
            stacks._cuts[depth] = result
        return result

    def graft(self, stacks: Stacks, below: Stacks) -> Stacks:
        """Cut stacks with `below` in the place of what was cut off."""
        grafted: dict[Stacks, Stacks] = {self.underflow: below}
        todo = [stacks]
        while todo:
            node = todo[-1]
            missing = [lower for _, lower in node.edges if lower not in grafted]
            if node not in grafted and not missing:
                changed = any(grafted[lower] is not lower for _, lower in node.edges)
                edges = [(state, grafted[lower]) for state, lower in node.edges]
                grafted[node] = self.intern(edges) if changed else node
            todo.extend(missing)
            if not missing:
                todo.pop()
        return grafted[stacks]

    def beneath(self, stacks: Stacks, depth: int) -> Stacks | None:
        """What `cut` at `depth` replaces, if it is one and the same set of stacks.

        Of stacks that end in a cut at several depths it is not.
        """
        found = {stacks}
        for _ in range(depth):
            if self.underflow in found:
                return None
            found = {below for node in found for _, below in node.edges}
        found.discard(self.bottom)
        return found.pop() if len(found) == 1 else None


def _beneath_markers(nodes: dict[Stacks, None]) -> dict[Stacks, None]:
    while any(node.is_marker for node in nodes):
        nodes = {
            lower: None
            for node in nodes
            for lower in ([below for _, below in node.edges] if node.is_marker else [node])
        }
    return nodes


def _state(edge: Edge) -> int:
    return edge[0]
