"""Masks from cut stacks against masks from whole ones, and what makes the two equal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, Vocabulary
from constrain.automata.lexer import DEAD, Lexer, Members
from constrain.decode import crossing, masker
from constrain.decode.engine import Engine
from constrain.decode.layout import IndentationParser
from constrain.decode.machine import Threads
from constrain.decode.masker import Masker
from constrain.decode.stacks import Parser, Stacks, StackUnderflow
from constrain.errors import EmptyLanguageError, GrammarError, ViabilityLimitError
from constrain.grammar.rules import Production, Terminal
from tests import strategies
from tests.decode.test_stacks import parser_of, parses
from tests.masks.test_rows import lexer_of
from tests.matchers import builtin_matcher
from tests.timing import share

HUGE = 1 << 30
TINY = {"FIRST_ROOM": 2, "MAX_TOP": 2, "THICK": 1}
ROOMS = [{}, TINY]


@contextmanager
def with_constants(module: object, **values: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


def another_masker(engine: Engine) -> Masker:
    """One that has met nothing yet."""
    old = engine.masker
    return Masker(engine.machine, old.walker, old._adjacency, old._completer, old.lexer_rows)


def decided(case: strategies.Case) -> Engine | None:
    try:
        vocabulary = Vocabulary.from_tokens(case.tokens, case.end_ids)
        return constrain.compile(case.grammar, vocabulary)._engine
    except (GrammarError, ViabilityLimitError):
        return None


def check_rows(engine: Engine, walk: tuple[int, ...], **rooms: int) -> None:
    """Along a walk, rows and outcomes of cut stacks are those of whole ones."""
    masks, whole, machine = another_masker(engine), another_masker(engine), engine.machine
    vocabulary = engine.vocabulary
    threads: Threads = (machine.initial,)
    with with_constants(crossing, **rooms):
        masks.crossing = crossing.Crossing(machine, masks.walker, masks._adjacency, masks.is_viable)
        for step, choice in enumerate(walk):
            if not step % 3:
                masks.forget()
            allowed = masks.walker.new_row()
            for thread in threads:
                row = masks.row(thread)
                with (
                    with_constants(masker, FIRST_DEPTH=HUGE),
                    with_constants(crossing, MAX_TOP=HUGE),
                ):
                    expected = whole.row(thread)
                assert (row == expected).all(), thread
                assert masks.row(thread) is row
                allowed |= row
            reached = masks.walker.new_row()
            for _, tokens in masks.outcomes(threads):
                assert not (reached & tokens).any(), "two outcomes of one token"
                reached |= tokens
            assert (reached == allowed).all()
            ids = constrain.bitmask.token_ids(allowed).tolist()
            if not ids:
                return
            threads = machine.read(threads, vocabulary.tokens[ids[choice % len(ids)]])


WALKS = st.lists(st.integers(0, 30), min_size=1, max_size=9).map(tuple)


@pytest.mark.parametrize("rooms", ROOMS, ids=["usual", "tiny"])
@given(case=strategies.cases(), walk=WALKS)
def test_masks_of_cut_stacks_are_those_of_whole_ones(
    rooms: dict[str, int], case: strategies.Case, walk: tuple[int, ...]
) -> None:
    engine = decided(case)
    if engine is None:
        return
    try:
        check_rows(engine, walk, **rooms)
    except ViabilityLimitError:
        return


# Ambiguous, and deep: what is cut off lies at several depths of one set of stacks.
DEEP = ("s: s s | A", "s: A s | s A | A", "s: A s B | s A | A | B s", "s: A s A | s s | B")


def rules(text: str) -> Grammar:
    lhs, _, alternatives = text.partition(":")
    productions = tuple(Production(lhs, tuple(a.split())) for a in alternatives.split("|"))
    names = sorted({s for p in productions for s in p.rhs if s.isupper()})
    return Grammar(tuple(Terminal(n, n.lower(), is_literal=True) for n in names), productions, lhs)


@pytest.mark.parametrize("rooms", ROOMS, ids=["usual", "tiny"])
@pytest.mark.parametrize("text", DEEP)
@share(10)
@given(walk=WALKS)
def test_so_they_are_in_ambiguous_grammars(
    text: str, rooms: dict[str, int], walk: tuple[int, ...]
) -> None:
    tokens = [b"", b"a", b"b", b"aa", b"ab", b"bb", b"aaaaa", b"aabba", b"abababab", b"aaaaaaaaa"]
    engine = decided(strategies.Case(rules(text), tuple(tokens), (0,)))
    assert engine is not None
    check_rows(engine, walk, **rooms)


# --- stacks ----------------------------------------------------------------------------------


def read_all(parser: Parser, lexemes: list[frozenset[int]]) -> Stacks:
    stacks = parser.initial
    for lexeme in lexemes:
        after = parser.advance(stacks, tuple(sorted(lexeme)))
        stacks = after if after is not parser.nothing else stacks
    return stacks


@given(parses(), st.integers(0, 4), st.integers(1, 5))
def test_what_is_beneath_a_cut_makes_it_whole_again(
    given_parse: tuple[Grammar, list[frozenset[int]]], first: int, depth: int
) -> None:
    grammar, lexemes = given_parse
    try:
        parser = parser_of(grammar)
        stacks = read_all(parser, lexemes[:4])
        check_graft(parser, stacks, depth)
        # Also of stacks that were cut, and went on.
        cut = parser.cut(stacks, first)
        for lexeme in lexemes[4:]:
            cut = parser.advance(cut, tuple(sorted(lexeme)))
            check_graft(parser, cut, depth)
    except (EmptyLanguageError, StackUnderflow):
        return


@pytest.mark.parametrize("text", DEEP)
@given(lexemes=st.lists(st.integers(0, 1), max_size=12), cut=st.integers(1, 3))
def test_so_it_does_in_ambiguous_grammars(text: str, lexemes: list[int], cut: int) -> None:
    parser = parser_of(rules(text))
    n_terminals = len(parser.automaton.grammar.terminals)
    stacks = parser.initial
    for place, lexeme in enumerate(lexemes):
        try:
            after = parser.advance(stacks, (lexeme % n_terminals,))
        except StackUnderflow:
            return
        stacks = after if after is not parser.nothing else stacks
        if place == 4:
            stacks = parser.cut(stacks, cut)
        for depth in range(1, 6):
            check_graft(parser, stacks, depth)


def check_graft(parser: Parser, stacks: Stacks, depth: int) -> None:
    below = parser.beneath(stacks, depth)
    if below is not None:
        assert parser.graft(parser.cut(stacks, depth), below) is stacks


# --- shadows ---------------------------------------------------------------------------------


def forbidden_at(lexer: Lexer, shadow: Members, text: bytes) -> int:
    """How many bytes stand before the first that makes one of `shadow` accept."""
    table, states = lexer.table, list(shadow)
    for place, byte in enumerate(text):
        states = [int(s) for s in table.next[states, table.byte_class[byte]] if s != DEAD]
        if table.accepting[states].any():
            return place
    return len(text)


@given(grammar=strategies.grammars(), data=st.data())
def test_shadows_that_are_one_forbid_the_same_texts(grammar: Grammar, data: st.DataObject) -> None:
    lexer = lexer_of(grammar)
    states = np.flatnonzero(lexer.table.has_next).tolist()
    if not states:
        return
    sets = data.draw(st.lists(st.frozensets(st.sampled_from(states), max_size=3), max_size=8))
    texts = data.draw(st.lists(st.text("abcdé", max_size=8).map(str.encode), max_size=8))
    for members in sets:
        shadow = tuple(sorted(members))
        first = lexer._alike(shadow)
        assert lexer._alike(first) == first
        for text in texts:
            assert forbidden_at(lexer, shadow, text) == forbidden_at(lexer, first, text)


# --- line ends -------------------------------------------------------------------------------

PYTHON = [
    "if x:\n\tif y:\n\t\tz\n\telse:\n\t\tpass\n",
    "def f(a,\n  b):  #c\n    return [a,\n b]\n\nclass C:\n  x\n  #d\n\n  def g():1\n",
    "x = \\\n  1\nwhile x:\n        x\n        try:\n            y\n        finally:\n         z",
    "match = 1\nmatch x:\n  case 1:\n    pass\n  case _: f'{x!r}'\n@d\nasync def f(): g\n",
]
ADDED = (
    b"\n", b"\n ", b"\n    ", b"\n  ", b"\n\t", b"\n        ", b"\r\n  #",
    b"\n #c\n  ", b"\n\\\n ", b"  ",
)  # fmt: skip


@pytest.mark.parametrize("text", PYTHON)
def test_a_line_end_and_then_its_indentation_are_what_both_are(text: str) -> None:
    matcher = builtin_matcher("python").fork()
    machine, parser = matcher._engine.machine, matcher._engine.machine.parser
    assert isinstance(parser, IndentationParser)
    n_first = 0
    for byte in text.encode():
        for stacks, state in matcher._now.state.threads:
            for winners in {machine.lexer.winners[state], (parser.newline,)} - {()}:
                for depth in (1, 2, 4, HUGE):
                    top = parser.cut(stacks, depth)
                    n_first += sum(check_line_end(parser, top, winners, a) for a in ADDED)
        assert matcher.accept_bytes(bytes([byte])), text
    assert n_first > 100


def check_line_end(parser: Parser, stacks: Stacks, winners: tuple[int, ...], added: bytes) -> bool:
    """Whether the line end was taken first."""
    try:
        ended = parser.end_line(stacks, winners)
        if ended is None:
            return False
        after, is_line_end = ended
        if is_line_end:
            after = parser.indent(after, added)
    except StackUnderflow:
        return False
    assert after is parser.advance(parser.measure(stacks, added), winners)
    return is_line_end


@pytest.mark.parametrize(
    ("others", "is_first"),
    [((b"(x",), False), ((b"x  ", b"x \t"), True), ((b"x  ", b"(x "), False)],
)
def test_a_line_end_of_unlike_stacks(others: tuple[bytes, ...], is_first: bool) -> None:
    """Some inside brackets and some not, or on lines that are indented differently."""
    matcher = builtin_matcher("python")
    machine, parser = matcher._engine.machine, matcher._engine.machine.parser
    assert isinstance(parser, IndentationParser)
    stacks = parser.nothing
    for text in (b"x", *others) if len(others) == 1 else others:
        lexeme, margin = text.rstrip(b" \t"), text[len(text.rstrip(b" \t")) :]
        ((before, state),) = machine.read((machine.initial,), lexeme)
        after = machine.after((before, state))
        stacks = parser.union(stacks, parser.measure(after, margin) if margin else after)
    for added in ADDED:
        assert check_line_end(parser, stacks, (parser.newline,), added) == is_first
