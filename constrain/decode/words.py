"""The state of a machine in the words of its grammar: terminals and rules, or frames of a schema.

Input:  a machine's threads.
Output: names of lexemes, and what is in progress. For people; no hot path comes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from constrain.automata.lexer import DEAD
from constrain.decode.machine import Machine, Threads
from constrain.decode.pushdown import PushdownParser
from constrain.decode.stacks import Edge, Stacks
from constrain.schema import describe
from constrain.schema.frames import Frames


class Words(Protocol):
    """What can be told about threads; names are sorted, each once."""

    def opened(self, threads: Threads, text: bytes = b"") -> tuple[str, ...]:
        """What the open lexemes may become with another byte; `text` was read, if it is known."""

    def complete(self, threads: Threads, last: bytes = b"") -> tuple[str, ...]:
        """What the open lexemes are if they end here; `last` is the byte before."""

    def following(self, threads: Threads) -> tuple[str, ...]:
        """What may begin if the open lexemes end here."""

    def progress(self, threads: Threads) -> tuple[str, ...]:
        """What is in progress, the innermost first."""

    def pointer(self, text: bytes) -> str:
        """Where in a JSON value a text ends, a JSON pointer behind `#`; empty for others."""


def words_of(machine: Machine) -> Words:
    """The words of the machine's grammar."""
    if isinstance(machine.parser, PushdownParser):
        return FrameWords(machine, machine.parser)
    return ItemWords(machine)


class ItemWords:
    """Terminals, and LR items as `lhs → done • to come`; see `Words`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def opened(self, threads: Threads, text: bytes = b"") -> tuple[str, ...]:
        """See `Words`."""
        table = self._machine.lexer.table
        states = {s for _, state in threads for s in self._machine.lexer.members[state][0]}
        found = {int(table.owner[s]) for s in states if table.has_next[s]}
        return self._names({terminal for terminal in found if terminal < len(table.start)})

    def complete(self, threads: Threads, last: bytes = b"") -> tuple[str, ...]:
        """See `Words`."""
        return self._names({t for _, state in threads for t in self._machine.lexer.winners[state]})

    def following(self, threads: Threads) -> tuple[str, ...]:
        """See `Words`."""
        machine = self._machine
        found: set[int] = set()
        for thread in threads:
            if machine.lexer.winners[thread[1]]:
                found |= machine.parser.acceptable(machine.after(thread))
        return self._names(found)

    def progress(self, threads: Threads) -> tuple[str, ...]:
        """The kernel items of the top states, then of the states below, each once."""
        automaton = self._machine.parser.automaton
        found: dict[str, None] = {}
        for state in _states(threads):
            for item in automaton.kernels[state] if state >= 0 else ():
                if item[1] < len(automaton.grammar.productions[item[0]][1]):
                    found[automaton.format_item(item)] = None
        return tuple(found)

    def pointer(self, text: bytes) -> str:
        """See `Words`."""
        return ""

    def _names(self, terminals: set[int]) -> tuple[str, ...]:
        names = self._machine.parser.automaton.grammar.terminals
        return tuple(sorted(names[t] for t in terminals))


class FrameWords:
    """Types and keys of a schema, and what is open at each depth; see `Words`."""

    def __init__(self, machine: Machine, parser: PushdownParser) -> None:
        self._machine = machine
        self._parser = parser
        self._frames = parser.frames
        self._lexicon = parser.frames.lexicon

    def opened(self, threads: Threads, text: bytes = b"") -> tuple[str, ...]:
        """See `Words`."""
        found: set[str] = set()
        for stacks, state in threads:
            start = self._machine.begin(stacks, ())[1]
            value = describe.open_value(self._lexicon, start, state, text)
            targets = {int(t) for t in self._lexicon.next[state]} - {DEAD}
            winners = {w for target in targets for w in self._lexicon.labels(target)}
            found.update(self._names(stacks, winners, value))
        return tuple(sorted(found))

    def complete(self, threads: Threads, last: bytes = b"") -> tuple[str, ...]:
        """See `Words`."""
        value = describe.whole_value(last)
        found: set[str] = set()
        for stacks, state in threads:
            found.update(self._names(stacks, self._lexicon.winners[state], value))
        return tuple(sorted(found))

    def following(self, threads: Threads) -> tuple[str, ...]:
        """See `Words`."""
        behind = [self._machine.next_lexeme(thread) for thread in threads]
        return self.opened(tuple(thread for thread in behind if thread is not None))

    def progress(self, threads: Threads) -> tuple[str, ...]:
        """See `Words`."""
        told = (describe.frame_in_words(self._frames, number) for number in _states(threads))
        return tuple(words for words in told if words)

    def pointer(self, text: bytes) -> str:
        """See `Words`."""
        if not isinstance(self._frames, Frames):
            return ""
        return describe.pointer_of(text.decode("utf-8", "replace"))

    def _names(
        self, stacks: Stacks, winners: Iterable[int], value: describe.Value
    ) -> Iterator[str]:
        is_alone = len(stacks.edges) == 1
        for frame, _ in stacks.edges:
            own = self._parser.of_frame(frame, tuple(winners), is_alone)
            yield from describe.lexeme_names(self._frames, frame, own, value)


def _states(threads: Threads) -> Iterator[int]:
    """The states on the stacks, the topmost first."""
    level: list[Edge] = [edge for stacks, _ in threads for edge in stacks.edges]
    while level:
        yield from dict.fromkeys(state for state, _ in level)
        level = list({edge: None for _, below in level for edge in below.edges})
