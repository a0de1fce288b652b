"""Masks of many sequences by one call.

Shapes: B sequences, W words of 32 tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from constrain.decode.matcher import Matcher
from constrain.errors import BitmaskError, ConstrainError
from constrain.threads import in_threads

Row = NDArray[np.int32]


def fill_bitmasks(matchers: Sequence[Matcher | None], out: Row, threads: int | None = None) -> None:
    """Overwrite each row of `out` with the tokens that may come next in a sequence.

    The matchers may be of any stores over vocabularies of one size. A matcher may be there twice.

    Args:
        matchers: of B sequences; None: the sequence has no grammar, and its row becomes all ones,
            also at V and above, which `apply_bitmask_` takes for what it is.
        out: int32[B, W], of any strides; of a tensor on the CPU it is `tensor.numpy()`.
        threads: how many masks that nobody asked for before are computed at once. Those of one
            store, and of all schemas over one vocabulary, wait for each other. None: one.

    Raises:
        BitmaskError: `out` has another type or shape.
        ConstrainError: of `Matcher.mask`, its message begins with the row. Nothing is written then.
    """
    _check(matchers, out)
    for row, mask in zip(out, masks_of(matchers, threads), strict=True):
        row[:] = -1 if mask is None else mask


def masks_of(matchers: Sequence[Matcher | None], threads: int | None = None) -> list[Row | None]:
    """Each matcher's `mask()`, shared and read-only; None where there is no matcher.

    Args:
        matchers: of B sequences.
        threads: as of `fill_bitmasks`.

    Raises:
        ConstrainError: as of `fill_bitmasks`.
    """
    masks = [None if matcher is None else matcher.known_mask() for matcher in matchers]
    unknown: dict[int, list[int]] = {}  # by their engine's lock
    for place, (matcher, mask) in enumerate(zip(matchers, masks, strict=True)):
        if matcher is not None and mask is None:
            unknown.setdefault(id(matcher.engine.lock), []).append(place)
    if unknown:
        compute = partial(_compute, matchers, masks)
        in_threads([partial(compute, places) for places in unknown.values()], threads or 1)
    return masks


def _compute(
    matchers: Sequence[Matcher | None], masks: list[Row | None], places: Sequence[int]
) -> None:
    """Fill in the masks of some rows."""
    for place in places:
        matcher = matchers[place]
        assert matcher is not None
        try:
            masks[place] = matcher.mask()
        except ConstrainError as error:
            error.args = (f"row {place}: {error}",)
            raise


def _check(matchers: Sequence[Matcher | None], out: Row) -> None:
    if not isinstance(out, np.ndarray) or out.dtype != np.int32 or out.ndim != 2:
        given = f"{out.dtype}{list(out.shape)}" if isinstance(out, np.ndarray) else type(out)
        raise BitmaskError(
            f"the bitmask of {len(matchers)} sequences is an array int32[{len(matchers)}, W], not "
            f"{given}; give a tensor's `numpy()`"
        )
    if len(out) != len(matchers):
        raise BitmaskError(f"there are {len(matchers)} matchers and {len(out)} rows of bitmasks")
    for place, matcher in enumerate(matchers):
        if matcher is not None and matcher.engine.words != out.shape[1]:
            raise BitmaskError(
                f"row {place}: its vocabulary takes {matcher.engine.words} words, and the bitmask "
                f"has {out.shape[1]}"
            )
