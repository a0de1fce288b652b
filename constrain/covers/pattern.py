r"""The pattern by which a tokenizer cuts a text into pieces, as a program of few instructions.

pattern ─► `parse` ─► `Program`: a machine of Thompson's, whose threads are ordered

A backtracking matcher takes the first match in the order of its choices. A machine that runs all
choices at once finds the same one, if its threads are kept in that order and a match cuts off
those behind it.

The syntax is what tokenizers use: alternatives, groups, `(?i:...)`, classes, `\p{L}`, greedy
repetitions, and `(?!...)` of one class. Anything else is refused. What characters a class holds
is not decided here: `Program.sets` names the classes, as patterns of one character.

Source: K. Thompson, Regular expression search algorithm, CACM 11, 1968; R. Cox, Regular
Expression Matching: the Virtual Machine Approach, 2009 (ordered threads).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from constrain.errors import CanonicalError

MAX_INSTRUCTIONS = 20_000
MAX_REPEAT = 100

MATCH = 0
"""The instruction that ends a match, of every program."""

_ATOM = re.compile(
    r"\\[pP]\{[^}]*\}|\\[sSdDrntfv]|\\[^A-Za-z0-9]"
    r"|\[\^?\]?(?:\\[pP]\{[^}]*\}|\\.|[^\]\\])*\]|[^\\()\[\]{}|?*+.^$]",
    re.DOTALL,
)
_REPEAT = re.compile(r"([?*+])|\{(\d+)(?:(,)(\d*))?\}")


@dataclass(frozen=True)
class Instruction:
    """One step of the machine.

    Attributes:
        kind: `set`: read a character of it, go on at `to[0]`; `not`: go on at `to[0]` unless
            the next character is of the set; `split`: go on at each of `to`, the first
            preferred; `match`: the end.
        chars: the set's number.
        to: places of instructions.
    """

    kind: Literal["set", "not", "split", "match"]
    chars: int = -1
    to: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """A pattern as instructions.

    Attributes:
        code: the instructions; the one at `MATCH` ends a match.
        start: where a match begins.
        sets: each a pattern that matches one character.
    """

    code: tuple[Instruction, ...]
    start: int
    sets: tuple[str, ...]


def parse(pattern: str) -> Program:
    """Read a pattern.

    Raises:
        CanonicalError: it uses what is not listed in the module, or is too large.
    """
    compiler = _Compiler(pattern)
    return compiler.program()


def literals(texts: Sequence[str]) -> Program:
    """The program that prefers the longest of some texts."""
    ordered = sorted(texts, key=len, reverse=True)
    return parse("|".join("".join(_escape(char) for char in text) for text in ordered))


def _escape(char: str) -> str:
    if char.isalnum() or char.isspace() or ord(char) > 0x7F:
        return char
    return "\\" + char


_Part = tuple[Any, ...]  # a tree: its first element says of what kind


class _Compiler:
    """Reads a pattern from the left; each part is built for what comes behind it.

    A part is a function from the place behind it to its own place, since code is written from
    the end.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._fold = False
        self._code = [Instruction("match")]
        self._sets: dict[str, int] = {}

    def program(self) -> Program:
        part = self._alternatives()
        if self._at != len(self._pattern):
            raise self._refusal("an unbalanced `)`")
        start = self._build(part, MATCH)
        return Program(tuple(self._code), start, tuple(self._sets))

    # --- reading: the tree ----------------------------------------------------------------

    def _alternatives(self) -> _Part:
        choices = [self._sequence()]
        while self._take("|"):
            choices.append(self._sequence())
        return choices[0] if len(choices) == 1 else ("or", choices)

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return ("then", parts)

    def _atom(self) -> _Part:
        for opening in ("(?!", "(?i:", "(?:", "("):
            if self._take(opening):
                return self._group(opening)
        found = _ATOM.match(self._pattern, self._at)
        if found is None:
            raise self._refusal(f"`{self._pattern[self._at]}`")
        self._at = found.end()
        return ("set", self._number(found[0]))

    def _group(self, opening: str) -> _Part:
        if opening == "(" and self._pattern.startswith("?", self._at):
            raise self._refusal("a group of this kind")
        outer, self._fold = self._fold, self._fold or opening == "(?i:"
        part = self._alternatives()
        self._fold = outer
        if not self._take(")"):
            raise self._refusal("a group that is not closed")
        if opening != "(?!":
            return part
        match part:
            case ("then", [("set", int(chars))]):
                return ("not", chars)
        raise self._refusal("a look-ahead of more than one class")

    def _repeated(self, part: _Part) -> _Part:
        found = _REPEAT.match(self._pattern, self._at)
        if found is None:
            return part
        self._at = found.end()
        if self._pattern[self._at : self._at + 1] in ("?", "+"):
            raise self._refusal("a lazy or possessive repetition")
        least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(found[1], (0, 0))
        if not found[1]:
            least = int(found[2])
            most = (int(found[4]) if found[4] else None) if found[3] else least
        if max(least, most or 0) > MAX_REPEAT:
            raise self._refusal(f"a repetition of more than {MAX_REPEAT}")
        return ("repeat", part, least, most)

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _number(self, chars: str) -> int:
        name = f"(?i:{chars})" if self._fold else chars
        return self._sets.setdefault(name, len(self._sets))

    def _refusal(self, what: str) -> CanonicalError:
        return CanonicalError(
            f"the tokenizer splits its text by the pattern {self._pattern!r}, of which {what} "
            f"at character {self._at} is not supported; use covers='all'"
        )

    # --- writing: the code ----------------------------------------------------------------

    def _emit(self, instruction: Instruction) -> int:
        if len(self._code) >= MAX_INSTRUCTIONS:
            raise self._refusal(f"a program of more than {MAX_INSTRUCTIONS} instructions")
        self._code.append(instruction)
        return len(self._code) - 1

    def _build(self, part: _Part, behind: int) -> int:
        match part:
            case ("set" | "not" as kind, int(chars)):
                return self._emit(Instruction(kind, chars, (behind,)))
            case ("then", list(parts)):
                for inner in reversed(parts):
                    behind = self._build(inner, behind)
                return behind
            case ("or", list(choices)):
                to = tuple(self._build(choice, behind) for choice in choices)
                return self._emit(Instruction("split", to=to))
            case ("repeat", inner, int(least), most):
                return self._build_repeat(inner, least, most, behind)
        raise AssertionError(part)

    def _build_repeat(self, part: _Part, least: int, most: int | None, behind: int) -> int:
        if most is None:
            loop = self._emit(Instruction("split"))
            body = self._build(part, loop)
            self._code[loop] = Instruction("split", to=(body, behind))
            place = loop
        else:
            place = behind
            for _ in range(most - least):
                place = self._emit(Instruction("split", to=(self._build(part, place), behind)))
        for _ in range(least):
            place = self._build(part, place)
        return place
