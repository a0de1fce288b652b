"""Whether some text between leads from a state of the text into the suffix.

Input:  an engine, the suffix, threads.
Output: False only where no text does.

An open item `A → α • β` of an LR stack needs a β, then whoever waits for the A goes on. So from the
top of the stacks down, the chart says where in the suffix, or still in the hole, what is open can
have been closed; if all of it is closed where the suffix ends, the threads can join it. The stacks
that can are a regular language, and this is its automaton, run lazily and remembered by what
lies below (as the saturation of Bouajjani, Esparza and Maler, 1997, for all that may be pushed).

What is not looked at: which of several lexemes longest match prefers where that depends on more
than one terminal, the columns of blocks that only the middle has, tabs, and the suffix behind
`HORIZON` bytes. There more may seem possible than is, and never less.
"""

from __future__ import annotations

from collections.abc import Iterator

from constrain.decode.engine import Engine
from constrain.decode.layout import IndentationParser
from constrain.decode.machine import Thread
from constrain.decode.stacks import Edge, Stacks
from constrain.fim.chart import HOLE, PASSED, Chart, Node
from constrain.fim.lexemes import BEYOND, Lexemes, Undecided
from constrain.fim.rules import ANY, Rules, column
from constrain.grammar.rules import Grammar

HORIZON = 4096
"""Bytes of the suffix that are looked at."""

MAX_PLACES = 50_000
"""Places of stacks that one question may look at; beyond it the answer is yes."""

MAX_KNOWN = 500_000
"""Places of stacks for which the answer is kept; beyond it all are found anew."""

Place = tuple[int, Stacks, int, Node]  # an edge, the symbol that was closed on it, and where


