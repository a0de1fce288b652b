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

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from constrain.automata.lr0 import LRAutomaton

Edge = tuple[int, "Stacks"]
Key = tuple[int, int] | frozenset[tuple[int, int]]  # of one edge, of several

TOP = 3
"""Nodes that `Parser.split` leaves in the top: with fewer, tops are too short to tell anything
more often; with more, fewer texts have the same."""

MAX_TOP = 32
"""Nodes among which it looks for one to split at."""


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
        "_grafts",
        "_split",
        "acceptable",
        "costs",
        "depth",
        "edges",
        "is_marker",
    )

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        self.edges: Final = edges
        self.depth: Final[int] = 1 + max((below.depth for _, below in edges), default=-1)
        self.is_marker: Final[bool] = bool(edges) and edges[0][0] < 0
        self.acceptable: frozenset[int] | None = None
        self.costs: dict[tuple[int, int, int], int] = {}  # see `completion.StackCosts`
        self._closure: dict[int, Stacks] | None = None
        self._advanced: dict[tuple[int, ...], Stacks] = {}
        self._cuts: dict[int, Stacks] = {}
        self._following: dict[int, tuple[Stacks, int]] = {}  # by lexer state, see `Machine`
        self._grafts: dict[Stacks, Stacks] = {}  # by what stands on it
        self._split: tuple[Stacks, Stacks | None] | None = None

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


class Line(NamedTuple):
    """A way to go on behind a line end.

    stacks:  then
    n_bytes: of indentation that is still to be written
    least:   the bytes that first end the lexeme are this many at least; None: it goes on
    """

    stacks: Stacks
    n_bytes: int
    least: int | None


