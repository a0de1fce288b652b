"""What is fuzzed. A target is a Hypothesis property; `TARGETS` lists them by name.

Each says what must hold for *any* input: a result that is right, or an error of our own, soon.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import constrain
from constrain import Grammar, MaskStore, Matcher, Vocabulary
from constrain.cli.diagnosis import byte_matcher
from constrain.compiler import terminal_dfa
from constrain.errors import GrammarError, PatternError, StoreError
from constrain.grammar.builtin import builtin_folder
from tests.automata.patterns import LETTERS, check_pattern, letter_sets, patterns
from tests.strategies import Case, cases
from tests.test_exactness import check_masks, decided
from tests.timing import within

GRAMMAR_SECONDS = 20.0
MATCHER_SECONDS = 60.0

fuzzed = settings(database=None, deadline=None)

# --- grammar text ---------------------------------------------------------------------------

SEEDS = (
    'start: "a" b* | [C] -> x\nb.2: "c"i~2..3 ("d" | e)+\n?e: /f[gh]/i\nC: "x".."z" D?\nD: /\\d/\n',
    "%import common (INT, WS)\n%import common.ESCAPED_STRING -> S\nstart: INT S?\n%ignore WS\n",
    'start: _sep{item, ","}\n_sep{x, s}: x (s x)*\n!item: A | B\nA.3: "a"\nB: /b+?c/ | A\n',
    "%import common.NUMBER\n%override NUMBER: /0x/ NUMBER\n%extend start: X\nstart: X\nX: /x/\n",
    'start: A "\\n" B // comment\nA: /(?i:a|b)(?!c)/\nB: /(?<=\\n)b\n  c/x\n%ignore /[ \\t]+/\n',
    'start: "\\u00e9\\x41\\"" | /\\/[^\\/]*\\//s | "é".."ü"\n%declare T\n',
)
FRAGMENTS = (
    *'"/:|()[]{}.,~+*?!->%#\\\n ', "start: ", "\nA: ", "/a/", '"b"', "~1..3", "~99999", "..",
    "-> x", "%ignore ", "%import common.", "%import .x.Y", "%override ", "%extend ", "%declare ",
    "//", "/i", "{x, y}", "[", "]?", "(?:", "(?i)", "(?<=", "\\1", "[^", "a{9}", "a*?", "é",
    "\ud800", "\x00", "1", "_", "start", "INT", ".5", "-", "A", "\r\n",
)  # fmt: skip


@cache
def seeds() -> tuple[str, ...]:
    """Grammar texts to mutate: some of every feature, and the built-in ones."""
    builtin = sorted(builtin_folder().glob("*.lark"))
    return (*SEEDS, *(path.read_text(encoding="utf-8") for path in builtin))


@st.composite
def grammar_texts(draw: st.DrawFn) -> str:
    """Fragments in a row, or a grammar with some pieces cut out, put in or copied."""
    some = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
    if draw(st.integers(0, 3)) == 0:
        return draw(some)
    text = draw(st.sampled_from(seeds()))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 0, 1, 1, 2, 5, 20]))
        source = draw(st.sampled_from(seeds()))
        copied = draw(st.integers(0, len(source)))
        inserted = st.sampled_from(["", source[copied : copied + 15]])
        new = draw(st.one_of(st.sampled_from(FRAGMENTS), some, inserted, st.text(max_size=3)))
        text = text[:start] + new + text[stop:]
    return text


@fuzzed
@given(grammar_texts())
def fuzz_grammar_text(text: str) -> None:
    """Any text is a grammar whose terminals compile, or is refused by a `GrammarError`."""
    with within(GRAMMAR_SECONDS):
        try:
            grammar = Grammar.from_lark(text)
        except GrammarError as error:
            assert error.problem
            assert error.line is None or 1 <= error.line <= text.count("\n") + 2
            return
        assert grammar.check() is grammar
        for terminal, in_context in product(grammar.terminals, (False, True)):
            try:
                terminal_dfa(terminal, in_context=in_context).check()
            except PatternError:
                continue


# --- GBNF -----------------------------------------------------------------------------------

GBNF_SEEDS = (
    'root ::= item ("," ws item)*\nitem ::= [a-z] | "\\"" [^"\\n]{1,20} "\\"" #x\nws ::= [ \\t]*\n',
    'root ::= "(" root ")" |\n  x{2,} | ("a" | "")?\nx ::= "\\x41\\u00e9" x | .\n',
    'root ::= root [-+*/] root | n\nn ::= [0-9]+ ("." [0-9]{1,3})? | "é" n\r\n\r\ny-1 ::= root n\n',
)
GBNF_FRAGMENTS = (
    *'"[]()|*+?.{}^-#\\\n 09az', "::=", "root", "root ::= ", "\nx ::= ", "x", "[^", "a-z", '"ab"',
    "{0,3}", "{1,}", "{60000}", "{9999999}", "\\x", "\\u00e9", "\\U0001F600", "\\uD800", "<",
    "!<[1]>", "é", "\ud800", "\x00", "\r\n", "# c", " | ", "[a]", "(a)", "_",
)  # fmt: skip


@st.composite
def gbnf_texts(draw: st.DrawFn) -> str:
    """Fragments in a row, or a grammar with some pieces cut out or put in."""
    some = st.lists(st.sampled_from(GBNF_FRAGMENTS), max_size=12).map("".join)
    text = draw(st.one_of(some, st.sampled_from(GBNF_SEEDS), st.sampled_from(GBNF_SEEDS)))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 0, 1, 1, 2, 5]))
        new = draw(st.one_of(st.sampled_from(GBNF_FRAGMENTS), some, st.text(max_size=3)))
        text = text[:start] + new + text[stop:]
    return text


@fuzzed
@given(gbnf_texts())
def fuzz_gbnf_text(text: str) -> None:
    """Any text is a grammar that compiles, or is refused by a `GrammarError`."""
    with within(GRAMMAR_SECONDS):
        try:
            grammar = Grammar.from_ebnf(text)
        except GrammarError as error:
            assert error.problem
            assert error.line is not None
            assert 1 <= error.line <= text.count("\n") + 1
            return
        for terminal in grammar.terminals:
            terminal_dfa(terminal, in_context=True).check()
        matcher = byte_matcher(grammar)
        if not matcher.is_accepting():
            assert matcher.allowed_bytes().any()


# --- patterns -------------------------------------------------------------------------------


@fuzzed
@given(
    patterns(), letter_sets(), st.lists(st.text(LETTERS, max_size=10), max_size=10), st.integers()
)
def fuzz_pattern(pattern: str, letters: str, more: list[str], seed: int) -> None:
    """The DFA of a pattern accepts what `re.fullmatch` does."""
    with within(GRAMMAR_SECONDS):
        check_pattern(pattern, letters, more, seed)


# --- store files ----------------------------------------------------------------------------

STORED = 'start: "[" [item ("," item)*] "]"\nitem: /[a-c]+/ | "\\"" /é?[^"]+/ "\\"" | start\n'
TOKENS = (
    b"",
    b"[",
    b"]",
    b",",
    b'"',
    b"a",
    b"bc",
    b'",',
    b'"]',
    b"[[",
    b"a,b",
    b"\xc3",
    b"\xa9",
    b"]]",
)
TEXTS = (b"", b"[", b"[a", b'["', b'["\xc3', b"[a,b", b"[[a]", b"[[a]]")


@cache
def stored() -> tuple[MaskStore, bytes, list[NDArray[np.int32]]]:
    """A compiled store, the bytes of its file, and its masks after `TEXTS`."""
    vocabulary = Vocabulary.from_tokens(TOKENS, [0])
    with tempfile.TemporaryDirectory() as folder:
        store = constrain.compile(Grammar.from_lark(STORED), vocabulary, folder)
        (path,) = Path(folder).iterdir()
        return store, path.read_bytes(), masks(store)


def masks(store: MaskStore) -> list[NDArray[np.int32]]:
    """int32[W] after each of `TEXTS`."""
    found = []
    for text in TEXTS:
        matcher: Matcher = store.matcher()
        assert matcher.accept_bytes(text), text
        row = np.zeros(store.words, np.int32)
        matcher.fill_bitmask(row)
        found.append(row)
    return found


@st.composite
def file_contents(draw: st.DrawFn) -> bytes:
    """A store's bytes, some of them changed, moved or missing; or any bytes."""
    content = bytearray(stored()[1])
    # The first eight bytes and the header are few among many, and tell the most.
    header = 8 + int.from_bytes(content[:8], "little")
    places = st.one_of(st.integers(0, 16), st.integers(0, header), st.integers(0, len(content) - 1))
    for _ in range(draw(st.integers(0, 4))):
        place = min(draw(places), len(content))
        change = draw(st.sampled_from(["set", "flip", "insert", "cut", "truncate", "copy", "any"]))
        if change == "set":
            content[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif change == "flip" and place < len(content):
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=9))
        elif change == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif change == "truncate":
            del content[place:]
        elif change == "copy":
            source = draw(places)
            content[place : place + 8] = content[source : source + 8]
        elif change == "any":
            content = bytearray(draw(st.binary(max_size=40)))
    return bytes(content)


