"""Stacks of frames: a schema's automaton as the parser that the decoder knows.

`constrain.schema.frames` says what a lexeme makes of the topmost frame; here it is done to sets of
stacks. Nothing is reduced: a frame that is finished is taken away by the lexeme that ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from constrain.automata.lexer import DEAD
from constrain.decode.completion import IMPOSSIBLE, Completer, Steps
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.stacks import Edge, Parser, Stacks, StackUnderflow
from constrain.errors import ViabilityLimitError
from constrain.schema.lexicon import Lexicon
from constrain.schema.tagframes import AnyFrames
from constrain.vocabulary import Vocabulary

TRACKED = (-1, 0, 0)
"""Where a node of stacks keeps whether any of them is tracked."""

MAX_STACKS = 100_000
"""Nodes of stacks that are shared; beyond it later ones may equal them and not be the same."""

MAX_TEXTS = 20_000
"""Stacks whose completion is kept."""

MAX_COMPLETION = 100_000
"""Bytes of a completion."""

Way = tuple[bytes, tuple[int, ...]]  # a lexeme, and the frames that it makes of a frame

JSON_BYTES = bytes((*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF5)))
"""All bytes of JSON texts but the control character DEL, which no text needs."""


class PushdownParser(Parser):
    """All operations on stacks of one automaton's frames; see `Parser`."""

    def __init__(self, frames: AnyFrames) -> None:
        self.frames = frames
        self._begin()
        self._interned = {}  # weak references to these small nodes took longer than they
        self._starts: dict[frozenset[int], frozenset[int]] = {}
        self.initial = self.push(frames.first, self.push(frames.end, self.bottom))

    def acceptable(self, stacks: Stacks) -> frozenset[int]:
        """The states of the lexicon in which the next lexeme begins, one for each frame."""
        if stacks.acceptable is None:
            if stacks is self.underflow:
                raise StackUnderflow
            starts = {self.frames.start(frame) for frame, _ in stacks.edges}
            found = frozenset(starts - {DEAD} or {DEAD})
            stacks.acceptable = self._starts.setdefault(found, found)
        return stacks.acceptable

    def advance(self, stacks: Stacks, terminals: tuple[int, ...]) -> Stacks:
        """The stacks after a lexeme that is each of `terminals` at once."""
        result = stacks._advanced.get(terminals)
        if result is None:
            if stacks is self.underflow:
                raise StackUnderflow
            if len(self._interned) > MAX_STACKS:
                self._interned.clear()
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
                state = lexicon.next.item(state, byte)
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


