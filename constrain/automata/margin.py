r"""How far a line is indented, byte by byte, as CPython counts it.

Input:  the bytes of a line end and of what follows up to the line's first lexeme.
Output: a `Margin`.

Columns are those of CPython's tokenizer (Parser/tokenizer.c of 3.11): tabs go to the next
multiple of 8, and count as one space in the alternative; two lines compare the same way in
both, or not at all. A form feed starts at column 0 again. A backslash joins lines, and the
indentation is that of the first one that has any.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

TAB = 8


class Margin(NamedTuple):
    r"""How far the current line is indented, inside a line-end lexeme.

    column:      −1 inside a comment
    alternative: the column if a tab were one space
    is_fixed:    a backslash joined lines, so that more white space does not count
    last:        "\\" behind a backslash, "\n" or "\r" behind that and a line end
    """

    column: int = 0
    alternative: int = 0
    is_fixed: bool = False
    last: str = ""

    def after(self, byte: int) -> Margin:
        """The margin one byte further."""
        character = chr(byte)
        if character in "\r\n":
            return self._after_line_end(character)
        if self.column < 0 or character == "#":
            return Margin(-1, -1)
        if self.is_fixed or character == "\\":
            return self._replace(last="\\" if character == "\\" else "")
        if character == "\t":
            return Margin((self.column // TAB + 1) * TAB, self.alternative + 1)
        if character == "\f":
            return Margin()
        return Margin(self.column + 1, self.alternative + 1)

    def _after_line_end(self, character: str) -> Margin:
        if self.last == "\\":
            if self.column > 0 and not self.is_fixed:
                return Margin(self.column, self.column, True, character)
            return self._replace(last=character)
        if self.last == "\r" and character == "\n":
            return self._replace(last="")  # CPython adds a line end behind a final "\r\n"
        return Margin()


def moved(margin: Margin, added: bytes) -> Margin:
    """The margin `added` further."""
    last = max(added.rfind(b"\n"), added.rfind(b"\r"))
    if last > 0 and added[last - 1] not in b"\\\r":  # this one begins a line, whatever was before
        return _moved(Margin(), added[last + 1 :])
    return _moved(margin, added)


@lru_cache(maxsize=100_000)
def _moved(margin: Margin, added: bytes) -> Margin:
    for byte in added:
        margin = margin.after(byte)
    return margin


def bytes_between(column: int, alternative: int, margin: Margin) -> int | None:
    """How many blanks and tabs lead from `margin` to a column of both kinds; None: none do.

    Of k tabs each may have up to 7 blanks before it that it makes no matter.
    """
    n_bytes = alternative - margin.alternative
    if n_bytes == 0 == column - margin.column:
        return 0
    if n_bytes <= 0 or margin.is_fixed or margin.last or margin.column < 0:
        return None
    if column - margin.column == n_bytes:
        return n_bytes
    for n_tabs in range(1, n_bytes + 1):
        behind = column - (margin.column // TAB + n_tabs) * TAB
        before = n_bytes - n_tabs - behind
        if behind >= 0 and 0 <= before <= (TAB - 1) * n_tabs - margin.column % TAB:
            return n_bytes
    return None


@lru_cache(maxsize=100_000)
def canonical_effect(added: bytes) -> bytes:
    """Few bytes that move every margin as `added` does: those from the last line end on.

    A line end at the very beginning may be one behind a backslash, and is kept.
    """
    margin = Margin()
    start = 0
    for place, byte in enumerate(added):
        is_line_end = byte in b"\r\n" and margin.last not in ("\\", "\r")
        if is_line_end and place > 0 and added[: place + 1] != b"\r\n":
            start = place
        margin = margin.after(byte)
    # One line end may be joined to the line before; behind a second one a line begins.
    effect = b"\n" + added[start:] if start else added
    return b"#" if any(byte not in b" \t\f\r\n\\" for byte in effect) else effect
