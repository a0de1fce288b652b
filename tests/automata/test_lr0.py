"""The LR(0) automaton against the textbook's: closures of whole item sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrain.automata import lr0
from constrain.automata.lr0 import Item, build_lr0
from constrain.errors import EmptyLanguageError, GrammarLimitError
from constrain.grammar.normalize import NormalGrammar, normalize
from constrain.grammar.rules import Grammar, Production, Terminal
from tests import strategies

START = (-1, 0)  # the augmented item S' → • S; S' → S • is (-1, 1)


def normal(grammar: Grammar) -> NormalGrammar | None:
    try:
        return normalize(grammar)
    except EmptyLanguageError:
        return None


class Textbook:
    """Item sets with all their items (Aho et al., 4.6.2)."""

    def __init__(self, grammar: NormalGrammar) -> None:
        self.grammar = grammar

    def rhs(self, item: Item) -> tuple[int, ...]:
        return (self.grammar.start,) if item[0] == -1 else self.grammar.productions[item[0]][1]

    def closure(self, kernel: frozenset[Item]) -> frozenset[Item]:
        items = set(kernel)
        while True:
            awaited = {self.rhs(i)[i[1]] for i in items if i[1] < len(self.rhs(i))}
            opened = {
                (p, 0) for p, (lhs, _) in enumerate(self.grammar.productions) if lhs in awaited
            }
            if opened <= items:
                return frozenset(items)
            items |= opened

    def moves(self, kernel: frozenset[Item]) -> dict[int, frozenset[Item]]:
        found: dict[int, set[Item]] = {}
        for item in self.closure(kernel):
            if item[1] < len(self.rhs(item)):
                found.setdefault(self.rhs(item)[item[1]], set()).add((item[0], item[1] + 1))
        return {symbol: frozenset(items) for symbol, items in found.items()}


@given(grammar=strategies.grammars())
def test_states_moves_and_reductions_are_the_textbooks(grammar: Grammar) -> None:
    normal_grammar = normal(grammar)
    if normal_grammar is None or not normal_grammar.productions:
        return
    automaton = build_lr0(normal_grammar)
    book = Textbook(normal_grammar)
    number = {frozenset([START]): 0}
    todo = list(number)
    for kernel in todo:
        state = number[kernel]
        moves = book.moves(kernel)
        assert {**automaton.shift[state], **automaton.goto[state]}.keys() == moves.keys()
        assert all(symbol < len(normal_grammar.terminals) for symbol in automaton.shift[state])
        for symbol, target in moves.items():
            found = {**automaton.shift[state], **automaton.goto[state]}[symbol]
            assert number.setdefault(target, found) == found
            if target not in todo:
                todo.append(target)
        real = {item for item in kernel if item[0] >= 0}
        assert set(automaton.kernels[state]) == real
        complete = {i for i in real if i[1] == len(book.rhs(i))}
        wanted = {(normal_grammar.productions[p][0], dot) for p, dot in complete}
        assert set(automaton.reductions[state]) == wanted
        assert (state == automaton.accept) == ((-1, 1) in kernel)
    assert len(number) == len(automaton.kernels)
    assert len(set(number.values())) == len(number)


def test_a_sentence_of_epsilon_only_has_no_accepting_state() -> None:
    automaton = build_lr0(normalize(Grammar((), (Production("s", ()),), "s")))
    assert automaton.grammar.accepts_empty
    assert not any(automaton.shift)


def test_items_print_as_in_the_textbook() -> None:
    terminals = (Terminal("STRING", "s"), Terminal("COLON", ":"))
    productions = (Production("pair", ("STRING", "COLON", "pair")), Production("pair", ("STRING",)))
    automaton = build_lr0(normalize(Grammar(terminals, productions, "pair")))
    assert automaton.format_item((0, 1)) == "pair → STRING • COLON pair"
    assert automaton.format_item((1, 1)) == "pair → STRING •"


def test_states_are_numbered_alike_in_each_run() -> None:
    grammar = normalize(Grammar.builtin("json"))
    assert build_lr0(grammar) == build_lr0(grammar)


def test_too_many_states_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr0, "MAX_STATES", 5)
    with pytest.raises(GrammarLimitError, match="5 LR states"):
        build_lr0(normalize(Grammar.builtin("json")))


def test_too_many_items_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lr0, "MAX_ITEMS", 60)
    with pytest.raises(GrammarLimitError, match="60 items"):
        build_lr0(normalize(Grammar.builtin("json")))


@given(depth=st.integers(1, 30))
def test_chains_of_rules_cost_states_in_proportion(depth: int) -> None:
    chain = [Production(f"r{i}", (f"r{i + 1}",)) for i in range(depth)]
    productions = (*chain, Production(f"r{depth}", ("A",)))
    automaton = build_lr0(normalize(Grammar((Terminal("A", "a"),), productions, "r0")))
    assert len(automaton.kernels) <= depth + 3
