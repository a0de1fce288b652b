"""The shortest text that completes another, and so whether one exists.

Two levels:

- `CompletionCosts` knows the least number of bytes that completes a set of stacks if
  lexemes could be put side by side freely. It is a lower bound, computed once per stack
  node from the costs below it (Knuth's generalization of Dijkstra for the nonterminals).
- `Completer` searches the machine itself with that bound (A*, Hart et al. 1968): exact
  also where longest match forbids what the bound hopes for, and where the vocabulary
  cannot spell every byte.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD, TerminalTable, as_bits
from constrain.automata.lr0 import LRAutomaton
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.stacks import Edge, Parser, Stacks
from constrain.errors import ViabilityLimitError
from constrain.grammar.normalize import NormalGrammar
from constrain.vocabulary import Vocabulary

IMPOSSIBLE = 1 << 40
"""A cost no text has."""

MAX_EXPANSIONS = 1_000
"""Threads that one search may look at besides those on a way without detours."""

MAX_NODES = 300_000
"""Nodes of stacks that one search may make, for the same: a bound on time, some seconds."""

MAX_REMEMBERED = 200_000
"""Threads whose exact cost is kept."""


def byte_distances(table: TerminalTable, spellable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[G]: least bytes from each DFA state to acceptance, IMPOSSIBLE where none.

    Args:
        table: the terminals' DFAs.
        spellable: bool[C], the byte classes that may be used.
    """
    usable = as_bits(spellable)
    before: list[list[int]] = [[] for _ in table.moves]
    for tail, moves in enumerate(table.moves):
        for head, classes in moves:
            if classes & usable:
                before[head].append(tail)
    distance = [0 if accepts else IMPOSSIBLE for accepts in table.accepting.tolist()]
    for state in (queue := np.flatnonzero(table.accepting).tolist()):
        for tail in before[state]:
            if distance[tail] == IMPOSSIBLE:
                distance[tail] = distance[state] + 1
                queue.append(tail)
    return np.array(distance, np.int64)


class Finish(NamedTuple):
    """How an item of a state is finished.

    length:  states to pop
    lhs:     what then stands there
    cost:    least bytes before
    n_lines: how many lines begin on the way, at the indentation of what was popped
    """

    length: int
    lhs: int
    cost: int
    n_lines: int


