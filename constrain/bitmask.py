"""The packed bitmask of allowed tokens, its layout defined once.

A *mask* is bool[V]. A *bitmask* is its packed form, int32[W] with W = ceil(V / 32):
bit `t & 31` of word `t >> 5` is token `t`, and the bits at V and above are zero.
A token's bit is thus `row[t >> 5] >> (t & 31) & 1`, on any machine.

Shapes: V tokens, W words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from constrain.errors import BitmaskError

BITS_PER_WORD = 32

Bitmask = NDArray[np.int32]
Mask = NDArray[np.bool_]

# Bits are packed in this order of bytes whatever the machine's own is.
_LITTLE_ENDIAN = np.dtype("<i4")


def n_words(n_tokens: int) -> int:
    """W, the words of a bitmask over `n_tokens` tokens."""
    return -(-n_tokens // BITS_PER_WORD)


def allocate(n_tokens: int) -> Bitmask:
    """A bitmask int32[W] that allows nothing."""
    return np.zeros(n_words(n_tokens), np.int32)


def pack(mask: Mask) -> Bitmask:
    """The bitmask int32[W] of a mask bool[V].

    Raises:
        BitmaskError: `mask` is not one row of bools.
    """
    if mask.ndim != 1 or mask.dtype != np.bool_:
        raise BitmaskError(f"a mask is bool[V], not {mask.dtype}{list(mask.shape)}")
    octets = np.zeros(n_words(mask.size) * 4, np.uint8)
    packed = np.packbits(mask, bitorder="little")
    octets[: packed.size] = packed
    return octets.view(_LITTLE_ENDIAN).astype(np.int32)


def unpack(row: Bitmask, n_tokens: int) -> Mask:
    """The mask bool[V] of a bitmask int32[W] over `n_tokens` tokens.

    Raises:
        BitmaskError: `row` is not a bitmask of that many tokens.
    """
    bits = _bits(row)
    if row.size != n_words(n_tokens):
        raise BitmaskError(
            f"a bitmask over {n_tokens} tokens has {n_words(n_tokens)} words, not {row.size}; "
            f"allocate it with `bitmask.allocate({n_tokens})`"
        )
    if bits[n_tokens:].any():
        raise BitmaskError(f"the bitmask allows ids at or above its {n_tokens} tokens")
    return bits[:n_tokens]


def count(row: Bitmask) -> int:
    """How many tokens the bitmask int32[W] allows."""
    return int(np.count_nonzero(_bits(row)))


def token_ids(row: Bitmask) -> NDArray[np.int64]:
    """The ids that the bitmask int32[W] allows, ascending."""
    return np.flatnonzero(_bits(row)).astype(np.int64)


def bits_at(row: Bitmask, tokens: NDArray[np.int64]) -> Mask:
    """bool[...]: which of `tokens`, ids below V, the bitmask int32[W] allows."""
    allowed: Mask = (row[tokens >> 5] >> (tokens & 31) & 1).astype(np.bool_)
    return allowed


def _bits(row: Bitmask) -> Mask:
    """Every bit of `row`, bool[32 * W]."""
    if row.ndim != 1 or row.dtype != np.int32:
        raise BitmaskError(f"a bitmask is int32[W], not {row.dtype}{list(row.shape)}")
    octets = np.ascontiguousarray(row.astype(_LITTLE_ENDIAN)).view(np.uint8)
    return np.unpackbits(octets, bitorder="little").view(np.bool_)
