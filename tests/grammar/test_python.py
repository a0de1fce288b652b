"""The grammar of Python against `ast.parse`: cases, real files, mutations of them."""

from __future__ import annotations

import ast
import io
import random
import sys
import sysconfig
import textwrap
import tokenize
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from constrain.cli.diagnosis import read_viable
from constrain.grammar.builtin import builtin
from tests.matchers import builtin_matcher
from tests.sentences import texts_of_every_production

Accepts = Callable[[bytes], bool]

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
N_QUICK = 1000

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the oracle is ast.parse of CPython 3.11"
)
N_FILES = 60


@pytest.fixture(scope="module")
def accepts() -> Accepts:
    start = builtin_matcher("python")

    def accepts(text: bytes) -> bool:
        matcher = start.fork()
        return read_viable(matcher, text) == len(text) and matcher.is_accepting()

    return accepts


def is_python(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):  # the latter for NUL
            return False
    return True


def assert_same_verdicts(texts: list[str], accepts: Accepts) -> None:
    wrong = [text for text in texts if accepts(text.encode()) != is_python(text)]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:5]}"


BLOCKS = [
    "match x:\n  case [1, *_] | {'a': y, **z} if a: pass\n  case A.B(b, c=1) as d: pass\n",
    "match a, *b:\n  case -1 | 1+2j | -1.5-3j | None: pass\n"
    "  case (x,) | [] | (): pass\n  case _:\n    pass\n",
    "match x:\n case {**y}: pass\n case *a, b: pass\n case A(): pass\n"
    " case (x): pass\n case f'': pass\n",
    "async def f(a: b = c, /, *d: *e, f, **g: h) -> i:\n"
    "  async with a as b, c: await d\n  async for x in y: pass\n",
    "try: pass\nexcept* (A, B) as e: pass\nexcept* C: pass\nelse: pass\nfinally: pass\n",
    "try:\n  pass\nexcept:\n  pass\nexcept A:\n  pass\n",
    "@a.b[c](d)\n@(e := f)\nclass G(H, *i, j=k, **l): pass\n",
    "if a: pass\nelif b: pass\nelif c: pass\nelse: pass\nwhile a: pass\nelse: pass\n"
    "for *a, b in *c, d: pass\nelse: pass\n",
    "def f(a, b=1, /, c=2, *, d, e=3, **g,): return *a, b\n",
    "if x:\n  y\n\n # c\n  z\n",
    "x = [\n1,\n  # c\n\n2]\n",
    "\f\nx\n",
    "if x:\n\ty\n\tif z:\n\t\tw\n",
    "x = \\\n  1\n",
    "if x:\r\n  y\r\nelse:\r  z\r",
    "",
    "# only a comment",
]
INVALID_BLOCKS = [
    "if x:\ny\n",
    "if x:\n  y\n z\n",
    "  x\n",
    "if x:\n\ty\n        z\n",
    "x \\ \n",
    "x\\",
    "x \\\n",
    "(\n",
    "try: pass\nexcept* A: pass\nexcept B: pass\n",
    "try: pass\nexcept*: pass\n",
    "match x:\n  case _.a as _: pass\n",
    "match x:\n  case {**_}: pass\n",
    "match x:\n  case {**a, 'b': c}: pass\n",
    "match x:\n  case A(b=1, c): pass\n",
    "match x:\n  case _(): pass\n",
    "match x:\n  case _.a: pass\n",
    "match x:\n  case 1j+1: pass\n",
    "match x:\n  case a.b as c.d: pass\n",
    "match x:\n  case 1 + 1: pass\n",
    "match x:\n pass\n",
    "class A\n  pass\n",
    "x = '\n'\n",
    "\0",
    "x\0y",
    "# \0",
    "def f():\n",
    "@a\nx = 1\n",
    "async with a: pass; async for\n",
    "\ufeffx\n",
]


