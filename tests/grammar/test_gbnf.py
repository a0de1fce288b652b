"""GBNF → Grammar: every construct and error, and the texts against a recogniser of its own."""

from __future__ import annotations

import random
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import constrain
from constrain import Matcher, Vocabulary, bitmask
from constrain.cli.diagnosis import byte_matcher
from constrain.errors import (
    EmptyLanguageError,
    GrammarError,
    GrammarLimitError,
    GrammarSyntaxError,
    UndefinedSymbolError,
)
from constrain.grammar.determinism import Budget
from constrain.grammar.gbnf import from_ebnf
from constrain.grammar.rules import Grammar
from tests.oracles.gbnf import Expression, Recogniser, Rules, read
from tests.timing import share, within

# --- whole grammars -------------------------------------------------------------------

SUMS = r"""
# sums and products, one a line
root ::= (sum "=" ws num "\n")+
sum  ::= product ([-+] ws product)*
product ::= atom ([*/] ws atom)*
atom ::= num | name | "(" ws sum ")" ws
name ::= [a-z] [a-z0-9_]* ws
num  ::= "-"? [0-9]+ ws
ws   ::= [ \t]*
"""
CHESS = r"""
root  ::= (turn "\n"){1,3} (
    "mate" |   # the game may be over
    ""
)
turn  ::= [1-9] [0-9]? ". " move " " move
move  ::= (pawn | piece | castle) [+#]?
piece ::= [NBRQK] [a-h]? [1-8]? "x"? square
pawn  ::= ([a-h] "x")? square ("=" [NBRQ])?
castle ::= "O-O" "-O"?
square ::= [a-h][1-8]
"""
BULLETS = r"""
root ::= "# " line item{2,}
item ::= "- " line | "  - " line
line ::= [^\n\x0b]+ "\n"
"""
CURLY = r"""
root ::= function*
function ::= type " " name "(" (type " " name ("," ws type " " name)*)? ")" ws block
type ::= "int" | "char" "*"?
name ::= [a-zA-Z_] [a-zA-Z0-9_]*
block ::= "{" ws (statement ws)* "}" ws
statement ::=
    ( type " " name ws "=" ws value ";" ) |
    ( name ws "=" ws value ";" ) | ( "if (" value ")" ws block ( "else " block )? ) |
    ( "//" [^\n]* "\n" ) |
    ( "return " value ";" )
value ::= term (ws [-+*/<] ws term)*
term ::= name | name "(" (value ("," ws value)*)? ")" | [0-9]+ | "'" [^'\\] "'" | "(" value ")"
ws ::= ([ \n] ws)?
"""
JSON = r"""
root   ::= ws value
value  ::= (object | array | string | number | "true" | "false" | "null") ws
object ::= "{" ws (member ("," ws member)*)? "}"
member ::= string ws ":" ws value
array  ::= "[" ws (value ("," ws value)*)? "]"
string ::= "\"" char* "\""
char   ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
ws     ::= [ \t\n\r]*
"""
ARRAYS = JSON.replace(
    "root   ::= ws value", 'root   ::= "[\\n" (" " value (",\\n " value)*)? "\\n]"'
)
JAPANESE = """
root  ::= sentence (" " sentence)* | "\\u3042\\U00003044"
sentence ::= word+ [。!?]
word  ::= hiragana{1,4} | katakana+ | [一-\\u9fff] | [𠀀-\\U0002A6DF]
hiragana ::= [ぁ-ゟ]
katakana ::= [ァ-ヿ]
"""
GRAMMARS: dict[str, tuple[str, list[str]]] = {
    "sums": (SUMS, ["1 + x*(2- 3) = 4\n", "a=1\nb = -2\n", "((y))=0\n"]),
    "chess": (CHESS, ["1. e4 e5\n", "10. Nf3 Qxe7+\n11. O-O-O bxa8=Q#\nmate", "2. R1a3 O-O\n"]),
    "bullets": (BULLETS, ["# Fruit\n- apple\n- é\n", "# x\n- a\n  - b\n- c\n"]),
    "curly": (
        CURLY,
        ["", "int f(char* s, int n) {int x = n+1; if (x<2) {return f(s,(x));}else {// é\n}}\n\n"],
    ),
    "json": (JSON, [' {"a": [1, -2.5e+10, "\\u00e9é\\n"], "b": {}}', "[ ]", "null ", '""']),
    "arrays": (ARRAYS, ["[\n\n]", '[\n [true, {"x" : 0}],\n "y"\n]']),
    "japanese": (JAPANESE, ["ねこ。", "ネコ猫! いぬ?", "あい", "𠀀。"]),
}


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("budget", [None, 0])
def test_a_grammar_has_the_texts_that_its_rules_derive(name: str, budget: int | None) -> None:
    text, valid = GRAMMARS[name]
    grammar = from_ebnf(text, budget=None if budget is None else Budget(budget))
    assert (grammar.lexing, grammar.ignore) == ("any", ())
    oracle, matcher = Recogniser(read(text)), byte_matcher(grammar)
    rng = random.Random(name)
    letters = sorted({letter for one in valid for letter in one} | {"é", "|"})
    for one in valid:
        assert oracle.accepts(one)
        changed = [one]
        for _ in range(25 if len(one) < 50 else 8):
            at, width = rng.randrange(len(one) + 1), rng.randrange(3)
            new = "".join(rng.choices(letters, k=rng.randrange(3)))
            changed.append(one[:at] + new + one[at + width :])
        for other in changed:
            check_text(oracle, matcher, other)


