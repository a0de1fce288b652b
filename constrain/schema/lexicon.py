"""The lexemes of JSON as one growing automaton over bytes, shared by all schemas.

A state is an int32 row over 256 bytes. States are made by content: a string's interior, the tail of
a key, a number's language are each there once, whatever schemas use them, and so are the rows of
masks that belong to them (`constrain.masks.rows`). To the rest of the engine it is a lexer.

Here states are made, put together and labelled. What is inside the quotes of strings says
`quoted.py`, what keys are `keys.py`; free text with tags is made in `freetext.py`.

A lexeme is what one step of `constrain.schema.frames` reads: a scalar, an opening bracket, a key
with the comma before it and the colon behind it. Where a lexeme may end its `winners` say what it
is; it ends wherever it may (`lexing="any"`), so nothing has to be remembered of earlier ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD, Alike, Lexer, Members, TerminalTable
from constrain.errors import GrammarLimitError
from constrain.schema.product import find_product

MAX_STATES = 1_000_000
"""Of one schema; a gigabyte."""

ROOMS = (1 << 10, 1 << 14, 1 << 18, MAX_STATES)
"""For how many states there is room, one after the other."""

WS = b" \t\n\r"
QUOTE = ord('"')

VALUE, OBJECT, ARRAY, CLOSE, COMMA, BLOCK, TRAIL = range(7)
"""What a lexeme is: a scalar, an opening bracket, a closing one, a comma between items, a block of
a long string, white space behind the text."""

FIRST_CLASS = 16
"""The winners from here on are keys of a class; names come behind `FIRST_NAME`."""

FIRST_NAME = 1 << 10

FIRST_BLOCK = 1 << 30
"""The winners from here on are blocks of strings of a language, by the state behind them."""

Row = NDArray[np.int32]


class Lexicon(Lexer):
    """States, made on demand. Not safe under threads by itself.

    Attributes: see `Lexer`. Here all transitions of a state are known once it is there, and each
    byte is a class of its own.
        made: states by keys that say what they are; kept by whoever makes them.
        parts: of a winner that tells frames apart, the automaton and its winner.
    """

    def __init__(self) -> None:
        none, nowhere = np.zeros(0, np.int32), np.zeros((1, 256), np.int32)
        no, bytes_ = np.zeros(1, np.bool_), np.arange(256, dtype=np.uint8)
        self.table = TerminalTable(nowhere, bytes_, no, none, none, none, none, (), 0, no)
        self.longest = False
        self.next = np.zeros((ROOMS[0], 256), np.int32)
        self.live = np.zeros(ROOMS[0], np.bool_)
        self._base, self._within = np.zeros((2, ROOMS[0]), np.int32)
        self.winners: list[tuple[int, ...]] = []
        self.is_line_end: list[bool] = []
        self.rows: list[list[int] | None] = []
        self.made: dict[Hashable, int] = {}
        self._labels: dict[int, frozenset[int]] = {}
        self._names: dict[str, int] = {}
        self._named: dict[int, str] = {}
        self._wrapped: dict[tuple[int, int], int] = {}
        self.parts: dict[int, tuple[int, int]] = {}
        self._new(np.zeros(256, np.int32), ())
        self.live[DEAD] = False
        self._every_byte = np.ones(256, np.bool_)

    # --- the interface of a lexer -----------------------------------------------------

    @property
    def n_states(self) -> int:
        """The number of states so far, the dead one included."""
        return len(self.winners)

    def start(self, terminals: frozenset[int], shadow: Members = ()) -> int:
        """The state in which a lexeme of any of several automata begins.

        Args:
            terminals: the states in which those of each frame begin.
            shadow: is empty.
        """
        if len(terminals) == 1:
            return next(iter(terminals))
        return self.product(tuple(sorted(terminals)))

    def residue(self, state: int) -> Members:
        """Nothing is forbidden behind a lexeme."""
        return ()

    @property
    def alike(self) -> Alike:
        """States that are nearly like others, from which their rows are made."""
        return Alike(self._base, self._within)

    @property
    def every_byte(self) -> NDArray[np.bool_]:
        """bool[256], all of them."""
        return self._every_byte

    def expand(self, state: int) -> None:
        """All transitions are known."""

    # --- making states ----------------------------------------------------------------

    def _new(self, row: Row, winners: tuple[int, ...]) -> int:
        return self._new_all(row, (winners,))

    def _new_all(self, rows: Row, winners: Sequence[tuple[int, ...]]) -> int:
        """Make a state of each row; the first one."""
        first, n_new = len(self.winners), len(winners)
        if first + n_new > len(self.next):
            self._make_room(first + n_new)
        self.next[first : first + n_new] = rows
        self.live[first : first + n_new] = True
        self.is_line_end += [False] * n_new
        self.rows += [None] * n_new
        self.winners += winners  # last: now the states are there
        return first

    def _make_room(self, n_states: int) -> None:
        if n_states > MAX_STATES:
            raise GrammarLimitError(
                f"the keys and values of the schema take more than {MAX_STATES} states; "
                f"make its enumerations or patterns smaller"
            )
        # Far ahead: what was never written takes no memory, and what was is copied seldom.
        room = next(room for room in ROOMS if room >= n_states)
        # `next` last: an interrupt in between leaves all of them long enough.
        self.live, self._base = _longer(self.live, room), _longer(self._base, room)
        self._within = _longer(self._within, room)
        self.next = _longer(self.next, room)

    def state(self, row: Row, winners: tuple[int, ...] = ()) -> int:
        """The state with this row, the dead one where nothing leads on."""
        if not winners and not row.any():
            return DEAD
        key = (blake2b(row.tobytes(), digest_size=16).digest(), winners)
        state = self.made.get(key)
        if state is None:
            state = self.made[key] = self._new(row, winners)
        return state

    def like(self, state: int, base: int, within: int = 0) -> int:
        """Note that a state is nearly like another: so for keys that part from all others.

        Args:
            state: of these two, the one made last.
            base: DEAD if there is none.
            within: as long as no more bytes come, they end alike.
        """
        if base < state and not self._base[state] and not self.winners[base]:
            self._base[state], self._within[state] = base, within
        return state

    def along(self, text: bytes, bases: Sequence[int], last: Row) -> int:
        """The first of some new states that lead along `text`, each otherwise like its base.

        Args:
            text: leads through all of them.
            bases: one more than bytes of `text`; not ends of lexemes.
            last: int32[256] of the last state; it leads somewhere.
        """
        rows = self.next[list(bases)]
        places = np.arange(len(text))
        rows[places, list(text)] = len(self.winners) + 1 + places
        rows[-1] = last
        first = self._new_all(rows, [()] * len(rows))
        self._base[first : first + len(rows)] = bases
        return first

    def end(self, winner: int) -> int:
        """The state behind a whole lexeme that nothing can follow."""
        return self.state(empty_row(), (winner,))

    def name(self, name: str) -> int:
        """The winner that a key is."""
        winner = self._names.setdefault(name, FIRST_NAME + 2 * len(self._names))
        self._named[winner] = name
        return winner

    def name_of(self, winner: int) -> str | None:
        """The key that a winner is; None if it is none."""
        return self._named.get(winner)

    def embed(self, dfa: ByteDFA, winner: int, closing: int | None = None) -> int:
        """The state in which an automaton starts.

        Args:
            dfa: of the lexeme, or of its beginning.
            winner: what the lexeme is where the automaton accepts.
            closing: a byte that the lexeme ends with, behind which it is `winner`.
        """
        key = ("dfa", dfa.content_hash, winner, closing)
        state = self.made.get(key)
        if state is None:
            if closing is None:
                state = self._embed(dfa, winner)
            else:
                state = self.embed_before(dfa, closing, self.end(winner))
            self.made[key] = state
        return state

    def _embed(self, dfa: ByteDFA, winner: int) -> int:
        if dfa.is_empty():
            return DEAD
        first = self.n_states
        rows = dfa.next[1:][:, dfa.byte_class]
        rows = np.where(rows == DEAD, DEAD, rows - 1 + first).astype(np.int32)
        self._new_all(
            rows, [(winner,) if accepts else () for accepts in dfa.accepting[1:].tolist()]
        )
        self._labels.update(dict.fromkeys(range(first, self.n_states), frozenset((winner,))))
        return first

    def embed_before(self, dfa: ByteDFA, byte: int, target: int) -> int:
        """The state in which an automaton starts, behind whose texts a byte leads on.

        Args:
            dfa: of the beginning of the lexeme.
            byte: with which none of its texts goes on.
            target: the state behind the byte.
        """
        if dfa.is_empty():
            return DEAD
        first = self.n_states
        rows = dfa.next[1:][:, dfa.byte_class]
        rows = np.where(rows == DEAD, DEAD, rows - 1 + first).astype(np.int32)
        rows[dfa.accepting[1:], byte] = target
        self._new_all(rows, [()] * len(rows))
        self._labels.update(dict.fromkeys(range(first, self.n_states), self.labels(target)))
        return first

    def embed_table(self, key: Hashable, rows: Row, winners: Iterable[tuple[int, ...]]) -> int:
        """Make the states of a table, and keep the first of them under a key.

        Args:
            key: of `made`.
            rows: int32[S, 256]; 1 is the table's first state, DEAD none.
            winners: of each state.
        """
        first = self.n_states
        self._new_all(np.where(rows == DEAD, DEAD, rows - 1 + first), tuple(winners))
        self.made[key] = first
        return first

    def behind(self, prefix: bytes | None, row: Row) -> int:
        """The state before some white space and then what a row says.

        Args:
            prefix: exactly this; None: any white space.
            row: int32[256], where the first byte behind it leads.
        """
        if prefix is None:
            key = ("loop", blake2b(row.tobytes(), digest_size=16).digest())
            state = self.made.get(key)
            if state is None and row.any():
                looped = row.copy()
                looped[list(WS)] = self.n_states
                state = self.made[key] = self._new(looped, ())
            return state or DEAD
        state = self.state(row)
        for byte in reversed(prefix):
            state = self.state(row_to({byte: state}))
        return state

    def text(self, text: bytes, target: int) -> int:
        """The state before exactly `text`, behind which `target` is reached."""
        for byte in reversed(text):
            target = self.state(row_to({byte: target}))
        return target

    # --- several automata at once -----------------------------------------------------

    def wrapped(self, start: int, winner: int) -> int:
        """The winner that tells frames apart: only those that begin in `start` take it."""
        key = (start, winner)
        number = self._wrapped.get(key)
        if number is None:
            number = self._wrapped[key] = FIRST_NAME + 2 * len(self._wrapped) + 1
            self.parts[number] = key
        return number

    def labels(self, state: int) -> frozenset[int]:
        """All winners that a lexeme can still be."""
        known = self._labels
        opened: set[int] = set()
        todo = [state]
        while todo:
            one = todo[-1]
            if one in known:
                todo.pop()
                continue
            targets = set(self.next[one].tolist()) - {DEAD, one}
            lacking = [target for target in targets if target not in known]
            if not lacking:
                behind = [known[target] for target in targets]
                found = frozenset(self.winners[one]).union(*behind)
                # Mostly the same as behind it: thousands of equal sets are work for the collector.
                known[one] = next((same for same in behind if len(same) == len(found)), found)
            elif one in opened:
                known[one] = self._labels_of_circle(one)
            else:
                opened.add(one)
                todo += lacking
        return known[state]

    def _labels_of_circle(self, state: int) -> frozenset[int]:
        levels = self.levels(state, self.every_byte)
        return frozenset(w for level in levels for one in level for w in self.winners[one])

    def product(self, starts: tuple[int, ...]) -> int:
        """The state of several at once, in which winners tell of which automaton they are."""
        start = self.made.get(("product", starts))
        if start is not None:
            return start
        labels = [self.labels(start) for start in starts]

        def is_apart(state: int) -> list[bool]:
            return [self.labels(state).isdisjoint(others) for others in labels]

        first = self.n_states
        room = MAX_STATES - first
        found, start = find_product(starts, self.next[:first], self._base[:first], is_apart, room)
        winners = [self._joint(starts, states, labels) for states in found.parts.tolist()]
        self._new_all(found.rows, winners)
        bases = [DEAD if self.winners[base] else base for base in found.base.tolist()]
        self._base[first : self.n_states] = bases
        self.made["product", starts] = start
        return start

    def _joint(
        self, starts: tuple[int, ...], states: list[int], labels: list[frozenset[int]]
    ) -> tuple[int, ...]:
        """The winners of a state of a product."""
        found: set[int] = set()
        if not any(map(self.winners.__getitem__, states)):
            return ()
        for start, state in zip(starts, states, strict=True):
            for winner in self.winners[state]:
                is_clear = all(
                    winner in self.winners[other] or winner not in labels[i]
                    for i, other in enumerate(states)
                )
                found.add(winner if is_clear else self.wrapped(start, winner))
        return tuple(sorted(found))


def _longer(array: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.zeros((room, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def empty_row() -> Row:
    """int32[256] of a state that leads nowhere."""
    return np.zeros(256, np.int32)


def row_to(targets: Mapping[int, int]) -> Row:
    """int32[256] of a state that leads to others by some bytes."""
    row = empty_row()
    row[list(targets)] = list(targets.values())
    return row
