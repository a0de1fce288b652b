"""Apply a bitmask to logits: the last step before a token is chosen, and nothing else.

Shapes: B rows, W words of 32 tokens, L logits a row (models pad their head, so L is often
larger than the vocabulary).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from constrain.errors import LogitsError

_ALL_ALLOWED = -1


@dataclass(frozen=True)
class _Float:
    """A float type seen as the integers of its bits."""

    bits: torch.dtype
    minus_infinity: int


_FLOATS = {
    torch.float64: _Float(torch.int64, -(1 << 52)),
    torch.float32: _Float(torch.int32, -(1 << 23)),
    torch.bfloat16: _Float(torch.int16, -(1 << 7)),
    torch.float16: _Float(torch.int16, -(1 << 10)),
}


def apply_bitmask_(logits: Tensor, bitmask: Tensor) -> None:
    """Set the logits of tokens that the bitmask does not allow to -inf, in place.

    Logits past the bitmask's last word belong to no token: not allowed. Allowed logits
    keep their bits.

    Args:
        logits: float[B, L], of any strides.
        bitmask: int32[B, W], on the same device; bit t & 31 of word t >> 5 is token t.

    Raises:
        LogitsError: the arguments' types, shapes or devices do not fit, or the bitmask
            allows an id at or above L. Nothing is written then.
    """
    _check(logits, bitmask)
    if logits.device.type == "cpu" and logits.dtype in _FLOATS:
        as_bits = _FLOATS[logits.dtype]
        bits = logits.detach().view(as_bits.bits).numpy()
        _mask_rows(bits, bitmask.numpy(), bits.dtype.type(as_bits.minus_infinity))
    else:
        _mask_by_tensors(logits, bitmask)


@nb.njit(nogil=True)
def _mask_rows(
    logits: NDArray[np.signedinteger],
    bitmask: NDArray[np.int32],
    minus_infinity: np.signedinteger,
) -> None:
    """Overwrite what is not allowed, word by word.

    logits: integers[B, L], the bits of the floats
    """
    n_rows, width = logits.shape
    n_words = bitmask.shape[1]
    for row in range(n_rows):
        for word in range(n_words):
            allowed = bitmask[row, word]
            if allowed == _ALL_ALLOWED:
                continue
            first = word * 32
            for token in range(first, min(first + 32, width)):
                if not (allowed >> (token - first)) & 1:
                    logits[row, token] = minus_infinity
        for token in range(n_words * 32, width):
            logits[row, token] = minus_infinity


def _mask_by_tensors(logits: Tensor, bitmask: Tensor) -> None:
    allowed = _bits(bitmask)
    width = min(logits.shape[1], allowed.shape[1])
    logits[:, :width].masked_fill_(~allowed[:, :width], -torch.inf)
    logits[:, width:] = -torch.inf


def _bits(bitmask: Tensor) -> Tensor:
    """bool[B, 32 * W] of int32[B, W]."""
    shifts = torch.arange(32, dtype=torch.int32, device=bitmask.device)
    return (bitmask[:, :, None] >> shifts & 1).flatten(1).bool()


def _check(logits: Tensor, bitmask: Tensor) -> None:
    if logits.ndim != 2 or not logits.is_floating_point():
        raise LogitsError(f"logits are float[B, L], not {_describe(logits)}")
    if bitmask.ndim != 2 or bitmask.dtype != torch.int32 or len(bitmask) != len(logits):
        raise LogitsError(
            f"the bitmask of {len(logits)} rows is int32[{len(logits)}, W], "
            f"not {_describe(bitmask)}"
        )
    if bitmask.device != logits.device:
        raise LogitsError(
            f"the logits are on {logits.device} and the bitmask on {bitmask.device}; "
            f"move the bitmask"
        )
    width = logits.shape[1]
    # Only the words that reach past the logits are looked at: usually none, and no
    # accelerator has to be waited for.
    past = _bits(bitmask[:, width // 32 :])[:, width % 32 :]
    if past.numel() and past.any():
        highest = width + int(past.any(dim=0).nonzero().max())
        raise LogitsError(
            f"token {highest} is allowed, but there are only {width} logits; the mask's "
            f"vocabulary is not this model's"
        )


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype}{list(tensor.shape)}"