def check_text(oracle: Recogniser, matcher: Matcher, text: str) -> None:
    fork = matcher.fork()
    for n, byte in enumerate(text.encode(), 1):
        assert bool(fork.allowed_bytes()[byte]) == fork.fork().accept_bytes(bytes([byte]))
        if not fork.accept_bytes(bytes([byte])):
            assert not oracle.accepts(text), (text, n)
            return
    completed = text.encode() + fork.shortest_completion()
    assert oracle.accepts(completed.decode()), completed
    assert fork.is_accepting() == oracle.accepts(text), text


def test_regular_rules_become_one_terminal_each() -> None:
    grammar = from_ebnf(JSON)
    shown = {terminal.name for terminal in grammar.terminals}
    assert len(grammar.terminals) <= 8 and len(grammar.productions) <= 18
    assert '"{" ws' in shown
    assert not shown & {"string", "number", "char"}, "a neighbour was left apart"
    alone = from_ebnf(JSON, budget=Budget(0))
    assert len(alone.terminals) > 20 and len(alone.productions) > 40


@pytest.mark.parametrize(
    ("rules", "n_terminals"),
    [
        ('root ::= "a" root | "b"', 1),  # recursion at the end
        ('root ::= root "a" | "b" | root [cd]', 1),  # at the beginning
        ('root ::= ("a" root)?', 1),
        ('root ::= "a" root "b" | "c"', 3),  # in the middle
        ('root ::= root root | "c"', 1),
        ('root ::= x "b"\nx ::= [ab]*', 1),
        ('root ::= "a"{0,60000}', 1),  # too long for one automaton
        ('root ::= [ab]* "a" [ab]{40}', 2),  # 2^41 states together
        # 2^20 sets of states of `x{1,20}` written as x(x(…)?)?, and few of x(x?){19}.
        ('root ::= ([ab]{1,20} "b")*', 1),
    ],
)
def test_how_many_terminals_there_are(rules: str, n_terminals: int) -> None:
    with within(20):
        grammar = from_ebnf(rules)
        assert len(grammar.terminals) == n_terminals, grammar.terminals
        byte_matcher(grammar)


