"""Cases of middles by name, in real grammars; `json`, `ast` and Go's parser are the judges."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest

import constrain
from constrain import Grammar, MaskStore, Tag, Vocabulary, bitmask
from constrain.errors import MatcherError, SuffixError
from constrain.fim.suffix import (
    BrokenPrefix,
    Middle,
    NoLegalStop,
    NothingJoins,
    SuffixMatcher,
    open_middle,
)
from tests.oracles.python import is_python

BYTES = [bytes([value]) for value in range(256)]
LONGER = [b"->", b"),", b"):\n", b'",', b'": ', b"\n    ", b"retu", b"\xc3\xa9", b"rn x", b"]]"]
END = len(BYTES) + len(LONGER)
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
    "required": ["a"],
    "additionalProperties": False,
}


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary.from_tokens([*BYTES, *LONGER, b""], [END])


@cache
def store_of(name: str) -> MaskStore:
    grammars = {
        "gbnf": lambda: Grammar.from_ebnf('root ::= "(" root ")" root | [a-z]*'),
        "regex": lambda: Grammar.from_regex(r"(ab)*c|d[0-9]{2}"),
        "schema": lambda: Grammar.from_json_schema(SCHEMA),
        "tags": lambda: Grammar.tags([Tag("<a>", SCHEMA, "</a>")], triggers=["<"]),
    }
    grammar = grammars[name]() if name in grammars else Grammar.builtin(name)
    return constrain.compile(grammar, vocabulary())


def opened(name: str, prefix: bytes, suffix: bytes) -> SuffixMatcher:
    matcher = open_middle(store_of(name), prefix, suffix)
    assert isinstance(matcher, SuffixMatcher), matcher
    return matcher


def told(name: str, prefix: bytes, suffix: bytes, middle: bytes) -> str:
    """Whether a middle is legal, at least open, or refused."""
    matcher = opened(name, prefix, suffix)
    if not matcher.accept_bytes(middle):
        return "refused"
    return "legal" if matcher.is_accepting() else "open"


CASES = [
    # in a keyword, an operator, a number, a character, a string
    ("python", "def f():\n    retu", "rn x\n", "", "legal"),
    ("python", "def f():\n    retu", "rn x\n", "rn 1; retu", "legal"),
    ("python", "def f():\n    retu", "rn x\n", "r", "open"),
    ("python", "x = y *", "* 2\n", "", "legal"),
    ("python", "x = y *", "* 2\n", " z *", "legal"),
    ("python", "x = y *", "* 2\n", "*", "open"),
    ("python", "x = 1", "5\n", "0", "legal"),
    ("python", "x = 0", "b1\n", "", "legal"),
    ("json", "[1", "e5]", "2.5", "legal"),
    ("json", "[1", "e5]", "2.", "open"),
    ("json", "[1", ".5]", "e1", "open"),
    ("json", '["', '"]', "é", "legal"),
    ("json", '["a', 'b"]', '", "', "legal"),
    ("json", '["a', 'b"]', '"', "open"),
    ("json", '["a\\', 'b"]', "", "legal"),
    ("json", '["a\\', 'x"]', "", "open"),
    ("json", '["a\\u00', '9"]', "e", "legal"),
    ("json", '["a\\u00', '9"]', "", "open"),
    ("json", '["a\\u00', '9"]', "g", "refused"),
    # a token that runs past the stop
    ("python", "def f() ", "> None:\n    pass\n", "-", "legal"),
    ("python", "def f() ", "> None:\n    pass\n", "->", "open"),
    # brackets that the suffix closes
    ("python", "f(", ")\n", "a, b", "legal"),
    ("python", "f(", ")\n", "", "legal"),
    ("python", "f(", ")\n", "a)", "open"),
    ("python", "f(", ")\n", "a) + (b", "legal"),
    ("python", "f(", ")\n", "a]", "refused"),
    ("python", "x = f([", "])\n", "])", "open"),
    ("python", "if f(", "):\n    pass\n", "a):\n    g(", "open"),
    ("python", "def f(", "):\n    pass\n", "a):\n    g(b", "open"),
    ("json", "[[", "]]", "]", "open"),
    ("json", "[[", "]]", "],[", "legal"),
    ("json", '{"a": [', "]}", "1", "legal"),
    ("json", '{"a": [', "]}", "]}", "refused"),
    ("json", '{"a": [', "]}", '], "b": [', "legal"),
    ("json", '{"a": 1', ', "b": 2}', "}", "refused"),
    ("gbnf", "(", ")", ")", "open"),
    ("gbnf", "((", ")", "a)", "legal"),
    ("gbnf", "(", ")", "(((", "open"),
    # nothing in between
    ("python", "x = ", "\n", "", "open"),
    ("python", "x = ", "\n", "1", "legal"),
    ("json", "[1", ", 2]", "", "legal"),
    # indentation
    ("python", "def f():\n    x = 1\n", "    return x\n", "", "legal"),
    ("python", "def f():\n    x = 1\n", "    return x\n", "    if x:\n    ", "legal"),
    ("python", "def f():\n    x = 1\n", "    return x\n", "y = 2\n", "open"),
    ("python", "def f():\n    x = 1\n", "\n    return x\n", "y = 2", "open"),
    ("python", "def f():\n    x = 1\n", "\n    return x\n", "    y = 2", "legal"),
    ("python", "def f():\n    x = 1\n", "\n    return x\n", "def g():", "legal"),
    ("python", "def f():\n    x = 1\n", "\n  return x\n", "    y = 2", "open"),
    ("python", "def f():\n  if x:\n    y\n", "\n  return x\n", "    y = 2", "legal"),
    ("python", "if x:\n", "\nelse:\n    pass\n", "    y", "legal"),
    ("python", "if x:\n", "\nelse:\n    pass\n", "    y\nz", "open"),
    ("python", "if x:\n  y", "\nif a:\n    b\n  c\n", "\n  \\", "legal"),
    ("python", "if x:\r\n  y\r\n", " \\\r\nif a:\r\n    b\r\n  c\r\n", " ", "legal"),
    # comments, line ends
    ("python", "x = 1 ", "+ y\n", "#", "legal"),
    ("python", "x = (1 ", ")\n", "#", "open"),
    ("python", "x = (1 ", ")\n", "# a\n", "legal"),
    ("python", "if x: ", "pass\n", "# a", "open"),
    ("python", "x = 1\r\n", "\r\ny = 2\r\n", "if x:\r\n  y", "legal"),
    ("python", "def f():\r\n  x", "\r\n  y\r\n", "\r\n  z\r", "legal"),
    ("python", "x = 1 \\\r", "+ 2\r\n", "\n", "legal"),
    ("go", "package p\nfunc f() {\n", "}\n", "x := 1\n", "legal"),
    ("go", "package p\nfunc f() {\n", "}\n", "}", "open"),
    ("go", "package p\nfunc f() {\n", "}\n", "}\nfunc g() {", "legal"),
    ("go", "package p\nfunc f() {\n\tx", "{1}\n}\n", "\n", "legal"),
    ("go", "package p\nfunc f() {\n\tx(", ")\n}\n", "1 // a", "refused"),
    ("go", "package p\nfunc f() {\n\tx(", ")\n}\n", "1, // a", "open"),
    # strings
    ("python", 'x = "', '" + y\n', "a", "legal"),
    ("python", 'x = "', '" + y\n', '" + "', "legal"),
    ("python", "x = '''", "'''\n", "a\n", "legal"),
    ("python", 'x = f"{', '}"\n', "a", "legal"),
    ("python", 'x = f"{', '}"\n', "a!", "open"),
    ("python", "x = (1", " b c\n)\n", ", 2 # a", "legal"),
    ("python", "def f(a", "  ):\n    x\n", ", b \\\n", "legal"),
    ("go", "package p\nvar x = f(1", " */,\n z)\n", ", 2 /* a", "legal"),
    ("json", "[1", "\n, 2]", ", 2 ", "legal"),
    # what may be a name, and words that are none
    ("python", "", "match x:\n  case y:\n    pass\n" * 2, "", "legal"),
    ("python", "", "match x:\n  case y:\n    pass\n", "z\n", "legal"),
    ("python", "x = ", "match + case\n", "y + ", "legal"),
    # other engines
    ("regex", "a", "bc", "bab", "open"),
    ("regex", "a", "bc", "ba", "legal"),
    ("regex", "", "1", "ab", "refused"),
    ("regex", "", "1", "d", "open"),
    ("regex", "", "1", "d2", "legal"),
    ("schema", '{"a": [', "]}", "1", "legal"),
    ("schema", '{"a": [', "]}", "]}", "refused"),
    ("schema", '{"a": [', "]}", "1.0", "legal"),
    ("schema", '{"a": [', "]}", '"', "refused"),
    ("tags", 'I think. <a>{"a": [', "]}</a> So.", "1", "legal"),
    ("tags", 'I think. <a>{"a": [', "]}</a> So.", '1]}</a> <a>{"a":[', "legal"),
    ("tags", 'I think. <a>{"a": [', "]}</a> So.", "1]}</a>", "open"),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_middles(case: tuple[str, str, str, str, str]) -> None:
    name, prefix, suffix, middle, expected = case
    assert told(name, prefix.encode(), suffix.encode(), middle.encode()) == expected
    if expected == "legal":
        matcher = opened(name, prefix.encode(), suffix.encode())
        assert all(matcher.accept_bytes(bytes([byte])) for byte in middle.encode())
    text = (prefix + middle + suffix).encode()
    if name == "python":
        assert is_python(text) == (expected == "legal")
    if name == "json":
        assert is_json(text) == (expected == "legal")


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("prefix", "suffix", "middle"),
    [(b'["\xc3', b'"]', b"\xa9"), (b'["', b'\xa9"]', b"\xc3"), (b'["\xe2', b'\xac"]', b"\x82")],
)
def test_prefix_and_suffix_may_be_cut_in_a_character(
    prefix: bytes, suffix: bytes, middle: bytes
) -> None:
    matcher = opened("json", prefix, suffix)
    assert not matcher.is_accepting()
    assert not matcher.accept_bytes(b"\xff")
    assert matcher.accept_bytes(middle)
    assert matcher.finish() == Middle(middle)


@pytest.mark.parametrize(
    ("name", "prefix", "offset", "line", "column"),
    [
        ("json", b'{"a": ]', 6, 1, 7),
        ("python", b"x = 1\n  y", 8, 2, 3),
        ("schema", b'{"b', 2, 1, 3),
    ],
)
def test_a_broken_prefix_is_told_with_its_place(
    name: str, prefix: bytes, offset: int, line: int, column: int
) -> None:
    outcome = open_middle(store_of(name), prefix, b"")
    assert isinstance(outcome, BrokenPrefix)
    assert (outcome.offset, outcome.place.line, outcome.place.column) == (offset, line, column)
    assert "expected" in str(outcome)


@pytest.mark.parametrize(
    ("name", "prefix", "suffix"),
    [
        ("json", b"[1", b"}"),
        ("json", b"[", b"}"),
        ("json", b'{"a": 1}', b', "b": 2}'),
        ("python", b"x = 1", b"\nx = )\n"),
        ("python", b"if x:\n  y", b"\nz\nif a:\n    b\n  c\n"),
        ("go", b"package p\n", b"}\nvar\n"),
        ("regex", b"d1", b"c"),
        ("schema", b'{"a": [', b"]]"),
    ],
)
def test_that_nothing_joins_is_an_outcome(name: str, prefix: bytes, suffix: bytes) -> None:
    assert isinstance(open_middle(store_of(name), prefix, suffix), NothingJoins)
    loose = open_middle(store_of(name), prefix, suffix, refuse=False)
    assert isinstance(loose, SuffixMatcher)
    assert loose.finish() == NoLegalStop(b"")


def test_a_token_may_run_past_a_legal_stop() -> None:
    matcher = opened("python", b"def f() ", b"> None:\n    pass\n")
    assert matcher.accept_token(BYTES.index(b"-"))
    assert matcher.rollback(1) is None
    assert matcher.accept_token(len(BYTES) + LONGER.index(b"->"))
    assert matcher.stops() == [1]
    assert matcher.finish() == Middle(b"-", n_dropped=1)
    assert matcher.accept_bytes(b" x")
    assert matcher.finish() == Middle(b"-> x")
    assert matcher.text == b"def f() -> x"


def test_without_a_stop_the_outcome_says_so() -> None:
    matcher = opened("json", b"[1", b".5]")
    assert matcher.accept_bytes(b"e1")
    assert matcher.stops() == [0]
    matcher = opened("json", b"[", b"e5]")
    assert matcher.accept_bytes(b"[")
    assert matcher.finish() == NoLegalStop(b"[")
    assert "b'['" in str(matcher.finish())


def test_end_tokens_stand_where_the_middle_may_end_and_where_nothing_else_may_come() -> None:
    matcher = opened("regex", b"a", b"bc")
    assert allowed(matcher) == {b"b", END}
    assert matcher.accept_bytes(b"b")
    assert not matcher.is_accepting()
    assert allowed(matcher) == {b"a"}
    matcher = open_middle(store_of("regex"), b"a", b"bc", refuse=False)
    assert isinstance(matcher, SuffixMatcher)
    assert matcher.accept_bytes(b"bc")
    assert allowed(matcher) == {END}  # the text is whole; what was written runs past the stop
    assert matcher.accept_token(END)
    assert matcher.is_terminated()
    assert not allowed(matcher)
    assert not matcher.accept_token(END)
    assert not matcher.accept_bytes(b"")
    assert matcher.finish() == Middle(b"", n_dropped=2)


def allowed(matcher: SuffixMatcher) -> set[bytes | int]:
    row = bitmask.allocate(vocabulary().size)
    matcher.fill_bitmask(row)
    return {END if i == END else vocabulary().tokens[i] for i in bitmask.token_ids(row).tolist()}


def test_within_one_token_only_an_end_may_come() -> None:
    matcher = opened("json", b"[", b"]")
    assert bitmask.token_ids(matcher.mask_within(1)).tolist() == [END]
    assert (matcher.mask_within(2) == matcher.mask()).all()


def test_forced_bytes_lead_to_the_suffix() -> None:
    matcher = opened("json", b"[t", b"e]")
    assert matcher.forced_bytes() == b"ru"
    assert opened("regex", b"a", b"bc").forced_bytes() == b""  # it may end
    assert opened("json", b"[1", b", 2]").forced_bytes() == b""


def test_forks_and_rollbacks() -> None:
    matcher = opened("json", b"[1", b"]")
    other = matcher.fork()
    assert other.accept_bytes(b", [")
    assert other.accept_bytes(b"2")
    assert (matcher.middle, other.middle) == (b"", b", [2")
    other.rollback(2)
    assert (allowed(other), other.stops()) == (allowed(matcher), [0])
    with pytest.raises(MatcherError):
        other.rollback(1)
    with pytest.raises(MatcherError):
        other.rollback(-1)


def test_a_suffix_that_no_token_spells_is_refused() -> None:
    letters = Vocabulary.from_tokens([b"a", b"b", b"bc", b""], [3])
    store = constrain.compile(Grammar.from_regex("[abc]*"), letters)
    assert isinstance(open_middle(store, b"c", b"abc"), SuffixMatcher)
    with pytest.raises(SuffixError, match="byte 1"):
        open_middle(store, b"", b"acb")


def test_a_long_suffix_is_read_once() -> None:
    suffix = b"]" + b', {"a": [1, 2, 3]}' * 6_000 + b"]"
    matcher = opened("json", b"[[1", suffix)
    for byte in b', "x", [2], 3' + b", 4, null" * 9:
        assert matcher.accept_bytes(bytes([byte]))
        matcher.is_accepting()
    assert matcher.is_accepting()
    n_nestings = 2
    assert matcher._seam.endings.n_read < (n_nestings + 0.5) * len(suffix)


def test_what_is_beyond_the_horizon_is_not_judged_but_read() -> None:
    suffix = b"]" + b" " * 5_000 + b"}"
    matcher = opened("json", b"[1", suffix)
    assert matcher.finish() == NoLegalStop(b"")


@pytest.mark.parametrize("name", ["json", "python"])
def test_where_a_middle_may_stop_it_can_join(name: str) -> None:
    rng = random.Random(3)
    text = {
        "json": b'{"a": [1, {"b": "x\\n"}], "c": -1.5e3, "d": [[], {}, null, true]}',
        "python": b"def f(a, *b):\n    if a:\n        x = [1, 'y']  # c\n    return f(x)\n\ng = f",
    }[name]
    for _ in range(6):
        i, j = sorted(rng.choices(range(len(text) + 1), k=2))
        matcher = opened(name, text[:i], text[j:])
        for byte in text[i:j]:
            taken = matcher.accept_bytes(bytes([byte]))
            assert taken, (text[:i], matcher.middle, byte, text[j:])
        assert matcher.is_accepting()
        assert matcher.finish() == Middle(text[i:j])


def test_masks_are_what_is_accepted() -> None:
    for name, prefix, suffix, middle, expected in CASES[::3]:
        if expected == "refused" or name == "python":
            continue
        matcher = opened(name, prefix.encode(), suffix.encode())
        assert matcher.accept_bytes(middle.encode())
        mask = bitmask.unpack(matcher.mask(), vocabulary().size)
        taken = [matcher.fork().accept_token(token) for token in range(vocabulary().size)]
        assert np.array_equal(mask, taken)
        alone = [matcher.fork().accept_bytes(byte) for byte in BYTES]
        assert np.array_equal(matcher.allowed_bytes(), alone)


@pytest.mark.parametrize("past_stop", [False, True])
def test_tokens_may_run_past_a_stop_where_that_is_asked_for(past_stop: bool) -> None:
    tokens = [*BYTES, b"a)", b"aa", b"a))", b""]
    end = tokens.index(b"")
    grammar = Grammar.from_lark('start: "(" inner ")"\ninner: "(" inner ")" | /a+/')
    store = constrain.compile(grammar, Vocabulary.from_tokens(tokens, [end]))
    matcher = open_middle(store, b"((", b"))", past_stop=past_stop)
    assert isinstance(matcher, SuffixMatcher)
    mask = bitmask.unpack(matcher.mask(), len(tokens))
    wide = bitmask.unpack(matcher.wide_mask(), len(tokens))
    taken = [matcher.fork().accept_token(token) for token in range(len(tokens))]
    assert np.array_equal(mask, taken)
    assert (wide >= mask).all()
    assert mask[tokens.index(b"aa")]
    for token in (b"a)", b"a))"):
        assert mask[tokens.index(token)] == past_stop
        assert wide[tokens.index(token)]
    if past_stop:
        assert matcher.accept_token(tokens.index(b"a))"))
        assert bitmask.token_ids(matcher.mask()).tolist() == [end]
        assert matcher.finish() == Middle(b"a", n_dropped=2)
