"""Patterns → DFAs, with Python's `re` as the truth: `matches` is `re.fullmatch`."""

# ruff: noqa: RUF001 - letters that look alike are the point

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib import import_module
from string import ascii_lowercase
from typing import Any

import interegular
import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from interegular.fsm import anything_else

from constrain.automata.charset import _cased
from constrain.automata.regex import compile_pattern
from constrain.errors import PatternError
from constrain.grammar.pattern import scoped
from tests.automata.dfas import (
    accepted_characters,
    all_characters,
    assert_canonical,
    count_accepted,
    finite_language,
    matched_characters,
)
from tests.automata.patterns import (
    LETTERS,
    check_pattern,
    classes,
    disagreement,
    letter_sets,
    patterns,
    plain_patterns,
    texts,
)
from tests.timing import share, within

_sre: Any = import_module("re._parser")

third, sixth = share(3), share(6)

# --- random patterns ------------------------------------------------------------------------


@given(patterns(), letter_sets(), st.lists(st.text(LETTERS, max_size=8), max_size=10))
@example(r"(?:|a)+", "ab\n", ["aaaaa"])
@example(r"(?m)(?:^a$\n?)*", "ab\n", ["a\na\n\n"])
@example(r"(?<!a)b|(?<=a)b", "ab\n", [])
@example("(?i)[k-s](?<=ſ)|(?=\u212a)K", "ksK", ["\u212a"])
def test_a_pattern_means_what_re_says(pattern: str, letters: str, more: list[str]) -> None:
    check_pattern(pattern, letters, more)


@third
@given(plain_patterns())
def test_texts_of_any_length_are_matched_as_interegular_matches_them(pattern: str) -> None:
    """Both automata walked side by side: every pair of states that some text reaches agrees."""
    if re.search(r"\\[wWdDsS]", pattern):
        return  # ASCII only there
    other = interegular.parse_pattern(pattern).to_fsm()
    dfa = compile_pattern(pattern)
    symbols = {c: c if c in other.alphabet else anything_else for c in f"{LETTERS}z"}
    start: tuple[int, int | None] = (1, other.initial)
    queue, seen = [start], {start}
    for state, theirs in queue:
        assert bool(dfa.accepting[state]) == (theirs in other.finals)
        for character, symbol in symbols.items():
            after = state
            for byte in character.encode():
                after = int(dfa.next[after, dfa.byte_class[byte]])
            moved = other.map.get(theirs, {}).get(other.alphabet[symbol])
            if (after, moved) not in seen:
                seen.add((after, moved))
                queue.append((after, moved))


@sixth
@given(plain_patterns(), letter_sets())
@example("(?:a|ab|abc)", "ab_")
@example("(?:a*b)+", "ab_")
def test_matches_without_a_match_as_a_proper_beginning(part: str, letters: str) -> None:
    # The shape that lazy quantifiers of a grammar are written in.
    check_pattern(rf"(?!(?:{part})[\s\S])(?:{part})", letters)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:(?!a[\s\S])a)*",
        r"((?!a[\s\S])a)b",
        r"(?=(?!a[\s\S])a)ab",
        r"(?!(?:a(?=b)|ab)[\s\S])(?:a(?=b)|ab)",
        r"(?!(?:a(?!b)|ab)[\s\S])(?:a(?!b)|ab)",
    ],
)
def test_that_shape_inside_a_pattern_means_what_re_says(pattern: str) -> None:
    check_pattern(pattern, "ab_")


META = "ab()[]{}*+?|\\^$.,01:=!<>#PnwWbBdsi-& \n"
UNSUPPORTED = ("GROUPREF", "ATOMIC_GROUP", "POSSESSIVE_REPEAT")
_fragments = st.sampled_from((
    *META, "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<n>", "(?P=n)", "(?(1)", "(?i)",
    "(?s:", "(?#", "[^", "{1,2}", "*?", "*+", r"\1", r"\b", r"\w", "|", ")", ")", ")", "]", "[a-",
))  # fmt: skip


