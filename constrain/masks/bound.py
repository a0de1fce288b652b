"""What crossings run on, handed over to kernels as one argument."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core import config
from numba.experimental import structref
from numpy.typing import NDArray

from constrain.automata.lexer import Alike
from constrain.kernel import kernel
from constrain.masks.cross import Asked, Known, Memory, Todo, cross, enter, push
from constrain.masks.kernels import EffectTable, LexerTable, Path, extent
from constrain.masks.trie import FlatTrie


class Parts(NamedTuple):
    """What crossings run on, but for the tokens and their masks."""

    table: LexerTable
    alike: Alike
    effects: EffectTable
    known: Known
    height: NDArray[np.int32]  # [N] of the whole vocabulary's trie, see `heights`
    path: Path
    seen: Memory
    asked: Asked
    deeper: Asked
    todo: Todo
    ends: Asked


_settings: Any = config


@structref.register
class _BoundType(types.StructRef):
    """The type of `Bound` in kernels."""

    def preprocess_fields(self, fields: Any) -> Any:
        """Fields are what they are, and no literals."""
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class Bound(structref.StructRefProxy):
    """`Parts` handed over to kernels once: to pass sixty arrays with each call takes 20 us."""

    def __new__(cls, parts: Parts) -> Any:
        """What kernels take; where they are run by Python, something that has the parts."""
        if _settings.DISABLE_JIT:
            return SimpleNamespace(parts=parts)
        return super().__new__(cls, parts)  # type: ignore[no-untyped-call]

    @property
    def parts(self) -> Parts:
        """The arrays themselves, not copies."""
        parts: Parts = self._parts(self)
        return parts

    @staticmethod
    @kernel(allocates=True)
    def _parts(bound: Bound) -> Parts:
        return bound.parts


structref.define_proxy(Bound, _BoundType, ["parts"])  # type: ignore[no-untyped-call]


@kernel(allocates=True)
def bind(parts: Parts) -> Bound:
    """Hand `parts` over."""
    return Bound(parts)  # type: ignore[no-any-return]


@kernel(allocates=True)
def cross_bound(bound: Bound, trie: FlatTrie, turn: int, row: NDArray[np.int32]) -> int:
    """`cross` on what was handed over."""
    all_ = bound.parts
    return cross(
        all_.table,
        all_.effects,
        all_.known,
        trie,
        all_.path,
        all_.seen,
        turn,
        all_.asked,
        all_.deeper,
        all_.todo,
        all_.ends,
        row,
    )


@kernel(allocates=True)
def enter_bound(
    bound: Bound,
    trie: FlatTrie,
    turn: int,
    thread: int,
    row: NDArray[np.int32],
    changed: NDArray[np.int32],
) -> int:
    """`enter` on what was handed over."""
    all_ = bound.parts
    return enter(
        all_.table,
        all_.alike,
        all_.known,
        trie,
        all_.height,
        all_.path,
        all_.seen,
        turn,
        all_.asked,
        all_.deeper,
        all_.todo,
        all_.ends,
        thread,
        row,
        changed,
    )


@kernel(allocates=True)
def extent_bound(bound: Bound, trie: FlatTrie, start: int, most: int) -> int:
    """`extent` on what was handed over."""
    all_ = bound.parts
    return extent(all_.table, all_.alike, start, trie, all_.height, all_.path, most)


@kernel(allocates=True)
def push_bound(bound: Bound, slice_: int, base: int) -> int:
    """`push` on what was handed over."""
    return push(bound.parts.known, slice_, base)
