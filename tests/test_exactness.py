"""The engine against the oracle, on random grammars and vocabularies small enough to enumerate.

"Allowed" is proved by a witness: the engine names a completion, and the oracle accepts the
whole text. "Not allowed" is proved up to a bound: the oracle tries every text that the
vocabulary spells. Both directions are exact, whatever the bound, for what they find.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import cached_property, wraps

import numpy as np
import pytest
from hypothesis import Phase, currently_in_test_context, event, example, given, settings
from numpy.typing import NDArray

import constrain
from constrain import MaskStore, Matcher, Vocabulary, bitmask
from constrain.errors import (
    BudgetError,
    EmptyLanguageError,
    EmptyTerminalError,
    UnreachableTerminalError,
    UnspellableError,
    ViabilityLimitError,
)
from constrain.grammar.rules import Grammar, Lexing, Production, Terminal
from tests.profiles import NIGHTLY
from tests.reference import Reference, fewest_tokens, spelled_texts
from tests.strategies import Case, cases

BOUND_BYTES = 6
BOUND_TEXTS = 130
BYTES_TO_TRY = b"abcdA\xc3\xa9\xff"
NO_LIMIT = 100_000
UNDECIDED = "refused: not decided"
MOST_UNDECIDED = 0.05
N_GRAMMARS = 300

# The main property has the profile's number of examples, each of the others a third.
third = settings(max_examples=max(1, settings.default.max_examples // 3))


class Truth:
    """What the oracle says about one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.reference = Reference(case.grammar)
        self.accepts = self.reference.accepts

    @cached_property
    def continuations(self) -> list[bytes]:
        """Every text up to some length that the vocabulary spells, shortest first."""
        return spelled_texts(self.case.tokens, BOUND_BYTES, BOUND_TEXTS)

    @cached_property
    def is_spelled_by_bytes(self) -> bool:
        """Every byte of any token is a token."""
        return {bytes([byte]) for token in self.case.tokens for byte in token} <= {
            *self.case.tokens
        }

    def mask(self, matcher: Matcher) -> NDArray[np.bool_]:
        """bool[V]: the tokens allowed."""
        size = len(self.case.tokens)
        row = np.full(bitmask.n_words(size), -1, np.int32)
        matcher.fill_bitmask(row)
        allowed = bitmask.unpack(row, size)
        assert bitmask.count(row) == allowed.sum(), "a bit above V is set"
        return allowed

    def steps(self, matcher: Matcher) -> Iterator[bytes]:
        """Lead `matcher` along the walk; the text before the first token and after each."""
        text = b""
        yield text
        for choice in self.case.walk:
            allowed = np.flatnonzero(self.mask(matcher)).tolist()
            ids = [i for i in allowed if i not in self.case.end_ids]
            if not ids:
                return
            token_id = ids[choice % len(ids)]
            assert matcher.accept_token(token_id)
            text += self.case.tokens[token_id]
            yield text

    def completions(self, text: bytes) -> Iterator[bytes]:
        """The completions of `text` up to the bound, shortest first."""
        return (added for added in self.continuations if self.accepts(text + added))

    def assert_viable(self, text: bytes, completion: bytes) -> None:
        """`completion` completes `text`, tokens spell it, and none is shorter."""
        assert self.accepts(text + completion), self.told(text, f"{completion!r} completes nothing")
        spelled = fewest_tokens(self.case.tokens, completion) is not None
        assert spelled, self.told(text, f"no tokens spell {completion!r}")
        shortest = next(self.completions(text), completion)
        assert len(shortest) >= len(completion), self.told(text, f"{shortest!r} is shorter")

    def assert_not_viable(self, text: bytes) -> None:
        """No text up to the bound completes `text`."""
        completion = next(self.completions(text), None)
        assert completion is None, self.told(text, f"{completion!r} completes it: is viable")

    def told(self, text: bytes, problem: str) -> str:
        """The whole counterexample."""
        return f"after {text!r}: {problem}\n{self.case}"


def compiled(case: Case) -> MaskStore | None:
    """The case's store; None where compilation was refused.

    A refusal because there is no text is checked; one because of a limit is only counted.
    """
    try:
        return constrain.compile(case.grammar, Vocabulary.from_tokens(case.tokens, case.end_ids))
    except (EmptyLanguageError, UnspellableError, UnreachableTerminalError) as error:
        if isinstance(error.__cause__, ViabilityLimitError):
            tell(UNDECIDED)
        else:
            tell(f"refused: {type(error).__name__}")
            Truth(case).assert_not_viable(b"")
    except ViabilityLimitError:
        tell(UNDECIDED)
    return None


