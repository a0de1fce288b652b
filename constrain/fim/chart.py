"""What the suffix can be read as, from any place and from within a hole before it.

Input:  rules and the lexemes of a suffix.
Output: where a symbol, or the rest of a production, ends that begins at some node.

This is Earley's chart (1970), kept by what is sought: a goal is a symbol or the rest of a
production at a node, its ends are found once for all who seek it. One node is `HOLE`: text that is
not written yet. What begins there ends there too, since every symbol derives some text, or in the
suffix: at any terminal the hole may be over, before it or within it.

A node is a place in the suffix and what a layout must know there. Under indentation that is the
column of the line that has just begun, until indents or dedents make it that of a block, or
`SETTLED`; in what block a symbol is, its *level*, is part of the goal. With semicolons it is
whether the last terminal ends a line.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from constrain.fim.lexemes import BEYOND, Lexemes, Undecided
from constrain.fim.rules import ANY, Rules, column

Node = tuple[int, int]  # a place, and what a layout must know there
Move = tuple[Node, int]  # a node and a level

HOLE: Node = (-2, 0)
PASSED: Node = (BEYOND, 0)
"""Behind the part of the suffix that is looked at: all may follow."""

SETTLED = -2
"""The line that has begun is one of the block it is in; not `ANY`."""

MAX_ITEMS = 400_000
"""Items of one chart: some seconds and 100 MB."""


@contextmanager
def no_collections() -> Iterator[None]:
    """Pause the collector of cyclic garbage: a chart is many objects, and all are kept."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Goal:
    """Something sought at a node.

    Attributes:
        level: the column of the block that it begins in.
        ends: the nodes where it ends.
        waiting: items that go on behind it.
    """

    __slots__ = ("ends", "level", "waiting")

    def __init__(self, level: int) -> None:
        self.level = level
        self.ends: dict[Node, None] = {}
        self.waiting: list[tuple[Goal, int, int, int]] = []


Item = tuple[Goal, int, int, Node, int]  # for whom, production, dot, node, level


