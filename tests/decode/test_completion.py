"""Shortest completions against searches without any bound or memory."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import count
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Production, Terminal, Vocabulary
from constrain.automata.dfa import ByteDFA
from constrain.automata.lexer import DEAD, join_terminals
from constrain.automata.regex import compile_pattern
from constrain.decode import completion
from constrain.decode.completion import IMPOSSIBLE, byte_distances
from constrain.errors import EmptyLanguageError, GrammarError, ViabilityLimitError
from tests import reference, strategies
from tests.decode.test_stacks import parser_of, parses
from tests.matchers import builtin_matcher

BYTES = [bytes([b]) for b in range(256)]


@pytest.fixture(autouse=True, scope="module")
def _short_searches() -> Iterator[None]:
    """Random grammars may be too tangled to decide; a few hundred steps tell that too."""
    with patch.object(completion, "MAX_EXPANSIONS", 300):
        yield


def distance(dfa: ByteDFA, start: int, spellable: set[int]) -> int:
    """Least bytes to acceptance, breadth first."""
    queue, seen = deque([(start, 0)]), {start, DEAD}
    while queue:
        state, length = queue.popleft()
        if state != DEAD and dfa.accepting[state]:
            return length
        for byte in spellable:
            target = int(dfa.next[state, dfa.byte_class[byte]])
            if target not in seen:
                seen.add(target)
                queue.append((target, length + 1))
    return IMPOSSIBLE


@given(grammar=strategies.grammars(), spellable=st.frozensets(st.sampled_from(b"abcd\xc3\xa9")))
def test_byte_distances_are_those_of_a_breadth_first_search(
    grammar: Grammar, spellable: frozenset[int]
) -> None:
    dfas = [compile_pattern(terminal.pattern) for terminal in grammar.terminals]
    table = join_terminals(dfas)
    classes = np.zeros(table.next.shape[1], np.bool_)
    classes[table.byte_class[list(spellable)]] = True
    # A class is spellable by any of its bytes.
    every = {b for b in range(256) if classes[table.byte_class[b]]}
    found = byte_distances(table, classes)
    assert found[DEAD] == IMPOSSIBLE
    offset = 0
    for dfa in dfas:
        for state in range(1, dfa.n_states):
            assert found[offset + state] == distance(dfa, state, every)
        offset += dfa.n_states - 1


def shortest_sentence(grammar: Grammar, state: reference.ParserState, costs: dict[str, int]) -> int:
    """Least cost of terminals that complete `state`: Dijkstra over the oracle's parser."""
    parser = reference.Parser(grammar)
    order = count()
    queue = [(0, next(order), state)]
    best = {state: 0}
    while queue:
        cost, _, here = heapq.heappop(queue)
        if here.is_complete:
            return cost
        if cost > best[here] or len(best) > 3000:
            continue
        for name in here.expected & costs.keys():
            after = parser.advance(here, frozenset({name}), stay=False)
            total = cost + costs[name]
            if after != reference.DEAD and total < best.get(after, IMPOSSIBLE) and total < 40:
                best[after] = total
                heapq.heappush(queue, (total, next(order), after))
    return IMPOSSIBLE


@given(parses())
def test_the_bound_is_the_shortest_sentence_of_lexemes_put_freely(
    given_parse: tuple[Grammar, list[frozenset[int]]],
) -> None:
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
    except EmptyLanguageError:
        return
    dfas = [compile_pattern(terminal.pattern) for terminal in grammar.terminals]
    table = join_terminals(dfas)
    all_bytes = np.ones(table.next.shape[1], np.bool_)
    costs = completion.CompletionCosts(parser, table, all_bytes)
    names = [t.name for t in grammar.terminals]
    lengths = {n: distance(d, 1, {*range(256)}) for n, d in zip(names, dfas, strict=True)}
    lengths = {n: length for n, length in lengths.items() if length < IMPOSSIBLE}
    earley = reference.Parser(grammar)
    stacks, state = parser.initial, earley.initial
    for lexeme in lexemes:
        assert costs.of(stacks) == shortest_sentence(grammar, state, lengths)
        lexeme_names = {names[t] for t in lexeme}
        ignored = lexeme_names.intersection(grammar.ignore)
        stacks = parser.advance(stacks, tuple(sorted(lexeme)))
        state = earley.advance(state, frozenset(lexeme_names - ignored), bool(ignored))
        if stacks is parser.nothing:
            return


