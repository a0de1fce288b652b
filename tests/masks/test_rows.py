"""Rows of lexer states against each token followed byte by byte."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrain import Vocabulary, bitmask
from constrain.automata.lexer import DEAD, Lexer, Members, join_terminals
from constrain.automata.regex import compile_pattern
from constrain.grammar.rules import Grammar, Production, Terminal
from constrain.masks.rows import Cut, LexerRow, Walker
from constrain.masks.trie import FlatTrie, build_trie
from tests import strategies

CutKey = tuple[tuple[int, ...], Members]


def lexer_of(grammar: Grammar) -> Lexer:
    return Lexer(grammar, join_terminals([compile_pattern(t.pattern) for t in grammar.terminals]))


def spelled(trie: FlatTrie) -> set[tuple[bytes, int]]:
    """The (string, token) pairs of a trie."""
    found = set()
    path = b""
    for node in range(1, len(trie.byte)):
        path = path[: trie.depth[node] - 1] + bytes([trie.byte[node]])
        found |= {(path, int(t)) for t in trie.tokens[trie.first[node] : trie.first[node + 1]]}
    return found


def cut_contents(cuts: tuple[Cut, ...]) -> dict[CutKey, set[tuple[bytes, int]]]:
    found = {(cut.winners, cut.residue): spelled(cut.trie) for cut in cuts}
    assert len(found) == len(cuts), "two cuts of one kind"
    return found


class Followed:
    """What `LexerRow` says, found by following each token by itself."""

    def __init__(self, lexer: Lexer, state: int, tokens: tuple[bytes, ...]) -> None:
        self.ends: dict[int, int] = {}  # token id → lexer state
        self.cuts: dict[CutKey, set[tuple[bytes, int]]] = defaultdict(set)
        for token_id, token in enumerate(tokens):
            here = state
            for place, byte in enumerate(token):
                here = int(lexer.next[here, lexer.table.byte_class[byte]])
                if here == DEAD:
                    break
                rest = token[place + 1 :]
                if lexer.winners[here] and rest:
                    key = lexer.winners[here], lexer.residue(here)
                    self.cuts[key].add((rest, token_id))
            if token and here != DEAD:
                self.ends[token_id] = here


def assert_is_row(row: LexerRow, followed: Followed, sure: np.ndarray, size: int) -> None:
    inside = set(bitmask.token_ids(row.inside).tolist())
    assert inside == {t for t, end in followed.ends.items() if sure[end]}
    unsure = {end: set(bitmask.token_ids(tokens).tolist()) for end, tokens in row.unsure}
    wanted: dict[int, set[int]] = defaultdict(set)
    for token_id, end in followed.ends.items():
        if not sure[end]:
            wanted[end].add(token_id)
    assert unsure == wanted
    assert cut_contents(row.cuts) == followed.cuts
    bitmask.unpack(row.inside, size)  # no bit above V


@given(case=strategies.cases(), data=st.data())
def test_a_row_is_every_token_followed_by_itself(
    case: strategies.Case, data: st.DataObject
) -> None:
    lexer = lexer_of(case.grammar)
    vocabulary = Vocabulary.from_tokens(case.tokens, case.end_ids)
    chosen = st.frozensets(st.integers(0, len(case.grammar.terminals) - 1), min_size=1)
    state = lexer.start(data.draw(chosen))
    # A state in the middle of a lexeme, and one after another lexeme.
    for byte in data.draw(st.binary(max_size=2)):
        state = int(lexer.next[state, lexer.table.byte_class[byte]]) or state
    if data.draw(st.booleans()):
        state = lexer.start(data.draw(chosen), lexer.residue(state))
    if state == DEAD:
        return
    sure = np.array(data.draw(st.lists(st.booleans(), min_size=8, max_size=8)))
    sure = np.resize(sure, lexer.n_states)
    walker = Walker(lexer, vocabulary, build_trie(vocabulary.tokens))
    followed = Followed(lexer, state, case.tokens)
    assert_is_row(walker.row(state, sure), followed, sure, vocabulary.size)


@pytest.fixture
def walker() -> Walker:
    terminals = (Terminal("WORD", "[a-z]+"), Terminal("STOP", r"\.", is_literal=True))
    grammar = Grammar(terminals, (Production("s", ("WORD", "STOP")),), "s")
    tokens = [b"a", b"ab", b"a.", b"b.", b".", b"..", b"a.b", b""]
    vocabulary = Vocabulary.from_tokens(tokens, [7])
    return Walker(lexer_of(grammar), vocabulary, build_trie(vocabulary.tokens))


def test_equal_remainders_are_one_node(walker: Walker) -> None:
    state = walker.lexer.start(frozenset({0}))
    row = walker.row(state, np.ones(walker.lexer.n_states, np.bool_))
    assert bitmask.token_ids(row.inside).tolist() == [0, 1]
    (cut,) = row.cuts
    assert cut.winners == (0,)
    # `.` of `a.` and `b.`, `.b` of `a.b`, and what is left of `ab` behind a.
    assert spelled(cut.trie) == {(b".", 2), (b".", 3), (b".b", 6), (b"b", 1)}
    assert len(cut.trie.byte) == 4


def test_a_walk_of_a_remainder_trie_starts_at_its_roots(walker: Walker) -> None:
    state = walker.lexer.start(frozenset({0}))
    row = walker.row(state, np.ones(walker.lexer.n_states, np.bool_))
    stop = walker.lexer.start(frozenset({1}))
    ends, cuts = walker.walk(stop, row.cuts[0].trie)
    assert ends.states().size == 1
    found = walker.new_row()
    ends.mark(np.ones(walker.lexer.n_states, np.bool_), found)
    assert bitmask.token_ids(found).tolist() == [2, 3]
    (cut,) = cuts
    assert cut.winners == (1,)
    assert len(cut.roots) == 1