def read_cases(sign: str) -> list[str]:
    """The texts of `python_cases.txt` that are Python ("+") or not ("-")."""
    table = Path(__file__).with_name("python_cases.txt").read_text(encoding="utf-8")
    rows = [line[2:] for line in table.splitlines() if line.startswith(f"{sign} ")]
    return [text.replace("\u2424", "\n") for row in rows for text in row.split("   ")]


VALID = [*read_cases("+"), *BLOCKS]
INVALID = [*read_cases("-"), *INVALID_BLOCKS]


@pytest.mark.parametrize("text", VALID, ids=repr)
def test_valid(text: str, accepts: Accepts) -> None:
    assert is_python(text)
    assert accepts(text.encode())


@pytest.mark.parametrize("text", INVALID, ids=repr)
def test_invalid(text: str, accepts: Accepts) -> None:
    assert not is_python(text)
    assert not accepts(text.encode())


# What masks that look at two terminals only get wrong (SynCode, arXiv:2403.01632, section 4.5).
@pytest.mark.parametrize(
    ("text", "token", "is_allowed"),
    [
        ("f", "(x)[0].y\n", True),  # seven terminals
        ("f", "(x)[0]].y", False),
        ("x = [", "{(1,", True),
        ("x = [", "{(1])", False),
        ("from ", ".. import a", True),
        ("from ", "... import a", True),
        ("from ", ".. .. import", True),
        ("from .", ". 1", False),
        ("x = a if b e", "lse c", True),
        ("x = a if b ", "elsewhere", False),
        ("x = ", "notify", True),
        ("x = a ", "notify", False),
        ("x = a ", "not in b", True),
        ("x = r", "b'\\x'", True),
        ("x = b", "'é'", False),
        ("x = f", "'{a!r}'\ny", True),
        ("x = u", "b'a'", False),
        ("if x:", "\n  y\nelse:\n  z", True),
        ("if x:", "\n  y\n z", False),
        ("def f(a", "=1, b)", False),
    ],
)
def test_tokens_over_several_lexemes(text: str, token: str, is_allowed: bool) -> None:
    matcher = builtin_matcher("python").fork()
    assert matcher.accept_bytes(text.encode())
    assert matcher.accept_bytes(token.encode()) == is_allowed


def library_files() -> list[Path]:
    """Every Python file of the standard library and of installed packages that is UTF-8."""
    return sorted(LIBRARY.rglob("*.py"))


def read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None


def assert_files(paths: list[Path], accepts: Accepts) -> int:
    wrong, n_valid = [], 0
    for path in paths:
        text = read(path)
        if text is None:
            continue
        try:
            is_valid = is_python(text)
        except RecursionError:
            continue
        n_valid += is_valid
        if accepts(text.encode()) != is_valid:
            wrong.append(path)
    assert not wrong, f"{len(wrong)} of {len(paths)}, such as {wrong[:5]}"
    return n_valid


def test_some_files_of_the_library(accepts: Accepts) -> None:
    small = [path for path in library_files() if path.stat().st_size < 20_000]
    assert assert_files(random.Random(1).sample(small, N_FILES), accepts) > N_FILES / 2


@pytest.mark.slow
def test_all_files_of_the_library(accepts: Accepts) -> None:
    n_valid = assert_files(library_files(), accepts)
    print(f"{n_valid} files of Python, none refused")
    assert n_valid > 1000


def test_texts_of_every_production_are_python(accepts: Accepts) -> None:
    texts = [text.decode() for text in texts_of_every_production(builtin("python"))]
    wrong = [text for text in texts if not (accepts(text.encode()) and is_python(text))]
    assert not wrong, f"{len(wrong)} of {len(texts)}, such as {wrong[:3]}"


# ------------------------------------------------------------------------------ differential

