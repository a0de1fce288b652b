"""The matcher's interface: every method, its wrong arguments, and depth."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, MaskStore, Matcher, Production, Terminal, Vocabulary, bitmask
from constrain.decode import engine
from constrain.decode.masker import Masker
from constrain.errors import BudgetError, DeadEndError, MatcherError
from tests.reference import fewest_tokens
from tests.timing import within

WORDS = [b'{"', b'":', b'", "', b"[[", b"[[[[", b"]]", b"]]]]", b"],", b"tru", b"e}", b"12", b"aa"]
TOKENS = (*(bytes([b]) for b in range(256)), *WORDS, b"", b"", b"")
SPECIAL, END, OTHER_END = (len(TOKENS) - n for n in (3, 2, 1))
VOCABULARY = Vocabulary.from_tokens(TOKENS, [END, OTHER_END])
DEPTH = 5000
SECONDS = 20
"""Many times what it takes."""


def grammar_of(text: str, lexing: str = "longest", **patterns: str) -> Grammar:
    """Rules as `s: A s |`, one a line, over the terminals `patterns`."""
    productions: list[Production] = []
    for line in text.splitlines():
        lhs, _, alternatives = line.partition(":")
        productions += [Production(lhs.strip(), tuple(a.split())) for a in alternatives.split("|")]
    leaves = tuple(Terminal(name, pattern) for name, pattern in patterns.items())
    return Grammar(leaves, tuple(productions), productions[0].lhs, lexing=lexing)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def json_store() -> MaskStore:
    return constrain.compile(Grammar.builtin("json"), VOCABULARY)


@pytest.fixture
def matcher(json_store: MaskStore) -> Matcher:
    return json_store.matcher()


def after(store: MaskStore, text: bytes) -> Matcher:
    matcher = store.matcher()
    assert matcher.accept_bytes(text)
    return matcher


def mask(matcher: Matcher) -> list[bool]:
    row = np.full(bitmask.n_words(len(TOKENS)), -1, np.int32)
    matcher.fill_bitmask(row)
    return bitmask.unpack(row, len(TOKENS)).tolist()


def narrowed(matcher: Matcher, n_tokens: int) -> list[bool]:
    row = np.full(bitmask.n_words(len(TOKENS)), -1, np.int32)
    matcher.fill_bitmask_within(row, n_tokens)
    return bitmask.unpack(row, len(TOKENS)).tolist()


TEXTS = [
    b"", b" ", b"{", b'{"', b'{"a', b'{"a"', b'{"a":', b'{"a": 1', b'{"a": 1}', b'{"a": 1},',
    b"[", b"[1", b"[1,", b"[[]", b"-", b"0", b"1.", b"1e", b"1e5", b"t", b"true", b"true ",
    b'"\xc3', b'"\\', b'"\\u', b'"\\u12', b'"\xf0\x9f', b"[[[[[",
]  # fmt: skip
VIABLE = [text for text in TEXTS if text != b'{"a": 1},']


# Masks, accepting and the end.


@pytest.mark.parametrize("text", VIABLE)
def test_the_mask_holds_what_is_accepted_and_no_other_id(
    json_store: MaskStore, text: bytes
) -> None:
    matcher = after(json_store, text)
    accepted = [matcher.fork().accept_token(token_id) for token_id in range(len(TOKENS))]
    assert mask(matcher) == accepted
    assert matcher.is_accepting() == accepted[END] == accepted[OTHER_END]
    assert not accepted[SPECIAL]


def test_what_is_not_accepted_changes_nothing(json_store: MaskStore) -> None:
    matcher = after(json_store, b"[1,")
    before = mask(matcher)
    for refused in (b"]", b"1]]", b"1,,", b'"a":', b"\xff"):
        assert not matcher.accept_bytes(refused)
    for token_id in (ord("]"), SPECIAL, END, -1, len(TOKENS), 1 << 40):
        assert not matcher.accept_token(token_id)
    assert matcher.text == b"[1,"
    assert mask(matcher) == before
    matcher.rollback(1)
    assert matcher.text == b""


def test_accepting_is_being_whole(json_store: MaskStore) -> None:
    whole = {b"0", b"1e5", b"true", b"true ", b'{"a": 1}'}
    assert {text for text in VIABLE if after(json_store, text).is_accepting()} == whole


@pytest.mark.parametrize("end", [END, OTHER_END])
def test_an_end_token_terminates(json_store: MaskStore, end: int) -> None:
    matcher = after(json_store, b"[]")
    assert not matcher.is_terminated()
    assert matcher.accept_token(end)
    assert matcher.is_terminated()
    assert matcher.is_accepting()
    assert matcher.text == b"[]"
    assert not any(mask(matcher))
    assert not any(narrowed(matcher, 0))
    assert not matcher.accept_token(end)
    assert not matcher.accept_token(ord(" "))
    assert not matcher.accept_bytes(b" ")
    assert not matcher.allowed_bytes().any()
    assert matcher.forced_bytes() == matcher.shortest_completion() == b""
    assert matcher.tokens_to_finish() == 0
    matcher.rollback(1)
    assert not matcher.is_terminated()
    assert matcher.accept_bytes(b" ")


def test_an_empty_text_may_be_whole() -> None:
    store = constrain.compile(grammar_of("s: A |", A="a"), VOCABULARY)
    matcher = store.matcher()
    assert matcher.is_accepting()
    assert matcher.shortest_completion() == matcher.forced_bytes() == b""
    assert matcher.tokens_to_finish() == 1
    assert np.flatnonzero(mask(matcher)).tolist() == [ord("a"), END, OTHER_END]
    assert matcher.accept_token(END)


def test_a_vocabulary_without_end_tokens_allows_none() -> None:
    vocabulary = Vocabulary.from_tokens([b"a", b"b"])
    matcher = constrain.compile(grammar_of("s: A", A="ab?"), vocabulary).matcher()
    row = bitmask.allocate(2)
    matcher.fill_bitmask_within(row, 1)
    assert bitmask.token_ids(row).tolist() == [0]
    assert matcher.accept_token(0)
    assert matcher.tokens_to_finish() == 0
    assert matcher.is_accepting()
    matcher.fill_bitmask(row)
    assert bitmask.token_ids(row).tolist() == [1]


def test_after_the_last_text_only_the_end_may_come() -> None:
    store = constrain.compile(grammar_of("s: A", A="ab"), VOCABULARY)
    assert np.flatnonzero(mask(after(store, b"ab"))).tolist() == [END, OTHER_END]


def test_an_empty_mask_is_an_error_never_a_mask(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be, so it is made to be."""
    assert matcher.accept_bytes(b'{"a')
    nothing = bitmask.allocate(len(TOKENS))
    monkeypatch.setattr(Masker, "row", lambda *_: nothing)
    matcher._engine.forget()
    with pytest.raises(DeadEndError) as caught:
        mask(matcher)
    assert caught.value.text == b'{"a'


