"""The grammar of SQL against Python's SQLite: cases, mutations of them, the grammar's own texts."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from constrain.grammar.builtin import builtin
from tests.matchers import is_accepted, read_cases
from tests.oracles.sql import Oracle, Verdict, is_of_this_dialect
from tests.sentences import texts_of_every_production

FOLDER = Path(__file__).parents[2] / "grammars" / "sql"
EXAMPLES = sorted(FOLDER.glob("*valid/*"))

Accepts = Callable[[bytes], bool]

needs_sqlite = pytest.mark.skipif(
    not is_of_this_dialect(), reason="the grammar follows another version or build of SQLite"
)


@pytest.fixture(scope="module")
def accepts() -> Accepts:
    return partial(is_accepted, "sql")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with closing(Oracle()) as oracle:
        yield oracle


CASES = list(read_cases(Path(__file__).with_name("sql_cases.txt"), "@@"))


def test_cases(accepts: Accepts) -> None:
    wrong = [text for text, is_valid in CASES if accepts(text.encode()) != is_valid]
    assert not wrong


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: "/".join(p.parts[-2:]))
def test_example_file(path: Path, accepts: Accepts) -> None:
    assert accepts(path.read_bytes()) == (path.parent.name == "valid")


@needs_sqlite
def test_sqlite_agrees_with_cases_and_examples(oracle: Oracle) -> None:
    texts = [(text.encode(), is_valid) for text, is_valid in CASES]
    texts += [(path.read_bytes(), path.parent.name == "valid") for path in EXAMPLES]
    expected = {True: Verdict.ACCEPTED, False: Verdict.REFUSED}
    assert not [text for text, is_valid in texts if oracle.verdict(text) != expected[is_valid]]


# Words that SQLite's tokenizer knows, https://www.sqlite.org/lang_keywords.html.
KEYWORDS = re.findall(
    r"\w+",
    """
    abort action add after all alter always analyze and as asc attach autoincrement before begin
    between by cascade case cast check collate column commit conflict constraint create cross
    current current_date current_time current_timestamp database default deferrable deferred delete
    desc detach distinct do drop each else end escape except exclude exclusive exists explain fail
    filter first following for foreign from full generated glob group groups having if ignore
    immediate in index indexed initially inner insert instead intersect into is isnull join key
    last left like limit match materialized natural no not nothing notnull null nulls of offset on
    or order others outer over partition plan pragma preceding primary query raise range recursive
    references regexp reindex release rename replace restrict returning right rollback row rows
    savepoint select set table temp temporary then ties to transaction trigger unbounded union
    unique update using vacuum values view virtual when where window with without
    """,
)
PLACES = [
    "SELECT @ FROM t",
    "SELECT @(1)",
    "SELECT a @ FROM t",
    "SELECT a AS @ FROM t",
    "SELECT a COLLATE @",
    "SELECT @.a FROM t",
    "SELECT f() OVER @",
    "SELECT f() OVER (@ ORDER BY a)",
    "SELECT * FROM @",
    "SELECT * FROM t @",
    "SELECT * FROM t JOIN u @",
    "SELECT * FROM t WINDOW @ AS ()",
    "WITH @ AS (SELECT 1) SELECT 1",
    "INSERT INTO @ VALUES (1)",
    "UPDATE @ SET a = 1",
    "UPDATE t SET @ = 1",
    "DELETE FROM t AS @",
    "CREATE TABLE @ (a)",
    "CREATE TABLE t (@)",
    "CREATE TABLE t (a @)",
    "CREATE TABLE t (a x @)",
    "CREATE TABLE t (a NOT NULL @)",
    "CREATE TABLE t (a DEFAULT @)",
    "CREATE TABLE t (a REFERENCES @)",
    "CREATE TABLE t (a) @",
]


@needs_sqlite
@pytest.mark.parametrize("place", PLACES)
def test_every_keyword_in_every_place(place: str, accepts: Accepts, oracle: Oracle) -> None:
    words = [*KEYWORDS, "stored", "strict", "rowid", "select_", "\u017felect", "'s'", '"q"', "[b]"]
    spellings = [spelling for word in words for spelling in (word, word.upper(), f"{word}x")]
    texts = [place.replace("@", spelling).encode() for spelling in spellings]
    assert_same_verdicts(texts, accepts, oracle)


# Known gaps: accepted by the grammar, refused by SQLite. See grammars/README.md.
GAPS = [
    "SELECT f() over WINDOW w AS ()",
    "SELECT (1) over WINDOW w AS ()",
]


@pytest.mark.parametrize("text", GAPS)
def test_known_gap(text: str, accepts: Accepts, oracle: Oracle) -> None:
    assert accepts(text.encode())
    if is_of_this_dialect():
        assert oracle.verdict(text.encode()) == Verdict.REFUSED


@needs_sqlite
@pytest.mark.parametrize(
    "text",
    ["CREATE TABLE t (a, a", "CREATE TABLE t (a, a) STRICT", "CREATE TABLE t (a, a) WITHOUT LUCK"],
)
def test_a_hidden_rest_is_unknown_to_the_oracle(text: str, oracle: Oracle) -> None:
    is_hidden = oracle.complaint(text).startswith("duplicate column name")
    assert oracle.verdict(text.encode()) == (Verdict.UNKNOWN if is_hidden else Verdict.REFUSED)


@needs_sqlite
def test_the_grammars_own_texts_are_sql(accepts: Accepts, oracle: Oracle) -> None:
    texts = list(texts_of_every_production(builtin("sql"), times=3))
    assert all(map(accepts, texts))
    verdicts = Counter(map(oracle.verdict, texts))
    assert verdicts[Verdict.REFUSED] == 0
    assert verdicts[Verdict.ACCEPTED] > 10 * verdicts[Verdict.UNKNOWN]


# ------------------------------------------------------------------------------ differential

LEXEME = re.compile(
    r"""\s+|'(?:[^']|'')*'|"[^"]*"|[\w$.]+|--[^\n]*|/\*.*?\*/|\|\||<[<=>]|>[>=]|[!=]=|->>?|.""",
    re.DOTALL,
)
SYMBOLS = """
    ( ) , ; . * + - ~ || | & << >> < <= > >= = == != <> -> ->> / % -- /* */ f() () (1) 1 1.5 0x1f .5
    'a' "b" [c] `d` x'00' x'0' ? ?1 ?0 :v @v $v #v a b t rowid strict stored 1a \u017fet \xe9
"""
TOKENS = [*KEYWORDS, *re.findall(r"\S+", SYMBOLS), " ", "\n", "\v", "\ufeff", "--x\n", "/*x*/"]
BYTES = [bytes([b]) for b in b" \n\t'\"`[](),;.*+-/|<>=!?:@$#%&~0159eExXaAzZ_\v\f\0\xc3\xa9\\{^"]