class StackCosts:
    """The cost of the cheapest plan that completes stacks, at the start of a lexeme.

    Args of the constructor: `terminals`, the cost of each terminal, twins included;
    `line_ends`, the symbols behind which a line is indented at its own cost; `place`, a
    number under which stacks keep these costs.
    """

    def __init__(
        self, parser: Parser, terminals: list[int], line_ends: frozenset[int], place: int
    ) -> None:
        self._parser = parser
        self._automaton = parser.automaton
        self._place = place
        symbols = symbol_costs(self._automaton.grammar, terminals)
        self._finish = [
            self._finishes(self._automaton, state, symbols, line_ends)
            for state in range(len(self._automaton.kernels))
        ]
        self._start_cost = (
            0 if self._automaton.grammar.accepts_empty else symbols[self._automaton.grammar.start]
        )

    @staticmethod
    def _finishes(
        automaton: LRAutomaton, state: int, symbols: list[int], line_ends: frozenset[int]
    ) -> list[Finish]:
        """For each kernel item of `state`, what finishes it."""
        found: dict[Finish, None] = {}
        for production, dot in automaton.kernels[state]:
            lhs, rhs = automaton.grammar.productions[production]
            cost = sum(symbols[symbol] for symbol in rhs[dot:])
            n_lines = sum(symbol in line_ends for symbol in rhs[dot - 1 : -1])
            if cost < IMPOSSIBLE:
                found[Finish(dot, lhs, cost, n_lines)] = None
        return list(found)

    def of(self, stacks: Stacks) -> int:
        """The cost of the cheapest plan for `stacks`; IMPOSSIBLE where there is none."""
        cost = stacks.costs.get((self._place, -1, -1))
        if cost is None:
            cost = stacks.costs[self._place, -1, -1] = min(
                (self._of_edge(state, below) for state, below in stacks.edges),
                default=IMPOSSIBLE,
            )
        return cost

    def _of_edge(self, state: int, below: Stacks) -> int:
        if state == 0:
            return self._start_cost
        if state == self._automaton.accept:
            return 0
        best = IMPOSSIBLE
        for length, lhs, cost, n_lines in self._finish[state]:
            for base in self._parser.pop(below, length - 1):
                width = n_lines and n_lines * self._parser.line_width(base)
                best = min(best, cost + width + self._after(base, lhs))
        return best

    def _after(self, base: Edge, lhs: int) -> int:
        """The cost once `lhs` stands on the edge `base`.

        Works off an explicit list: stacks are as deep as the text is nested. Costs are kept
        in the node below, which lives as long as the stacks do.
        """
        todo = [(base, lhs)]
        while todo:
            (state, below), symbol = todo[-1]
            if (self._place, state, symbol) in below.costs:
                todo.pop()
            else:
                todo.extend(self._solve(state, below, symbol))
        return base[1].costs[self._place, base[0], lhs]

    def _solve(self, state: int, below: Stacks, lhs: int) -> list[tuple[Edge, int]]:
        """Fill `below.costs` for `lhs` on `state`, or return what must be filled before.

        Left recursion leads from one symbol on an edge to another on the same edge, so
        those are solved together.
        """
        best: dict[int, int] = {}
        outers: list[tuple[int, int, int]] = []  # a symbol ends as part of another, at a cost
        missing: list[tuple[Edge, int]] = []
        todo = [lhs]
        seen = {lhs}
        for symbol in todo:
            target = self._automaton.goto[state][symbol]
            best[symbol] = 0 if target == self._automaton.accept else IMPOSSIBLE
            for length, outer, cost, n_lines in self._finish[target]:
                if length == 1:
                    width = n_lines and n_lines * self._parser.line_width((state, below))
                    outers.append((symbol, outer, cost + width))
                    if outer not in seen:
                        seen.add(outer)
                        todo.append(outer)
                    continue
                for lower in self._parser.pop(below, length - 2):
                    known = lower[1].costs.get((self._place, lower[0], outer))
                    if known is None:
                        missing.append((lower, outer))
                    else:
                        width = n_lines and n_lines * self._parser.line_width(lower)
                        best[symbol] = min(best[symbol], cost + width + known)
        if missing:
            return missing
        for _ in best:
            for symbol, outer, cost in outers:
                best[symbol] = min(best[symbol], cost + best[outer])
        for symbol, least in best.items():
            below.costs[self._place, state, symbol] = least
        return []


class CompletionCosts:
    """Least bytes to complete stacks, were every sequence of lexemes possible.

    Attributes:
        distance: int64[G], see `byte_distances`.
    """

    def __init__(self, parser: Parser, table: TerminalTable, spellable: NDArray[np.bool_]) -> None:
        self._parser = parser
        self.distance = byte_distances(table, spellable)
        self._owner = table.owner
        self._n_terminals = len(table.start)
        terminals = [
            0 if t in parser.free else int(self.distance[table.start[t]])
            for t in parser.automaton.grammar.lexed
        ]
        self.of = StackCosts(parser, terminals, parser.line_ends, place=0).of

    def of_thread(self, thread: Thread, machine: Machine) -> int:
        """Least bytes that complete the open lexeme of `thread` and then the stacks."""
        stacks, state = thread
        best = IMPOSSIBLE
        for dfa_state in machine.lexer.members[state][0]:
            distance = int(self.distance[dfa_state])
            if distance < best and self._owner[dfa_state] < self._n_terminals:
                for hope in self._parser.hoped(stacks, int(self._owner[dfa_state])):
                    then = hope.n_more + max(0, self.of(hope.stacks) - hope.n_written)
                    best = min(best, distance + then)
        if self._parser.reads_line_end_behind and 0 < best < IMPOSSIBLE:
            best -= 1  # a line end that need not be written
        return best