# Rollback and fork.

STEPS = st.lists(st.sampled_from([*range(32, 127), *range(256, len(TOKENS))]), max_size=30)


@given(steps=STEPS, undone=st.integers(0, 40))
def test_rollback_is_never_having_accepted(steps: list[int], undone: int) -> None:
    store = rollback_store()
    matcher = store.matcher()
    states = [state_of(matcher)]
    states += [state_of(matcher) for token_id in steps if matcher.accept_token(token_id)]
    if undone >= len(states):
        with pytest.raises(MatcherError, match=f"{undone} tokens: only {len(states) - 1} were"):
            matcher.rollback(undone)
        assert matcher.text == states[-1][0]
        return
    matcher.rollback(undone)
    assert state_of(matcher) == states[-1 - undone]


def state_of(matcher: Matcher) -> tuple[bytes, list[bool], bool]:
    return matcher.text, mask(matcher), matcher.is_terminated()


def rollback_store(known: list[MaskStore] = []) -> MaskStore:  # noqa: B006 - one for all examples
    if not known:
        known.append(constrain.compile(Grammar.builtin("json"), VOCABULARY))
    return known[0]


def test_a_negative_rollback_is_refused(matcher: Matcher) -> None:
    with pytest.raises(MatcherError):
        matcher.rollback(-1)


def test_bytes_count_as_one_token_and_no_bytes_too(matcher: Matcher) -> None:
    for added in (b'{"a', b"", b'":'):
        assert matcher.accept_bytes(added)
    for text in (b'{"a', b'{"a', b""):
        matcher.rollback(1)
        assert matcher.text == text


