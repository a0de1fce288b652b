"""Sets of LR stacks against an Earley parser on the grammar as written."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrain.automata.lr0 import build_lr0
from constrain.decode.stacks import Parser, Stacks, StackUnderflow
from constrain.errors import EmptyLanguageError
from constrain.grammar.normalize import normalize
from constrain.grammar.rules import Grammar, Production, Terminal
from tests import reference, strategies


def parser_of(grammar: Grammar) -> Parser:
    empty = [t.name for t in grammar.terminals if t.pattern == reference.EMPTY_PATTERN]
    names = [t.name for t in grammar.terminals]
    ignored = [names.index(name) for name in grammar.ignore]
    return Parser(build_lr0(normalize(grammar, empty)), ignored)


def rules(text: str) -> Grammar:
    """Productions as `s: A s |`, one nonterminal a line; capitals are terminals."""
    productions: list[Production] = []
    for line in text.splitlines():
        lhs, _, alternatives = line.partition(":")
        productions += [Production(lhs.strip(), tuple(a.split())) for a in alternatives.split("|")]
    names = dict.fromkeys(s for p in productions for s in p.rhs if s.isupper())
    leaves = tuple(Terminal(name, name.lower()) for name in names)
    return Grammar(leaves, tuple(productions), productions[0].lhs)


@st.composite
def parses(draw: st.DrawFn) -> tuple[Grammar, list[frozenset[int]]]:
    """A grammar and a sequence of lexemes, each one or several terminals at once."""
    grammar = draw(strategies.grammars())
    ids = st.sampled_from(range(len(grammar.terminals)))
    return grammar, draw(st.lists(st.frozensets(ids, min_size=1, max_size=2), max_size=7))


@given(parses(), st.lists(st.integers(0, 30), min_size=7, max_size=7))
def test_stacks_are_the_parses_that_live(
    given_parse: tuple[Grammar, list[frozenset[int]]], choices: list[int]
) -> None:
    """Acceptable terminals and acceptance after every lexeme, ignored ones included."""
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
    except EmptyLanguageError:
        return
    names = [t.name for t in grammar.terminals]
    earley = reference.Parser(grammar)
    stacks, state = parser.initial, earley.initial
    for choice in choices:
        acceptable = sorted(parser.acceptable(stacks))
        lexeme = lexemes.pop() if lexemes and choice > 25 else frozenset[int]()
        lexeme = lexeme or frozenset(acceptable[choice % max(1, len(acceptable)) :][:1])
        expected = state.expected.intersection(names).difference(
            {t.name for t in grammar.terminals if t.pattern == reference.EMPTY_PATTERN}
        )
        found = {names[t] for t in parser.acceptable(stacks)}
        assert found == expected.union(grammar.ignore)
        assert parser.accepts(stacks) == state.is_complete
        if not lexeme:
            return
        lexeme_names = {names[t] for t in lexeme}
        ignored = lexeme_names.intersection(grammar.ignore)
        state = earley.advance(state, frozenset(lexeme_names - ignored), bool(ignored))
        stacks = parser.advance(stacks, tuple(sorted(lexeme)))
        assert (stacks is parser.nothing) == (state == reference.DEAD)
        if stacks is parser.nothing:
            return


@given(parses(), st.integers(0, 4), st.lists(st.integers(0, 4), max_size=3))
def test_what_a_cut_stack_answers_holds_for_the_whole_one(
    given_parse: tuple[Grammar, list[frozenset[int]]], depth: int, more: list[int]
) -> None:
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
    except EmptyLanguageError:
        return
    stacks = parser.initial
    for lexeme in lexemes:
        after = parser.advance(stacks, tuple(sorted(lexeme)))
        stacks = after if after is not parser.nothing else stacks
    cut = parser.cut(stacks, depth)
    try:
        for terminal in [*more, None]:
            acceptable = parser.acceptable(cut)
            assert acceptable == parser.acceptable(stacks)
            accepts = parser.accepts(cut)
            assert accepts == parser.accepts(stacks)
            if terminal is None or terminal not in acceptable:
                return
            cut, stacks = parser.advance(cut, (terminal,)), parser.advance(stacks, (terminal,))
    except StackUnderflow:
        assert cut is not stacks, "a whole stack has nothing below it that is missing"


@given(parses())
def test_a_deep_enough_cut_is_the_stack_itself(
    given_parse: tuple[Grammar, list[frozenset[int]]],
) -> None:
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
    except EmptyLanguageError:
        return
    stacks = parser.initial
    for lexeme in lexemes:
        stacks = parser.advance(stacks, tuple(sorted(lexeme)))
        assert parser.cut(stacks, stacks.depth) is stacks
        assert parser.cut(parser.cut(stacks, 2), 1) is parser.cut(stacks, 1)


@given(parses())
def test_what_a_split_top_answers_holds_for_the_whole_stack(
    given_parse: tuple[Grammar, list[frozenset[int]]],
) -> None:
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
    except EmptyLanguageError:
        return
    stacks = parser.initial
    for lexeme in [*lexemes, *lexemes]:
        terminals = tuple(sorted(lexeme))
        after = parser.advance(stacks, terminals)
        top, rest = parser.split(stacks)
        if rest is None:
            assert top is stacks
        else:
            assert top is not stacks
            assert parser.graft(top, rest) is stacks
            with suppress(StackUnderflow):
                assert parser.acceptable(top) == parser.acceptable(stacks)
                assert parser.graft(parser.advance(top, terminals), rest) is after
        stacks = after if after is not parser.nothing else stacks


def test_stacks_are_split_where_all_meet() -> None:
    parser = parser_of(rules("s: X X X s | t Y | u Z\nt: A A\nu: B A"))
    names = parser.automaton.grammar.terminals
    stacks = parser.initial
    for name in "XXXXXX":
        stacks = parser.advance(stacks, (names.index(name),))
    both = parser.advance(stacks, tuple(sorted(map(names.index, "AB"))))
    assert len(both.edges) == 2
    top, rest = parser.split(both)
    assert rest is not None
    assert rest.depth < stacks.depth < both.depth
    assert top.depth + rest.depth == both.depth


def test_equal_sets_are_one_object() -> None:
    parser = parser_of(rules("s: A s | B"))
    one = parser.advance(parser.initial, (0,))
    again = parser.intern(reversed(one.edges))
    assert one is again
    assert parser.advance(parser.initial, (0,)) is one


def test_a_union_holds_both_and_is_one_object_either_way() -> None:
    parser = parser_of(rules("s: A t X | B t Y\nt: C"))
    names = parser.automaton.grammar.terminals
    one, other = (parser.advance(parser.initial, (names.index(t),)) for t in "AB")
    both = parser.union(one, other)
    assert both is parser.union(other, one)
    after = parser.advance(both, (names.index("C"),))
    assert {names[t] for t in parser.acceptable(after)} == {"X", "Y"}
    assert parser.union(one, parser.nothing) is one
    assert parser.union(parser.nothing, one) is one


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
def test_a_right_recursion_is_reduced_to_its_beginning(n: int) -> None:
    parser = parser_of(rules("s: X t Y\nt: A t | A"))
    names = parser.automaton.grammar.terminals
    stacks = parser.initial
    for name in "X" + n * "A":
        stacks = parser.advance(stacks, (names.index(name),))
    assert {names[t] for t in parser.acceptable(stacks)} == {"A", "Y"}
    assert parser.accepts(parser.advance(stacks, (names.index("Y"),)))


def test_a_deterministic_grammar_keeps_one_stack() -> None:
    parser = parser_of(rules("s: L s R | A"))
    stacks = parser.initial
    for _ in range(50):
        stacks = parser.advance(stacks, (0,))
        assert len(stacks.edges) == 1


def test_an_ambiguous_grammar_shares_what_its_stacks_have_in_common() -> None:
    parser = parser_of(rules("s: s s | A"))
    stacks = parser.initial
    for _ in range(300):
        stacks = parser.advance(stacks, (0,))
    seen: dict[Stacks, None] = {stacks: None}
    for node in (queue := [stacks]):
        for _, below in node.edges:
            if below not in seen:
                seen[below] = None
                queue.append(below)
    assert len(seen) < 2000
    assert parser.accepts(stacks)


@pytest.mark.parametrize("text", ["s: A s | B", "s: s A | B", "s: A s X | B", "s: s s | A s | B"])
def test_thousands_of_lexemes_need_no_recursion(text: str) -> None:
    parser = parser_of(rules(text))
    names = parser.automaton.grammar.terminals
    stacks = parser.initial
    if "s: s A" in text:
        stacks = parser.advance(stacks, (names.index("B"),))
    depth = 300 if "s s" in text else 5000
    for _ in range(depth):
        stacks = parser.advance(stacks, (names.index("A"),))
        assert stacks is not parser.nothing
    if "s: s A" not in text:
        stacks = parser.advance(stacks, (names.index("B"),))
    for _ in range(depth if "X" in names else 0):
        assert not parser.accepts(stacks)
        stacks = parser.advance(stacks, (names.index("X"),))
    assert parser.accepts(stacks)


def test_stacks_that_nobody_holds_are_forgotten() -> None:
    parser = parser_of(rules("s: A s | B"))
    before = len(parser._interned)
    stacks = parser.initial
    for _ in range(200):
        stacks = parser.advance(stacks, (0,))
    assert len(parser._interned) > before + 100
    parser.initial._advanced.clear()
    del stacks
    gc.collect()
    assert len(parser._interned) <= before + 2