def test_what_is_too_large_for_one_terminal_keeps_its_texts() -> None:
    matcher = byte_matcher(from_ebnf('root ::= [ab]* "a" [ab]{40} | "c"{0,60000} | [d]? [d]*'))
    for text, is_whole in [
        ("b" * 3 + "a" + "b" * 40, True),
        ("b" * 44, False),
        ("c" * 300, True),
        ("ddd", True),
        ("", True),
    ]:
        fork = matcher.fork()
        assert fork.accept_bytes(text.encode())
        assert fork.is_accepting() == is_whole
    assert not matcher.fork().accept_bytes(b"cd")


def test_an_optional_part_may_be_missing_each_time() -> None:
    matcher = byte_matcher(from_ebnf('root ::= ([a-c]?){3,60000} "d"'))
    for text in (b"d", b"ad", b"abcabcd"):
        fork = matcher.fork()
        assert fork.accept_bytes(text)
        assert fork.is_accepting()


@pytest.mark.parametrize("bounds", [(1, 20), (2, 20), (0, 18)])
def test_counted_parts_that_run_into_each_other(bounds: tuple[int, int]) -> None:
    low, high = bounds
    matcher = byte_matcher(from_ebnf(f'root ::= ([ab]{{{low},{high}}} "b")* "c"'))
    pattern = re.compile(rf"([ab]{{{low},{high}}}b)*c")
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(rng.choices("aaaaaab", k=rng.randrange(50))) + rng.choice(["c", "bc"])
        fork = matcher.fork()
        is_whole = fork.accept_bytes(text.encode()) and fork.is_accepting()
        assert is_whole == (pattern.fullmatch(text) is not None), text


# --- random grammars ------------------------------------------------------------------

NAMES = ("root", "x", "y-1", "z")
LEAVES: tuple[Expression, ...] = (
    ("text", "a"), ("text", "b"), ("text", "ab"), ("text", "ba"), ("text", ""), ("text", "aba"),
    ("set", False, [("a", "a")]), ("set", False, [("a", "b")]), ("set", True, [("a", "a")]),
    ("set", True, []), ("set", False, [("b", "b"), ("é", "é")]), ("text", "é"),
)  # fmt: skip
BOUNDS = ((0, None), (1, None), (0, 1), (2, 2), (0, 2), (1, 3), (2, None), (0, 0), (3, 5))
LONGEST = 5


def expressions(names: tuple[str, ...]) -> st.SearchStrategy[Expression]:
    leaves: st.SearchStrategy[Expression] = st.sampled_from(LEAVES)
    if names:
        leaves = st.one_of(leaves, st.sampled_from(names).map(lambda name: ("name", name)))
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, min_size=1, max_size=3).map(lambda found: ("cat", found)),
            st.lists(parts, min_size=2, max_size=3).map(lambda found: ("alt", found)),
            st.tuples(parts, st.sampled_from(BOUNDS)).map(lambda f: ("repeat", f[0], *f[1])),
        ),
        max_leaves=6,
    )


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    names = NAMES[: draw(st.integers(1, 4))]
    rules: Rules = {}
    for name in names:
        body = draw(expressions(names))
        if draw(st.integers(0, 3)):
            body = ("alt", [body, draw(st.sampled_from(LEAVES))])
        rules[name] = body
    return rules


def write(rules: Rules, seed: int) -> str:
    """The rules as GBNF, with blanks, comments and line ends wherever they may be."""
    rng = random.Random(seed)
    order = list(rules)
    rng.shuffle(order)
    blank = rng.choice(["", " "])
    lines = []
    for name in order:
        space = rng.choice([" ", "\n", " # é |\n\t"])
        lines.append(f"{name}{blank}::={space}{written(rules[name], rng, 0, nested=False)}{blank}")
    return rng.choice(["", "\n# first\n"]) + rng.choice(["\n", "\n\n", "\r\n", "# x\n"]).join(lines)


