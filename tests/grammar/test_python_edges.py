"""The grammar of Python against `ast.parse`: cases, real files, mutations, random f-strings."""

from __future__ import annotations

import ast
import random
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from keyword import kwlist
from pathlib import Path

import pytest

from constrain.grammar.builtin import builtin
from constrain.grammar.normalize import drop_unproductive
from tests.matchers import is_accepted
from tests.oracles.python import is_python
from tests.sentences import texts_of_every_production

FOLDER = Path(__file__).parents[2] / "grammars" / "python"
EXAMPLES = sorted(FOLDER.glob("*valid/*"))

Accepts = Callable[[bytes], bool]

needs_3_11 = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the oracle is ast.parse of CPython 3.11"
)


@pytest.fixture(scope="module")
def accepts() -> Accepts:
    return partial(is_accepted, "python")


def assert_same_verdicts(texts: list[bytes], accepts: Accepts) -> None:
    wrong = [text for text in texts if is_python(text) not in (accepts(text), None)]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:5]}"


# ------------------------------------------------------------------------------------ cases

ESCAPE = re.compile(r"\\(?:x(..)|u(....)|(.))")
MEANING = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def unescape(line: str) -> str:
    def meaning(found: re.Match[str]) -> str:
        digits = found[1] or found[2]
        return chr(int(digits, 16)) if digits else MEANING.get(found[3], found[0])

    return ESCAPE.sub(meaning, line)


def read_cases() -> Iterator[tuple[str, bool]]:
    """The texts of `python_edges.txt`, and whether they are Python."""
    table = Path(__file__).with_name("python_edges.txt").read_text(encoding="utf-8")
    for line in table.split("\n"):
        if line[:2] in ("+ ", "- "):
            yield unescape(line[2:]), line[0] == "+"


CASES = list(read_cases())


def test_cases(accepts: Accepts) -> None:
    wrong = [text for text, is_valid in CASES if accepts(text.encode()) != is_valid]
    assert not wrong


@needs_3_11
def test_python_agrees_with_the_cases() -> None:
    assert not [text for text, is_valid in CASES if is_python(text.encode()) != is_valid]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: "/".join(p.parts[-2:]))
def test_example_file(path: Path, accepts: Accepts) -> None:
    assert accepts(path.read_bytes()) == (path.parent.name == "valid")


@needs_3_11
def test_python_agrees_with_the_examples() -> None:
    for path in EXAMPLES:
        assert is_python(path.read_bytes()) == (path.parent.name == "valid"), path


@needs_3_11
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_of_other_systems(end: bytes, accepts: Accepts) -> None:
    assert_same_verdicts([path.read_bytes().replace(b"\n", end) for path in EXAMPLES], accepts)


@pytest.mark.parametrize("word", kwlist)
def test_words_are_reserved_and_whole(word: str, accepts: Accepts) -> None:
    for name, is_valid in [(word, False), (f"{word}x", True), (f"x{word}", True)]:
        assert accepts(f"def f({name}): pass\n".encode()) == is_valid


@pytest.mark.parametrize("sign", ["$", "?", "!", "\u200b", "\ufeff", "\x00", "\x0b", "\xa0", "€"])
def test_characters_that_are_no_python(sign: str, accepts: Accepts) -> None:
    assert not accepts(f"x = {sign}1\n".encode())
    assert accepts(f"x = 1  # {sign}\n".encode()) == (sign != "\x00")


@needs_3_11
def test_names_are_identifiers(accepts: Accepts) -> None:
    rng = random.Random(1)
    for code in [*range(0x80, 0x500), *rng.sample(range(0x500, 0x110000), 3000)]:
        if not 0xD800 <= code < 0xE000:
            text = chr(code)
            assert accepts(text.encode()) == text.isidentifier(), hex(code)
            assert accepts(f"a{text}".encode()) == f"a{text}".isidentifier(), hex(code)


