"""Grammar text → Grammar: every feature of Lark's language, and every way to get it wrong."""

from __future__ import annotations

import re
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark
from lark.exceptions import LarkError

from constrain.errors import (
    ConstrainError,
    EmptyLanguageError,
    EmptyTerminalError,
    GrammarError,
    GrammarLimitError,
    GrammarSyntaxError,
    PatternError,
    UndefinedSymbolError,
)
from constrain.grammar.builtin import builtin_folder
from constrain.grammar.rules import Grammar
from constrain.grammar.syntax import from_choices, from_lark, from_regex
from tests.reference import Reference

# feature: grammar, texts of it, texts not of it
FEATURES: dict[str, tuple[str, list[str], list[str]]] = {
    "literal": ('start: "ab" "c"', ["abc"], ["", "ab", "abcc"]),
    "alternatives": ('start: "a" | "b"\n     | "c"', ["a", "b", "c"], ["", "ab"]),
    "empty": ('start: | "a" start', ["", "aa"], ["b"]),
    "option": ('start: "a"? ["b"] "c"', ["c", "ac", "bc", "abc"], ["ba", "ab", "aac"]),
    "star": ('start: "a"* "b"', ["b", "aab"], ["", "a", "ba"]),
    "plus": ('start: ("a" | "b" "c")+', ["a", "bca", "abc"], ["", "b", "ab"]),
    "nested groups": ('start: (("a" | "b") ("c" | ))+', ["a", "acb", "bc"], ["", "c", "acc"]),
    "exact repetition": ('start: "a"~3', ["aaa"], ["", "aa", "aaaa"]),
    "bounded repetition": ('start: ("a" "b")~1..2', ["ab", "abab"], ["", "a", "ababab"]),
    "repetition from 0": ('start: "a"~0..2 "b"', ["b", "ab", "aab"], ["aaab"]),
    "case-insensitive": ('start: "ab"i', ["ab", "AB", "aB"], ["a", "abc"]),
    "regexp": ("start: /a[bc]*/", ["a", "abcb"], ["", "b"]),
    "regexp flags": ("start: /a b #c/ix", ["ab", "AB"], ["a b"]),
    "dot matches all": ("start: /a.b/s", ["acb", "a\nb"], ["ab"]),
    "global flag": ("start: A A\nA: /(?i)a|b/", ["aB", "BA"], ["a"]),
    "range": ('start: "a".."c" D\nD: "b".."d"', ["ab", "cd"], ["aa", "db"]),
    "terminals in terminals": (
        'start: T\nT: A (B | "c")* ["d"]\nA: "a"\nB: /b|bb/ "c"~2',
        ["a", "abcc", "abbccd", "acd"],
        ["", "ab", "abc", "abb"],
    ),
    "grouped alternation": ('start: T\nT: /a|b/ "c"', ["ac", "bc"], ["a", "bcc", "abc"]),
    "rule modifiers": ('?start: x | _y\n!x: "a"\n?z: "b"\n_y: z', ["a", "b"], ["ab"]),
    "aliases": ('start: "a" -> one\n     | "b" start -> two', ["a", "ba"], ["b"]),
    "priorities": ('start.2: x | A\nx.-1: "b"\nA.3: /a+/', ["b", "aa"], ["ba"]),
    "ignore": ('start: "a" "b"\n%ignore " "\n%ignore /c+/', ["ab", " acc b "], ["a", "abd"]),
    "ignored and used": ('start: "a" " " "b"\n%ignore " "', ["a b", "a  b"], ["ab", " "]),
    "ignored by name": ("start: A\n%ignore W\nW: /[ ]/\nA: /a/", ["a", " a "], [" "]),
    "template": (
        'start: list{"a", c}\nlist{x, s}: x (s x)*\nc: "c" | ","',
        ["a", "aca,a"],
        ["", "ac", "aa"],
    ),
    "template of templates": (
        'start: twice{pair, "a"}\ntwice{t, x}: t{x} t{x}\npair{x}: x "b"',
        ["abab"],
        ["ab", "aab"],
    ),
    "recursive template": ('start: nest{"a"}\nnest{x}: x | "(" nest{x} ")"', ["((a))"], ["(a"]),
    "import": ("start: INT\n%import common.INT", ["1", "23"], ["", "a"]),
    "import as": ('start: N\n%import common.INT -> N\nINT: "i"', ["1"], ["i"]),
    "import many": ("start: (DIGIT LETTER)+\n%import common (DIGIT, LETTER)", ["1a2B"], ["a1"]),
    "override": ('start: INT\n%import common.INT\n%override INT: "a"', ["a"], ["1"]),
    "override keeps users": (
        'start: NUMBER\n%import common (INT, NUMBER)\n%override INT: "a"', ["1", "1.5"], ["a"]),
    "extend": ('start: x INT\nx: "x"\n%extend x: "y"\n%import common.INT\n%extend INT: "a"',
               ["x1", "ya"], ["z1", "xb"]),
    "override a rule": ('start: x\nx: "a"\n%override x: "b" x | "c"', ["bbc"], ["a"]),
    "comments": ('// one\nstart: "a" // two\n     | "b" # three\n', ["a", "b"], ["c"]),
    "continued line": ('start: "a" \\\n "b"', ["ab"], ["a"]),
    "escapes": (r'start: "\n\t\"\\\x41\u00e9\d"', ['\n\t"\\Aé\\d'], ["n", '\n\t"\\Aé']),
    "escapes in regexp": (r"start: /\/\x2a\u0041[\x5d]/", ["/*A]"], ["//A]", "/*A", "A]"]),
    "left recursion": ('start: start "a" | "b"', ["b", "baa"], ["", "ab"]),
    "ambiguity": ('start: start start | "a"', ["a", "aaa"], [""]),
    "unit cycle": ('start: x | "a"\nx: start', ["a"], ["", "aa"]),
    "colliding options": ('start: ["a"] ["a"]', ["", "a", "aa"], ["aaa"]),
    "imported string": (
        'start: S ("," S)*\n%import common.ESCAPED_STRING -> S',
        ['"a"', '"a","b"', r'"\"","\\"', '"",""'],
        ['"', '"a" "b"', r'"a\"', '"a""b"'],
    ),
    "imported comment": (
        'start: "a"+\n%import common.C_COMMENT\n%ignore C_COMMENT',
        ["a", "a/**/a", "/* * / */a/**/"],
        ["/*a", "a/*/", "a*/", "/**/"],
    ),
    "lazy beside greedy": ('start: T+\nT: /<.*?>/ | A\nA: /a+/', ["<>a<a>", "aa"], ["<", "a>"]),
}  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
def test_feature(feature: str) -> None:
    text, members, others = FEATURES[feature]
    reference = Reference(from_lark(text))
    assert [t for t in members if not reference.accepts(t.encode())] == []
    assert [t for t in others if reference.accepts(t.encode())] == []