def written(e: Expression, rng: random.Random, level: int, *, nested: bool) -> str:
    """`level`: 0 where alternatives may stand, 1 in a sequence, 2 before an operator."""
    kind = e[0]
    if kind == "name":
        return str(e[1])
    if kind == "text":
        return '"' + "".join(map(rng.choice([str, escaped]), e[1])) + '"'
    if kind == "set":
        if e[1:] == (True, []):
            return "."
        pairs = "".join(a if a == b else f"{escaped(a)}-{b}" for a, b in e[2])
        return f"[{'^' * e[1]}{pairs}]"
    if kind == "repeat":
        return written(e[1], rng, 2, nested=nested) + operator(e[2], e[3])
    brackets = level > (0 if kind == "alt" else 1) or rng.random() < 0.2
    nested |= brackets
    gap = rng.choice([" ", "\n ", " # (\n"]) if nested else " "
    inner = 0 if kind == "alt" else 1
    parts = [written(part, rng, inner, nested=nested) for part in e[1]]
    text = f"{gap if nested else ' '}{'|' if kind == 'alt' else ''} ".join(parts)
    return f"({gap}{text}{gap})" if brackets else text


def escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def operator(low: int, high: int | None) -> str:
    simple = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (low, high) in simple:
        return simple[low, high]
    return f"{{{low}}}" if low == high else f"{{{low}, {'' if high is None else high} }}"


def compiled(rules: Rules, seed: int, tokens: list[bytes]) -> constrain.MaskStore | None:
    """The store of the rules as written; None if no text belongs to them."""
    text = write(rules, seed)
    budget = Budget(0) if seed % 4 == 0 else Budget(60) if seed % 4 == 1 else None
    try:
        grammar = from_ebnf(text, budget=budget)
    except EmptyLanguageError:
        return None
    return constrain.compile(grammar, Vocabulary.from_tokens([*tokens, b""], [len(tokens)]))


LETTERS = st.sampled_from(["ab", "aé", "ab"])


@share(2)
@given(rule_sets(), st.integers(0, 999), LETTERS)
@example({"root": ("cat", [("repeat", ("text", "a"), 0, None)] * 3)}, 2, "ab")
@example({"root": ("alt", [("cat", [("name", "root")] * 2), ("text", "a"), ("text", "")])}, 2, "ab")
def test_random_rules_have_the_texts_that_they_derive(
    rules: Rules, seed: int, letters: str
) -> None:
    oracle = Recogniser(rules)
    language = [text.encode() for text in oracle.language(letters, LONGEST)]
    tokens = [bytes([byte]) for byte in range(256)]
    store = compiled(rules, seed, tokens)
    if store is None:
        assert not language
        return
    beginnings = {text[:n] for text in language for n in range(len(text) + 1)}
    todo = [(b"", store.matcher())]
    for text, matcher in todo:
        assert matcher.is_accepting() == oracle_accepts(oracle, text), (write(rules, seed), text)
        allowed = matcher.allowed_bytes()
        for byte in {*letters.encode(), *b"c\xff"}:
            after, longer = matcher.fork(), text + bytes([byte])
            assert after.accept_bytes(bytes([byte])) == allowed[byte]
            if not allowed[byte]:
                assert longer not in beginnings, (write(rules, seed), longer)
                continue
            whole = longer + after.shortest_completion()
            assert oracle_accepts(oracle, whole), (write(rules, seed), whole)
            if len(longer) < LONGEST + 1 and byte in letters.encode():
                todo.append((longer, after))


def oracle_accepts(oracle: Recogniser, text: bytes) -> bool:
    try:
        return oracle.accepts(text.decode())
    except UnicodeDecodeError:
        return False


TOKENS = ["a", "b", "é", "ab", "ba", "aa", "bb", "aab", "abab", "bé", "éa", "c", "aaaa", "bab"]