@given(st.lists(_fragments, max_size=12).map("".join), letter_sets())
@example("[[a]", "ab[")
@example("(?x)a #(", "ab\n")
@example("a{,}", "ab{")
@example("a{1", "a1{")
def test_any_text_is_refused_or_means_what_re_says(pattern: str, letters: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
            operations = repr(_sre.parse(pattern))
    except (re.error, OverflowError):
        with pytest.raises(PatternError):
            compile_pattern(pattern)
        return
    if any(name in operations for name in UNSUPPORTED):
        with pytest.raises(PatternError):
            compile_pattern(pattern)
        return
    if re.search(r"\{[^}]*[01]{3}", pattern):
        return  # A large count may be over a bound.
    dfa = compile_pattern(pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = disagreement(pattern, dfa, texts(letters + pattern[:2], 3))
    assert found is None, str(found)


# --- inside a longer text -------------------------------------------------------------------


def matches_inside(pattern: str, before: str, text: str, after: str) -> bool:
    """Whether `re` matches `text` where it stands between `before` and `after`."""
    around = [f"(?s:.{{{len(part)}}})" for part in (before, after)]
    whole = rf"\A{around[0]}{scoped(pattern)}{around[1]}\Z"
    return re.fullmatch(whole, before + text + after) is not None


_some = st.text(LETTERS, max_size=2)


@third
@given(patterns(), letter_sets(), st.lists(st.tuples(_some, _some), max_size=4))
@example(r"(?<=a)b|a", "ab\n", [("a", "")])
@example(r"(?!ab)[ab]{2}", "ab\n", [("a", "b")])
def test_a_pattern_compiled_for_a_context_means_the_same_in_every_one(
    pattern: str, letters: str, contexts: list[tuple[str, str]]
) -> None:
    scoped_pattern = f"(?:{scoped(pattern)})"
    alone = compile_pattern(scoped_pattern)
    try:
        dfa = compile_pattern(scoped_pattern, in_context=True)
    except PatternError:
        event("refused in context")
        return
    assert dfa == alone
    for before, after in ("", ""), ("a", ""), ("", "a"), ("\n", "\n"), (" ", " "), *contexts:
        for text in texts(letters, 2):
            told = (before, text, after)
            assert matches_inside(scoped_pattern, *told) == dfa.matches(text.encode()), told


@pytest.mark.parametrize(
    "pattern",
    [
        "a$", "^a", r"\ba", r"a\b", r"\Ba", "a(?!b)", "(?!ab)[ab]+", "(?<!a)b",
        "(?m)^a", "(?m)a$", r"\Aa", r"a\Z", "(?:(?<=b)|c)a", "ab?(?!c)", r"\w+\b",
    ],
)  # fmt: skip
def test_what_depends_on_the_context_is_refused_in_one(pattern: str) -> None:
    compile_pattern(pattern)
    with pytest.raises(PatternError):
        compile_pattern(pattern, in_context=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "a", "(?!ab)[ab]{2}", "(?=a)[ab]", r"/\*(?:(?!\*/)(?s:.))*\*/", "a(?<=a)b", r"a\b-",
        r"-\ba\b-", r"a\Bb", "(?m)\n^a$\n", "(?!if;)[a-z]+;", "(?:a|(?<!x)(?<=x)b)",
        r"(?!(?:a+?b)[\s\S])(?:a+?b)", "(?=|a)a", "a(?=|b)", "a(?=b)?",
    ],
)  # fmt: skip
def test_what_does_not_depend_on_the_context_is_compiled_in_one(pattern: str) -> None:
    assert compile_pattern(pattern, in_context=True) == compile_pattern(pattern)


# --- picked by hand -------------------------------------------------------------------------

# pattern: texts that it matches, texts that it does not
TABLE: dict[str, tuple[list[str], list[str]]] = {
    "": ([""], ["a"]),
    "abc": (["abc"], ["", "ab", "abcd", "ABC"]),
    r"a\.b": (["a.b"], ["axb"]),
    "a|": (["a", ""], ["aa"]),
    "a.c": (["abc", "aéc", "a😀c", "a\rc", "a\x85c", "a\u2028c", "a\0c"], ["a\nc", "ac", "abbc"]),
    "(?s)a.c": (["a\nc"], ["ac"]),
    "(?s:.).": (["\na"], ["a\n"]),
    "[]a]": (["]", "a"], ["[]"]),
    "[^]a]": (["["], ["]", "a"]),
    "[a-]": (["a", "-"], ["b"]),
    r"[\]\-\\]": (["]", "-", "\\"], ["["]),
    r"[\b]": (["\b"], ["b", "\\"]),
    r"[\d\-x]": (["5", "-", "x"], ["m"]),
    "[[a]": (["[", "a"], ["]"]),
    "[a&&b]": (["a", "&", "b"], ["ab"]),
    r"\0\x41\u00e9\U0001F600\101\012": (["\0Aé😀A\n"], ["\0Aé😀A"]),
    r"\N{DIGIT ONE}": (["1"], ["2"]),
    r"[\1]": (["\1"], ["1"]),
    r"\a\f\n\r\t\v": (["\a\f\n\r\t\v"], [""]),
    "a*": (["", "aaaa"], ["b"]),
    "a+?b??": (["a", "aaab", "aaa"], ["", "b", "abb"]),
    "a{2,3}": (["aa", "aaa"], ["a", "aaaa"]),
    "a{2}": (["aa"], ["a", "aaa"]),
    "a{2,}": (["aa", "aaaaa"], ["a"]),
    "a{,2}": (["", "a", "aa"], ["aaa", "a{,2}"]),
    "a{0}b": (["b"], ["ab"]),
    "a{,}": (["", "aa"], ["a{,}"]),
    "a{1": (["a{1"], ["a"]),
    "a{x}": (["a{x}"], ["a"]),
    "a{}": (["a{}"], ["a"]),
    "(?:a|ab)(?:c|bcd)": (["ac", "abc", "abcd", "abbcd"], ["ab", "acd"]),
    "(?:a|b)*abb": (["abb", "ababb"], ["aba", "ab"]),
    "(?:(?:a*)*)*b": (["b", "aab"], ["a"]),
    "(?:|a)+": (["", "aaa"], ["b"]),
    "(a)(?P<x>b)(?:c)": (["abc"], ["ab"]),
    "(?#comment)a(?#(b)": (["a"], ["ab"]),
    "(?x) a b # c\n  [ ] \\  d": (["ab  d"], ["abd", "a b  d"]),
    "(?x:a b)c d": (["abc d"], ["abcd"]),
    "a(?x: # (\n)b": (["ab"], ["a b"]),
    # anchors: the text is the lexeme
    "^a$": (["a"], ["a\n", ""]),
    "a$\n": (["a\n"], ["a"]),
    "a$\n?": (["a", "a\n"], ["a\n\n"]),
    "a$\n\n": ([], ["a\n\n", "a\n"]),
    r"a\Z\n": ([], ["a\n"]),
    r"a\Z": (["a"], ["a\n"]),
    "a^b": ([], ["ab"]),
    "a\n^b": ([], ["a\nb"]),
    "(?m)a\n^b": (["a\nb"], ["ab"]),
    "(?m)a$\n\n": (["a\n\n"], ["a\n"]),
    "(?m)(?:^a*$\n?)+": (["", "a", "a\n", "a\n\naa"], ["b"]),
    "(?m)a\n^": (["a\n"], ["a"]),
    r"(?m)a\n\Ab": ([], ["a\nb"]),
    "(?m:a$).b": ([], ["a\nb", "axb"]),
    "(?m:a$)\nb": (["a\nb"], ["axb"]),
    r"\ba\b": (["a"], []),
    r"a\b\W*": (["a", "a ", "a-"], ["ab", "aé"]),
    r"(?a)a\b\W*": (["a", "aé"], ["ab"]),
    r"a\B.": (["ab", "aé", "a_"], ["a ", "a"]),
    r"\b": ([], ["", "a"]),
    r"(?:\b\w+\b\W*)+": (["a b", "foo, bar "], ["", " a", ","]),
    r"\B-\B": (["-"], []),
    # look-arounds, all inside the text
    "(?=a)[ab]+": (["a", "ab"], ["b", "ba"]),
    "(?!ab)[ab]+": (["a", "ba", "aa"], ["ab", "aba"]),
    "a(?=b)": ([], ["a", "ab"]),
    "a(?!b)": (["a"], ["ab"]),
    "(?!(?:if|else)$)[a-z]+": (["i", "ifs", "elsee"], ["if", "else"]),
    r"(?!(?:if|else)\b)[a-z-]+": (["ifs"], ["if", "if-a"]),
    "(?!(?s:.*)--)[a-]+": (["a-a", "-"], ["a--a", "--"]),
    "(?=.*a)(?=.*b).{2}": (["ab", "ba"], ["aa", "bb"]),
    "(?=(?!a).)[ab]": (["b"], ["a"]),
    "(?!(?=a))[ab]": (["b"], ["a"]),
    "(?:(?!ab)[ab])*": (["", "ba", "bba", "aa"], ["ab", "bab"]),
    "(?:(?=a)|b)*a": (["a", "bba"], ["b", ""]),
    "(?<=a)b": ([], ["b", "ab"]),
    "a(?<=a)b": (["ab"], ["b"]),
    "[ab](?<!a)c": (["bc"], ["ac"]),
    "(?<!a)b": (["b"], ["ab"]),
    "[ab]*(?<=ab|ba)": (["ab", "bba"], ["a", "bb", ""]),
    "[ab]*(?<!aa)": (["", "a", "ab"], ["aa", "baa"]),
    "(?<!^)a": ([], ["a"]),
    "(?<=^)a": (["a"], []),
    "a(?<=^a)": (["a"], []),
    "[ab]+(?<=^a)": (["a"], ["ba", "aa"]),
    r"[ab]+(?<=\Ba)": (["ba", "aa"], ["a", "b"]),
    "é(?<=é)b": (["éb"], ["b"]),
    "[é😀]+(?<=😀.)": (["😀é", "é😀😀"], ["é", "é😀"]),
    "(?<=(?=b))b": (["b"], ["a"]),
    "[ab]+(?<=(?<!b)a)": (["a", "aa"], ["ba"]),
    "a(?<=a(?=b))[bc]": (["ab"], ["ac"]),
    "a(?<!a(?=b))[bc]": (["ac"], ["ab"]),
    "a(?<!a(?!b))[bc]": (["ab"], ["ac"]),
    "(?!)": ([], ["", "a"]),
    "(?=)a": (["a"], [""]),
    "(?:(?=a))*b": (["b"], ["ab"]),
    "(?:(?!a)){2}b": (["b"], ["a"]),
    # case
    "(?i)k": (["k", "K", "\u212a"], ["s"]),
    "(?i)\u212a": (["k", "K", "\u212a"], ["s"]),
    "(?i)[j-l]": (["k", "K", "\u212a", "J"], ["m"]),
    "(?i)[^k]": (["s", "é"], ["k", "K", "\u212a"]),
    "(?i)ſ": (["s", "S", "ſ"], ["k"]),
    "(?i)i": (["i", "I", "İ", "ı"], ["l"]),
    "(?i)İ": (["i", "I", "İ", "ı"], ["l"]),
    "(?i)[a-z]": (["ı", "İ", "ſ", "\u212a"], ["é", "0"]),
    "(?ia)[a-z]": (["a", "A"], ["ı", "İ", "ſ", "\u212a"]),
    "(?ia)k": (["k", "K"], ["\u212a"]),
    "(?i)ß": (["ß", "ẞ"], ["ss", "SS"]),
    "(?i)ς": (["σ", "ς", "Σ"], ["s"]),
    "(?i)é": (["é", "É"], ["e"]),
    "(?ia)é": (["é"], ["É", "e"]),
    "(?i:a)b": (["ab", "Ab"], ["aB"]),
    "(?i)a(?-i:b)": (["Ab"], ["AB"]),
    "(?i)ﬅ": (["ﬅ", "ﬆ"], ["st"]),
    "(?i)µ": (["µ", "μ", "Μ"], ["u"]),
    # classes
    r"\w+": (["aé_0٣", "ſ"], ["-", "a b", "·"]),
    r"\d": (["0", "٣", "𝟘"], ["²", "a"]),
    r"\s": ([" ", "\n", "\x1c", "\x85", "\xa0", "\u2028", "\u3000"], ["\u200b", "\ufeff"]),
    r"(?a)\w\d\s": (["a0 "], ["é0 ", "a٣ ", "a0\xa0"]),
    r"(?a:\w)\w": (["aé"], ["éa"]),
    r"[^\W\d_]": (["a", "é"], ["0", "_", "-"]),
    r"(?u:\w)(?a:\W)": (["éé"], ["aa"]),
    # what is no character
    r"\ud800": ([], ["a"]),
    r"[\ud800-\udfff]": ([], ["a"]),
    r"[^\ud800-\udfff]": (["a", "😀"], [""]),
    r"a|\udfff": (["a"], [""]),
    r"(?!\ud800)a": (["a"], [""]),
    # what only looks unsupported
    r"\\1": (["\\1"], ["1"]),
    r"\(\?>a\)[(?>)]": (["(?>a)?"], ["a"]),
    r"(?x)a # \1 (?>b) (?P=n) *+": (["a"], ["ab"]),
    r"[*]+": (["**"], [""]),
    r"\*+\++": (["*+", "**++"], ["*"]),
    r"[a*+]+": (["a*+"], [""]),
    r"(?:a*)+b": (["b", "ab"], ["a"]),
    "a{+": (["a{", "a{{"], ["a"]),
    "(?#(?>a)b": (["b"], ["ab"]),
    "a*?b": (["b", "aab"], ["a"]),
}


@pytest.mark.parametrize("pattern", TABLE)
def test_picked_by_hand(pattern: str) -> None:
    matching, others = TABLE[pattern]
    dfa = compile_pattern(pattern)
    assert_canonical(dfa)
    for text in matching:
        assert dfa.matches(text.encode()), text
    for text in others:
        assert not dfa.matches(text.encode()), text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = disagreement(pattern, dfa, [*matching, *others])
    assert found is None, f"the table and re: {found}"


# --- every character ------------------------------------------------------------------------

SWEEPS = (
    ".", "(?s).", r"\w", r"\W", r"\d", r"\s", "[^a]", "[^😀]", r"(?a)\w", r"(?a)\W", r"(?a)\S",
    r"[^\W\d_]", r"[^\s\S]", r"[\ud7ff-\ue000]", r"[\ud800-\udfff]", r"[^\ud800]",
    r"[^\x00-\U0010ffff]", r"[\u0400-\U00010400]", "(?i)k", "(?i)[^k]", "(?i)[a-z]",
    "(?ia)[a-z]", "(?ia)[^\u212a]", "(?i)İ", "(?i)[^ı]", "(?i)[à-ÿ]", "(?i)[^ß]", "(?i)[α-ω]",
    r"(?i)[\Wk]", r"(?ia)\W", r"(?i)[^\u0345]", r"(?i)[\x00-\U0010ffff]",
)  # fmt: skip
MORE_SWEEPS = (
    r"\D", r"\S", r"[^\n]", "[^é]", r"(?a)\d", r"(?a)\D", r"(?a)\s", r"[\W\d]", r"[\s\S]",
    r"[\x00-\x7f]", r"[^\x00-\x7f]", r"[^\uffff\U00010000]", "(?i)[^a-z]", "(?ia)[^a-z]",
    "(?i)[^\u212a]", "(?i)[İ]", "(?i)I", "(?i)ς", r"(?i)[\u0370-\u03ff]",
    r"(?i)[^\u0400-\u04ff]", r"(?i)[^\Wk]", r"(?i)\W", r"(?i)[\U00010400-\U00010427]",
    r"(?i)\u01c5", r"(?i)[\u1c80-\u1c88]", "(?i)[ﬀ-ﬆ]", r"(?i)[\u13a0-\u13fd]",
    r"(?i)[\u212a-\u212b]", r"(?i)[\U0001e900-\U0001e921]", r"(?i)[^\u0130-\u0131]",
)  # fmt: skip
sweeps = [*SWEEPS, *(pytest.param(pattern, marks=pytest.mark.slow) for pattern in MORE_SWEEPS)]


@pytest.mark.parametrize("pattern", sweeps)
def test_a_pattern_of_one_character_over_all_of_unicode(pattern: str) -> None:
    dfa, wanted = compile_pattern(pattern), matched_characters(pattern)
    assert np.array_equal(accepted_characters(dfa), wanted)
    # As many texts as there are characters, so nothing else is accepted: no malformed UTF-8.
    lengths = [0, *np.histogram(wanted, [0, 0x80, 0x800, 0x10000, 0x110000])[0].tolist(), 0, 0]
    assert count_accepted(dfa, 6) == lengths


@pytest.mark.parametrize(
    ("pattern", "before", "after", "same_as"),
    [
        (r"a\b(?s:.)", "a", "", r"\W"),
        (r"(?a)a\b(?s:.)", "a", "", r"(?a)\W"),
        (r"(?s:.)\B-", "", "-", r"\W"),
        (r"(?s:.)(?<!\w)a", "", "a", r"\W"),
        (r"(?=\w)\D", "", "", r"[^\W\d]"),
        (r"\s(?<![ -~])", "", "", r"[^\S -~]"),
        (r"(?i)a(?!k)(?s:.)", "a", "", r"(?i)[^k]"),
        (r"(?i)(?s:.)(?<=s)b", "", "b", r"(?i)[s]"),
        ("a$(?s:.)", "a", "", r"\n"),
        ("(?m)(?s:.)^a", "", "a", r"\n"),
    ],
)
def test_an_assertion_over_all_of_unicode(
    pattern: str, before: str, after: str, same_as: str
) -> None:
    accepted = accepted_characters(compile_pattern(pattern), before, after)
    assert np.array_equal(accepted, matched_characters(same_as))


CASED = "".join(c for c in all_characters() if {c} != {c.lower(), c.upper(), c.casefold()})


@cache
def letters_of_many_cases() -> list[str]:
    """Those of `CASED` that three letters or more are equal to, and some of the others."""
    kin = {letter: re.findall(f"(?i){letter}", CASED) for letter in CASED}
    return [c for c in CASED if len(kin[c]) > 2][::3] + list(CASED[::150])


@pytest.mark.parametrize("flags", ["i", "ia"])
def test_pairs_of_characters_equal_but_for_case(flags: str) -> None:
    letters = letters_of_many_cases()
    dfa = compile_pattern("|".join(f"(?{flags}:{letter})={letter}" for letter in letters))
    wanted = {
        f"{other}={letter}".encode()
        for letter in letters
        for other in re.findall(f"(?{flags}){letter}", CASED)
    }
    assert finite_language(dfa) == wanted


def test_only_characters_with_case_are_taken_for_others() -> None:
    sre: Any = import_module("_sre")
    lowered = {c: sre.unicode_tolower(c) for c in map(ord, all_characters())}
    changed = {c for c, lower in lowered.items() if lower != c or sre.unicode_iscased(c)}
    blocks = {c for low, high in _cased() for c in range(low, high + 1)}
    assert changed | {lowered[c] for c in changed} <= blocks


@sixth
@given(classes(CASED), st.sampled_from(["(?i)", "(?ia)", "(?i)(?u:", "(?i)(?a:"]))
def test_a_class_without_case(members: str, flags: str) -> None:
    pattern = f"{flags}{members})" if flags.count("(") > 1 else flags + members
    dfa = compile_pattern(pattern)
    found = disagreement(pattern, dfa, CASED + LETTERS)
    assert found is None, str(found)


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "starts", "ends"),
    [
        (r"(a)\1", 3, 5),
        (r"(a)b|[\1]\1", 9, 11),
        (r"(?P<n>a)(?P=n)", 8, 14),
        (r"(?P<n>\()(?P=n)", 9, 15),
        (r"(a)?(?(1)b|c)", 4, 13),
        (r"(?P<n>a)?(?(n)b)", 9, 16),
        (r"(a)(?:b|(?=c\1))", 12, 14),
        (r"(a)b(?<=\1)", 8, 10),
        ("(?>a)b", 0, 5),
        ("é(?>a)b", 1, 6),
        ("[(?>](?>a)b", 5, 10),
        ("(?x) a # (?>\n(?>b)", 13, 18),
        ("a*+", 0, 3),
        ("ba++", 1, 4),
        ("a?+b", 0, 3),
        ("a{1,2}+", 0, 7),
        (r"\*+[*+]+(?:ab)*+", 8, 16),
    ],
)  # fmt: skip
def test_what_is_not_regular_is_refused_where_it_stands(
    pattern: str, starts: int, ends: int
) -> None:
    with pytest.raises(PatternError) as raised:
        compile_pattern(pattern)
    assert raised.value.pattern == pattern
    assert raised.value.position is not None
    assert starts <= raised.value.position < ends


