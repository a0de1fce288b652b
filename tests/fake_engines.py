"""Engines for the test of `bench.maskbench`: over bytes, and each with a fault of its own.

A schema here is the JSON text of a list: the texts that it accepts.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

END = 256
WORDS = 9


class Exact:
    """Accepts the schema's texts and nothing else."""

    refusals: tuple[type[Exception], ...] = (ValueError,)

    def __init__(self) -> None:
        self.name = type(self).__name__.lower()
        self.row = np.zeros(WORDS, np.int32)
        self.texts: set[bytes] = set()
        self.done = b""

    def compile_schema(self, schema: str) -> None:
        found = json.loads(schema)
        self.texts = {text.encode() for text in found} if isinstance(found, list) else set()
        self.begin()

    def forget(self) -> None:
        self.texts = set()

    def begin(self) -> None:
        self.done = b""

    def mask(self) -> None:
        n_done = len(self.done)
        after = [text[n_done:] for text in self.texts if text.startswith(self.done)]
        self.allow({rest[0] if rest else END for rest in after})

    def allow(self, ids: set[int]) -> None:
        words = np.zeros(WORDS, np.uint32)
        for one in ids:
            words[one >> 5] |= np.uint32(1 << (one & 31))
        self.row[:] = words.view(np.int32)

    def advance(self, token_id: int) -> bool:
        self.done += bytes([token_id])
        return True


class Everything(Exact):
    """Accepts every text."""

    def mask(self) -> None:
        self.row.fill(-1)


class Compact(Exact):
    """Takes no text with a space."""

    def mask(self) -> None:
        super().mask()
        self.row[1] &= ~1


class Endless(Exact):
    """Allows the end token nowhere."""

    def mask(self) -> None:
        super().mask()
        self.row[END >> 5] = 0


class Refusing(Exact):
    """Refuses every schema but an empty one."""

    def compile_schema(self, schema: str) -> None:
        if schema not in {"{}", "[]"}:
            error = ValueError(f"cannot do {schema!r} with {len(schema)} letters")
            error.pointer, error.keyword = "/0", "not"  # type: ignore[attr-defined]
            raise error


class Lasting(Exact):
    """Accepts the texts of the schemas before, until it is told to forget them."""

    def compile_schema(self, schema: str) -> None:
        before = self.texts
        super().compile_schema(schema)
        self.texts |= before


class Raising(Exact):
    """Has a defect behind the first mask."""

    def advance(self, token_id: int) -> bool:
        raise ValueError("a defect")


class Dying(Exact):
    """Takes its process with it."""

    def advance(self, token_id: int) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True


class Slow(Exact):
    """Sleeps in Python, where a signal wakes it."""

    def advance(self, token_id: int) -> bool:
        time.sleep(60)
        return True


class Stuck(Exact):
    """Hears no signal, as a call into C that does not return."""

    def advance(self, token_id: int) -> bool:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(60)
        return True


class Greedy(Exact):
    """Takes memory until it is stopped."""

    def advance(self, token_id: int) -> bool:
        taken = [np.ones(200_000_000, np.uint8)]
        time.sleep(60)
        return bool(taken)


class Unbuildable(Exact):
    def __init__(self) -> None:
        raise RuntimeError("no such engine")


ENGINES = {
    kind.__name__.lower(): kind
    for kind in (
        *(Exact, Everything, Compact, Endless, Refusing, Raising, Dying, Slow, Stuck, Greedy),
        Lasting,
        Unbuildable,
    )
}


class FakeBench:
    """Bytes as tokens, and the engines of these names."""

    end_id = END

    def __init__(self, *names: str) -> None:
        self.builders: Mapping[str, Callable[[], Exact]] = {name: ENGINES[name] for name in names}

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())


def only_once(mark: Path) -> FakeBench:
    """As the engine that passes and the one that dies; a second time it cannot be built."""
    if mark.exists():
        raise RuntimeError("built twice")
    mark.touch()
    return FakeBench("exact", "dying")
