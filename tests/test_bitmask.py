"""The packed layout, against the sentence that defines it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain import bitmask
from constrain.errors import BitmaskError

# Few tokens, to shrink well, or enough to reach bit 31 and several words.
masks = st.sampled_from([0, 31, 64]).flatmap(
    lambda n: st.lists(st.booleans(), min_size=n, max_size=n + 40)
)


@given(masks)
@example([True] * 32)
@example([False] * 31 + [True, True])
def test_a_tokens_bit_is_where_the_layout_says(allowed: list[bool]) -> None:
    row = bitmask.pack(np.array(allowed, np.bool_))

    assert row.dtype == np.int32
    assert row.size == bitmask.n_words(len(allowed))
    for bit in range(32 * row.size):
        wanted = bit < len(allowed) and allowed[bit]
        assert bool(int(row[bit >> 5]) >> (bit & 31) & 1) == wanted


@given(masks)
def test_unpack_count_and_token_ids_read_what_pack_wrote(allowed: list[bool]) -> None:
    row = bitmask.pack(np.array(allowed, np.bool_))
    ids = [i for i, is_allowed in enumerate(allowed) if is_allowed]

    assert bitmask.unpack(row, len(allowed)).tolist() == allowed
    assert bitmask.count(row) == len(ids)
    assert bitmask.token_ids(row).tolist() == ids


def test_a_row_of_a_larger_array_reads_as_a_copy_of_it() -> None:
    rows = np.arange(24, dtype=np.int32).reshape(4, 6)

    for row in (rows[:, 2], rows[1]):
        assert bitmask.count(row) == sum(int(word).bit_count() for word in row)
        assert bitmask.token_ids(row).tolist() == bitmask.token_ids(row.copy()).tolist()


@pytest.mark.parametrize(("n_tokens", "words"), [(0, 0), (1, 1), (32, 1), (33, 2), (128256, 4008)])
def test_words_round_up(n_tokens: int, words: int) -> None:
    row = bitmask.allocate(n_tokens)

    assert bitmask.n_words(n_tokens) == words
    assert row.shape == (words,)
    assert row.dtype == np.int32
    assert not row.any()


def test_unpacking_owns_its_memory() -> None:
    row = bitmask.allocate(8)
    bitmask.unpack(row, 8)[:] = True
    assert not row.any()


def test_what_is_no_bitmask_is_refused() -> None:
    with pytest.raises(BitmaskError, match="33 tokens has 2 words, not 1"):
        bitmask.unpack(bitmask.allocate(32), 33)
    with pytest.raises(BitmaskError, match="at or above its 5 tokens"):
        bitmask.unpack(np.array([32], np.int32), 5)
    with pytest.raises(BitmaskError, match=r"int64\[2\]"):
        bitmask.count(np.zeros(2, np.int64))
    with pytest.raises(BitmaskError, match=r"int32\[1, 2\]"):
        bitmask.token_ids(np.zeros((1, 2), np.int32))
    with pytest.raises(BitmaskError, match=r"uint8\[3\]"):
        bitmask.pack(np.zeros(3, np.uint8))