def mutations(texts: list[str], n: int, seed: int) -> Iterator[bytes]:
    """Texts with one byte or one token deleted, inserted, replaced or moved."""
    rng = random.Random(seed)
    for _ in range(n):
        text = rng.choice(texts)
        if rng.random() < 0.5:
            data = text.encode()
            start = rng.randrange(len(data) + 1)
            stop = start + rng.randrange(2)
            yield data[:start] + rng.choice([b"", rng.choice(BYTES)]) + data[stop:]
            continue
        lexemes = LEXEME.findall(text)
        start = rng.randrange(len(lexemes))
        stop = start + rng.randrange(2)
        new = rng.choice([rng.choice(TOKENS), rng.choice(lexemes)])
        new = rng.choice(["", new, f" {new} ", f" {new} "])
        yield "".join([*lexemes[:start], new, *lexemes[stop:]]).encode()


def assert_same_verdicts(texts: list[bytes], accepts: Accepts, oracle: Oracle) -> None:
    """The grammar says what SQLite says, and SQLite nearly always says something."""
    verdicts = {text: oracle.verdict(text) for text in texts}
    known = {text: verdict for text, verdict in verdicts.items() if verdict != Verdict.UNKNOWN}
    assert len(known) > 0.98 * len(verdicts)
    wrong = [text for text, v in known.items() if accepts(text) != (v == Verdict.ACCEPTED)]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:5]}"


@needs_sqlite
@pytest.mark.parametrize("n", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutations(n: int, accepts: Accepts, oracle: Oracle) -> None:
    valid = [text for text, is_valid in CASES if is_valid]
    valid += [p.read_text(encoding="utf-8") for p in EXAMPLES if p.parent.name == "valid"]
    assert_same_verdicts(list(mutations(valid, n, seed=n)), accepts, oracle)


# Symbols that decide something together, and where they do.
CROSSROADS = {
    "SELECT @": "a NOT LIKE ESCAPE BETWEEN AND OR < = IN (1) ISNULL IS NULL COLLATE - ->",
    "SELECT f(x) @ FROM t": "a ( ) , OVER FILTER (WHERE w () AS 'x' LEFT over window",
    "SELECT * FROM t @": "u JOIN LEFT OUTER INNER NATURAL , ON 1 USING (x) AS NOT INDEXED BY WHERE",
    "SELECT f() OVER (@)": "w PARTITION BY ORDER ROWS BETWEEN AND UNBOUNDED PRECEDING FOLLOWING "
    "CURRENT ROW 1 EXCLUDE NO OTHERS , DESC",
    "CREATE TABLE t (a @)": "x (1) , NOT NULL PRIMARY KEY UNIQUE CHECK DEFAULT 1 - COLLATE ON "
    "CONFLICT FAIL GENERATED ALWAYS AS VIRTUAL CONSTRAINT DEFERRABLE REFERENCES",
    "CREATE TABLE @": "TEMP t . (a) AS SELECT 1 IF NOT EXISTS WITHOUT ROWID , STRICT",
    "INSERT INTO t SELECT 1 @": "FROM u JOIN v ON CONFLICT DO NOTHING UPDATE SET b = 2 WHERE "
    "RETURNING * , (a) UNION SELECT",
    "UPDATE t @": "SET a = 1 , (a,b) FROM u WHERE RETURNING ORDER BY LIMIT OFFSET AS INDEXED NOT",
    "WITH @": "RECURSIVE a (x) AS (SELECT 1) , NOT MATERIALIZED SELECT 1 UNION DELETE FROM",
}


@needs_sqlite
@pytest.mark.parametrize("place", CROSSROADS)
@pytest.mark.parametrize("n", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_crossroads(n: int, place: str, accepts: Accepts, oracle: Oracle) -> None:
    rng = random.Random(n)
    symbols = CROSSROADS[place].split()
    texts = [
        place.replace("@", " ".join(rng.choices(symbols, k=rng.randint(1, 8)))).encode()
        for _ in range(n)
    ]
    assert_same_verdicts(texts, accepts, oracle)
