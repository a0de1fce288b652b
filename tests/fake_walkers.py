"""Engines for the tests of `bench.walks`: texts of few tokens, and faults that show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

N_TOKENS = 64


class Walker:
    """Accepts texts that do not hold one token; notes in `log` what it is asked."""

    def __init__(self, name: str, log: list[tuple[str, str]], refused: int = -1) -> None:
        self.name = name
        self.log = log
        self.refused = refused
        self.row = np.full(N_TOKENS // 32, 1, np.int32)
        self.done: list[int] = []

    def note(self, what: str) -> None:
        self.log.append((self.name, what))

    def forget(self) -> None:
        self.note("forget")

    def compile(self) -> None:
        self.note("compile")
        self.begin()

    def compiled_bytes(self) -> int | None:
        return 5_000_000

    def begin(self) -> None:
        self.note("begin")
        self.done = []

    def mask(self) -> None:
        self.note("mask")

    def advance(self, token_id: int) -> bool:
        self.note("advance")
        if token_id == self.refused:
            return False
        self.done.append(token_id)
        return True

    def rollback(self, n_tokens: int) -> None:
        self.note(f"rollback {n_tokens}")
        del self.done[len(self.done) - n_tokens :]

    def fork(self) -> Any:
        self.note("fork")
        return list(self.done)

    def forced(self) -> bytes | str:
        self.note("forced")
        return b""

    def apply(self, logits: Tensor) -> None:
        self.note("apply")
        assert logits.isfinite().all(), "logits are renewed before they are masked"
        logits[0, 0] = -np.inf


class InOrder(Walker):
    """Accepts 0, 1, 2, … only, and rolls back one token too few."""

    def advance(self, token_id: int) -> bool:
        return token_id == len(self.done) and super().advance(token_id)

    def rollback(self, n_tokens: int) -> None:
        super().rollback(n_tokens - 1)


def asked(log: Sequence[tuple[str, str]], what: str) -> list[str]:
    """Who was asked that, in order."""
    return [name for name, noted in log if noted == what]