CHARACTERS = [*"abxf01_ \t\n\r\\'\"()[]{}.,:;=+-*/%@!<>~^&|#rbuN\0é", "\n  ", "  ", "\n\n"]
TOKENS = [
    *[
        "if",
        "else",
        "elif",
        "for",
        "in",
        "not",
        "is",
        "and",
        "or",
        "lambda",
        "yield",
        "await",
        "async",
        "def",
        "class",
        "return",
        "pass",
        "break",
    ],
    *[
        "import",
        "from",
        "as",
        "with",
        "try",
        "except",
        "finally",
        "raise",
        "del",
        "global",
        "assert",
        "while",
        "match",
        "case",
        "_",
    ],
    *[
        "None",
        "x",
        "y",
        "1",
        "1.5",
        "2j",
        "'a'",
        '"b"',
        "f'{x}'",
        "b'c'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ";",
        "=",
        "==",
        "+=",
        "->",
        ".",
        "...",
        "*",
        "**",
        "@",
    ],
    *[":=", "!=", "<", "~", "+", "-", "#", "\\", "'''", '"""', "f'", "{x!r}", "{x:{y}}", "\n"],
    "\n    ",
]
F_PIECES = [
    *"{}:=x#()[],\n é", "{{", "}}", "!r", ":>", "10", "\\", "\\n", "\\x41", "\\N{BULLET}",
    "lambda:0", "yield", "*a", "f'", 'f"', 'f"""', "'''", '"""', "b'", "for x in y", "==", "!=",
    ":=", "{x}",
]  # fmt: skip


def snippets(n: int, choose: random.Random) -> list[str]:
    """Statements out of library files."""
    files = [path for path in library_files() if "site-packages" not in path.parts]
    found = list(BLOCKS)
    while len(found) < n:
        text = read(choose.choice(files))
        if text is None or not is_python(text):
            continue
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
        for node in choose.sample(nodes, min(len(nodes), 5)):
            lines = text.split("\n")[node.lineno - 1 : node.end_lineno]
            snippet = textwrap.dedent("\n".join(lines)) + "\n"
            if len(lines) < 20 and is_python(snippet):
                found.append(snippet)
    return found


def mutations(n: int, seed: int) -> Iterator[str]:
    """Snippets with one character or one token deleted, inserted or replaced."""
    choose = random.Random(seed)
    texts = snippets(300, choose)
    spans = [list(token_spans(text)) for text in texts]
    for _ in range(n):
        index = choose.randrange(len(texts))
        text = texts[index]
        if choose.random() < 0.5 or not spans[index]:
            start = choose.randrange(len(text) + 1)
            stop, new = start + choose.choice([0, 1]), choose.choice(["", *CHARACTERS])
        else:
            start, stop = choose.choice(spans[index])
            one, other = choose.choice(spans[index])
            stop = choose.choice([start, stop])
            new = choose.choice(["", choose.choice(TOKENS), f" {text[one:other]} "])
        yield text[:start] + new + text[stop:]


def token_spans(text: str) -> Iterator[tuple[int, int]]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            (row, column), (end_row, end_column) = token.start, token.end
            if token.string and end_row <= len(starts):
                yield starts[row - 1] + column, starts[end_row - 1] + end_column
    except (tokenize.TokenError, IndentationError):
        return


def f_strings(n: int, seed: int) -> Iterator[str]:
    choose = random.Random(seed)
    for _ in range(n):
        quotes = choose.choice(["'", '"', "'''", '"""'])
        body = "".join(choose.choice(F_PIECES) for _ in range(choose.randrange(8)))
        text = choose.choice(["f", "f", "rf", "F", "", "b"]) + quotes + body + quotes
        yield f"({text})" if choose.random() < 0.2 else text


def test_mutated_statements(accepts: Accepts) -> None:
    assert_same_verdicts(list(mutations(N_QUICK, seed=1)), accepts)


def test_random_f_strings(accepts: Accepts) -> None:
    assert_same_verdicts(list(f_strings(N_QUICK, seed=1)), accepts)


@pytest.mark.slow
def test_many_mutated_statements(accepts: Accepts) -> None:
    assert_same_verdicts(list(mutations(20_000, seed=2)), accepts)


@pytest.mark.slow
def test_many_random_f_strings(accepts: Accepts) -> None:
    assert_same_verdicts(list(f_strings(50_000, seed=2)), accepts)
