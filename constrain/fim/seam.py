"""What all matchers of middles before one suffix share: where they may end, and what is refused.

Input:  a store and a suffix.
Output: `Seam`: masks by the states of texts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from constrain.bitmask import token_ids
from constrain.compiler import MaskStore
from constrain.decode.engine import State
from constrain.decode.machine import Threads
from constrain.fim.endings import Endings
from constrain.fim.guide import guide_of

MAX_MASKS = 4_000
"""Narrowed masks that are kept for one suffix; beyond it all are made anew."""

Known = dict[bytes, tuple[Threads, Threads, bool]]


class Seam:
    """What all matchers before one suffix share.

    Attributes:
        engine: of the store.
        endings: says where a middle may end.
        guide: says from where none can; None: nothing is refused.
        past_stop: tokens may run past a legal stop.
    """

    def __init__(self, store: MaskStore, suffix: bytes, *, refuse: bool, past_stop: bool) -> None:
        self.past_stop = past_stop
        self.engine = store.matcher().engine
        self.endings = Endings(self.engine, suffix)
        self.guide = guide_of(store, suffix) if refuse else None
        self._masks: dict[tuple[State, Threads], NDArray[np.int32]] = {}

    def may_stop(self, state: State) -> bool:
        """Whether the suffix makes the state's text whole; the engine's lock is held."""
        return self.endings.at_state(state)

    def can_join(self, threads: Threads) -> bool:
        """Whether some text leads into the suffix from threads of the guide; False is certain."""
        return self.guide is None or self.guide.can_join(threads)

    def mask(self, state: State, threads: Threads, mask: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32[W], read-only: the tokens that may come next.

        End tokens are among them where the middle may end, and where nothing else may come.

        Args:
            state: of the text.
            threads: of the guide.
            mask: what the grammar allows.
        """
        key = state, threads
        row = self._masks.get(key)
        if row is None:
            with self.engine.lock:
                row = self._mask(state, threads, mask)
            row.flags.writeable = False
            if len(self._masks) >= MAX_MASKS:
                self._masks.clear()
            self._masks[key] = row
        return row

    def _mask(self, state: State, threads: Threads, mask: NDArray[np.int32]) -> NDArray[np.int32]:
        row: NDArray[np.int32] = mask & ~self.engine.end_row
        if self.guide is not None:
            refused = self.guide.refused(threads)
            if self.past_stop:
                self._spare(state, threads, row & refused, refused)
            row &= ~refused
        if self.may_stop(state) or not row.any():
            row |= self.engine.end_row
        return row

    def _spare(
        self,
        state: State,
        threads: Threads,
        asked: NDArray[np.int32],
        refused: NDArray[np.int32],
    ) -> None:
        """Take the tokens of `asked` from `refused` within which the middle may stop."""
        known: Known = {b"": (state.threads, threads, False)}
        for token in token_ids(asked).tolist():
            spelling = self.engine.added[token]
            if any(self._stops_at(spelling[:n], known) for n in range(1, len(spelling))):
                refused[token >> 5] &= ~(np.int32(1) << np.int32(token & 31))

    def _stops_at(self, added: bytes, known: Known) -> bool:
        """Whether the middle may stop behind `added`, all beginnings of which are known.

        What cannot join has no legal stop behind it, and is not read on.
        """
        if added not in known:
            before, guided, _ = known[added[:-1]]
            machine, guide = self.engine.machine, self.guide
            assert guide is not None
            after = machine.step(before, added[-1]) if before else ()
            guided = guide.step(guided, after, added[-1])
            if not (after and guide.can_join(guided)):
                after = ()
            known[added] = after, guided, bool(after) and self.endings.behind(after)
        return known[added][2]