def symbol_costs(grammar: NormalGrammar, terminals: list[int]) -> list[int]:
    """The cost of the cheapest sentence of each symbol; IMPOSSIBLE where there is none.

    Args:
        grammar: its terminals come first among the symbols.
        terminals: the cost of each.
    """
    costs = terminals + [IMPOSSIBLE] * len(grammar.nonterminals)
    changed = True
    while changed:
        changed = False
        for lhs, rhs in grammar.productions:
            cost = min(IMPOSSIBLE, sum(costs[symbol] for symbol in rhs))
            if cost < costs[lhs]:
                costs[lhs] = cost
                changed = True
    return costs


class Costs(Protocol):
    """Lower bounds on completions."""

    def of_thread(self, thread: Thread, machine: Machine) -> int:
        """Least bytes that complete the open lexeme of `thread` and then the stacks."""


class Steps(NamedTuple):
    """What spells all that tokens can spell.

    single:    bytes that are tokens, one for each byte class, the least ones first
    long:      tokens that contain another byte
    occurring: bool[C], the byte classes of both
    """

    single: list[tuple[bytes, int]]
    long: list[bytes]
    occurring: NDArray[np.bool_]


def spelling_steps(
    vocabulary: Vocabulary, byte_class: NDArray[np.uint8], spellable: NDArray[np.bool_]
) -> Steps:
    """The steps of a vocabulary.

    Args:
        vocabulary: its tokens.
        byte_class: uint8[256], of the lexer.
        spellable: bool[C], the classes that have a byte that is a token.
    """
    single = sorted(
        (bytes([int(np.flatnonzero(vocabulary.single_bytes & (byte_class == c))[0])]), int(c))
        for c in np.flatnonzero(spellable)
    )
    lacking = bytes(np.flatnonzero(~vocabulary.single_bytes).tolist())
    long = sorted(
        {t for t in vocabulary.tokens if len(t) > 1 and len(t.translate(None, lacking)) < len(t)}
    )
    occurring = np.zeros_like(spellable)
    occurring[spellable] = True
    for token in long:
        occurring[byte_class[list(token)]] = True
    return Steps(single, long, occurring)


