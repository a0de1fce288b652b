"""The kinds of frames: what is open at one depth of a text; and the style texts are written in.

All is data here; `frames.py` says where the rest is.
"""

from __future__ import annotations

from typing import NamedTuple

from constrain.schema.counting import Characters
from constrain.schema.languages import Arrays, Expr, Objects


class Style(NamedTuple):
    """How texts are written.

    indent:     white space is exactly that of an indented text; None: see `is_flexible`
    is_flexible: white space is as JSON allows; else there is none
    in_order:   members come in the order of `properties`
    any_escape: keys and enumerated strings may be spelled with any escapes
    """

    indent: int | None = None
    is_flexible: bool = True
    in_order: bool = True
    any_escape: bool = False

    @property
    def gap(self) -> bytes | None:
        """White space beside brackets, commas and colons where no line begins; None: any."""
        return None if self.is_flexible else b""

    def line(self, depth: int) -> bytes:
        """The beginning of a line of an indented text."""
        assert self.indent is not None
        return b"\n" + b" " * (self.indent * depth)

    def inside(self, expr: Expr, depth: int, where: int) -> Awaited:
        """A value in what is open at `depth`, which matters only where lines are indented."""
        if self.indent is None:
            return Awaited(expr, 0, 0)
        return Awaited(expr, depth + 1, where)


class Awaited(NamedTuple):
    """A value that is to come.

    where: 0 at the beginning of the text, 1 behind a colon, 2 as an item
    """

    expr: Expr
    depth: int
    where: int


class Block(NamedTuple):
    """A string of which a block was read.

    text:  the spellings of the whole string; None: any
    state: of these, where it stands
    least: characters that must come
    room:  characters that may come; None: any number
    """

    text: Characters | None
    state: int
    least: int
    room: int | None

    def fewest(self) -> int:
        """The fewest characters that end it."""
        if self.text is None:
            return self.least
        fewest = self.text.fewest(self.state, self.least)
        assert fewest is not None
        return fewest


FIRST, NEXT = range(2)
"""How an array goes on: with its end only, nothing being written; behind an item."""


class InArray(NamedTuple):
    """An array.

    place: of the item that comes next, if any
    n_found: items so far that are of `contains`
    kind: `FIRST`: nothing is written, and nothing will be; `NEXT`: an item was written
    seen: the items so far, spelled canonically, where they must differ
    """

    array: Arrays
    place: int
    n_found: int
    depth: int
    kind: int
    seen: frozenset[bytes] | None = None


class Item(NamedTuple):
    """An item that must differ from those before, all scalars; `behind` is the array then.

    text: what is read of it; None: not known
    """

    expr: Expr
    behind: InArray
    text: bytes | None


class InObject(NamedTuple):
    """An object.

    left: names that may come
    missing: those of them that must
    n_members: so far
    met: witnesses so far, as bits
    keys: those not listed by name so far, spelled, where none may come twice
    text: what is read of the next lexeme there; None: not known
    """

    shape: Objects
    left: frozenset[str]
    missing: frozenset[str]
    n_members: int
    met: int
    is_first: bool
    depth: int
    keys: frozenset[bytes] | None = None
    text: bytes | None = b""


class End(NamedTuple):
    """Behind the text."""


Frame = Awaited | Block | InArray | Item | InObject | End