@share(2)
@given(rule_sets(), st.integers(0, 999), st.lists(st.integers(0, 20), max_size=4))
def test_masks_of_random_rules_hold_the_tokens_that_can_be_completed(
    rules: Rules, seed: int, walk: list[int]
) -> None:
    tokens = [token.encode() for token in TOKENS] + [b"\xc3", b"\xa9a"]
    store = compiled(rules, seed, tokens)
    if store is None:
        return
    oracle = Recogniser(rules)
    language = [text.encode() for text in oracle.language("ab", LONGEST)]
    matcher = store.matcher()
    row = np.zeros(bitmask.n_words(len(tokens) + 1), np.int32)
    for choice in [*walk, 0]:
        matcher.fill_bitmask(row)
        allowed = bitmask.unpack(row, len(tokens) + 1)
        assert allowed[-1] == oracle_accepts(oracle, matcher.text)
        for token_id, token in enumerate(tokens):
            after, longer = matcher.fork(), matcher.text + token
            assert after.accept_token(token_id) == allowed[token_id]
            if allowed[token_id]:
                whole = longer + after.shortest_completion()
                assert oracle_accepts(oracle, whole), (write(rules, seed), whole)
            else:
                assert not any(text.startswith(longer) for text in language), (
                    write(rules, seed),
                    longer,
                )
        ids = np.flatnonzero(allowed[:-1])
        if not len(ids):
            return
        assert matcher.accept_token(int(ids[choice % len(ids)]))


@share(3)
@given(rule_sets(), st.integers(0, 999))
def test_the_two_readers_agree(rules: Rules, seed: int) -> None:
    """What the tests write is read by the tests' own reader as it was meant."""
    text = write(rules, seed).replace("\r", "")
    one, other = Recogniser(rules), Recogniser(read(text))
    for word in ("", "a", "b", "ab", "aab", "aba", "é", "baab"):
        assert one.accepts(word) == other.accepts(word), text


@st.composite
def regular_rules(draw: st.DrawFn) -> Rules:
    """One rule, regular, or recursive at its end or its beginning only."""
    regular = expressions(())
    body = draw(regular)
    kind = draw(st.sampled_from(["plain", "sequence", "end", "beginning", "option"]))
    if kind == "sequence":
        parts = draw(st.lists(regular, min_size=2, max_size=4))
        return {"root": ("cat", [("repeat", part, 0, 1) for part in parts])}
    if kind == "plain":
        return {"root": body}
    again = [body, ("name", "root")] if kind != "beginning" else [("name", "root"), body]
    if kind == "option":
        return {"root": ("repeat", ("cat", again), 0, 1)}
    return {"root": ("alt", [("cat", again), draw(regular)])}


@share(1)
@given(regular_rules(), st.integers(0, 999))
def test_regular_rules_are_one_terminal_with_the_texts_that_they_derive(
    rules: Rules, seed: int
) -> None:
    oracle = Recogniser(rules)
    grammar = from_ebnf(write(rules, seed))
    assert len(grammar.terminals) <= 1
    matcher = byte_matcher(grammar)
    for text in ("".join(t) for n in range(LONGEST) for t in product("ab", repeat=n)):
        fork = matcher.fork()
        is_whole = fork.accept_bytes(text.encode()) and fork.is_accepting()
        assert is_whole == oracle.accepts(text), (write(rules, seed), text)


