r"""Parsers for which line ends mean something: indentation and automatic semicolons.

Input:  an LR automaton and a grammar's `Layout`.
Output: a `Parser` that takes a lexeme with a line end for what the layout makes of it.

Nothing of it is a state beside the stacks. What the layout must know of the past stands in
them: whether the last lexeme ends a line, and whether the text is inside brackets, tells
the symbol that leads to the top state; how deep open blocks are indented, and how far the
current line is, stand as *markers*, edges with a negative state that `pop` steps over. So a
mask still depends on a lexer state and on the top of the stacks, and on nothing else.

How columns are counted is in `constrain.automata.margin`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from constrain.automata.lr0 import LRAutomaton
from constrain.automata.margin import Margin, bytes_between, moved
from constrain.decode.stacks import Edge, Hope, Line, Parser, Stacks, StackUnderflow
from constrain.grammar.normalize import BRACKETS, OUTSIDE
from constrain.grammar.rules import Grammar, Indentation, Layout, Semicolons
from constrain.grammar.sets import last_sets

MAX_LEVELS = 100
"""Blocks in one another that CPython's tokenizer reads."""


def make_parser(grammar: Grammar, automaton: LRAutomaton, ignored: frozenset[int]) -> Parser:
    """The parser of a grammar, whatever its layout."""
    ids = {terminal.name: i for i, terminal in enumerate(grammar.terminals)}
    if isinstance(grammar.layout, Indentation):
        return IndentationParser(automaton, ignored, grammar.layout, ids)
    if isinstance(grammar.layout, Semicolons):
        return SemicolonParser(automaton, ignored, grammar.layout, ids)
    return Parser(automaton, ignored)


def ignored_by_place(
    layout: Layout | None, ids: dict[str, int], ignored: frozenset[int]
) -> list[frozenset[int]]:
    """The ignored terminals outside and, under indentation, in brackets and in each mode."""
    if not isinstance(layout, Indentation):
        return [ignored]
    modes = [frozenset(ids[name] for name in mode.ignore) for mode in layout.modes]
    return [ignored, ignored | {ids[layout.newline]}, *modes]


class SemicolonParser(Parser):
    """Takes a line end for a semicolon behind certain terminals, and ignores it elsewhere."""

    def __init__(
        self,
        automaton: LRAutomaton,
        ignored: frozenset[int],
        layout: Semicolons,
        ids: dict[str, int],
    ) -> None:
        super().__init__(automaton, ignored)
        self.reads_line_end_behind = True
        self._newlines = frozenset(ids[name] for name in layout.newlines)
        self._semicolon = ids[layout.semicolon]
        after = {ids[name] for name in layout.after}
        self._ends_line = [symbol in after for symbol in automaton.accessing]

    def acceptable(self, stacks: Stacks) -> frozenset[int]:
        """The terminals that may come next, ignored ones included."""
        if stacks.acceptable is None:
            found = super().acceptable(stacks)
            newline = next(iter(self._newlines))
            if self._take(stacks, newline) is not self.nothing:
                found |= self._newlines
            stacks.acceptable = found
        return stacks.acceptable

    def _take(self, stacks: Stacks, terminal: int) -> Stacks:
        if terminal not in self._newlines:
            return super()._take(stacks, terminal)
        ending = self.intern(edge for edge in stacks.edges if self._ends_line[edge[0]])
        others = self.intern(edge for edge in stacks.edges if not self._ends_line[edge[0]])
        return self.union(others, self._shift(ending, self._semicolon))


class Level(NamedTuple):
    """How deep an open block is indented.

    depth: the number of blocks around it, and itself
    width: the least bytes that indent a line so
    """

    column: int = 0
    alternative: int = 0
    depth: int = 0
    width: int = 0


