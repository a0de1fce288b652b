"""Normalized grammars against the grammars as written, on all short sentences."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import example, given

from constrain.errors import EmptyLanguageError, GrammarLimitError
from constrain.grammar import normalize as module
from constrain.grammar.normalize import (
    NormalGrammar,
    drop_epsilon,
    drop_unproductive,
    drop_unreachable,
    normalize,
    nullable_symbols,
    split_nullable_runs,
)
from constrain.grammar.rules import Grammar, Production, Terminal
from tests import reference, strategies

MAX_SENTENCE = 4


def empty_terminals(grammar: Grammar) -> list[str]:
    return [t.name for t in grammar.terminals if t.pattern == reference.EMPTY_PATTERN]


def written_back(normal: NormalGrammar, grammar: Grammar) -> Grammar:
    """The normalized productions as a grammar of names."""
    productions = tuple(
        Production(normal.name(lhs), tuple(map(normal.name, rhs)))
        for lhs, rhs in normal.productions
    )
    return Grammar(grammar.terminals, productions, normal.name(normal.start))


def sentences(grammar: Grammar, max_length: int = MAX_SENTENCE) -> set[tuple[str, ...]]:
    """All sentences of terminal names up to a length, by the oracle's parser."""
    parser = reference.Parser(grammar)
    names = [t.name for t in grammar.terminals]
    found = set()
    for length in range(max_length + 1):
        for sentence in product(names, repeat=length):
            state = parser.initial
            for name in sentence:
                if state != reference.DEAD:
                    state = parser.advance(state, frozenset({name}), stay=False)
            if state.is_complete:
                found.add(sentence)
    return found


def grammar_of(rules: str, terminals: str = "ABC") -> Grammar:
    """Rules as `s: A s | `, one a line."""
    productions: list[Production] = []
    for line in rules.splitlines():
        lhs, _, alternatives = line.partition(":")
        productions += [Production(lhs.strip(), tuple(a.split())) for a in alternatives.split("|")]
    leaves = tuple(Terminal(name, name.lower()) for name in terminals)
    return Grammar(leaves, tuple(productions), productions[0].lhs)


@given(grammar=strategies.grammars())
@example(grammar=grammar_of("s: t t t t\nt: A |"))
@example(grammar=grammar_of("s: s s | t\nt: s | A |"))
@example(grammar=grammar_of("s: A t\nt: t"))
def test_the_sentences_stay_the_same(grammar: Grammar) -> None:
    wanted = sentences(grammar)
    try:
        normal = normalize(grammar, empty_terminals(grammar))
    except EmptyLanguageError:
        assert not wanted
        return
    assert normal.accepts_empty == (() in wanted)
    assert sentences(written_back(normal, grammar)) == wanted - {()}


@given(grammar=strategies.grammars())
def test_nothing_useless_is_left(grammar: Grammar) -> None:
    try:
        normal = normalize(grammar, empty_terminals(grammar))
    except EmptyLanguageError:
        return
    assert normal.terminals == tuple(t.name for t in grammar.terminals)
    assert normal.name(normal.start) == grammar.start
    assert max(Counter(normal.productions).values(), default=1) == 1
    for lhs, rhs in normal.productions:
        assert rhs
        assert rhs != (lhs,)
    back = written_back(normal, grammar)
    useful = reference.reduced(
        Grammar(
            tuple(t for t in back.terminals if t.pattern != reference.EMPTY_PATTERN),
            back.productions,
            back.start,
        )
    )
    assert set(useful) == set(back.productions)


def productions_of(rules: str) -> list[Production]:
    return list(grammar_of(rules).productions)


def test_nullable_symbols_are_found_through_each_other() -> None:
    productions = productions_of("s: t u\nt: u |\nu: t t\nv: A | s v")
    assert nullable_symbols(productions) == {"s", "t", "u"}


def test_unproductive_productions_go() -> None:
    productions = productions_of("s: A | t\nt: t B\nu: D")
    assert drop_unproductive(productions, {"A", "B", "C"}) == [Production("s", ("A",))]


def test_unreachable_productions_go() -> None:
    productions = productions_of("s: A t\nt: B\nu: s")
    assert drop_unreachable(productions, "s") == productions[:2]


def test_epsilon_goes_by_leaving_symbols_out() -> None:
    productions = [Production("s", ("t", "A", "t")), Production("t", ("B",)), Production("t", ())]
    dropped = {str(p) for p in drop_epsilon(productions, {"t"})}
    assert dropped == {"s → A", "s → A t", "s → t A", "s → t A t", "t → B"}


@pytest.mark.parametrize("n", [3, 10, 60])
def test_a_run_of_optional_parts_costs_productions_in_proportion(n: int) -> None:
    parts = [f"x{i}" for i in range(n)]
    rules = "\n".join([f"s: {' '.join(parts)}", *(f"{part}: A |" for part in parts)])
    normal = normalize(grammar_of(rules))
    assert len(normal.productions) <= 6 * n
    grammar = grammar_of(rules)
    if n == 3:
        assert sentences(written_back(normal, grammar)) == sentences(grammar) - {()}


def test_splitting_leaves_at_most_two_optional_parts() -> None:
    productions = split_nullable_runs(productions_of("s: t A t B t C t\nt:"), {"t"})
    assert all(sum(s in {"t"} or s.startswith("__rest") for s in p.rhs) <= 2 for p in productions)


def test_a_name_of_the_grammar_is_never_taken_for_a_new_rule() -> None:
    grammar = grammar_of("s: __rest_0 t t t\n__rest_0: B\nt: A |")
    normal = normalize(grammar)
    assert sentences(written_back(normal, grammar)) == sentences(grammar)


def test_a_new_rule_is_never_named_like_a_terminal() -> None:
    terminals = (Terminal("A", "a"), Terminal("__rest_0", "b"))
    rules = (
        Production("s", ("t", "t", "t", "__rest_0")),
        Production("t", ("A",)),
        Production("t", ()),
    )
    grammar = Grammar(terminals, rules, "s")
    normal = normalize(grammar)
    assert sentences(written_back(normal, grammar)) == sentences(grammar)


def test_a_grammar_without_sentences_is_refused() -> None:
    with pytest.raises(EmptyLanguageError, match="'s' derives no finite sentence"):
        normalize(grammar_of("s: A s"))
    with pytest.raises(EmptyLanguageError):
        normalize(grammar_of("s: A B"), ["B"])


def test_too_many_productions_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PRODUCTIONS", 3)
    with pytest.raises(GrammarLimitError, match="at most 3"):
        normalize(grammar_of("s: A | B | C | A B"))


def test_a_deep_grammar_needs_no_recursion() -> None:
    chain = "\n".join(f"r{i}: r{i + 1} |" for i in range(3000))
    normal = normalize(grammar_of(f"{chain}\nr3000: A"))
    assert normal.accepts_empty
