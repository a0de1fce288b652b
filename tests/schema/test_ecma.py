r"""Patterns of ECMA-262 → DFAs, with V8 as the truth: `matches` is `RegExp.test`."""

from __future__ import annotations

import json
import lzma
import random
import re
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constrain.errors import PatternError
from constrain.schema.ecma import compile_ecma
from tests.automata.dfas import accepted_characters, accepted_text, assert_canonical
from tests.oracles.ecma import ecma_characters, ecma_matches
from tests.timing import within

CLASSES = (r"\d", r"\D", r"\s", r"\S", r"\w", r"\W")
LETTERS = "abA_0-\n é\u2028]{}^\\,1"
OURS = (
    "back-reference",
    "is not known",
    "of a group are refused",
    "needs the u flag",
    "half a",
    "more than 1000000 steps",
)
"""What we refuse by these words and V8 reads."""


def check(pattern: str, texts: list[str], seed: int = 0) -> None:
    """Fail where the DFA differs from V8, on `texts` and on texts that the DFA accepts."""
    try:
        dfa = compile_ecma(pattern)
    except PatternError as error:
        known = ecma_matches(pattern, [])
        assert known is None or any(word in str(error) for word in OURS), (pattern, str(error))
        return
    choose = random.Random(seed)
    if not dfa.is_empty():
        texts = texts + [accepted_text(dfa, choose, 8).decode() for _ in range(8)]
    answer = ecma_matches(pattern, texts)
    assert answer is not None, f"{pattern!r} is malformed, says V8"
    with_u, found = answer
    for text, expected in zip(texts, found, strict=True):
        if with_u or max(text, default="") <= "\uffff":  # without u, V8 reads halves of pairs
            assert dfa.matches(text.encode()) == expected, (pattern, text, expected)


def short_texts(letters: str) -> list[str]:
    return ["".join(chosen) for n in range(4) for chosen in product(letters, repeat=n)]


# --- random patterns ------------------------------------------------------------------------

_letters = st.sampled_from("ab" * 6 + LETTERS.replace("\\", "") + "😀")
_plain = _letters.map(lambda c: f"\\{c}" if c in "]{}^" else c)
_escapes = st.sampled_from((
    *CLASSES,
    r"\n", r"\t", r"\x61", r"\u0061", r"\cJ", r"\ca", r"\0", r"\u{62}", r"\/", r"\p{L}", r"\P{Lu}",
))  # fmt: skip
_members = st.one_of(
    _letters.map(lambda c: f"\\{c}" if c in "]^-" else c), _escapes, st.just("a-b")
)
_classes = st.tuples(st.sampled_from(["[", "[^"]), st.lists(_members, max_size=3)).map(
    lambda parts: f"{parts[0]}{''.join(parts[1])}]"
)
_one = st.one_of(_plain, _plain, _plain, st.just("."), _escapes, _classes)
_anchors = st.sampled_from(["^", "$", r"\b", r"\B"])
QUANTIFIERS = ("*", "+", "?", "*?", "+?", "??", "{2}", "{0}", "{1,2}", "{2,}", "{0,3}?")
GROUPS = ("(?:", "(", "(?=", "(?!", "(?<=", "(?<!", "(?:", "(?<n>")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(inner, min_size=2, max_size=4)
    return st.one_of(
        several.map("".join),
        several.map(lambda parts: f"(?:{'|'.join(parts)})"),
        several.map("|".join),
        st.tuples(inner, st.sampled_from(QUANTIFIERS)).map(lambda p: f"(?:{p[0]}){p[1]}"),
        st.tuples(_one, st.sampled_from(QUANTIFIERS)).map("".join),
        st.tuples(st.sampled_from(GROUPS), inner).map(lambda parts: f"{parts[0]}{parts[1]})"),
    )


_patterns = st.recursive(st.one_of(_one, _one, _one, st.just(""), _anchors), _larger, max_leaves=8)
_three = st.lists(_letters, min_size=3, max_size=3, unique=True).map("".join)