@fuzzed
@given(file_contents())
def fuzz_store_bytes(content: bytes) -> None:
    """A store file loads with the masks it was saved with, or is refused by a `StoreError`."""
    store, _, wanted = stored()
    with tempfile.TemporaryDirectory() as folder, within(GRAMMAR_SECONDS):
        path = Path(folder) / "a.store"
        path.write_bytes(content)
        try:
            loaded = MaskStore.load(path, store.grammar, store.vocabulary)
        except StoreError as error:
            assert error.path == path
            return
        for text, found, row in zip(TEXTS, masks(loaded), wanted, strict=True):
            assert np.array_equal(found, row), f"another mask after {text!r}"


# --- the whole engine -----------------------------------------------------------------------


@fuzzed
@given(cases())
@decided
def fuzz_matcher_vs_reference(case: Case) -> None:
    """A token is allowed iff it can be completed: the engine against the oracle."""
    with within(MATCHER_SECONDS):
        check_masks(case)


Target = Callable[[bytes], bytes | None]


def _target(test: Any) -> Target:
    one_input: Target = test.hypothesis.fuzz_one_input
    return one_input


TARGETS: dict[str, Callable[..., None]] = {
    test.__name__: test
    for test in (
        fuzz_grammar_text,
        fuzz_gbnf_text,
        fuzz_pattern,
        fuzz_store_bytes,
        fuzz_matcher_vs_reference,
    )
}


def target(name: str) -> Target:
    """The function of bytes that runs a target once: None if the bytes are no input of it.

    Raises:
        KeyError: there is no such target.
        Exception: whatever the property raises where it does not hold.
    """
    return _target(TARGETS[name])
