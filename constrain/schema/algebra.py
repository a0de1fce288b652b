"""Conjunction, disjunction and complement of `Values`, and of arrays and objects.

A conjunction of two shapes is one shape; its parts are conjunctions of the parts, which are
named and not looked at (`Exprs`). A complement is a union of shapes, one for each way to differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

from constrain.automata.dfa import ByteDFA
from constrain.errors import GrammarLimitError, SchemaError
from constrain.schema import strings
from constrain.schema.languages import (
    ANYTHING,
    BOTH,
    NO_VALUES,
    NOTHING,
    Arrays,
    Class,
    Contains,
    Expr,
    Objects,
    Strings,
    Values,
    Witness,
    encode,
    least_of,
)
from constrain.schema.sets import intersect, subtract

S = TypeVar("S")

MAX_SHAPES = 512
"""Shapes of arrays or of objects whose union one schema may be."""

MAX_PAIRS = 16 * MAX_SHAPES
"""Shapes that are combined at once."""


class Exprs(Protocol):
    """What names conjunctions and complements of expressions."""

    def conjunction(self, one: Expr, other: Expr) -> Expr:
        """What is of both."""

    def complement(self, expr: Expr) -> Expr:
        """What is not of it."""


def disjunction(parts: Iterable[Values], exprs: Exprs) -> Values:
    """What is of any of `parts`."""
    result = NO_VALUES
    for part in parts:
        result = Values(
            result.null or part.null,
            result.booleans | part.booleans,
            result.numbers | part.numbers,
            result.strings | part.strings,
            (*result.arrays, *part.arrays),
            (*result.objects, *part.objects),
        )
    return result._replace(
        arrays=_widest(result.arrays, lambda a, b: _arrays_are_of(a, b, exprs)),
        objects=_widest(result.objects, lambda a, b: _objects_are_of(a, b, exprs)),
    )


def conjunction(one: Values, other: Values, exprs: Exprs) -> Values:
    """What is of both."""
    return Values(
        one.null and other.null,
        one.booleans & other.booleans,
        one.numbers & other.numbers,
        one.strings & other.strings,
        _arrays_of_pairs(one.arrays, other.arrays, exprs),
        _objects_of_pairs(one.objects, other.objects, exprs),
    )


def complement(values: Values, exprs: Exprs) -> Values:
    """All other values.

    Raises:
        SchemaError: arrays in which some items are equal would be wanted.
    """
    arrays: tuple[Arrays, ...] = (Arrays(),)
    for array in values.arrays:
        others = tuple(_other_arrays(array, exprs))
        arrays = _arrays_of_pairs(arrays, others, exprs)
    objects: tuple[Objects, ...] = (Objects(),)
    for shape in values.objects:
        rest = tuple(_other_objects(shape, exprs))
        objects = _objects_of_pairs(objects, rest, exprs)
    return Values(
        not values.null,
        BOTH - values.booleans,
        values.numbers.complement(),
        values.strings.complement(),
        arrays,
        objects,
    )


def _arrays_of_pairs(
    ones: tuple[Arrays, ...], others: tuple[Arrays, ...], exprs: Exprs
) -> tuple[Arrays, ...]:
    found = _all_pairs(ones, others, lambda a, b: arrays_of_both(a, b, exprs))
    return _widest(found, lambda a, b: _arrays_are_of(a, b, exprs))


def _objects_of_pairs(
    ones: tuple[Objects, ...], others: tuple[Objects, ...], exprs: Exprs
) -> tuple[Objects, ...]:
    found = _all_pairs(ones, others, lambda a, b: objects_of_both(a, b, exprs))
    return _widest(found, lambda a, b: _objects_are_of(a, b, exprs))


def _all_pairs(
    ones: tuple[S, ...], others: tuple[S, ...], both: Callable[[S, S], S | None]
) -> tuple[S, ...]:
    if len(ones) * len(others) > MAX_PAIRS:
        raise _too_many()
    found = [both(one, other) for one in ones for other in others]
    return tuple(shape for shape in found if shape is not None)


def _widest(shapes: tuple[S, ...], are_of: Callable[[S, S], bool]) -> tuple[S, ...]:
    """The same union without shapes that are part of another."""
    if len(shapes) < 2:
        return shapes
    if len(shapes) > MAX_PAIRS:
        raise _too_many()
    kept: list[S] = []
    for shape in shapes:
        if not any(are_of(shape, other) for other in kept):
            kept = [other for other in kept if not are_of(other, shape)]
            kept.append(shape)
            if len(kept) > MAX_SHAPES:
                raise _too_many()
    return tuple(kept)


def _arrays_are_of(one: Arrays, other: Arrays, exprs: Exprs) -> bool:
    """Whether all arrays of `one` are surely of `other`."""
    return arrays_of_both(one, other, exprs) == one


def _objects_are_of(one: Objects, other: Objects, exprs: Exprs) -> bool:
    """Whether all objects of `one` are surely of `other`."""
    if not (
        other.required <= one.required
        and other.least <= max(one.least, len(one.required))
        and (other.most is None or (one.most is not None and one.most <= other.most))
        and set(other.witnesses) <= set(one.witnesses)
    ):
        return False
    for name in (*one.names, *(name for name in other.names if name not in one.names)):
        own = one.of(name)
        if exprs.conjunction(own, other.of(name)) != own:
            return False
    return all(
        exprs.conjunction(a.expr, b.expr) == a.expr
        or ((keys := both_keys(a.keys, b.keys)) is not None and keys.is_empty())
        for a in one.classes
        for b in other.classes
    )


def _too_many() -> GrammarLimitError:
    return GrammarLimitError(
        f"the combination is a union of more than {MAX_SHAPES} shapes of arrays or objects; "
        f"combine fewer alternatives, or make them exclude each other by a required `const`"
    )


def arrays_of_both(one: Arrays, other: Arrays, exprs: Exprs) -> Arrays | None:
    """The arrays of both; None where their bounds leave none."""
    n_prefix = max(len(one.prefix), len(other.prefix))
    result = Arrays(
        prefix=tuple(exprs.conjunction(one.item(i), other.item(i)) for i in range(n_prefix)),
        rest=exprs.conjunction(one.rest, other.rest),
        least=max(one.least, other.least),
        most=least_of(one.most, other.most),
        contains=tuple(dict.fromkeys((*one.contains, *other.contains))),
        unique=one.unique or other.unique,
    )
    return None if result.most is not None and result.most < result.least else result


def _other_arrays(array: Arrays, exprs: Exprs) -> Iterable[Arrays]:
    """Arrays that are not of `array`, as a union."""
    if array.unique:
        raise SchemaError(
            "`uniqueItems` cannot be negated, as `not`, `oneOf`, `if` or `contains` want it; "
            "leave it out",
            pointer=array.unique,
            keyword="uniqueItems",
        )
    if array.least > 0:
        yield Arrays(most=array.least - 1)
    if array.most is not None:
        yield Arrays(least=array.most + 1)
    for i, expr in enumerate(array.prefix):
        if expr != ANYTHING:
            wrong = (ANYTHING,) * i + (exprs.complement(expr),)
            yield Arrays(prefix=wrong, least=i + 1)
    if array.rest == NOTHING:
        yield Arrays(least=len(array.prefix) + 1)
    elif array.rest != ANYTHING:
        wrong_rest = Contains(len(array.prefix), exprs.complement(array.rest), 1, None)
        yield Arrays(contains=(wrong_rest,))
    for start, expr, least, most, place in array.contains:
        if least > 0:
            yield Arrays(contains=(Contains(start, expr, 0, least - 1, place),))
        if most is not None:
            yield Arrays(contains=(Contains(start, expr, most + 1, None, place),))


def objects_of_both(one: Objects, other: Objects, exprs: Exprs) -> Objects | None:
    """The objects of both; None where their bounds leave none."""
    names = {
        name: exprs.conjunction(one.of(name), other.of(name))
        for name in dict.fromkeys((*one.names, *other.names))
    }
    result = Objects(
        names=names,
        classes=tuple(_classes_of_both(one.classes, other.classes, exprs)),
        required=one.required | other.required,
        least=max(one.least, other.least),
        most=least_of(one.most, other.most),
        witnesses=tuple(dict.fromkeys((*one.witnesses, *other.witnesses))),
    )
    if result.most is not None and result.most < max(result.least, len(result.required)):
        return None
    if any(names[name] == NOTHING for name in result.required):
        return None
    return result


def _classes_of_both(
    ones: tuple[Class, ...], others: tuple[Class, ...], exprs: Exprs
) -> Iterable[Class]:
    for one in ones:
        for other in others:
            keys = both_keys(one.keys, other.keys)
            if keys is None or not keys.is_empty():
                yield Class(keys, exprs.conjunction(one.expr, other.expr))


def both_keys(one: ByteDFA | None, other: ByteDFA | None) -> ByteDFA | None:
    """The keys of both; None: all."""
    if one is None or other is None:
        return other if one is None else one
    return intersect(one, other)


def _other_objects(shape: Objects, exprs: Exprs) -> Iterable[Objects]:
    """Objects that are not of `shape`, as a union."""
    for name in shape.names:
        if name in shape.required:
            yield Objects(names={name: NOTHING})
        if shape.names[name] == NOTHING:
            yield Objects(names={name: ANYTHING}, required=frozenset((name,)))
        elif shape.names[name] != ANYTHING:
            wrong = {name: exprs.complement(shape.names[name])}
            yield Objects(names=wrong, required=frozenset((name,)))
    for keys, expr in shape.classes:
        if expr != ANYTHING:
            witness = Witness(keys, frozenset(shape.names), exprs.complement(expr))
            yield Objects(witnesses=(witness,))
    if shape.least > 0:
        yield Objects(most=shape.least - 1)
    if shape.most is not None:
        yield Objects(least=shape.most + 1)
    for witness in shape.witnesses:
        yield without_witness(witness, exprs)


def without_witness(witness: Witness, exprs: Exprs) -> Objects:
    """Objects in which no member is one."""
    others = dict.fromkeys(sorted(witness.others), ANYTHING)
    wrong = exprs.complement(witness.expr)
    if witness.keys is None:
        return Objects(names=others, classes=(Class(None, wrong),))
    rest = Class(strings.complement(witness.keys), ANYTHING)
    return Objects(names=others, classes=(Class(witness.keys, wrong), rest))


def restrict_keys(shape: Objects, allowed: Strings) -> Objects:
    """The objects of a shape whose keys are all of a language (`propertyNames`)."""
    keys = allowed.whole()
    names = {
        name: expr if keys.matches(encode(name)) else NOTHING for name, expr in shape.names.items()
    }
    classes = []
    for class_keys, expr in shape.classes:
        inside = both_keys(class_keys, keys)
        assert inside is not None
        outside = strings.complement(keys) if class_keys is None else subtract(class_keys, keys)
        classes += [Class(inside, expr), Class(outside, NOTHING)]
    kept = tuple(c for c in classes if c.keys is None or not c.keys.is_empty())
    return replace(shape, names=names, classes=kept)
