"""Stacks of frames: a schema's automaton as the parser that the decoder knows.

`constrain.schema.frames` says what a lexeme makes of the topmost frame; here it is done to sets of
stacks. Nothing is reduced: a frame that is finished is taken away by the lexeme that ends it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD
from constrain.decode.completion import IMPOSSIBLE
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.stacks import Edge, Hope, Parser, Stacks, StackUnderflow
from constrain.schema.lexicon import Lexicon
from constrain.schema.tagframes import AnyFrames
from constrain.vocabulary import Vocabulary

TRACKED = (-1, 0, 0)
"""Where a node of stacks keeps whether any of them is tracked."""

JSON_BYTES = bytes((*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF5)))
"""All bytes of JSON texts but the control character DEL, which no text needs."""


class PushdownParser(Parser):
    """All operations on stacks of one automaton's frames; see `Parser`."""

    def __init__(self, frames: AnyFrames) -> None:
        self.frames = frames
        self._begin()
        self.initial = self.push(frames.first, self.push(frames.end, self.bottom))

    def acceptable(self, stacks: Stacks) -> frozenset[int]:
        """The states of the lexicon in which the next lexeme begins, one for each frame."""
        if stacks.acceptable is None:
            if stacks is self.underflow:
                raise StackUnderflow
            starts = {self.frames.start(frame) for frame, _ in stacks.edges}
            stacks.acceptable = frozenset(starts - {DEAD} or {DEAD})
        return stacks.acceptable

    def advance(self, stacks: Stacks, terminals: tuple[int, ...]) -> Stacks:
        """The stacks after a lexeme that is each of `terminals` at once."""
        result = stacks._advanced.get(terminals)
        if result is None:
            if stacks is self.underflow:
                raise StackUnderflow
            edges: dict[Edge, None] = {}
            whole = self.nothing
            for frame, below in stacks.edges:
                for winner in self.of_frame(frame, terminals, len(stacks.edges) == 1):
                    for frames in self.frames.step(frame, winner):
                        if not frames:
                            whole = self.union(whole, below)
                            continue
                        node = below
                        for lower in frames[:-1]:
                            node = self.push(lower, node)
                        edges[frames[-1], node] = None
            result = stacks._advanced[terminals] = self.union(whole, self.intern(edges))
        return result

    def of_frame(self, frame: int, winners: tuple[int, ...], is_alone: bool) -> tuple[int, ...]:
        """The winners that a frame may take for its own.

        A frame beside others takes those that its own automaton has: where it does not tell
        which automaton it is of, all that have it accept it there.
        """
        if is_alone:
            return winners
        lexicon = self.frames.lexicon
        start = self.frames.start(frame)
        found = []
        for winner in winners:
            part, own = lexicon.parts.get(winner, (start, winner))
            if part == start and own in lexicon.labels(start):
                found.append(own)
        return tuple(found)

    def measure(self, stacks: Stacks, added: bytes) -> Stacks:
        """The stacks once `added` is read of a lexeme; it is kept where it makes a difference."""
        frames = self.frames
        measured = [(frames.measure(frame, added), below) for frame, below in stacks.edges]
        return stacks if measured == list(stacks.edges) else self.intern(measured)

    def bare(self, stacks: Stacks) -> Stacks:
        """The stacks without what was read of the open lexeme."""
        return self.intern((self.frames.bare(frame), below) for frame, below in stacks.edges)

    @property
    def tracks(self) -> bool:
        """Whether for some frame it matters what lexemes say."""
        return self.frames.tracks

    def is_tracked(self, stacks: Stacks) -> bool:
        """Whether what may come depends on what was read of lexemes."""
        todo, passed = [stacks], set()
        while todo:
            node = todo.pop()
            known = node.costs.get(TRACKED)
            if known is not None:
                if known:
                    return True
                continue
            for frame, below in node.edges:
                if self.frames.is_tracked(frame):
                    node.costs[TRACKED] = 1
                    return True
                if below not in passed:
                    passed.add(below)
                    todo.append(below)
        stacks.costs[TRACKED] = 0
        return False

    def hoped(self, stacks: Stacks, terminal: int) -> list[Hope]:
        """Ways to go on if the open lexeme becomes `terminal`."""
        return [Hope(self.advance(stacks, (terminal,)))]

    def accepts(self, stacks: Stacks) -> bool:
        """Some stack is a whole text."""
        if stacks is self.underflow:
            raise StackUnderflow
        return any(self.frames.accepts(frame) for frame, _ in stacks.edges)


