"""A grammar's productions as the chart of a suffix reads them, its layout included.

Input:  the engine of a grammar that has productions.
Output: `Rules`: productions by symbol, what may stand between lexemes, what line ends mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from weakref import WeakKeyDictionary

from constrain.automata.margin import Margin, moved
from constrain.decode.engine import Engine
from constrain.decode.layout import ignored_by_place
from constrain.grammar.normalize import OUTSIDE, NormalGrammar
from constrain.grammar.rules import Grammar, Indentation, Semicolons
from constrain.grammar.sets import as_lexed, bits, first_sets, last_sets

ANY = -1
"""A column of which nothing is known."""


@dataclass(frozen=True)
class Rules:
    """What the chart of a suffix needs of a grammar. Terminals are numbered as they are lexed.

    Attributes:
        normal: the productions.
        ignored: by place, the terminals that may stand between lexemes.
        newline, indent, dedent: the terminals of an indentation; −1 without one.
        newlines: the terminals that stand for `semicolon` behind the terminals of `ending`.
    """

    normal: NormalGrammar
    ignored: tuple[frozenset[int], ...]
    newline: int = -1
    indent: int = -1
    dedent: int = -1
    semicolon: int = -1
    newlines: frozenset[int] = frozenset()
    ending: frozenset[int] = frozenset()

    @classmethod
    def of(cls, engine: Engine, grammar: Grammar) -> Rules:
        """The rules of a grammar and the engine that it was compiled to, made once."""
        rules = _made.get(engine)
        if rules is None:
            rules = _made[engine] = cls._of(engine, grammar)
        return rules

    @classmethod
    def _of(cls, engine: Engine, grammar: Grammar) -> Rules:
        parser, layout = engine.machine.parser, grammar.layout
        ids = {terminal.name: i for i, terminal in enumerate(grammar.terminals)}
        normal = parser.automaton.grammar
        ignored = tuple(ignored_by_place(layout, ids, parser.ignored))
        if isinstance(layout, Indentation):
            return cls(
                normal,
                ignored,
                newline=ids[layout.newline],
                indent=ids[layout.indent],
                dedent=ids[layout.dedent],
            )
        if isinstance(layout, Semicolons):
            return cls(
                normal,
                ignored,
                semicolon=ids[layout.semicolon],
                newlines=frozenset(ids[name] for name in layout.newlines),
                ending=frozenset(ids[name] for name in layout.after),
            )
        return cls(normal, ignored)

    @property
    def n_terminals(self) -> int:
        """The symbols below it are terminals."""
        return len(self.normal.terminals)

    @cached_property
    def by_lhs(self) -> dict[int, list[tuple[int, int]]]:
        """Per nonterminal its productions: (number, terminals that may come first, as bits)."""
        firsts = [as_lexed(self.normal, members) for members in first_sets(self.normal)]
        found: dict[int, list[tuple[int, int]]] = {}
        for number, (lhs, rhs) in enumerate(self.normal.productions):
            found.setdefault(lhs, []).append((number, firsts[rhs[0]]))
        return found

    @cached_property
    def before(self) -> list[frozenset[int]]:
        """Per terminal symbol, the places where the text may be in front of it."""
        places = self.normal.places
        first, last = first_sets(self.normal), last_sets(self.normal)
        found: list[set[int]] = [set() for _ in places]
        for terminal in bits(first[self.normal.start]):
            found[terminal].add(OUTSIDE)
        for left, right in {pair for _, rhs in self.normal.productions for pair in pairwise(rhs)}:
            behind = {places[terminal] for terminal in bits(last[left])}
            for terminal in bits(first[right]):
                found[terminal] |= behind
        return [frozenset(members) for members in found]

    @cached_property
    def with_lines(self) -> frozenset[int]:
        """The nonterminals that may hold line ends: for others it is no matter where blocks are."""
        users: dict[int, set[int]] = {}
        for lhs, rhs in self.normal.productions:
            for symbol in rhs:
                users.setdefault(symbol, set()).add(lhs)
        layout = (self.newline, self.indent, self.dedent)
        queue = [s for s, terminal in enumerate(self.normal.lexed) if terminal in layout]
        found = set(queue)
        for symbol in queue:
            more = users.get(symbol, set()) - found
            found |= more
            queue += more
        return frozenset(found)

    @cached_property
    def has_whole_blocks(self) -> bool:
        """Every production that indents a block ends it, and no other one does."""
        for _, rhs in self.normal.productions:
            lexed = [self.normal.lexed[s] for s in rhs if s < self.n_terminals]
            steps = [t for t in lexed if t in (self.indent, self.dedent)]
            if steps not in ([], [self.indent, self.dedent]):
                return False
        return True

    def place(self, symbol: int) -> int:
        """Where the text is behind a symbol; −1 for the start."""
        return self.normal.places[symbol] if 0 <= symbol < self.n_terminals else OUTSIDE

    def between(self, symbol: int) -> frozenset[int]:
        """The terminals that may be ignored behind a symbol."""
        ignored = self.ignored[self.place(symbol)]
        return ignored if self.ends_line(symbol) else ignored | self.newlines

    def ends_line(self, symbol: int) -> bool:
        """Whether a line end behind the symbol is a semicolon."""
        return 0 <= symbol < self.n_terminals and self.normal.lexed[symbol] in self.ending


_made: WeakKeyDictionary[Engine, Rules] = WeakKeyDictionary()


def column(data: bytes, start: int, end: int, *, is_whole: bool) -> int:
    """How far the line is indented that a line-end lexeme leads to, or `ANY`.

    Args:
        data: what it stands in.
        start: where it begins there, or what is seen of it.
        end: where it ends.
        is_whole: nothing of it stands before `start`.
    """
    if not is_whole:
        line = max(data.rfind(b"\n", start, end), data.rfind(b"\r", start, end))
        line -= data[line - 1 : line + 1] == b"\r\n"
        if line <= start or data[line - 1 : line] == b"\\":
            return ANY
        start = line
    margin = moved(Margin(), data[start:end])
    return ANY if margin.column < 0 or margin.last else margin.column
