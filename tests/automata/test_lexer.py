"""Lexer states against sets of separate DFAs, and against `re` on whole lexemes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD, UNKNOWN, Lexer, join_terminals, live_bytes
from constrain.automata.regex import compile_pattern
from constrain.grammar.rules import Grammar, Production, Terminal
from constrain.grammar.sets import bits
from tests import reference, strategies

TEXTS = st.text("aaabbbccdéA", max_size=5).map(str.encode)


def dfas_of(grammar: Grammar) -> list[ByteDFA]:
    return [compile_pattern(terminal.pattern) for terminal in grammar.terminals]


def lexer_of(grammar: Grammar) -> Lexer:
    return Lexer(grammar, join_terminals(dfas_of(grammar)))


def follow(lexer: Lexer, state: int, text: bytes) -> int:
    for byte in text:
        state = int(lexer.next[state, lexer.table.byte_class[byte]])
    return state


def grammar_of(*terminals: Terminal, **options: str) -> Grammar:
    productions = tuple(Production("s", (t.name,)) for t in terminals)
    return Grammar(terminals, productions, "s", **options)  # type: ignore[arg-type]


class Twin:
    """The same question answered with one separate DFA per candidate and per shadow."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.dfas = dfas_of(grammar)
        columns = np.stack([dfa.byte_class for dfa in self.dfas])
        self.letters = np.unique(columns, axis=1, return_index=True)[1].tolist()

    def state(self, terminal: int, text: bytes) -> int:
        state = 1
        for byte in text:
            state = int(self.dfas[terminal].next[state, self.dfas[terminal].byte_class[byte]])
        return state

    def step(self, states: Iterable[tuple[int, int]], byte: int) -> frozenset[tuple[int, int]]:
        moved = {(t, int(self.dfas[t].next[s, self.dfas[t].byte_class[byte]])) for t, s in states}
        return frozenset((t, s) for t, s in moved if s != DEAD)

    def accepts(self, states: Iterable[tuple[int, int]]) -> bool:
        return any(self.dfas[t].accepting[s] for t, s in states)

    def is_alive(
        self, live: frozenset[tuple[int, int]], shadow: frozenset[tuple[int, int]]
    ) -> bool:
        """Some text leads `live` to acceptance and no part of it does `shadow`."""
        todo, seen = [(live, shadow)], set()
        while todo:
            live, shadow = todo.pop()
            if self.accepts(live):
                return True
            for byte in self.letters:
                after = self.step(live, byte), self.step(shadow, byte)
                if after[0] and not self.accepts(after[1]) and after not in seen:
                    seen.add(after)
                    todo.append(after)
        return False

    def survives(self, terminals: frozenset[int], text: bytes, residue: Residue = ()) -> bool:
        """`text` begins a lexeme of `terminals`, and completes none of `residue`'s."""
        live = frozenset((t, 1) for t in terminals if not self.dfas[t].is_empty())
        shadow = frozenset((t, s) for other, w in residue for t in other if (s := self.state(t, w)))
        for byte in text:
            live, shadow = self.step(live, byte), self.step(shadow, byte)
            if self.accepts(shadow):
                return False
        return self.is_alive(live, shadow)


Residue = tuple[tuple[frozenset[int], bytes], ...]


def likely_text(
    data: st.DataObject, twin: Twin, terminals: frozenset[int], max_length: int
) -> bytes:
    """A text that mostly keeps some of `terminals` alive, of letters that others like too."""
    live = frozenset((t, 1) for t in terminals)
    text = b""
    for _ in range(data.draw(st.integers(1, max_length))):
        keeping = [b for b in b"abcdA\xc3\xa9" if twin.step(live, b)]
        byte = data.draw(st.sampled_from(keeping * 3 + list(b"abc")))
        live = twin.step(live, byte)
        text += bytes([byte])
    return text


@st.composite
def lexers(draw: st.DrawFn) -> tuple[Grammar, frozenset[int]]:
    grammar = draw(strategies.grammars())
    ids = st.sampled_from(range(len(grammar.terminals)))
    return grammar, draw(st.frozensets(ids, min_size=1))