@pytest.mark.parametrize(
    "pattern",
    [
        "(", "a)", "[a", "*a", "a**", "a{3,2}", "(?P<n>a)(?P<n>b)", "(?z)", r"\q", "[b-a]",
        "a(?i)b", r"\N{no such name}", "(?P<1>a)", "(?L)a", "(?", "(?P", "a|*", "\\", r"\x4",
        r"\u12", r"\U00110000", "(?P=n)", r"\1", "(?(1)a)",
        "[a-\\d]", "(?i-i:a)", "^*", r"\b+", "(?#", "(?<n>a)", "(?-a:b)", "a{1}{2}", "a+*",
    ],
)  # fmt: skip
def test_what_re_refuses_is_refused_at_the_same_place(pattern: str) -> None:
    with pytest.raises(re.error) as wanted:
        re.compile(pattern)
    with pytest.raises(PatternError) as raised:
        compile_pattern(pattern)
    assert raised.value.pattern == pattern
    assert raised.value.position == wanted.value.pos
    assert wanted.value.msg in str(raised.value)


@pytest.mark.parametrize("pattern", ["(?<=a+)b", "(?<=a|bc)d", "(?<!a?)b"])
def test_a_look_behind_without_a_fixed_width_is_refused_as_by_re(pattern: str) -> None:
    with pytest.raises(re.error):
        re.compile(pattern)
    with pytest.raises(PatternError):
        compile_pattern(pattern)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(a|b)*a(a|b){30}", marks=slow),
        pytest.param("(?:a|b)*a(?:a|b){200}", marks=slow),
        "(?:a{1000}){1000}",
        "(?:(?:(?:(?:a{99}){99}){99}){99}){99}",
        pytest.param(r"(?:\w{1000}){1000}", marks=slow),
        pytest.param("(?:a?){20000}", marks=slow),
        "a{4294967294}",
        "a{0,4294967294}",
        "a{99999999999999999999}",
        pytest.param("(?:){4294967294}", marks=slow),
        pytest.param("(?=.*a.{25}$)(?=.*b.{25}$).*", marks=slow),
        pytest.param("(?!.*a.{30}$).*", marks=slow),
        pytest.param("(?s).*(?<=a.{200}).*", marks=slow),
        pytest.param("(?s).*(?<!a.{40}b.{40}).*", marks=slow),
        pytest.param("(?:(?:a|b|ab){1,50}){1,50}", marks=slow),
        "(" * 5000 + "a" + ")" * 5000,
        "(?=" * 300 + "a" + ")" * 300 + "a",
        "(?!" * 60 + "a" + ")" * 60 + "[ab]",
        pytest.param("a|" * 30_000 + "b", marks=slow),
        pytest.param(r"(?i:\w)" * 3000, marks=slow),
        pytest.param(r"(?:\b\w+\b.){100}", marks=slow),
        pytest.param("".join(f"(?=.*{c})" for c in ascii_lowercase) + ".*", marks=slow),
        pytest.param("".join(f"(?!.*{c}.*{c})" for c in "abcdefghijkl") + "[a-l]*", marks=slow),
    ],
    ids=lambda pattern: pattern[:30],
)
def test_a_large_pattern_is_compiled_or_refused_soon(pattern: str) -> None:
    with within(30):
        try:
            dfa = compile_pattern(pattern)
        except PatternError as error:
            assert error.pattern == pattern
            said = str(error).split("\n", maxsplit=1)[0]
            named = re.search(r"\d|for Python's stack|repetition number", said)
            assert named, f"the bound is not named: {said}"
        else:
            dfa.check()


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a{2000}", "a" * 2000, "a" * 1999),
        ("[a-z]{0,255}", "q" * 255, "q" * 256),
        (r"\w{1,64}", "é" * 64, "é" * 65),
        ("(?s).{500}", "😀" * 500, "😀" * 499),
        ("x" * 10_000, "x" * 10_000, "x" * 9_999),
        ("|".join(f"word{i}" for i in range(1000)), "word777", "word1000"),
        ("(?!(?:" + "|".join(f"w{i}" for i in range(100)) + r")\b)\w+", "w100", "w77"),
        (r"[+-]?(?:\d{1,15}\.\d{0,15}|\.\d{1,15})(?:e[+-]?\d{1,4})?", "-1.5e+10", "1.5e"),
        ("(?:a|b)*a(?:a|b){8}", "ba" + "b" * 8, "ab" + "b" * 8),
    ],
    ids=lambda value: value[:20],
)
def test_a_pattern_of_use_is_not_too_large(pattern: str, matching: str, other: str) -> None:
    with within(10):
        dfa = compile_pattern(pattern)
    assert dfa.matches(matching.encode())
    assert not dfa.matches(other.encode())