# Where Lark itself errs (see constrain.grammar.pattern) or reads lazy quantifiers otherwise.
NOT_AS_IN_LARK = {
    "grouped alternation", "escapes in regexp", "imported string", "imported comment",
    "lazy beside greedy", "terminals in terminals", "colliding options", "regexp flags",
}  # fmt: skip


@pytest.mark.parametrize("feature", sorted(FEATURES.keys() - NOT_AS_IN_LARK))
def test_same_language_as_lark(feature: str) -> None:
    text, members, others = FEATURES[feature]
    lark = Lark(text, parser="earley", lexer="dynamic_complete")
    letters = sorted(set("".join(members + others)))[:5]
    texts = ["".join(p) for n in range(5) for p in product(letters, repeat=n)] + members + others
    reference = Reference(from_lark(text, lexing="any"))
    for candidate in texts:
        assert reference.accepts(candidate.encode()) == lark_reads(lark, candidate), candidate


def lark_reads(lark: Lark, text: str) -> bool:
    try:
        lark.parse(text)
    except LarkError:
        return False
    return True


LAZY = {
    "ESCAPED_STRING": '"\\a\n',
    "C_COMMENT": "/*a\n",
}


@pytest.mark.parametrize("name", LAZY)
def test_lazy_library_terminals_match_what_re_matches_first(name: str) -> None:
    grammar = from_lark(f"start: {name}\n%import common.{name}")
    lexeme = re.compile(grammar.terminals[0].pattern)
    original = re.compile(Lark(f"start: {name}\n%import common.{name}").terminals[0].pattern.value)
    start = {"ESCAPED_STRING": '"', "C_COMMENT": "/*"}[name]
    for n in range(7):
        for letters in product(LAZY[name], repeat=n):
            text = start + "".join(letters)
            ends = [i for i in range(len(text) + 1) if lexeme.fullmatch(text[:i])]
            match = original.match(text)
            assert ends == ([match.end()] if match else [])