@pytest.mark.parametrize(("n_digits", "is_valid"), [(4300, True), (4301, False)])
def test_digits_of_an_integer_are_bounded(n_digits: int, is_valid: bool, accepts: Accepts) -> None:
    assert accepts(b"x = " + b"1" * n_digits) == is_valid
    assert accepts(b"x = " + b"1_" * (n_digits - 1) + b"1") == is_valid
    assert accepts(b"x = 0x" + b"1" * n_digits)
    assert accepts(b"x = " + b"1" * n_digits + b".0")


# Known gaps: the grammar says one thing, ast.parse another. See grammars/README.md.
GAPS = [
    ('"\\N{LATIN SMALL LETTER B WITH HOOK}"', False),
    ("(" * 201 + ")" * 201, True),
    ("# coding: ascii\nx = 'é'\n", True),
]


@pytest.mark.parametrize(("text", "is_ours"), GAPS, ids=["character name", "nesting", "coding"])
def test_known_gap(text: str, is_ours: bool, accepts: Accepts) -> None:
    assert accepts(text.encode()) == is_ours


# ------------------------------------------------------------------------------ differential

TOKEN = re.compile(rb"\s+|\w+|\"\"\"|'''|[-+*/%@&|^<>=!:]=|\*\*|//|->|\.\.\.|.", re.DOTALL)
BYTES = [bytes([b]) for b in b"abfjnrux_0189 \t\n\r\x0c()[]{}:;,.=!'\"\\#<>*/+-@%&|^~$?\0\x80\xff"]
TOKENS = [
    *(word.encode() for word in kwlist),
    *b"( ) [ ] { } : , . ; = == != := -> * ** / @ % | += ... ~ - !r {x} match case _ x".split(),
    *b"1 1j 0x 0 1. \" ' \"\"\" f\" f' b\" r' \\ # \"s\" 'b' f\"{a}\" f'''{a}'''".split(),
    b"\n",
    b"\n    ",
    b"\r",
    b"\t",
    b"\\\n",
]


def mutations(texts: list[bytes], n: int, seed: int) -> Iterator[bytes]:
    """Texts with one byte or one token deleted, inserted, replaced or doubled."""
    rng = random.Random(seed)
    lexemes = [[found.span() for found in TOKEN.finditer(text)] or [(0, 0)] for text in texts]
    for _ in range(n):
        index = rng.randrange(len(texts))
        text = texts[index]
        if rng.random() < 0.4:
            start = rng.randrange(len(text) + 1)
            stop = start + rng.randrange(2)
            new = rng.choice([b"", rng.choice(BYTES)])
        else:
            start, stop = rng.choice(lexemes[index])
            one, other = rng.choice(lexemes[index])
            stop = rng.choice([start, stop])
            new = rng.choice([b"", rng.choice(TOKENS), text[one:other]]) + rng.choice([b"", b" "])
        yield text[:start] + new + text[stop:]


VALID = [path.read_bytes() for path in EXAMPLES if path.parent.name == "valid"]
VALID += [text.encode() for text, is_valid in CASES if is_valid]


@needs_3_11
def test_mutated_cases(accepts: Accepts) -> None:
    assert_same_verdicts(list(mutations(VALID, 5000, seed=1)), accepts)


VALUES = [
    *(
        "a",
        " a ",
        "\na",
        "a\n",
        "a if b else c",
        "a!=b",
        "a==b",
        "a<b",
        "a:=1",
        "(a:=1)",
        "a=b",
        "#c",
    ),
    *("*b,c", "yield", "lambda:1", "(lambda:1)", "{1:2}", " {1:2}", "[a:b]", "x[a:b]", "f(x=1)"),
    *("'s'", '"s"', "''", '""', 'b"1"', "'#'", "'}'", '"a""b"', "'a' ''"),
]
ENDS = ["", "", "=", " = ", "!r", "!s:", "!r:>5", ":x", ":{a}", ":{a}{b}", ":a{b:c}d", "::", ' ""']
TEXTS = ["a", "{{", "}}", "'", '"', '""', "''", "\\", "\\n", "\n", " ", "#", "!", ":"]


def f_string(rng: random.Random, depth: int) -> str:
    quote = rng.choice(['"', "'", '"""', "'''"])
    parts = [rng.choice(["f", "f", "f", "rf", "", "b", "r"]), quote]
    for _ in range(rng.randrange(4)):
        field = f"{{{f_value(rng, depth)}{rng.choice(ENDS)}}}"
        parts.append(rng.choice([field, field, rng.choice(TEXTS)]))
    return "".join([*parts, quote])