def tell(kind: str) -> None:
    """Count `kind` in Hypothesis' statistics, where a property is being tested."""
    if currently_in_test_context():
        event(kind)


def decided(check: Callable[[Case], None]) -> Callable[[Case], None]:
    """`check`, which only counts the cases whose search reaches its stated bound.

    `test_few_grammars_are_too_tangled_to_decide` bounds how many those may be.
    """

    @wraps(check)
    def counted(case: Case) -> None:
        try:
            check(case)
        except ViabilityLimitError:
            tell(UNDECIDED)

    return counted


def check_masks(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth = Truth(case)
    matcher, by_rows = store.matcher(), matcher_by_rows(case)
    for text in truth.steps(matcher):
        assert matcher.text == text
        check_mask(truth, matcher, text)
        assert by_rows.accept_bytes(text[len(by_rows.text) :])
        told = truth.told(text, "rows say otherwise than walks")
        assert (truth.mask(by_rows) == truth.mask(matcher)).all(), told


def matcher_by_rows(case: Case) -> Matcher:
    """A matcher whose masks are all made of stored rows, as over a vocabulary that is not small."""
    store = compiled(case)
    assert store is not None
    store._engine.masker.walker.max_small = -1
    return store.matcher()


def check_mask(truth: Truth, matcher: Matcher, text: bytes) -> None:
    case = truth.case
    allowed = truth.mask(matcher)
    is_whole = truth.accepts(text)
    assert matcher.is_accepting() == is_whole, truth.told(text, f"is in the language: {is_whole}")
    proved: dict[bytes, bool] = {}
    for token_id, token in enumerate(case.tokens):
        claim = bool(allowed[token_id])
        if token:
            if token not in proved:
                check_token(truth, matcher, token_id, claim)
            assert proved.setdefault(token, claim) == claim, truth.told(text, "equal tokens differ")
        else:
            ends = token_id in case.end_ids and is_whole
            assert claim == ends, truth.told(text, f"special token {token_id} allowed: {claim}")
            check_end(truth, matcher, token_id, ends)


def check_token(truth: Truth, matcher: Matcher, token_id: int, claim: bool) -> None:
    text, token = matcher.text, truth.case.tokens[token_id]
    after = matcher.fork()
    accepted = after.accept_token(token_id)
    assert accepted == claim, truth.told(text, f"{token!r}: mask {claim}, accept_token {accepted}")
    if claim:
        assert after.text == text + token
        truth.assert_viable(text + token, after.shortest_completion())
    else:
        assert after.text == text
        truth.assert_not_viable(text + token)


def check_end(truth: Truth, matcher: Matcher, token_id: int, ends: bool) -> None:
    after = matcher.fork()
    assert after.accept_token(token_id) == ends
    assert after.is_terminated() == ends
    if ends:
        after.rollback(1)
    assert not after.is_terminated()
    assert (truth.mask(after) == truth.mask(matcher)).all()


def standard(grammar: Grammar, *longer: bytes, walk: tuple[int, ...] = ()) -> Case:
    tokens = (b"", b"a", b"b", b"c", b"ab", b"bb", b"abc", b"bbc", b"cab", *longer)
    return Case(grammar, tokens, (0,), walk)


def sequence(lexing: Lexing, *patterns: str) -> Grammar:
    """The grammar of `patterns` in a row."""
    terminals = tuple(Terminal(f"T{i}", pattern) for i, pattern in enumerate(patterns))
    rule = Production("s", tuple(t.name for t in terminals))
    return Grammar(terminals, (rule,), "s", lexing=lexing)


TRAP = ("ab*", "b")
RELATIVES = [
    TRAP,
    ("ab*", "b", "c"),
    ("ab*", "b?c"),
    ("ab*", "b*c"),
    ("a(bc)*", "bb"),
    ("a(bc)*", "b", "b|c"),
    ("a(b+c)?", "b+", "a"),
    ("a|abc", "b", "c|b"),
    ("(ab)+", "a", "b"),
    ("[ab]+", "[bc]+"),
    ("[^a]+", "[^c]"),
    ("a.", "c", "a."),
]


# No text is two A, and still an A may be what begins: it, and no C, swallows "aa".
SWALLOWER = Grammar(
    (Terminal("A", "a+"), Terminal("C", "ab*")),
    (Production("s", ("C", "A")), Production("s", ("A", "A"))),
    "s",
)


@given(cases())
@example(standard(sequence("longest", *TRAP)))
@example(standard(sequence("any", *TRAP), walk=(0, 1, 1)))
@example(standard(SWALLOWER))
@decided
def test_a_token_is_allowed_iff_it_can_be_completed(case: Case) -> None:
    check_masks(case)


@pytest.mark.slow
@NIGHTLY
@given(cases())
@decided
def test_a_token_is_allowed_iff_it_can_be_completed_at_length(case: Case) -> None:
    check_masks(case)


WALKS = [(0, 0, 0, 0), (1, 1, 1, 1), (3, 3, 3), (2, 4, 0)]


@pytest.mark.parametrize("lexing", ["longest", "any"])
@pytest.mark.parametrize("patterns", RELATIVES, ids=" ".join)
@pytest.mark.parametrize("walk", WALKS)
def test_terminals_that_run_into_each_other(
    patterns: tuple[str, ...], lexing: Lexing, walk: tuple[int, ...]
) -> None:
    check_masks(standard(sequence(lexing, *patterns), walk=walk))


def test_a_grammar_without_texts_by_longest_match_names_the_two_terminals() -> None:
    with pytest.raises(UnreachableTerminalError) as raised:
        constrain.compile(
            sequence("longest", *TRAP), Vocabulary.from_tokens([b"a", b"b", b""], [2])
        )
    assert (raised.value.swallower, raised.value.swallowed) == ("T0", "T1")
    assert "T0" in str(raised.value)
    assert "T1" in str(raised.value)


def test_a_trap_beside_a_way_out_is_never_entered() -> None:
    terminals = (Terminal("A", "ab*"), Terminal("B", "b"), Terminal("C", "c"))
    rules = (Production("s", ("A", "B")), Production("s", ("A", "C")))
    check_masks(standard(Grammar(terminals, rules, "s"), walk=(0, 0, 0)))


def test_a_terminal_that_matches_nothing_at_all_is_refused() -> None:
    with pytest.raises(EmptyTerminalError, match="T0"):
        constrain.compile(sequence("longest", "a*"), Vocabulary.from_tokens([b"a", b""], [1]))


@third
@given(cases())
@decided
def test_bytes_are_allowed_iff_they_can_be_completed(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    for text in truth.steps(matcher):
        allowed = matcher.allowed_bytes()
        assert allowed.shape == (256,)
        others = [b for b in np.flatnonzero(allowed).tolist() if b not in BYTES_TO_TRY]
        for byte in (*BYTES_TO_TRY, *others[:2]):
            check_bytes(truth, matcher, bytes([byte]), bool(allowed[byte]))
        for added in truth.continuations[-20:]:
            check_bytes(truth, matcher, added, None)
        assert matcher.text == text


def check_bytes(truth: Truth, matcher: Matcher, added: bytes, claim: bool | None) -> None:
    """`accept_bytes` agrees with `claim`, if there is one, and with the oracle."""
    text, after = matcher.text, matcher.fork()
    accepted = after.accept_bytes(added)
    assert claim in (None, accepted), truth.told(
        text, f"{added!r}: allowed_bytes {claim}, accept_bytes {accepted}"
    )
    if accepted:
        assert after.text == text + added
        truth.assert_viable(text + added, after.shortest_completion())
    else:
        assert after.text == text
        truth.assert_not_viable(text + added)


@third
@given(cases())
@decided
def test_a_token_and_its_bytes_lead_to_the_same_state(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    for text in truth.steps(matcher):
        by_bytes = store.matcher()
        assert by_bytes.accept_bytes(text)
        assert (truth.mask(by_bytes) == truth.mask(matcher)).all()
        assert by_bytes.is_accepting() == matcher.is_accepting()
        assert len(by_bytes.shortest_completion()) == len(matcher.shortest_completion())


@third
@given(cases())
@decided
def test_forced_bytes_are_the_longest_common_start_of_all_completions(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    for text in truth.steps(matcher):
        forced = matcher.forced_bytes()
        for completion in (matcher.shortest_completion(), *truth.completions(text)):
            assert completion.startswith(forced), truth.told(
                text, f"{forced!r} is forced, but {completion!r} completes it"
            )
        assert matcher.text == text
        if truth.is_spelled_by_bytes:
            after = matcher.fork()
            assert not forced or after.accept_bytes(forced)
            is_longest = after.is_accepting() or after.allowed_bytes().sum() >= 2
            assert is_longest, truth.told(text, f"more than {forced!r} is forced")


@third
@given(cases())
@decided
def test_rollback_and_fork_lose_nothing(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    seen = [(text, truth.mask(matcher), matcher.fork()) for text in truth.steps(matcher)]
    for n_tokens in range(len(seen)):
        text, before, fork = seen[-1 - n_tokens]
        after = matcher.fork()
        after.rollback(n_tokens)
        assert after.text == fork.text == text
        assert (truth.mask(after) == before).all()
        assert (truth.mask(fork) == before).all()
    for text, before, _ in reversed(seen):
        assert matcher.text == text
        assert (truth.mask(matcher) == before).all()
        if text:
            matcher.rollback(1)


@third
@given(cases())
@decided
def test_a_mask_is_the_same_warm_and_cold(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    warm = [(text, truth.mask(matcher)) for text in truth.steps(matcher)]
    for text, first in warm:
        cold_store = constrain.compile(store.grammar, store.vocabulary)
        for source in (store, cold_store):
            again = source.matcher()
            assert again.accept_bytes(text)
            assert (truth.mask(again) == first).all(), f"after {text!r}\n{case}"


@third
@given(cases())
@decided
def test_tokens_to_finish_spell_the_shortest_completion(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    for text in truth.steps(matcher):
        completion = matcher.shortest_completion()
        truth.assert_viable(text, completion)
        n_tokens = fewest_tokens(case.tokens, completion)
        assert n_tokens is not None
        assert matcher.tokens_to_finish() == n_tokens + 1, truth.told(text, f"{completion!r}")


@third
@given(cases())
@decided
def test_a_narrowed_mask_keeps_its_promise(case: Case) -> None:
    store = compiled(case)
    if store is None:
        return
    truth, matcher = Truth(case), store.matcher()
    row = np.empty(store.words, np.int32)
    with pytest.raises(BudgetError):
        matcher.fill_bitmask_within(row, 0)
    left = matcher.tokens_to_finish() + sum(case.walk) % 4
    choices = [*case.walk, *range(left)]
    while not matcher.is_terminated():
        matcher.fill_bitmask_within(row, left)
        narrowed = bitmask.unpack(row, store.vocabulary.size)
        assert narrowed.any(), truth.told(matcher.text, f"nothing allowed with {left} tokens left")
        assert (narrowed <= truth.mask(matcher)).all()
        for token_id in np.flatnonzero(narrowed).tolist():
            check_left(truth, matcher, token_id, left - 1)
        matcher.fill_bitmask_within(row, NO_LIMIT)
        assert (bitmask.unpack(row, store.vocabulary.size) == truth.mask(matcher)).all()
        ids = np.flatnonzero(narrowed)
        assert matcher.accept_token(int(ids[choices.pop(0) % len(ids)]))
        left -= 1
    assert left >= 0
    assert truth.accepts(matcher.text)


def check_left(truth: Truth, matcher: Matcher, token_id: int, left: int) -> None:
    """After `token_id` the text can end with `left` tokens."""
    after = matcher.fork()
    assert after.accept_token(token_id)
    if after.is_terminated():
        return
    assert after.tokens_to_finish() <= left, truth.told(
        matcher.text, f"token {token_id} is allowed, and {left} tokens then are too few"
    )


def test_few_grammars_are_too_tangled_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    events: Counter[str] = Counter()
    monkeypatch.setitem(globals(), "tell", lambda kind: events.update([kind]))

    @settings(max_examples=N_GRAMMARS, derandomize=True, database=None, phases=[Phase.generate])
    @given(cases())
    def count(case: Case) -> None:
        store = compiled(case)
        events.update(["tried"] if store is None else ["tried", "compiled"])
        if store is not None:
            decided(lambda case: deque(Truth(case).steps(store.matcher()), maxlen=0))(case)

    count()

    assert events["tried"] >= N_GRAMMARS
    assert events["compiled"] >= N_GRAMMARS / 2
    assert events[UNDECIDED] <= MOST_UNDECIDED * events["tried"], events