@given(case=strategies.cases(), text=st.text("abc", max_size=4).map(str.encode))
def test_the_bound_is_never_more_than_the_shortest_completion(
    case: strategies.Case, text: bytes
) -> None:
    try:
        store = constrain.compile(case.grammar, Vocabulary.from_tokens(case.tokens, case.end_ids))
    except GrammarError:
        return
    engine = store._engine
    threads = (engine.machine.initial,)
    for byte in text:
        threads = engine.machine.step(threads, byte)
    for thread in threads:
        try:
            found = engine.completer.completion((thread,))
        except ViabilityLimitError:
            return
        bound = engine.completer.costs.of_thread(thread, engine.machine)
        assert bound <= (IMPOSSIBLE if found is None else len(found))
        assert engine.completer.is_viable(thread) == (found is not None)
        assert engine.completer.completion((thread,)) == found


def completion_of(grammar: Grammar, tokens: list[bytes], text: bytes = b"") -> bytes:
    vocabulary = Vocabulary.from_tokens([*tokens, b""], [len(tokens)])
    matcher = constrain.compile(grammar, vocabulary).matcher()
    assert matcher.accept_bytes(text)
    return matcher.shortest_completion()


def test_longest_match_makes_it_longer_than_the_bound() -> None:
    """`a` then `b` would be one lexeme, so B must begin with its other letter."""
    terminals = (Terminal("A", "ab*"), Terminal("B", "b|cc"))
    grammar = Grammar(terminals, (Production("s", ("A", "B")),), "s")
    assert completion_of(grammar, BYTES) == b"acc"


def test_white_space_is_put_between_where_it_must_be() -> None:
    terminals = (Terminal("A", "[ab]+"), Terminal("S", " "))
    grammar = Grammar(terminals, (Production("s", ("A", "A")),), "s", ("S",))
    found = completion_of(grammar, BYTES)
    assert len(found) == 3
    assert found[1:2] == b" "


def test_only_what_tokens_spell_counts() -> None:
    grammar = Grammar.from_choices(["a", "bcd"])
    assert completion_of(grammar, [b"b", b"c", b"d", b"bcd"]) == b"bcd"
    assert completion_of(grammar, [b"a", b"b", b"c", b"d"]) == b"a"


def test_a_byte_that_only_longer_tokens_hold_is_used_whole() -> None:
    grammar = Grammar.from_regex("a(bc|dd)*e")
    assert completion_of(grammar, [b"a", b"bc", b"ce", b"dde"]) == b"adde"


def test_a_longer_way_that_is_found_first_is_given_up() -> None:
    grammar = Grammar.from_regex("(pqr|ab)z")
    assert completion_of(grammar, [b"pqr", b"a", b"b", b"z"]) == b"abz"


@pytest.mark.parametrize("text", [b"a", b"aa"])
def test_completions_are_remembered(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = Grammar.from_regex("a*bcd")
    vocabulary = Vocabulary.from_tokens([*BYTES, b""], [256])
    matcher = constrain.compile(grammar, vocabulary).matcher()
    matcher.accept_bytes(text)
    assert matcher.shortest_completion() == b"bcd"
    monkeypatch.setattr(completion.Completer, "_search", None)
    assert matcher.shortest_completion() == b"bcd"
    assert matcher.accept_bytes(b"bc")
    assert matcher.shortest_completion() == b"d"


def test_an_undecided_search_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    terminals = (Terminal("A", "ab*"), Terminal("B", "b|" + "c" * 50))
    grammar = Grammar(terminals, (Production("s", ("A", "B")),), "s")
    vocabulary = Vocabulary.from_tokens([*BYTES, b""], [256])
    matcher = constrain.compile(grammar, vocabulary).matcher()
    matcher._engine.completer._known.clear()
    monkeypatch.setattr(completion, "MAX_EXPANSIONS", 10)
    with pytest.raises(ViabilityLimitError, match="18 steps"):
        matcher.shortest_completion()


def test_forgetting_when_full_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "MAX_REMEMBERED", 3)
    vocabulary = Vocabulary.from_tokens([*BYTES, b""], [256])
    matcher = constrain.compile(Grammar.builtin("json"), vocabulary).matcher()
    for byte in b'{"a": [1, {"b": tr':
        assert matcher.accept_bytes(bytes([byte]))
        found = matcher.shortest_completion()
        whole = matcher.fork()
        assert whole.accept_bytes(found)
        assert whole.is_accepting()


@pytest.mark.parametrize(
    ("language", "text", "completion"),
    [
        # A tab at the wrong place is known to lead nowhere: else there are thousands of ways.
        ("python", "if x:\n" + 58 * " " + "@a['x y", "']\n" + 7 * "       \t" + "  class\tA:0"),
        ("python", "if x:\n        @a\n         ", "\n       \tclass\tA:0"),
        # A line end that makes a semicolon is a byte, as a semicolon is.
        ("go", "package p\nfunc f() {\n\tfor _, outputPathendedor", "=0\n;{}}"),
    ],
)
def test_a_far_completion_is_found(language: str, text: str, completion: str) -> None:
    matcher = builtin_matcher(language).fork()
    assert matcher.accept_bytes(text.encode())
    assert matcher.shortest_completion() == completion.encode()