def f_value(rng: random.Random, depth: int) -> str:
    kind = rng.randrange(4) if depth else 0
    if kind == 0:
        return rng.choice(VALUES)
    if kind == 1:
        return f"({f_value(rng, depth - 1)})"
    space = rng.choice(["", " "])
    return f_string(rng, depth - 1) + rng.choice(["", space + f_string(rng, depth - 1)])


def f_strings(n: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    texts = [f_string(rng, rng.randint(1, 3)).encode() for _ in range(n // 2)]
    return texts + list(mutations(texts, n - n // 2, seed))


@needs_3_11
@pytest.mark.parametrize("n", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_f_strings(n: int, accepts: Accepts) -> None:
    assert_same_verdicts(f_strings(n, seed=3), accepts)


@needs_3_11
@pytest.mark.slow
def test_texts_of_every_production_are_python(accepts: Accepts) -> None:
    grammar = builtin("python")  # the innermost strings in strings have a rule without a sentence
    productive = drop_unproductive(list(grammar.productions), grammar.terminal_names)
    texts = list(
        texts_of_every_production(replace(grammar, productions=tuple(productive)), times=3)
    )
    assert [text for text in texts if not (accepts(text) and is_python(text))] == []


# Where the parser must look far, or where much may stand.
CROSSROADS = [
    "@",
    "@ = 1",
    "(@)",
    "[@]",
    "{@}",
    "x[@]",
    "f(@)",
    "def f(@): pass",
    "lambda @: 0",
    "for @ in x: pass",
    "with @: pass",
    "with (@): pass",
    "with x as @: pass",
    "del @",
    "from @ import x",
    "from x import @",
    "match @:\n case _: pass",
    "match x:\n case @: pass",
    "match x:\n case {@}: pass",
    "match x:\n case A(@): pass",
    "try: pass\nexcept @: pass",
    'f"{@}"',
]
SYMBOLS = b"x _ 1 1j 's' * ** ( ) [ ] , : = := . ... - in not if else for as lambda yield".split()


def crossroads(length: int) -> list[bytes]:
    """Every sequence of `length` symbols at every crossroads."""
    return [
        place.encode().replace(b"@", b" ".join(symbols))
        for place in CROSSROADS
        for symbols in product(SYMBOLS, repeat=length)
    ]


@needs_3_11
@pytest.mark.parametrize("length", [0, 1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_all_short_sequences(length: int, accepts: Accepts) -> None:
    assert_same_verdicts(crossroads(length), accepts)


def library() -> list[Path]:
    """The files of the standard library and of the packages installed."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib")}
    return sorted({path for folder in folders for path in Path(folder).rglob("*.py")})


NAMED_CHARACTER = re.compile(rb"\\N\{")


@needs_3_11
@pytest.mark.slow
def test_standard_library_and_packages(accepts: Accepts) -> None:
    """All but files with character names, of which the grammar knows some: they may be refused."""
    texts = [path.read_bytes() for path in library()]
    wrong = [text for text in texts if is_python(text) not in (accepts(text), None)]
    assert not [text[:200] for text in wrong if not NAMED_CHARACTER.search(text)]
    assert not [text[:200] for text in wrong if accepts(text)]


def statements(seed: int, n: int) -> list[bytes]:
    """Short statements of the library."""
    found: list[bytes] = []
    paths = library()
    random.Random(seed).shuffle(paths)
    for path in paths:
        text = path.read_bytes()
        if b"\\N{" in text or not is_python(text):
            continue
        lines = text.decode().splitlines()
        for node in ast.parse(text.decode()).body:
            piece = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if len(piece) < 400 and is_python(piece.encode()):
                found.append(piece.encode())
        if len(found) >= n:
            break
    return found


@needs_3_11
@pytest.mark.slow
def test_mutated_library(accepts: Accepts) -> None:
    assert_same_verdicts(list(mutations(statements(2, 4000), 40_000, seed=2)), accepts)
