"""The values of one type that a schema allows: strings, numbers, arrays, objects.

Each kind is closed under conjunction; strings and numbers also under disjunction and
complement, as automata. What a whole schema allows is one of each (`Values`), since JSON
Schema's keywords speak of one type each: so no combination multiplies types out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from constrain.automata.dfa import START, ByteDFA
from constrain.schema import numbers, strings
from constrain.schema.counting import characters, fewest_within
from constrain.schema.sets import intersect, subtract, union

Expr = int
"""A conjunction of subschemas, by its number in `constrain.schema.space.Space`."""

ANYTHING: Expr = 0
NOTHING: Expr = 1


@dataclass(frozen=True)
class Strings:
    """Strings of a language whose length is within bounds.

    Attributes:
        content: over the UTF-8 of the string; None: any.
        least: code points.
        most: code points; None: any number.
    """

    content: ByteDFA | None = None
    least: int = 0
    most: int | None = None

    def __and__(self, other: Strings) -> Strings:
        content = self.content
        if content is None:
            content = other.content
        elif other.content is not None:
            content = intersect(content, other.content)
        most = [m for m in (self.most, other.most) if m is not None]
        return Strings(content, max(self.least, other.least), min(most, default=None))

    def __or__(self, other: Strings) -> Strings:
        if ALL_STRINGS in (self, other):
            return ALL_STRINGS
        if self == other or other.is_empty():
            return self
        if self.is_empty():
            return other
        ones, others = self.plain(), other.plain()
        if ones.content is not None and others.content is not None:
            for bounded, free in ((ones, others), (others, ones)):
                if Strings(free.content, bounded.least, bounded.most).plain() == free:
                    contents = union(ones.content, others.content)
                    return Strings(contents, bounded.least, bounded.most)
        return Strings(union(self.whole(), other.whole()))

    def complement(self) -> Strings:
        """All other strings."""
        if self == ALL_STRINGS:
            return NO_STRINGS
        if self.content is None and self.most is None:
            return Strings(None, 0, self.least - 1)
        if self.content is None and self.least == 0 and self.most is not None:
            return Strings(None, self.most + 1)
        return Strings(strings.complement(self.whole()))

    def whole(self) -> ByteDFA:
        """The language as one automaton."""
        if self.least == 0 and self.most is None:
            return strings.ANY if self.content is None else self.content
        if self.most is not None and self.most < self.least:
            return subtract(strings.ANY, strings.ANY)
        by_length = strings.length(self.least, self.most)
        return by_length if self.content is None else intersect(self.content, by_length)

    def is_empty(self) -> bool:
        """Whether no string is left."""
        if self.content is None:
            return self.most is not None and self.most < self.least
        if self.content.is_empty() or (self.least == 0 and self.most is None):
            return self.content.is_empty()
        return fewest_within(self.content, self.least, self.most) is None

    def content_size(self) -> int:
        """States of the language's automaton."""
        return 1 if self.content is None else self.content.n_states

    def plain(self) -> Strings:
        """The same strings, without bounds that the language keeps by itself."""
        if self.content is None or (self.least == 0 and self.most is None):
            return self
        text = characters(strings.spell(self.content, any_escape=False))
        shortest = text.fewest(START, 0)
        least = 0 if shortest is not None and shortest >= self.least else self.least
        is_kept = self.most is None or (text.longest is not None and text.longest <= self.most)
        return Strings(self.content, least, None if is_kept else self.most)


ALL_STRINGS = Strings()
NO_STRINGS = Strings(None, 1, 0)


@dataclass(frozen=True)
class Numbers:
    """Spellings of numbers.

    Attributes:
        spelling: None: all of RFC 8259.
        is_short: multiples took part, which are exact in `numbers.SHORT_UNIVERSE` only.
    """

    spelling: ByteDFA | None = None
    is_short: bool = False

    def __and__(self, other: Numbers) -> Numbers:
        if self.spelling is None or other.spelling is None:
            return other if self.spelling is None else self
        both = intersect(self.spelling, other.spelling)
        return Numbers(both, self.is_short or other.is_short)

    def __or__(self, other: Numbers) -> Numbers:
        if self.spelling is None or other.spelling is None:
            return ALL_NUMBERS
        either = union(self.spelling, other.spelling)
        return Numbers(either, self.is_short or other.is_short)

    def complement(self) -> Numbers:
        """All other numbers."""
        if self.spelling is None:
            return NO_NUMBERS
        others = numbers.complement(self.spelling)
        if self.is_short:
            others = intersect(others, numbers.SHORT_UNIVERSE)
        return Numbers(others, self.is_short)

    def is_empty(self) -> bool:
        """Whether no number is left."""
        return self.spelling is not None and self.spelling.is_empty()

    def whole(self) -> ByteDFA:
        """The language as one automaton."""
        return numbers.any_number() if self.spelling is None else self.spelling


