"""Rows of lexer states against each token followed byte by byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from constrain import Grammar, Vocabulary, bitmask
from constrain.automata.lexer import DEAD, Lexer, join_terminals
from constrain.automata.margin import Margin, moved
from constrain.automata.regex import compile_pattern
from constrain.errors import GrammarLimitError
from constrain.grammar.rules import Production, Terminal
from constrain.masks.kernels import EFFECT_BITS, UNKNOWN
from constrain.masks.rows import Effects, LexerRow, Walker, Way
from constrain.masks.trie import Forest
from tests import strategies
from tests.masks.test_trie import Pairs, node_strings

Kind = TypeVar("Kind")
Contents = dict[Way, Pairs]
"""(remainder, token) pairs by the way in which the lexeme before them ends."""

PIECES = (" ", "\t", "\f", "\n", "\r", "\r\n", "\\\n", "\\\r\n", "#", "#c \\", "#\\\n", "# (\r")
MARGINS = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda parts: "".join(parts).encode())
INDENTED = """
%layout indentation newline=_NL indent=_IN dedent=_OUT open=LPAR close=RPAR continuation=JOIN
%declare _NL _IN _OUT
start: _NL line*
line: NAME _NL | NAME ":" _NL _IN line+ _OUT | LPAR NAME? RPAR _NL
LPAR: "("
RPAR: ")"
NAME: /[a-z]+/
JOIN: /\\\\[\\r\\n]/
%ignore /[ \\t\\f]+/
%ignore JOIN
"""


def lexer_of(grammar: Grammar, apart: bytes = b"") -> Lexer:
    dfas = [compile_pattern(terminal.pattern) for terminal in grammar.terminals]
    return Lexer(grammar, join_terminals(dfas, apart=apart))


def by_effect(walker: Walker, forest: Forest) -> dict[tuple[Way, bytes], Pairs]:
    """The (remainder, token) pairs of a forest by way and effect."""
    trie = forest.trie
    spelled = node_strings(trie)
    found: dict[tuple[Way, bytes], Pairs] = {}
    for root, way, effect in zip(forest.root, forest.cut, forest.effect, strict=True):
        here = {
            (spelled[node], int(token))
            for node in range(root, trie.end[root])
            for token in trie.tokens[trie.first[node] : trie.first[node + 1]]
        }
        key = walker.ways[way], walker.effects.spelled[effect]
        assert key not in found, "two tries of one kind"
        assert here, "an empty trie"
        found[key] = here
    assert sum(map(len, found.values())) == len(trie.tokens)
    return found


class Followed:
    """What `LexerRow` says, found by following each token by itself.

    A remainder is left out if its first byte makes a shadow of the way accept: the lexeme before it
    would go on there to a longer one, whatever comes next.
    """

    def __init__(self, lexer: Lexer, state: int, tokens: Sequence[bytes]) -> None:
        self.ends: dict[int, int] = {}  # token id → lexer state
        self.forest: Contents = defaultdict(set)
        table = lexer.table
        for token_id, token in enumerate(tokens):
            here = state
            for place, byte in enumerate(token, 1):
                here = int(lexer.next[here, table.byte_class[byte]])
                if here == DEAD:
                    break
                rest = token[place:]
                if lexer.winners[here] and rest:
                    residue = lexer.residue(here)
                    after = table.next[list(residue), table.byte_class[rest[0]]]
                    if not table.accepting[after].any():
                        self.forest[lexer.winners[here], residue].add((rest, token_id))
                if not rest:
                    self.ends[token_id] = here


def joined(found: Iterable[tuple[Kind, set[Any]]]) -> dict[Kind, set[Any]]:
    """The sets of each kind, which must be disjoint, as one."""
    result: dict[Kind, set[Any]] = {}
    for kind, members in found:
        assert not members & result.setdefault(kind, set()), "in two sets of one kind"
        result[kind] |= members
    return result


def assert_is_row(
    walker: Walker, row: LexerRow, followed: Followed, sure: NDArray[np.bool_]
) -> None:
    """The row's tokens and remainders, whatever their effects."""
    inside = set(bitmask.token_ids(row.inside).tolist())
    assert inside == {t for t, end in followed.ends.items() if sure[end]}
    unsure = ((end, set(bitmask.token_ids(tokens).tolist())) for end, _, tokens in row.unsure)
    wanted = [(end, {t}) for t, end in followed.ends.items() if not sure[end]]
    assert joined(unsure) == joined(wanted)
    forest = by_effect(walker, row.forest).items()
    assert joined((way, pairs) for (way, _), pairs in forest) == followed.forest


def assert_effects_are_true(
    walker: Walker, row: LexerRow, margins: Sequence[Margin], tokens: Sequence[bytes]
) -> None:
    """What a token adds to a line end moves the margins as the effect does that it is under."""
    lexer, spelled = walker.lexer, walker.effects.spelled
    added: list[tuple[bytes, bytes]] = []  # effect, the bytes that have it
    for end, effect, row_tokens in row.unsure:
        assert lexer.is_line_end[end] == (effect != 0)
        added += [(spelled[effect], tokens[t]) for t in bitmask.token_ids(row_tokens) if effect]
    for ((winners, _), effect_bytes), pairs in by_effect(walker, row.forest).items():
        assert effect_bytes or lexer._newline not in winners
        if effect_bytes:
            added += [(effect_bytes, tokens[t].removesuffix(rest)) for rest, t in pairs]
    for effect_bytes, text in added:
        for margin in margins:
            assert moved(margin, effect_bytes) == moved(margin, text), (effect_bytes, text)


