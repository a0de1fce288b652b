"""Random regular expressions over few, tricky letters, and the comparison with Python's `re`.

The letters: `k` and the Kelvin sign, `s ſ`, `i ı İ` are equal to each other, or not, when case is
ignored, in ways that no table of upper and lower case tells; `é` and `😀` take two and four bytes;
`_`, `0`, the space and the line end are what the classes and anchors tell apart.
"""

# ruff: noqa: RUF001 - letters that look alike are the point

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA
from constrain.automata.regex import compile_pattern
from tests.automata.dfas import accepted_text

LETTERS = "abAk\u212asſiıİéÉ\n0_ 😀"
ANCHORS = ("^", "$", r"\A", r"\Z", r"\b", r"\B")
CATEGORIES = (r"\w", r"\d", r"\s", r"\W", r"\D", r"\S")
# Repeated, so that most repetitions are the plain ones.
QUANTIFIERS = ("*", "+", "?") * 2 + (
    "*?", "+?", "??", "{2}", "{0}", "{1,2}", "{2,}", "{,2}", "{0,3}?", "{2,4}",
)  # fmt: skip
GROUPS = ("(?:", "(", "(?P<#>", "(?i:", "(?s:", "(?m:", "(?a:", "(?x:", "(?-i:", "(?im-s:", "(?u:")
GLOBAL_FLAGS = ("",) * 6 + ("(?i)", "(?s)", "(?m)", "(?a)", "(?ia)", "(?ims)", "(?x)", "(?aim)")
LOOKS = ("(?=", "(?!")
LOOKS_BEHIND = ("(?<=", "(?<!")
WANDER = 8


@dataclass(frozen=True)
class Disagreement:
    """`pattern` matches the whole of `text`: so says `re`, or so does the DFA."""

    pattern: str
    text: str
    by_re: bool

    def __str__(self) -> str:
        return (
            f"pattern {self.pattern!r}, text {self.text!r}: re says {self.by_re}, "
            f"the DFA {not self.by_re}"
        )


# Weighted to the plain letters: a pattern that matches short texts of few letters tells most.
_letters = st.sampled_from("ab" * 6 + LETTERS)
_characters = _letters.map(lambda c: {"\n": r"\n", " ": r"[ ]"}.get(c, c))


@st.composite
def classes(draw: st.DrawFn, letters: str = LETTERS) -> str:
    """A class of 1–3 letters, ranges and categories, or its complement."""
    letter = st.sampled_from(letters)
    ranges = st.tuples(letter, letter).map(lambda ends: f"{min(ends)}-{max(ends)}")
    member = st.one_of(letter, letter, ranges, st.sampled_from(CATEGORIES))
    members = draw(st.lists(member, min_size=1, max_size=3))
    return f"[{draw(st.sampled_from(['', '', '^']))}{''.join(members)}]"


_one_character = st.one_of(
    _characters, _characters, st.just("."), classes(), st.sampled_from(CATEGORIES)
)
_anchors = st.sampled_from(ANCHORS)


@st.composite
def _of_width(draw: st.DrawFn, width: int) -> str:
    """What may stand in a look-behind: alternatives of just `width` characters."""
    alternatives = []
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        parts = [draw(_one_character) for _ in range(width)]
        if draw(st.sampled_from([False, False, True])):
            ahead = f"{draw(st.sampled_from(LOOKS))}{draw(_one_character)})"
            parts.insert(draw(st.integers(0, width)), draw(st.one_of(_anchors, st.just(ahead))))
        alternatives.append("".join(parts))
    return "|".join(alternatives)


_looks_behind = st.tuples(
    st.sampled_from(LOOKS_BEHIND), st.sampled_from([0, 1, 1, 1, 2]).flatmap(_of_width)
).map(lambda parts: f"{parts[0]}{parts[1]})")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Every result may stand in a sequence as it is; a quantifier needs a group."""
    several = st.lists(inner, min_size=2, max_size=4)
    repeated = st.tuples(inner, st.sampled_from(QUANTIFIERS))
    return st.one_of(
        several.map("".join),
        several.map(lambda parts: f"(?:{'|'.join(parts)})"),
        repeated.map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
        repeated.map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
        st.tuples(st.sampled_from(GROUPS), inner).map(lambda parts: f"{parts[0]}{parts[1]})"),
        st.tuples(st.sampled_from(LOOKS), inner).map(lambda parts: f"{parts[0]}{parts[1]})"),
    )


_trees = st.recursive(
    st.one_of(_one_character, _one_character, _one_character, st.just(""), _anchors, _looks_behind),
    _larger,
    max_leaves=8,
)
_plain_trees = st.recursive(_one_character, lambda inner: st.one_of(
    st.lists(inner, min_size=2, max_size=3).map("".join),
    st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    st.tuples(inner, st.sampled_from("*+?")).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
), max_leaves=6)  # fmt: skip


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Any supported regular expression, of at most about eight leaves."""
    body: str = draw(_trees)
    for number in range(body.count("(?P<#>")):
        body = body.replace("(?P<#>", f"(?P<n{number}>", 1)
    flags: str = draw(st.sampled_from(GLOBAL_FLAGS))
    return flags + body


def plain_patterns() -> st.SearchStrategy[str]:
    """Patterns without flags and assertions, which mean the same wherever they stand."""
    return _plain_trees


@st.composite
def letter_sets(draw: st.DrawFn) -> str:
    """Three letters to write texts with; `a` and `b` often."""
    return "".join(draw(st.lists(_letters, min_size=3, max_size=3, unique=True)))


def texts(letters: str, max_length: int) -> Iterator[str]:
    """Every text over `letters` of at most `max_length` characters, shortest first."""
    for length in range(max_length + 1):
        yield from map("".join, product(letters, repeat=length))


def disagreement(pattern: str, dfa: ByteDFA, candidates: Iterable[str]) -> Disagreement | None:
    """The first of `candidates` on which `re` and the DFA differ."""
    oracle = re.compile(pattern)
    for text in candidates:
        by_re = oracle.fullmatch(text) is not None
        if dfa.matches(text.encode()) != by_re:
            return Disagreement(pattern, text, by_re)
    return None


def check_pattern(pattern: str, letters: str, more: Iterable[str] = (), seed: int = 0) -> None:
    """Fail where the DFA of `pattern` is not the language that `re` knows.

    Tried are all texts of up to two of `LETTERS`, all of up to four of `letters`, `more`, and
    texts that the DFA accepts, which prove that it does not accept too much.
    """
    dfa = compile_pattern(pattern)
    for candidates in (texts(LETTERS, 2), texts(letters, 4), more, some_accepted(dfa, seed)):
        found = disagreement(pattern, dfa, candidates)
        assert found is None, str(found)


def some_accepted(dfa: ByteDFA, seed: int, n_texts: int = 10) -> Iterator[str]:
    """Random texts that the DFA accepts, its shortest one first; all are UTF-8."""
    shortest = dfa.shortest()
    if shortest is None:
        return
    yield shortest.decode()
    choose = random.Random(seed)
    for _ in range(n_texts):
        yield accepted_text(dfa, choose, WANDER).decode()