def test_greedy_after_lazy_is_refused() -> None:
    with pytest.raises(PatternError, match="greedy quantifier after a lazy") as caught:
        from_lark('start: "a" | T\nT: /".*?"/ /[a-z]*/')
    assert (caught.value.line, caught.value.column) == (2, 1)


def terminal(grammar: Grammar, name: str):
    return next(t for t in grammar.terminals if t.name == name)


def test_terminals_keep_priority_and_kind() -> None:
    grammar = from_lark('start: A B C "x" /y/ "z"i\nA.5: "a"\nB.-2: /b/\nC: "c" "d"')
    kinds = {t.name: (t.priority, t.is_literal) for t in grammar.terminals}
    assert kinds == {
        "A": (5, True), "B": (-2, False), "C": (0, False),
        '"x"': (0, True), "/y/": (0, False), '"z"i': (0, True),
    }  # fmt: skip


def test_a_literal_is_the_terminal_of_the_same_pattern() -> None:
    grammar = from_lark('start: "if" /[a-z]/ "IF"i\nIF.7: "if"\nLETTER: /[a-z]/\nELSE: "if"i')
    assert [t.name for t in grammar.terminals] == ["IF", "LETTER", '"IF"i']


def test_unused_definitions_are_left_out() -> None:
    grammar = from_lark('start: A\nx: B\nA: "a"\nB: C\nC: /(?:)/\n%import common (WORD, INT)')
    assert [t.name for t in grammar.terminals] == ["A"]
    assert {p.lhs for p in grammar.productions} == {"start"}


def test_start_can_be_any_rule() -> None:
    assert Reference(from_lark('start: "a"\nx: "b"', start="x")).accepts(b"b")


@pytest.mark.parametrize(("low", "high"), [(0, 17), (3, 3), (5, 64), (63, 66), (100, 100)])
def test_repetition_counts_exactly_and_once(low: int, high: int) -> None:
    grammar = from_lark(f'start: "a"~{low}..{high}')
    counts = derivation_counts(grammar)
    assert counts == dict.fromkeys(range(low, high + 1), 1)


def derivation_counts(grammar: Grammar) -> dict[int, int]:
    """Length of a text of one letter → its number of derivations (no recursion allowed)."""
    known: dict[str, dict[int, int]] = {t.name: {1: 1} for t in grammar.terminals}

    def count(symbol: str) -> dict[int, int]:
        if symbol not in known:
            total: dict[int, int] = {}
            for production in (p for p in grammar.productions if p.lhs == symbol):
                ways = {0: 1}
                for part in production.rhs:
                    ways = _convolve(ways, count(part))
                for length, n in ways.items():
                    total[length] = total.get(length, 0) + n
            known[symbol] = total
        return known[symbol]

    return count(grammar.start)


def _convolve(left: dict[int, int], right: dict[int, int]) -> dict[int, int]:
    result: dict[int, int] = {}
    for i, m in left.items():
        for j, n in right.items():
            result[i + j] = result.get(i + j, 0) + m * n
    return result


