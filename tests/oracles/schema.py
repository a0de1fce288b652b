"""Whether a JSON text is valid by a schema: asked of jsonschema, with what Python blurs put right.

- Numbers are decimals, in the schema and in the text: `0.3` is a multiple of `0.1`. For
  `multipleOf` the arithmetic is ours, since no context of `decimal` holds `1e999999`.
- Patterns are ECMA-262's, by regress: `$` is the end and `\\d` is ASCII. `re` is asked where
  regress cannot be, of strings with lone surrogates.
- Nothing is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal, InvalidOperation
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

import regress
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend, validator_for
from jsonschema_specifications import REGISTRY

ASKERS = ("_keywords", "_legacy_keywords", "_utils")
"""The modules of jsonschema that search with `re`."""


class UndecidedError(Exception):
    """The text has a number that `decimal` cannot hold."""


class Judge:
    """Judges texts by one schema, under the draft that it names, 2020-12 if it names none.

    Args:
        schema: its JSON text.
    """

    def __init__(self, schema: str) -> None:
        found = _read(schema)
        draft = validator_for(found, default=Draft202012Validator)
        kind = extend(
            draft,
            {"multipleOf": _multiple_of},
            type_checker=draft.TYPE_CHECKER.redefine("integer", _integer_of(draft)),
        )
        self._validator = kind(found, format_checker=draft.FORMAT_CHECKER, registry=REGISTRY)

    def complaint(self, text: str) -> str | None:
        """What is wrong with a text; None if it is valid.

        Raises:
            UndecidedError: it has a number with an exponent of more than 18 digits.
        """
        try:
            value = _read(text)
        except InvalidOperation as error:
            raise UndecidedError(text) from error
        except ValueError as error:
            return f"no JSON: {error}"
        with _ecma_patterns():
            found = next(self._validator.iter_errors(value), None)
        if found is None:
            return None
        place = "/".join(map(str, found.absolute_schema_path))
        return f"{found.message[:500]} (by {place})"


def is_multiple(value: Decimal | int, divisor: Decimal | int) -> bool:
    """Whether `value` is an integer times `divisor`, which is not 0, with huge exponents too."""
    coefficient, exponent = _parts(value)
    by, by_exponent = _parts(divisor)
    shift = exponent - by_exponent
    if shift >= 0:
        return coefficient * pow(10, shift, by) % by == 0
    if coefficient == 0:
        return True
    return -shift <= len(str(coefficient)) and coefficient % (by * 10**-shift) == 0


def _parts(number: Decimal | int) -> tuple[int, int]:
    """Coefficient and exponent of the absolute value."""
    _, digits, exponent = Decimal(number).as_tuple()
    assert isinstance(exponent, int)
    return int("".join(map(str, digits))), exponent


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _multiple_of(validator: Any, divisor: Any, value: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(value, "number") and not is_multiple(value, divisor):
        yield ValidationError(f"{value} is no multiple of {divisor}")


def _integer_of(draft: Any) -> Any:
    """The draft's integers: from draft 6 on, `1.0` is one."""
    takes_point = draft.TYPE_CHECKER.is_type(1.0, "integer")

    def is_integer(checker: Any, value: Any) -> bool:
        if isinstance(value, Decimal):
            return takes_point and is_multiple(value, 1)
        return isinstance(value, int) and not isinstance(value, bool)

    return is_integer


@contextmanager
def _ecma_patterns() -> Iterator[None]:
    with ExitStack() as stack:
        for module in ASKERS:
            target = f"jsonschema.{module}.re"
            stack.enter_context(mock.patch(target, SimpleNamespace(search=_search)))
        yield


def _search(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).find(text) is not None
    except UnicodeEncodeError:
        return re.search(pattern, text) is not None


@cache
def _compiled(pattern: str) -> regress.Regex:
    """In Unicode mode; where that has no meaning (`\\_`), as browsers read it without."""
    try:
        return regress.Regex(pattern, "u")
    except regress.RegressError:
        return regress.Regex(pattern)