class IndentationParser(Parser):
    """Makes indents and dedents of line ends outside brackets, and ignores those inside.

    Stacks at a line end are *margined*: all their top edges are markers with a `Margin`.
    """

    def __init__(
        self,
        automaton: LRAutomaton,
        ignored: frozenset[int],
        layout: Indentation,
        ids: dict[str, int],
    ) -> None:
        super().__init__(automaton, ignored)
        self.reads_line_end_before = self.reads_line_end_behind = True
        self.newline = ids[layout.newline]
        self._indent = ids[layout.indent]
        self._dedent = ids[layout.dedent]
        self._continuation = ids.get(layout.continuation, -1)
        self.free = frozenset([self._indent, self._dedent])
        places = automaton.grammar.places
        ignored_in = ignored_by_place(layout, ids, ignored)
        self._place = [
            places[symbol] if 0 <= symbol < len(places) else OUTSIDE
            for symbol in automaton.accessing
        ]
        self._ignored_by_state = [ignored_in[place] for place in self._place]
        ends = (1 << self.newline) | (1 << self._dedent)
        self.line_ends = frozenset(
            symbol
            for symbol, last in enumerate(last_sets(automaton.grammar))
            if last and not last & ~ends
        )
        self._values: list[Margin | Level] = []
        self._numbers: dict[Margin | Level, int] = {}

    def acceptable(self, stacks: Stacks) -> frozenset[int]:
        """The terminals that may come next, ignored ones included."""
        if stacks.acceptable is None:
            stacks.acceptable = super().acceptable(stacks) - {self._indent, self._dedent}
        return stacks.acceptable

    def _ignored_on(self, state: int) -> frozenset[int]:
        return self._ignored_by_state[state]

    def measure(self, stacks: Stacks, added: bytes) -> Stacks:
        """Margined stacks, `added` further into the line-end lexeme."""
        if not stacks.edges:
            raise StackUnderflow  # how far it was is cut away
        if not stacks.is_marker:
            return self._marker(moved(Margin(), added), stacks)
        return self.intern(
            (self._state(moved(self._margin(state), added)), below) for state, below in stacks.edges
        )

    def end_line(self, stacks: Stacks, winners: tuple[int, ...]) -> tuple[Stacks, bool] | None:
        """The stacks after a lexeme, and whether they wait for the indentation behind it."""
        if self.newline not in winners:
            return self.advance(stacks, winners), False
        inside, ended = self._ended(self._bare(stacks))
        if ended is self.nothing:
            return self.advance(stacks, winners), False
        if inside is not self.nothing or len(winners) > 1:
            return None
        margined = stacks if stacks.is_marker else self._marker(Margin(), stacks)
        return self._shift_line_end(margined), True

    def indent(self, stacks: Stacks, added: bytes) -> Stacks:
        """The stacks that wait behind a line end, with `added` as the rest of it."""
        return self._follow_margins(self.measure(stacks, added))

    def hoped(self, stacks: Stacks, terminal: int) -> list[Hope]:
        """Ways to go on if the open lexeme becomes `terminal`."""
        if terminal != self.newline:
            return [Hope(self.advance(stacks, (terminal,)))]
        if not stacks.is_marker:
            return [Hope(after) for after in self._ended(stacks)]
        hopes: list[Hope] = []
        for state, below in stacks.edges:
            margin = self._margin(state)
            inside, ended = self._ended(below)
            # A comment, or a backslash, cannot but go on with a line end: that is counted.
            hopes += [Hope(inside), Hope(ended, int(margin.column >= 0 and not margin.last))]
            hopes += self._lines_from(ended, margin)
        return hopes

    def _lines_from(self, stacks: Stacks, margin: Margin) -> Iterator[Hope]:
        """The lines that can begin here, `margin` being written; `stacks` behind the line end."""
        if stacks is self.nothing or margin.column < 0:
            return
        level = self._level(stacks.edges[0])
        deeper = self._shift(stacks, self._indent)
        if margin.column > level.column or not margin.is_fixed:
            yield Hope(deeper, max(0, level.width + 1 - margin.alternative))
        while stacks is not self.nothing:
            level = self._level(stacks.edges[0])
            n_more = level.alternative - margin.alternative
            # Each byte more is a column of either kind or, if it is a tab, of one kind several.
            is_there = n_more == 0 and margin.column == level.column
            comes_there = 0 < n_more <= level.column - margin.column and not margin.is_fixed
            if is_there or comes_there:
                yield Hope(stacks, max(0, min(n_more, level.width)), level.width)
            stacks = self._shift(stacks, self._dedent)

    def lines(self, stacks: Stacks) -> Iterator[Line]:
        """Where an open line end can lead, in brackets, on this line or on another."""
        for state, below in stacks.edges if stacks.is_marker else ((0, stacks),):
            margin = self._margin(state) if stacks.is_marker else None
            inside, ended = self._ended(below)
            if inside is not self.nothing:
                yield Line(inside, 0, 0)
            may_deepen = True
            while ended is not self.nothing:
                level = self._level(ended.edges[0])
                wanted = [(ended, level.column, level.alternative)]
                one_more = Margin(level.column + 1, level.alternative + 1)
                deeper = self._deepen(ended, level, one_more)
                if deeper is not self.nothing:  # a block is wanted here
                    wanted = [(deeper, *one_more[:2])] if may_deepen else []
                for after, column, alternative in wanted:
                    from_start = bytes_between(column, alternative, Margin())
                    if from_start is not None and (margin is None or not margin.last):
                        yield Line(after, from_start, 1)
                    here = None if margin is None else bytes_between(column, alternative, margin)
                    if here is not None and margin is not None and not margin.last:
                        yield Line(after, here, None)
                ended = self._shift(ended, self._dedent)
                may_deepen = False

    def margin(self, stacks: Stacks) -> int:
        """The bytes of indentation of a line in the innermost block."""
        return max((self._level(edge).alternative for edge in stacks.edges), default=0)

    def line_width(self, edge: Edge) -> int:
        """The least bytes of indentation of a line in the block that `edge` is in."""
        return self._level(edge).width

    def may_end(self, stacks: Stacks, winners: tuple[int, ...]) -> bool:
        """Whether a text may end here: not behind a backslash and a line end."""
        if self._continuation in winners:
            return False
        return not stacks.is_marker or any(
            self._margin(state).last not in ("\r", "\n") for state, _ in stacks.edges
        )

    def _take(self, stacks: Stacks, terminal: int) -> Stacks:
        if terminal != self.newline:
            return super()._take(self._bare(stacks), terminal)
        if not stacks.is_marker:
            return self._end_line(stacks, Margin())
        result = self.nothing
        for state, below in stacks.edges:
            result = self.union(result, self._end_line(below, self._margin(state)))
        return result

    def steps(self, terminals: tuple[int, ...]) -> tuple[Callable[[Stacks], Stacks], ...]:
        """What `advance` does; a line end is shifted, and only then its margin understood.

        So the one looks at the line's own states, and the other not at them.
        """
        if terminals != (self.newline,):
            return super().steps(terminals)
        return self._shift_line_end, self._follow_margins

    def _shift_line_end(self, stacks: Stacks) -> Stacks:
        """Margined stacks with their tops behind the line end; where some are in brackets, all."""
        found: list[Edge] = []
        for state, below in stacks.edges:
            inside, ended = self._ended(below)
            if inside is not self.nothing or not stacks.is_marker:
                return self.advance(stacks, (self.newline,))
            if ended is not self.nothing:
                found.append((state, ended))
        return self.intern(found)

    def _follow_margins(self, stacks: Stacks) -> Stacks:
        """The stacks after the indents or dedents of margined stacks behind a line end."""
        if not stacks.is_marker:
            return stacks
        result = self.nothing
        for state, below in stacks.edges:
            result = self.union(result, self._follow_indentation(below, self._margin(state)))
        return result

    def _end_line(self, stacks: Stacks, margin: Margin) -> Stacks:
        inside, ended = self._ended(stacks)
        return self.union(inside, self._follow_indentation(ended, margin))

    def _ended(self, stacks: Stacks) -> tuple[Stacks, Stacks]:
        """The stacks inside brackets, and those outside after a line end."""
        if stacks is self.underflow:
            raise StackUnderflow
        inside = self.intern(e for e in stacks.edges if self._place[e[0]] == BRACKETS)
        outside = self.intern(e for e in stacks.edges if self._place[e[0]] == OUTSIDE)
        return inside, self._shift(outside, self.newline)

    def _follow_indentation(self, stacks: Stacks, margin: Margin) -> Stacks:
        """The stacks after the indents or dedents that `margin` means behind a line end."""
        if stacks is self.underflow:
            raise StackUnderflow
        may_deepen = True
        while stacks is not self.nothing:
            level = self._level(stacks.edges[0])
            if margin.column == level.column:
                return stacks if margin.alternative == level.alternative else self.nothing
            if margin.column > level.column:
                return self._deepen(stacks, level, margin) if may_deepen else self.nothing
            stacks = self._shift(stacks, self._dedent)
            may_deepen = False
        return stacks

    def _deepen(self, stacks: Stacks, level: Level, margin: Margin) -> Stacks:
        if margin.alternative <= level.alternative or level.depth + 1 >= MAX_LEVELS:
            return self.nothing
        width = min(margin.alternative, 3) if margin.is_fixed else margin.alternative
        inner = Level(margin.column, margin.alternative, level.depth + 1, width)
        shifted = self._shift(stacks, self._indent)
        return self.intern((state, self._marker(inner, below)) for state, below in shifted.edges)

    def _level(self, edge: Edge) -> Level:
        """The innermost open block's. All stacks have it: they have read the same line ends."""
        n_closed = 0
        state, node = edge
        while True:
            if state >= 0:
                n_closed += self.automaton.accessing[state] == self._dedent
            elif n_closed:
                n_closed -= 1
            else:
                level = self._values[-1 - state]
                assert isinstance(level, Level)
                return level
            if not node.edges:
                break
            state, node = node.edges[0]
        if node is self.underflow:
            raise StackUnderflow
        return Level()

    def _bare(self, stacks: Stacks) -> Stacks:
        """The stacks without their margin."""
        if not stacks.is_marker:
            return stacks
        result = self.nothing
        for _, below in stacks.edges:
            result = self.union(result, below)
        return result

    def _margin(self, state: int) -> Margin:
        margin = self._values[-1 - state]
        assert isinstance(margin, Margin)
        return margin

    def _marker(self, value: Margin | Level, stacks: Stacks) -> Stacks:
        return self.push(self._state(value), stacks)

    def _state(self, value: Margin | Level) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._values)
            self._values.append(value)
        return -1 - number