@given(_patterns, _three, st.integers(0, 99))
@example("^a|b$", "ab\n", 0)
@example("(^a|b)c|(?:^|,)$", "abc", 0)
@example("(?:^a$|b)*$", "ab\n", 0)
@example("a^b|^^a$$", "ab\n", 0)
@example("(?<=^a.*)b(?=.*a$)", "abA", 0)
@example(r"(?<!a)\bb|(?<=a)b\B", "ab ", 0)
@example(r"(?:(?=a)|b)+$", "ab ", 0)
def test_a_pattern_matches_what_v8_says(pattern: str, letters: str, seed: int) -> None:
    check(pattern, short_texts(letters), seed)


_fragments = st.sampled_from((
    *"ab()[]{}*+?|\\^$.,01:=!<>-&/z_", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<n>", "(?P<n>", "[^",
    "(?>", "(?i)", "(?i:", "{1,2}", "{,3}", "{2}", "*?", "*+", r"\1", r"\2", r"\k<n>", r"\b", r"\w",
    r"\-", r"\A", r"\Z", r"\c", r"\c1", r"\x6", r"\u006", r"\u{6", r"\u{61}", r"\p{Lu}", r"\p", ")",
    r"\012", r"\08", r"\8", r"\d-", "-]", "]", "a-", r"\B", r"\ud83d", r"\ude00", "[:alpha:]",
))  # fmt: skip


@given(st.lists(_fragments, max_size=9).map("".join), _three)
@example("a{2,1}", "ab ")
@example("a{ 1}", "a{1")
@example("a{1", "a{1")
@example("x{,3}|{a}", "x{3")
@example(r"\-{,}", "-{,")
@example(r"(?=a)*\-", "a- ")
@example(r"(?<=a)*", "a- ")
@example(r"[\d-\w]\-", "a-0")
@example(r"[\c1\c_\cA\c]\-", "\x01-c")
@example(r"\-\c", "\\c-")
@example(r"\cj\-", "\n*-")
@example(r"\400\-", " 0-")
@example(r"\777|\7777\-", "?7-")
@example(r"\1(a)", "ab ")
@example(r"\2(a)\-", "\x02a-")
@example(r"[\1\12\8]\-", "\x01\n8")
@example(r"\k<n>", "kn<")
@example(r"(?<n>a)\k", "kna")
@example(r"[\k](?<n>a)", "kna")
@example("(?<n>a)|(?<n>b)", "ab ")
@example("(?<n>a)(?<n>b)", "ab ")
@example("(?:(?<n>a)|b)(?<n>b)", "ab ")
@example("(?<1>a)", "ab ")
@example("(?<$ö>a)", "ab ")
@example("[b-a]", "ab ")
@example(r"[\b]|\0", "\x08\x00b")
@example("[]|[^]{2}", "ab\n")
@example(r"[\B]", "Bb ")
@example(r"\u{110000}", "ab ")
@example("^*", "ab ")
@example("\\", "ab ")
def test_any_text_is_malformed_or_means_what_v8_says(pattern: str, letters: str) -> None:
    check(pattern, short_texts(letters))


@pytest.mark.parametrize(
    "shown",
    [
        r"\d",
        r"\D",
        r"\s",
        r"\S",
        r"\w",
        r"\W",
        ".",
        "[^]",
        r"[^\s\u{1F600}]",
        r"[\ud800-\u{10000}]",
    ],
)
def test_sets_hold_the_characters_that_v8_finds(shown: str) -> None:
    pattern = f"^{shown}$"
    assert accepted_characters(compile_ecma(pattern)).tolist() == ecma_characters(pattern)


NAMES = "L Lu LC Letter digit gc=Nd General_Category=Cased_Letter Mn P punct Zs Cc Co Other_Symbol"


@pytest.mark.parametrize("name", [*NAMES.split(), "Any", "ASCII", "ASCII_Hex_Digit", "Assigned"])
def test_properties_hold_the_characters_that_v8_finds(name: str) -> None:
    # Of those that the Unicode of both knows, but for the few that changed their category.
    for letter in "pP":
        pattern = rf"^\{letter}{{{name}}}$"
        different = set(accepted_characters(compile_ecma(pattern)).tolist())
        different ^= set(ecma_characters(pattern))
        known = [c for c in different if unicodedata.category(chr(c)) != "Cn"]
        assert len(known) < 10, known


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "words", "position"),
    [
        ("(?i)abc", "flags inside a pattern are not of ECMA-262", 0),
        ("(?P<n>a)", "(?P…) is Python's", 0),
        ("(?>a)", "atomic group", 0),
        ("a(?#b)", "a comment is not", 1),
        ("(?i:a)", "flags of a group are refused", 0),
        ("a++", "possessive", 2),
        (r"(a)\1", "back-reference", 3),
        (r"\1(a)", "back-reference", 0),
        (r"(?<n>a)\k<n>", "back-reference", 7),
        (r"\p{Script=Han}", "scripts are not", 0),
        (r"\p{Greek}", "scripts are not", 0),
        (r"\p{L}\-", "needs the u flag", 0),
        (r"[\ud800]\-", "half a surrogate pair", 7),
        ("a{9999999999}", "more than 9 digits", 1),
        ("(a", "this ( is not closed", 0),
        ("a)", "a ) without its (", 1),
        ("[a", "this [ is not closed", 0),
    ],
)
def test_refusals_say_what_and_where(pattern: str, words: str, position: int) -> None:
    with pytest.raises(PatternError, match=re.escape(words)) as caught:
        compile_ecma(pattern)
    assert caught.value.position == position
    assert caught.value.pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "bound"),
    [
        ("((a|b){1000}){1000}", "200000"),
        ("(?:a{1000}){1000}{1000}", None),
        ("(a|b)*a(a|b){30}", "1000000"),
        ("^(?!.*://)(?=.{1,255}$)((.{1,63}\\.){1,127}(?![0-9]*$)[a-z0-9-]+\\.?)$", "1000000"),
        ("(" * 5000 + ")" * 5000, "nested too deeply"),
        ("a" * 1_000_001, "1000000"),
    ],
)
def test_what_is_too_large_is_refused_in_time(pattern: str, bound: str | None) -> None:
    with within(60), pytest.raises(PatternError, match=bound):  # under 2 on an idle machine
        compile_ecma(pattern)