@given(lexers(), TEXTS)
def test_a_state_lives_as_long_as_some_candidate_does(
    given_lexer: tuple[Grammar, frozenset[int]], text: bytes
) -> None:
    grammar, terminals = given_lexer
    lexer = lexer_of(grammar)
    state = follow(lexer, lexer.start(terminals), text)
    assert (state != DEAD) == Twin(grammar).survives(terminals, text)


@given(lexers(), TEXTS)
def test_the_winners_are_those_of_the_whole_lexeme(
    given_lexer: tuple[Grammar, frozenset[int]], text: bytes
) -> None:
    grammar, terminals = given_lexer
    lexer = lexer_of(grammar)
    state = follow(lexer, lexer.start(terminals), text)
    matching = [
        grammar.terminals[t]
        for t in terminals
        if reference.matches(grammar.terminals[t].pattern, text)
        and grammar.terminals[t].pattern != reference.EMPTY_PATTERN
    ]
    names = {t.name for t in reference.Reference(grammar)._winners(matching)} if matching else set()
    assert {grammar.terminals[t].name for t in lexer.winners[state]} == names


@settings(max_examples=3 * settings.default.max_examples)
@given(lexers(), st.data())
def test_behind_a_lexeme_lives_what_makes_it_no_longer(
    given_lexer: tuple[Grammar, frozenset[int]], data: st.DataObject
) -> None:
    """Up to two lexemes before, cut where they may end."""
    grammar, terminals = given_lexer
    lexer, twin = lexer_of(grammar), Twin(grammar)
    ids = st.sampled_from(range(len(grammar.terminals)))
    residue: Residue = ()
    state = lexer.start(terminals)
    for _ in range(data.draw(st.integers(1, 2))):
        word = likely_text(data, twin, terminals, 3)
        ended = follow(lexer, state, word)
        while word and not lexer.winners[ended]:
            word = word[:-1]
            ended = follow(lexer, state, word)
        if not word:
            return
        residue = (*((other, w + word) for other, w in residue), (terminals, word))
        terminals = data.draw(st.frozensets(ids, min_size=1))
        state = lexer.start(terminals, lexer.residue(ended))
    text = likely_text(data, twin, terminals, 4)
    survives = twin.survives(terminals, text, residue if grammar.lexing == "longest" else ())
    assert (follow(lexer, state, text) != DEAD) == survives


@given(lexers())
def test_known_states_are_closed_and_live(given_lexer: tuple[Grammar, frozenset[int]]) -> None:
    grammar, terminals = given_lexer
    lexer = lexer_of(grammar)
    todo = [lexer.start(terminals)]
    seen = set(todo)
    for state in todo:
        row = lexer.next[state].tolist()
        assert UNKNOWN not in row
        if state != DEAD and lexer.live[state]:
            assert lexer.winners[state] or any(row), "neither ends nor leads on"
        todo += [target for target in dict.fromkeys(row) if target not in seen]
        seen |= set(row)
    assert (lexer.next[DEAD] == DEAD).all()
    assert lexer.winners[DEAD] == ()


@given(lexers(), TEXTS)
def test_a_restored_lexer_numbers_states_alike(
    given_lexer: tuple[Grammar, frozenset[int]], text: bytes
) -> None:
    grammar, terminals = given_lexer
    lexer, restored = lexer_of(grammar), lexer_of(grammar)
    state = follow(lexer, lexer.start(terminals), text)
    restored.restore(lexer.members)
    assert restored.members == lexer.members
    assert restored.winners == lexer.winners
    assert follow(restored, restored.start(terminals), text) == state


@given(lexers(), TEXTS)
def test_joined_tables_run_as_the_dfas_do(
    given_lexer: tuple[Grammar, frozenset[int]], text: bytes
) -> None:
    grammar, _ = given_lexer
    dfas = dfas_of(grammar)
    table = join_terminals(dfas)
    for terminal, dfa in enumerate(dfas):
        state = int(table.start[terminal])
        for byte in text:
            state = int(table.next[state, table.byte_class[byte]])
        assert table.accepting[state] == dfa.matches(text)
        assert state == DEAD or table.owner[state] == terminal
    assert not table.next[DEAD].any()
    assert (table.has_next == (table.next != DEAD).any(axis=1)).all()
    moved = np.full_like(table.next, DEAD)
    for source, moves in enumerate(table.moves):
        for target, classes in moves:
            moved[source, list(bits(classes))] = target
    assert (moved == table.next).all()