def test_large_repetition_is_small() -> None:
    assert len(from_lark('start: "a"~0..65536').productions) < 200


def test_options_do_not_multiply() -> None:
    text = "start: " + " ".join(f'["x{i}"]' for i in range(60))
    assert len(from_lark(text).productions) == 121


def test_groups_are_shared_and_named_by_what_they_say() -> None:
    grammar = from_lark('start: ("a" "b")* x\nx: ("a" "b")*')
    assert {p.lhs for p in grammar.productions} == {"start", "x", '("a" "b")*'}


def test_relative_imports(tmp_path: Path) -> None:
    (tmp_path / "one.lark").write_text('x: y "1"\ny: Z | W\nZ: "z"\n%import .sub.two.W\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "two.lark").write_text('W: V\nV: "v"\n%ignore " "\n')
    grammar = from_lark("start: x x\n%import .one.x", base_path=tmp_path)
    reference = Reference(grammar)
    assert reference.accepts(b"z1v1")
    assert not reference.accepts(b"z1 v1")
    assert {t.name for t in grammar.terminals} == {".one.Z", ".one.W", '"1"'}


def test_override_reaches_rules_of_the_imported_grammar(tmp_path: Path) -> None:
    (tmp_path / "one.lark").write_text('x: Y "!"\nY: "y"\n')
    text = 'start: x\n%import .one (x, Y)\n%override Y: "q"'
    reference = Reference(from_lark(text, base_path=tmp_path))
    assert reference.accepts(b"q!")
    assert not reference.accepts(b"y!")


def test_imports_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.lark").write_text("x: y\n%import .b.y\n")
    (tmp_path / "b.lark").write_text("y: x\n%import .a.x\n")
    with pytest.raises(GrammarError, match="imports itself"):
        from_lark("start: x\n%import .a.x", base_path=tmp_path)


def test_error_in_an_imported_grammar_points_there(tmp_path: Path) -> None:
    (tmp_path / "a.lark").write_text('x: "a"\n   | nope\n')
    with pytest.raises(UndefinedSymbolError, match=r"a\.lark.*nope") as caught:
        from_lark("start: x\n%import .a.x", base_path=tmp_path)
    assert (caught.value.line, caught.value.column) == (2, 6)
    assert caught.value.source == 'x: "a"\n   | nope\n'


# grammar, class, line, column, words of the message
BAD: list[tuple[str, type[GrammarError], int | None, int | None, str]] = [
    ('start "a"', GrammarSyntaxError, 1, 7, r"""unexpected '"a"'; expected .*':'"""),
    ('start: "a', GrammarSyntaxError, 1, 8, "string .* never closed"),
    ("start: /a", GrammarSyntaxError, 1, 8, "regular expression .* never closed"),
    ('start: ("a"', GrammarSyntaxError, 1, 12, r"end of the line; expected .*'\)'"),
    ('start: "a")', GrammarSyntaxError, 1, 11, r"unexpected '\)'; expected "),
    ('start: "a" ;', GrammarSyntaxError, 1, 12, "character ';' cannot stand here"),
    ('Start: "a"', GrammarSyntaxError, 1, 2, "lower case"),
    ('start: "a"\n  + "b"', GrammarSyntaxError, 2, 3, r"unexpected '\+'"),
    ("start: a\nb: 'x'", GrammarSyntaxError, 2, 4, "character"),
    ('start: "a" -> B', GrammarSyntaxError, 1, 15, "expected a rule name"),
    ("start: x y\ny: x\n", UndefinedSymbolError, 1, 8, "rule 'x' .* nowhere defined"),
    ('start: "a"\nx: B', UndefinedSymbolError, 2, 4, "terminal 'B' .* nowhere defined"),
    ("start: A\nA: B", UndefinedSymbolError, 2, 4, "terminal 'B'"),
    ('start: A\nA: "a"\n%ignore B', UndefinedSymbolError, 3, 9, "terminal 'B'"),
    ('start: list{"a"}', UndefinedSymbolError, 1, 8, "'list'"),
    ('begin: "a"', UndefinedSymbolError, 1, 11, "start rule 'start' .* rules are: begin"),
    ("", UndefinedSymbolError, 1, 1, "none at all"),
    ('start: "a"\nstart: "b"', GrammarSyntaxError, 2, 1, "'start' is defined more than once"),
    ('start: A\nA: "a"\nA: "b"', GrammarSyntaxError, 3, 1, "terminal 'A' is defined more"),
    ("start: INT\n%import common.INT\nINT: /1/", GrammarSyntaxError, 3, 1, "more than once"),
    ('start: A\nA: "a" B\nB: A', GrammarSyntaxError, 2, 1, "defined by itself"),
    ('start: A\nA: x\nx: "a"', GrammarSyntaxError, 2, 4, "rule 'x' .* inside a terminal"),
    ('start: A\nA: "a" -> b', GrammarSyntaxError, 2, 11, "alias"),
    ('start: "a"\n%ignore start', GrammarSyntaxError, 2, 9, "inside a terminal"),
    ('start: "a"\nlist{x}: x\nA: list{"a"}', GrammarSyntaxError, 3, 4, "inside a terminal"),
    ("start: /a(b/", PatternError, 1, 10, r"missing \), unterminated subpattern"),
    ('start: "x"\n   | /[z-a]/', PatternError, 2, 8, "bad character range"),
    ("start: A\nA: /ab\n  (/x", PatternError, 3, 3, "unterminated subpattern"),
    ("start: /a{9999999999999999999}/", PatternError, 1, 9, "too large"),
    ("start: /a/l", GrammarSyntaxError, 1, 11, "locale"),
    ("start: /a\nb/", GrammarSyntaxError, 1, 8, "flag `x`"),
    ('start: "a" ""', EmptyTerminalError, 1, 12, "is empty"),
    ("start: A\nA: /a*/", EmptyTerminalError, 2, 1, "'A' matches the empty string"),
    ('start: A\nA: "a" |', EmptyTerminalError, 2, 1, "'A' matches the empty string"),
    ("start: A\nA:", EmptyTerminalError, 2, 1, "'A' matches the empty string"),
    ("start: /b?/", EmptyTerminalError, 1, 8, "matches the empty string"),
    ('start: "a"\n%ignore " "*', EmptyTerminalError, 2, 9, "matches the empty string"),
    ('start: "a"\n%ignore W\nW: /\\s*/', EmptyTerminalError, 3, 1, "'W' matches the empty"),
    ('start: "b".."a"', GrammarSyntaxError, 1, 8, "range .* is empty"),
    ('start: "ab".."c"', GrammarSyntaxError, 1, 8, "one character"),
    ('start: "a"i.."c"', GrammarSyntaxError, 1, 8, "one character"),
    (r'start: "a\xg1"', GrammarSyntaxError, 1, 10, "escape .* malformed"),
    (r'start: "a\ud800"', GrammarSyntaxError, 1, 10, "surrogate"),
    (r'start: "\U00110000"', GrammarSyntaxError, 1, 9, "malformed"),
    ('start: "a"~3..2', GrammarSyntaxError, 1, 11, "0 <= n <= m"),
    ('start: "a"~-1', GrammarSyntaxError, 1, 11, "0 <= n <= m"),
    ('start: "a"~65537', GrammarLimitError, 1, 11, "up to 65536"),
    ('start: A\nA: "a"~1..99999999999999999999999', GrammarLimitError, 2, 7, "up to 65536"),
    ('start: t\nt{x}: x "a"', GrammarSyntaxError, 1, 8, "needs 1 argument"),
    ('start: t{"a", "b"}\nt{x}: x', GrammarSyntaxError, 1, 8, "takes 1 argument"),
    ('start: x{"a"}\nx: "b"', GrammarSyntaxError, 1, 8, "takes 0 arguments"),
    ('start: t{"a", "b"}\nt{x, x}: x', GrammarSyntaxError, 2, 6, "two parameters 'x'"),
    ('start: t{"a"}\nt{x}: t{u{x}}\nu{x}: x', GrammarLimitError, 2, 7, "ever larger"),
    ("start{x}: x", GrammarSyntaxError, 1, 1, "'start' is a template"),
    ("start: A\n%declare A B", GrammarError, 2, 10, "'A' is only declared"),
    ("start: A\n%import nowhere.A", GrammarError, 2, 9, "no grammar 'nowhere.lark'"),
    ("start: A\n%import common.A", UndefinedSymbolError, 2, 16, "'A' is not defined in"),
    ("start: A\n%import .beside.A", GrammarError, 2, 10, "needs base_path"),
    ("start: a\n%import common", GrammarSyntaxError, 2, 9, "nothing is imported"),
    ("start: a\n%import common.INT -> a", GrammarSyntaxError, 2, 23, "upper case"),
    ("start: _INDENT\n%import python._INDENT", GrammarError, None, None, "only declared"),
    ('start: "a"\n%override x: "b"', UndefinedSymbolError, 2, 11, "%override of the rule 'x'"),
    ('start: "a"\n%extend X: "b"', UndefinedSymbolError, 2, 9, "%extend of the terminal 'X'"),
    ('start: t{"a"}\nt{x}: x\n%extend t: "b"', GrammarSyntaxError, 3, 9, "other template"),
    ('A.1234567890123456: "a"', GrammarLimitError, 1, 3, "15 digits"),
    ("start: " + "(" * 100 + '"a"' + ")" * 100, GrammarLimitError, 1, 68, "60 brackets"),
    ("start: " + "\n" * 2000, GrammarLimitError, 1, 7, "1000 white-space"),
    ("//" + "x" * (1 << 20), GrammarLimitError, None, None, "at most 1048576"),
    ('start: "\ud800"', GrammarSyntaxError, 1, 9, "no character"),
]


@pytest.mark.parametrize(("text", "kind", "line", "column", "words"), BAD)
def test_bad_grammar(text, kind, line, column, words) -> None:
    with pytest.raises(kind, match=words) as caught:
        from_lark(text)
    error = caught.value
    assert type(error) is kind
    if line is not None:
        assert (error.line, error.column) == (line, column)
        assert str(error).endswith("^") or not text.splitlines() or len(text.splitlines()) < line


@pytest.mark.parametrize("bad", ["start", "ab"])
def test_start_must_be_a_rule(bad: str) -> None:
    with pytest.raises(GrammarError):
        from_lark('AB: "a"\nrule: AB', start=bad)


# Each of these makes Lark's own loader run for ages or use all memory.
BOMBS = {
    "backslashes in an open string": 'start: "' + "\\\\" * 5000,
    "backslashes in an open regexp": "start: /" + "\\\\" * 5000,
    "doubling terminals": "start: A60\nA0: /a/\n"
    + "".join(f"A{i + 1}: A{i} A{i}\n" for i in range(60)),
    "doubling templates": 'start: t{"a"}\nt{x}: t{u{x, x}}\nu{x, y}: x y',
    "branching templates": 'start: t{"a", "b"}\nt{x, y}: t{u{x}, y} | t{x, u{y}} | x\nu{x}: x',
    "many options": "start: " + '["a"] ' * 5000,
    "nested repetition": 'start: ((("a"~65536)~65536)~65536)~65536',
    "a chain of terminals": "start: A0\n"
    + "".join(f"A{i}: A{i + 1}\n" for i in range(3000))
    + "A3000: /a/",
    "blank lines": "\n" * 900 + "x\n" + "\n" * 900,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_input_hangs(bomb: str) -> None:
    began = time.monotonic()
    try:
        from_lark(BOMBS[bomb])
    except GrammarError as error:
        assert "\n" in str(error) or isinstance(error, GrammarLimitError)
    assert time.monotonic() - began < 20


SEEDS = [text for text, _, _ in FEATURES.values()] + [
    path.read_text(encoding="utf-8") for path in builtin_folder().glob("*.lark")
]
SNIPPETS = [
    *'()[]{}|:~?*+!.,"/\\%->\n #$', "start", "A", "x", '"a"', "/b/", "~2..3", "%ignore ",
    "%import ", "common.", "%override ",
    "%extend ", "%declare ", "->", "..", "//", "i", '"\\', "/x", "{x}",
    " : ", "(?i)", "*?", "\ud800", "\u2028", "\x00", "A.2: ", "é",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.text(max_size=40), st.lists(st.sampled_from(SNIPPETS), max_size=15).map("".join))
)
def test_random_text_is_a_grammar_or_a_named_error(text: str) -> None:
    assert_grammar_or_named_error(text)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_grammar_is_a_grammar_or_a_named_error(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 4))
        text = text[:at] + data.draw(st.sampled_from(["", *SNIPPETS])) + text[at + cut :]
    assert_grammar_or_named_error(text)


