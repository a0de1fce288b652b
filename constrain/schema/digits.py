"""What all automata of number spellings share: their alphabet, their making, their exponents.

A state under construction is a tuple: the method that tells what follows it, and the arguments
of that method. So a machine is a few short methods, each for one place within a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from constrain.automata.dfa import DEAD, START, ByteDFA, from_table

State = tuple[Any, ...]
Row = list[State | None]
Step = tuple[bool, Row]
"""Whether the text may end here, and the state behind each symbol; None is dead."""

MINUS, PLUS, POINT, EXPONENT, OTHER = range(10, 15)
"""Symbols; the digits are 0…9 themselves."""


def _symbols() -> list[int]:
    """The symbol of each byte."""
    symbol_of = [OTHER] * 256
    for symbol, spellings in enumerate([*map(str, range(10)), "-", "+", ".", "eE"]):
        for byte in spellings.encode():
            symbol_of[byte] = symbol
    return symbol_of


_SYMBOL_OF = _symbols()


def build(start: State, check: Callable[[int], None] = lambda _: None) -> ByteDFA:
    """The minimal DFA of all that is reached from a state.

    Args:
        start: see `State`.
        check: is told the number of states as it grows, and may raise.
    """
    number: dict[State | None, int] = {None: DEAD, start: START}
    rows: list[list[int]] = [[DEAD] * (OTHER + 1)]
    accepting = [False]
    for state in (queue := [start]):
        accepts, targets = state[0](*state[1:])
        row = []
        for target in targets:
            n = number.get(target)
            if n is None:
                n = number[target] = len(number)
                queue.append(target)
            row.append(n)
        check(len(number))
        rows.append(row)
        accepting.append(accepts)
    table = np.array(rows, np.int32)[:, _SYMBOL_OF]
    return from_table(table, np.array(accepting))


def row(
    digits: Row | None = None,
    *,
    minus: State | None = None,
    plus: State | None = None,
    point: State | None = None,
    exponent: State | None = None,
) -> Row:
    """The states behind each symbol; what is not given is dead."""
    return [*(digits or [None] * 10), minus, plus, point, exponent, None]


def compared(before: int, digits: tuple[int, ...], place: int) -> list[int]:
    """How a digit string compares with another one once each of 0…9 is added to it.

    Args:
        before: −1, 0 or 1: how it compares so far.
        digits: the other one, followed by zeros without end.
        place: of the digit that is added.
    """
    if before:
        return [before] * 10
    digit = digits[place] if place < len(digits) else 0
    return [-1] * digit + [0] + [1] * (9 - digit)


# --- exponents --------------------------------------------------------------------------


def exponents(low: int | None, high: int | None) -> State | None:
    """The state behind `e` from where the exponents low…high are read; None: without end."""
    if low is not None and high is not None and low > high:
        return None
    return (_signed, low, high)


def _signed(low: int | None, high: int | None) -> Step:
    plus = minus = None
    if high is None or high >= 0:
        plus = (_digits, max(low or 0, 0), high, -1, 0, 0)
    if low is None or low <= 0:
        minus = (_digits, max(-(high or 0), 0), None if low is None else -low, -1, 0, 0)
    digits = None if plus is None else plus[0](*plus[1:])[1][:10]
    return False, row(digits, minus=minus, plus=plus)


def _digits(low: int, high: int | None, n: int, above: int, below: int) -> Step:
    """Of an exponent low…high ≥ 0.

    Args:
        low: see `exponents`.
        high: the same.
        n: digits read, leading zeros left out; −1: none at all.
        above: −1, 0 or 1: how they compare with as many digits of `low`.
        below: the same of `high`.
    """
    least = _decimal_digits(low)
    most = None if high is None else _decimal_digits(high)
    accepts = n > len(least) or (n == len(least) and above >= 0)
    if most is not None:
        accepts &= n < len(most) or (n == len(most) and below <= 0)
    place = max(n, 0)
    above_after = [1] * 10 if place >= len(least) else compared(above, least, place)
    targets: Row
    if most is None:
        n_after = min(place, len(least)) + 1
        targets = [(_digits, low, None, n_after, a, -1) for a in above_after]
    elif place >= len(most):
        targets = [None] * 10
    else:
        pairs = zip(above_after, compared(below, most, place), strict=True)
        targets = [(_digits, low, high, place + 1, a, b) for a, b in pairs]
    if place == 0:
        targets[0] = (_digits, low, high, 0, 0, 0)
    return accepts, row(targets)


def _decimal_digits(number: int) -> tuple[int, ...]:
    """Without leading zeros, so none at all for 0."""
    return tuple(map(int, str(number))) if number else ()
