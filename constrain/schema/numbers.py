"""The number languages of JSON Schema: ranges, multiples, integers, single values.

A language is a `ByteDFA` over the spellings that JSON allows, and a number is in it by its
*value*: 1, 1.0, 1.00 and 1e0 are one number, and so are 0, -0, -0.0 and 0e5.

The spellings. With any exponent, "the value is in a range" is not regular: the digits before
the exponent would have to be counted against it. So every language that is bounded in some way
is exact within a universe of spellings, and holds none beyond it:

- `any_number` has no bound and is all of RFC 8259.
- `UNIVERSE`, that of ranges and of single values: plain decimals (`-12.50`) and *normalised*
  scientific spellings, as most programs write them: one digit 1…9 before the point, or a zero
  value (`1.25E+03`, `7e-9`, `0.0e5`). The exponent may have any sign and leading zeros.
- `SHORT_UNIVERSE`, that of multiples: plain decimals, and scientific spellings of one digit,
  with or without zeros behind the point (`2e3`, `2.0e3`, but not `2.5e3`, whatever the value).
  For more digits, "is a multiple" would again be a matter of counting.

To negate, take the rest of the universe that the language is exact in: `complement` for what is
made of ranges and single values, `not_multiple_of` for multiples, and so for integers by value.
A mixture is negated part by part. `intersect` and `union` of `constrain.automata.dfa` put
languages together: each text of the result is right by value, and each right text that is in
both universes is in it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from constrain.automata.dfa import ByteDFA, intersect, subtract
from constrain.automata.regex import compile_pattern
from constrain.errors import GrammarError
from constrain.schema.decimals import MAX_PLACES, exact
from constrain.schema.multiples import MAX_STATES, multiples
from constrain.schema.ranges import Bound, interval

__all__ = [
    "MAX_PLACES",
    "MAX_STATES",
    "SHORT_UNIVERSE",
    "UNIVERSE",
    "any_integer",
    "any_number",
    "complement",
    "equal_to",
    "exact",
    "in_range",
    "multiple_of",
    "not_multiple_of",
    "plain_words",
]

_PLAIN = r"(0|[1-9][0-9]*)(\.[0-9]+)?"
_EXPONENT = r"[eE][+-]?[0-9]+"

UNIVERSE = compile_pattern(rf"-?({_PLAIN}|([1-9](\.[0-9]+)?|0(\.0+)?){_EXPONENT})")
"""Plain decimals and normalised scientific spellings."""

SHORT_UNIVERSE = compile_pattern(rf"-?({_PLAIN}|[0-9](\.0+)?{_EXPONENT})")
"""Plain decimals, and scientific spellings of one digit."""

_CANONICAL = compile_pattern(r"0|-?([1-9][0-9]*(\.[0-9]*[1-9])?|0\.[0-9]*[1-9])")


def any_number() -> ByteDFA:
    """Every number of RFC 8259."""
    return compile_pattern(rf"-?{_PLAIN}({_EXPONENT})?")


def any_integer(*, by_value: bool) -> ByteDFA:
    """The integers.

    Args:
        by_value: whether a number of integral value is one (draft 6 and later): then this is
            `multiple_of(1)`, with 1.0 and 2e3. Otherwise (draft 4) it is digits and a sign.
    """
    return multiple_of(Fraction(1)) if by_value else compile_pattern("-?(0|[1-9][0-9]*)")


@lru_cache(maxsize=1024)
def in_range(
    minimum: Fraction | None = None,
    maximum: Fraction | None = None,
    exclusive_minimum: Fraction | None = None,
    exclusive_maximum: Fraction | None = None,
) -> ByteDFA:
    """The numbers that meet all the bounds given; exact in `UNIVERSE`.

    With no bound at all this is `any_number`; with bounds that exclude each other it is empty.

    Args:
        minimum: of the numbers; None: no such bound.
        maximum: the same.
        exclusive_minimum: less than all the numbers.
        exclusive_maximum: greater than all of them.

    Raises:
        GrammarLimitError: a bound takes more than MAX_PLACES decimal places.
    """
    lows = [Bound(minimum, False)] if minimum is not None else []
    lows += [Bound(exclusive_minimum, True)] if exclusive_minimum is not None else []
    highs = [Bound(maximum, False)] if maximum is not None else []
    highs += [Bound(exclusive_maximum, True)] if exclusive_maximum is not None else []
    low = max(lows, key=lambda bound: (bound.value, bound.is_open), default=None)
    high = min(highs, key=lambda bound: (bound.value, not bound.is_open), default=None)
    if low is None and high is None:
        return any_number()
    return interval(low, high)


def equal_to(value: Fraction) -> ByteDFA:
    """All spellings of one number; exact in `UNIVERSE`. Raises like `in_range`."""
    return in_range(value, value)


@lru_cache(maxsize=1024)
def multiple_of(divisor: Fraction) -> ByteDFA:
    """The multiples of a number, zero among them; exact in `SHORT_UNIVERSE`.

    Args:
        divisor: greater than 0.

    Raises:
        GrammarError: the divisor is not greater than 0.
        GrammarLimitError: it takes more than MAX_PLACES decimal places, or so many digits that
            the automaton would be too large: see `constrain.schema.multiples`.
    """
    if divisor <= 0:
        raise GrammarError("a number is a multiple of numbers greater than 0; give such a divisor")
    return multiples(divisor)


@lru_cache(maxsize=1024)
def not_multiple_of(divisor: Fraction) -> ByteDFA:
    """All other numbers; exact in `SHORT_UNIVERSE`. Raises like `multiple_of`."""
    return subtract(SHORT_UNIVERSE, multiple_of(divisor))


@lru_cache(maxsize=1024)
def complement(language: ByteDFA) -> ByteDFA:
    """The spellings of `UNIVERSE` that are not of a language.

    The language must be exact in `UNIVERSE`: made from ranges and single values by unions,
    intersections and complements. For multiples see `not_multiple_of`.
    """
    return subtract(UNIVERSE, language)


@lru_cache(maxsize=1024)
def plain_words(language: ByteDFA) -> ByteDFA:
    """The shortest plain spellings: no exponent, no zeros at a fraction's end, no -0.

    Each value has exactly one such spelling, so in a language that goes by value these are as
    many as its values.
    """
    return intersect(language, _CANONICAL)