# --- characters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "valid", "invalid"),
    [
        (r'root ::= "\n\r\t\\\"\[\]\x41\u00e9\U0001F600"', ['\n\r\t\\"[]Aé😀'], ["", "n"]),
        ("root ::= [a-c-]", ["a", "b", "c", "-"], ["d", ","]),
        ("root ::= [-a]", ["-", "a"], ["b"]),
        (r"root ::= [\]\[^\\]", ["]", "[", "^", "\\"], ["a"]),
        (r"root ::= [^^\n]", ["a", "é", "\r"], ["^", "\n"]),
        ("root ::= .", ["a", "\n", "\0", "😀"], ["", "ab"]),
        (r"root ::= [\x00-\U0010FFFF]", ["\0", "\uffff", "\U0010ffff"], [""]),
        (r"root ::= [\u07fe-\u0801]", ["\u07fe", "\u0800", "\u0801"], ["\u07fd", "\u0802"]),
        (r"root ::= [\uFFFE-\U00010001]", ["\uffff", "\U00010000"], ["\ufffd", "\U00010002"]),
        (r'root ::= ".*(a|b)$ #&~" [.*] # "x"', [".*(a|b)$ #&~.", ".*(a|b)$ #&~*"], [".a$ #&~."]),
        ('root ::= "a\nb"', ["a\nb"], ["ab"]),  # a raw line end in a literal is one
        ('root ::= ""', [""], ["a"]),
        ("root ::=", [""], ["a"]),
        ('root ::= "a" | ', ["", "a"], ["b"]),
        ('root ::= (\n"a" #)\n\n | \n"b"\n)\nx::="c"', ["a", "b"], ["c"]),
        ('root ::= "ab"*', ["", "abab"], ["aba", "abb"]),
        ('root ::= "a"{2} {2}', ["aaaa"], ["aa", "aaa"]),
        ('root ::= "a"+?', ["", "a", "aa"], ["b"]),
        ('root ::= "a"??', ["", "a"], ["aa"]),
        ('root ::= "a"{ 2 , 3 }', ["aa", "aaa"], ["a", "aaaa"]),
        ('root ::= "a" |\n  "b"', ["a", "b"], ["ab"]),
        ('root\t::= a_1 a-2\r\na_1::="x"\r\n\r\na-2::="y"', ["xy"], ["x"]),
    ],
)
def test_constructs(rules: str, valid: list[str], invalid: list[str]) -> None:
    matcher = byte_matcher(Grammar.from_ebnf(rules))
    for text in (*valid, *invalid):
        fork = matcher.fork()
        is_whole = fork.accept_bytes(text.encode()) and fork.is_accepting()
        assert is_whole == (text in valid), text


def test_bytes_that_are_no_utf_8_are_no_characters() -> None:
    matcher = byte_matcher(Grammar.from_ebnf("root ::= .*"))
    for data in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
        assert not matcher.fork().accept_bytes(data)


# --- errors ---------------------------------------------------------------------------

ERRORS: list[tuple[str, type[GrammarError], str, int, int]] = [
    ('root ::= "a" b', UndefinedSymbolError, "'b' is not defined", 1, 14),
    ('a ::= "x"\nb ::= c', UndefinedSymbolError, "'c' is not defined", 2, 7),
    ('a ::= "x"', UndefinedSymbolError, "'root', which derives", 1, 10),
    ("", UndefinedSymbolError, "none at all", 1, 1),
    ("root ::= [ab", GrammarSyntaxError, "never closed by `]`", 1, 10),
    ("root ::= [a-", GrammarSyntaxError, "never closed by `]`", 1, 10),
    ("root ::= []", GrammarSyntaxError, "holds no character", 1, 10),
    ("root ::= [z-a]", GrammarSyntaxError, "range z-a is empty", 1, 11),
    (r"root ::= [^\x00-\U0010FFFF]", GrammarSyntaxError, "leaves no character", 1, 10),
    ('root ::= "ab', GrammarSyntaxError, "never closed by a quote", 1, 10),
    ('root ::= "ab\\', GrammarSyntaxError, "escape '\\\\' is unknown", 1, 13),
    ('root ::= "a"{3,1}', GrammarSyntaxError, "{3,1} needs n <= m", 1, 13),
    ('root ::= "a"{1000000}', GrammarLimitError, "up to 65536", 1, 13),
    ('root ::= "a"{1,' + "9" * 5000 + "}", GrammarLimitError, "up to 65536", 1, 13),
    ('root ::= "a"{,3}', GrammarSyntaxError, "malformed", 1, 13),
    ('root ::= "a"{', GrammarSyntaxError, "malformed", 1, 13),
    ("root ::= *", GrammarSyntaxError, "nothing before the '*'", 1, 10),
    ('root ::= root "a"', EmptyLanguageError, "derives no finite text", 1, 1),
    ('\n root ::= "a" x\nx ::= x "b" | "c" x', EmptyLanguageError, "no finite text", 2, 2),
    (r'root ::= "\q"', GrammarSyntaxError, r"escape '\\q' is unknown", 1, 11),
    (r'root ::= "\x4"', GrammarSyntaxError, "malformed", 1, 11),
    (r'root ::= "é\U00110000"', GrammarSyntaxError, "beyond the last character", 1, 12),
    (r'root ::= "\uD800"', GrammarSyntaxError, "surrogate", 1, 11),
    ('root ::= "\ud800"', GrammarSyntaxError, "surrogate", 1, 11),
    ("root ::= <[1000]>", GrammarSyntaxError, "syntax for tokens", 1, 10),
    ("root ::= <think>", GrammarSyntaxError, "syntax for tokens", 1, 10),
    ('root ::= "a" !<[1]>', GrammarSyntaxError, "syntax for tokens", 1, 14),
    ('root ::= ("a"', GrammarSyntaxError, "never closed by `)`", 1, 10),
    ('root ::= ("a" %)', GrammarSyntaxError, "inside brackets", 1, 15),
    ('root ::= "a")', GrammarSyntaxError, "out of place", 1, 13),
    ('root ::= "a"\n | "b"', GrammarSyntaxError, "end of the line before", 2, 2),
    ('root ::= "a" |\nb ::= "c"', GrammarSyntaxError, "the rule before has no end", 2, 3),
    ('root ::= "a"\nroot ::= "b"', GrammarSyntaxError, "defined twice", 2, 1),
    ('root = "a"', GrammarSyntaxError, "`::=` is wanted", 1, 6),
    ("root", GrammarSyntaxError, "the end of the grammar", 1, 5),
    ('root ::= "a" "b" % c', GrammarSyntaxError, "out of place", 1, 18),
    ("root ::= " + "(" * 41, GrammarLimitError, "deeper than 40", 1, 50),
    ('root ::= "a"{2}{2}{2}{2}', GrammarLimitError, "more than 3 repetitions", 1, 22),
]


