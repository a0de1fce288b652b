"""Exact decimal numbers: from what a JSON reader gives, to the digits that automata compare."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from constrain.errors import GrammarError, GrammarLimitError

MAX_PLACES = 500
"""Decimal places before the point, and behind it, of a number in a schema."""

_UNIT: int = 10**MAX_PLACES


@dataclass(frozen=True)
class Magnitude:
    """The positive number d₀.d₁d₂… · 10^exponent.

    Attributes:
        digits: significant ones: the first and the last are not 0.
        exponent: of ten.
    """

    digits: tuple[int, ...]
    exponent: int


def exact(value: float | Decimal) -> Fraction:
    """The number that a JSON text meant.

    Args:
        value: an integer, a decimal, or a float, which is what its shortest spelling says:
            0.1 is 1/10.

    Raises:
        GrammarError: it is infinite or no number.
        GrammarLimitError: it takes more than MAX_PLACES places on one side of the point.
    """
    if isinstance(value, int):
        return _checked(Fraction(value))
    decimal = Decimal(repr(value)) if isinstance(value, float) else value
    if not decimal.is_finite():
        raise GrammarError(f"{decimal} is no JSON number; give a finite one")
    if not decimal:
        return Fraction(0)
    sign, digits, exponent = decimal.as_tuple()
    assert isinstance(exponent, int)  # it is finite
    written = bytes(digits)
    significant = written.strip(b"\0")
    exponent += len(written) - len(written.rstrip(b"\0"))
    # Sizes first: ten to the power of a large exponent may not fit into memory.
    if exponent < -MAX_PLACES or len(significant) + exponent > MAX_PLACES:
        raise _too_long(f"{decimal:.6e}" if len(digits) > 30 else str(decimal))
    number = int("".join(map(str, significant))) * Fraction(10) ** exponent
    return -number if sign else number


def magnitude(value: Fraction) -> Magnitude:
    """The digits of a positive number.

    Raises:
        GrammarLimitError: it takes more than MAX_PLACES places on one side of the point.
    """
    text = str(_scaled(value))
    digits = text.rstrip("0")
    return Magnitude(tuple(map(int, digits)), len(text) - 1 - MAX_PLACES)


def _scaled(value: Fraction) -> int:
    """The number as an integer count of the smallest unit. Raises like `magnitude`."""
    _checked(value)
    return value.numerator * (_UNIT // value.denominator)


def _checked(value: Fraction) -> Fraction:
    """The number itself. Raises like `magnitude`."""
    if abs(value.numerator) >= _UNIT * value.denominator or _UNIT % value.denominator:
        small = max(abs(value.numerator), value.denominator) < 10**30
        raise _too_long(str(value) if small else "a number of the schema")
    return value


def _too_long(number: str) -> GrammarLimitError:
    return GrammarLimitError(
        f"{number} takes more than {MAX_PLACES} decimal places before or behind the point; "
        f"give a number of fewer"
    )