def follow(lexer: Lexer, state: int, text: bytes) -> int:
    for byte in text:
        state = int(lexer.next[state, lexer.table.byte_class[byte]])
    return state


def any_sure(data: st.DataObject, lexer: Lexer) -> NDArray[np.bool_]:
    few = data.draw(st.lists(st.booleans(), min_size=8, max_size=8), label="sure")
    return np.resize(np.array(few), lexer.n_states)


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
    sure = any_sure(data, lexer)
    walker = Walker(lexer, vocabulary)
    row = walker.row(state, sure)
    assert_is_row(walker, row, Followed(lexer, state, case.tokens), sure)
    assert not bitmask.unpack(row.inside, 32 * walker.words)[vocabulary.size :].any()


INSIDE = [b"", b"\n", b"\n  ", b"\n\t", b"\r", b"#", b"\n #c", b"\n\\", b"\n \\", b"x", b"\\", b" "]
"""Beginnings of lexemes, those of line ends first."""


@given(
    tokens=st.lists(st.text(" \t\f\r\n\\#x:(é", max_size=6).map(str.encode), min_size=1),
    start=st.sampled_from(INSIDE),
    data=st.data(),
)
@example([b"\n  x", b" x", b"\n\t#x\n x", b"\n\\\n x", b"\r\nx"], b"\n", None)
def test_a_row_under_indentation_says_what_tokens_do_to_it(
    tokens: list[bytes], start: bytes, data: st.DataObject | None
) -> None:
    grammar = Grammar.from_lark(INDENTED)
    lexer = lexer_of(grammar, apart=b" \t\f\r\n\\#")
    first = lexer.start(frozenset(range(len(grammar.terminals))))
    state = follow(lexer, first, start)
    margins = [moved(Margin(), b) for b in INSIDE if follow(lexer, first, b) == state]
    sure = any_sure(data, lexer) if data else np.zeros(lexer.n_states, np.bool_)
    walker = Walker(lexer, Vocabulary.from_tokens([*tokens, b""], [len(tokens)]))
    row = walker.row(state, sure)
    assert_is_row(walker, row, Followed(lexer, state, tokens), sure)
    assert_effects_are_true(walker, row, margins, tokens)


@pytest.fixture
def walker() -> Walker:
    terminals = (Terminal("WORD", "[a-z]+"), Terminal("STOP", r"\.", is_literal=True))
    grammar = Grammar(terminals, (Production("s", ("WORD", "STOP")),), "s")
    tokens = [b"a", b"ab", b"a.", b"b.", b".", b"..", b"a.b", b""]
    return Walker(lexer_of(grammar), Vocabulary.from_tokens(tokens, [7]))


def test_equal_remainders_are_one_node(walker: Walker) -> None:
    state = walker.lexer.start(frozenset({0}))
    row = walker.row(state, np.ones(walker.lexer.n_states, np.bool_))
    assert bitmask.token_ids(row.inside).tolist() == [0, 1]
    (((way, _), pairs),) = by_effect(walker, row.forest).items()
    assert way[0] == (0,)
    # `.` of `a.` and `b.`, `.b` of `a.b`; what is left of `ab` behind `a` would be swallowed.
    assert pairs == {(b".", 2), (b".", 3), (b".b", 6)}
    assert len(row.forest.trie.byte) == 3


def test_a_row_inside_which_no_lexeme_ends_has_no_trie() -> None:
    grammar = Grammar((Terminal("A", "a[ab]*"),), (Production("s", ("A",)),), "s")
    walker = Walker(lexer_of(grammar), Vocabulary.from_tokens([b"ab", b"bab", b""], [2]))
    row = walker.row(walker.lexer.start(frozenset({0})), np.ones(9, np.bool_))
    assert bitmask.token_ids(row.inside).tolist() == [0]
    assert [len(array) for array in row.forest[1:]] == [0, 0, 0]
    assert node_strings(row.forest.trie) == [b""]


@given(texts=st.lists(st.tuples(MARGINS, MARGINS), max_size=8))
@example([(b"#", b"c\\\r\n \t")])
@example([(b"  \\", b"\n ")])
def test_effects_are_learned_byte_by_byte(texts: list[tuple[bytes, bytes]]) -> None:
    effects = Effects()
    for before, text in texts:
        margin = moved(Margin(), before)
        effect = 0
        for place, byte in enumerate(text, 1):
            if effects.table.next[effect, effects.table.kind[byte]] == UNKNOWN:
                effects.table.wanted[:] = effect, effects.table.kind[byte]
                effects.learn()
            effect = int(effects.table.next[effect, effects.table.kind[byte]])
            spelled = effects.spelled[effect]
            assert effects.number(spelled) == effect
            assert moved(margin, spelled) == moved(margin, text[:place])
    assert len(set(effects.spelled)) == len(effects.spelled)
    assert effects.spelled[0] == b""


def test_more_effects_than_the_table_first_holds_keep_what_was_learned() -> None:
    effects = Effects()
    numbers = [effects.number(n * b" ") for n in range(200)]
    assert numbers == list(range(200))
    assert len(effects.table.next) > 200
    effects.table.next[7, 0] = 8
    effects.number(201 * b" ")
    assert effects.table.next[7, 0] == 8
    assert (effects.table.next[len(effects.spelled) :] == UNKNOWN).all()


def test_too_many_effects_are_refused() -> None:
    effects = Effects()
    effects.spelled += [b"?"] * ((1 << EFFECT_BITS) - 1)
    with pytest.raises(GrammarLimitError, match="indent lines in more than 32768 ways"):
        effects.number(b"one more")
