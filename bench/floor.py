"""What no engine can be faster than, measured in the same run.

The floor of a mask is one call of compiled code that ORs one row into another: a mask is a
union of rows, and a row has to be read and written. The floor of a step is what torch takes to
overwrite the logits alone, with a mask that is already there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from bench.measures import microseconds


@njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def or_rows(into: NDArray[np.int32], other: NDArray[np.int32]) -> None:
    """int32[W] twice: `into` takes the bits of `other`."""
    for word in range(into.size):
        into[word] |= other[word]


class Floor:
    """Calls of `or_rows` over rows of one vocabulary, a few at a time."""

    def __init__(self, n_words: int) -> None:
        rng = np.random.default_rng(0)
        self._rows = rng.integers(-(2**31), 2**31 - 1, (2, n_words), np.int32)
        self._times: list[int] = []
        or_rows(*self._rows)  # pays for its compilation

    def sample(self, n_calls: int = 20) -> None:
        """Measure some calls."""
        clock = time.perf_counter_ns
        into, other = self._rows
        for _ in range(n_calls):
            begin = clock()
            or_rows(into, other)
            self._times.append(clock() - begin)

    def summary(self) -> dict[str, float]:
        """µs a call."""
        return microseconds(self._times)


class Fill:
    """torch's `masked_fill` of one float32 row, in place and into a new row."""

    def __init__(self, n_tokens: int) -> None:
        self._fresh = torch.randn(1, n_tokens, generator=torch.Generator().manual_seed(0))
        self.logits = self._fresh.clone()
        self._forbidden = torch.zeros(1, n_tokens, dtype=torch.bool)
        self._in_place: list[int] = []
        self._into_new: list[int] = []

    def renew(self) -> Tensor:
        """float32[1, V]: logits of which none is forbidden, always the same memory."""
        self.logits.copy_(self._fresh)
        return self.logits

    def sample(self, row: NDArray[np.int32]) -> None:
        """Measure both with a row int32[W] of what is allowed."""
        bits = np.unpackbits(row.view(np.uint8), bitorder="little")[: self.logits.shape[1]]
        self._forbidden[0] = torch.from_numpy(bits == 0)
        logits, forbidden = self.renew(), self._forbidden
        self._into_new.append(_time(lambda: logits.masked_fill(forbidden, -torch.inf)))
        self._in_place.append(_time(lambda: logits.masked_fill_(forbidden, -torch.inf)))

    def summary(self) -> dict[str, dict[str, float]]:
        """µs a call."""
        return {
            "in_place": microseconds(self._in_place),
            "into_new": microseconds(self._into_new),
        }


def _time(action: Callable[[], Any]) -> int:
    begin = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - begin
