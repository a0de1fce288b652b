"""Token masks of one thread: stored rows, crossings, and the memory of finished masks.

    mask(stacks, q) = inside(q) ∪ ⋃ over cuts of q: crossing(advance(stacks, winners))
                      ∪ mask(next lexeme), if the lexeme may end where it stands

`inside(q)` and the cuts' remainder tries come from the store (`constrain.masks.rows`). A
crossing starts the next lexeme and walks the small remainder trie by the same rule, whatever
number of lexemes a token spans (`constrain.decode.crossing`).

A mask depends on q and on the part of the stack that was looked at. So it is computed on
a stack cut at depth 2; if the computation looks below the cut, at depth 8, and so on. The
row is kept under the cut stack, and serves every stack with that top.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD
from constrain.bitmask import pack
from constrain.decode.completion import Completer
from constrain.decode.crossing import Crossing, Deeper, Sureness
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.stacks import Stacks, StackUnderflow
from constrain.masks.rows import LexerRow, Walker, by_end, tokens_at
from constrain.masks.trie import FlatTrie

FIRST_DEPTH = 2
DEEPER = 4
LAST_DEPTH = 64
"""Beyond it the whole stack is the key."""

MAX_ROW_BYTES = 512 << 20
"""Memory for finished masks; beyond it the oldest are dropped."""

Row = NDArray[np.int32]


class Crossed(NamedTuple):
    """What the top of some stacks decides of a mask.

    row: the tokens that cross the end of the lexeme; where they are walked from the lexer's state
        each time, those that end inside of it too
    changed: the tokens of which `row` speaks, where that state is like another one; else all
    deeper: what the top does not decide
    trie: in which `deeper` speaks of nodes
    is_direct: they are walked so
    """

    row: Row
    changed: Row | None
    deeper: Deeper
    trie: FlatTrie
    is_direct: bool


class Masker:
    """Computes and remembers masks. One per store; not safe under threads by itself.

    Attributes:
        lexer_rows: per lexer state, what the vocabulary can do from it; grows on demand.
        walker: computes them.
        crossing: takes tokens across the ends of lexemes.
        max_rows: how many finished masks are kept.
    """

    def __init__(
        self,
        machine: Machine,
        walker: Walker,
        adjacency: Sureness,
        completer: Completer,
        lexer_rows: dict[int, LexerRow],
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        self.lexer_rows = lexer_rows
        self._machine = machine
        self.walker = walker
        self._adjacency = adjacency
        self._completer = completer
        self.crossing = Crossing(machine, walker, adjacency, self.is_viable)
        self._finished: dict[Thread, Row | None] = {}  # None: look deeper
        self._crossings: dict[Thread, Crossed] = {}
        self.max_rows = max(64, max_row_bytes // (4 * walker.words))

    def forget(self) -> None:
        """Drop all finished masks; the next ones are computed anew."""
        self._finished.clear()
        self._crossings.clear()
        self.crossing.forget()

    def n_bytes(self) -> int:
        """Of all masks that are kept, finished or not."""
        crossed = [row for c in self._crossings.values() for row in (c.row, c.changed)]
        rows = [*self._finished.values(), *crossed]
        return sum({id(row): row.nbytes for row in rows if row is not None}.values())

    def row(self, thread: Thread) -> Row:
        """int32[W], read-only: the tokens that keep `thread` viable."""
        if self.crossing.is_full():
            self.forget()
        stacks, state = thread
        depth = FIRST_DEPTH
        while True:
            cut = self._machine.parser.cut(stacks, depth) if depth <= LAST_DEPTH else stacks
            key = (cut, state)
            row = self._finished.get(key)
            if row is not None:
                return row
            if key not in self._finished:
                row = self._finished[key] = self._try(key, depth)
                if len(self._finished) > self.max_rows:
                    del self._finished[next(iter(self._finished))]
                if row is not None:
                    return row
            if cut is stacks:
                raise StackUnderflow  # only inside `_compute`, on a stack that is itself cut
            depth *= DEEPER

    def sure(self) -> NDArray[np.bool_]:
        """bool[L]: whatever is alive in this lexer state can be completed."""
        return self._adjacency.sure()

    def is_viable(self, thread: Thread) -> bool:
        """Some text that the vocabulary can spell completes `thread`."""
        return bool(self._adjacency.sure()[thread[1]]) or self._completer.is_viable(thread)

    def lexer_row(self, state: int) -> LexerRow:
        """The stored row of a lexer state, computed where the store lacks it."""
        row = self.lexer_rows.get(state)
        if row is None:
            row = self.lexer_rows[state] = self.walker.row(state, self._adjacency.sure())
        return row

    def inside(self, state: int) -> Row:
        """int32[W]: the tokens that end inside the lexeme, for states that are all sure."""
        stored = self.lexer_row(state)
        if stored.changed is None:
            return stored.inside
        row: Row = stored.inside | (self.inside(stored.base) & ~stored.changed)
        return row

    def ends(self, thread: Thread) -> Iterator[tuple[Thread, Row]]:
        """All ways in which tokens end alive, viable or not: the thread then, and the tokens."""
        stacks, state = thread
        hits, _ = self.walker.walk(state)
        for end, effect, nodes in by_end(hits):
            after = self.crossing.measured(stacks, effect), end
            yield after, tokens_at(self.walker.trie, nodes, self.walker.words)
        yield from self._crossing_ends(thread)
        following = self._machine.next_lexeme(thread)
        if following is not None:
            yield from self.ends(following)

    def _crossing_ends(self, thread: Thread) -> Iterator[tuple[Thread, Row]]:
        """The same of tokens that cross the end of the lexeme."""
        stacks, state = thread
        stored = self.lexer_row(state)
        parser = self._machine.parser
        below = parser.beneath(stacks, FIRST_DEPTH)
        top = stacks if below is None else parser.cut(stacks, FIRST_DEPTH)
        for after, nodes in self.crossing.ends(top, below, stored.forest):
            yield after, tokens_at(stored.forest.trie, nodes, self.walker.words)
        if stored.changed is not None:
            for after, row in self._crossing_ends((stacks, stored.base)):
                yield after, row & ~stored.changed

    def outcomes(self, threads: Threads) -> list[tuple[Threads, Row]]:
        """Where tokens lead: disjoint sets of tokens, each with its live threads afterwards."""
        found: list[tuple[Thread, Row]] = []
        for thread in threads:
            found += [(after, row) for after, row in self.ends(thread) if self.is_viable(after)]
        once, twice = self.walker.new_row(), self.walker.new_row()
        for _, row in found:
            twice |= once & row
            once |= row
        outcomes: list[tuple[Threads, Row]] = [((thread,), row & ~twice) for thread, row in found]
        if twice.any():
            rows = np.stack([row & twice for _, row in found])
            for members, tokens in _by_membership(rows):
                outcomes.append((self._machine.join(found[i][0] for i in members), tokens))
        return [(after, row) for after, row in outcomes if row.any()]

    def _try(self, thread: Thread, depth: int) -> Row | None:
        """The mask of a thread that may be cut at `depth`; None if it takes a deeper look."""
        try:
            row = self._compute(thread, depth)
        except StackUnderflow:
            return None
        row.flags.writeable = False
        return row

    def _compute(self, thread: Thread, depth: int) -> Row:
        stacks, state = thread
        base, following = self.walker.base(state), self._machine.next_lexeme(thread)
        # First what may take a deeper look, before anything is walked.
        other = None if base == DEAD else self.row((stacks, base))
        behind = None if following is None else self.row(following)
        crossed = self._crossed(thread, depth)
        if len(crossed.deeper.key):
            raise StackUnderflow
        row, changed = crossed.row, crossed.changed  # nobody else has it: see `_crossed`
        if not crossed.is_direct:
            stored = self.lexer_row(state)
            row |= stored.inside
            changed = stored.changed
            for end, effect, tokens in stored.unsure:
                if self._completer.is_viable((self.crossing.measured(stacks, effect), end)):
                    row |= tokens
        if other is not None and changed is not None:
            row |= other & ~changed
        if behind is not None:
            row |= behind
        return row

    def _crossed(self, thread: Thread, depth: int) -> Crossed:
        """The tokens that cross the lexeme's end and stay viable, and what is not known of others.

        What the top of the stacks decides is kept under the top, unless it decides all. With more
        of them in sight only what was left open is walked again.
        """
        known = self._crossings.get(thread)
        if known is None:
            stacks, state = thread
            parser = self._machine.parser
            upper = depth // DEEPER
            below = parser.beneath(stacks, upper) if depth > FIRST_DEPTH else None
            if below is None:
                known = self._cross(stacks, state)
            else:
                known = self._crossed((parser.cut(stacks, upper), state), upper)
                if len(known.deeper.key):
                    row = known.row.copy()
                    deeper = self.crossing.mark_deeper(known.deeper, below, known.trie, row)
                    known = known._replace(row=row, deeper=deeper)
            if len(known.deeper.key):
                if len(self._crossings) >= self.max_rows:
                    self._crossings.clear()
                self._crossings[thread] = known
        return known

    def _cross(self, stacks: Stacks, state: int) -> Crossed:
        row, crossing, whole = self.walker.new_row(), self.crossing, self.walker.trie
        if state in self.lexer_rows or not crossing.is_small(state):
            forest = self.lexer_row(state).forest
            deeper = crossing.mark(stacks, forest, row)
            return Crossed(row, None, deeper, forest.trie, is_direct=False)
        if self.walker.base(state) == DEAD:
            deeper = crossing.mark_all(stacks, state, row)
            return Crossed(row, None, deeper, whole, is_direct=True)
        changed = self.walker.new_row()
        deeper = crossing.mark_changed(stacks, state, row, changed)
        return Crossed(row, changed, deeper, whole, is_direct=True)


def _by_membership(rows: NDArray[np.int32]) -> Iterator[tuple[tuple[int, ...], Row]]:
    """Sets of tokens that are in the same rows, each with the numbers of those rows.

    Args:
        rows: int32[R, W].
    """
    bits = np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little").astype(np.bool_)
    groups: dict[bytes, list[int]] = {}
    for token in np.flatnonzero(bits.any(axis=0)).tolist():
        groups.setdefault(bits[:, token].tobytes(), []).append(token)
    for tokens in groups.values():
        mask = np.zeros(bits.shape[1], np.bool_)
        mask[tokens] = True
        members = np.flatnonzero(bits[:, tokens[0]]).tolist()
        yield tuple(members), pack(mask)