class Parser:
    """All operations on stacks of one grammar.

    Attributes:
        initial: the stacks before the first lexeme.
        nothing: no stack at all.
        n_interned: how often a node was asked for: the work done so far.
        newline: the terminal that is followed by indentation; −1 for none.
        free: terminals that a layout may make of no bytes.
        line_ends: symbols of the automaton's grammar behind which a new line begins.
        reads_line_end_before: the text is read as if a line end stood before it.
        reads_line_end_behind: the same at its end.
    """

    def __init__(self, automaton: LRAutomaton, ignored: Iterable[int]) -> None:
        self._begin()
        self.automaton = automaton
        self.ignored = frozenset(ignored)
        self._longer = [
            tuple((lhs, length) for lhs, length in complete if length > 1)
            for complete in automaton.reductions
        ]
        self._unit_closures: dict[tuple[int, int], tuple[int, ...]] = {}
        self._shifted = {terminal for targets in automaton.shift for terminal in targets}
        self._shiftable: dict[tuple[int, ...], frozenset[int]] = {}
        self.initial = self.push(0, self.bottom)

    def _begin(self) -> None:
        """Make the stacks that every parser has."""
        self._interned: MutableMapping[Key, Stacks] = WeakValueDictionary()
        self.newline = -1
        self.free: frozenset[int] = frozenset()
        self.line_ends: frozenset[int] = frozenset()
        self.reads_line_end_before = False
        self.reads_line_end_behind = False
        self.n_interned = 0
        self.nothing = Stacks(())
        self.bottom = Stacks(())
        self.underflow = Stacks(())

    def intern(self, edges: Iterable[Edge]) -> Stacks:
        """The node with these edges."""
        distinct = tuple(dict.fromkeys(edges))
        if not distinct:
            return self.nothing
        if len(distinct) == 1:
            return self.push(*distinct[0])
        self.n_interned += 1
        key = frozenset((state, id(below)) for state, below in distinct)
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Stacks(tuple(sorted(distinct, key=_state)))
        return node

    def push(self, state: int, below: Stacks) -> Stacks:
        """The node with one edge."""
        self.n_interned += 1
        key = (state, id(below))
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Stacks(((state, below),))
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
        nodes: dict[Edge, Stacks] = {}
        reductions = self.automaton.reductions
        todo = [(reductions[state], below) for state, below in level.items()]
        for complete, below in todo:
            for lhs, length in complete:
                for edge in self.pop(below, length - 1):
                    if edge not in nodes:
                        nodes[edge] = self.push(*edge)
                    for target in self._unit_closure(edge[0], lhs):
                        found = reduced.setdefault(target, {})
                        if edge not in found:
                            found[edge] = None
                            todo.append((self._longer[target], nodes[edge]))
        for state, edges in reduced.items():
            below = nodes[next(iter(edges))] if len(edges) == 1 else self.intern(edges)
            level[state] = self.union(level.get(state, self.nothing), below)
        return level

    def _unit_closure(self, state: int, lhs: int) -> tuple[int, ...]:
        """The states on top of `state` after `lhs` and any reductions of a single symbol."""
        found = self._unit_closures.get((state, lhs))
        if found is None:
            goto, reductions = self.automaton.goto[state], self.automaton.reductions
            targets = {goto[lhs]: None}
            for target in (todo := list(targets)):
                for symbol, length in reductions[target]:
                    if length == 1 and goto[symbol] not in targets:
                        targets[goto[symbol]] = None
                        todo.append(goto[symbol])
            found = self._unit_closures[state, lhs] = tuple(targets)
        return found

    def pop(self, stacks: Stacks, length: int) -> Iterable[Edge]:
        """The edges that are on top once `length` more states are gone."""
        while length and len(stacks.edges) == 1:
            length -= not stacks.is_marker
            ((_, stacks),) = stacks.edges
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
            tops = tuple(self.closure(stacks))
            found = self._shiftable.get(tops)
            if found is None:
                found = frozenset(t for state in tops for t in self.automaton.shift[state])
                self._shiftable[tops] = found
            stacks.acceptable = found.union(*(self._ignored_on(s) for s, _ in stacks.edges))
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

    def steps(self, terminals: tuple[int, ...]) -> tuple[Callable[[Stacks], Stacks], ...]:
        """Functions that one after the other do what `advance` does, each looking less deep."""
        return (lambda stacks: self.advance(stacks, terminals),)

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

    def lines(self, stacks: Stacks) -> Iterator[Line]:
        """Where an open line end can lead, for layouts."""
        yield from ()

    def margin(self, stacks: Stacks) -> int:
        """The bytes of indentation of a line in the innermost block."""
        return 0

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
        if terminal not in self._shifted and stacks is not self.underflow:
            return self.nothing
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

    def split(self, stacks: Stacks) -> tuple[Stacks, Stacks | None]:
        """The top of all stacks, some states long, and the one node on which they all stand.

        In the top, `underflow` takes that node's place. None where they stand on no such node.
        """
        if stacks._split is None:
            node = _foundation(stacks)
            top = stacks if node is None else self._replace(stacks, node, self.underflow)
            stacks._split = top, node
        return stacks._split

    def graft(self, top: Stacks, stacks: Stacks) -> Stacks:
        """The stacks that `top` is when `stacks` stands where it was split off."""
        result = stacks._grafts.get(top)
        if result is None:
            result = stacks._grafts[top] = self._replace(top, self.underflow, stacks)
        return result

    def _replace(self, stacks: Stacks, old: Stacks, new: Stacks) -> Stacks:
        """The same stacks with another node in the place of `old`."""
        replaced = {old: new}

        def replace(node: Stacks) -> Stacks:
            states = []
            while node not in replaced and len(node.edges) == 1:
                ((state, node),) = node.edges
                states.append(state)
            if not node.edges:
                replaced.setdefault(node, node)
            elif node not in replaced:
                replaced[node] = self.intern((state, replace(below)) for state, below in node.edges)
            result = replaced[node]
            for state in reversed(states):
                result = self.push(state, result)
            return result

        return replace(stacks)


def _foundation(stacks: Stacks) -> Stacks | None:
    """The highest node on which all of `stacks` stand, with `TOP` nodes above it at least.

    Every stack goes through one node of `level`; of those the deepest is below no other one.
    """
    level = {stacks: None}
    for n_above in range(MAX_TOP):
        if n_above >= TOP and len(level) == 1:
            (node,) = level
            return node if node.edges else None
        deepest = max(level, key=_depth, default=None)
        if deepest is None:
            break
        del level[deepest]
        level.update((below, None) for _, below in deepest.edges)
    return None


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


def _depth(stacks: Stacks) -> int:
    return stacks.depth
