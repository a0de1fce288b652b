"""GBNF read and recognised slowly and obviously; nothing of the library is used.

An expression is a tuple: ("text", str), ("set", is_negated, pairs), ("name", str),
("cat", [..]), ("alt", [..]), ("repeat", expression, low, high or None).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

Expression = tuple[Any, ...]
Rules = dict[str, Expression]

TOKEN = re.compile(
    r"""(?P<blank>[ \t]+|\#[^\n]*)|(?P<line>\n)|(?P<define>::=)|(?P<name>[A-Za-z0-9_-]+)
    |(?P<text>"(?:\\.|[^"\\])*")|(?P<set>\[(?:\\.|[^\]\\])*\])|(?P<bounds>\{[^}]*\})|(?P<sign>[|()*+?.])""",
    re.VERBOSE,
)
SIMPLE = {"*": (0, None), "+": (1, None), "?": (0, 1)}
CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def read(grammar: str) -> Rules:
    """The rules of a well-formed grammar."""
    tokens: list[tuple[str, str]] = []
    depth = 0
    for match in TOKEN.finditer(grammar):
        kind, text = str(match.lastgroup), match.group()
        depth += (text == "(") - (text == ")") if kind == "sign" else 0
        goes_on = depth or not tokens or tokens[-1][1] in ("|", "::=")
        if kind == "blank" or (kind == "line" and goes_on):
            continue
        tokens.append((kind, text))
    rules: Rules = {}
    while tokens:
        kind, text = tokens.pop(0)
        if kind == "name":
            assert tokens.pop(0)[0] == "define"
            rules[text] = alternatives(tokens)
    return rules


def alternatives(tokens: list[tuple[str, str]]) -> Expression:
    found: list[list[Expression]] = [[]]
    while tokens and tokens[0][0] != "line" and tokens[0][1] != ")":
        kind, text = tokens.pop(0)
        if kind == "sign" and text == "|":
            found.append([])
        elif text in SIMPLE:
            found[-1].append(("repeat", found[-1].pop(), *SIMPLE[text]))
        elif kind == "bounds":
            low, _, high = text[1:-1].partition(",")
            most = int(high) if high.strip() else None if "," in text else int(low)
            found[-1].append(("repeat", found[-1].pop(), int(low), most))
        elif text == "(":
            found[-1].append(alternatives(tokens))
            assert tokens.pop(0)[1] == ")"
        else:
            found[-1].append(leaf(kind, text))
    return ("alt", [("cat", items) for items in found])


def leaf(kind: str, text: str) -> Expression:
    if kind == "name":
        return ("name", text)
    if kind == "text":
        return ("text", "".join(characters(text[1:-1])))
    if text == ".":
        return ("set", True, [])
    inside = text[2:-1] if text[1] == "^" else text[1:-1]
    members = re.findall(
        r"(\\x..|\\u....|\\U.{8}|\\.|.)(?:-(\\x..|\\u....|\\U.{8}|\\.|.))?", inside, re.S
    )
    pairs = [("".join(characters(a)), "".join(characters(b or a))) for a, b in members]
    return ("set", text[1] == "^", pairs)


def characters(text: str) -> Iterator[str]:
    for escape, digits, plain in re.findall(r"\\([xuU])([0-9a-fA-F]+)|(\\.|[^\\])", text, re.S):
        if escape:
            width = {"x": 2, "u": 4, "U": 8}[escape]
            yield chr(int(digits[:width], 16)) + digits[width:]
        else:
            yield CONTROL.get(plain[1], plain[1]) if len(plain) == 2 else plain


class Recogniser:
    """Which texts the rules derive: by where each rule may end, grown to a fixed point."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.known: dict[str, bool] = {}

    def accepts(self, text: str) -> bool:
        if text not in self.known:
            self.known[text] = self._accepts(text)
        return self.known[text]

    def language(self, alphabet: str, longest: int) -> list[str]:
        """All texts over an alphabet up to some length, shortest first."""
        all_texts = ("".join(t) for n in range(longest + 1) for t in product(alphabet, repeat=n))
        return [text for text in all_texts if self.accepts(text)]

    def _accepts(self, text: str) -> bool:
        ends: dict[tuple[str, int], set[int]] = {
            (rule, start): set() for start in range(len(text), -1, -1) for rule in self.rules
        }
        grown = True
        while grown:
            grown = False
            for (rule, start), found in ends.items():
                more = self._ends(self.rules[rule], start, text, ends) - found
                found.update(more)
                grown |= bool(more)
        return len(text) in ends["root", 0]

    def _ends(
        self, e: Expression, start: int, text: str, ends: dict[tuple[str, int], set[int]]
    ) -> set[int]:
        kind = e[0]
        if kind == "name":
            return ends[e[1], start]
        if kind == "text":
            return {start + len(e[1])} if text.startswith(e[1], start) else set()
        if kind == "set":
            if start == len(text):
                return set()
            is_in = any(low <= text[start] <= high for low, high in e[2])
            return {start + 1} if is_in != e[1] else set()
        if kind == "alt":
            return set().union(*(self._ends(part, start, text, ends) for part in e[1]))
        if kind == "cat":
            here = {start}
            for part in e[1]:
                here = set().union(*(self._ends(part, at, text, ends) for at in here))
            return here
        _, part, low, high = e
        here, found, n = {start}, {start} if low == 0 else set(), 0
        while here and n != high:
            here, n = set().union(*(self._ends(part, at, text, ends) for at in here)), n + 1
            if n >= low:
                if here <= found:
                    break
                found |= here
        return found