class Chart:
    """The chart of one suffix. Not safe under threads by itself.

    Attributes:
        n_items: the work done so far: items, and nodes that lexemes lead to.
    """

    def __init__(self, rules: Rules, lexemes: Lexemes, data: bytes) -> None:
        self._rules = rules
        self._lexemes = lexemes
        self._data = data
        self.n_items = 0
        self._symbols: dict[tuple[int, Node, int], Goal] = {}
        self._rests: dict[tuple[int, int, Node, int, int], Goal] = {}
        self._seen: set[tuple[Goal, int, int, Node, int]] = set()
        self._todo: list[Item] = []
        self._behind: dict[tuple[int, int], tuple[Node, ...]] = {}
        self._possible: dict[int, int] = {}
        self._exits_in: dict[frozenset[int], tuple[Node, ...]] = {}
        self._read: dict[tuple[int, Node, int], list[Node]] = {}

    def symbol(self, symbol: int, node: Node, level: int) -> dict[Node, None]:
        """Where `symbol` ends that begins at `node`, in a block at column `level`.

        Raises:
            Undecided: the chart is too large, or looks at the suffix too often.
        """
        goal = self._sought(symbol, node, level)
        self._work()
        return goal.ends

    def rest(
        self, production: int, dot: int, node: Node, level: int, outer: int
    ) -> dict[Node, None]:
        """Where the rest of a production ends.

        Args:
            production: of an item.
            dot: its dot.
            node: where the rest begins.
            level: of the block that it begins in.
            outer: of the block that the production began in.

        Raises:
            Undecided: the chart is too large, or looks at the suffix too often.
        """
        key = production, dot, node, level, outer
        goal = self._rests.get(key)
        if goal is None:
            goal = self._rests[key] = Goal(outer)
            self._add(goal, production, dot, node, level)
        self._work()
        return goal.ends

    def is_final(self, node: Node) -> bool:
        """Whether the text may be over at a node."""
        if node == HOLE:
            everywhere = frozenset(range(len(self._rules.ignored)))
            return any(map(self.is_final, self._exits(everywhere)))
        return node == PASSED or node[0] == len(self._data)

    def behind(self, symbol: int, place: int) -> tuple[Node, ...]:
        """The nodes where a lexeme may begin behind a terminal that ends at `place`."""
        key = symbol, place
        found = self._behind.get(key)
        if found is None:
            rules = self._rules
            state = int(rules.ends_line(symbol)) if rules.semicolon >= 0 else SETTLED
            found = self._behind[key] = self._skipped([place], rules.between(symbol), state)
        return found

    def settled(self, symbol: int, place: int, column: int, level: int) -> list[Node]:
        """The nodes behind a line end of that column, in a block of that level."""
        if place == BEYOND:
            return [PASSED]
        found: list[Node] = []
        if _may_be(column, level):
            found += self.behind(symbol, place)
        if column != level or column == ANY:
            found.append((place, column))
        return found

    def _exits(self, places: frozenset[int]) -> tuple[Node, ...]:
        """Where a lexeme may begin in the suffix behind an ignored one that begins in the hole.

        Args:
            places: where the text may be there.
        """
        found = self._exits_in.get(places)
        if found is None:
            rules = self._rules
            state = ANY if rules.semicolon >= 0 else SETTLED
            nodes: dict[Node, None] = {}
            for place in sorted(places):
                ignored = rules.ignored[place] | rules.newlines
                ends = set[int]().union(*(self._lexemes.begun(terminal) for terminal in ignored))
                nodes.update(dict.fromkeys(self._skipped(sorted(ends), ignored, state)))
            found = self._exits_in[places] = tuple(nodes)
        return found

    def _skipped(self, places: list[int], ignored: frozenset[int], state: int) -> tuple[Node, ...]:
        """The nodes at `places`, and behind ignored lexemes that begin there."""
        reached = dict.fromkeys(places)
        for place in (queue := list(reached)):
            for terminal in ignored if place != BEYOND else ():
                for end in self._lexemes.ends(terminal, place):
                    if end not in reached:
                        reached[end] = None
                        queue.append(end)
        return tuple(PASSED if place == BEYOND else (place, state) for place in reached)

    def _sought(self, symbol: int, node: Node, level: int) -> Goal:
        if symbol not in self._rules.with_lines:
            level = 0
        key = symbol, node, level
        goal = self._symbols.get(key)
        if goal is None:
            goal = self._symbols[key] = Goal(level)
            if node == PASSED:
                goal.ends[PASSED] = None
                return goal
            possible = self._possible_at(node)
            for production, firsts in self._rules.by_lhs.get(symbol, ()):
                if firsts & possible:
                    self._add(goal, production, 0, node, level)
        return goal

    def _possible_at(self, node: Node) -> int:
        """The terminals that may begin at a node, as bits."""
        place, state = node
        if node == HOLE or (self._rules.newline >= 0 and state != SETTLED):
            return -1
        found = self._possible.get(place)
        if found is None:
            rules = self._rules
            found = 0
            is_end = place == len(self._data)
            for terminal in () if is_end else self._lexemes.beginning(place):
                if self._lexemes.ends(terminal, place):
                    found |= 1 << terminal
                    if terminal in rules.newlines:
                        found |= 1 << rules.semicolon
            self._possible[place] = found
        return found

    def _add(self, goal: Goal, production: int, dot: int, node: Node, level: int) -> None:
        item = goal, production, dot, node, level
        if item not in self._seen:
            self._seen.add(item)
            self._todo.append(item)
            self._count(1)

    def _count(self, n_items: int) -> None:
        self.n_items += n_items
        if self.n_items > MAX_ITEMS:
            raise Undecided

    def _work(self) -> None:
        if self._todo:
            self._work_off()

    @no_collections()
    def _work_off(self) -> None:
        productions = self._rules.normal.productions
        n_terminals = self._rules.n_terminals
        while self._todo:
            goal, production, dot, node, level = self._todo.pop()
            rhs = productions[production][1]
            if node == PASSED or dot == len(rhs):
                self._finish(goal, node)
            elif rhs[dot] < n_terminals:
                for after, inner in self._moves(rhs[dot], node, level, goal.level):
                    self._add(goal, production, dot + 1, after, inner)
            else:
                sub = self._sought(rhs[dot], node, level)
                sub.waiting.append((goal, production, dot + 1, level))
                for end in list(sub.ends):
                    self._add(goal, production, dot + 1, end, level)

    def _finish(self, goal: Goal, node: Node) -> None:
        if node not in goal.ends:
            goal.ends[node] = None
            for outer, production, dot, level in goal.waiting:
                self._add(outer, production, dot, node, level)

    def _moves(self, symbol: int, node: Node, level: int, outer: int) -> list[Move]:
        """Where a terminal leads from a node."""
        rules = self._rules
        terminal = rules.normal.lexed[symbol]
        if terminal == rules.indent:
            return self._indented(node, level)
        if terminal == rules.dedent:
            return self._dedented(node, level, outer)
        if rules.newline >= 0 and node != HOLE and node[1] != SETTLED:
            return []
        key = symbol, node, level if terminal == rules.newline else 0
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = self._lexed(symbol, node, level)
            self._count(len(found))
        return [(after, level) for after in found]

    def _lexed(self, symbol: int, node: Node, level: int) -> list[Node]:
        """Where a terminal that is lexed leads from a node."""
        if node == HOLE:
            terminal = self._rules.normal.lexed[symbol]
            found = dict.fromkeys([HOLE])
            for lexed in self._spellings(terminal, ANY):
                for end in self._lexemes.begun(lexed):
                    found.update(dict.fromkeys(self._after(symbol, 0, end, level, is_whole=False)))
            for start in self._exits(self._rules.before[symbol]):
                found.update(dict.fromkeys(self._lexed(symbol, start, level)))
            return list(found)
        if node == PASSED:
            return [PASSED]
        place, state = node
        terminal = self._rules.normal.lexed[symbol]
        return [
            after
            for lexed in self._spellings(terminal, state)
            for end in self._lexemes.ends(lexed, place)
            for after in self._after(symbol, place, end, level, is_whole=True)
        ]

    def _spellings(self, terminal: int, state: int) -> list[int]:
        """The terminals whose lexemes stand for one where the layout is in `state`."""
        if terminal == self._rules.semicolon and state != 0:
            return [terminal, *sorted(self._rules.newlines)]
        return [terminal]

    def _after(
        self, symbol: int, start: int, end: int, level: int, *, is_whole: bool
    ) -> list[Node] | tuple[Node, ...]:
        """The nodes behind a lexeme."""
        if self._rules.normal.lexed[symbol] != self._rules.newline:
            return self.behind(symbol, end)
        if end == BEYOND:
            return [PASSED]
        found = column(self._data, start, end, is_whole=is_whole)
        return self.settled(symbol, end, found, level)

    def _indented(self, node: Node, level: int) -> list[Move]:
        if node == HOLE:
            return [(HOLE, ANY)]
        place, found = node
        least = 1 if level == ANY else level
        if found == SETTLED or (found != ANY and found <= least):
            return []
        return [((place, SETTLED), found)]

    def _dedented(self, node: Node, level: int, outer: int) -> list[Move]:
        if node == HOLE:
            return [(HOLE, outer)]
        place, found = node
        if found == SETTLED or (ANY not in (found, level) and found >= level):
            return []
        moves = [((place, SETTLED), outer)] if _may_be(found, outer) else []
        if ANY in (found, outer) or found < outer:
            moves.append((node, outer))
        return moves


def _may_be(column: int, level: int) -> bool:
    """Whether a line may be one of a block, of which it may be unknown where it stands."""
    if ANY in (column, level):
        return column != 0  # a block that is indented in the hole is so by a column at least
    return column == level
