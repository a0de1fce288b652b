"""Token masks of one thread: stored rows, crossings, and the memory of finished masks.

    mask(stacks, q) = inside(q) ∪ ⋃ over cuts of q: crossing(advance(stacks, winners))
                      ∪ mask(next lexeme), if the lexeme may end where it stands

`inside(q)` and the cuts' remainder tries come from the store (`constrain.masks.rows`). A
crossing starts the next lexeme and walks the small remainder trie by the same rule, whatever
number of lexemes a token spans.

A mask depends on q and on the part of the stack that was looked at. So it is computed on
a stack cut at depth 2; if the computation looks below the cut, at depth 4, and so on. The
row is kept under the cut stack, and serves every stack with that top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from constrain.automata.adjacency import Adjacency
from constrain.automata.lexer import DEAD
from constrain.bitmask import pack
from constrain.decode.completion import Completer
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.stacks import Stacks, StackUnderflow
from constrain.masks.rows import Cut, Ends, LexerRow, Walker, only

FIRST_DEPTH = 2
LAST_DEPTH = 64
"""Beyond it the whole stack is the key."""

MAX_ROW_BYTES = 512 << 20
"""Memory for finished masks; beyond it the oldest are dropped."""

Row = NDArray[np.int32]


class Masker:
    """Computes and remembers masks. One per store; not safe under threads by itself.

    Attributes:
        lexer_rows: per lexer state, what the vocabulary can do from it; grows on demand.
    """

    def __init__(
        self,
        machine: Machine,
        walker: Walker,
        adjacency: Adjacency,
        completer: Completer,
        lexer_rows: dict[int, LexerRow],
    ) -> None:
        self.lexer_rows = lexer_rows
        self._machine = machine
        self._walker = walker
        self._adjacency = adjacency
        self._completer = completer
        self._finished: dict[Thread, Row | None] = {}  # None: look deeper
        self._max_rows = max(64, MAX_ROW_BYTES // (4 * walker.words))

    def forget(self) -> None:
        """Drop all finished masks; the next ones are computed anew."""
        self._finished.clear()

    def row(self, thread: Thread) -> Row:
        """int32[W], read-only: the tokens that keep `thread` viable."""
        stacks, state = thread
        depth = FIRST_DEPTH
        while True:
            cut = self._machine.parser.cut(stacks, depth) if depth <= LAST_DEPTH else stacks
            key = (cut, state)
            row = self._finished.get(key)
            if row is not None:
                return row
            if key not in self._finished:
                row = self._finished[key] = self._try(key)
                if len(self._finished) > self._max_rows:
                    del self._finished[next(iter(self._finished))]
                if row is not None:
                    return row
            if cut is stacks:
                raise StackUnderflow  # only inside `_compute`, on a stack that is itself cut
            depth *= 2

    def is_viable(self, thread: Thread) -> bool:
        """Some text that the vocabulary can spell completes `thread`."""
        return bool(self._adjacency.sure()[thread[1]]) or self._completer.is_viable(thread)

    def lexer_row(self, state: int) -> LexerRow:
        """The stored row of a lexer state, computed where the store lacks it."""
        row = self.lexer_rows.get(state)
        if row is None:
            row = self.lexer_rows[state] = self._walker.row(state, self._adjacency.sure())
        return row

    def ends(self, thread: Thread) -> Iterator[tuple[Stacks, Ends]]:
        """All ways in which tokens end alive, as the stacks and the lexer states then."""
        stacks, state = thread
        ends, _ = self._walker.walk(state, self._walker.trie)
        yield from self._measured(stacks, ends)
        for cut in self.lexer_row(state).cuts:
            for after, crossed in self._crossings(stacks, cut):
                yield from self._measured(after, crossed)
        following = self._machine.next_lexeme(thread)
        if following is not None:
            yield from self.ends(following)

    def _measured(self, stacks: Stacks, ends: Ends) -> Iterator[tuple[Stacks, Ends]]:
        """The same ends, those inside a line end apart by what they do to indentation."""
        lexer = self._machine.lexer
        line_ends = [state for state in ends.states().tolist() if lexer.is_line_end[state]]
        if not line_ends:
            yield stacks, ends
            return
        for state in line_ends:
            for effect, places in self._walker.by_effect(ends.trie, ends.hits, state):
                yield self._machine.parser.measure(stacks, effect), ends.at(places)
        used = ends.hits.state[: ends.hits.used[0]]
        yield stacks, ends.at(np.flatnonzero(~np.isin(used, line_ends)))

    def outcomes(self, threads: Threads) -> list[tuple[Threads, Row]]:
        """Where tokens lead: disjoint sets of tokens, each with its live threads afterwards."""
        found: list[tuple[Thread, Row]] = []
        for thread in threads:
            for stacks, ends in self.ends(thread):
                for end in ends.states().tolist():
                    if self.is_viable((stacks, end)):
                        found.append(((stacks, end), self._walker.new_row()))
                        ends.mark(only(end, self._machine.lexer.n_states), found[-1][1])
        once, twice = self._walker.new_row(), self._walker.new_row()
        for _, row in found:
            twice |= once & row
            once |= row
        outcomes: list[tuple[Threads, Row]] = [((thread,), row & ~twice) for thread, row in found]
        if twice.any():
            rows = np.stack([row & twice for _, row in found])
            for members, tokens in _by_membership(rows):
                outcomes.append((self._machine.join(found[i][0] for i in members), tokens))
        return [(after, row) for after, row in outcomes if row.any()]

    def _try(self, thread: Thread) -> Row | None:
        try:
            row = self._compute(thread)
        except StackUnderflow:
            return None
        row.flags.writeable = False
        return row

    def _compute(self, thread: Thread) -> Row:
        stacks, state = thread
        stored = self.lexer_row(state)
        row: Row = stored.inside.copy()
        for end, tokens in stored.unsure:
            if self._completer.is_viable((stacks, end)):
                row |= tokens
        following = self._machine.next_lexeme(thread)
        if following is not None:
            row |= self.row(following)
        for cut in stored.cuts:
            for after, ends in self._crossings(stacks, cut):
                ends.mark(self._choose(after, ends, self.is_viable), row)
        return row

    def _choose(
        self, stacks: Stacks, ends: Ends, keep: Callable[[Thread], bool]
    ) -> NDArray[np.bool_]:
        """bool[L]: the states in which tokens end that make a thread that `keep` accepts."""
        chosen = np.zeros(self._machine.lexer.n_states, np.bool_)
        for end in ends.states().tolist():
            chosen[end] = keep((stacks, end))
        return chosen

    def _crossings(self, stacks: Stacks, cut: Cut) -> Iterator[tuple[Stacks, Ends]]:
        """Walk what is left of the tokens behind `cut`, through all further lexemes."""
        todo = [(stacks, cut)]
        seen: dict[Thread, NDArray[np.bool_]] = {}
        while todo:
            before, cut = todo.pop()
            if cut.effect:
                before = self._machine.parser.measure(before, cut.effect)
            after = self._machine.parser.advance(before, cut.winners)
            thread = self._machine.begin(after, cut.residue)
            if thread[1] == DEAD:
                continue
            walked = seen.setdefault(thread, np.zeros(len(cut.trie.byte), np.bool_))
            roots = cut.roots[~walked[cut.roots]]
            walked[roots] = True
            ends, cuts = self._walker.walk(thread[1], cut.trie, roots)
            if ends.hits.used[0]:
                yield after, ends
            todo.extend((after, further) for further in cuts)


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