# --- patterns of the field -------------------------------------------------------------------


def _patterns_in(schema: object) -> Iterator[str]:
    """All values of `pattern` and keys of `patternProperties`."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _patterns_in(part)


@pytest.mark.slow
def test_patterns_of_real_schemas_match_what_v8_says(shared: Path) -> None:
    files = sorted((shared / "maskbench").glob("*.jsonl.xz"))
    if not files:
        pytest.skip("the real schemas are absent")
    choose = random.Random(0)
    found = {
        pattern
        for file in files
        for line in lzma.decompress(file.read_bytes()).decode().strip().split("\n")
        for pattern in _patterns_in(json.loads(line))
    }
    for pattern in sorted(found):
        check(
            pattern, ["", "a", "foo", "1", "2024-01-01", "a b", "A-1", *_mutated(pattern, choose)]
        )


def _mutated(pattern: str, choose: random.Random) -> list[str]:
    """Texts that differ in one character from one that the pattern matches."""
    try:
        dfa = compile_ecma(pattern)
    except PatternError:
        return []
    texts = []
    for _ in range(8 if not dfa.is_empty() else 0):
        text = accepted_text(dfa, choose, 12).decode()
        at = choose.randrange(len(text) + 1)
        texts += [text[:at] + text[at + 1 :], text[:at] + choose.choice("a1-_. Zé\n") + text[at:]]
    return texts


# --- the same automaton ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "n_states"),
    [("^[a-z0-9-]+$", 3), (r"^\d{4}-\d{2}-\d{2}$", 12), ("^$", 2), ("", 9), ("[]", 2)],
)
def test_the_automaton_is_small(pattern: str, n_states: int) -> None:
    dfa = compile_ecma(pattern)
    assert dfa.n_states == n_states
    assert_canonical(dfa)


def test_a_text_of_one_character_is_one_dot() -> None:
    dfa = compile_ecma(r"^.\-$")  # not of the u flag, by whose absence V8 would see two
    assert dfa.matches("😀-".encode())
    assert not dfa.matches("é😀-".encode())
    assert np.array_equal(dfa.next, compile_ecma("^.-$").next)