def test_forks_go_their_own_ways(json_store: MaskStore) -> None:
    matcher = after(json_store, b"[1")
    fork = matcher.fork()
    assert fork.accept_bytes(b", 2]")
    assert matcher.accept_bytes(b"0]")
    assert (matcher.text, fork.text) == (b"[10]", b"[1, 2]")
    fork.rollback(2)
    assert (matcher.text, fork.text) == (b"[10]", b"")


# Bytes.


@pytest.mark.parametrize("text", VIABLE)
def test_allowed_bytes_are_those_accepted(json_store: MaskStore, text: bytes) -> None:
    matcher = after(json_store, text)
    accepted = [matcher.fork().accept_bytes(bytes([byte])) for byte in range(256)]
    allowed = matcher.allowed_bytes()
    assert allowed.dtype == np.bool_
    assert allowed.tolist() == accepted


@pytest.mark.parametrize(
    ("text", "forced"),
    [
        (b"t", b"rue"), (b"[nu", b"ll"), (b"true", b""), (b"", b""), (b"{", b""), (b'"\\u', b""),
        (b'{"a', b""), (b"1", b""), (b"-", b""), (b"[f", b"alse"),
    ],
)  # fmt: skip
def test_forced_bytes_of_json(json_store: MaskStore, text: bytes, forced: bytes) -> None:
    matcher = after(json_store, text)
    assert matcher.forced_bytes() == forced
    assert matcher.text == text


def test_all_of_a_single_text_is_forced() -> None:
    store = constrain.compile(grammar_of("s: A B A", A="ab", B="é"), VOCABULARY)
    assert store.matcher().forced_bytes() == "abéab".encode()
    assert after(store, b"ab\xc3").forced_bytes() == b"\xa9ab"
    assert after(store, "abéab".encode()).forced_bytes() == b""


def test_bytes_are_forced_up_to_a_choice_or_a_whole_text() -> None:
    store = constrain.compile(grammar_of("s: A B | A C | A", A="aab", B="cd", C="ce"), VOCABULARY)
    assert store.matcher().forced_bytes() == b"aab"
    assert after(store, b"aab").forced_bytes() == b""
    assert after(store, b"aabc").forced_bytes() == b""


# Completions.


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (b"", 1), (b" ", 1), (b"{", 1), (b'{"', 4), (b'{"a', 4), (b'{"a"', 3), (b'{"a":', 2),
        (b'{"a": 1', 1), (b"[1,", 2), (b"[[]", 1), (b"-", 1), (b"1.", 1), (b"1e", 1), (b"t", 3),
        (b'"\xc3', 2), (b'"\\', 2), (b'"\\u12', 3), (b'"\xf0\x9f', 3), (b"[[[[[", 5), (b"0", 0),
    ],
)  # fmt: skip
def test_shortest_completions_of_json(json_store: MaskStore, text: bytes, length: int) -> None:
    matcher = after(json_store, text)
    completion = matcher.shortest_completion()
    assert len(completion) == length
    fewest = fewest_tokens(TOKENS, completion)
    assert fewest is not None
    assert matcher.tokens_to_finish() == fewest + 1
    assert matcher.accept_bytes(completion)
    assert matcher.is_accepting()


@pytest.mark.parametrize("text", VIABLE)
@pytest.mark.parametrize("spare", [0, 1, 2, 5])
def test_a_narrowed_mask_holds_the_tokens_that_leave_time(
    json_store: MaskStore, text: bytes, spare: int
) -> None:
    matcher = after(json_store, text)
    n_tokens = matcher.tokens_to_finish() + spare
    wanted = []
    for token_id, is_allowed in enumerate(mask(matcher)):
        fork = matcher.fork()
        wanted.append(
            is_allowed and fork.accept_token(token_id) and fork.tokens_to_finish() <= n_tokens - 1
        )
    assert narrowed(matcher, n_tokens) == wanted
    assert any(wanted)


@pytest.mark.parametrize("text", VIABLE)
def test_a_budget_that_is_too_small_is_refused_with_what_is_needed(
    json_store: MaskStore, text: bytes
) -> None:
    matcher = after(json_store, text)
    needed = matcher.tokens_to_finish()
    for given_tokens in {0, needed - 1, -5}:
        with pytest.raises(BudgetError) as caught:
            narrowed(matcher, given_tokens)
        assert (caught.value.needed, caught.value.given) == (needed, given_tokens)
    assert narrowed(matcher, 10_000) == mask(matcher)


