"""apply_bitmask_ against a loop over bits, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from constrain.errors import LogitsError
from constrain.generation.apply import _mask_by_tensors, apply_bitmask_

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


def expected(logits: Tensor, bitmask: Tensor) -> Tensor:
    """Bit by bit."""
    masked = logits.clone()
    for row in range(logits.shape[0]):
        for token in range(logits.shape[1]):
            word = token >> 5
            inside = word < bitmask.shape[1]
            if not inside or not (int(bitmask[row, word]) & 0xFFFFFFFF) >> (token & 31) & 1:
                masked[row, token] = -torch.inf
    return masked


def same_bits(left: Tensor, right: Tensor) -> bool:
    bits = BITS.get(left.dtype, torch.int16)
    return torch.equal(left.view(bits), right.view(bits))


def random_logits(rng: np.random.Generator, n_rows: int, width: int) -> Tensor:
    logits = torch.from_numpy(rng.normal(size=(n_rows, width)))
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0])
    places = torch.from_numpy(rng.random((n_rows, width)) < 0.2)
    picked = torch.from_numpy(rng.integers(0, len(special), (n_rows, width)))
    return torch.where(places, special[picked].to(logits.dtype), logits)


def random_bitmask(rng: np.random.Generator, n_rows: int, n_words: int, width: int) -> Tensor:
    """Some words all allowed, some not at all; nothing at or above `width`."""
    words = rng.integers(-(2**31), 2**31, (n_rows, n_words), np.int64)
    kind = rng.integers(0, 4, (n_rows, n_words))
    words = np.where(kind == 0, 0, np.where(kind == 1, -1, words)).astype(np.int32)
    for row in words:
        bits = np.unpackbits(row.view(np.uint8), bitorder="little")
        bits[width:] = 0
        row[:] = np.packbits(bits, bitorder="little").view(np.int32)
    return torch.from_numpy(words)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(0, 3),
    n_words=st.integers(1, 3),
    beyond=st.integers(-34, 34),
    strided=st.booleans(),
)
@example(seed=0, n_rows=2, n_words=2, beyond=0, strided=False)
@example(seed=0, n_rows=2, n_words=2, beyond=-1, strided=True)
@example(seed=0, n_rows=2, n_words=2, beyond=1, strided=True)
def test_masks_exactly_the_tokens_whose_bit_is_clear(
    dtype: torch.dtype, seed: int, n_rows: int, n_words: int, beyond: int, strided: bool
) -> None:
    rng = np.random.default_rng(seed)
    width = max(1, 32 * n_words + beyond)
    logits = random_logits(rng, n_rows, width).to(dtype)
    if strided:
        holder = torch.zeros(n_rows, 2, width, dtype=dtype)
        holder[:, 1] = logits
        logits = holder[:, 1]
    bitmask = random_bitmask(rng, n_rows, n_words, width)
    wanted = expected(logits, bitmask)
    by_tensors = logits.clone()

    apply_bitmask_(logits, bitmask)
    _mask_by_tensors(by_tensors, bitmask)

    assert same_bits(logits, wanted)
    assert same_bits(by_tensors, wanted)
    if strided:
        assert not holder[:, 0].any()


@pytest.mark.parametrize("token", [40, 63, 64, 95])
def test_refuses_to_lose_an_allowed_token_and_writes_nothing(token: int) -> None:
    logits = torch.zeros(2, 40)
    bitmask = torch.zeros(2, 3, dtype=torch.int32)
    bitmask[1, token >> 5] = np.uint32(1 << (token & 31)).view(np.int32).item()

    with pytest.raises(LogitsError, match=f"token {token} is allowed, but there are only 40"):
        apply_bitmask_(logits, bitmask)

    assert not logits.any()


@pytest.mark.parametrize(
    ("logits", "bitmask"),
    [
        (torch.zeros(40), torch.zeros(1, 2, dtype=torch.int32)),
        (torch.zeros(1, 40, dtype=torch.int32), torch.zeros(1, 2, dtype=torch.int32)),
        (torch.zeros(1, 40), torch.zeros(2, 2, dtype=torch.int32)),
        (torch.zeros(1, 40), torch.zeros(1, 2, dtype=torch.int64)),
        (torch.zeros(1, 40), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(1, 40), torch.zeros(1, 2, dtype=torch.int32, device="meta")),
    ],
    ids=["1-d", "integers", "rows", "int64", "1-d mask", "device"],
)
def test_refuses_what_does_not_fit(logits: Tensor, bitmask: Tensor) -> None:
    with pytest.raises(LogitsError):
        apply_bitmask_(logits, bitmask)


def test_logits_that_require_a_gradient_are_masked_too() -> None:
    logits = torch.zeros(1, 32, requires_grad=True)
    apply_bitmask_(logits, torch.tensor([[1]], dtype=torch.int32))
    assert logits.isinf().sum() == 31


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [63, 64, 65, 1000])
def test_a_gpu_masks_as_the_cpu_does(dtype: torch.dtype, width: int) -> None:
    rng = np.random.default_rng(width)
    logits = random_logits(rng, 4, width).to(dtype)
    bitmask = random_bitmask(rng, 4, 2, width)
    on_gpu = logits.cuda()

    apply_bitmask_(logits, bitmask)
    apply_bitmask_(on_gpu, bitmask.cuda())

    assert same_bits(on_gpu.cpu(), logits)
