"""apply_bitmask_ and apply_rows_ against a loop over bits, and their refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from constrain.errors import LogitsError
from constrain.generation import apply
from constrain.generation.apply import _mask_by_tensors, apply_bitmask_, apply_rows_, dead_rows
from constrain.threads import in_threads

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
    layout=st.sampled_from(["whole", "rows apart", "transposed"]),
)
@example(seed=0, n_rows=2, n_words=2, beyond=0, layout="whole")
@example(seed=0, n_rows=2, n_words=2, beyond=-1, layout="rows apart")
@example(seed=0, n_rows=2, n_words=2, beyond=1, layout="rows apart")
@example(seed=0, n_rows=2, n_words=2, beyond=1, layout="transposed")
def test_masks_exactly_the_tokens_whose_bit_is_clear(
    dtype: torch.dtype, seed: int, n_rows: int, n_words: int, beyond: int, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    width = max(1, 32 * n_words + beyond)
    logits = random_logits(rng, n_rows, width).to(dtype)
    holder = torch.zeros(n_rows, 2, width, dtype=dtype)
    if layout == "rows apart":
        holder[:, 1] = logits
        logits = holder[:, 1]
    if layout == "transposed":
        logits = logits.T.contiguous().T
    bitmask = random_bitmask(rng, n_rows, n_words, width)
    wanted = expected(logits, bitmask)
    by_tensors, by_rows = logits.clone(), logits.clone()

    apply_bitmask_(logits, bitmask)
    _mask_by_tensors(by_tensors, bitmask)
    apply_rows_(by_rows, list(bitmask.numpy()))

    assert same_bits(logits, wanted)
    assert same_bits(by_tensors, wanted)
    assert same_bits(by_rows, wanted)
    assert not holder[:, 0].any()
    is_dead = (logits == -torch.inf).all(dim=1).tolist()
    assert dead_rows(logits, list(bitmask.numpy())) == is_dead
    assert dead_rows(logits, [None] * n_rows) == [False] * n_rows


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_large_batches_are_shared_by_threads(
    n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n_threads)
    logits = random_logits(rng, 7, 70)
    bitmask = random_bitmask(rng, 7, 2, 70)
    wanted = expected(logits, bitmask)
    rows: list[NDArray[np.int32] | None] = list(bitmask.numpy())
    with_gaps, wanted_with_gaps = logits.clone(), wanted.clone()
    for place in (0, 1, 4):
        rows[place], wanted_with_gaps[place] = None, logits[place]
    shares: list[int] = []
    monkeypatch.setattr(apply, "_MIN_SHARE", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    monkeypatch.setattr(
        apply, "in_threads", lambda tasks, n: (shares.append(n), in_threads(tasks, n))
    )

    apply_bitmask_(logits, bitmask)
    apply_rows_(with_gaps, rows)

    assert same_bits(logits, wanted)
    assert same_bits(with_gaps, wanted_with_gaps)
    assert shares == ([n_threads] * 2 if n_threads > 1 else [])


def test_the_kernels_do_the_same_as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_mask_row", "_is_dead"):
        monkeypatch.setattr(apply, name, getattr(apply, name).py_func)
    rng = np.random.default_rng(5)
    for dtype in DTYPES:
        logits = random_logits(rng, 3, 75).to(dtype)
        bitmask = random_bitmask(rng, 3, 2, 75)
        bitmask[2] = 0
        wanted = expected(logits, bitmask)
        apply_bitmask_(logits, bitmask)
        assert same_bits(logits, wanted)
        is_dead = (logits == -torch.inf).all(dim=1).tolist()
        assert dead_rows(logits, list(bitmask.numpy())) == is_dead
        assert is_dead[2]
        assert not is_dead[0]


def test_a_long_row_is_masked_as_a_short_one() -> None:
    rng = np.random.default_rng(0)
    bitmask = random_bitmask(rng, 3, 1_000, 32_000)
    bitmask[0] = 0
    bitmask[0, 500] = 16
    bitmask[1] |= -65536
    allowed = np.unpackbits(bitmask.numpy().view(np.uint8), axis=1, bitorder="little")
    logits = random_logits(rng, 3, 32_005)
    wanted = logits.clone()
    wanted[:, :32_000][~torch.from_numpy(allowed).bool()] = -torch.inf
    wanted[:, 32_000:] = -torch.inf

    apply_bitmask_(logits, bitmask)

    assert same_bits(logits, wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("has_kernel", [True, False])
def test_rows_without_a_mask_stay(
    dtype: torch.dtype, has_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_kernel:
        monkeypatch.setattr(apply, "_has_kernels", lambda logits: False)
    rng = np.random.default_rng(1)
    logits = random_logits(rng, 4, 40).to(dtype)
    rows = random_bitmask(rng, 4, 1, 32).numpy()
    wanted = expected(logits, torch.from_numpy(rows))
    wanted[1], wanted[2] = logits[1], logits[2]

    apply_rows_(logits, [rows[0], None, None, rows[3]])

    assert same_bits(logits, wanted)
    apply_rows_(logits, [None] * 4)
    assert same_bits(logits, wanted)


@pytest.mark.parametrize("has_kernel", [True, False])
@pytest.mark.parametrize("width", [64, 63, 33, 32, 31, 70])
def test_a_row_of_all_ones_allows_what_there_is(
    width: int, has_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_kernel:
        monkeypatch.setattr(apply, "_has_kernels", lambda logits: False)
    logits = torch.arange(float(width))[None]
    before = logits.clone()
    apply_bitmask_(logits, torch.tensor([[-1, -1]], dtype=torch.int32))
    assert torch.equal(logits[0, :64], before[0, :64])
    assert (logits[0, 64:] == -torch.inf).all()


def test_the_shared_mask_of_a_matcher_is_read_where_it_lies() -> None:
    row = np.array([5, 0], np.int32)
    row.flags.writeable = False
    logits = torch.zeros(1, 64)
    apply_rows_(logits, [row])
    assert torch.isfinite(logits).nonzero().tolist() == [[0, 0], [0, 2]]


@pytest.mark.parametrize("token", [40, 63, 64, 95])
@pytest.mark.parametrize("has_kernel", [True, False])
def test_refuses_to_lose_an_allowed_token_and_writes_nothing(
    token: int, has_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_kernel:
        monkeypatch.setattr(apply, "_has_kernels", lambda logits: False)
    logits = torch.zeros(2, 40)
    bitmask = torch.zeros(2, 3, dtype=torch.int32)
    bitmask[1, 0] = -1
    bitmask[1, token >> 5] = np.uint32(1 << (token & 31)).view(np.int32).item()

    with pytest.raises(LogitsError, match=f"token {token} is allowed, but there are only 40"):
        apply_bitmask_(logits, bitmask)
    with pytest.raises(LogitsError, match=f"token {token} is allowed, but there are only 40"):
        apply_rows_(logits, list(bitmask.numpy()))

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


@pytest.mark.parametrize(
    "rows",
    [
        [np.zeros(2, np.int32)] * 2,
        [np.zeros(2, np.int64)],
        [np.zeros((1, 2), np.int32)],
        [np.zeros(1, np.int32), np.zeros(2, np.int32)],
    ],
    ids=["rows", "int64", "2-d", "lengths"],
)
@pytest.mark.parametrize("has_kernel", [True, False])
def test_refuses_rows_that_do_not_fit(
    rows: list[NDArray[np.int32]], has_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "_has_kernels", lambda logits: has_kernel)
    with pytest.raises(LogitsError):
        apply_rows_(torch.zeros(1 + (rows[0].size == 1), 40), rows)


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