@pytest.mark.parametrize("first", [b"a", b"aa", b"d"])
def test_each_first_token_within_the_budget_can_be_finished(first: bytes) -> None:
    """Behind `aa` the completion `xyq` has fewer bytes, `zzzz` fewer tokens."""
    grammar = grammar_of(
        "s: W W X Y Q | W Z | D", "any", W="a+", X="x", Y="y", Q="q", Z="zzzz", D="d"
    )
    tokens = [b"a", b"aa", b"d", b"x", b"y", b"q", b"z", b"zzzz", b""]
    matcher = constrain.compile(grammar, Vocabulary.from_tokens(tokens, [8])).matcher()
    row = bitmask.allocate(len(tokens))
    for n_left in (3, 2, 1):
        matcher.fill_bitmask_within(row, n_left)
        allowed = bitmask.token_ids(row).tolist()
        token_id = tokens.index(first) if n_left == 3 else allowed[-1]
        if token_id not in allowed:
            return
        assert matcher.accept_token(token_id)
        if matcher.is_terminated():
            return
    raise AssertionError(f"not finished: {matcher.text!r}")


# Wrong arguments.

WORDS_OF_ROW = bitmask.n_words(len(TOKENS))


@pytest.mark.parametrize(
    "row",
    [
        np.zeros(WORDS_OF_ROW, np.int64),
        np.zeros(WORDS_OF_ROW, np.uint32),
        np.zeros(WORDS_OF_ROW, np.float32),
        np.zeros(WORDS_OF_ROW + 1, np.int32),
        np.zeros(WORDS_OF_ROW - 1, np.int32),
        np.zeros((1, WORDS_OF_ROW), np.int32),
        np.zeros((), np.int32),
        np.zeros(len(TOKENS), np.bool_),
    ],
    ids=lambda row: f"{row.dtype}{list(row.shape)}",
)
def test_a_row_of_another_kind_is_refused(matcher: Matcher, row: np.ndarray) -> None:
    for fill in (matcher.fill_bitmask, lambda row: matcher.fill_bitmask_within(row, 100)):
        with pytest.raises(MatcherError, match=rf"int32\[{WORDS_OF_ROW}\]"):
            fill(row)
    assert not row.any()


def test_a_row_of_a_batch_is_filled_in_place(matcher: Matcher) -> None:
    rows = np.full((3, 2, WORDS_OF_ROW), -1, np.int32)
    matcher.fill_bitmask(rows[1, 0])
    assert bitmask.unpack(rows[1, 0], len(TOKENS)).tolist() == mask(matcher)
    assert (rows[[0, 2]] == -1).all()
    assert (rows[1, 1] == -1).all()
    columns = np.full((WORDS_OF_ROW, 2), -1, np.int32)
    matcher.fill_bitmask(columns[:, 1])
    assert (columns[:, 1] == rows[1, 0]).all()
    assert (columns[:, 0] == -1).all()


def test_a_filled_row_belongs_to_its_owner(json_store: MaskStore) -> None:
    """Writing into it never reaches the store's own rows."""
    matcher = after(json_store, b"[")
    before = mask(matcher)
    row = bitmask.allocate(len(TOKENS))
    matcher.fill_bitmask(row)
    row[:] = 0
    assert mask(matcher) == before


def test_token_ids_may_be_numpy_integers(matcher: Matcher) -> None:
    assert matcher.accept_token(np.int64(ord("[")))
    assert matcher.text == b"["


# Several matchers.


def test_matchers_of_one_store_may_live_in_several_threads() -> None:
    store = constrain.compile(Grammar.builtin("json"), VOCABULARY)
    text = b'{"a": [1.5e3, "\\u00e9", {}, [[true]]], "b": null}'
    expected = list(masks_along(rollback_store(), text))
    failures: list[int] = []

    def work(index: int) -> None:
        if list(masks_along(store, text)) != expected:
            failures.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def masks_along(store: MaskStore, text: bytes) -> Iterator[bytes]:
    matcher, row = store.matcher(), bitmask.allocate(len(TOKENS))
    for byte in text:
        matcher.fill_bitmask(row)
        yield row.tobytes()
        matcher.fill_bitmask_within(row, 60)
        yield row.tobytes()
        assert matcher.accept_bytes(bytes([byte]))


# Depth. Each case: what to repeat, what to put in the middle, what closes one level.

