"""Random grammars and vocabularies over three letters, small enough to enumerate.

Three letters, so that terminals overlap, tokens share prefixes and grammars agree with
some of them. `é` and `d` come in through `[^a]` and through tokens only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from hypothesis import strategies as st

from constrain.grammar.rules import Grammar, Lexing, Production, Terminal, Ties
from tests.reference import EMPTY_PATTERN

LETTERS = b"abc"
LITERALS = ("a", "b", "c", "ab", "ba", "aa", "abc", "ca")
PATTERNS = (
    "a+", "b+", "ab*", "a*b", "b?c", "[ab]", "[ab]+", "[bc]+", "(ab)+", "a|bc", "a|ab|abc",
    "[^a]", "[^a]+", "a(bc)*", "(a|b)*c", "aab?", "a.", "ab|ba", "(aa)+", "a(b+c)?", "ca*b?",
    "(?i:A)b?", "bb?b?", "a{2,3}", "c|é",
)  # fmt: skip
IGNORED = ("c", "b", "c+", "[bc]", "ab", "b|cc", "b*c")
NONTERMINALS = ("s", "t", "u", "v")


@dataclass(frozen=True)
class Case:
    """One example: a grammar, a vocabulary, and a way to walk.

    Attributes:
        tokens: by token id; b"" where the id is special, an end token or a hole.
        end_ids: sorted.
        walk: each number chooses one of the tokens allowed at its step.
    """

    grammar: Grammar
    tokens: tuple[bytes, ...]
    end_ids: tuple[int, ...]
    walk: tuple[int, ...] = ()

    def __str__(self) -> str:
        grammar = self.grammar
        lines = [f"lexing={grammar.lexing} ties={grammar.ties} ignore={list(grammar.ignore)}"]
        lines += [
            f"{t.name}: {t.pattern!r} priority={t.priority} literal={t.is_literal}"
            for t in grammar.terminals
        ]
        lines += [str(p) for p in grammar.productions]
        lines += [f"tokens={list(self.tokens)} end_ids={list(self.end_ids)} walk={list(self.walk)}"]
        return "\n".join(lines)


def _mostly(usual: object, *rare: object, share: int = 8) -> st.SearchStrategy[object]:
    return st.sampled_from([usual] * share + list(rare))


@st.composite
def terminals(draw: st.DrawFn, name: str) -> Terminal:
    """A terminal called `name`; literals and patterns, with and without a priority."""
    is_literal = draw(st.booleans())
    priority = draw(st.sampled_from([0, 0, 0, 1, -1]))
    if is_literal:
        return Terminal(name, draw(st.sampled_from(LITERALS)), priority, is_literal)
    # Rarely: a terminal that matches nothing, and one that no token here can spell.
    pattern = draw(st.sampled_from(PATTERNS * 2 + (EMPTY_PATTERN, "d")))
    return Terminal(name, pattern, priority)


@st.composite
def _productions(
    draw: st.DrawFn, leaves: tuple[str, ...], nonterminals: tuple[str, ...]
) -> tuple[Production, ...]:
    """1–3 productions each; most nonterminals have one of terminals only, so L is not empty."""
    found: list[Production] = []
    for lhs in nonterminals:
        if draw(_mostly(True, False)):
            rhs = draw(st.lists(st.sampled_from(leaves), min_size=1, max_size=2))
            found.append(Production(lhs, tuple(rhs)))
        for _ in range(draw(st.integers(1, 2))):
            length = draw(st.sampled_from([0, 1, 2, 2, 3, 3]))
            symbols = st.sampled_from(leaves + nonterminals)
            rhs = draw(st.lists(symbols, min_size=length, max_size=length))
            found.append(Production(lhs, tuple(rhs)))
    return tuple(dict.fromkeys(found))


@st.composite
def grammars(draw: st.DrawFn) -> Grammar:
    """Any grammar of 1–4 nonterminals over 1–4 overlapping terminals, with 0–1 ignored."""
    leaves = [draw(terminals(name)) for name in "ABCD"[: draw(st.integers(1, 4))]]
    if draw(_mostly(False, True, share=4)):
        # The same language twice: only the tie rule tells the two apart.
        leaves.append(replace(leaves[0], name="E", priority=draw(st.sampled_from([0, 1]))))
    names = tuple(t.name for t in leaves)
    nonterminals = NONTERMINALS[: draw(st.integers(1, 4))]
    productions = draw(_productions(names, nonterminals))
    ignore: tuple[str, ...] = ()
    if draw(st.sampled_from([False, False, True])):
        pattern, priority = draw(st.sampled_from(IGNORED)), draw(st.sampled_from([0, 0, 1, -1]))
        leaves.append(Terminal("I", pattern, priority))
        ignore = ("I",)
    lexing: Lexing = draw(st.sampled_from(get_args(Lexing)))
    ties: Ties = draw(st.sampled_from(get_args(Ties)))
    return Grammar(tuple(leaves), productions, "s", ignore, lexing, ties)


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Tokens by id and end ids: the letters, longer tokens, duplicates, holes.

    In a share of cases a letter is missing, or a token holds bytes that no letter is.
    """
    missing = draw(_mostly(b"", b"a", b"b", b"c", share=9))
    letters = [bytes([byte]) for byte in LETTERS if bytes([byte]) != missing]
    alphabet = draw(_mostly("abc", "abcd", "abcé", share=6))
    longer = st.text(str(alphabet), min_size=1, max_size=5).map(str.encode)
    extra = draw(st.lists(longer, max_size=12))
    if alphabet == "abcé":
        extra += draw(st.sampled_from([[], [b"\xc3"], [b"\xc3", b"\xa9"], [b"\xa9a", b"b\xc3"]]))
    holes = [b""] * draw(st.integers(1, 3))
    tokens = tuple(draw(st.permutations(letters + extra + holes)))
    blanks = [token_id for token_id, token in enumerate(tokens) if not token]
    end_ids = tuple(blanks[: draw(st.integers(1, 2))])
    return tokens, end_ids


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A grammar, a vocabulary and a walk of up to six tokens."""
    grammar = draw(grammars())
    tokens, end_ids = draw(vocabularies())
    walk = draw(st.lists(st.integers(0, 30), max_size=6))
    return Case(grammar, tokens, end_ids, tuple(walk))
