"""fill_bitmasks against each matcher's own mask; errors, threads, rows without a matcher."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask, fill_bitmasks
from constrain.decode.batch import masks_of
from constrain.decode.engine import Engine, State
from constrain.errors import BitmaskError, ConstrainError, DeadEndError
from tests.timing import within

TOKENS = (*(bytes([b]) for b in range(256)), b'{"', b'":', b"[[", b"tru", b"12", b"")
END = len(TOKENS) - 1
VOCABULARY = Vocabulary.from_tokens(TOKENS, [END])
WORDS = bitmask.n_words(len(TOKENS))
TEXTS = [b"", b"{", b'{"a', b'{"a":', b"[", b"[1", b"tr", b"12", b'"x', b"[[[", b"[] "]
SCHEMA = {"type": "array", "items": {"type": "integer"}}


@pytest.fixture(scope="module")
def stores() -> list[MaskStore]:
    grammars = [
        Grammar.builtin("json"),
        Grammar.builtin("calc"),
        Grammar.from_json_schema(SCHEMA),
        Grammar.from_choices(["12", "[1]", "true"]),
    ]
    return [constrain.compile(grammar, VOCABULARY) for grammar in grammars]


def matchers_of(
    stores: list[MaskStore], drawn: list[tuple[int, bytes] | None]
) -> list[Matcher | None]:
    """New matchers behind as much of a text as their grammar takes."""
    matchers: list[Matcher | None] = []
    for one in drawn:
        matcher = None if one is None else stores[one[0]].matcher()
        if matcher is not None and one is not None:
            matcher.accept_bytes(one[1])
        matchers.append(matcher)
    return matchers


@given(
    drawn=st.lists(
        st.none() | st.tuples(st.integers(0, 3), st.sampled_from(TEXTS)), min_size=0, max_size=12
    ),
    threads=st.sampled_from([None, 0, 1, 2, 5]),
    are_known=st.booleans(),
)
def test_each_row_is_the_mask_of_its_matcher(
    stores: list[MaskStore],
    drawn: list[tuple[int, bytes] | None],
    threads: int | None,
    are_known: bool,
) -> None:
    matchers = matchers_of(stores, drawn)
    wanted = np.full((len(matchers), WORDS), -1, np.int32)
    for row, matcher in zip(wanted, matchers, strict=True):
        if matcher is not None:
            matcher.fill_bitmask(row)
    if not are_known:
        for store in stores:
            store.forget()
    out = np.full((len(matchers), WORDS), 0x55555555, np.int32)

    fill_bitmasks(matchers, out, threads)

    assert np.array_equal(out, wanted)
    for mask, matcher in zip(masks_of(matchers, threads), matchers, strict=True):
        assert (mask is None) == (matcher is None)
        assert mask is None or not mask.flags.writeable


def test_a_tensors_memory_is_written(stores: list[MaskStore]) -> None:
    out = torch.zeros((2, 2 * WORDS), dtype=torch.int32)[:, ::2]
    matcher = stores[0].matcher()
    fill_bitmasks([matcher, None], out.numpy())
    assert np.array_equal(out[0].numpy(), matcher.mask())
    assert (out[1] == -1).all()


def test_rows_without_a_matcher_leave_the_logits_of_all_tokens(stores: list[MaskStore]) -> None:
    out = np.zeros((2, WORDS), np.int32)
    fill_bitmasks([stores[1].matcher(), None], out)
    logits = torch.ones(2, len(TOKENS))
    assert len(TOKENS) % 32
    constrain.apply_bitmask_(logits, torch.from_numpy(out))
    assert (logits[1] == 1).all()
    assert (logits[0] == -torch.inf).any()


def test_stores_are_asked_at_the_same_time(
    stores: list[MaskStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    mask = Matcher.mask

    def meeting(self: Matcher) -> np.ndarray:  # type: ignore[type-arg]
        both.wait(10)
        return mask(self)

    for store in stores:
        store.forget()
    monkeypatch.setattr(Matcher, "mask", meeting)
    with within(20):
        masks = masks_of([stores[0].matcher(), stores[1].matcher()], threads=2)
    assert all(row is not None for row in masks)


@pytest.mark.parametrize("threads", [None, 3])
def test_an_error_names_its_row_and_nothing_is_written(
    stores: list[MaskStore], threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = stores[1].matcher()
    mask = Matcher.mask

    def failing(self: Matcher) -> np.ndarray:  # type: ignore[type-arg]
        if self is bad:
            raise DeadEndError(b"12", "no token may come next")
        return mask(self)

    for store in stores:
        store.forget()
    monkeypatch.setattr(Matcher, "mask", failing)
    out = np.full((4, WORDS), 7, np.int32)
    with pytest.raises(DeadEndError, match=r"^row 2: no token may come next; text") as raised:
        fill_bitmasks([stores[0].matcher(), None, bad, stores[3].matcher()], out, threads)
    assert raised.value.text == b"12"
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((2, WORDS), np.int64), r"int32\[2, W\], not int64"),
        (np.zeros(2 * WORDS, np.int32), r"not int32\[18\]"),
        (torch.zeros((2, WORDS), dtype=torch.int32), "numpy"),
        (np.zeros((3, WORDS), np.int32), "2 matchers and 3 rows"),
        (np.zeros((2, WORDS + 1), np.int32), f"row 1: its vocabulary takes {WORDS} words"),
    ],
    ids=["int64", "1-d", "tensor", "rows", "words"],
)
def test_refuses_what_does_not_fit(stores: list[MaskStore], out: object, message: str) -> None:
    with pytest.raises(BitmaskError, match=message):
        fill_bitmasks([None, stores[0].matcher()], out)  # type: ignore[arg-type]


def test_many_threads_see_the_same_masks_while_all_is_forgotten(stores: list[MaskStore]) -> None:
    drawn: list[tuple[int, bytes] | None] = [(i, text) for i in range(4) for text in TEXTS]
    matchers = matchers_of(stores, drawn)
    wanted = [matcher.mask().copy() for matcher in matchers if matcher is not None]
    failures: list[object] = []

    def ask(forget: Callable[[], None]) -> None:
        try:
            for _ in range(15):
                forget()
                found = masks_of(matchers_of(stores, drawn), 3)
                if not all(map(np.array_equal, found, wanted)):
                    failures.append(found)
        except ConstrainError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(store.forget,)) for store in stores[:3]]
    with within(60):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_a_mask_that_is_forgotten_at_once_is_no_dead_end(
    stores: list[MaskStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Engine.mask

    def forgotten(self: Engine, state: State) -> np.ndarray:  # type: ignore[type-arg]
        found = mask(self, state)
        self.forget()
        return found

    stores[0].forget()
    monkeypatch.setattr(Engine, "mask", forgotten)
    assert stores[0].matcher().mask().any()
