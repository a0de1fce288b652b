"""What all matchers of one grammar over one vocabulary share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache, reduce
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from constrain.bitmask import n_words, pack
from constrain.decode.ceiling import Ceilings
from constrain.decode.completion import Completer
from constrain.decode.machine import Machine, Thread, Threads
from constrain.decode.masker import Masker
from constrain.decode.pushdown import NoCeilings
from constrain.schema.tags import AnyGrammar
from constrain.vocabulary import Vocabulary

NEVER = np.iinfo(np.int32).max
"""Tokens to finish what cannot be finished."""

MAX_BUDGETS = 20_000
"""Sets of threads whose costliest next token is remembered."""

MAX_COUNTED = 8
"""Completions of which is kept how many tokens each of their ends takes."""


MAX_STATES = 50_000
"""States of texts that are remembered; beyond it all are forgotten."""


class State:
    """A point that texts reach. All that may come depends on it; those who reach it share it.

    Attributes:
        threads: the live ones.
        is_start: nothing was read yet.
        is_terminated: an end token was read.
        mask: int32[W], read-only: all that may come, end tokens too; None until it is asked for.
        after: where tokens lead, as far as they were read; by token.
        forced: what all completions begin with; None until it is asked for.
    """

    __slots__ = ("after", "forced", "is_start", "is_terminated", "mask", "threads")

    def __init__(
        self, threads: Threads, *, is_start: bool = False, is_terminated: bool = False
    ) -> None:
        self.threads = threads
        self.is_start = is_start
        self.is_terminated = is_terminated
        self.mask: NDArray[np.int32] | None = None
        self.after: dict[int, State] = {}
        self.forced: bytes | None = None


def common_end(one: bytes, other: bytes) -> int:
    """How many bytes at the end of two texts are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle :] == other[len(other) - middle :]:
            low = middle
        else:
            high = middle - 1
    return low


class Engine:
    """One grammar over one vocabulary: everything that its matchers share.

    Attributes:
        lock: held while shared memories grow; matchers may live in several threads.
        start: where texts begin.
        added: by token, its bytes.
        is_rough: what it takes behind a token that is not read may be told too high.
    """

    is_rough = False

    def __init__(
        self,
        grammar: AnyGrammar,
        vocabulary: Vocabulary,
        machine: Machine,
        masker: Masker,
        completer: Completer,
        ceilings: Ceilings | NoCeilings,
        lock: RLock | None = None,
    ) -> None:
        self.grammar = grammar
        self.vocabulary = vocabulary
        self.machine = machine
        self.masker = masker
        self.completer = completer
        self.ceilings = ceilings
        self.words = n_words(vocabulary.size)
        self.added = vocabulary.tokens
        ends = np.zeros(vocabulary.size, np.bool_)
        ends[list(vocabulary.end_ids)] = True
        self.end_row = pack(ends)
        self._no_row = np.zeros_like(self.end_row)
        self._no_row.flags.writeable = False
        self.lock = lock or RLock()
        self.start = State((machine.initial,), is_start=True)
        self._states: dict[Threads, State] = {}
        self._terminated: dict[Threads, State] = {}
        self._masks: dict[int, NDArray[np.int32]] = {}  # different ones, by their addresses
        self._spelled = vocabulary.spelled
        self._counted: deque[tuple[bytes, list[int]]] = deque(maxlen=MAX_COUNTED)
        self._costliest: dict[Threads, int] = {}
        self._highest: dict[Threads, int] = {}
        self.outcomes = lru_cache(maxsize=1)(masker.outcomes)  # a mask may ask for them twice
        self.n_tokens = lru_cache(maxsize=65_536)(self._n_tokens)

    def state(self, threads: Threads, *, is_terminated: bool = False) -> State:
        """The state of these threads; `lock` is held."""
        states = self._terminated if is_terminated else self._states
        state = states.get(threads)
        if state is None:
            if len(self._states) + len(self._terminated) >= MAX_STATES:
                self.forget()
            state = states[threads] = State(threads, is_terminated=is_terminated)
        return state

    def forget(self) -> None:
        """Drop what states remember; it is found again."""
        for state in (self.start, *self._states.values(), *self._terminated.values()):
            state.mask = state.forced = None
            state.after = {}
        self._states.clear()
        self._terminated.clear()
        self._masks.clear()

    def mask(self, state: State) -> NDArray[np.int32] | None:
        """int32[W], read-only: the tokens that may come next; None where there must be some."""
        mask = state.mask
        if mask is None:
            with self.lock:
                mask = self._mask(state)
                if len(self._masks) >= self.masker.max_rows:
                    self.forget()
                if not (state.is_terminated or np.count_nonzero(mask)):
                    return None
                self._masks[id(mask)] = state.mask = mask
        return mask

    def _mask(self, state: State) -> NDArray[np.int32]:
        if state.is_terminated:
            return self._no_row
        rows = [self.row(thread) for thread in state.threads]
        if self.is_accepting(state):
            rows.append(self.end_row)
        mask = reduce(np.bitwise_or, rows)
        mask.flags.writeable = False
        return mask

    def is_accepting(self, state: State) -> bool:
        """The text is whole; `lock` is held."""
        if state.is_start:
            return self.machine.accepts_nothing()
        return any(self.machine.accepts(thread) for thread in state.threads)

    def row(self, thread: Thread) -> NDArray[np.int32]:
        """int32[W], read-only: the tokens that keep `thread` viable."""
        return self.masker.row(thread)

    def cost(self, threads: Threads) -> int:
        """Tokens of the shortest completion of `threads`, the end token included."""
        completion = self.completer.completion(threads)
        return NEVER if completion is None else self.n_tokens(completion)

    def costliest(self, threads: Threads) -> int:
        """The most tokens that may be needed after one more token."""
        return self._most(threads, self.cost, self._costliest)

    def ceiling(self, threads: Threads) -> int:
        """Tokens that surely complete `threads`, the end token included; many where unknown."""
        ceiling = min((self.ceilings.of(thread) for thread in threads), default=NEVER)
        return min(NEVER, ceiling + bool(self.vocabulary.end_ids))

    def highest(self, threads: Threads) -> int:
        """The highest ceiling after one more token."""
        return self._most(threads, self.ceiling, self._highest)

    def _most(
        self, threads: Threads, cost: Callable[[Threads], int], known: dict[Threads, int]
    ) -> int:
        most = known.get(threads)
        if most is None:
            most = max((cost(after) for after, _ in self.outcomes(threads)), default=0)
            if len(known) >= MAX_BUDGETS:
                known.clear()
                self.ceilings.forget()
            known[threads] = most
        return most

    def _n_tokens(self, text: bytes) -> int:
        """The least number of tokens that spell `text`, and one for the end token.

        Completions of one text mostly end alike: what is known of such an end is taken over.
        """
        longest = self.vocabulary.max_bytes
        alike, least = 0, [0]  # of the ends of `text`, from its end on
        for other, known in self._counted:
            n = common_end(text, other)
            if n > alike:
                alike, least = n, known[: n + 1]
        least = least.copy()
        for start in range(len(text) - alike - 1, -1, -1):
            n_left = len(text) - start
            least.append(
                1
                + min(
                    (
                        least[n_left - n]
                        for n in range(1, min(longest, n_left) + 1)
                        if text[start : start + n] in self._spelled
                    ),
                    default=len(text),
                )
            )
        self._counted.append((text, least))
        return least[-1] + bool(self.vocabulary.end_ids)