DEEP = {
    "json arrays": (None, b"[", b"1", b"]"),
    "json objects": (None, b'{"a":', b"1", b"}"),
    "brackets": (grammar_of("s: L s R | A", L=r"\[", R=r"\]", A="a"), b"[", b"a", b"]"),
    "right recursion": (grammar_of("s: A s | B", A="a", B="b"), b"a", b"b", b""),
    "left recursion": (grammar_of("s: s A | A", A="a"), b"a", b"a", b""),
}


@pytest.mark.parametrize("case", DEEP)
def test_depth_needs_no_recursion(case: str) -> None:
    with within(SECONDS):
        go_deep(*DEEP[case])


def go_deep(grammar: Grammar | None, opening: bytes, middle: bytes, closing: bytes) -> None:
    store = constrain.compile(grammar or Grammar.builtin("json"), VOCABULARY)
    matcher = store.matcher()
    for _ in range(DEPTH):
        assert matcher.accept_bytes(opening)
    fork = matcher.fork()
    completion = fork.shortest_completion()
    assert len(completion) <= DEPTH * len(closing) + 1
    needed = fork.tokens_to_finish()
    assert any(narrowed(fork, needed))
    assert mask(fork)[middle[0]]
    assert str(fork.explain(ord("x")))
    assert fork.allowed_bytes()[middle[0]]
    fork.forced_bytes()
    assert fork.accept_bytes(completion)
    assert fork.is_accepting()

    assert matcher.accept_bytes(middle)
    for _ in range(DEPTH if closing else 0):
        assert not matcher.is_accepting()
        assert matcher.accept_bytes(closing)
    assert matcher.is_accepting()
    assert mask(matcher)[END]
    matcher.rollback(DEPTH)
    del fork, matcher  # a chain of as many objects is taken apart


def test_a_hundred_thousand_tokens_are_taken_apart_without_recursion(
    json_store: MaskStore,
) -> None:
    matcher = after(json_store, b'"')
    for _ in range(100_000):
        matcher.accept_token(ord("a"))
    assert len(matcher.text) == 100_001
    matcher.rollback(99_000)
    assert matcher.text == b'"' + b"a" * 1000


def test_a_deep_text_may_be_given_at_once(json_store: MaskStore) -> None:
    matcher = after(json_store, b"[" * DEPTH + b"]" * DEPTH)
    assert matcher.is_accepting()


# What is shared is bounded, and forgotten without a trace.


@pytest.mark.parametrize(("states", "masks"), [(2, 10_000), (10_000, 1)])
def test_forgetting_what_texts_share_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, states: int, masks: int
) -> None:
    text = b'{"a": [1, {"b": true}], "c": "d"}'
    steady = constrain.compile(Grammar.builtin("json"), VOCABULARY).matcher()
    monkeypatch.setattr(engine, "MAX_STATES", states)
    store = constrain.compile(Grammar.builtin("json"), VOCABULARY)
    store._engine.masker.max_rows = masks
    forgetful = [store.matcher(), store.matcher()]
    for byte in text:
        expected = mask(steady)
        assert [mask(one) for one in forgetful] == [expected, expected]
        assert all(one.accept_token(byte) for one in (steady, *forgetful))
        assert len(store._engine._states) <= states
        assert len(store._engine._masks) <= masks
    assert all(one.accept_token(END) and one.is_terminated() for one in forgetful)
    assert not any(mask(forgetful[0]))


def test_a_token_that_another_matcher_read_is_refused_where_it_must_be(
    json_store: MaskStore,
) -> None:
    one, other = after(json_store, b"[1"), after(json_store, b"[1")
    assert one.accept_token(ord("]"))
    assert one.accept_token(END)
    assert not one.accept_token(END)
    assert not one.accept_token(ord("]"))
    assert other.accept_token(ord("]"))
    assert not other.accept_token(ord("]"))
    assert not other.accept_token(-1)
    assert other.accept_token(np.int64(END))  # type: ignore[arg-type]


def test_memory_is_told_and_given_back() -> None:
    store = constrain.compile(Grammar.builtin("json"), VOCABULARY)
    before = store.memory()
    for n in range(20):
        mask(after(store, b"[" * n))
    full = store.memory()
    assert full["masks"] > before["masks"] == 0
    assert full["answers"] >= before["answers"] > 0
    assert before["vocabulary"] > sum(map(len, TOKENS))
    store.forget()
    assert store.memory()["masks"] == 0