class PushdownMachine(Machine):
    """Threads over stacks of frames."""

    parser: PushdownParser

    def measured(self, stacks: Stacks, state: int, added: bytes) -> Stacks:
        """The stacks of a thread that `added`, all of one lexeme, has led to a lexer state."""
        return self.parser.measure(stacks, added) if self.parser.tracks else stacks

    def read(self, threads: Threads, added: bytes) -> Threads:
        """The live threads after `added`; a single one runs on where its lexeme cannot end."""
        if len(threads) != 1 or self.parser.tracks:
            return super().read(threads, added)
        lexicon = self.lexer
        ((stacks, state),) = threads
        for place, byte in enumerate(added):
            if lexicon.winners[state]:
                threads = self.step(((stacks, state),), byte)
                if len(threads) != 1:
                    return self.read(threads, added[place + 1 :])
                ((stacks, state),) = threads
            else:
                state = (lexicon.rows[state] or lexicon.row(state))[byte]
                if state == DEAD:
                    return ()
        return ((stacks, state),)


class PushdownCosts:
    """Least bytes that complete stacks of frames: a bound for `Completer`."""

    def __init__(self, frames: AnyFrames) -> None:
        self._frames = frames
        self._ends: dict[int, dict[tuple[int, ...], int]] = {}

    def of(self, stacks: Stacks) -> int:
        """The cost of the cheapest of `stacks`."""
        todo = [stacks]
        while todo:
            node = todo[-1]
            if (0, -1, -1) in node.costs:
                todo.pop()
                continue
            lacking = [b for _, b in node.edges if b.edges and (0, -1, -1) not in b.costs]
            if lacking:
                todo += lacking
                continue
            node.costs[0, -1, -1] = min(
                (
                    self._frames.cost(frame) + below.costs.get((0, -1, -1), 0)
                    for frame, below in node.edges
                ),
                default=IMPOSSIBLE,
            )
        return stacks.costs[0, -1, -1]

    def of_thread(self, thread: Thread, machine: Machine) -> int:
        """Least bytes that complete the open lexeme of `thread` and then the stacks."""
        stacks, state = thread
        best = IMPOSSIBLE
        for winners, distance in self._ends_of(state, machine).items():
            if distance < best:
                after = machine.parser.advance(stacks, winners)
                if after is not machine.parser.nothing:
                    best = min(best, distance + self.of(after))
        return best

    def _ends_of(self, state: int, machine: Machine) -> dict[tuple[int, ...], int]:
        """What the open lexeme can be, each with the fewest bytes to its end."""
        found = self._ends.get(state)
        if found is None:
            found = self._ends[state] = {}
            lexicon = machine.lexer
            for distance, level in enumerate(lexicon.levels(state, lexicon.every_byte)):
                for one in level:
                    if lexicon.winners[one]:
                        found.setdefault(lexicon.winners[one], distance)
        return found


class AllViable:
    """What `Adjacency` proves of a grammar, here true by construction: what is alive is viable.

    Where the vocabulary lacks bytes that texts may need, nothing is sure, and is searched for.
    """

    def __init__(
        self, lexicon: Lexicon, vocabulary: Vocabulary, needed: bytes = JSON_BYTES
    ) -> None:
        self._lexicon = lexicon
        self._spells_all = bool(vocabulary.single_bytes[list(needed)].all())
        self._unsure = np.zeros(0, np.bool_)

    def sure(self) -> NDArray[np.bool_]:
        """bool[L]: whatever is in this state of the lexicon can be completed."""
        live = self._lexicon.live
        if self._spells_all:
            return live
        if len(self._unsure) != len(live):
            self._unsure = np.zeros(len(live), np.bool_)
        return self._unsure


class NoCeilings:
    """Stands for `Ceilings`: the shortest completion is found at once."""

    are_asked = False

    def of(self, thread: Thread) -> int:
        """Nothing is known."""
        return IMPOSSIBLE

    def forget(self) -> None:
        """Nothing is kept."""
