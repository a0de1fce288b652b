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
from constrain.schema.digits import (
    EXPONENT,
    MINUS,
    POINT,
    Row,
    State,
    Step,
    build,
    compared,
    exponents,
    row,
)


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
        low: None: no bound below.
        high: None: no bound above.

    Raises:
        GrammarLimitError: a bound takes more than MAX_PLACES places.
    """
    positive = _side(low, high)
    negative = _side(
        None if high is None else high.negated(), None if low is None else low.negated()
    )
    return build((_start, positive, negative))


def _side(low: Bound | None, high: Bound | None) -> Side:
    """The numbers ≥ 0 between two bounds."""
    zero = Fraction(0)
    has_zero = (low is None or low.value < zero or (low.value == zero and not low.is_open)) and (
        high is None or high.value > zero or (high.value == zero and not high.is_open)
    )
    if high is not None and high.value <= zero:
        return Side(has_zero, False, None, None)
    least = None if low is None or low.value <= zero else _end(low)
    most = None if high is None else _end(high)
    return Side(has_zero, True, least, most)


def _end(bound: Bound) -> End:
    size = magnitude(bound.value)
    return End(size.digits, size.exponent, bound.is_open)


def _start(positive: Side, negative: Side) -> Step:
    _, targets = positive.first()
    targets[MINUS] = (negative.first,)
    return False, targets


@dataclass(frozen=True)
class End(Magnitude):
    """One end of a range of positive numbers.

    Attributes:
        is_open: whether the end itself is left out.
    """

    is_open: bool

    def placed(self, order: int, exponent: int) -> int:
        """How a number compares, given its exponent and how its digits do."""
        return order if exponent == self.exponent else (1 if exponent > self.exponent else -1)

    def is_met(self, order: int, n: int, wanted: int) -> bool:
        """Whether a number of n significant digits is on the wanted side, −1 or 1."""
        if order == 0 and n < len(self.digits):
            order = -1  # the digits that are missing would be zeros
        return order == wanted or (order == 0 and not self.is_open)


@dataclass(frozen=True, eq=False)
class Side:
    """The spellings, without a sign, of zero and of the numbers between two positive ones.

    In all its methods, n is how many significant digits were read, and `above` and `below` are
    −1, 0 or 1: how they compare with the first n of `low` and of `high`. Where an end is None,
    they are 1 and −1.

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
        """Nothing was read."""
        digits: Row = [(self.zero,)] + [None] * 9
        if self.has_others:
            digits[1:] = [(self.whole, 1, a, b) for a, b in self._longer(0, 0, 0)[1:]]
        return False, row(digits)

    def zero(self) -> Step:
        """The integer part is 0."""
        exponent = exponents(None, None) if self.has_zero else None
        return self.has_zero, row(point=(self.small, 0), exponent=exponent)

    def small(self, zeros: int) -> Step:
        """0, the point and so many zeros."""
        smallest = [-end.exponent for end in (self.low, self.high) if end is not None]
        digits: Row = [(self.small, min(zeros + 1, max([1, *smallest])))] + [None] * 9
        if self.has_others:
            pairs = [self._placed(-1 - zeros, a, b) for a, b in self._longer(0, 0, 0)]
            digits[1:] = [self._fraction(1, a, b) for a, b in pairs[1:]]
        accepts = self.has_zero and zeros > 0
        return accepts, row(digits, exponent=exponents(None, None) if accepts else None)

    def whole(self, n: int, above: int, below: int) -> Step:
        """The integer part so far, which does not begin with 0."""
        placed = self._placed(n - 1, above, below)
        targets = row(self._longer_whole(n, above, below))
        if n == 1:
            targets[POINT] = (self.mantissa, 1, above, below)
            targets[EXPONENT] = self._exponents(1, above, below)
        else:
            targets[POINT] = self._fraction(n, *placed, began=False)
        return self._has(n, *placed), targets

    def mantissa(self, n: int, above: int, below: int) -> Step:
        """One digit 1…9, the point and n − 1 more: an exponent may follow."""
        pairs = self._longer(n, above, below)
        targets = row([(self.mantissa, min(n + 1, self._cap(a, b)), a, b) for a, b in pairs])
        if n > 1:
            targets[EXPONENT] = self._exponents(n, above, below)
        return n > 1 and self._has(n, *self._placed(0, above, below)), targets

    def fraction(self, n: int, above: int, below: int, began: bool) -> Step:
        """Behind the point of a number with another exponent, which is accounted for."""
        pairs = self._longer(n, above, below)
        targets = row([self._fraction(n + 1, a, b) for a, b in pairs])
        return began and self._has(n, above, below), targets

    def _longer(self, n: int, above: int, below: int) -> list[tuple[int, int]]:
        """`above` and `below` behind each of the digits 0…9."""
        low = [1] * 10 if self.low is None else compared(above, self.low.digits, n)
        high = [-1] * 10 if self.high is None else compared(below, self.high.digits, n)
        return list(zip(low, high, strict=True))

    def _longer_whole(self, n: int, above: int, below: int) -> Row:
        """The states behind one more digit of the integer part."""
        if self.high is not None and n > self.high.exponent:
            return [None] * 10
        pairs = self._longer(n, above, below)
        if self.low is None or n > self.low.exponent:
            pairs = [(1, b) for _, b in pairs]
        n_after = n + 1
        if self.high is None:
            n_after = min(n_after, 2 if self.low is None else max(2, self.low.exponent + 2))
        return [(self.whole, n_after, a, b) for a, b in pairs]

    def _fraction(self, n: int, above: int, below: int, began: bool = True) -> State | None:
        if above < 0 or below > 0:
            return None
        return (self.fraction, min(n, self._cap(above, below)), above, below, began)

    def _cap(self, above: int, below: int) -> int:
        """So many digits are as good as more."""
        undecided = [self.low] * (above == 0) + [self.high] * (below == 0)
        return max([2, *(len(end.digits) for end in undecided if end is not None)])

    def _placed(self, exponent: int, above: int, below: int) -> tuple[int, int]:
        """`above` and `below` of the number, now that its exponent is known."""
        return (
            1 if self.low is None else self.low.placed(above, exponent),
            -1 if self.high is None else self.high.placed(below, exponent),
        )

    def _has(self, n: int, above: int, below: int) -> bool:
        """Whether the number that ends here is one of them."""
        return (self.low is None or self.low.is_met(above, n, 1)) and (
            self.high is None or self.high.is_met(below, n, -1)
        )

    def _exponents(self, n: int, above: int, below: int) -> State | None:
        """Behind the `e` of a scientific spelling."""
        least = most = None
        if self.low is not None:
            least = self.low.exponent + (not self.low.is_met(above, n, 1))
        if self.high is not None:
            most = self.high.exponent - (not self.high.is_met(below, n, -1))
        return exponents(least, most)
