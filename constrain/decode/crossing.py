"""Tokens across the ends of lexemes: the parser's answers, remembered for the kernel.

What is left of tokens behind a lexeme is walked by `constrain.masks.cross`, through
all further lexemes. It knows the parser as a table: stacks and a way to end a lexeme lead to a
thread. The table is filled as it is asked for, as a lazy DFA is, so that a mask asks the
parser only what no mask has asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from constrain.decode.machine import Machine, Thread
from constrain.decode.stacks import Stacks, StackUnderflow
from constrain.masks.bound import (
    Bound,
    Parts,
    bind,
    cross_bound,
    enter_bound,
    extent_bound,
    push_bound,
)
from constrain.masks.cross import (
    CUT_OFF,
    END,
    INDENT,
    MAX_BASES,
    MIXED,
    MOVE,
    SLICE,
    UNDERFLOW,
    WAY_BITS,
    Asked,
    Known,
    Memory,
    Todo,
    put,
    put_all,
)
from constrain.masks.kernels import DEAD, EFFECT_BITS, NO_EFFECT, NO_ROOM, UNKNOWN
from constrain.masks.rows import Walker
from constrain.masks.trie import FlatTrie, Forest

MAX_ANSWERS = 1_000_000
"""Answers of the parser that are kept, some hundred bytes each."""

FIRST_ROOM = 1 << 12

MAX_TOP = 6
"""Higher stacks are split."""

THICK, MAX_THICK = 4, 64
"""Nodes of a slice of a base; more where its stacks do not stand on one node."""

Row = NDArray[np.int32]

_NO_KEYS = np.zeros(0, np.int64)
_NO_NODES = np.zeros(0, np.int32)


class Deeper(NamedTuple):
    """Questions about stacks that were cut, on which the tokens at some nodes depend."""

    kind: NDArray[np.uint8]
    key: NDArray[np.int64]
    node: NDArray[np.int32]


NOTHING_DEEPER = Deeper(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int32))

Verdict = Callable[[Thread], bool]


class Sureness(Protocol):
    """What is known of all threads in a lexer state, such as `Adjacency`."""

    def sure(self) -> NDArray[np.bool_]:
        """bool[L]: whatever is alive in this lexer state can be completed."""


class Crossing:
    """Walks remainders through all further lexemes. Not safe under threads by itself."""

    def __init__(
        self, machine: Machine, walker: Walker, adjacency: Sureness, is_viable: Verdict
    ) -> None:
        self._machine = machine
        self._walker = walker
        self._adjacency = adjacency
        self._is_viable = is_viable
        self._seen = _memory(FIRST_ROOM)
        self._turn = 0  # of `_seen`
        self._todo = _todo(FIRST_ROOM)
        self._asked = _asked(FIRST_ROOM)
        self._deeper = _asked(FIRST_ROOM)
        self._ends = _asked(0)
        self.forget()

    def is_full(self) -> bool:
        """Whether it is time to forget."""
        return self._n_answers > MAX_ANSWERS or int(self._bases.used[0]) > MAX_BASES // 2

    def n_bytes(self) -> int:
        """Of the parser's answers, and of the lists of the walks."""
        memories = self._moves, self._verdicts, self._grafts, self._wholes, self._bases, self._seen
        lists = self._todo, self._asked, self._deeper, self._threads, self._slices
        return sum(array.nbytes for arrays in (*memories, *lists) for array in arrays)

    def forget(self) -> None:
        """Drop all answers of the parser."""
        self._parts: Parts | None = None
        self._n_answers = 0
        self._stacks: list[Stacks] = []
        self._stacks_ids: dict[Stacks, int] = {}
        self._thread_ids: dict[tuple[int, int, int], int] = {}  # by numbers: see `_number`
        self._threads = list(np.zeros((3, 64), np.int32))  # stacks, state and slice, by thread
        self._number_thread(self._machine.parser.nothing, DEAD, UNKNOWN)
        self._moves = _memory(FIRST_ROOM)
        self._grafts = _memory(FIRST_ROOM)
        self._bases = _memory(FIRST_ROOM)
        self._slices = list(np.zeros((2, FIRST_ROOM), np.int32))  # stacks, base below, by base
        self._base_ids = {self._machine.parser.underflow: CUT_OFF}
        self._stacks_below = {CUT_OFF: self._machine.parser.underflow}  # all of a base
        self._wholes = _memory(FIRST_ROOM)
        self._verdicts = _memory(FIRST_ROOM)

    def is_small(self, state: int) -> bool:
        """Whether few tokens can come from `state`, or few end otherwise than from its base."""
        walker = self._walker
        small = walker.small.get(state)
        if small is None:
            n_met = extent_bound(self._bound(), walker.trie, state, walker.max_small)
            small = walker.small[state] = n_met <= walker.max_small
        return small

    def mark(self, stacks: Stacks, forest: Forest, row: Row) -> Deeper:
        """Add to `row` the tokens of `forest` that leave something viable.

        Args:
            stacks: before the lexeme that ends in the forest's ways; may be cut.
            forest: what is left of tokens.
            row: int32[W].

        Returns:
            What could not be told without what was cut off.
        """
        self._begin(MOVE, self._keys(stacks, forest), CUT_OFF, forest.root)
        self._cross(forest.trie, row)
        return self._left()

    def mark_all(self, stacks: Stacks, state: int, row: Row) -> Deeper:
        """The same of all tokens: those that end inside the lexeme, and those that cross its end.

        Args:
            stacks: as for `mark`.
            state: of the lexer, where the lexeme is.
            row: int32[W].
        """
        self._begin(MOVE, _NO_KEYS, CUT_OFF, _NO_NODES)
        todo = self._todo
        todo.thread[0], todo.base[0] = self._number_thread(stacks, state, UNKNOWN), CUT_OFF
        todo.node[0] = 0
        todo.used[0] = 1
        self._cross(self._walker.trie, row)
        return self._left()

    def mark_changed(self, stacks: Stacks, state: int, row: Row, changed: Row) -> Deeper:
        """The same, for a state that is like another one, of tokens that do not end alike.

        Args:
            stacks: as for `mark`.
            state: as for `mark_all`.
            row: int32[W].
            changed: int32[W], gains these tokens, whether they end viable or not.
        """
        self._begin(MOVE, _NO_KEYS, CUT_OFF, _NO_NODES)
        thread = self._number_thread(stacks, state, UNKNOWN)
        trie = self._walker.trie
        while enter_bound(self._bound(), trie, self._turn, thread, row, changed) == NO_ROOM:
            self._make_room()
        self._cross(trie, row)
        return self._left()

    def mark_deeper(self, deeper: Deeper, below: Stacks, trie: FlatTrie, row: Row) -> Deeper:
        """The same, for what one of these left, with `below` in the place of what was cut off."""
        self._begin(deeper.kind, deeper.key, self._number_base(below), deeper.node)
        self._cross(trie, row)
        return self._left()

    def ends(
        self, stacks: Stacks, below: Stacks | None, forest: Forest
    ) -> Iterator[tuple[Thread, NDArray[np.int32]]]:
        """How tokens of `forest` end alive: the threads then, each with nodes of its trie.

        Args:
            stacks: as for `mark`.
            below: all that was cut off.
            forest: as for `mark`.
        """
        base = self._number_base(below)
        self._begin(MOVE, self._keys(stacks, forest), base, forest.root)
        self._ends, self._parts = _asked(FIRST_ROOM), None
        try:
            self._cross(forest.trie, _NO_NODES)
            ends = self._ends
        finally:
            self._ends, self._parts = _asked(0), None
        used = int(ends.used[0])
        if not used:
            return
        node = ends.node[:used]
        places = np.stack([ends.key[:used], ends.base[:used]])
        kinds, group = np.unique(places, axis=1, return_inverse=True)
        sizes = np.bincount(group.ravel())
        members = np.split(node[np.argsort(group.ravel(), kind="stable")], np.cumsum(sizes)[:-1])
        for (one, number), nodes in zip(kinds.T.tolist(), members, strict=True):
            top, state, effect = self._unpacked(one)
            yield (self.measured(self._whole(top, number), effect), state), nodes

    def _keys(self, stacks: Stacks, forest: Forest) -> NDArray[np.int64]:
        """What becomes of `stacks` at each root."""
        number = np.int64(self._number(stacks)) << WAY_BITS
        return ((number | forest.cut) << EFFECT_BITS) | forest.effect

    def _begin(
        self,
        kind: NDArray[np.uint8] | int,
        key: NDArray[np.int64],
        base: int,
        node: NDArray[np.int32],
    ) -> None:
        """Forget the last crossing, and ask the first questions."""
        n_asked = len(key)
        while len(self._asked.node) < n_asked:
            self._asked, self._parts = _doubled(self._asked), None
        self._asked.kind[:n_asked] = kind
        self._asked.wanted[:n_asked] = self._asked.key[:n_asked] = key
        self._asked.base[:n_asked] = base
        self._asked.node[:n_asked] = node
        self._asked.used[0] = n_asked
        self._deeper.used[0] = self._todo.used[0] = 0
        self._seen.used[0] = 0
        self._turn += 1

    def _left(self) -> Deeper:
        used = int(self._deeper.used[0])
        if not used:
            return NOTHING_DEEPER
        kind, _, key, _, node, _ = self._deeper
        return Deeper(kind[:used].copy(), key[:used].copy(), node[:used].copy())

    def _cross(self, trie: FlatTrie, row: Row) -> None:
        while True:
            result = cross_bound(self._bound(), trie, self._turn, row)
            if result == NO_EFFECT:
                self._walker.effects.learn()
            elif result == NO_ROOM:
                self._make_room()
            elif self._asked.used[0]:
                self._answer()
            else:
                return

    def _make_room(self) -> None:
        self._parts = None
        self._todo, self._asked = _roomy(self._todo), _roomy(self._asked)
        self._deeper, self._ends = _roomy(self._deeper), _roomy(self._ends)
        if 4 * int(self._seen.used[0]) > len(self._seen.key):
            self._seen = _memory(len(self._seen.key))
        if 2 * (int(self._bases.used[0]) + 1) > len(self._slices[0]):
            self._make_room_for_bases()

    def _answer(self) -> None:
        """Answer all that was asked."""
        used = int(self._asked.used[0])
        kinds, wanted = self._asked.kind[:used].tolist(), self._asked.wanted[:used].tolist()
        for kind, key in sorted(set(zip(kinds, wanted, strict=True))):
            if kind == MOVE:
                self._moves = self._learned(self._moves, key, self._move(key))
            elif kind == END:
                self._verdicts = self._learned(self._verdicts, key, self._verdict(key))
            elif kind == SLICE:
                upper, lower = divmod(key, 1 << WAY_BITS)
                stacks = self._machine.parser.graft(self._stacks[upper], self._stacks[lower])
                self._grafts = self._learned(self._grafts, key, self._number(stacks))
            else:
                upper, lower = divmod(key, MAX_BASES)
                stacks = self._whole(self._stacks[upper], lower)
                self._wholes = self._learned(self._wholes, key, self._number(stacks))

    def _learned(self, memory: Memory, key: int, value: int) -> Memory:
        larger = _with(memory, key, value)
        if larger is not memory:
            self._parts = None
        self._n_answers += 1
        return larger

    def _move(self, key: int) -> int:
        """The thread behind a lexeme, DEAD, UNDERFLOW or MIXED.

        Behind a line end whose indentation is still to come it is one in the state DEAD.
        """
        stacks, way, effect = self._unpacked(key & ~INDENT)
        winners, residue = self._walker.ways[way]
        parser = self._machine.parser
        is_line_end = False
        try:
            if key & INDENT:
                after = parser.indent(stacks, self._walker.effects.spelled[effect])
            elif effect:
                after = parser.advance(self.measured(stacks, effect), winners)
            else:
                ended = parser.end_line(stacks, winners)
                if ended is None:
                    return MIXED
                after, is_line_end = ended
            state = DEAD if is_line_end else self._machine.begin(after, residue)[1]
        except StackUnderflow:
            return UNDERFLOW
        if state == DEAD and not is_line_end:
            return DEAD
        top, rest = parser.split(after) if after.depth > MAX_TOP else (after, None)
        pushed = UNKNOWN if rest is None else self._number(rest)
        return self._number_thread(top, state, pushed)

    def _verdict(self, key: int) -> int:
        """Whether a thread is viable, or UNDERFLOW."""
        try:
            stacks, state, effect = self._unpacked(key)
            return int(self._is_viable((self.measured(stacks, effect), state)))
        except StackUnderflow:
            return UNDERFLOW

    def _whole(self, stacks: Stacks, base: int) -> Stacks:
        """Stacks with all of their base."""
        parser = self._machine.parser
        lacking = []
        while base not in self._stacks_below:
            lacking.append(base)
            base = int(self._slices[1][base])
        below = self._stacks_below[base]
        for upper in reversed(lacking):
            below = parser.graft(self._stacks[int(self._slices[0][upper])], below)
            self._stacks_below[upper] = below
        return parser.graft(stacks, below)

    def _unpacked(self, key: int) -> tuple[Stacks, int, int]:
        """What `key_of` was made of: stacks, a way or a lexer state, an effect."""
        rest, effect = divmod(key, 1 << EFFECT_BITS)
        stacks, way = divmod(rest, 1 << WAY_BITS)
        return self._stacks[stacks], way, effect

    def measured(self, stacks: Stacks, effect: int) -> Stacks:
        """The stacks once a token's bytes have moved the indentation of the current line."""
        if not effect:
            return stacks
        return self._machine.parser.measure(stacks, self._walker.effects.spelled[effect])

    def _bound(self) -> Bound:
        """All that kernels need, handed over anew where an array is another one."""
        walker, parts = self._walker, self._parts
        table, effects, sure = walker.table(), walker.effects.table, self._adjacency.sure()
        if (
            parts is None
            or table is not parts.table
            or effects is not parts.effects
            or sure is not parts.known.sure
        ):
            memories = self._moves, self._verdicts, self._grafts, self._wholes, self._bases
            stacks, begun, pushed = self._threads
            top, lower = self._slices
            known = Known(stacks, begun, pushed, sure, *memories, top, lower)
            parts = self._parts = Parts(
                table,
                walker.alike,
                effects,
                known,
                walker.heights,
                walker.path,
                self._seen,
                self._asked,
                self._deeper,
                self._todo,
                self._ends,
            )
            self._handed = bind(parts)
        return self._handed

    def _number(self, stacks: Stacks) -> int:
        number = self._stacks_ids.setdefault(stacks, len(self._stacks))
        if number == len(self._stacks):
            self._stacks.append(stacks)
        return number

    def _number_base(self, below: Stacks | None) -> int:
        """The base that is `below`, in slices that other stacks share."""
        slices: list[tuple[Stacks, Stacks]] = []
        while below is not None and below not in self._base_ids:
            top, lower = self._slice(below)
            slices.append((below, top))
            below = lower
        base = CUT_OFF if below is None else self._base_ids[below]
        for below, top in reversed(slices):
            upper = UNKNOWN
            while upper == UNKNOWN:
                upper = push_bound(self._bound(), self._number(top), base)
                if upper == UNKNOWN:
                    self._make_room_for_bases()
            base = self._base_ids[below] = upper
            self._stacks_below[base] = below
        return base

    def _slice(self, stacks: Stacks) -> tuple[Stacks, Stacks | None]:
        """The top of stacks and what it stands on, at an even depth; None where it is all."""
        parser = self._machine.parser
        for n_above in range((stacks.depth - 1) % THICK + 1, min(stacks.depth, MAX_THICK), THICK):
            below = parser.beneath(stacks, n_above)
            if below is not None:
                return parser.cut(stacks, n_above), below
        return stacks, None

    def _make_room_for_bases(self) -> None:
        self._bases = _grown(self._bases)
        self._slices = [np.concatenate([part, part]) for part in self._slices]
        self._parts = None

    def _number_thread(self, stacks: Stacks, state: int, pushed: int) -> int:
        key = self._number(stacks), state, pushed
        number = self._thread_ids.setdefault(key, len(self._thread_ids))
        if number == len(self._thread_ids) - 1:
            self._n_answers += 1
            if number == len(self._threads[0]):
                self._threads = [np.concatenate([part, part]) for part in self._threads]
                self._parts = None
            for part, value in zip(self._threads, key, strict=True):
                part[number] = value
        return number


