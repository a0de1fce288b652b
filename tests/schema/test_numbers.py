"""The number languages, against `json.loads` and the arithmetic of `decimal` and `fractions`."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import product

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from constrain.automata.dfa import ByteDFA, intersect, subtract, union
from constrain.automata.words import count_words, iterate_words
from constrain.errors import GrammarError, GrammarLimitError
from constrain.schema.numbers import (
    MAX_PLACES,
    SHORT_UNIVERSE,
    UNIVERSE,
    any_integer,
    any_number,
    complement,
    equal_to,
    exact,
    in_range,
    multiple_of,
    not_multiple_of,
    plain_words,
)
from tests.automata.dfas import accepted_text, assert_canonical
from tests.timing import share, within

Bounds = dict[str, Fraction]
KEYWORDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")

# --- the oracle -----------------------------------------------------------------------------


def value_of(text: str) -> Fraction | None:
    """The number that a JSON text is; None if it is none."""
    try:
        value = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except json.JSONDecodeError:
        return None
    is_number = isinstance(value, Decimal) and text.strip() == text
    return Fraction(value) if is_number else None


def mantissa_of(text: str) -> Decimal | None:
    """What stands before the exponent; None if there is no exponent."""
    mantissa, e, _ = text.lower().partition("e")
    return Decimal(mantissa).copy_abs() if e else None  # abs() would round


def is_normalised(text: str) -> bool:
    mantissa = mantissa_of(text)
    return mantissa is None or mantissa == 0 or 1 <= mantissa < 10


def is_short(text: str) -> bool:
    mantissa = mantissa_of(text)
    return mantissa is None or mantissa in range(10)


def meets(value: Fraction, bounds: Bounds) -> bool:
    holds: dict[str, Callable[[Fraction, Fraction], bool]] = {
        "minimum": lambda a, b: a >= b,
        "maximum": lambda a, b: a <= b,
        "exclusive_minimum": lambda a, b: a > b,
        "exclusive_maximum": lambda a, b: a < b,
    }
    return all(holds[keyword](value, bound) for keyword, bound in bounds.items())


def is_multiple(value: Fraction, divisor: Fraction) -> bool:
    return (value / divisor).denominator == 1


# --- numbers and their spellings ------------------------------------------------------------

digits = st.text("01259", min_size=1, max_size=5)
decimals = st.builds(
    lambda sign, whole, exponent: Fraction(sign * int(whole)) * Fraction(10) ** exponent,
    st.sampled_from((1, 1, -1)),
    digits,
    st.integers(-6, 6) | st.sampled_from((-40, -15, 15, 40)),
)
bounds_of: st.SearchStrategy[Bounds] = st.dictionaries(
    st.sampled_from(KEYWORDS), decimals, min_size=1, max_size=3
)
divisors = st.builds(
    lambda n, exponent: Fraction(n) * Fraction(10) ** exponent,
    st.integers(1, 40) | st.sampled_from((64, 99, 125, 150, 256, 360)),
    st.integers(-4, 3),
)


@st.composite
def near(draw: st.DrawFn, values: list[Fraction]) -> Fraction:
    """One of the values, or one that is told from it late, or by its exponent or sign."""
    value = draw(st.sampled_from([*values, Fraction(0)]))
    scale = draw(st.sampled_from((1, 1, 1, 1, 10, -1))) * Fraction(
        1, draw(st.sampled_from((1, 10)))
    )
    step = Fraction(10) ** draw(st.integers(-8, 7))
    return value * scale + step * draw(st.sampled_from((0, 0, 0, 1, -1, 3)))


def plain_text(value: Fraction) -> str:
    """The shortest spelling of a decimal number without an exponent."""
    places = next(k for k in range(1000) if 10**k % value.denominator == 0)
    written = str(abs(int(value * 10**places))).rjust(places + 1, "0")
    point = len(written) - places
    sign = "-" if value < 0 else ""
    return sign + written[:point] + ("." + written[point:] if places else "")


@st.composite
def spellings(draw: st.DrawFn, value: Fraction) -> str:
    """A JSON text of a decimal number, in any of the ways to write it."""
    shift = draw(st.none() | st.none() | st.sampled_from(("normal", "normal", -7, -1, 0, 1, 12)))
    exponent = 0
    if shift == "normal":
        while value and not 1 <= abs(value) / Fraction(10) ** exponent < 10:
            exponent += 1 if abs(value) / Fraction(10) ** exponent >= 10 else -1
        exponent = exponent if value else draw(st.integers(-20, 20))
    elif shift is not None:
        exponent = int(shift)
    mantissa = abs(value) / Fraction(10) ** exponent
    whole, _, fraction = plain_text(mantissa).partition(".")
    fraction += draw(st.sampled_from(("", "", "0", "00", "0000000")))
    sign = "-" if value < 0 or (value == 0 and draw(st.booleans())) else ""
    text = sign + whole + (f".{fraction}" if fraction else "")
    if shift is None:
        return text
    minus = "-" if exponent < 0 or (exponent == 0 and draw(st.booleans())) else ""
    zeros = draw(st.sampled_from(("", "", "0", "00")))
    plus = minus or draw(st.sampled_from(("", "+")))
    return f"{text}{draw(st.sampled_from('eE'))}{plus}{zeros}{abs(exponent)}"


@given(st.data(), decimals)
def test_spellings_mean_their_number(data: st.DataObject, value: Fraction) -> None:
    assert value_of(data.draw(spellings(value))) == value


@cache
def short_texts() -> list[tuple[str, Fraction | None]]:
    """All texts of up to four characters that numbers are made of, and what they mean."""
    texts = ("".join(t) for n in range(5) for t in product("-0125.eE+", repeat=n))
    return [(text, value_of(text)) for text in texts]


def assert_is(
    dfa: ByteDFA, wanted: Callable[[Fraction], bool], is_spelled: Callable[[str], bool]
) -> None:
    """Among all short texts, the language holds those that are wanted and in the universe."""
    for text, value in short_texts():
        expected = value is not None and is_spelled(text) and wanted(value)
        assert dfa.matches(text.encode()) == expected, text


def samples(dfa: ByteDFA, seed: int) -> Iterator[str]:
    """Some texts of the language."""
    if not dfa.is_empty():
        choose = random.Random(seed)
        for _ in range(8):
            yield accepted_text(dfa, choose, 7).decode()


# --- the universes --------------------------------------------------------------------------


def test_any_number_is_what_json_reads_as_a_number() -> None:
    assert_is(any_number(), lambda _: True, lambda _: True)
    assert in_range() == any_number()


def test_the_universes_are_what_they_say() -> None:
    assert_is(UNIVERSE, lambda _: True, is_normalised)
    assert_is(SHORT_UNIVERSE, lambda _: True, is_short)
    assert subtract(SHORT_UNIVERSE, UNIVERSE).is_empty()
    assert subtract(UNIVERSE, any_number()).is_empty()


def test_integers_by_spelling_are_digits_and_a_sign() -> None:
    assert_is(any_integer(by_value=False), lambda _: True, lambda t: re.search("[.eE]", t) is None)


def test_integers_by_value_are_the_multiples_of_one() -> None:
    assert_is(any_integer(by_value=True), lambda v: v.denominator == 1, is_short)
    for text in (b"1.0", b"-3.000", b"-0", b"-0.0", b"0e-7", b"2e3", b"2.0E+03", b"9e0"):
        assert any_integer(by_value=True).matches(text)
    for text in (b"1.5", b"1e-1", b"0.1", b"10e-1", b"1.5e1", b"01", b"1.", b"+1"):
        assert not any_integer(by_value=True).matches(text)


# --- ranges ---------------------------------------------------------------------------------

ENDS = ["0", "1", "-1", "2", "-5", "12", "-2.5", "0.1", "0.02", "-0.05", "5000", "2e-5", "1e30"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("keyword", KEYWORDS)
def test_one_bound_on_all_short_texts(keyword: str, end: str) -> None:
    bounds = {keyword: Fraction(Decimal(end))}
    assert_is(in_range(**bounds), lambda value: meets(value, bounds), is_normalised)


@share(5)
@given(bounds_of)
def test_bounds_on_all_short_texts(bounds: Bounds) -> None:
    assert_is(in_range(**bounds), lambda value: meets(value, bounds), is_normalised)


@given(st.data(), bounds_of)
def test_bounds_on_spellings_near_them(data: st.DataObject, bounds: Bounds) -> None:
    dfa = in_range(**bounds)
    assert_canonical(dfa)
    for _ in range(15):
        text = data.draw(near(list(bounds.values())).flatmap(spellings))
        value = value_of(text)
        assert value is not None
        expected = is_normalised(text) and meets(value, bounds)
        assert dfa.matches(text.encode()) == expected, text


@given(bounds_of, st.integers(0, 99))
def test_all_that_a_range_writes_is_json_and_in_it(bounds: Bounds, seed: int) -> None:
    for text in samples(in_range(**bounds), seed):
        value = value_of(text)
        assert value is not None and is_normalised(text) and meets(value, bounds), text


@given(decimals, decimals)
@example(Fraction(3), Fraction(3))
@example(Fraction(0), Fraction(0))
def test_ranges_are_put_together_from_their_ends(a: Fraction, b: Fraction) -> None:
    low, high = min(a, b), max(a, b)
    closed = in_range(low, high)
    assert closed == intersect(in_range(low), in_range(maximum=high))
    outside = union(in_range(exclusive_maximum=low), in_range(exclusive_minimum=high))
    assert complement(closed) == outside
    ends = union(equal_to(low), equal_to(high))
    inside = in_range(exclusive_minimum=low, exclusive_maximum=high)
    assert subtract(closed, ends) == inside
    assert union(inside, ends) == closed


def test_the_stricter_bound_counts() -> None:
    one, two = Fraction(1), Fraction(2)
    assert in_range(minimum=one, exclusive_minimum=one) == in_range(exclusive_minimum=one)
    assert in_range(minimum=two, exclusive_minimum=one) == in_range(minimum=two)
    assert in_range(maximum=one, exclusive_maximum=one) == in_range(exclusive_maximum=one)
    assert in_range(maximum=one, exclusive_maximum=two) == in_range(maximum=one)


@pytest.mark.parametrize("bounds", [(2, 1, None, None), (1, None, None, 1), (None, 0, 0, None)])
def test_bounds_that_exclude_each_other_leave_nothing(bounds: tuple[int | None, ...]) -> None:
    assert in_range(*(None if b is None else Fraction(b) for b in bounds)).is_empty()


@given(st.data(), decimals)
def test_a_value_is_all_its_spellings(data: st.DataObject, value: Fraction) -> None:
    dfa = equal_to(value)
    assert count_words(plain_words(dfa), 9) == 1
    text = data.draw(spellings(value))
    assert dfa.matches(text.encode()) == is_normalised(text)
    assert all(value_of(sample) == value for sample in samples(dfa, len(text)))


@pytest.mark.parametrize("text", ["1e5", "9.99e-12", "-1.5e+007", "0e99", "-0.000E-0", "5e0"])
def test_each_scientific_spelling_is_one_of_its_value(text: str) -> None:
    assert equal_to(Fraction(Decimal(text))).matches(text.encode())


# --- multiples ------------------------------------------------------------------------------

DIVISORS = ["0.01", "0.5", "1", "2.5", "0.3", "7", "12", "25", "1e-7", "1e10", "86400", "0.125"]


@pytest.mark.parametrize("written", DIVISORS)
def test_multiples_on_all_short_texts(written: str) -> None:
    divisor = Fraction(Decimal(written))
    assert_is(multiple_of(divisor), lambda value: is_multiple(value, divisor), is_short)
    assert_is(not_multiple_of(divisor), lambda value: not is_multiple(value, divisor), is_short)


@given(st.data(), divisors | st.sampled_from([Fraction(Decimal(d)) for d in DIVISORS]))
def test_multiples_on_spellings_near_them(data: st.DataObject, divisor: Fraction) -> None:
    dfa, others = multiple_of(divisor), not_multiple_of(divisor)
    assert_canonical(dfa)
    for _ in range(10):
        factor = data.draw(st.integers(-300, 300) | st.sampled_from((10**6, 10**12)))
        text = data.draw(near([factor * divisor]).flatmap(spellings))
        value = value_of(text)
        assert value is not None
        is_one = is_multiple(value, divisor)
        assert dfa.matches(text.encode()) == (is_short(text) and is_one), text
        assert others.matches(text.encode()) == (is_short(text) and not is_one), text


@given(divisors, st.integers(0, 99))
def test_all_that_multiples_write_is_json_and_a_multiple(divisor: Fraction, seed: int) -> None:
    for text in samples(multiple_of(divisor), seed):
        value = value_of(text)
        assert value is not None and is_short(text) and is_multiple(value, divisor), text


@share(2)
@given(divisors, divisors)
def test_common_multiples_are_the_multiples_of_the_least(a: Fraction, b: Fraction) -> None:
    unit = math.lcm(a.denominator, b.denominator)
    least = Fraction(math.lcm(int(a * unit), int(b * unit)), unit)
    assume(least < 10**4)
    assert intersect(multiple_of(a), multiple_of(b)) == multiple_of(least)


# --- values ---------------------------------------------------------------------------------


@share(2)
@given(st.integers(-300, 300), st.integers(0, 300), divisors)
def test_plain_words_are_the_values(low: int, width: int, divisor: Fraction) -> None:
    assume(width / divisor < 1000)
    numbers = in_range(Fraction(low), Fraction(low + width))
    words = plain_words(intersect(numbers, multiple_of(divisor)))
    first, last = math.ceil(low / divisor), math.floor((low + width) / divisor)
    values = [factor * divisor for factor in range(first, last + 1)]
    assert count_words(words, 10_000) == len(values)
    written = [word.decode() for word in iterate_words(words, 10_000)]
    assert sorted(Fraction(text) for text in written) == values
    for text in written:
        assert text == plain_text(Fraction(text))


def test_a_range_has_endless_values_and_its_integers_do_not() -> None:
    numbers = in_range(Fraction(-1), Fraction(2))
    assert count_words(plain_words(numbers), 500) == 500
    integers = plain_words(intersect(numbers, any_integer(by_value=True)))
    assert list(iterate_words(integers, 500)) == [b"0", b"1", b"2", b"-1"]


# --- exact numbers, and sizes ---------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.1)
@example(5e-324)
@example(-0.0)
def test_a_float_is_what_it_prints(value: float) -> None:
    assert exact(value) == Fraction(repr(value))


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=9))
@example(10**400)
@example(Decimal("1." + "0" * 10_000))
@example(Decimal("0E+999999"))
@example(Decimal("12300E-5"))
def test_integers_and_decimals_are_themselves(value: int | Decimal) -> None:
    assert exact(value) == (Fraction(value) if value else 0)


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("-Infinity"), Decimal("sNaN")])
def test_what_is_no_number_is_refused(value: float | Decimal) -> None:
    with pytest.raises(GrammarError, match="no JSON number"):
        exact(value)


@pytest.mark.parametrize(
    "value",
    [
        10**MAX_PLACES,
        -(10**5000),
        Decimal("1e999999999999"),
        Decimal("-1e-999999999999"),
        Decimal("1." + "1" * 600),
    ],
    ids=["first", "long", "large", "small", "places"],
)
def test_numbers_of_too_many_places_are_refused(value: int | Decimal) -> None:
    with within(1), pytest.raises(GrammarLimitError, match=str(MAX_PLACES)):
        exact(value)


@pytest.mark.parametrize(
    "value", [Fraction(10) ** MAX_PLACES, Fraction(1, 3), Fraction(1, 10 ** (MAX_PLACES + 1))]
)
@pytest.mark.parametrize("language", [in_range, equal_to, multiple_of])
def test_what_has_too_many_places_bounds_nothing(
    language: Callable[[Fraction], ByteDFA], value: Fraction
) -> None:
    with within(1), pytest.raises(GrammarLimitError, match=str(MAX_PLACES)):
        language(value)


@pytest.mark.parametrize("divisor", [Fraction(0), Fraction(-2)])
def test_a_divisor_is_positive(divisor: Fraction) -> None:
    with pytest.raises(GrammarError, match="greater than 0"):
        multiple_of(divisor)


@pytest.mark.parametrize("divisor", ["123456789", "0.123456789", "1099511627776", "12347e320"])
def test_a_divisor_of_too_many_states_is_refused(divisor: str) -> None:
    with within(10), pytest.raises(GrammarLimitError, match=r"more than \d+ states"):
        multiple_of(Fraction(Decimal(divisor)))


LARGE = ["1e308", "1.7976931348623157e308", "5e-324", "-1e400", "9" * 400, "1e-500"]


@pytest.mark.parametrize("text", LARGE)
def test_large_bounds_are_exact(text: str) -> None:
    bound = exact(Decimal(text))
    with within(5):
        dfa = in_range(minimum=bound)
        above = in_range(exclusive_minimum=bound)
    for value in (bound, bound * 10, bound / 10, bound * 9 / 10, -bound, bound * 2):
        plain = plain_text(value)
        assert dfa.matches(plain.encode()) == (value >= bound)
        assert above.matches(plain.encode()) == (value > bound)
    exponent = Decimal(text).adjusted()
    for power in (exponent, exponent - 1, exponent + 1, exponent // 10, exponent * 10, -exponent):
        for mantissa in ("1", "-1.0", "1.7976931348623157", "4.9", "5", "5.00001", "9.9"):
            written = f"{mantissa}e{power:+05}"
            value = Fraction(Decimal(written))
            assert dfa.matches(written.encode()) == (value >= bound), written
            assert above.matches(written.encode()) == (value > bound), written
