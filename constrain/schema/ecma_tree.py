r"""A regular expression of ECMA-262 → a tree of `constrain.automata.regex_tree`.

A pattern is read as under the `u` flag where it is valid so, and else by the grammar of Annex B,
in which `\-`, `]` and `{a}` mean themselves. In either case a character is a code point, as JSON
Schema asks (core 6.4), never half a surrogate pair. Capturing, naming and laziness make no
difference to which texts match.

Source: ECMA-262 (2025), 22.2.1 and B.1.2.
"""

from __future__ import annotations

import re

from constrain.automata.charset import (
    FIRST_SURROGATE,
    LAST_SURROGATE,
    Ranges,
    complement,
    without_surrogates,
)
from constrain.automata.regex_tree import AT_END, AT_START, Alt, Cat, Chars, Look, Repeat, Tree
from constrain.errors import PatternError
from constrain.schema.properties import CLASSES, NOT_LINE_END, WORD, property_characters

Item = int | Ranges
"""One code point, surrogates included, or a set of characters."""

MAX_COUNT_DIGITS = 9

_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_FIXED: dict[str, Item] = {**CLASSES, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_DIGITS = frozenset("0123456789")
_BRACES = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
_NAME = re.compile(r"<([^>]*)>")
_PROPERTY = re.compile(r"\{([A-Za-z0-9_=]*)\}")
_CODE_POINT = re.compile(r"\{([0-9A-Fa-f]+)\}")
_LOW_HALF = re.compile(r"\\u(D[C-Fc-f][0-9A-Fa-f]{2})", re.IGNORECASE)
_HEX = {2: re.compile(r"[0-9A-Fa-f]{2}"), 4: re.compile(r"[0-9A-Fa-f]{4}")}
_OCTAL = re.compile(r"[0-3][0-7]{0,2}|[4-7][0-7]?")
_NUMBER = re.compile(r"[0-9]+")
_GROUPS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]?|\((?!\?)|\(\?<(?P<name>[^=!])", re.DOTALL)
_FOREIGN = (
    (re.compile(r"\(\?[a-zA-Z]*(-[a-zA-Z]*)?\)"), "flags inside a pattern are not of ECMA-262"),
    (re.compile(r"\(\?[a-zA-Z]*(-[a-zA-Z]*)?:"), "flags of a group are refused"),
    (re.compile(r"\(\?P"), "(?P…) is Python's, not of ECMA-262; a named group is (?<name>…)"),
    (re.compile(r"\(\?>"), "an atomic group is not of ECMA-262; use (?:…)"),
    (re.compile(r"\(\?#"), "a comment is not of ECMA-262; leave it out"),
)


class _MalformedError(Exception):
    """The pattern is malformed in the grammar at hand."""

    def __init__(self, problem: str, position: int) -> None:
        self.problem = problem
        self.position = position
        super().__init__(problem)


def parse_ecma(pattern: str) -> Tree:
    """The tree of a pattern, which it matches from one place to another.

    Raises:
        PatternError: it is malformed, or has what is not regular or not known here.
        RecursionError: its groups are nested too deeply.
    """
    try:
        return _Reader(pattern, with_u=True).read()
    except _MalformedError as error:
        reason = error.problem
    try:
        return _Reader(pattern, with_u=False, reason=reason).read()
    except _MalformedError as error:
        raise PatternError(
            f"the regular expression is malformed: {error.problem}",
            pattern=pattern,
            position=error.position,
        ) from None


class _Reader:
    """Reads one pattern, by recursive descent.

    Args of the constructor:
        pattern: the whole of it.
        with_u: whether as under the `u` flag; else by Annex B.
        reason: why not under the `u` flag.
    """

    def __init__(self, pattern: str, *, with_u: bool, reason: str = "") -> None:
        self._text = pattern
        self._at = 0
        self._with_u = with_u
        self._reason = reason
        groups = [m for m in _GROUPS.finditer(pattern) if m[0].startswith("(")]
        self._n_groups = len(groups)
        self._has_names = any(m["name"] for m in groups)
        self._names: set[str] = set()  # of groups that may take part in the match so far

    def read(self) -> Tree:
        tree = self._disjunction()
        if self._at < len(self._text):
            raise _MalformedError("a ) without its (", self._at)
        return tree

    # --- alternatives, sequences, quantifiers -------------------------------------------

    def _disjunction(self) -> Tree:
        before, found = self._names, set(self._names)
        parts: list[Tree] = []
        while True:
            self._names = set(before)
            parts.append(self._sequence())
            found |= self._names
            if not self._take("|"):
                break
        self._names = found
        return parts[0] if len(parts) == 1 else Alt(tuple(parts))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self._peek() not in ("", "|", ")"):
            part = self._term()
            parts += part.parts if isinstance(part, Cat) else (part,)
        return parts[0] if len(parts) == 1 else Cat(tuple(parts))

    def _term(self) -> Tree:
        character = self._peek()
        if character == "(":
            return self._group()
        if self._take("^"):
            return AT_START
        if self._take("$"):
            return AT_END
        if self._text.startswith(("\\b", "\\B"), self._at):
            self._at += 2
            return _boundary(wanted=self._text[self._at - 1] == "b")
        if character in "*+?":
            raise _MalformedError(
                f"nothing stands before {character} for it to repeat, or only another "
                f"quantifier; possessive ones are not of ECMA-262",
                self._at,
            )
        return self._quantified(self._atom())

    def _atom(self) -> Tree:
        character = self._peek()
        if character == "[":
            return self._class()
        if character == "\\":
            if self._text[self._at + 1 : self._at + 2] in (*"123456789", "k"):
                self._refuse_reference()
            return Chars(_characters([self._escape(in_class=False)]))
        if character in "{}]" and self._with_u:
            raise _MalformedError(f"{character} stands alone; write \\{character}", self._at)
        if _BRACES.match(self._text, self._at):
            raise _MalformedError("nothing stands before { for it to repeat", self._at)
        self._at += 1
        return Chars(NOT_LINE_END if character == "." else self._literal(ord(character)))

    def _quantified(self, part: Tree) -> Tree:
        low: int
        high: int | None
        braces = _BRACES.match(self._text, self._at)
        start = self._at
        if self._take("*"):
            low, high = 0, None
        elif self._take("+"):
            low, high = 1, None
        elif self._take("?"):
            low, high = 0, 1
        elif braces:
            self._at = braces.end()
            low, high = self._counts(braces[1], braces[2], braces[3], start)
        else:
            return part
        self._take("?")
        if high is not None and high < low:
            raise _MalformedError("the least count is larger than the most", start)
        return Repeat(part, low, high)

    def _counts(self, least: str, comma: str, most: str, start: int) -> tuple[int, int | None]:
        if max(len(least.lstrip("0")), len(most.lstrip("0"))) > MAX_COUNT_DIGITS:
            raise self._refused(f"a count has more than {MAX_COUNT_DIGITS} digits", start)
        low = int(least)
        return low, (int(most) if most else None) if comma else low

    def _group(self) -> Tree:
        start = self._at
        for shown, ahead, negated in _LOOKS:
            if self._take(shown):
                look = Look(self._closed(start), ahead, negated)
                quantifiable = ahead and not self._with_u
                return self._quantified(look) if quantifiable else look
        if not self._take("(?:"):
            self._at += 1
            if self._take("?"):
                self._group_name(start)
        return self._quantified(self._closed(start))

    def _closed(self, start: int) -> Tree:
        tree = self._disjunction()
        if not self._take(")"):
            raise _MalformedError("this ( is not closed", start)
        return tree

    def _group_name(self, start: int) -> None:
        """Read `<name>` of a named group."""
        found = _NAME.match(self._text, self._at)
        if not found:
            foreign = [problem for shown, problem in _FOREIGN if shown.match(self._text, start)]
            raise _MalformedError(foreign[0] if foreign else "no group begins like this", start)
        name = found[1]
        if "\\" in name:
            raise self._refused("escapes in the name of a group are refused", self._at)
        if not name.replace("$", "a").isidentifier():
            raise _MalformedError("the name of a group is an identifier", self._at)
        if name in self._names:
            raise _MalformedError(f"two groups have the name {name}", self._at)
        self._names.add(name)
        self._at = found.end()

    # --- classes and escapes ------------------------------------------------------------

    def _class(self) -> Tree:
        start = self._at
        self._at += 1
        negated = self._take("^")
        items: list[Item] = []
        pairs: list[tuple[int, int]] = []
        while not self._take("]"):
            place = self._at
            low = self._class_atom(start)
            if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
                items.append(low)
                continue
            self._at += 1
            high = self._class_atom(start)
            if isinstance(low, int) and isinstance(high, int):
                if low > high:
                    raise _MalformedError("the range goes backwards", place)
                pairs.append((low, high))
            elif self._with_u:
                raise _MalformedError("a range cannot begin or end with a set", place)
            else:
                items += [low, ord("-"), high]
        ranges = without_surrogates([*_characters(items), *pairs])
        return Chars(complement(ranges) if negated else ranges)

    def _class_atom(self, start: int) -> Item:
        character = self._peek()
        if not character:
            raise _MalformedError("this [ is not closed", start)
        if character == "\\":
            return self._escape(in_class=True)
        self._at += 1
        self._literal(ord(character))
        return ord(character)

    def _escape(self, *, in_class: bool) -> Item:
        start = self._at
        self._at += 2
        letter = self._text[start + 1 : self._at]
        if not letter:
            raise _MalformedError("a \\ ends the pattern", start)
        fixed = _FIXED.get(letter)
        if fixed is not None:
            return fixed
        if in_class and letter in "b-":
            return 8 if letter == "b" else ord("-")
        if letter in "pP":
            return self._property(letter, start)
        if letter == "c":
            return self._control(start, in_class)
        if letter in "xu":
            return self._hexadecimal(letter, start)
        return self._digit(letter, start) if letter in _DIGITS else self._itself(letter, start)

    def _itself(self, letter: str, start: int) -> int:
        in_place = letter in _SYNTAX or not self._with_u
        if not in_place:
            raise _MalformedError(f"\\{letter} means nothing under the u flag here", start)
        if letter == "k" and self._has_names:
            raise _MalformedError("\\k stands in a class", start)
        self._literal(ord(letter))
        return ord(letter)

    def _refuse_reference(self) -> None:
        """Refuse a back-reference at the place; return if there is none."""
        number = _NUMBER.match(self._text, self._at + 1)
        if number:
            if len(number[0]) <= MAX_COUNT_DIGITS and int(number[0]) <= self._n_groups:
                raise self._refused("a back-reference is not regular; write out its text", self._at)
        elif self._has_names:
            raise self._refused("a back-reference is not regular; write out its text", self._at)

    def _property(self, letter: str, start: int) -> Item:
        found = _PROPERTY.match(self._text, self._at)
        if not self._with_u:
            if not found:
                return ord(letter)
            raise self._needs_u(f"\\{letter}{{…}}", letter, start)
        if not found:
            raise _MalformedError(f"\\{letter} wants the name of a property in braces", start)
        ranges = property_characters(found[1])
        if ranges is None:
            raise self._refused(
                f"the property {found[1]} is not known; general categories such as L and Nd are, "
                f"scripts are not: write a class of ranges",
                start,
            )
        self._at = found.end()
        return complement(ranges) if letter == "P" else ranges

    def _control(self, start: int, in_class: bool) -> Item:
        r"""`\cX`, or in Annex B the character `\` itself, and the c stands for itself."""
        letter = self._peek()
        is_letter = letter.isascii() and letter.isalpha()
        digit = in_class and not self._with_u and re.fullmatch("[0-9_]", letter)
        if is_letter or digit:
            self._at += 1
            return ord(letter) % 32
        if self._with_u:
            raise _MalformedError("\\c wants a letter", start)
        self._at = start + 1
        return ord("\\")

    def _hexadecimal(self, letter: str, start: int) -> Item:
        braces = _CODE_POINT.match(self._text, self._at) if letter == "u" else None
        if braces:
            if not self._with_u:
                raise self._needs_u("\\u{…}", letter, start)
            digits = braces[1].lstrip("0")
            if len(digits) > 6 or int(digits or "0", 16) > 0x10FFFF:
                raise _MalformedError("the last character is \\u{10FFFF}", start)
            self._at = braces.end()
            return int(digits or "0", 16)
        found = _HEX[2 if letter == "x" else 4].match(self._text, self._at)
        if not found:
            if self._with_u:
                raise _MalformedError(f"\\{letter} wants its hexadecimal digits", start)
            return ord(letter)
        self._at = found.end()
        point = int(found[0], 16)
        low = _LOW_HALF.match(self._text, self._at)
        if letter == "u" and 0xD800 <= point < 0xDC00 and low:
            self._at = low.end()
            return 0x10000 + ((point - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if not self._with_u:
            self._literal(point)
        return point

    def _digit(self, letter: str, start: int) -> Item:
        if letter == "0" and not _NUMBER.match(self._text, self._at):
            return 0
        if self._with_u:
            raise _MalformedError(f"\\{letter} means nothing under the u flag here", start)
        octal = _OCTAL.match(self._text, start + 1)
        if not octal:
            return ord(letter)
        self._at = octal.end()
        return int(octal[0], 8)

    # --- inside -------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> bool:
        taken = self._text.startswith(wanted, self._at)
        self._at += len(wanted) * taken
        return taken

    def _literal(self, point: int) -> Ranges:
        """The set of one character; half a surrogate pair is in no text."""
        if FIRST_SURROGATE <= point <= LAST_SURROGATE and not self._with_u:
            raise self._refused(
                f"half a surrogate pair stands in a pattern that is malformed under the u flag "
                f"({self._reason})",
                self._at,
            )
        return without_surrogates([(point, point)])

    def _needs_u(self, shown: str, letter: str, position: int) -> PatternError:
        return self._refused(
            f"{shown} needs the u flag, and under it the pattern is malformed: {self._reason}; "
            f"without it, \\{letter} is the letter {letter}",
            position,
        )

    def _refused(self, problem: str, position: int) -> PatternError:
        return PatternError(problem, pattern=self._text, position=position)


_LOOKS = (("(?=", True, False), ("(?!", True, True), ("(?<=", False, False), ("(?<!", False, True))


def _characters(items: list[Item]) -> Ranges:
    pairs = [[(item, item)] if isinstance(item, int) else item for item in items]
    return without_surrogates([pair for part in pairs for pair in part])


def _boundary(*, wanted: bool) -> Tree:
    word = Chars(WORD)
    behind, not_behind = (Look(word, ahead=False, negated=n) for n in (False, True))
    ahead, not_ahead = (Look(word, ahead=True, negated=n) for n in (False, True))
    if wanted:
        return Alt((Cat((behind, not_ahead)), Cat((not_behind, ahead))))
    return Alt((Cat((behind, ahead)), Cat((not_behind, not_ahead))))
