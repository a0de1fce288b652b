"""The spellings of the multiples of a number.

The divisor is D · 10⁻ᵏ with D an integer and k ≥ 0 as small as it can be. A plain decimal is a
multiple of it exactly if all digits from the k-th behind the point on are zeros, and the integer
that the others make, with k of them behind the point, is divisible by D.
"""

from __future__ import annotations

from fractions import Fraction

from constrain.automata.dfa import ByteDFA
from constrain.errors import GrammarLimitError
from constrain.schema.decimals import magnitude
from constrain.schema.digits import Row, State, Step, build, exponents, row

MAX_STATES = 10_000
"""Of the automaton of the multiples of one number."""

MAX_CELLS = 200_000
"""States, times the digits of the divisor that each is told apart by."""

Rests = tuple[int | None, ...]
"""Rest j for j = k…horizon; None if it is 10ʲ or more, but for the last, which is always given."""


def multiples(divisor: Fraction) -> ByteDFA:
    """The plain spellings of the multiples of a positive number, and the short scientific ones.

    Raises:
        GrammarLimitError: it takes more than MAX_PLACES places, or its automaton more than
            MAX_STATES states or MAX_CELLS of its cells.
    """
    size = magnitude(divisor)
    places = max(0, len(size.digits) - 1 - size.exponent)
    machine = _Multiples(int(divisor * 10**places), places)
    return build((machine.start,), machine.check)


class _Multiples:
    """The machine for one divisor.

    Residues r of the digits before the point are told apart only if some text behind them tells
    them apart. If j more digits belong to the integer, they must be *rest* j: −r·10ʲ mod D or
    that plus a multiple of D; where rest j is 10ʲ or more, no text of j digits will do. From
    some j on, the *horizon*, rest j decides all later ones.
    """

    def __init__(self, divisor: int, places: int) -> None:
        self._divisor = divisor
        self._places = places
        self._horizon = max(places, min(len(str(divisor)), _tens(divisor)))
        self._units = [10**j for j in range(self._horizon + 1)]
        self._limit = min(MAX_STATES, MAX_CELLS // (self._horizon - places + 1))

    def check(self, n_states: int) -> None:
        """Raise GrammarLimitError if there are too many states."""
        if n_states > self._limit:
            raise GrammarLimitError(
                f"the multiples of {self._shown()} take an automaton of more than {self._limit} "
                f"states; give a divisor of fewer digits"
            )

    def start(self) -> Step:
        """Nothing was read."""
        _, targets = self.first()
        return False, [*targets[:10], (self.first,), *targets[11:]]

    def first(self) -> Step:
        """A sign was read."""
        zero = (0,) * (self._horizon - self._places + 1)
        longer = [self._longer(zero, digit) for digit in range(1, 10)]
        digits: Row = [(self.zero,)]
        digits += [(self.whole, rests, self._exponents(d)) for d, rests in enumerate(longer, 1)]
        return False, row(digits)

    def zero(self) -> Step:
        """The integer part is 0."""
        exponent = exponents(None, None)
        return True, row(point=(self.fraction, self._places, 0, exponent, False), exponent=exponent)

    def whole(self, rests: Rests, exponent: State | None) -> Step:
        """The integer part so far.

        Args:
            rests: see `Rests`.
            exponent: the state behind an `e`.
        """
        digits: Row = [(self.whole, self._longer(rests, digit), None) for digit in range(10)]
        rest = self._possible(rests[0], self._places)
        point = self._fraction(self._places, rest, exponent, began=False)
        return rest == 0, row(digits, point=point, exponent=exponent)

    def fraction(self, places: int, rest: int | None, exponent: State | None, began: bool) -> Step:
        """Behind the point.

        Args:
            places: that are still left of k.
            rest: what the digits in them must be congruent to; None: no multiple any more.
            exponent: as in `whole`; None behind a digit that is not 0.
            began: whether a digit was read.
        """
        digits: Row = []
        left = max(places - 1, 0)
        for digit in range(10):
            after = self._rest_after(rest, places, digit)
            digits.append(self._fraction(left, after, None if digit else exponent))
        return began and rest == 0, row(digits, exponent=exponent if began else None)

    def _fraction(
        self, places: int, rest: int | None, exponent: State | None, began: bool = True
    ) -> State | None:
        if rest is None and exponent is None:
            return None
        return (self.fraction, places, rest, exponent, began)

    def _rest_after(self, rest: int | None, places: int, digit: int) -> int | None:
        """Rest j − 1 behind a digit, from rest j = `places`."""
        if rest is None:
            return None
        if places == 0:
            return None if digit else 0
        return self._possible((rest - digit * self._units[places - 1]) % self._divisor, places - 1)

    def _possible(self, rest: int | None, places: int) -> int | None:
        return rest if rest is not None and rest < self._units[places] else None

    def _longer(self, rests: Rests, digit: int) -> Rests:
        """The rests behind one more digit before the point."""
        last = rests[-1]
        assert last is not None
        beyond = (10 * last - digit * self._units[-1]) % self._divisor
        if len(rests) == 1:
            return (beyond,)
        shorter = enumerate((*rests[1:-1], self._possible(last, self._horizon)), self._places + 1)
        return (*(self._rest_after(rest, j, digit) for j, rest in shorter), beyond)

    def _exponents(self, digit: int) -> State | None:
        """Behind the `e` of a scientific spelling with one digit 1…9."""
        needed = Fraction(self._divisor, digit).numerator
        tens = _tens(needed)
        if 10**tens % needed:
            return None
        return exponents(tens - self._places, None)

    def _shown(self) -> str:
        number = Fraction(self._divisor, 10**self._places)
        return str(number) if self._divisor < 10**30 and self._places < 30 else "a divisor"


def _tens(number: int) -> int:
    """The least t for which 10ᵗ has all the factors 2 and 5 of a number."""
    twos = (number & -number).bit_length() - 1
    fives = 0
    while number % 5 == 0:
        number //= 5
        fives += 1
    return max(twos, fives)