def _memory(room: int) -> Memory:
    size = 2 * room + 1
    return Memory(
        np.full(size, UNKNOWN, np.int64), np.full(size, UNKNOWN, np.int32), np.zeros(1, np.int64)
    )


def _grown(memory: Memory) -> Memory:
    larger = _memory(len(memory.key))
    put_all(larger, memory)
    return larger


def _with(memory: Memory, key: int, value: int) -> Memory:
    """`memory`, or a larger one, with one answer more."""
    if len(memory.key) < 2 * (int(memory.used[0]) + 1):
        memory = _grown(memory)
    put(memory, key, value)
    return memory


def _todo(room: int) -> Todo:
    thread, base, node = np.zeros((3, room), np.int32)
    return Todo(thread, base, node, np.zeros(1, np.int64))


def _asked(room: int) -> Asked:
    return Asked(
        np.zeros(room, np.uint8),
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(room, np.int32),
        np.zeros(room, np.int32),
        np.zeros(1, np.int64),
    )


def _roomy(items: Any) -> Any:
    """The same `Todo` or `Asked`, or twice the room."""
    return _doubled(items) if 2 * (int(items.used[0]) + 1) > len(items.node) else items


def _doubled(items: Any) -> Any:
    """The same `Todo` or `Asked` with twice the room."""
    *arrays, used = items
    return type(items)(*(np.concatenate([a, a]) for a in arrays), used)
