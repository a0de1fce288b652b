"""A grammar as the LR automaton wants it: no useless symbols, no ε, no A → A.

Input:  a checked `Grammar`.
Output: `NormalGrammar`, over integers, with the same non-empty sentences of terminals.

Recognition needs no tree, so productions may be split, dropped and merged freely. Each
pass is a function from a list of productions to a list of productions; `normalize` lists
them in order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from constrain.errors import EmptyLanguageError, GrammarError, GrammarLimitError
from constrain.grammar.rules import Grammar, Indentation, Production

MAX_PRODUCTIONS = 200_000


@dataclass(frozen=True)
class NormalGrammar:
    """Productions over symbol ids: terminal ids below T, nonterminal ids from T on.

    Attributes:
        terminals: names by id. All terminals of the source grammar, in its order; then,
            under indentation, their twins that leave the text inside brackets or a mode.
        lexed: the terminal of the source grammar that each is.
        places: where the text is behind each: `OUTSIDE`, in `BRACKETS`, or in a mode.
        nonterminals: names, by id − T. Index 0 is the start symbol.
        productions: (lhs, rhs) pairs; rhs is never empty and never equals (lhs,).
        accepts_empty: the empty sentence belongs to the grammar.
    """

    terminals: tuple[str, ...]
    nonterminals: tuple[str, ...]
    productions: tuple[tuple[int, tuple[int, ...]], ...]
    accepts_empty: bool
    lexed: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def start(self) -> int:
        """The id of the start symbol."""
        return len(self.terminals)

    def name(self, symbol: int) -> str:
        """A symbol's name."""
        n = len(self.terminals)
        return self.terminals[symbol] if symbol < n else self.nonterminals[symbol - n]


def normalize(grammar: Grammar, empty_terminals: Collection[str] = ()) -> NormalGrammar:
    """Rewrite `grammar` for recognition.

    Args:
        grammar: the grammar as written.
        empty_terminals: terminals whose language is empty; productions with one are dropped.

    Raises:
        EmptyLanguageError: no sentence belongs to the grammar.
        GrammarLimitError: more than `MAX_PRODUCTIONS` productions.
    """
    terminals = grammar.terminal_names
    productions = list(dict.fromkeys(grammar.productions))
    twins: Twins = {}
    if isinstance(grammar.layout, Indentation):
        virtual = {grammar.layout.indent, grammar.layout.dedent}
        empty_terminals = set(empty_terminals) - virtual
        productions, twins = part_by_brackets(grammar, productions)
        terminals |= set(twins)
        empty_terminals |= {twin for twin, (of, _) in twins.items() if of in empty_terminals}
    productions = drop_unproductive(productions, terminals - set(empty_terminals))
    if grammar.start not in {p.lhs for p in productions}:
        raise EmptyLanguageError(
            f"no text belongs to the grammar: {grammar.start!r} derives no finite sentence; "
            f"give every recursive rule an alternative that ends"
        )
    nullable = nullable_symbols(productions)
    productions = split_nullable_runs(productions, nullable)
    nullable = nullable_symbols(productions)
    productions = list(dict.fromkeys(drop_epsilon(productions, nullable)))
    productions = drop_unproductive(productions, terminals)
    productions = drop_unreachable(productions, grammar.start)
    return _number(grammar, twins, productions, accepts_empty=grammar.start in nullable)


def drop_unproductive(
    productions: list[Production], terminals: Collection[str]
) -> list[Production]:
    """Keep the productions all of whose symbols derive some sentence of `terminals`."""
    productive = derivable_symbols(productions, terminals)
    return [p for p in productions if productive.issuperset(p.rhs)]


def drop_unreachable(productions: list[Production], start: str) -> list[Production]:
    """Keep the productions of nonterminals that occur in some sentential form."""
    by_lhs: dict[str, list[Production]] = {}
    for production in productions:
        by_lhs.setdefault(production.lhs, []).append(production)
    seen = {start}
    todo = [start]
    while todo:
        for production in by_lhs.get(todo.pop(), ()):
            for symbol in production.rhs:
                if symbol in by_lhs and symbol not in seen:
                    seen.add(symbol)
                    todo.append(symbol)
    return [p for p in productions if p.lhs in seen]


def nullable_symbols(productions: Iterable[Production]) -> set[str]:
    """The nonterminals that derive the empty sentence."""
    return derivable_symbols(productions, ())


def derivable_symbols(productions: Iterable[Production], leaves: Iterable[str]) -> set[str]:
    """The leaves, and the nonterminals that derive some sentence of leaves; in linear time."""
    derivable = set(leaves)
    lacking: list[tuple[str, set[str]]] = []  # of each production, what is not derivable yet
    users: dict[str, list[int]] = {}
    waiting: list[str] = []
    for production in productions:
        lacks = set(production.rhs) - derivable
        for symbol in lacks:
            users.setdefault(symbol, []).append(len(lacking))
        lacking.append((production.lhs, lacks))
        if not lacks:
            waiting.append(production.lhs)
    for symbol in waiting:
        if symbol in derivable:
            continue
        derivable.add(symbol)
        for user in users.get(symbol, ()):
            lhs, lacks = lacking[user]
            lacks.discard(symbol)
            if not lacks:
                waiting.append(lhs)
    return derivable