@pytest.mark.parametrize(("text", "kind", "problem", "line", "column"), ERRORS)
def test_errors_say_what_and_where(
    text: str, kind: type[GrammarError], problem: str, line: int, column: int
) -> None:
    with pytest.raises(kind, match=re.escape(problem)) as raised:
        Grammar.from_ebnf(text)
    assert type(raised.value) is kind
    assert (raised.value.line, raised.value.column) == (line, column)
    if text:
        assert str(raised.value).endswith("\n    " + " " * (column - 1) + "^")


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(GrammarLimitError, match="1048576"):
        Grammar.from_ebnf("#" * ((1 << 20) + 1))


CHAIN = 20_000
LARGE: dict[str, str] = {
    "many rules": "root ::= r0\n"
    + "\n".join(f"r{i} ::= r{i + 1} | r{i} r{i}" for i in range(CHAIN))
    + f'\nr{CHAIN} ::= "a"',
    "doubled": "root ::= r0\n"
    + "\n".join(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(60))
    + '\nr60 ::= "a"',
    "doubled, of nothing": "root ::= r0\n"
    + "\n".join(f"r{i} ::= r{i + 1}? r{i + 1}*" for i in range(60))
    + '\nr60 ::= ""',
    "deep": "root ::= " + "(" * 39 + '"a"' + "{0,3}{1,2}*)" * 39,
    "subsets": "root ::= " + " | ".join(['[ab]* "a" [ab]{30} "c"'] * 3 + ["root root"]),
    "words": "root ::= " + " | ".join(f'"{i * 7919:x} x"' for i in range(8000)),
    "optional": "root ::= " + '"a"? [bc]? ' * 1500,
}


@pytest.mark.slow
def test_a_long_chain_of_rules_is_refused_soon() -> None:
    with within(40), pytest.raises(GrammarLimitError, match="items"):
        byte_matcher(from_ebnf(LARGE["many rules"]))


@pytest.mark.parametrize("name", LARGE)
def test_large_grammars_are_read_soon(name: str) -> None:
    with within(10):
        grammar = from_ebnf(LARGE[name])
    assert grammar.productions