def assert_grammar_or_named_error(text: str) -> None:
    try:
        grammar = from_lark(text)
    except ConstrainError as error:
        assert isinstance(error, GrammarError)
        if error.line is not None and error.source is not None:
            assert 1 <= error.line <= error.source.count("\n") + 1
            assert error.column is not None
            assert error.column >= 1
    else:
        assert grammar.check() is grammar
        assert all(not re.compile(t.pattern).fullmatch("") for t in grammar.terminals)


# --- from_regex and from_choices ------------------------------------------------------

REGEXES = ["ab", "a|b", "a*", "(a|b)?", "", "(?i)a?", "(?x) a  # one\n | b*", "a{0}", "ab|", "a+?"]


@pytest.mark.parametrize("pattern", REGEXES)
def test_from_regex_is_fullmatch(pattern: str) -> None:
    grammar = from_regex(pattern)
    assert all(not re.compile(t.pattern).fullmatch("") for t in grammar.terminals)
    reference = Reference(grammar)
    for n in range(4):
        for letters in product("abA", repeat=n):
            text = "".join(letters)
            assert reference.accepts(text.encode()) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize(("pattern", "position"), [("a(b", 1), ("*a", 0), ("[b-a]", 1)])
def test_from_regex_points_at_the_error(pattern: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        from_regex(pattern)
    assert (caught.value.pattern, caught.value.position) == (pattern, position)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab.*(", max_size=4), min_size=1, max_size=8))
def test_from_choices_is_exact(choices: list[str]) -> None:
    reference = Reference(from_choices(choices))
    near = {c[:i] + x for c in choices for i in range(len(c) + 1) for x in ("", "a", "(", c)}
    for text in near | set(choices):
        assert reference.accepts(text.encode()) == (text in choices)


def test_thousands_of_choices_are_quick() -> None:
    choices = [f"{i * 7919 % 100_003:x}-choice-{i}" for i in range(20_000)]
    began = time.monotonic()
    grammar = from_choices(choices)
    assert time.monotonic() - began < 5
    pattern = re.compile(grammar.terminals[0].pattern)
    assert all(pattern.fullmatch(choice) for choice in choices[::97])
    assert not pattern.fullmatch(choices[0] + "x")


def test_choices_that_nest_deeply() -> None:
    choices = ["a" * n for n in range(1, 1000)]
    pattern = re.compile(from_choices(choices).terminals[0].pattern)
    assert [n for n in range(1002) if pattern.fullmatch("a" * n)] == list(range(1, 1000))


def test_no_choices() -> None:
    with pytest.raises(EmptyLanguageError):
        from_choices([])


@pytest.mark.parametrize("bad", ["abc", [1], ["a", None], ["\ud800"]])
def test_choices_that_are_no_texts(bad) -> None:
    with pytest.raises(GrammarError):
        from_choices(bad)