def split_nullable_runs(productions: list[Production], nullable: set[str]) -> list[Production]:
    """Leave at most two nullable symbols in a production, so that ε costs a factor of 4.

    `A → X Y Z W` with all nullable becomes `A → X A₁`, `A₁ → Y A₂`, `A₂ → Z W`.
    """
    taken = {p.lhs for p in productions}
    fresh = (name for i in count() if (name := f"__rest_{i}") not in taken)
    return [q for p in productions for q in _split(p, nullable, fresh)]


def _split(
    production: Production, nullable: set[str], fresh: Iterator[str]
) -> Iterator[Production]:
    lhs, rhs = production.lhs, production.rhs
    while sum(symbol in nullable for symbol in rhs) > 2:
        cut = next(i for i, symbol in enumerate(rhs) if symbol in nullable) + 1
        rest = next(fresh)
        yield Production(lhs, (*rhs[:cut], rest))
        lhs, rhs = rest, rhs[cut:]
    yield Production(lhs, rhs)


def drop_epsilon(productions: Iterable[Production], nullable: set[str]) -> Iterator[Production]:
    """Replace each production by its variants with nullable symbols left out, none empty."""
    for production in productions:
        variants: set[tuple[str, ...]] = {()}
        for symbol in production.rhs:
            kept = {(*variant, symbol) for variant in variants}
            variants = kept | variants if symbol in nullable else kept
        for variant in sorted(variants):
            if variant and variant != (production.lhs,):
                yield Production(production.lhs, variant)


OUTSIDE, BRACKETS, FIRST_MODE = 0, 1, 2
"""Where a text stands: outside, inside brackets, in one of the layout's modes."""

Twins = dict[str, tuple[str, int]]


def part_by_brackets(
    grammar: Grammar, productions: Iterable[Production]
) -> tuple[list[Production], Twins]:
    """Give each symbol a twin for use inside brackets, and one for each mode.

    A terminal's twin stands where the text *behind* it is inside: so an opening bracket is
    always a twin, and a closing one if its pair is itself inside another.

    Returns:
        The productions, and the terminals' twins with what each is a twin of, and where.

    Raises:
        GrammarError: a production has a bracket without its partner.
    """
    assert isinstance(grammar.layout, Indentation)
    steps = _Steps(grammar.layout)
    by_lhs: dict[str, list[Production]] = {}
    for production in productions:
        by_lhs.setdefault(production.lhs, []).append(production)
    found: list[Production] = []
    twins: Twins = {}
    todo = [(grammar.start, OUTSIDE)]
    seen = set(todo)
    for lhs, place in todo:
        for production in by_lhs[lhs]:
            rhs = []
            for symbol, behind in zip(production.rhs, steps.places(production, place), strict=True):
                rhs.append(_twin(symbol, behind))
                if symbol not in by_lhs:
                    if behind != OUTSIDE:
                        twins[rhs[-1]] = (symbol, behind)
                elif (symbol, behind) not in seen:
                    seen.add((symbol, behind))
                    todo.append((symbol, behind))
            found.append(Production(_twin(lhs, place), tuple(rhs)))
    return found, twins


class _Steps:
    """What brackets and modes do to the place of a text."""

    def __init__(self, layout: Indentation) -> None:
        self._brackets = set(layout.opening)
        self._closing = set(layout.closing)
        self._opening: dict[str, int] = {}
        self._switching: dict[str, int] = {}
        for number, mode in enumerate(layout.modes, FIRST_MODE):
            self._closing.update(mode.closing)
            self._opening.update(dict.fromkeys(mode.opening, number))
            self._switching.update(dict.fromkeys(mode.switching, number))

    def places(self, production: Production, place: int) -> list[int]:
        """The place behind each symbol of a production that begins in `place`."""
        stack = [place]
        found = []
        for symbol in production.rhs:
            if symbol in self._closing:
                stack.pop()
            elif symbol in self._switching:
                stack[-1] = self._switching[symbol]
            if not stack:
                break
            if symbol in self._brackets:
                stack.append(stack[-1] or BRACKETS)
            elif symbol in self._opening:
                stack.append(self._opening[symbol])
            found.append(stack[-1])
        if stack != [place]:
            raise GrammarError(
                f"`{production}` opens a bracket that it does not close, or the reverse; "
                f"the layout needs both in one alternative"
            )
        return found


def _twin(symbol: str, place: int) -> str:
    if place == OUTSIDE:
        return symbol
    return f"{symbol} in brackets" if place == BRACKETS else f"{symbol} in mode {place}"


def _number(
    grammar: Grammar,
    twins: Twins,
    productions: list[Production],
    *,
    accepts_empty: bool,
) -> NormalGrammar:
    if len(productions) > MAX_PRODUCTIONS:
        raise GrammarLimitError(
            f"the grammar has {len(productions)} productions after normalization; "
            f"at most {MAX_PRODUCTIONS} are supported: make repetitions smaller"
        )
    names = [terminal.name for terminal in grammar.terminals]
    terminals = (*names, *twins)
    nonterminals = tuple(dict.fromkeys([grammar.start, *(p.lhs for p in productions)]))
    ids = {name: i for i, name in enumerate((*terminals, *nonterminals))}
    return NormalGrammar(
        terminals=terminals,
        nonterminals=nonterminals,
        productions=tuple((ids[p.lhs], tuple(ids[s] for s in p.rhs)) for p in productions),
        accepts_empty=accepts_empty,
        lexed=(*range(len(names)), *(names.index(name) for name, _ in twins.values())),
        places=(*[OUTSIDE] * len(names), *(place for _, place in twins.values())),
    )