def test_longest_match_forbids_what_would_have_made_a_longer_lexeme() -> None:
    lexer = lexer_of(grammar_of(Terminal("A", "ab*"), Terminal("B", "b|c")))
    ended = follow(lexer, lexer.start(frozenset({0})), b"ab")
    behind = lexer.start(frozenset({1}), lexer.residue(ended))
    assert follow(lexer, behind, b"b") == DEAD
    assert follow(lexer, behind, b"c") != DEAD


def test_a_shadow_may_be_longer_than_one_byte() -> None:
    """`..` then `a` is two lexemes only if no third dot comes: `..` of `...`."""
    grammar = grammar_of(Terminal("D", r"\.|\.\.\."), Terminal("W", "[.a]+"))
    lexer = lexer_of(grammar)
    ended = follow(lexer, lexer.start(frozenset({0})), b".")
    behind = lexer.start(frozenset({1}), lexer.residue(ended))
    assert follow(lexer, behind, b".a") != DEAD
    assert follow(lexer, behind, b"..") == DEAD


def test_a_shadow_outlives_the_lexeme_behind_it() -> None:
    """`ab`, `c` and then `d` would have been the one lexeme `abcd`."""
    grammar = grammar_of(Terminal("D", "ab|abcd"), Terminal("E", "c|x"), Terminal("F", "d"))
    lexer = lexer_of(grammar)

    def behind(text: bytes) -> int:
        first = follow(lexer, lexer.start(frozenset({0})), b"ab")
        second = follow(lexer, lexer.start(frozenset({1}), lexer.residue(first)), text)
        return follow(lexer, lexer.start(frozenset({2}), lexer.residue(second)), b"d")

    assert behind(b"c") == DEAD
    assert behind(b"x") != DEAD


def test_a_state_whose_every_way_on_is_forbidden_is_dead() -> None:
    """Behind `a`, B could be `bc` only, and `abc` would have been one lexeme."""
    grammar = grammar_of(Terminal("A", "a|abc"), Terminal("B", "bc|d"))
    lexer = lexer_of(grammar)
    first = follow(lexer, lexer.start(frozenset({0})), b"a")
    state = lexer.start(frozenset({1}), lexer.residue(first))
    assert follow(lexer, state, b"b") == DEAD
    assert follow(lexer, state, b"d") != DEAD


def test_any_lexing_forbids_nothing() -> None:
    grammar = grammar_of(Terminal("A", "ab*"), Terminal("B", "b|c"), lexing="any")
    lexer = lexer_of(grammar)
    ended = follow(lexer, lexer.start(frozenset({0})), b"ab")
    assert lexer.residue(ended) == ()
    assert follow(lexer, lexer.start(frozenset({1}), ()), b"b") != DEAD


def test_ties_go_to_priority_then_to_literals() -> None:
    word, key = Terminal("WORD", "[a-z]+"), Terminal("IF", "if", is_literal=True)
    loud = Terminal("LOUD", "i[a-z]", priority=1)
    everything = frozenset({0, 1, 2})

    def winners(*terminals: Terminal, ties: str = "priority") -> tuple[int, ...]:
        lexer = lexer_of(grammar_of(*terminals, ties=ties))
        return lexer.winners[follow(lexer, lexer.start(everything), b"if")]

    twin = Terminal("TWIN", "[a-z][a-z]")
    assert winners(word, key, loud) == (2,)
    assert winners(word, key, twin) == (1,)
    assert winners(word, twin, Terminal("X", "x")) == (0, 1)
    assert winners(word, key, loud, ties="all") == (0, 1, 2)


def test_beaters_are_those_of_higher_rank() -> None:
    lexer = lexer_of(
        grammar_of(
            Terminal("WORD", "[a-z]+"),
            Terminal("IF", "if", is_literal=True),
            Terminal("LOUD", "i[a-z]", priority=1),
        )
    )
    assert [lexer.beaters(t) for t in range(3)] == [[1, 2], [2], []]


def test_live_bytes_are_the_union() -> None:
    table = join_terminals([compile_pattern("a"), compile_pattern("b")])
    classes = table.byte_class[list(b"abz")]
    assert live_bytes(table, table.start.tolist())[classes].tolist() == [True, True, False]
    assert live_bytes(table, [int(table.start[0])])[classes].tolist() == [True, False, False]
