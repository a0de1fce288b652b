"""The LR(0) automaton of a normal grammar: which stacks are viable prefixes.

Input:  `NormalGrammar`.
Output: `LRAutomaton`, shift and goto edges and the items that a state may complete.

There are no lookaheads and no conflicts to resolve: the decoder keeps all stacks at once
(`constrain.decode.stacks`), and a terminal is acceptable exactly if some stack can shift
it after some reductions. LR(0) states are few, and an LR(0) path is a viable prefix, so
this is exact (Aho et al., *Compilers*, 2nd ed., 4.6).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from constrain.errors import GrammarLimitError
from constrain.grammar.normalize import NormalGrammar

MAX_STATES = 100_000
MAX_ITEMS = 2_000_000  # over all states

Item = tuple[int, int]  # (production, dot)


@dataclass(frozen=True)
class LRAutomaton:
    """States 0…P−1; state 0 is the start, with nothing on the stack above it.

    Attributes:
        shift: per state, terminal as it is lexed → state.
        goto: per state, nonterminal → state.
        reductions: per state, the (lhs, length) of its complete items.
        kernels: per state, its kernel items as (production, dot).
        accept: the state with a whole sentence on the stack, or −1 if only ε is one.
        accessing: per state, the symbol that leads to it; −1 for the start.
    """

    grammar: NormalGrammar
    shift: tuple[dict[int, int], ...]
    goto: tuple[dict[int, int], ...]
    reductions: tuple[tuple[tuple[int, int], ...], ...]
    kernels: tuple[tuple[Item, ...], ...]
    accept: int
    accessing: tuple[int, ...]

    def format_item(self, item: Item) -> str:
        """An item in the textbooks' form, such as `pair → STRING • ":" value`."""
        lhs, rhs = self.grammar.productions[item[0]]
        names = [self.grammar.name(symbol) for symbol in rhs]
        names.insert(item[1], "•")
        return f"{self.grammar.name(lhs)} → {' '.join(names)}"


def build_lr0(grammar: NormalGrammar) -> LRAutomaton:
    """Build the canonical LR(0) collection, states numbered in order of discovery.

    Raises:
        GrammarLimitError: more than `MAX_STATES` states or `MAX_ITEMS` items.
    """
    by_lhs: dict[int, list[int]] = defaultdict(list)
    for index, (lhs, _) in enumerate(grammar.productions):
        by_lhs[lhs].append(index)
    left_corners = _LeftCorners(grammar, by_lhs)

    # Kernel items, plus for state 0 the start symbol before which the dot stands.
    kernels: list[tuple[Item, ...]] = [()]
    ids: dict[tuple[Item, ...], int] = {(): 0}
    shift: list[dict[int, int]] = []
    goto: list[dict[int, int]] = []
    reductions: list[tuple[tuple[int, int], ...]] = []
    n_terminals = len(grammar.terminals)
    accept = -1
    accessing = [-1]
    state = n_items = 0
    while state < len(kernels):
        edges: dict[int, list[Item]] = defaultdict(list)
        wanted: dict[int, None] = {}
        complete: list[tuple[int, int]] = []
        if state == 0:
            wanted[grammar.start] = None
            edges[grammar.start] = []
        for production, dot in kernels[state]:
            lhs, rhs = grammar.productions[production]
            if dot == len(rhs):
                complete.append((lhs, dot))
                continue
            edges[rhs[dot]].append((production, dot + 1))
            wanted[rhs[dot]] = None
        for production in left_corners.productions(wanted):
            edges[grammar.productions[production][1][0]].append((production, 1))
        n_items += sum(map(len, edges.values())) + len(complete)
        shift.append({})
        goto.append({})
        reductions.append(tuple(dict.fromkeys(complete)))
        for symbol in sorted(edges):
            # The state that follows the whole start symbol is its own: nothing else equals it.
            whole = state == 0 and symbol == grammar.start
            kernel = tuple(sorted(edges[symbol])) + (((-1, 0),) if whole else ())
            target = ids.get(kernel)
            if target is None:
                target = ids[kernel] = len(kernels)
                kernels.append(kernel[:-1] if whole else kernel)
                accessing.append(symbol)
            if whole:
                accept = target
            if symbol < n_terminals:
                shift[-1][grammar.lexed[symbol]] = target  # a state has no terminal and its twin
            else:
                goto[-1][symbol] = target
        state += 1
        _check_size(len(kernels), n_items)
    return LRAutomaton(
        grammar=grammar,
        shift=tuple(shift),
        goto=tuple(goto),
        reductions=tuple(reductions),
        kernels=tuple(kernels),
        accept=accept,
        accessing=tuple(accessing),
    )


def _check_size(n_states: int, n_items: int) -> None:
    if n_states > MAX_STATES:
        raise GrammarLimitError(
            f"the grammar needs more than {MAX_STATES} LR states; make it smaller"
        )
    if n_items > MAX_ITEMS:
        raise GrammarLimitError(
            f"the LR states of the grammar have more than {MAX_ITEMS} items; make chains of "
            f"rules that begin with one another shorter"
        )


class _LeftCorners:
    """The productions that a set of symbols opens, closed under left corners."""

    def __init__(self, grammar: NormalGrammar, by_lhs: dict[int, list[int]]) -> None:
        self._grammar = grammar
        self._by_lhs = by_lhs

    def productions(self, wanted: dict[int, None]) -> list[int]:
        opened: list[int] = []
        seen = set(wanted)
        todo = list(wanted)
        while todo:
            for production in self._by_lhs.get(todo.pop(), ()):
                opened.append(production)
                corner = self._grammar.productions[production][1][0]
                if corner not in seen:
                    seen.add(corner)
                    todo.append(corner)
        return opened
