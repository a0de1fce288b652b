"""Margins: how far a line is indented. `test_layout.py` compares whole texts with CPython."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.automata.margin import Margin, bytes_between, canonical_effect, moved

pieces = st.sampled_from([" ", "  ", "\t", "\f", "\n", "\r", "\r\n", "\\\n", "\\", "#", "#c"])
added_bytes = st.lists(pieces, max_size=6).map(lambda parts: "".join(parts).encode())


@given(added_bytes, added_bytes)
@example(b"  ", b"\\\r\n")
@example(b"  \\", b"\r\n")
@example(b"  \\", b"\n \n  ")
@example(b"  \\\r", b"\n")
def test_an_effect_moves_every_margin_as_its_bytes_do(before: bytes, added: bytes) -> None:
    margin = moved(Margin(), before)
    assert moved(margin, canonical_effect(added)) == moved(margin, added)


@given(added_bytes, added_bytes)
def test_bytes_move_a_margin_at_once_as_one_by_one(before: bytes, added: bytes) -> None:
    margin = slowly = moved(Margin(), before)
    for byte in added:
        slowly = slowly.after(byte)
    assert moved(margin, added) == slowly


@pytest.mark.parametrize(
    ("text", "column", "alternative"),
    [
        (b"", 0, 0),
        (b"  ", 2, 2),
        (b"\t", 8, 1),
        (b"  \t ", 9, 4),
        (b"   \f ", 1, 1),
        (b"  \n ", 1, 1),
        (b"  \\\n    ", 2, 2),
        (b"\\\n    ", 4, 4),
        (b"\t\\\n ", 8, 8),
        (b" # c\n  ", 2, 2),
    ],
)
def test_columns(text: bytes, column: int, alternative: int) -> None:
    margin = moved(Margin(), text)
    assert (margin.column, margin.alternative) == (column, alternative)


@given(st.integers(0, 6), st.text(" \t", max_size=12), st.text(" \t", max_size=12))
def test_so_many_bytes_lead_from_a_margin_to_a_column(
    n_blanks: int, before: str, behind: str
) -> None:
    start = moved(Margin(), before.encode())
    target = moved(start, behind.encode())
    assert bytes_between(target.column, target.alternative, start) == len(behind)
    wrong = bytes_between(target.column + 1 + n_blanks, target.alternative, start)
    if wrong is not None:  # then some other text of this length does lead there
        texts = map("".join, product(" \t", repeat=len(behind)))
        assert any(
            moved(start, text.encode()).column == target.column + 1 + n_blanks for text in texts
        )
