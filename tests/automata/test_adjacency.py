"""What `Adjacency` promises, against the exact search; and its traps in grammars made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Vocabulary
from constrain.automata.adjacency import Adjacency
from constrain.automata.lexer import DEAD, Lexer, join_terminals
from constrain.automata.regex import compile_pattern
from constrain.decode import completion
from constrain.errors import GrammarError, ViabilityLimitError
from constrain.grammar.normalize import normalize
from constrain.grammar.rules import Grammar, Production, Terminal
from constrain.grammar.sets import follow_terminals
from tests import strategies

ALL_BYTES = np.ones(256, np.bool_)


@pytest.fixture(autouse=True, scope="module")
def _short_searches() -> Iterator[None]:
    """Random grammars may be too tangled to decide; a few hundred steps tell that too."""
    with patch.object(completion, "MAX_EXPANSIONS", 300):
        yield


def adjacency_of(grammar: Grammar, spellable: np.ndarray = ALL_BYTES) -> Adjacency:
    normal = normalize(grammar)
    names = [t.name for t in grammar.terminals]
    lexer = Lexer(grammar, join_terminals([compile_pattern(t.pattern) for t in grammar.terminals]))
    used = {s for _, rhs in normal.productions for s in rhs if s < len(names)}
    ignored = frozenset(names.index(name) for name in grammar.ignore)
    return Adjacency(lexer, follow_terminals(normal), ignored, used, spellable)


def sequence(*terminals: tuple[str, str], ignore: str = "", lexing: str = "longest") -> Grammar:
    """The grammar of the terminals one after the other; `ignore` is a pattern."""
    leaves = [Terminal(name, pattern) for name, pattern in terminals]
    leaves += [Terminal("IGNORED", ignore)] if ignore else []
    productions = (Production("s", tuple(name for name, _ in terminals)),)
    ignored = ("IGNORED",) if ignore else ()
    return Grammar(tuple(leaves), productions, "s", ignored, lexing)  # type: ignore[arg-type]


def trap_of(grammar: Grammar, spellable: np.ndarray = ALL_BYTES) -> tuple[str, str] | None:
    trap = adjacency_of(grammar, spellable).trap
    return None if trap is None else tuple(grammar.terminals[t].name for t in trap)  # type: ignore[return-value]


def test_a_swallowed_terminal_is_a_trap() -> None:
    assert trap_of(sequence(("A", "ab*"), ("B", "b"))) == ("A", "B")


def test_any_lexing_has_no_traps() -> None:
    assert trap_of(sequence(("A", "ab*"), ("B", "b"), lexing="any")) is None


def test_one_way_out_is_enough() -> None:
    assert trap_of(sequence(("A", "ab*"), ("B", "b|c"))) is None


def test_white_space_opens_a_boundary() -> None:
    words = ("A", "[a-z]+"), ("B", "[a-z]+")
    assert trap_of(sequence(*words)) == ("A", "B")
    assert trap_of(sequence(*words, ignore=" +")) is None


def test_white_space_that_is_swallowed_itself_opens_nothing() -> None:
    assert trap_of(sequence(("A", "[a-z ]+"), ("B", "[a-z]+"), ignore=" +")) == ("A", "B")


def test_an_ignored_terminal_that_is_swallowed_too_opens_nothing() -> None:
    """`#` may stand anywhere but behind A, which takes it."""
    leaves = (Terminal("A", "a#*"), Terminal("B", "#b"), Terminal("H", "#c?"))
    assert trap_of(Grammar(leaves, (Production("s", ("A", "B")),), "s", ("H",))) == ("A", "B")


def test_a_state_that_an_older_lexeme_shadows_is_not_sure() -> None:
    """All boundaries are open by themselves; `ab` `c` `d` would be the one lexeme `abcd`.

    So after `abc` the way to cut it `ab` `c` is lost; that it is one lexeme yet is not.
    """
    grammar = sequence(("D", "ab|abcd"), ("E", "c|x"), ("F", "d"))
    assert trap_of(grammar) is None
    tokens = [*(bytes([byte]) for byte in b"abcdx"), b""]
    engine = constrain.compile(grammar, Vocabulary.from_tokens(tokens, [5]))._engine
    threads = (engine.machine.initial,)
    for byte in b"abc":
        threads = engine.machine.step(threads, byte)
    viable = {thread: engine.completer.is_viable(thread) for thread in threads}
    assert sorted(viable.values()) == [False, True]
    assert [engine.masker.is_viable(thread) for thread in threads] == list(viable.values())


def test_one_ignored_terminal_may_open_the_way_for_another() -> None:
    """Behind A no `#` may stand, but a space may, and then a `#` or a word."""
    leaves = (Terminal("A", "a#*"), Terminal("B", "[ab#]"), Terminal("S", " "), Terminal("H", "#"))
    grammar = Grammar(leaves, (Production("s", ("A", "B")),), "s", ("S", "H"))
    assert trap_of(grammar) is None


def test_a_longer_match_begun_by_another_candidate_counts() -> None:
    """`a` may be the start of `ab`, so B cannot follow A where C was a candidate."""
    leaves = (Terminal("A", "a"), Terminal("B", "b"), Terminal("C", "ab"))
    productions = (Production("s", ("A", "B")), Production("s", ("C", "C")))
    assert trap_of(Grammar(leaves, productions, "s")) == ("A", "B")


def test_a_terminal_that_always_loses_is_a_trap_by_itself() -> None:
    leaves = (Terminal("A", "a"), Terminal("B", "a|b"), Terminal("C", "[ab]", priority=1))
    productions = (Production("s", ("B",)), Production("s", ("C", "C")), Production("s", ("A",)))
    assert trap_of(Grammar(leaves, productions, "s")) == ("A", "A")


def test_a_terminal_that_cannot_be_spelled_is_a_trap_by_itself() -> None:
    spellable = ALL_BYTES.copy()
    spellable[ord("b")] = False
    assert trap_of(sequence(("A", "a"), ("B", "b")), spellable) == ("B", "B")
    assert trap_of(sequence(("A", "a"), ("B", "b|c")), spellable) is None


def test_the_built_in_json_has_no_trap() -> None:
    assert trap_of(Grammar.builtin("json")) is None


def test_entries_are_the_first_bytes_of_what_a_terminal_owns() -> None:
    leaves = (Terminal("WORD", "[a-c]+"), Terminal("KEY", "a|bb", is_literal=True))
    grammar = Grammar(leaves, (Production("s", ("WORD",)), Production("s", ("KEY",))), "s")
    adjacency = adjacency_of(grammar)
    classes = adjacency._lexer.table.byte_class[list(b"abcd")]
    assert adjacency.entry_bytes[0][classes].tolist() == [True, True, True, False]
    assert adjacency.entry_bytes[1][classes].tolist() == [True, True, False, False]
    spellable = np.zeros(256, np.bool_)
    spellable[ord("a")] = True
    adjacency = adjacency_of(grammar, spellable)
    assert adjacency.entry_bytes[0][classes].tolist() == [True, False, False, False]  # aa


@given(case=strategies.cases(), text=st.text("aabbcc", max_size=5).map(str.encode))
def test_what_is_sure_is_viable(case: strategies.Case, text: bytes) -> None:
    """Wherever the proof speaks, the exact search agrees."""
    try:
        store = constrain.compile(case.grammar, Vocabulary.from_tokens(case.tokens, case.end_ids))
    except GrammarError:
        return
    engine = store._engine
    sure_of = engine.masker._adjacency.sure
    threads = (engine.machine.initial,)
    for byte in text:
        threads = engine.machine.step(threads, byte)
        for thread in threads:
            if sure_of()[thread[1]]:
                try:
                    is_viable = engine.completer.is_viable(thread)
                except ViabilityLimitError:
                    return
                assert is_viable, (text, str(case))


@given(case=strategies.cases())
def test_where_there_is_a_trap_nothing_is_sure(case: strategies.Case) -> None:
    try:
        store = constrain.compile(case.grammar, Vocabulary.from_tokens(case.tokens, case.end_ids))
    except GrammarError:
        return
    adjacency = store._engine.masker._adjacency
    sure = adjacency.sure()
    assert len(sure) == store._engine.machine.lexer.n_states
    assert not sure[DEAD]
    assert adjacency.trap is None or not sure.any()


@pytest.mark.parametrize("lexing", ["longest", "any"])
def test_a_state_without_shadow_that_ends_is_sure(lexing: str) -> None:
    grammar = sequence(("A", "a+"), ("B", "b+"), lexing=lexing)
    adjacency = adjacency_of(grammar)
    lexer = adjacency._lexer
    state = lexer.start(frozenset({0}))
    ended = int(lexer.next[state, lexer.table.byte_class[ord("a")]])
    assert adjacency.sure()[[state, ended]].all()
