"""Where a middle may end: the suffix, read behind a state of the text.

Input:  an engine, the suffix, states that texts reach.
Output: whether the text is whole once the suffix is read there; exact.

Most states die within the suffix's first bytes. Those that do not are read in chunks, and what
comes of it is kept for every state met on the way: texts that differ before the suffix mostly
meet in it, and from there on are one.
"""

from __future__ import annotations

from constrain.decode.engine import Engine, State
from constrain.decode.machine import Threads

CHUNK = 512
"""Bytes after which texts are looked at for whether they have met."""

MAX_KEPT = 100_000
"""Answers that are kept; beyond it all are found anew."""


class Endings:
    """Says of states whether the suffix makes their texts whole. Not safe under threads by itself.

    Attributes:
        suffix: what is read.
        n_read: bytes of it that were read so far, for all answers together.
    """

    def __init__(self, engine: Engine, suffix: bytes) -> None:
        self._engine = engine
        self.suffix = suffix
        self.n_read = 0
        self._known: dict[tuple[int, Threads], bool] = {}

    def at_state(self, state: State) -> bool:
        """Whether the suffix makes the state's text whole."""
        if state.is_terminated:
            return False
        if not self.suffix and state.is_start:
            return self._engine.machine.accepts_nothing()
        return self.behind(state.threads)

    def behind(self, threads: Threads) -> bool:
        """The same of threads of which at least one byte was read, if the suffix is empty."""
        machine = self._engine.machine
        met: list[tuple[int, Threads]] = []
        place = 0
        while True:
            answer = self._known.get((place, threads))
            if answer is not None:
                break
            met.append((place, threads))
            if not threads:
                answer = False
            elif place == len(self.suffix):
                answer = any(machine.accepts(thread) for thread in threads)
            if answer is not None:
                break
            chunk = self.suffix[place : place + CHUNK]
            threads = machine.read(threads, chunk)
            self.n_read += len(chunk)
            place += len(chunk)
        if len(self._known) + len(met) > MAX_KEPT:
            self._known.clear()
        self._known.update(dict.fromkeys(met, answer))
        return answer
