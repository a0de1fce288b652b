"""DFAs over bytes: minimal, canonical, and closed under the set operations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA, compile_literals, intersect, subtract, union
from constrain.automata.regex import compile_pattern
from tests import reference
from tests.automata.dfas import DEAD, START, assert_canonical, count_accepted
from tests.automata.patterns import letter_sets, patterns, plain_patterns, texts
from tests.timing import share

Operation = Callable[[ByteDFA, ByteDFA], ByteDFA]
OPERATIONS: dict[Operation, Callable[[bool, bool], bool]] = {
    intersect: lambda a, b: a and b,
    union: lambda a, b: a or b,
    subtract: lambda a, b: a and not b,
}
operations = pytest.mark.parametrize(
    ("operation", "truth"), OPERATIONS.items(), ids=["intersect", "union", "subtract"]
)

# A law is tried on a share of the profile's number of examples: each compiles many patterns.
sixth, few = share(6), share(25)

EMPTY = r"[^\s\S]"


def assert_equal(left: ByteDFA, right: ByteDFA) -> None:
    """One language, so one array of each kind and one hash."""
    assert np.array_equal(left.next, right.next)
    assert np.array_equal(left.byte_class, right.byte_class)
    assert np.array_equal(left.accepting, right.accepting)
    assert left.content_hash == right.content_hash


def assert_empty(dfa: ByteDFA) -> None:
    assert dfa.is_empty()
    assert dfa.shortest() is None
    assert_equal(dfa, compile_pattern(EMPTY))


# --- one language, one DFA ------------------------------------------------------------------


@sixth
@given(patterns())
@example("(?:a|b)*a(?:a|b){5}")
@example("")
@example(EMPTY)
@example(r"(?:\w+é?)*")
def test_every_dfa_is_minimal_and_canonical(pattern: str) -> None:
    assert_canonical(compile_pattern(pattern))


SAME = [
    ("(a|b)*", "(a*b*)*"),
    ("(a|b)*", "(?:b|a)*"),
    ("(a|b)*", "[ab]*"),
    ("(a|b)*", "(?:(?:ab?|b)*)"),
    ("a+", "aa*"),
    ("a+?", "a+"),
    ("a{2,4}", "aa|aaa|aaaa"),
    ("a{2,}", "aaa*"),
    ("(?:ab)*a", "a(?:ba)*"),
    ("(?i)ab", "[aA][bB]"),
    ("(?i)k", "[kK\u212a]"),
    ("(?i:[a-z])", "[a-zA-Z\u0130\u0131\u017f\u212a]"),
    (r"\d", r"(?=\d)\w"),
    ("(?s).", r"[\s\S]"),
    (".", r"[^\n]"),
    (r"[\ud7ff-\ue000]", r"[\ud7ff\ue000]"),
    (EMPTY, r"\ud800"),
    (EMPTY, "a(?=b)"),
    (EMPTY, r"\b"),
    (EMPTY, "(?!)"),
    ("", "(?:)"),
    ("", "(?=)"),
    ("", "a{0}"),
    ("", "^$"),
    ("(?!ab)[ab]{2}", "aa|ba|bb"),
    ("[ab]*(?<!b)", "(?:[ab]*a)?"),
    ("(?=.*a)[abc]*(?=c)c(?<=bc)", "[abc]*a[abc]*bc"),
    (r"(?:(?!\*/)(?s:.))*", r"[^*]*(?:\*+[^*/][^*]*)*\**"),
    ("(?m)^a$", "a"),
    ("(a)(?P<n>b)", "ab"),
    ("é|è", "[èé]"),
    ("a|a|a", "a"),
    ("(?:a|b|)+", "[ab]*"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_languages_have_equal_dfas(one: str, other: str) -> None:
    assert_equal(compile_pattern(one), compile_pattern(other))


REWRITINGS: list[Callable[[str, str], tuple[str, str]]] = [
    lambda p, q: (f"(?:{p}|{q})*", f"(?:(?:{p})*(?:{q})*)*"),
    lambda p, q: (f"(?:{p}|{q})", f"(?:{q}|{p}|{q})"),
    lambda p, q: (f"(?:(?:{p})(?:{q}))*", f"(?:(?:{p})(?:(?:{q})(?:{p}))*(?:{q}))?"),
    lambda p, q: (f"(?:{p}){{1,3}}", f"(?:{p}|(?:{p}){{2}}|(?:{p})(?:{p})(?:{p}))"),
    lambda p, q: (f"(?:{p})+?{q}", f"(?:{p})(?:{p})*{q}"),
    lambda p, q: (f"(?={p}$)(?:{q})", f"(?:{q})(?<!)|(?={q}$)(?:{p})"),
    lambda p, q: (f"(?!(?:{p})$)(?!(?:{q})$)[ab]*", f"(?!(?:{p}|{q})$)[ba]*"),
]


@pytest.mark.parametrize("rewrite", REWRITINGS)
@few
@given(one=plain_patterns(), other=plain_patterns())
def test_rewriting_a_pattern_leaves_its_dfa(
    rewrite: Callable[[str, str], tuple[str, str]], one: str, other: str
) -> None:
    # `$` also stands before a last line end, where the rewritings differ.
    left, right = (p.replace("$", r"\Z") for p in rewrite(one, other))
    assert_equal(compile_pattern(left), compile_pattern(right))


@sixth
@given(patterns(), patterns())
@example("[ab]", "[ac]")
@example("(?s).", ".")
def test_unequal_dfas_have_a_text_between_them(one: str, other: str) -> None:
    left, right = compile_pattern(one), compile_pattern(other)
    more, less = subtract(left, right).shortest(), subtract(right, left).shortest()
    assert (more is None and less is None) == (left.content_hash == right.content_hash)
    for text, is_left in ((more, True), (less, False)):
        if text is not None:
            assert bool(re.fullmatch(one, text.decode())) == is_left
            assert bool(re.fullmatch(other, text.decode())) != is_left


# --- set operations -------------------------------------------------------------------------


@operations
@few
@given(one=patterns(), other=patterns(), letters=letter_sets())
@example(one="a*", other="b*", letters="abA")
@example(one=EMPTY, other="a", letters="abA")
@example(one="a", other=EMPTY, letters="abA")
@example(one="[a-c]|é", other="[b-é]", letters="abé")
def test_set_operations_text_by_text(
    operation: Operation, truth: Callable[[bool, bool], bool], one: str, other: str, letters: str
) -> None:
    result = operation(compile_pattern(one), compile_pattern(other))
    assert_canonical(result)
    in_one, in_other = re.compile(one), re.compile(other)
    for text in texts(letters, 4):
        wanted = truth(bool(in_one.fullmatch(text)), bool(in_other.fullmatch(text)))
        assert result.matches(text.encode()) == wanted, text


@few
@given(patterns(), patterns(), patterns())
def test_laws_of_sets(p: str, q: str, r: str) -> None:
    a, b, c = map(compile_pattern, (p, q, r))
    assert_equal(union(a, b), union(b, a))
    assert_equal(intersect(a, b), intersect(b, a))
    assert_equal(union(a, union(b, c)), union(union(a, b), c))
    assert_equal(intersect(a, union(b, c)), union(intersect(a, b), intersect(a, c)))
    assert_equal(subtract(a, union(b, c)), subtract(subtract(a, b), c))
    assert_equal(subtract(a, subtract(a, b)), intersect(a, b))
    assert_equal(union(a, a), a)
    assert_empty(subtract(a, a))


@few
@given(plain_patterns(), plain_patterns())
def test_set_operations_are_those_of_patterns(p: str, q: str) -> None:
    a, b = compile_pattern(p), compile_pattern(q)
    assert_equal(union(a, b), compile_pattern(f"{p}|{q}"))
    assert_equal(intersect(a, b), compile_pattern(rf"(?={p}\Z)(?:{q})"))
    assert_equal(subtract(a, b), compile_pattern(rf"(?!(?:{q})\Z)(?:{p})"))


@operations
def test_set_operations_with_bytes_that_are_no_characters(
    operation: Operation, truth: Callable[[bool, bool], bool]
) -> None:
    left = compile_literals([b"\xff", b"a", b"\xc3"])
    right = compile_literals([b"\xff\xff", b"a", b"\xc3\xa9", b"\xc3"])
    result = operation(left, right)
    assert_canonical(result)
    for text in reference.texts(b"a\xc3\xa9\xff\x00", 3):
        assert result.matches(text) == truth(left.matches(text), right.matches(text)), text


# --- literals -------------------------------------------------------------------------------


@given(st.lists(st.text("abé\n😀", max_size=4), max_size=8))
@example([])
@example([""])
@example(["", "a", "ab", "abé", "a"])
def test_literals_are_the_alternatives_of_a_pattern(words: list[str]) -> None:
    dfa = compile_literals([word.encode() for word in words])
    assert_canonical(dfa)
    assert_equal(dfa, compile_pattern("|".join(map(re.escape, words)) if words else EMPTY))


@given(st.lists(st.binary(max_size=3), max_size=20), st.lists(st.binary(max_size=4), max_size=5))
def test_literals_of_any_bytes(words: list[bytes], others: list[bytes]) -> None:
    dfa = compile_literals(words)
    assert_canonical(dfa)
    for text in (*words, *others, *(word[:-1] for word in words)):
        assert dfa.matches(text) == (text in words), text
    assert sum(count_accepted(dfa, 5)) == len(set(words))


def test_many_literals_are_compiled_soon() -> None:
    words = [f"{number:x}".encode() for number in range(0, 2_000_000, 100)]
    dfa = compile_literals(words)
    dfa.check()
    assert sum(count_accepted(dfa, 6)) == len(words)


# --- what a DFA tells -----------------------------------------------------------------------


@sixth
@given(patterns())
@example("(?:a{3}|b{2})+")
@example("aé|😀")
def test_shortest_is_a_shortest_text(pattern: str) -> None:
    dfa = compile_pattern(pattern)
    text = dfa.shortest()
    assert dfa.is_empty() == (text is None)
    if text is None:
        assert not any(count_accepted(dfa, 6))
    else:
        assert dfa.matches(text)
        assert count_accepted(dfa, len(text))[:-1] == [0] * len(text)


@few
@given(patterns(), patterns())
def test_hashes_are_equal_iff_the_arrays_are(one: str, other: str) -> None:
    left, right = compile_pattern(one), compile_pattern(other)
    parts = ("next", "byte_class", "accepting")
    same = all(np.array_equal(getattr(left, part), getattr(right, part)) for part in parts)
    assert (left.content_hash == right.content_hash) == same


def test_the_same_pattern_has_the_same_hash_in_every_run() -> None:
    found = {compile_pattern(p).content_hash for p in ("a", "b", "a|b", "", EMPTY, "é", "a*")}
    assert len(found) == 7


def _unreachable(dfa: ByteDFA) -> ByteDFA:
    return replace(
        dfa,
        next=np.concatenate([dfa.next, dfa.next[-1:]]),
        accepting=np.append(dfa.accepting, dfa.accepting[-1]),
    )


def _swapped(dfa: ByteDFA) -> ByteDFA:
    order = np.array([0, 1, 3, 2, *range(4, len(dfa.next))])
    return replace(
        dfa, next=order.astype(np.int32)[dfa.next[order]], accepting=dfa.accepting[order]
    )


def _split_class(dfa: ByteDFA) -> ByteDFA:
    classes = dfa.byte_class.copy()
    classes[255] = dfa.next.shape[1]
    column = dfa.next[:, dfa.byte_class[255]]
    return replace(dfa, next=np.column_stack([dfa.next, column]), byte_class=classes)


def _changed(part: str, index: tuple[int, ...], value: int) -> Callable[[ByteDFA], ByteDFA]:
    def change(dfa: ByteDFA) -> ByteDFA:
        array = getattr(dfa, part).copy()
        array[index] = value
        return replace(dfa, **{part: array})

    return change


BROKEN: dict[str, Callable[[ByteDFA], ByteDFA]] = {
    "an unreachable state": _unreachable,
    "states out of order": _swapped,
    "two equal byte classes": _split_class,
    "the dead state accepts": _changed("accepting", (DEAD,), True),
    "the dead state has a way out": _changed("next", (DEAD, 0), START),
    "nothing is accepted": lambda dfa: replace(dfa, accepting=np.zeros_like(dfa.accepting)),
    "a state that is not live": _changed("next", (-1,), DEAD),
    "equivalent states": lambda dfa: replace(
        dfa, accepting=np.arange(len(dfa.accepting)) > DEAD, next=np.minimum(dfa.next, 3)
    ),
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN)
def test_check_finds_what_is_broken(breaking: Callable[[ByteDFA], ByteDFA]) -> None:
    dfa = compile_pattern("ab|cd(?:e|f)g")
    dfa.check()
    broken = breaking(dfa)
    with pytest.raises((ValueError, AssertionError)):
        broken.check()
