"""Apply bitmasks to logits: the last step before a token is chosen, and nothing else.

Shapes: B rows, W words of 32 tokens, L logits a row (models pad their head, so L is often
larger than the vocabulary).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from constrain.errors import LogitsError
from constrain.kernel import kernel
from constrain.threads import in_threads

Row = NDArray[np.int32]
Bits = NDArray[np.signedinteger[Any]]

_MIN_SHARE = 1 << 19
"""Logits that a thread of its own is worth: some 30 µs of work, against 20 to hand them over."""


class _Float(NamedTuple):
    """A float type seen as the integers of its bits."""

    as_torch: torch.dtype
    as_numpy: type[np.signedinteger[Any]]
    minus_infinity: int


_FLOATS = {
    torch.float64: _Float(torch.int64, np.int64, -(1 << 52)),
    torch.float32: _Float(torch.int32, np.int32, -(1 << 23)),
    torch.bfloat16: _Float(torch.int16, np.int16, -(1 << 7)),
    torch.float16: _Float(torch.int16, np.int16, -(1 << 10)),
}


def apply_bitmask_(logits: Tensor, bitmask: Tensor) -> None:
    """Set the logits of tokens that the bitmask does not allow to -inf, in place.

    Logits past the bitmask's last word belong to no token: not allowed. Allowed logits
    keep their bits. A row of all ones allows every id below 32 * W that has a logit: it is what
    `fill_bitmasks` writes where there is no grammar.

    On the CPU large batches are shared by as many threads as torch may use.

    Args:
        logits: float[B, L], of any strides.
        bitmask: int32[B, W], on the same device; bit t & 31 of word t >> 5 is token t.

    Raises:
        LogitsError: the arguments' types, shapes or devices do not fit, or the bitmask
            allows an id at or above L. Nothing is written then.
    """
    _check_logits(logits)
    _check_bitmask(logits, bitmask)
    if _has_kernels(logits):
        rows = bitmask.contiguous().numpy().view()
        rows.flags.writeable = False
        _mask_rows(logits, list(rows))
    else:
        _refuse_past(bitmask, logits.shape[1])
        _mask_by_tensors(logits, bitmask)


def apply_rows_(logits: Tensor, rows: Sequence[Row | None]) -> None:
    """`apply_bitmask_` for rows that lie apart, as `Matcher.mask` gives them.

    On a CPU none is copied.

    Args:
        logits: float[B, L], of any strides and on any device.
        rows: of B, each int32[W]; None: the row's logits stay as they are.

    Raises:
        LogitsError: as of `apply_bitmask_`.
    """
    _check_logits(logits)
    if len(rows) != len(logits):
        raise LogitsError(f"there are {len(logits)} rows of logits and {len(rows)} of masks")
    rows = [None if row is None else _read_only(row) for row in rows]
    masks = [row for row in rows if row is not None]
    if not masks:
        return
    if len(set(map(len, masks))) > 1:
        raise LogitsError("the rows' masks have different lengths; each is int32[W]")
    if _has_kernels(logits):
        _mask_rows(logits, rows)
        return
    bitmask = torch.from_numpy(np.stack(masks))
    _refuse_past(bitmask, logits.shape[1])
    on_device = bitmask.to(logits.device)
    if len(masks) == len(rows):
        _mask_by_tensors(logits, on_device)
        return
    places = [place for place, row in enumerate(rows) if row is not None]
    for number, place in enumerate(places):
        _mask_by_tensors(logits[place : place + 1], on_device[number : number + 1])


def dead_rows(logits: Tensor, rows: Sequence[Row | None]) -> list[bool]:
    """For each row, whether no token that its mask allows has a score above -inf.

    Args:
        logits: float[B, L], which were masked with `rows`.
        rows: of B, each int32[W]; None: the row is not asked for.
    """
    if not _has_kernels(logits):
        scores = logits.amax(dim=-1).tolist()
        return [
            row is not None and score == -np.inf for row, score in zip(rows, scores, strict=True)
        ]
    kind = _FLOATS[logits.dtype]
    bits = _as_bits(logits, kind)
    return [
        row is not None
        and bool(_is_dead(np.ascontiguousarray(one), _read_only(row), kind.minus_infinity))
        for one, row in zip(bits, rows, strict=True)
    ]


def _has_kernels(logits: Tensor) -> bool:
    """Whether these logits are masked where they lie, and not by torch."""
    return logits.is_cpu and logits.dtype in _FLOATS


def _mask_rows(logits: Tensor, rows: Sequence[Row | None]) -> None:
    """`apply_rows_`, for rows that are read-only already and logits of a type in `_FLOATS`."""
    width = logits.shape[1]
    for row in rows:
        if row is not None and len(row) * 32 > width and _reaches_past(row, width):
            _refuse_past(torch.from_numpy(row.copy())[None], width)
    kind = _FLOATS[logits.dtype]
    bits = _as_bits(logits, kind)
    n_shares = _n_shares(logits)
    if n_shares == 1 or not bits.flags.c_contiguous:
        _mask_each(bits, rows, kind.minus_infinity)
        return
    edges = [len(rows) * share // n_shares for share in range(n_shares + 1)]
    in_threads(
        [
            partial(_mask_share, bits[start:stop], rows[start:stop], kind.minus_infinity)
            for start, stop in pairwise(edges)
        ],
        n_shares,
    )


def _n_shares(logits: Tensor) -> int:
    """How many threads a batch is worth, of those that torch may use."""
    if logits.numel() < 2 * _MIN_SHARE:
        return 1
    return min(torch.get_num_threads(), logits.numel() // _MIN_SHARE, len(logits))


def _reaches_past(row: Row, width: int) -> bool:
    """Whether some id at `width` or above is allowed, by a row that reaches there."""
    word, bit = divmod(width, 32)
    return (int(row[word]) & 0xFFFFFFFF) >> bit != 0 or bool(row[word + 1 :].any())


def _mask_each(bits: Bits, rows: Sequence[Row | None], minus_infinity: int) -> None:
    """Mask the rows of bits integers[B, L] one by one."""
    for row_bits, row in zip(bits, rows, strict=True):
        if row is None:
            continue
        if row_bits.flags.c_contiguous:
            _mask_row(row_bits, row, minus_infinity)
        else:
            copy = row_bits.copy()
            _mask_row(copy, row, minus_infinity)
            row_bits[:] = copy


def _mask_share(bits: Bits, rows: Sequence[Row | None], minus_infinity: int) -> None:
    """The same by one call, so that threads do not wait for each other at every row."""
    places = [place for place, row in enumerate(rows) if row is not None]
    if places:
        bitmask = np.stack([row for row in rows if row is not None])
        _mask_some(bits, np.array(places), bitmask, minus_infinity)


def _as_bits(logits: Tensor, kind: _Float) -> Bits:
    """The same memory as integers."""
    if logits.requires_grad:
        logits = logits.detach()
    if kind.as_torch is torch.int16:  # numpy has no bfloat16
        logits = logits.view(torch.int16)
    return logits.numpy().view(kind.as_numpy)


@kernel
def _mask_row(bits: Bits, row: Row, minus_infinity: int) -> None:
    """Overwrite what is not allowed, a word or many at a time.

    bits: integers[L], of the floats

    Places are unsigned: one that might be negative would keep the loops from being vectorised.
    """
    one, size = np.uint64(1), np.uint64(32)
    n_whole = np.uint64(min(len(row), len(bits) // 32))
    word = np.uint64(0)
    while word < n_whole:
        allowed = row[word]
        first = word * size
        if allowed == 0:
            while word < n_whole and row[word] == 0:
                word += one
            for token in range(first, word * size):
                bits[token] = minus_infinity
            continue
        if allowed != -1:
            for bit in range(32):
                if not (allowed >> np.int32(bit)) & np.int32(1):
                    bits[first + np.uint64(bit)] = minus_infinity
        word += one
    for token in range(np.int64(n_whole) * 32, len(bits)):
        if token >> 5 >= len(row) or not (row[token >> 5] >> np.int32(token & 31)) & np.int32(1):
            bits[token] = minus_infinity


@kernel
def _mask_some(bits: Bits, places: NDArray[np.int64], bitmask: Row, minus_infinity: int) -> None:
    """Mask some rows of a batch.

    bits: integers[B, L], of the floats
    places: [n] rows
    bitmask: [n, W] of these
    """
    for number in range(len(places)):
        _mask_row(bits[places[number]], bitmask[number], minus_infinity)


@kernel
def _is_dead(bits: Bits, row: Row, minus_infinity: int) -> bool:
    """Whether all is -inf, where a row was applied; what it rules out need not be looked at.

    bits: integers[L], of the floats
    """
    for word in range(min(len(row), (len(bits) + 31) // 32)):
        if row[word] != 0:
            for token in range(word * 32, min(word * 32 + 32, len(bits))):
                if bits[token] != minus_infinity:
                    return False
    return True


def _mask_by_tensors(logits: Tensor, bitmask: Tensor) -> None:
    allowed = _bits(bitmask)
    width = min(logits.shape[1], allowed.shape[1])
    logits[:, :width].masked_fill_(~allowed[:, :width], -torch.inf)
    logits[:, width:] = -torch.inf


def _bits(bitmask: Tensor) -> Tensor:
    """bool[B, 32 * W] of int32[B, W]."""
    shifts = torch.arange(32, dtype=torch.int32, device=bitmask.device)
    return (bitmask[:, :, None] >> shifts & 1).flatten(1).bool()


def _read_only(row: Row) -> Row:
    """The same row, for which the kernels are compiled."""
    if row.ndim != 1 or row.dtype != np.int32:
        raise LogitsError(f"a row's mask is int32[W], not {row.dtype}{list(row.shape)}")
    if row.flags.writeable or not row.flags.c_contiguous:
        row = np.ascontiguousarray(row).view()
        row.flags.writeable = False
    return row


def _check_logits(logits: Tensor) -> None:
    if logits.ndim != 2 or not logits.is_floating_point():
        raise LogitsError(f"logits are float[B, L], not {_describe(logits)}")


def _check_bitmask(logits: Tensor, bitmask: Tensor) -> None:
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


def _refuse_past(bitmask: Tensor, width: int) -> None:
    """Refuse a mask that allows ids without logits, unless it allows all there are.

    Only the words that reach past the logits are looked at first: usually none, and no accelerator
    has to be waited for.
    """
    past = _bits(bitmask[:, width // 32 :])[:, width % 32 :]
    if past.numel() and past.any():
        past &= (bitmask != -1).any(dim=1, keepdim=True)
        if past.any():
            highest = width + int(past.any(dim=0).nonzero().max())
            raise LogitsError(
                f"token {highest} is allowed, but there are only {width} logits; the mask's "
                f"vocabulary is not this model's"
            )


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype}{list(tensor.shape)}"
