"""The grammar of Go against the installed Go: cases, real files, mutations of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from constrain.grammar.builtin import builtin
from tests.matchers import is_accepted, read_cases
from tests.oracles import go
from tests.sentences import texts_of_every_production

FOLDER = Path(__file__).parents[2] / "grammars" / "go"
EXAMPLES = sorted(FOLDER.glob("*valid/*"))

Accepts = Callable[[bytes], bool]

needs_go = pytest.mark.skipif(not go.IS_INSTALLED, reason="go is not installed")


@pytest.fixture(scope="module")
def accepts() -> Accepts:
    return partial(is_accepted, "go")


CASES = list(read_cases(Path(__file__).with_name("go_cases.txt"), "@"))


def test_cases(accepts: Accepts) -> None:
    wrong = [text for text, is_valid in CASES if accepts(text.encode()) != is_valid]
    assert not wrong


@needs_go
def test_go_agrees_with_the_cases() -> None:
    verdicts = go.accepts([text.encode() for text, _ in CASES])
    wrong = [text for (text, wanted), found in zip(CASES, verdicts, strict=True) if found != wanted]
    assert not wrong


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: "/".join(p.parts[-2:]))
def test_example_file(path: Path, accepts: Accepts) -> None:
    assert accepts(path.read_bytes()) == (path.parent.name == "valid")


@needs_go
def test_the_oracle_is_gofmt() -> None:
    verdicts = go.accepts([path.read_bytes() for path in EXAMPLES])
    assert verdicts == [go.gofmt_accepts(path) for path in EXAMPLES]


@pytest.mark.parametrize("word", go.KEYWORDS)
def test_words_are_reserved_and_whole(word: str, accepts: Accepts) -> None:
    for name, is_valid in [(word, False), (f"{word}x", True), (f"x{word}", True)]:
        text = f"package p\n\nvar {name} = func({name} int) {{}}\n"
        assert accepts(text.encode()) == is_valid


# Known gaps: the grammar says one thing, Go the other. See grammars/README.md.
GAPS = [
    ('package p\n\nimport "\\u00e9"\n', False),
    ("package p\n\nvar x = 1//line a:b\n", False),
    ("package p\n//line a:9223372036854775808\n", False),
]


@pytest.mark.parametrize(("text", "is_ours"), GAPS)
def test_known_gap(text: str, is_ours: bool, accepts: Accepts) -> None:
    assert accepts(text.encode()) == is_ours
    if go.IS_INSTALLED:
        assert go.accepts([text.encode()]) == [not is_ours]


@needs_go
def test_texts_of_every_production_are_go(accepts: Accepts) -> None:
    texts = list(texts_of_every_production(builtin("go"), times=3))
    assert_same_verdicts(texts, accepts)
    assert sum(map(accepts, texts)) == len(texts)


# ------------------------------------------------------------------------------ differential

BYTES = [bytes([b]) for b in b"abnxeipT0189_.,;:()[]{}<>=+-*/&|^~!%'\"`\\ \t\n\r#@$?\0\x80\xff"]
TOKENS = [
    *(word.encode() for word in go.KEYWORDS),
    *b"( ) [ ] { } , ; : . ... <- ++ -- = := == += &^= + - * / % & | ^ &^ << >> &&".split(),
    *b"|| ! ~ <=".split(),
    *b"x T 0 1.5 2i 'a' \"s\" `r` [] [...] func() (x) T{} []T{} x.(type) *x chan<- map[K]V".split(),
    *b"struct{} interface{} func(){} x[i] x[i:j:k] /*c*/ .(T) :=range a,b".split(),
    b"//c\n",
    b"/*\n*/",
    b"\n",
]


def mutations(texts: list[bytes], n: int, seed: int) -> Iterator[bytes]:
    """Texts with one byte or one token deleted, inserted, replaced or doubled."""
    rng = random.Random(seed)
    lexemes = [
        [(token.offset, token.offset + token.length) for token in found if token.length]
        for found in go.tokens(texts)
    ]
    for _ in range(n):
        index = rng.randrange(len(texts))
        text = texts[index]
        if rng.random() < 0.3 or not lexemes[index]:
            start = rng.randrange(len(text) + 1)
            stop = start + rng.randrange(2)
            new = rng.choice([b"", rng.choice(BYTES)])
        else:
            start, stop = rng.choice(lexemes[index])
            one, other = rng.choice(lexemes[index])
            stop = rng.choice([start, stop])
            space = rng.choice([b"", b" ", b"\n"])
            new = rng.choice([b"", rng.choice(TOKENS), text[one:other]]) + space
        yield text[:start] + new + text[stop:]


def assert_same_verdicts(texts: list[bytes], accepts: Accepts) -> None:
    verdicts = go.accepts(texts)
    wrong = [text for text, wanted in zip(texts, verdicts, strict=True) if accepts(text) != wanted]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:5]}"


@needs_go
def test_mutated_examples(accepts: Accepts) -> None:
    texts = [path.read_bytes() for path in EXAMPLES if path.parent.name == "valid"]
    assert_same_verdicts(list(mutations(texts, 2000, seed=1)), accepts)


# Where the parser must look far, or where it undoes what it has read.
CROSSROADS = [
    "type T [ @ ] int",
    "type T [ @ ] = int",
    "type T [ P * @ ] = P",
    "type T [ P ( @ ) ] = P",
    "func f() { if @ { } }",
    "func f() { if x ; * @ { } }",
    "func f() { @ }",
    "func f ( @ ) { }",
    "type T struct { P @ }",
    "type T interface { P @ }",
]
SYMBOLS = [*"P*()[]{},|~.1", "func()", "chan", "<-", "[]"]


def crossroads(length: int) -> list[bytes]:
    """Every sequence of `length` symbols at every crossroads."""
    return [
        f"package p; {place.replace('@', ' '.join(symbols))}".encode()
        for place in CROSSROADS
        for symbols in product(SYMBOLS, repeat=length)
    ]


@needs_go
@pytest.mark.parametrize("length", [0, 1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_all_short_sequences(length: int, accepts: Accepts) -> None:
    assert_same_verdicts(crossroads(length), accepts)


@needs_go
@pytest.mark.slow
def test_standard_library(accepts: Accepts) -> None:
    texts = [path.read_bytes() for path in go.library_files()]
    assert len(texts) > 5000
    assert_same_verdicts(texts, accepts)


@needs_go
@pytest.mark.slow
def test_mutated_standard_library(accepts: Accepts) -> None:
    small = [path.read_bytes() for path in go.library_files() if path.stat().st_size < 1500]
    valid = [text for text, verdict in zip(small, go.accepts(small), strict=True) if verdict]
    assert_same_verdicts(list(mutations(valid, 20_000, seed=2)), accepts)
