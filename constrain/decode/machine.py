"""The lexer and the parser as one machine over bytes.

A *thread* is (stacks at the lexeme's start, lexer state): one way to cut the text so far
into whole lexemes and a remainder. With longest match nearly always one thread lives; a
second one stands for an earlier cut that the text may yet confirm, such as `..` in a
language that also has `...`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD, Lexer, Members
from constrain.decode.stacks import Parser, Stacks
from constrain.decode.tower import Towers

Thread = tuple[Stacks, int]
Threads = tuple[Thread, ...]

LONG = 64
"""Bytes of a text, longer than tokens are, in which lexemes are read by the tops of the stacks.
Whole stacks, remembered one by one, are sooner told where few lexemes are read at a time."""

LINE_FEED = ord("\n")


class Machine:
    """Moves threads by bytes. All results are interned; nothing here is of one sequence.

    Attributes:
        initial: the thread before the first byte.
    """

    def __init__(self, lexer: Lexer, parser: Parser) -> None:
        self.lexer = lexer
        self._byte_class = lexer.table.byte_class.tobytes()
        self.parser = parser
        self._towers = Towers(parser)
        self.initial: Thread = self.begin(parser.initial, ())
        if parser.reads_line_end_before:
            (self.initial,) = self.step((self.initial,), LINE_FEED)

    def begin(self, stacks: Stacks, residue: Members) -> Thread:
        """The thread that starts its next lexeme at `stacks`."""
        return stacks, self.lexer.start(self.parser.acceptable(stacks), residue)

    def after(self, thread: Thread) -> Stacks:
        """The stacks if the lexeme of `thread` ends here; empty where it cannot."""
        stacks, state = thread
        winners = self.lexer.winners[state]
        return self.parser.advance(stacks, winners) if winners else self.parser.nothing

    def next_lexeme(self, thread: Thread) -> Thread | None:
        """`thread` with its lexeme ended and the next one begun, if it may end."""
        stacks, state = thread
        if not self.lexer.winners[state]:
            return None
        following = stacks._following.get(state)
        if following is None:
            following = self.begin(self.after(thread), self.lexer.residue(state))
            stacks._following[state] = following
        return following

    def read(self, threads: Threads, added: bytes) -> Threads:
        """The live threads after `added`; what `step` says byte by byte, sooner.

        By longest match a lexeme is over where its thread dies, if it may end just there:
        all earlier ends have been refuted by then. So one thread runs on alone until it dies,
        and only where that is not where it may end, all are followed.
        """
        classes = added.translate(self._byte_class)
        start = 0
        while start < len(added) and threads:
            stop = start + 1
            if len(threads) == 1 and self.lexer.longest:
                threads, start, stop = self._read_alone(threads[0], added, classes, start)
            for byte in added[start:stop]:
                threads = self.step(threads, byte)
            start = stop
        return threads

    def _read_alone(
        self, thread: Thread, added: bytes, classes: bytes, place: int
    ) -> tuple[Threads, int, int]:
        """Read lexemes from `place` on as long as only one thread lives.

        Args:
            thread: at `place`.
            added: what is read.
            classes: the byte classes of `added`.
            place: from 0.

        Returns:
            The thread at the last place where it was sure to be the only one, that place, and
            the place up to which all are to be followed from there.
        """
        lexer, towers = self.lexer, self._towers
        is_long, begun = len(added) >= LONG, thread[1]
        tower = towers.build(thread[0]) if is_long else (thread[0], None)
        while True:
            start = place
            state, place, last_end = self._run(begun, classes, start)
            if place == len(added) or last_end != place:
                break
            if lexer.is_line_end[state]:
                tower = self.measured(tower[0], state, added[start:place]), tower[1]
            if is_long:
                tower = towers.advance(tower, lexer.winners[state])
                begun = lexer.start(towers.acceptable(tower), lexer.residue(state))
            else:
                following = self.next_lexeme((tower[0], state))
                assert following is not None
                tower, begun = (following[0], None), following[1]
        stacks = towers.join(tower)
        if place == len(added) and (last_end == place or last_end < 0):
            return ((self.measured(stacks, state, added[start:]), state),), place, place
        return ((stacks, begun),), start, min(place + 1, len(added))

    def _run(self, state: int, classes: bytes, place: int) -> tuple[int, int, int]:
        """Run the lexer from `place` in `classes` until it would die.

        Returns:
            The last state, its place, and the last place where the lexeme may end; −1 for none.
        """
        winners, rows = self.lexer.winners, self.lexer.rows
        last_end = place if winners[state] else -1
        while place < len(classes):
            target = (rows[state] or self.lexer.row(state))[classes[place]]
            if target == DEAD:
                break
            state = target
            place += 1
            if winners[state]:
                last_end = place
        return state, place, last_end

    def step(self, threads: Threads, byte: int) -> Threads:
        """The live threads after one more byte, those in one lexer state joined."""
        lexer = self.lexer
        byte_class = lexer.table.byte_class[byte]
        found: list[Thread] = []
        for thread in threads:
            following = self.next_lexeme(thread)
            for stacks, state in (thread,) if following is None else (thread, following):
                target = int(lexer.next[state, byte_class])
                if target != DEAD:
                    found.append((self.measured(stacks, target, bytes([byte])), target))
        return tuple(found) if len(found) < 2 else self.join(found)

    def targets(self, threads: Threads) -> Iterator[NDArray[np.int32]]:
        """Where each byte leads, int32[256] lexer states: of each thread, and behind its lexeme."""
        lexer = self.lexer
        for thread in threads:
            following = self.next_lexeme(thread)
            for _, state in (thread,) if following is None else (thread, following):
                yield lexer.next[state, lexer.table.byte_class]

    def measured(self, stacks: Stacks, state: int, added: bytes) -> Stacks:
        """The stacks of a thread that `added`, all of one lexeme, has led to a lexer state."""
        if not added or not self.lexer.is_line_end[state]:
            return stacks
        return self.parser.measure(stacks, added)

    def join(self, threads: Iterable[Thread]) -> Threads:
        """The same threads, those in one lexer state made one."""
        found: dict[int, Stacks] = {}
        for stacks, state in threads:
            old = found.get(state)
            found[state] = stacks if old is None else self.parser.union(old, stacks)
        return tuple((stacks, state) for state, stacks in found.items())

    def accepts(self, thread: Thread) -> bool:
        """The text may end here, at least one byte having been read."""
        if not self.parser.reads_line_end_behind:
            return self._ends(thread)
        if not self.parser.may_end(thread[0], self.lexer.winners[thread[1]]):
            return False
        return any(map(self._ends, self.step((thread,), LINE_FEED)))

    def accepts_nothing(self) -> bool:
        """The empty text is whole."""
        if self.parser.reads_line_end_behind:
            return self.accepts(self.initial)
        return self.parser.accepts(self.parser.initial)

    def _ends(self, thread: Thread) -> bool:
        winners = self.lexer.winners[thread[1]]
        if not winners or not self.parser.may_end(thread[0], winners):
            return False
        return self.parser.accepts(self.after(thread))
