"""The spellings of the numbers of an interval.

A number is compared with a bound digit by digit: its significant digits with the bound's, and
its exponent of ten with the bound's. In a plain decimal the exponent is the number of digits
before the point, or of zeros behind it; in a scientific spelling it is written last, so there
what the digits were like decides which exponents may follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from constrain.automata.dfa import ByteDFA
from constrain.schema.decimals import Magnitude, magnitude
from constrain.schema.spelling import Row, State, Step, build, compared, exponents, row


@dataclass(frozen=True)
class Bound:
    """One end of an interval."""

    value: Fraction
    is_open: bool

    def negated(self) -> Bound:
        """The same end seen from the other side of zero."""
        return Bound(-self.value, self.is_open)


def interval(low: Bound | None, high: Bound | None) -> ByteDFA:
    """The plain and the normalised scientific spellings of the numbers between two bounds.

    Args:
        low, high: None: no bound.

    Raises:
        GrammarLimitError: a bound takes more than MAX_PLACES places.
    """
    positive = _side(low, high)
    negative = _side(high and high.negated(), low and low.negated())
    return build((_start, positive, negative))


@dataclass(frozen=True)
class End:
    """One end of a range of positive numbers.

    Attributes:
        digits, exponent: see `Magnitude`.
        is_open: whether the end itself is left out.
    """

    digits: tuple[int, ...]
    exponent: int
    is_open: bool

    def order(self, compared_so_far: int, n: int) -> int:
        """−1, 0 or 1: how n significant digits that are all compare with those of the end."""
        return compared_so_far or (0 if n >= len(self.digits) else -1)


def _side(low: Bound | None, high: Bound | None) -> Side:
    """The numbers ≥ 0 between two bounds."""
    has_zero = (low is None or low.value < 0 or (low.value == 0 and not low.is_open)) and (
        high is None or high.value > 0 or (high.value == 0 and not high.is_open)
    )
    least = None if low is None or low.value <= 0 else _end(low)
    if high is not None and high.value <= 0:
        return Side(has_zero, False, None, None)
    return Side(has_zero, True, least, high and _end(high))


def _end(bound: Bound) -> End:
    size: Magnitude = magnitude(bound.value)
    return End(size.digits, size.exponent, bound.is_open)


def _start(positive: Side, negative: Side) -> Step:
    _, behind = positive.first()
    return False, row(behind[:10], minus=(negative.first,))


@dataclass(frozen=True, eq=False)
class Side:
    """The spellings, without a sign, of zero and of the numbers between two positive ones.

    In all its methods, `above` and `below` are −1, 0 or 1: how the n significant digits that
    were read compare with the first n of `low` and `high`. Where an end is None, they are
    1 and −1.

    Attributes:
        has_zero: whether zero is one of them.
        has_others: whether any other number is.
        low, high: the ends; None: no end.
    """

    has_zero: bool
    has_others: bool
    low: End | None
    high: End | None

    def first(self) -> Step:
        """Where the number begins."""
        digits = self._nonzero(0, lambda above, below: (self.whole, 1, above, below))
        return False, row([(self.zero,), *digits])

    def zero(self) -> Step:
        """Behind the zero that is all of the integer part."""
        return self.has_zero, row(point=(self.small, 0), exponent=self._zero_exponent())
