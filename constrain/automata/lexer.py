"""Lexer states: what a lexeme may still become, and what must not happen after the last one.

Input:  the terminals' byte DFAs and the lexing rule.
Output: `Lexer`, a deterministic automaton over bytes that is built as it is asked for.

The one idea: longest match looks ahead, and the look-ahead is a set of DFA states that
runs along. Cut a lexeme in DFA state f, and the cut stands as long as no further byte
leads f to acceptance. So a lexer state is a pair of sets of DFA states:

- *live*: (terminal, state) pairs, one for each terminal the lexeme may still become;
- *shadow*: states of earlier lexemes that must never accept. A byte that makes one accept
  is dead; a byte that kills one removes it.

With `lexing="any"` shadows stay empty. Pairs of sets are interned as integers, so that
whoever walks tokens through the lexer sees a plain table.

Shapes: L lexer states, C byte classes, G DFA states of all terminals together, T terminals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import ByteDFA, equal_columns
from constrain.errors import GrammarLimitError
from constrain.grammar.rules import Grammar, Indentation

DEAD = 0
"""The lexer state, and the DFA state, from which nothing can be accepted."""

UNKNOWN = -1
"""A transition that has not been computed yet."""

MAX_LEXER_STATES = 2_000_000

MAX_COMPARED = 50
"""Bytes by which sets of shadows are compared."""

FINAL = (-1,)
"""The winners of a lexeme that ends the text: nothing comes behind it."""

Members = tuple[int, ...]  # sorted global DFA states


@dataclass(frozen=True)
class TerminalTable:
    """All terminals' DFAs in one numbering; state 0 is dead, in common.

    Attributes:
        next: int32[G, C].
        byte_class: uint8[256], the common refinement of the terminals' byte classes.
        accepting: bool[G].
        owner: int32[G], the terminal of each state; −1 for the dead state.
        start: int32[T]; DEAD where the terminal's language is empty.
        refusal: int32[T], the start of what a lexeme of the terminal must not begin; DEAD
            where there is none. Its states have owners from T on.
        reserved: int32[T], the start of texts of which a lexeme of the terminal must be no
            proper beginning; DEAD where there are none. Owners from T + `n_refusals` on.
        guards: (terminal, start) of what no lexeme at all must begin; owners as `reserved`.
        n_refusals: terminals with a refusal.
        has_next: bool[G], some byte leads on.
    """

    next: NDArray[np.int32]
    byte_class: NDArray[np.uint8]
    accepting: NDArray[np.bool_]
    owner: NDArray[np.int32]
    start: NDArray[np.int32]
    refusal: NDArray[np.int32]
    reserved: NDArray[np.int32]
    guards: tuple[tuple[int, int], ...]
    n_refusals: int
    has_next: NDArray[np.bool_]

    @cached_property
    def moves(self) -> list[list[tuple[int, int]]]:
        """Per state, where it leads on: (state, the byte classes that lead there, as bits)."""
        found: list[list[tuple[int, int]]] = []
        ends = np.flatnonzero(np.diff(self.owner, append=-2)) + 1
        for states in np.split(self.next, ends[:-1]):
            first, column = equal_columns(states)
            classes = [as_bits(column == k) for k in range(len(first))]
            for row in states[:, first].tolist():
                leading: dict[int, int] = {}
                for target, moved in zip(row, classes, strict=True):
                    if target != DEAD:
                        leading[target] = leading.get(target, 0) | moved
                found.append(list(leading.items()))
        return found


def join_terminals(
    dfas: Sequence[ByteDFA],
    refusals: Mapping[int, ByteDFA] | None = None,
    reserved: Mapping[int, ByteDFA] | None = None,
    guards: Sequence[int] = (),
    apart: bytes = b"",
) -> TerminalTable:
    """Put the DFAs of all terminals into one table.

    Args:
        dfas: one per terminal, in the grammar's order.
        refusals: by terminal, what its lexemes must not begin.
        reserved: by terminal, texts of which its lexemes must be no proper beginnings.
        guards: terminals that no lexeme must be a proper beginning of.
        apart: bytes that get a class each, though no terminal may tell them apart.
    """
    n_terminals = len(dfas)
    refusals, reserved = refusals or {}, reserved or {}
    dfas = [*dfas, *refusals.values(), *reserved.values(), *(dfas[guard] for guard in guards)]
    singles = [np.arange(256) == byte for byte in apart]
    columns = np.stack(
        [np.zeros(256, np.uint8), *singles, *(dfa.byte_class for dfa in dfas)], dtype=np.uint8
    )
    _, first, byte_class = np.unique(columns, axis=1, return_index=True, return_inverse=True)
    byte_class = byte_class.reshape(256)
    blocks = [np.zeros((1, len(first)), np.int32)]
    accepting = [np.zeros(1, np.bool_)]
    owner = [np.full(1, -1, np.int32)]
    start = np.zeros(len(dfas), np.int32)
    offset = 0  # local state s is global state offset + s; local 0 stays the common 0
    for terminal, dfa in enumerate(dfas):
        local = dfa.next[1:][:, dfa.byte_class[first]].astype(np.int32)
        blocks.append(np.where(local == DEAD, DEAD, local + offset).astype(np.int32))
        accepting.append(dfa.accepting[1:])
        owner.append(np.full(len(local), terminal, np.int32))
        start[terminal] = 1 + offset if _accepts_something(dfa) else DEAD
        offset += len(local)
    table = np.concatenate(blocks)
    places = np.cumsum([n_terminals, len(refusals), len(reserved)]).tolist()
    refusal_start, reserved_start = np.zeros((2, n_terminals), np.int32)
    refusal_start[list(refusals)] = start[places[0] : places[1]]
    reserved_start[list(reserved)] = start[places[1] : places[2]]
    return TerminalTable(
        next=table,
        byte_class=byte_class.astype(np.uint8),
        accepting=np.concatenate(accepting),
        owner=np.concatenate(owner),
        start=start[:n_terminals],
        refusal=refusal_start,
        reserved=reserved_start,
        guards=tuple(zip(guards, start[places[2] :].tolist(), strict=True)),
        n_refusals=len(refusals),
        has_next=(table != DEAD).any(axis=1),
    )


def _accepts_something(dfa: ByteDFA) -> bool:
    return bool(dfa.accepting.any())


class Alike(NamedTuple):
    """Lexer states that are nearly like others."""

    base: NDArray[np.int32]  # [L] the state that it is like, DEAD if none
    within: NDArray[np.int32]  # [L] for so many bytes to come the two are alike


class Lexer:
    """The lexer's states, interned and expanded on demand. Not safe under threads by itself.

    Attributes:
        table: the terminals' DFAs.
        next: int32[capacity, C], UNKNOWN where not computed. `expand` fills it.
        members: per state, its (live, shadow) sets of DFA states.
        winners: per state, the terminals that the lexeme is if it ends here.
        live: bool[capacity], some text leads from here to an acceptance.
        is_line_end: per state, whether the lexeme may become a line end with indentation.
        rows: per state, its row of `next` as a list once it was asked for by `row`.
        n_states: states in use.
    """

    def __init__(self, grammar: Grammar, table: TerminalTable) -> None:
        self.table = table
        self.longest = grammar.lexing == "longest"
        self._ranks = _ranks(grammar)
        n_classes = table.next.shape[1]
        self.next = np.full((64, n_classes), UNKNOWN, np.int32)
        self.live = np.zeros(64, np.bool_)
        self.members: list[tuple[Members, Members]] = []
        self.winners: list[tuple[int, ...]] = []
        self.is_line_end: list[bool] = []
        self.rows: list[list[int] | None] = []
        self._accepting = frozenset(np.flatnonzero(table.accepting).tolist())
        self._residues: list[Members | None] = []
        self._newline = _newline(grammar)
        self._ids: dict[tuple[Members, Members], int] = {}
        self._first_alike: dict[Members, Members] = {}
        self._by_effect: dict[tuple[Members | None, ...], Members] = {}
        self._starts: dict[tuple[frozenset[int], Members], int] = {}
        self.intern((), ())
        self.next[DEAD] = DEAD

    @property
    def n_states(self) -> int:
        """The number of states interned so far, the dead one included."""
        return len(self.members)

    @property
    def alike(self) -> Alike | None:
        """Which states are nearly like others; None where nothing is known of that."""
        return None

    @property
    def every_byte(self) -> NDArray[np.bool_]:
        """bool[C], all byte classes."""
        return np.ones(self.table.next.shape[1], np.bool_)

    def start(self, terminals: frozenset[int], shadow: Members = ()) -> int:
        """The state in which a lexeme of one of `terminals` begins.

        Args:
            terminals: acceptable there, ignored ones included.
            shadow: DFA states of the lexemes before, see `residue`.
        """
        key = (terminals, shadow)
        state = self._starts.get(key)
        if state is None:
            wanted = sorted(terminals)
            table = self.table
            starts = [*table.start[wanted], *table.refusal[wanted], *table.reserved[wanted]]
            if wanted:
                starts += [start for guard, start in table.guards if guard not in terminals]
            state = self.intern(tuple(int(s) for s in sorted(starts) if s != DEAD), shadow)
            self.expand(state)
            self._starts[key] = state
        return state

    def stands(self, state: int) -> bool:
        """Whether the lexeme may end here, and no earlier one can forbid it any more."""
        return bool(self.winners[state]) and not self.members[state][1]

    def levels(self, start: int, usable: NDArray[np.bool_]) -> Iterator[list[int]]:
        """The states that 0, 1, 2… bytes lead to from `start`, each where it is first met.

        Args:
            start: a state that has been expanded.
            usable: bool[C], the byte classes that may be used.
        """
        level, seen = [start], {start}
        while level:
            yield level
            targets = np.unique(self.next[level][:, usable]).tolist()
            level = [target for target in targets if target > DEAD and target not in seen]
            seen.update(level)

    def row(self, state: int) -> list[int]:
        """Where each byte class leads from a state."""
        row = self.rows[state]
        if row is None:
            row = self.rows[state] = self.next[state].tolist()
        return row

    def residue(self, state: int) -> Members:
        """What must not happen after a lexeme that ends in `state`."""
        if not self.longest:
            return ()
        residue = self._residues[state]
        if residue is None:
            live, shadow = self.members[state]
            forbidding = {s for s in (*live, *shadow) if self.table.has_next[s]}
            residue = self._residues[state] = self._alike(tuple(sorted(forbidding)))
        return residue

    def intern(self, live: Members, shadow: Members) -> int:
        """The number of a state; shadows that can see no further byte of the lexeme are dropped.

        Where the lexeme may end, the next one carries every shadow on.
        """
        if shadow and not self.table.accepting[list(live)].any():
            reach = (self.table.next[list(live)] != DEAD).any(axis=0)
            shadow = tuple(s for s in shadow if (reach & (self.table.next[s] != DEAD)).any())
        key = (live, self._alike(shadow))
        state = self._ids.get(key)
        if state is None:
            state = len(self.members)
            if state >= MAX_LEXER_STATES:
                raise GrammarLimitError(
                    f"the grammar's terminals combine into more than {MAX_LEXER_STATES} "
                    f"lexer states; make terminals more distinct"
                )
            if state == len(self.next):
                grow = np.full_like(self.next, UNKNOWN)
                self.next = np.concatenate([self.next, grow])
                self.live = np.concatenate([self.live, np.zeros(len(self.live), np.bool_)])
            self._ids[key] = state
            self.members.append(key)
            self.winners.append(self._winners(live))
            self.rows.append(None)
            self._residues.append(None)
            self.is_line_end.append(self._newline in self.table.owner[list(live)])
        return state

    def _alike(self, shadow: Members, depth: int = 0) -> Members:
        """The first set met that forbids the same texts, so that states are few.

        What must not follow `fo` is what must not follow `x`: a letter, whatever keyword it
        makes. Sets are compared by what each byte does; those that never end by themselves.
        """
        known = self._first_alike.get(shadow)
        if known is not None or not shadow:
            return known or ()
        if depth > MAX_COMPARED:
            return shadow
        self._first_alike[shadow] = shadow  # what it is while it is compared
        table = self.table
        behind = table.next[list(shadow)]
        forbidden = np.atleast_1d(table.accepting[behind].any(axis=0))
        columns = np.where(forbidden, DEAD, np.where(table.has_next[behind], behind, DEAD))
        distinct, column = np.unique(columns, axis=1, return_inverse=True)
        sets = [
            self._alike(tuple(sorted({s for s in members if s != DEAD})), depth + 1)
            for members in distinct.T.tolist()
        ]
        what = [
            None if is_forbidden else sets[i]
            for is_forbidden, i in zip(forbidden, column.ravel().tolist(), strict=True)
        ]
        self._first_alike[shadow] = self._by_effect.setdefault(tuple(what), shadow)
        return self._first_alike[shadow]

    def expand(self, state: int) -> None:
        """Compute all transitions reachable from `state`, and which states are live."""
        if self.next[state, 0] != UNKNOWN:
            return
        fresh = [state]
        seen = {state}
        for current in fresh:
            row = self._transitions(current)
            self.next[current] = row
            for target in dict.fromkeys(row):
                if target not in seen and self.next[target, 0] == UNKNOWN:
                    seen.add(target)
                    fresh.append(target)
        self._mark_live(fresh)

    def restore(self, members: Iterable[tuple[Members, Members]]) -> None:
        """Number states as an earlier lexer of the same terminals did."""
        for live, shadow in members:
            self.intern(live, shadow)
        for state in range(self.n_states):
            self.expand(state)

    def _transitions(self, state: int) -> list[int]:
        live, shadow = self.members[state]
        columns = np.ascontiguousarray(self.table.next[[*live, *shadow]].T)
        keys = columns.view(f"V{columns.itemsize * columns.shape[1]}").ravel().tolist()
        targets: dict[bytes, int] = {}
        for key in dict.fromkeys(keys):
            after = memoryview(key).cast("i").tolist()
            targets[key] = self._target({*after[: len(live)]}, {*after[len(live) :]})
        return [targets[key] for key in keys]

    def _target(self, live: set[int], shadow: set[int]) -> int:
        """The state of these DFA states, the dead one perhaps among them."""
        live.discard(DEAD)
        shadow.discard(DEAD)
        if not live or not self._accepting.isdisjoint(shadow):
            return DEAD
        return self.intern(tuple(sorted(live)), tuple(sorted(shadow)))

    def _mark_live(self, fresh: list[int]) -> None:
        """A state is live if it accepts or leads to a live one; others become DEAD."""
        rows = self.next[fresh]
        states = np.array(fresh)
        self.live[states] = [bool(self.winners[s]) for s in fresh]
        while True:
            now = self.live[states] | self.live[rows].any(axis=1)
            if (now == self.live[states]).all():
                break
            self.live[states] = now
        self.next[states] = np.where(self.live[rows], rows, DEAD)

    def _winners(self, live: Members) -> tuple[int, ...]:
        terminals = [int(self.table.owner[s]) for s in live if self.table.accepting[s]]
        n_terminals = len(self._ranks)
        n_known = n_terminals + self.table.n_refusals
        if any(n_terminals <= terminal < n_known for terminal in terminals):
            return ()  # what is refused
        terminals = [terminal for terminal in terminals if terminal < n_terminals]
        if not terminals:
            return ()
        best = max(self._ranks[t] for t in terminals)
        return tuple(sorted(t for t in terminals if self._ranks[t] == best))

    def beaters(self, terminal: int) -> list[int]:
        """The terminals that win a tie against `terminal`."""
        return [t for t, rank in enumerate(self._ranks) if rank > self._ranks[terminal]]


def _newline(grammar: Grammar) -> int | None:
    if not isinstance(grammar.layout, Indentation):
        return None
    return [terminal.name for terminal in grammar.terminals].index(grammar.layout.newline)


def _ranks(grammar: Grammar) -> list[tuple[int, bool]]:
    """What decides ties: the larger wins, equal ones are all kept."""
    if grammar.ties == "all" or grammar.lexing == "any":
        return [(0, False)] * len(grammar.terminals)
    return [(t.priority, t.is_literal) for t in grammar.terminals]


def as_bits(chosen: NDArray[np.bool_]) -> int:
    """Bit i for each chosen place i of bool[N]."""
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")


def live_bytes(table: TerminalTable, states: Iterable[int]) -> NDArray[np.bool_]:
    """bool[C]: the byte classes that lead some of `states` on."""
    chosen = list(states)
    result: NDArray[np.bool_] = (table.next[chosen] != DEAD).any(axis=0)
    return result