class PushdownCompleter(Completer):
    """Puts the shortest completion together from the shortest texts of the open frames.

    That it is as long as the lower bound proves it the shortest; where it is not, as where
    items must differ, it is searched for.
    """

    costs: PushdownCosts

    def __init__(
        self,
        machine: PushdownMachine,
        steps: Steps,
        costs: PushdownCosts,
        frames: AnyFrames,
        *,
        is_spelled: bool,
    ) -> None:
        super().__init__(machine, steps, costs)
        self._frames = frames
        self._is_spelled = is_spelled
        self._closers: dict[int, Way | None] = {}
        self._paths: dict[int, tuple[int, dict[tuple[int, ...], bytes]]] = {}
        self._texts: dict[Stacks, bytes | None] = {}

    def _first_shortest(self, threads: Threads) -> bytes | None:
        if self._is_spelled:
            bounds = [self.costs.of_thread(thread, self._machine) for thread in threads]
            least = min(bounds, default=IMPOSSIBLE)
            if MAX_COMPLETION < least < IMPOSSIBLE:
                raise ViabilityLimitError(
                    f"the shortest completion takes {least} bytes, and at most "
                    f"{MAX_COMPLETION} are put together; ask for fewer items or characters, "
                    f"or pass finish=False"
                )
            texts = [
                self._of_thread(thread, least)
                for thread, bound in zip(threads, bounds, strict=True)
                if bound == least
            ]
            if texts and None not in texts:
                return min(text for text in texts if text is not None)
        return super()._first_shortest(threads)

    def _of_thread(self, thread: Thread, least: int) -> bytes | None:
        """The first of the shortest completions, if it takes so many bytes; else None."""
        stacks, state = thread
        parser = self._machine.parser
        found = []
        for winners, path in self._paths_from(state, least):
            after = parser.advance(stacks, winners)
            if after is not parser.nothing:
                found += self._texts_of(after, path, least)
        return min(found, default=None)

    def _texts_of(self, stacks: Stacks, path: bytes, least: int) -> list[bytes]:
        """`path` and what completes the stacks behind it, if together they are so short."""
        if len(path) > least or len(path) + self.costs.of(stacks) != least:
            return []
        text = self._of_stacks(stacks)
        return [] if text is None or len(path) + len(text) != least else [path + text]

    def _of_stacks(self, stacks: Stacks) -> bytes | None:
        """The first of the shortest completions of stacks before a lexeme; None: not known."""
        todo = [stacks]
        while todo:
            node = todo[-1]
            if node in self._texts:
                todo.pop()
                continue
            lacking = [b for _, b in node.edges if b.edges and b not in self._texts]
            if lacking:
                todo += lacking
                continue
            least = self.costs.of(node)
            found = []
            for frame, below in node.edges:
                closer = self._closer(frame)
                rest = self._texts[below] if below.edges else b""
                if closer is not None and rest is not None and len(closer) + len(rest) == least:
                    found.append(closer + rest)
            if len(self._texts) > MAX_TEXTS:
                self._texts.clear()
                todo = [stacks]
                continue
            self._texts[node] = min(found, default=None)
        return self._texts[stacks]

    def _closer(self, frame: int) -> bytes | None:
        """The first of the shortest texts that take a frame away; None: not known."""
        known = self._closers
        todo = [frame]
        ways: dict[int, list[Way]] = {}
        while todo:
            one = todo[-1]
            if one in known:
                todo.pop()
                continue
            if one not in ways:
                ways[one] = self._short_ways(one)
                todo += [inner for _, result in ways[one] for inner in result]
                continue
            whole = [
                way for way in ways[one] if all(known.get(inner) is not None for inner in way[1])
            ]
            if whole:
                known[one] = reduce(self._first_of, whole)
            else:
                known[one] = None if self._frames.cost(one) else (b"", ())
        way = known[frame]
        return None if way is None else b"".join(self._pieces(way))

    def _pieces(self, way: Way) -> Iterator[bytes]:
        """The text of a way, lexeme by lexeme: whole texts of all frames would be quadratic."""
        todo = [way]
        while todo:
            path, result = todo.pop()
            yield path
            todo += [inner for inner in map(self._closers.get, result) if inner is not None]

    def _first_of(self, one: Way, other: Way) -> Way:
        """Which of two ways of the same length comes first in byte order."""
        texts = (chain.from_iterable(self._pieces(way)) for way in (one, other))
        differing = ((a, b) for a, b in zip(*texts, strict=True) if a != b)
        a, b = next(differing, (0, 0))
        return other if b < a else one

    def _short_ways(self, frame: int) -> list[Way]:
        """A lexeme and what it makes of the frame, where by the bounds nothing is shorter.

        There are none where what items may be depends on what others are.
        """
        frames, least = self._frames, self._frames.cost(frame)
        if not least or frames.is_tracked(frame):
            return []
        return [
            (path, result)
            for winners, path in self._paths_from(frames.start(frame), least)
            for winner in winners
            for result in frames.step(frame, winner)
            if len(path) + sum(map(frames.cost, result)) == least
        ]

    def _paths_from(self, state: int, most: int) -> list[tuple[tuple[int, ...], bytes]]:
        """What an open lexeme can be in `most` bytes, each with its first shortest text."""
        reach, found = self._paths.get(state, (-1, {}))
        if reach < most:
            found = self._lexemes_within(state, most)
            self._paths[state] = most, found
        return [(winners, path) for winners, path in found.items() if len(path) <= most]

    def _lexemes_within(self, state: int, most: int) -> dict[tuple[int, ...], bytes]:
        lexicon = self._machine.lexer
        found: dict[tuple[int, ...], bytes] = {}
        texts = {state: b""}
        for one in (queue := [state]):
            if lexicon.winners[one]:
                found.setdefault(lexicon.winners[one], texts[one])
            if len(texts[one]) == most:
                continue
            targets, first = np.unique(lexicon.next[one], return_index=True)
            for byte, target in sorted(zip(first.tolist(), targets.tolist(), strict=True)):
                if target != DEAD and target not in texts:
                    texts[target] = texts[one] + bytes([byte])
                    queue.append(target)
        return found


class AllViable:
    """What `Adjacency` proves of a grammar, here true by construction: what is alive is viable.

    Where the vocabulary lacks bytes that texts may need, nothing is sure, and is searched for.
    """

    def __init__(
        self, lexicon: Lexicon, vocabulary: Vocabulary, needed: bytes = JSON_BYTES
    ) -> None:
        self._lexicon = lexicon
        self.spells_all = bool(vocabulary.single_bytes[list(needed)].all())
        self._unsure = np.zeros(0, np.bool_)

    def sure(self) -> NDArray[np.bool_]:
        """bool[L]: whatever is in this state of the lexicon can be completed."""
        live = self._lexicon.live
        if self.spells_all:
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
