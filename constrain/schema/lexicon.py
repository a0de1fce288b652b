"""The lexemes of JSON as one growing automaton over bytes, shared by all schemas.

A state is an int32 row over 256 bytes. States are made by content: a string's interior, the tail of
a key, a number's language are each there once, whatever schemas use them, and so are the rows of
masks that belong to them (`constrain.masks.rows`). To the rest of the engine it is a lexer.

A lexeme is what one step of `constrain.schema.frames` reads: a scalar, an opening bracket, a key
with the comma before it and the colon behind it. Where a lexeme may end its `winners` say what it
is; it ends wherever it may (`lexing="any"`), so nothing has to be remembered of earlier ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import START, ByteDFA
from constrain.automata.lexer import DEAD, Alike, Lexer, Members, TerminalTable
from constrain.errors import GrammarLimitError
from constrain.schema import strings
from constrain.schema.counting import Characters, Inner

MAX_STATES = 1_000_000
"""Of one schema; a gigabyte."""

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

Entry = tuple[bytes, int]  # the spelling of a key, and its winner; REFUSED: it must not come
REFUSED = -1
Row = NDArray[np.int32]


class Lexicon(Lexer):
    """States, made on demand. Not safe under threads by itself.

    Attributes: see `Lexer`. Here all transitions of a state are known once it is there, and each
    byte is a class of its own.
        parts: of a winner that tells frames apart, the automaton and its winner.
    """

    def __init__(self) -> None:
        none, nowhere = np.zeros(0, np.int32), np.zeros((1, 256), np.int32)
        no, bytes_ = np.zeros(1, np.bool_), np.arange(256, dtype=np.uint8)
        self.table = TerminalTable(nowhere, bytes_, no, none, none, none, none, (), 0, no)
        self.longest = False
        self.next = np.zeros((1024, 256), np.int32)
        self.live = np.zeros(1024, np.bool_)
        self._base, self._within = np.zeros((2, 1024), np.int32)
        self.winners: list[tuple[int, ...]] = []
        self.is_line_end: list[bool] = []
        self.rows: list[list[int] | None] = []
        self._made: dict[Hashable, int] = {}
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
        return self._product(tuple(sorted(terminals)))

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

    def _like(self, state: int, base: int, within: int = 0) -> int:
        """Note that a state is nearly like another: so for keys that part from all others.

        Args:
            state: of these two, the one made last.
            base: DEAD if there is none.
            within: as long as no more bytes come, they end alike.
        """
        if base < state and not self._base[state] and not self.winners[base]:
            self._base[state], self._within[state] = base, within
        return state

    def expand(self, state: int) -> None:
        """All transitions are known."""

    # --- making states ----------------------------------------------------------------

    def _new(self, row: Row, winners: tuple[int, ...]) -> int:
        state = len(self.winners)
        if state == len(self.next):
            if state >= MAX_STATES:
                raise GrammarLimitError(
                    f"the keys and values of the schema take more than {MAX_STATES} states; "
                    f"make its enumerations or patterns smaller"
                )
            self.next = np.concatenate([self.next, np.zeros_like(self.next)])
            self.live = np.concatenate([self.live, np.zeros_like(self.live)])
            self._base = np.concatenate([self._base, np.zeros_like(self._base)])
            self._within = np.concatenate([self._within, np.zeros_like(self._within)])
        self.next[state] = row
        self.live[state] = True
        self.winners.append(winners)
        self.is_line_end.append(False)
        self.rows.append(None)
        return state

    def _made_row(self, row: Row, winners: tuple[int, ...] = ()) -> int:
        """The state with this row, the dead one where nothing leads on."""
        if not winners and not row.any():
            return DEAD
        key = (blake2b(row.tobytes(), digest_size=16).digest(), winners)
        state = self._made.get(key)
        if state is None:
            state = self._made[key] = self._new(row, winners)
        return state

    def end(self, winner: int) -> int:
        """The state behind a whole lexeme that nothing can follow."""
        return self._made_row(_empty_row(), (winner,))

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
        state = self._made.get(key)
        if state is None:
            state = self._made[key] = self._embed(dfa, winner, closing)
        return state

    def _embed(self, dfa: ByteDFA, winner: int, closing: int | None) -> int:
        if dfa.is_empty():
            return DEAD
        rows = dfa.next[1:][:, dfa.byte_class]
        first = self.n_states
        end = DEAD
        if closing is not None:
            end = self.end(winner)
            first = self.n_states
        rows = np.where(rows == DEAD, DEAD, rows - 1 + first).astype(np.int32)
        for row, accepts in zip(rows, dfa.accepting[1:].tolist(), strict=True):
            if accepts and closing is not None:
                row[closing] = end
            self._new(row, (winner,) if accepts and closing is None else ())
        self._labels.update(dict.fromkeys(range(first, self.n_states), frozenset((winner,))))
        return first + START - 1

    def known(self, key: Hashable) -> int | None:
        """The state that was made under a key by `embed_table`."""
        return self._made.get(key)

    def embed_table(self, key: Hashable, rows: Row, winners: Iterable[tuple[int, ...]]) -> int:
        """Make the states of a table, and keep the first of them under a key.

        Args:
            key: see `known`.
            rows: int32[S, 256]; 1 is the table's first state, DEAD none.
            winners: of each state.
        """
        first = self.n_states
        for row, won in zip(np.where(rows == DEAD, DEAD, rows - 1 + first), winners, strict=True):
            self._new(row.astype(np.int32), won)
        self._made[key] = first
        return first

    def behind(self, prefix: bytes | None, row: Row) -> int:
        """The state before some white space and then what a row says.

        Args:
            prefix: exactly this; None: any white space.
            row: int32[256], where the first byte behind it leads.
        """
        if prefix is None:
            key = ("loop", blake2b(row.tobytes(), digest_size=16).digest())
            state = self._made.get(key)
            if state is None and row.any():
                looped = row.copy()
                looped[list(WS)] = self.n_states
                state = self._made[key] = self._new(looped, ())
            return state or DEAD
        state = self._made_row(row)
        for byte in reversed(prefix):
            state = self._made_row(_row({byte: state}))
        return state

    def text(self, text: bytes, target: int) -> int:
        """The state before exactly `text`, behind which `target` is reached."""
        for byte in reversed(text):
            target = self._made_row(_row({byte: target}))
        return target

    # --- strings ----------------------------------------------------------------------

    def string(self, content: ByteDFA | None, winner: int, *, any_escape: bool) -> int:
        """The state behind the opening quote of a string of a language."""
        language = strings.ANY if content is None else content
        key = ("string", language.content_hash, winner, any_escape)
        state = self._made.get(key)
        if state is None:
            spelling = strings.spell(language, any_escape=any_escape)
            state = self._made[key] = self.embed(spelling, winner, QUOTE)
        return state

    def counted(self, least: int, room: int | None, block: int | None) -> int:
        """The state inside a string of which some characters are still to come.

        Args:
            least: characters that must come before the closing quote.
            room: characters that may come; None: any number.
            block: characters after which the lexeme ends as a `BLOCK`; None: it does not.
        """
        if room is None and not least and block is None:
            return self.string(None, VALUE, any_escape=True)
        key = ("counted", least, room, block)
        if key not in self._made:
            # The shorter ones first: each is built on the next.
            depth = block if block is not None else room if room is not None else least
            for left in range(depth + 1):
                done = depth - left
                here = (
                    max(0, least - done),
                    None if room is None else room - done,
                    None if block is None else left,
                )
                if here != (0, None, None) and ("counted", *here) not in self._made:
                    self._made["counted", *here] = self._count_one(*here)
        return self._made[key]

    def _count_one(self, least: int, room: int | None, block: int | None) -> int:
        if block == 0:
            return self.end(BLOCK)
        row = _empty_row()
        if room != 0:
            behind = self.counted(
                max(0, least - 1),
                None if room is None else room - 1,
                None if block is None else block - 1,
            )
            row = self._one_character(behind)
        if not least:
            row[QUOTE] = self.end(VALUE)
        state = self._made_row(row)
        if least:
            return self._like(state, self.counted(0, room, block))
        within = block if block is not None else room
        return self._like(state, self.string(None, VALUE, any_escape=True), within or 0)

    def counted_text(
        self, text: Characters, state: int, least: int, room: int | None, block: int | None
    ) -> int:
        """The state inside a string of a language of which some characters are still to come.

        Args:
            text: the spellings of the whole string.
            state: of these, where it stands.
            least: see `counted`.
            room: see `counted`.
            block: characters after which the lexeme ends, as `FIRST_BLOCK` and the state then.
        """
        depth = block if block is not None else room if room is not None else least
        levels = [{(state, least)}]
        for _ in range(depth):
            levels.append(
                {(t, max(0, few - 1)) for here, few in levels[-1] for t in text.after(here)}
            )
        if block is not None and room is not None:
            needed = [text.fewest(t, few) for t, few in levels[-1]]
            if all(n is None or n <= room - block for n in needed):
                room = None  # so it is the same in all blocks but the last ones
        for done in range(depth, -1, -1):
            left = None if room is None else room - done
            until = None if block is None else block - done
            for t, few in levels[done]:
                key = ("text", text, t, few, left, until)
                if key not in self._made:
                    self._made[key] = self._text_state(text, t, few, left, until)
        return self._made["text", text, state, least, room, block]

    def _text_state(
        self, text: Characters, state: int, least: int, room: int | None, block: int | None
    ) -> int:
        if block == 0:
            needed = text.fewest(state, least)
            is_possible = needed is not None and (room is None or needed <= room)
            return self.end(FIRST_BLOCK + state) if is_possible else DEAD
        if room is None and block is None and not least:
            return self.embed(text.spelling, VALUE, QUOTE) + state - START
        behind = (
            max(0, least - 1),
            None if room is None else room - 1,
            None if block is None else block - 1,
        )
        row = _empty_row() if room == 0 else self._inside(text, Inner(state, START), behind)
        if not least and text.may_end(state):
            row[QUOTE] = self.end(VALUE)
        return self._made_row(row)

    def _inside(self, text: Characters, inner: Inner, behind: tuple[int | None, ...]) -> Row:
        """int32[256], the bytes of one character, behind which some more may come."""
        row = _empty_row()
        for byte in text.bytes_of(inner):
            target = text.step(inner, byte)
            if isinstance(target, Inner):
                key = ("inside", text, target, *behind)
                if key not in self._made:
                    self._made[key] = self._made_row(self._inside(text, target, behind))
                row[byte] = self._made[key]
            elif target is not None:
                row[byte] = self._made["text", text, target, *behind]
        return row

    def _one_character(self, target: int) -> Row:
        """int32[256], the spellings of one character, behind which `target` is reached."""
        one = strings.spell(strings.length(1, 1), any_escape=True)
        rows = one.next[:, one.byte_class]
        made: dict[int, int] = {}
        # Breadth first numbering: what a state leads to is behind it, but for the last one.
        order = [s for s in range(len(rows) - 1, START, -1) if not one.accepting[s]]
        made[int(np.flatnonzero(one.accepting)[0])] = target
        waiting = order
        while waiting:
            left = []
            for state in waiting:
                heads = set(rows[state].tolist()) - {DEAD}
                if heads <= made.keys():
                    made[state] = self._made_row(_renamed(rows[state], made))
                else:
                    left.append(state)
            waiting = left
        return _renamed(rows[START], made)

    # --- keys -------------------------------------------------------------------------

    def keys(self, entries: Iterable[Entry], others: int, colon: bytes | None) -> int:
        """The state behind the opening quote of a key.

        Args:
            entries: the keys listed by name, and those that must not come.
            others: the state behind the opening quote of all other keys.
            colon: what comes between the closing quote and the colon; None: white space.
        """
        return self._keys(tuple(sorted(entries)), others, colon)

    def _keys(self, entries: tuple[Entry, ...], others: int, colon: bytes | None) -> int:
        if not entries:
            return others
        key = ("keys", entries, others, colon)
        state = self._made.get(key)
        if state is None:
            state = self._made[key] = self._key_chain(entries, others, colon)
        return state

    def _key_chain(self, entries: tuple[Entry, ...], others: int, colon: bytes | None) -> int:
        """A state of `_keys`: down to where the keys part, then back up."""
        common = _common_prefix(entries)
        passed = [others]
        for byte in common:
            passed.append(int(self.next[passed[-1], byte]))
        rest = tuple((spelling[len(common) :], winner) for spelling, winner in entries)
        row = self.next[passed[-1]].copy()
        by_byte: dict[int, list[Entry]] = {}
        for spelling, winner in rest:
            if not spelling:
                row[QUOTE] = DEAD if winner == REFUSED else self._colon(winner, colon)
            else:
                by_byte.setdefault(spelling[0], []).append((spelling[1:], winner))
        for byte, below in by_byte.items():
            row[byte] = self._keys(tuple(below), int(self.next[passed[-1], byte]), colon)
        state = self._like(self._made_row(row), passed[-1])
        for byte, before in zip(reversed(common), reversed(passed[:-1]), strict=True):
            row = self.next[before].copy()
            row[byte] = state
            state = self._like(self._made_row(row), before)
        return state

    def _colon(self, winner: int, colon: bytes | None) -> int:
        return self.behind(colon, _row({ord(":"): self.end(winner)}))

    def key_class(
        self, languages: Mapping[int, ByteDFA | None], colon: bytes | None, *, any_escape: bool
    ) -> int:
        """The state behind the opening quote of a key of disjoint languages.

        Args:
            languages: by the winner that such a key is; None: any key.
            colon: see `keys`.
            any_escape: keys may be spelled with any escapes.
        """
        parts = []
        for winner, keys in languages.items():
            content = strings.ANY if keys is None else keys
            key = ("class", content.content_hash, winner, colon, any_escape)
            if key not in self._made:
                spelling = strings.spell(content, any_escape=any_escape)
                self._made[key] = self._embed_key(spelling, self._colon(winner, colon))
            parts.append(self._made[key])
        return parts[0] if len(parts) == 1 else self._product(tuple(parts)) if parts else DEAD

    def _embed_key(self, spelling: ByteDFA, behind: int) -> int:
        if spelling.is_empty():
            return DEAD
        first = self.n_states
        rows = spelling.next[1:][:, spelling.byte_class]
        rows = np.where(rows == DEAD, DEAD, rows - 1 + first).astype(np.int32)
        rows[spelling.accepting[1:], QUOTE] = behind
        for row in rows:
            self._new(row, ())
        self._labels.update(dict.fromkeys(range(first, self.n_states), self.labels(behind)))
        return first

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
                known[one] = frozenset(self.winners[one]).union(*(known[t] for t in targets))
            elif one in opened:
                known[one] = self._labels_of_circle(one)
            else:
                opened.add(one)
                todo += lacking
        return known[state]

    def _labels_of_circle(self, state: int) -> frozenset[int]:
        levels = self.levels(state, self.every_byte)
        return frozenset(w for level in levels for one in level for w in self.winners[one])

    def _product(self, starts: tuple[int, ...]) -> int:
        """The state of several at once, in which winners tell of which automaton they are.

        Where all that live are in one state, and no other automaton could take its winners for
        its own, that state will do: so automata that part by their first bytes cost nothing.
        """
        start = self._made.get(("product", starts, starts))
        if start is not None:
            return start
        labels = [self.labels(start) for start in starts]
        made: dict[tuple[int, ...], int] = {}
        order: list[tuple[int, ...]] = []

        def state_of(states: tuple[int, ...]) -> int:
            live = {state for state in states if state != DEAD}
            if not live:
                return DEAD
            if len(live) == 1:
                (only,) = live
                known = self.labels(only)
                if all(s != DEAD or known.isdisjoint(labels[i]) for i, s in enumerate(states)):
                    return only
            if states not in made:
                made[states] = self._new(_empty_row(), self._joint(starts, states, labels))
                order.append(states)
            return made[states]

        start = state_of(starts)
        for states in order:
            rows = self.next[list(states)]
            distinct, column = np.unique(rows, axis=1, return_inverse=True)
            targets = [state_of(tuple(heads)) for heads in distinct.T.tolist()]
            self.next[made[states]] = np.array(targets, np.int32)[column.ravel()]
        self._made["product", starts, starts] = start
        return start

    def _joint(
        self, starts: tuple[int, ...], states: tuple[int, ...], labels: list[frozenset[int]]
    ) -> tuple[int, ...]:
        """The winners of a state of a product."""
        found: set[int] = set()
        for start, state in zip(starts, states, strict=True):
            for winner in self.winners[state]:
                is_clear = all(
                    winner in self.winners[other] or winner not in labels[i]
                    for i, other in enumerate(states)
                )
                found.add(winner if is_clear else self.wrapped(start, winner))
        return tuple(sorted(found))


def _empty_row() -> Row:
    return np.zeros(256, np.int32)


def _row(targets: Mapping[int, int]) -> Row:
    row = _empty_row()
    row[list(targets)] = list(targets.values())
    return row


def _renamed(row: Row, made: Mapping[int, int]) -> Row:
    distinct, column = np.unique(row, return_inverse=True)
    targets = [DEAD if state == DEAD else made[state] for state in distinct.tolist()]
    return np.array(targets, np.int32)[column]


def _common_prefix(entries: tuple[Entry, ...]) -> bytes:
    """Sorted entries have what the first and the last have in common."""
    first, last = entries[0][0], entries[-1][0]
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n]:
        n += 1
    return first[:n]
