"""Grammars inside another one, against the outer grammar with the part's texts written out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from constrain import Grammar, Matcher
from constrain.cli.diagnosis import byte_matcher
from constrain.errors import EmptyLanguageError, GrammarError, UndefinedSymbolError
from constrain.grammar.rules import Lexing, Production, Semicolons, Terminal
from tests.reference import EMPTY_PATTERN, Reference, texts
from tests.strategies import grammars
from tests.timing import share

LONGEST = 4


def is_text(matcher: Matcher, text: bytes) -> bool:
    fork = matcher.fork()
    return fork.accept_bytes(text) and fork.is_accepting()


def written_out(outer: Grammar, name: str, part_texts: set[bytes]) -> Grammar:
    """`outer` with the terminal `name` matching exactly some texts, the empty one included."""
    words = [re.escape(text.decode()) for text in sorted(part_texts) if text]
    pattern = "|".join(words) or EMPTY_PATTERN
    others = tuple(t for t in outer.terminals if t.name != name)
    productions = [
        Production(p.lhs, tuple("place" if symbol == name else symbol for symbol in p.rhs))
        for p in outer.productions
    ]
    productions.append(Production("place", (name,)))
    if b"" in part_texts:
        productions.append(Production("place", ()))
    terminals = (*others, Terminal(name, pattern))
    return replace(outer, terminals=terminals, productions=tuple(productions))


@share(2)
@given(grammars(), grammars())
def test_any_match_has_the_texts_with_the_parts_texts_in_their_places(
    outer: Grammar, part: Grammar
) -> None:
    outer, part = replace(outer, lexing="any"), replace(part, lexing="any")
    assume(any("A" in production.rhs for production in outer.productions))
    part_texts = Reference(part).language(b"abc", LONGEST)
    oracle = Reference(written_out(outer, "A", part_texts))
    try:
        matcher = byte_matcher(Grammar.compose(outer, {"A": part}))
    except EmptyLanguageError:
        assert not any(oracle.accepts(text) for text in texts(b"abc", LONGEST))
        return
    for text in texts(b"abc", LONGEST):
        assert is_text(matcher, text) == oracle.accepts(text), text


@share(2)
@given(grammars(), st.sampled_from(["longest", "any"]))
def test_a_part_alone_has_its_own_texts(part: Grammar, lexing: Lexing) -> None:
    part = replace(part, lexing=lexing)
    outer = Grammar((), (Production("s", ("P",)),), "s", lexing=lexing, ties=part.ties)
    oracle = Reference(part)
    try:
        matcher = byte_matcher(Grammar.compose(outer, {"P": part}))
    except GrammarError as error:
        with pytest.raises(type(error)):  # as it is refused alone
            byte_matcher(part)
        return
    for text in texts(b"abc", LONGEST):
        assert is_text(matcher, text) == oracle.accepts(text), text


OUTER = Grammar.from_lark('start: "<" BODY ">" ("," BODY)?\nBODY: /x/\n%ignore "_"')
PART = Grammar.from_lark('start: WORD+\nWORD: /[a-z]+/\n%ignore " "')


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("<a b>", True),
        ("_<_ a  b _>_", True),
        ("<a>_,_b c _", True),
        ("<a_b>", False),  # the outer grammar ignores nothing inside a part
        (" <a>", False),  # nor the part outside
        ("<a> ,b", False),
        ("<a>, b", True),
        ("<>", False),
    ],
)
def test_each_grammar_ignores_its_own(text: str, is_whole: bool) -> None:
    composed = Grammar.compose(OUTER, {"BODY": PART})
    assert is_text(byte_matcher(composed), text.encode()) == is_whole
    assert {t.name for t in composed.terminals} >= {"BODY.WORD"}


def test_longest_match_goes_across_a_seam() -> None:
    outer = Grammar.from_lark('start: BODY "end"\nBODY: /x/')
    part = Grammar.from_lark("start: WORD\nWORD: /[a-z]+/")
    with pytest.raises(GrammarError, match="swallows"):
        byte_matcher(Grammar.compose(outer, {"BODY": part}))
    anywhere = [replace(grammar, lexing="any") for grammar in (outer, part)]
    matcher = byte_matcher(Grammar.compose(anywhere[0], {"BODY": anywhere[1]}))
    assert is_text(matcher, b"aend")


def test_parts_and_gbnf_go_together() -> None:
    outer = Grammar.from_lark('start: "[" X ("|" Y)? "]"\nX: /x/\nY: /x/', lexing="any")
    x = Grammar.from_ebnf('root ::= "(" root ")" | "a"*')
    y = Grammar.compose(outer, {"X": x, "Y": x})
    matcher = byte_matcher(Grammar.compose(outer, {"X": x, "Y": y}))
    for text in (b"[]", b"[((aa))]", b"[|[a]]", b"[a|[(a)|()]]"):
        assert is_text(matcher, text)
    assert not is_text(matcher, b"[[a]]")


@pytest.mark.parametrize(
    ("parts", "kind", "problem"),
    [
        ({"NAME": PART}, UndefinedSymbolError, "no rule of the outer grammar uses 'NAME'"),
        ({"BODY": replace(PART, lexing="any")}, GrammarError, "lexing='any'"),
        ({"BODY": replace(PART, ties="all")}, GrammarError, "ties='all'"),
        ({"BODY": replace(PART, guards=("WORD",))}, GrammarError, "has guards"),
        (
            {"BODY": replace(PART, layout=Semicolons(("WORD",), "WORD", ()))},
            GrammarError,
            "has a layout",
        ),
    ],
)
def test_what_cannot_be_composed_is_refused(
    parts: dict[str, Grammar], kind: type[GrammarError], problem: str
) -> None:
    with pytest.raises(kind, match=re.escape(problem)):
        Grammar.compose(OUTER, parts)


def test_no_symbol_of_a_part_is_taken_for_another() -> None:
    x = Production("s", ("X.A", "X"))
    outer = Grammar((Terminal("X.A", "b"), Terminal("X", "x")), (x,), "s", lexing="any")
    part = Grammar((Terminal("A", "a"),), (Production("s", ("A",)),), "s", lexing="any")
    matcher = byte_matcher(Grammar.compose(outer, {"X": part}))
    assert is_text(matcher, b"ba")
    assert not is_text(matcher, b"bb")


def test_a_rule_is_no_place() -> None:
    outer = Grammar.from_lark('start: inner\ninner: "a"')
    with pytest.raises(UndefinedSymbolError, match="'inner' is a rule"):
        Grammar.compose(outer, {"inner": PART})