ALL_NUMBERS = Numbers()
NO_NUMBERS = Numbers(subtract(numbers.any_number(), numbers.any_number()))


class Contains(NamedTuple):
    """How many items from `start` on must be of an expression; `place` is the keyword's."""

    start: int
    expr: Expr
    least: int
    most: int | None
    place: str = "#"


@dataclass(frozen=True)
class Arrays:
    """Arrays of one shape.

    Attributes:
        prefix: what the first items are.
        rest: what all further items are.
        least, most: how many items there are; None: any number.
        contains: what some of them are.
        unique: where the schema says that no two are equal, a JSON pointer; empty if it does not.
    """

    prefix: tuple[Expr, ...] = ()
    rest: Expr = ANYTHING
    least: int = 0
    most: int | None = None
    contains: tuple[Contains, ...] = ()
    unique: str = ""

    def item(self, index: int) -> Expr:
        """What an item is, but for `contains`."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


class Class(NamedTuple):
    """Keys of a language that are not listed by name, and what their values are."""

    keys: ByteDFA | None  # over the UTF-8 of the key; None: any
    expr: Expr


class Witness(NamedTuple):
    """A member that must be there: its key of a language, its value of an expression."""

    keys: ByteDFA | None
    others: frozenset[str]  # keys that do not count
    expr: Expr

    def has(self, name: str) -> bool:
        """Whether a key counts."""
        if name in self.others:
            return False
        return self.keys is None or self.keys.matches(encode(name))


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one shape.

    Attributes:
        names: what the members listed by name are, in order.
        classes: of all other keys: disjoint, and none has a name of `names`.
        required: names of `names`.
        least, most: how many members there are; None: any number.
        witnesses: members that must be there besides.
        relevant: per class, the witnesses that its members can be; see `costs.plain_shape`.
        is_distinct: no key may come twice; where that makes no difference, keys of classes may.
    """

    names: dict[str, Expr] = field(default_factory=dict)
    classes: tuple[Class, ...] = (Class(None, ANYTHING),)
    required: frozenset[str] = frozenset()
    least: int = 0
    most: int | None = None
    witnesses: tuple[Witness, ...] = ()
    relevant: tuple[frozenset[int], ...] = ()
    is_distinct: bool = False

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def behind(self, name: str) -> frozenset[str]:
        """The names that come behind one in order; made anew, since all together are quadratic."""
        return frozenset(islice(self.names, self._places[name] + 1, None))

    def of(self, name: str) -> Expr:
        """What the member of this name is."""
        if name in self.names:
            return self.names[name]
        for keys, expr in self.classes:
            if keys is None or keys.matches(encode(name)):
                return expr
        return NOTHING


class Values(NamedTuple):
    """All values that a schema allows, by type."""

    null: bool
    booleans: frozenset[bool]
    numbers: Numbers
    strings: Strings
    arrays: tuple[Arrays, ...]
    objects: tuple[Objects, ...]


BOTH = frozenset((False, True))
NEITHER: frozenset[bool] = frozenset()
ALL_VALUES = Values(True, BOTH, ALL_NUMBERS, ALL_STRINGS, (Arrays(),), (Objects(),))
NO_VALUES = Values(False, NEITHER, NO_NUMBERS, NO_STRINGS, (), ())


def encode(name: str) -> bytes:
    """UTF-8; a lone surrogate, which no text has, becomes bytes that no automaton takes."""
    return name.encode("utf-8", "surrogatepass")


def least_of(one: int | None, other: int | None) -> int | None:
    """The lower of two upper bounds."""
    return other if one is None else one if other is None else min(one, other)
