"""Free text up to the beginning of a tag, as states of a lexicon.

One lexeme is free text and the begin string behind it. Free text is any Unicode text in which no
trigger stands: an automaton of all triggers (Aho and Corasick, 1975) runs along, and where one is
complete only the rest of a begin string leads on. The lexeme may also end the whole text, at the
end of any character; then nothing follows, so that no trigger can be hidden by a cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from constrain.automata.dfa import START
from constrain.automata.lexer import DEAD, FINAL
from constrain.schema import strings
from constrain.schema.lexicon import Lexicon

Winners = tuple[int, ...]


def free_text(
    lexicon: Lexicon,
    triggers: Sequence[str],
    begins: Sequence[str],
    *,
    may_stop: bool,
) -> int:
    """The state in which free text begins.

    Args:
        lexicon: where the states are made.
        triggers: none of which is inside another.
        begins: what may follow free text; each begins with a trigger, and is the winner of its
            name. Where there are none, free text holds no trigger to its end.
        may_stop: the text may end behind any character.
    """
    key = ("free text", tuple(triggers), tuple(begins), may_stop)
    state = lexicon.made.get(key)
    if state is None:
        table = _Table(lexicon)
        table.add_free_text(triggers, begins, may_stop=may_stop)
        state = table.embed(key)
    return state


def only_begins(lexicon: Lexicon, begins: Sequence[str]) -> int:
    """The state before one of some begin strings, with no free text."""
    key = ("begins", tuple(begins))
    state = lexicon.made.get(key)
    if state is None:
        table = _Table(lexicon)
        table.add_begins(begins)
        state = table.embed(key)
    return state


class _Table:
    """States that are being made; DEAD is the first."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.rows: list[NDArray[np.int32]] = [np.zeros(256, np.int32)]
        self.winners: list[Winners] = [()]

    def _new(self, winners: Winners = ()) -> int:
        self.rows.append(np.zeros(256, np.int32))
        self.winners.append(winners)
        return len(self.rows) - 1

    def embed(self, key: tuple[object, ...]) -> int:
        """The state of the lexicon that the first one made becomes."""
        return self._lexicon.embed_table(key, np.stack(self.rows)[1:], self.winners[1:])

    def add_begins(self, begins: Sequence[str], skip: int = 0) -> int:
        """The state before the begin strings, of which `skip` bytes are done."""
        root = self._new()
        for begin in begins:
            node = root
            for byte in begin.encode()[skip:]:
                if self.rows[node][byte] == DEAD:
                    self.rows[node][byte] = self._new()
                node = int(self.rows[node][byte])
            self.winners[node] = (self._lexicon.name(begin),)
        return root

    def add_free_text(
        self, triggers: Sequence[str], begins: Sequence[str], *, may_stop: bool
    ) -> None:
        utf8 = strings.ANY.next[:, strings.ANY.byte_class]
        found, is_whole = _aho_corasick([trigger.encode() for trigger in triggers])
        first = self._new()  # nothing was read: it cannot end here, since no lexeme is empty
        made: dict[tuple[int, int], int] = {}
        queue = [(START, 0)]
        opened: dict[int, int] = {}

        def target_of(inside: int, node: int) -> int:
            if inside == DEAD:
                return DEAD
            if node in is_whole:
                if node not in opened:
                    trigger = triggers[is_whole[node]]
                    behind = [begin for begin in begins if begin.startswith(trigger)]
                    skip = len(trigger.encode())
                    opened[node] = self.add_begins(behind, skip) if behind else DEAD
                return opened[node]
            if (inside, node) not in made:
                ends = may_stop and bool(strings.ANY.accepting[inside])
                made[inside, node] = self._new(FINAL if ends else ())
                queue.append((inside, node))
            return made[inside, node]

        for place, (inside, node) in enumerate(queue):
            heads = np.stack([utf8[inside], found[node]])
            distinct, column = np.unique(heads, axis=1, return_inverse=True)
            targets = [target_of(u, a) for u, a in distinct.T.tolist()]
            here = made[inside, node] if place else first
            self.rows[here][:] = np.array(targets, np.int32)[column.ravel()]


def _aho_corasick(words: Sequence[bytes]) -> tuple[NDArray[np.int32], dict[int, int]]:
    """The automaton of the longest suffix that begins a word; int32[N, 256] from node 0.

    Returns:
        Its transitions, and the nodes at which a word is complete, with the word's number.
    """
    children: list[dict[int, int]] = [{}]
    is_whole: dict[int, int] = {}
    for number, word in enumerate(words):
        node = 0
        for byte in word:
            if byte not in children[node]:
                children[node][byte] = len(children)
                children.append({})
            node = children[node][byte]
        is_whole[node] = number
    moves = np.zeros((len(children), 256), np.int32)
    suffix = [0] * len(children)
    for node in (queue := [0]):
        if node:
            moves[node] = moves[suffix[node]]
        for byte, child in children[node].items():
            suffix[child] = int(moves[node][byte]) if node else 0
            moves[node][byte] = child
            queue.append(child)
    return moves, is_whole
