"""The oracle itself, on cases small enough to decide by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given

from constrain.grammar.rules import Grammar, Lexing, Production, Terminal, Ties
from tests import reference, strategies


def grammar(
    rules: str,
    *terminals: Terminal,
    ignore: tuple[str, ...] = (),
    lexing: Lexing = "longest",
    ties: Ties = "priority",
) -> Grammar:
    """A grammar from lines `lhs: symbol symbol | symbol`; the first lhs is the start."""
    productions = tuple(
        Production(lhs.strip(), tuple(rhs.split()))
        for lhs, _, alternatives in (line.partition(":") for line in rules.strip().splitlines())
        for rhs in alternatives.split("|")
    )
    return Grammar(terminals, productions, productions[0].lhs, ignore, lexing, ties)


def literal(name: str, text: str, priority: int = 0) -> Terminal:
    return Terminal(name, re.escape(text), priority, is_literal=True)


A, B, C = literal("A", "a"), literal("B", "b"), literal("C", "c")


def language(g: Grammar, alphabet: str = "abc", max_length: int = 4) -> set[str]:
    return {text.decode() for text in reference.language(g, alphabet.encode(), max_length)}


@pytest.mark.parametrize("lexing", ["longest", "any"])
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("s: A B", {"ab"}),
        ("s: ", {""}),
        ("s: A s | ", {"", "a", "aa", "aaa", "aaaa"}),
        ("s: s A | ", {"", "a", "aa", "aaa", "aaaa"}),
        ("s: s s | A | ", {"", "a", "aa", "aaa", "aaaa"}),
        ("s: A s B | ", {"", "ab", "aabb"}),
        ("s: t | A\nt: s | B", {"a", "b"}),
        ("s: t t\nt: u | A\nu: t | ", {"", "a", "aa"}),
        ("s: A s A | B s B | ", {"", "aa", "bb", "aaaa", "abba", "baab", "bbbb"}),
        ("s: t u\nt: A t | A\nu: u B | B", {"ab", "aab", "abb", "aaab", "aabb", "abbb"}),
        ("s: A | B t\nt: t C", {"a"}),
        ("s: A t | C\nt: B t", {"c"}),
        ("s: s", set()),
        ("s: A\nu: A B", {"a"}),
    ],
)  # fmt: skip
def test_context_free_languages(rules: str, expected: set[str], lexing: Lexing) -> None:
    assert language(grammar(rules, A, B, C, lexing=lexing)) == expected


def test_the_longest_match_swallows_what_the_next_terminal_needs() -> None:
    trap = ("s: A B", Terminal("A", "ab*"), Terminal("B", "b"))
    assert language(grammar(*trap)) == set()
    assert language(grammar(*trap, lexing="any")) == {"ab", "abb", "abbb"}


def test_the_longest_match_counts_only_terminals_the_parser_expects() -> None:
    terminals = (Terminal("A", "a+"), literal("AB", "ab"), B)
    # AB is no candidate where only A may stand, so `ab` is A then B.
    assert language(grammar("s: A B", *terminals)) == {"ab", "aab", "aaab"}
    # Where both may stand, AB is the longer match at the first `a` and A nowhere precedes b.
    assert language(grammar("s: A B | AB C", *terminals, C)) == {"abc", "aab", "aaab"}


def test_a_useless_rule_makes_no_terminal_expected() -> None:
    swallower = Terminal("AB", "ab")
    assert language(grammar("s: A B | AB t\nt: t C", A, B, C, swallower)) == {"ab"}
    nothing = Terminal("N", reference.EMPTY_PATTERN)
    assert language(grammar("s: A B | AB N", A, B, C, swallower, nothing)) == {"ab"}


def test_candidates_come_from_every_parse_alive() -> None:
    # After X or Y (both match `a`) either parse offers a terminal; the longer one wins for both.
    rules, rest = "s: X B | Y BC", (literal("X", "a"), literal("Y", "a"), B, literal("BC", "bc"))
    assert language(grammar(rules, *rest)) == {"ab", "abc"}
    rules = "s: X B C | Y BC BC"
    assert language(grammar(rules, *rest, C), max_length=5) == {"abcbc"}


def test_a_lexeme_falls_back_to_its_last_accepting_position() -> None:
    dot, dots = literal("DOT", "."), literal("DOTS", "...")
    g = grammar("s: t A\nt: DOT t | DOTS t | ", dot, dots, A)
    assert language(g, ".a", 6) == {"." * n + "a" for n in range(6)}
    only_three = grammar("s: DOTS A | DOT DOT A", dot, dots, A)
    assert language(only_three, ".a", 6) == {"..a", "...a"}


def test_ties_between_keyword_and_name() -> None:
    keyword, name = literal("IF", "if"), Terminal("NAME", "[a-z]+")
    rules = "s: NAME A | IF B"

    def texts(ties: Ties, *terminals: Terminal) -> set[str]:
        g = grammar(rules, *terminals, Terminal("A", "1"), Terminal("B", "2"), ties=ties)
        return {text for text in ("if1", "if2", "fi1", "fi2", "iff1") if accepts(g, text)}

    assert texts("priority", keyword, name) == {"if2", "fi1", "iff1"}
    assert texts("priority", keyword, Terminal("NAME", "[a-z]+", 1)) == {"if1", "fi1", "iff1"}
    assert texts("priority", Terminal("IF", "if"), name) == {"if1", "if2", "fi1", "iff1"}
    assert texts("all", keyword, name) == {"if1", "if2", "fi1", "iff1"}


def accepts(g: Grammar, text: str) -> bool:
    return reference.accepts(g, text.encode())


@pytest.mark.parametrize("lexing", ["longest", "any"])
def test_ignored_terminals_stand_anywhere(lexing: Lexing) -> None:
    g = grammar("s: A A | ", A, B, Terminal("I", "b"), ignore=("I",), lexing=lexing)
    expected = {t for n in range(5) for t in map("".join, product("ab", repeat=n))}
    assert language(g) == {text for text in expected if text.count("a") in (0, 2)}


def test_an_ignored_terminal_competes_for_the_longest_match() -> None:
    ab = literal("I", "ab")
    assert language(grammar("s: A B | A", A, B, ab, ignore=("I",))) == {"a", "aab", "aba", "aabb"}
    both = language(grammar("s: A B | A", A, B, ab, ignore=("I",), lexing="any"))
    assert both == {"a", "ab", "aab", "aba", "abab", "aabb"}


def test_an_ignored_terminal_in_a_tie() -> None:
    ignored = literal("I", "a")
    g = grammar("s: X B", Terminal("X", "a"), B, ignored, ignore=("I",), ties="all")
    assert language(g) == {"ab", "aab", "aaab", "aba", "abaa", "aaba"}
    assert language(replace(g, ties="priority")) == set()


def test_any_lexing_follows_every_segmentation() -> None:
    g = grammar("s: X X", Terminal("X", "a|ab|ba"), lexing="any")
    assert language(g) == {"aa", "aab", "aba", "abab", "abba", "baa", "baab", "baba"}


def test_every_pattern_of_the_strategies_matches_something() -> None:
    for pattern in {*strategies.LITERALS, *strategies.PATTERNS, *strategies.IGNORED}:
        assert any(reference.matches(pattern, text) for text in reference.texts(b"abc", 3)), pattern
        assert not reference.matches(pattern, b""), pattern


def test_lexemes_are_valid_utf8() -> None:
    g = grammar("s: X", Terminal("X", "[^a]"))
    assert reference.language(g, b"a\xc3\xa9b", 3) == {b"b", "é".encode()}


def test_viable_finds_a_completion() -> None:
    g = grammar("s: A B", Terminal("A", "ab*"), Terminal("B", "cb|bc"))
    assert reference.viable(g, b"abb", b"abc", 2)
    assert not reference.viable(g, b"abc", b"abc", 0)
    assert not reference.viable(g, b"b", b"abc", 4)


def test_fewest_tokens() -> None:
    assert reference.fewest_tokens([b"a", b"ab", b"bab", b""], b"abab") == 2
    assert reference.fewest_tokens([b"ab"], b"aba") is None
    assert reference.fewest_tokens([b"ab"], b"") == 0


def test_spelled_texts() -> None:
    assert reference.spelled_texts([b"ab", b"c", b""], 3, 100) == [
        b"", b"c", b"ab", b"cc", b"abc", b"cab", b"ccc",
    ]  # fmt: skip
    assert reference.spelled_texts([b"a", b"b"], 9, 7) == [
        b"",
        b"a",
        b"b",
        b"aa",
        b"ab",
        b"ba",
        b"bb",
    ]


@given(strategies.grammars())
def test_parser_states_lose_nothing_by_merging(grammar: Grammar) -> None:
    """Sets of terminals lead where the single sequences lead, taken one by one."""
    parser = reference.Parser(grammar)
    names = sorted({t.name for t in grammar.terminals} - set(grammar.ignore))
    pairs = [frozenset(pair) for pair in zip(names, names[1:] + names[:1], strict=True)]
    for sets in product(pairs, repeat=3):
        merged = parser.initial
        for winners in sets:
            merged = parser.advance(merged, winners, False) if merged.columns else merged
        singles = [sentence_state(parser, sentence) for sentence in product(*sets)]
        assert merged.is_complete == any(state.is_complete for state in singles)
        assert merged.expected == frozenset().union(*(state.expected for state in singles))


def sentence_state(parser: reference.Parser, sentence: tuple[str, ...]) -> reference.ParserState:
    state = parser.initial
    for name in sentence:
        if state.columns:
            state = parser.advance(state, frozenset([name]), False)
    return state


@given(strategies.grammars())
def test_complete_sentences_are_those_that_derivations_yield(grammar: Grammar) -> None:
    parser = reference.Parser(grammar)
    names = sorted({t.name for t in grammar.terminals} - set(grammar.ignore))
    yields = derived(grammar, 3)
    for length in range(4):
        for sentence in product(names, repeat=length):
            assert sentence_state(parser, sentence).is_complete == (sentence in yields)


def derived(grammar: Grammar, max_length: int) -> set[tuple[str, ...]]:
    """All sentences of non-empty terminals up to a length, by iterating the equations."""
    known: dict[str, set[tuple[str, ...]]] = {p.lhs: set() for p in grammar.productions}
    for t in grammar.terminals:
        known[t.name] = {(t.name,)} if t.pattern != reference.EMPTY_PATTERN else set()
    while True:
        before = sum(map(len, known.values()))
        for p in grammar.productions:
            sentences: set[tuple[str, ...]] = {()}
            for symbol in p.rhs:
                sentences = {
                    head + tail
                    for head in sentences
                    for tail in known[symbol]
                    if len(head) + len(tail) <= max_length
                }
            known[p.lhs] |= sentences
        if sum(map(len, known.values())) == before:
            return known[grammar.start]