class Joining:
    """Says of threads whether they can join one suffix. Not safe under threads by itself.

    Attributes:
        gave_up: a bound was met; from then on all are said to join.
    """

    def __init__(self, engine: Engine, grammar: Grammar, suffix: bytes) -> None:
        self._machine = engine.machine
        self._parser = engine.machine.parser
        self._automaton = self._parser.automaton
        self._rules = Rules.of(engine, grammar)
        is_cut = len(suffix) > HORIZON
        self._data = suffix[:HORIZON]
        if self._parser.reads_line_end_behind and not is_cut:
            self._data += b"\n"
        self._lexemes = Lexemes(engine.machine.lexer, self._data, is_cut=is_cut)
        self._chart = Chart(self._rules, self._lexemes, self._data)
        self._known: dict[Place, bool] = {}
        self._levels: dict[Edge, int] = {}
        self._seams: dict[int, list[tuple[int, frozenset[int]]]] = {}
        self._asked: dict[tuple[Stacks, int, frozenset[int]], bool] = {}
        self.gave_up = not self._rules.has_whole_blocks

    def can(self, thread: Thread) -> bool:
        """Whether the thread can join; False is certain."""
        if self.gave_up:
            return True
        try:
            return self._can(thread)
        except Undecided:
            self.gave_up = True
            return True

    def _can(self, thread: Thread) -> bool:
        stacks, state = thread
        found = self._seams.get(state)
        if found is None:
            found = self._seams[state] = self._seam(state)
        return any(self._can_behind(stacks, terminal, places) for terminal, places in found)

    def _seam(self, state: int) -> list[tuple[int, frozenset[int]]]:
        """What a lexeme in a state of the lexer may be, and where it may then end."""
        table = self._machine.lexer.table
        ends: dict[int, frozenset[int]] = {}
        for member in self._machine.lexer.members[state][0]:
            terminal = int(table.owner[member])
            if terminal < len(table.start):
                ends[terminal] = ends.get(terminal, frozenset()) | self._lexemes.at_seam(member)
        return list(ends.items())

    def _can_behind(self, stacks: Stacks, terminal: int, places: frozenset[int]) -> bool:
        """The same where the open lexeme is of a terminal and ends at `places`, or before."""
        key = stacks, terminal, places
        answer = self._asked.get(key)
        if answer is None:
            if len(self._asked) >= MAX_KNOWN:
                self._asked.clear()
            answer = self._asked[key] = self._search(self._firsts(stacks, terminal, places))
        return answer

    def _firsts(
        self, stacks: Stacks, terminal: int, places: frozenset[int]
    ) -> Iterator[tuple[Edge, Node]]:
        """The edges on top behind the open lexeme, each with the nodes where it may have ended."""
        if terminal != self._rules.newline:
            for edge in self._parser.advance(stacks, (terminal,)).edges:
                yield from self._ended(edge, places)
            return
        assert isinstance(self._parser, IndentationParser)
        inside, ended = self._parser._ended(self._parser._bare(stacks))
        for edge in inside.edges:
            yield from self._ended(edge, places)
        for edge in ended.edges:
            yield edge, HOLE
            for end in places:
                width = ANY if end == BEYOND else column(self._data, 0, end, is_whole=False)
                for node in self._chart.settled(self._symbol(edge), end, width, self._level(edge)):
                    yield edge, node

    def _ended(self, edge: Edge, places: frozenset[int]) -> Iterator[tuple[Edge, Node]]:
        yield edge, HOLE
        for end in places:
            for node in self._chart.behind(self._symbol(edge), end):
                yield edge, node

    def _search(self, firsts: Iterator[tuple[Edge, Node]]) -> bool:
        """Whether one of these can be closed, and all that is below it."""
        came: dict[Place, Place | None] = {}
        todo: list[Place] = []

        def leads(places: Iterator[Place], origin: Place | None) -> bool:
            for place in places:
                if place in came:
                    continue
                came[place] = origin
                answer = self._known.get(place)
                if answer or (answer is None and self._is_whole(place)):
                    self._remember(place, came)
                    return True
                if answer is None:
                    todo.append(place)
            return False

        for edge, node in firsts:
            if node == PASSED or (edge[0] == 0 and self._may_begin(node)):
                return True
            if edge[0] != 0 and leads(self._closed(edge, 1, node, edge[0]), None):
                return True
        while todo:
            place = todo.pop()
            if len(came) > MAX_PLACES:
                return True
            state, below, symbol, node = place
            target = self._automaton.goto[state][symbol]
            if leads(self._closed((state, below), 0, node, target), place):
                return True
        if len(self._known) + len(came) > MAX_KNOWN:
            self._forget()
        self._known.update(dict.fromkeys(came, False))
        return False

    def _closed(self, edge: Edge, n_above: int, node: Node, state: int) -> Iterator[Place]:
        """What can be closed by what an item of `state` still lacks, read from `node` on.

        Args:
            edge: the top of the stacks.
            n_above: 1 if `state` is that of the edge, 0 if it stands on it.
            node: where the rest begins.
            state: its items are looked at.
        """
        productions = self._automaton.grammar.productions
        level = self._level(edge)
        for production, dot in self._automaton.kernels[state]:
            n_more = dot - 1 + n_above
            for base in [edge] if not n_more else self._parser.pop(edge[1], n_more - 1):
                ends = self._chart.rest(production, dot, node, level, self._level(base))
                for end in ends:
                    yield *base, productions[production][0], end

    def _is_whole(self, place: Place) -> bool:
        state, _, symbol, node = place
        if node == PASSED:
            return True
        is_start = state == 0 and symbol == self._automaton.grammar.start
        return is_start and self._chart.is_final(node)

    def _may_begin(self, node: Node) -> bool:
        """Whether a whole text may stand from a node on."""
        grammar = self._automaton.grammar
        if grammar.accepts_empty and self._chart.is_final(node):
            return True
        return any(map(self._chart.is_final, self._chart.symbol(grammar.start, node, 0)))

    def _remember(self, place: Place | None, came: dict[Place, Place | None]) -> None:
        if len(self._known) + len(came) > MAX_KNOWN:
            self._forget()
        while place is not None:
            self._known[place] = True
            place = came[place]

    def _symbol(self, edge: Edge) -> int:
        return self._automaton.accessing[edge[0]]

    def _level(self, edge: Edge) -> int:
        """The column of the block that an edge is in."""
        if not isinstance(self._parser, IndentationParser):
            return 0
        level = self._levels.get(edge)
        if level is None:
            level = self._levels[edge] = self._parser._level(edge).column
        return level

    def _forget(self) -> None:
        self._known.clear()
        self._levels.clear()