class Completer:
    """Finds the shortest spellable completion of a thread, by search.

    Spellable: a concatenation of whole tokens. The search steps by single bytes that are
    tokens and by the few tokens that contain another byte, which spells all that tokens
    can spell.
    """

    def __init__(self, machine: Machine, steps: Steps, costs: Costs) -> None:
        self._machine = machine
        self._steps = steps.single
        self._long_steps = steps.long
        self.costs = costs
        self._known: dict[Thread, int] = {}  # exact costs
        self._found: dict[Threads, bytes | None] = {}

    def completion(self, threads: Threads) -> bytes | None:
        """The completion of any of `threads` with the fewest bytes; None if there is none.

        Of equally short ones it is the first in byte order. So what is left of it after a
        token is the completion behind that token: a budget that it fits in is never lost.

        Raises:
            ViabilityLimitError: not decided within `MAX_EXPANSIONS` threads.
        """
        if threads not in self._found:
            if len(self._found) > MAX_REMEMBERED:
                self._found.clear()
            self._found[threads] = self._first_shortest(threads)
        return self._found[threads]

    def is_viable(self, thread: Thread) -> bool:
        """Some text that the vocabulary can spell completes `thread`."""
        return self._cost(thread) < IMPOSSIBLE

    def _cost(self, thread: Thread) -> int:
        """The exact least number of bytes that complete `thread`."""
        if thread not in self._known:
            self._search(thread)
        return self._known[thread]

    def _first_shortest(self, threads: Threads) -> bytes | None:
        left = min((self._cost(thread) for thread in threads), default=IMPOSSIBLE)
        if left >= IMPOSSIBLE:
            return None
        # Threads on a shortest way, each with the bytes of a step that is not complete yet.
        level = {(thread, b"") for thread in threads if self._cost(thread) == left}
        text = bytearray()
        while left > 0:
            by_byte: dict[int, list[tuple[Thread, bytes]]] = {}
            for thread, pending in level:
                steps = [(pending, thread)] if pending else self._short_steps(thread, left)
                for step, target in steps:
                    by_byte.setdefault(step[0], []).append((target, step[1:]))
            for least in sorted(by_byte):  # costs are asked only up to the first byte that will do
                level = {
                    (target, pending)
                    for target, pending in by_byte[least]
                    if self._cost(target) == left - 1 - len(pending)
                }
                if level:
                    break
            text.append(least)
            left -= 1
        return bytes(text)

    def _short_steps(self, thread: Thread, left: int) -> list[tuple[bytes, Thread]]:
        """The steps of `thread` after which a completion of `left` bytes in all may be open."""
        return [
            (step, target)
            for step, target in self._successors(thread)
            if self._bound(target) <= left - len(step)
        ]

    def _search(self, start: Thread) -> None:
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        order = count()
        bound = self._bound(start)
        if bound >= IMPOSSIBLE:
            self._known[start] = IMPOSSIBLE
            return
        limit, max_nodes = MAX_EXPANSIONS + 4 * bound, MAX_NODES + 100 * bound
        parser = self._machine.parser
        first_node = parser.n_interned
        # Of equal promise, the one nearest to its end first.
        queue = [(bound, bound, next(order), 0, start)]
        spent = {start: 0}
        came: dict[Thread, tuple[int, Thread]] = {}
        done: set[Thread] = set()
        while queue:
            _, _, _, cost, thread = heapq.heappop(queue)
            if thread in done:
                continue
            done.add(thread)
            if thread in self._known or self._machine.accepts(thread):
                self._remember(thread, came)
                return
            if len(done) > limit or parser.n_interned - first_node > max_nodes:
                raise ViabilityLimitError(
                    f"whether the text can be completed was not decided within {limit} steps and "
                    f"{max_nodes} stacks: longest match lets one terminal of the grammar swallow "
                    f"the start of the next; separate such terminals, by white space for "
                    f"instance, or use lexing='any'"
                )
            for step, target in self._successors(thread):
                total = cost + len(step)
                if total < spent.get(target, IMPOSSIBLE):
                    bound = self._bound(target)
                    if bound < IMPOSSIBLE:
                        spent[target] = total
                        came[target] = (len(step), thread)
                        heapq.heappush(queue, (total + bound, bound, next(order), total, target))
        for thread in done:
            self._known[thread] = IMPOSSIBLE

    def _bound(self, thread: Thread) -> int:
        known = self._known.get(thread)
        return self.costs.of_thread(thread, self._machine) if known is None else known

    def _remember(self, goal: Thread, came: dict[Thread, tuple[int, Thread]]) -> None:
        """Keep the exact costs along the path that was found."""
        left = self._known.setdefault(goal, 0)
        thread = goal
        while thread in came:
            n_bytes, thread = came[thread]
            left += n_bytes
            self._known[thread] = left

    def _successors(self, thread: Thread) -> Iterator[tuple[bytes, Thread]]:
        machine = self._machine
        following = machine.next_lexeme(thread)
        for stacks, state in (thread,) if following is None else (thread, following):
            row = machine.lexer.next[state].tolist()
            found: set[Thread] = set()
            for byte, byte_class in self._steps:
                target = row[byte_class]
                if target == DEAD:
                    continue
                after = (machine.measured(stacks, target, byte), target)
                if after not in found:
                    found.add(after)
                    yield byte, after
        for token in self._long_steps:
            threads: Threads = (thread,)
            for value in token:
                threads = machine.step(threads, value)
            for target_thread in threads:
                yield token, target_thread
