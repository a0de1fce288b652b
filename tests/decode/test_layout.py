"""Layouts: indentation against CPython's own tokenizer, semicolons against a slow twin."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary, bitmask
from constrain.errors import GrammarError, GrammarSyntaxError, UndefinedSymbolError
from tests.timing import share

third = share(3)

INDENTED = r"""
%layout indentation newline=_NL indent=_IN dedent=_OUT open=LPAR close=RPAR continuation=JOIN
%reserve NAME: "if" "else" "pass" "try" "finally" "as" "is" "in" "or" "and" "not" "for" "def" "del"
%reserve NAME: "with" "from" "while" "class" "raise" "return" "import" "lambda" "async" "await"
%reserve NAME: "elif" "yield" "except" "global" "assert" "break" "nonlocal" "continue"
%declare _NL _IN _OUT
start: _NL stmt*
stmt: line
    | "if" expr ":" block ("else" ":" block)?
    | "try" ":" block "finally" ":" block
line: simple (";" simple)* ";"? _NL
block: line | _NL _IN stmt+ _OUT
simple: expr | NAME ":" expr | "pass"
expr: NAME | LPAR expr? RPAR | expr LPAR expr? RPAR
LPAR: "("
RPAR: ")"
NAME: /[a-z]+/
JOIN: /\\[\r\n]/
CRLF_JOIN: /\\\r\n/
%ignore /[ \t\f]+/
%ignore JOIN
%ignore CRLF_JOIN
"""
PIECES = (
    "x", "(", ")", "if x:", "else:", "pass", "try:", "finally:", ";", "#c", " ", "  ", "    ", "\t",
    "\f", "\n", "\n", "\r\n", "\r", "\\\n", "\\\r\n", "\\", "\n  ", "\n    ", "\n\t", "\n        ",
    "if x:\n  x\n", "\n  else:", "\nx", "\n\n   \n    x", "  # c\n  x\n",
)  # fmt: skip
WORDS = [
    piece.encode() for piece in (*PIECES, "try:\n    x\n  ", "\\\n  \\\n", "x\n \t", " #", "\n#")
]
SEMICOLONS = r"""
%layout semicolons newline=NL,COMMENT_NL semicolon=SEMICOLON after=NAME,RPAR,RBRACE
start: stmt*
stmt: NAME SEMICOLON | NAME LPAR (NAME ("," NAME)* ","?)? RPAR SEMICOLON | block SEMICOLON
block: "{" stmt* (NAME | block)? RBRACE
NAME: /[a-z]+/
LPAR: "("
RPAR: ")"
RBRACE: "}"
SEMICOLON: ";"
NL: /\n/
COMMENT_NL: /\/\*([^*\n]|\*+[^*\/\n])*\**\n([^*]|\*+[^*\/])*\*+\//
COMMENT: /\/\*([^*\n]|\*+[^*\/\n])*\*+\/|\/\/[^\n]*/
%ignore COMMENT
%ignore " "
"""
GO_PIECES = (
    "x",
    "y",
    "(",
    ")",
    ",",
    "{",
    "}",
    ";",
    "\n",
    "\n",
    " ",
    "//c",
    "/*c*/",
    "/*\n*/",
    "/*",
)


@pytest.fixture(scope="module")
def indented() -> MaskStore:
    tokens = [*(bytes([byte]) for byte in range(256)), *dict.fromkeys(WORDS), b""]
    vocabulary = Vocabulary.from_tokens(tokens, [len(tokens) - 1])
    return constrain.compile(Grammar.from_lark(INDENTED), vocabulary)


@pytest.fixture(scope="module")
def semicolons() -> MaskStore:
    words = [piece.encode() for piece in (*GO_PIECES, "x\n}", ")\n\n", "//\nx", "*/\n")]
    tokens = [*(bytes([byte]) for byte in range(256)), *dict.fromkeys(words), b""]
    vocabulary = Vocabulary.from_tokens(tokens, [len(tokens) - 1])
    return constrain.compile(Grammar.from_lark(SEMICOLONS), vocabulary)


def accepts(store: MaskStore, text: str) -> bool:
    matcher = store.matcher()
    return matcher.accept_bytes(text.encode()) and matcher.is_accepting()


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):  # the latter for NUL
        return False
    return True


def is_semicolons(text: str) -> bool:
    """The language of `SEMICOLONS`, by inserting the semicolons first."""
    symbols = ""
    position = 0
    lexeme = re.compile(r"[a-z]+|[(){},;]|\n| |//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/")
    while found := lexeme.match(f"{text}\n", position):
        position = found.end()
        piece = found.group()
        if piece == "\n" or (piece.startswith("/*") and "\n" in piece):
            symbols += ";" if symbols[-1:] in ("x", ")", "}") else ""
        elif piece.isalpha():
            symbols += "x"
        elif piece in set("(){},;"):
            symbols += piece
    if position <= len(text):
        return False
    statement = r"x(?:\((?:x(?:,x)*,?)?\))?;"
    before = None
    while before != symbols:  # innermost blocks first, each taken for a statement
        before = symbols
        symbols = re.sub(rf"\{{(?:{statement}|b;)*(?:x|b)?\}}", "b", symbols)
    return re.fullmatch(rf"(?:{statement}|b;)*", symbols) is not None


def mask(matcher: Matcher, size: int) -> np.ndarray:
    row = bitmask.allocate(size)
    matcher.fill_bitmask(row)
    return bitmask.unpack(row, size)


# --- indentation -----------------------------------------------------------------------------


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("if x:\n  x\n # c")
@example("if x:\n  \\\n x")
@example("if x:\n\\\n  x")
@example("  \\\nx")
@example("x \\\n")
@example("x \\\r\n")
@example("if x:\n  x\n  \\\n")
@example("if x:\n\tx\n        x")
@example("if x:\n        x\n\tx")
@example("if x:\n \f x\n x")
@example("if x:\n  if x:\n    x\n x")
@example("if x: x\n\f")
@example("(\n# c\nx\n   )")
@example("x = # c")
@example("x # \0")
def test_lines_are_those_of_cpython(indented: MaskStore, text: str) -> None:
    assert accepts(indented, text) == is_python(text), repr(text)


@pytest.mark.parametrize("levels", [99, 100])
def test_blocks_nest_as_deep_as_in_cpython(levels: int, indented: MaskStore) -> None:
    text = "".join(f"{' ' * level}if x:\n" for level in range(levels)) + " " * levels + "x"
    assert accepts(indented, text) == is_python(text) == (levels < 100)


@third
@given(st.lists(st.integers(0, 10_000), max_size=10))
def test_a_mask_holds_the_tokens_whose_bytes_are_taken(
    indented: MaskStore, choices: list[int]
) -> None:
    check_masks(indented, choices)


def check_masks(store: MaskStore, choices: list[int]) -> None:
    matcher, size = store.matcher(), store.vocabulary.size
    for choice in choices:
        allowed = mask(matcher, size)
        for token_id, token in enumerate(store.vocabulary.tokens[:-1]):
            taken = matcher.fork().accept_bytes(token)
            assert allowed[token_id] == taken, (matcher.text, token)
        assert allowed[-1] == matcher.is_accepting()
        words = [i for i in np.flatnonzero(allowed).tolist() if 256 <= i < size - 1]
        if words:
            assert matcher.accept_token(words[choice % len(words)])


@third
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40), st.integers(0, 6))
def test_a_drawn_text_is_python_in_time(
    indented: MaskStore, choices: list[int], spare: int
) -> None:
    matcher, size = indented.matcher(), indented.vocabulary.size
    row = bitmask.allocate(size)
    for choice in choices[:6]:
        words = [i for i in np.flatnonzero(mask(matcher, size)).tolist() if 256 <= i < size - 1]
        if words:
            matcher.accept_token(words[choice % len(words)])
    left = matcher.tokens_to_finish() + spare
    while not matcher.is_terminated():
        matcher.fill_bitmask_within(row, left)
        allowed = np.flatnonzero(bitmask.unpack(row, size)).tolist()
        assert matcher.accept_token(allowed[choices[left % len(choices)] % len(allowed)])
        left -= 1
    assert left >= 0
    assert is_python(matcher.text.decode()), matcher.text


def test_a_stored_row_knows_what_tokens_do_to_indentation(
    indented: MaskStore, tmp_path: Path
) -> None:
    indented.warm()
    indented.save(tmp_path / "a.store")
    again = MaskStore.load(tmp_path / "a.store", indented.grammar, indented.vocabulary)
    size = indented.vocabulary.size
    for text in (
        b"",
        b"if x:",
        b"if x:\n  ",
        b"if x:\n    if x:\n\t",
        b"(",
        b"(\n ",
        b"x #",
        b"x\\",
    ):
        one, other = indented.matcher(), again.matcher()
        assert one.accept_bytes(text)
        assert other.accept_bytes(text)
        assert (mask(one, size) == mask(other, size)).all()


def test_rollback_goes_back_over_line_ends(indented: MaskStore) -> None:
    matcher, size = indented.matcher(), indented.vocabulary.size
    before = []
    for piece in (
        b"if x:",
        b"\n  ",
        b"x",
        b"\n    \n",
        b"  try:",
        b"\n   ",
        b"x\n",
        b"  finally:x",
    ):
        before.append(mask(matcher, size))
        assert matcher.accept_bytes(piece)
    for expected in reversed(before):
        matcher.rollback(1)
        assert (mask(matcher, size) == expected).all()


# --- semicolons ------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(GO_PIECES), max_size=10).map("".join))
@example("x // c")
@example("x /* \n */ x")
@example("x(x,\n)\n")
@example("x(x\n)")
@example("{x}")
@example("{\n}\n")
def test_line_ends_end_statements_behind_some_lexemes(semicolons: MaskStore, text: str) -> None:
    assert accepts(semicolons, text) == is_semicolons(text), repr(text)


@third
@given(st.lists(st.integers(0, 10_000), max_size=10))
def test_a_mask_knows_semicolons(semicolons: MaskStore, choices: list[int]) -> None:
    check_masks(semicolons, choices)


# --- directives ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kind", "problem"),
    [
        ('%reserve name: "if"', GrammarSyntaxError, "a %reserve is written"),
        ("%reserve NAME:", GrammarSyntaxError, "a %reserve is written"),
        (r'%reserve NAME: "\q"', GrammarSyntaxError, "escape"),
        ("%refuse NAME: B", UndefinedSymbolError, "'NAME' and 'B'"),
        ("%refuse NAME", GrammarSyntaxError, "a %refuse is written"),
        ('%reserve OTHER: "if"', UndefinedSymbolError, "'OTHER'"),
        ("%layout brackets", GrammarSyntaxError, "a %layout is written"),
        ("%layout semicolons newline=NAME", GrammarSyntaxError, "takes after, newline, semicolon"),
        ("%layout semicolons newline=A semicolon=NAME after=B", UndefinedSymbolError, "'A'"),
        (
            "%layout semicolons newline=NAME semicolon=NAME,B after=B",
            GrammarSyntaxError,
            "`semicolon` is one terminal, not 2",
        ),
        (
            "%layout indentation newline=A indent=B dedent=C open=NAME",
            GrammarSyntaxError,
            "as many `open` terminals as `close` ones",
        ),
    ],
)
def test_a_faulty_directive_is_shown(line: str, kind: type[GrammarError], problem: str) -> None:
    with pytest.raises(kind, match=re.escape(problem)) as raised:
        Grammar.from_lark(f"start: NAME\nNAME: /a+/\n{line}\n")
    assert "line 3, column 1" in str(raised.value)


def test_a_second_layout_is_refused() -> None:
    with pytest.raises(GrammarSyntaxError, match="one %layout"):
        Grammar.from_lark(INDENTED + INDENTED.splitlines()[1])


def test_a_bracket_without_its_partner_is_refused() -> None:
    text = INDENTED.replace("LPAR expr? RPAR |", "LPAR expr? |")
    with pytest.raises(GrammarError, match="opens a bracket that it does not close"):
        constrain.compile(Grammar.from_lark(text), Vocabulary.from_tokens([b"x", b""], [1]))


def test_indentation_without_white_space_is_refused() -> None:
    text = re.sub("%ignore.*", "", INDENTED.replace(" continuation=JOIN", ""))
    tokens = [bytes([byte]) for byte in range(256)]
    with pytest.raises(GrammarError, match="ignore white space"):
        constrain.compile(Grammar.from_lark(text), Vocabulary.from_tokens(tokens))


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("select a", True),
        ("SELECT a FROM b", True),
        ("select from", False),
        ("select a from", False),
    ],
)
def test_reserved_words_are_no_names(text: str, is_whole: bool) -> None:
    grammar = Grammar.from_lark(
        'start: "select"i NAME ("from"i NAME)?\nNAME: /[a-z]+/i\n%ignore " "\n'
        '%reserve NAME: "select"i "from"i\n'
    )
    tokens = [bytes([byte]) for byte in range(256)]
    assert accepts(constrain.compile(grammar, Vocabulary.from_tokens(tokens)), text) == is_whole


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("1as b", False),
        ("1 as b", True),
        ("1if", True),
        ("1a", True),
        ("1asx", False),
        ("1 asx", True),
    ],
)
def test_a_refused_text_begins_no_lexeme(text: str, is_whole: bool) -> None:
    grammar = Grammar.from_lark(
        'start: (NUMBER | "as" NAME | "if" | NAME)+\nNAME: /[a-z]+/\nNUMBER: /[0-9]+/\n'
        '%ignore " "\n%reserve NAME: "as" "if"\nGLUED: /[0-9]+as/\n%refuse NUMBER: GLUED\n'
    )
    tokens = [*(bytes([byte]) for byte in range(256)), b"1a", b"as", b"1as", b"as b"]
    store = constrain.compile(grammar, Vocabulary.from_tokens(tokens))
    assert accepts(store, text) == is_whole
    matcher = store.matcher()
    for place, byte in enumerate(text.encode()):
        assert mask(matcher, len(tokens))[byte] == matcher.allowed_bytes()[byte]
        if not matcher.accept_bytes(bytes([byte])):
            assert (text, place) in [("1as b", 2), ("1asx", 2)]
            break
