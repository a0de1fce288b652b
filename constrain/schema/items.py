"""What is left to write of an array: how many items, of what, and in how many bytes."""

from __future__ import annotations

from dataclasses import replace

from constrain.automata.words import count_words
from constrain.errors import GrammarLimitError, SchemaError
from constrain.schema.languages import (
    ALL_STRINGS,
    NOTHING,
    Arrays,
    Contains,
    Expr,
    Objects,
    least_of,
)
from constrain.schema.numbers import plain_words
from constrain.schema.shortest import IMPOSSIBLE, Known
from constrain.schema.space import Space

MANY = 1_000_000
"""Values that are as good as infinitely many: no array is that long."""


# --- which arrays there are ---------------------------------------------------------------


def plain_array(found: Arrays, space: Space) -> Arrays | None:
    """The same arrays with one `contains` at most, and at most as many items as can differ.

    Returns:
        None where there are none.

    Raises:
        SchemaError: items that must differ are no scalars, or are asked too much else.
    """
    array = _plain_contains(found, space)
    if array is None:
        return None
    if not array.unique or (array.most is not None and array.most < 2):
        return replace(array, unique="")
    try:
        n_values = _n_different(array, space)
    except SchemaError as error:
        if not space.lenient:
            raise
        space.warnings.append(error)
        return replace(array, unique="")
    if n_values is not None and n_values < array.least:
        return None
    return replace(array, most=least_of(array.most, n_values))


def _n_different(array: Arrays, space: Space) -> int | None:
    """How many different items an array has at most; None: any number."""
    reach = len(array.prefix) + 1
    exprs = {array.item(i) for i in range(reach if array.most is None else min(reach, array.most))}
    sizes = {_n_scalars(expr, array, space) for expr in exprs}
    if None in sizes and len(sizes) == 1 and not array.contains:
        return None
    if array.contains or array.prefix:
        raise _refused(array, "together with `contains`, or with few values for listed items")
    return sizes.pop()


def _n_scalars(expr: Expr, array: Arrays, space: Space) -> int | None:
    """How many values an expression has; None: without end, or very many."""
    values = space.values(expr)
    if any(not _is_nothing(o) for o in values.objects) or values.arrays:
        raise _refused(array, "of arrays or objects")
    try:
        texts = None if values.strings == ALL_STRINGS else values.strings.whole()
    except GrammarLimitError:
        raise _refused(array, "of strings that are so long") from None
    if texts is None:
        return None
    n_texts = count_words(texts, MANY)
    plain = plain_words(values.numbers.whole())
    n = values.null + len(values.booleans) + n_texts + count_words(plain, MANY)
    return None if n >= MANY else n


def _is_nothing(shape: Objects) -> bool:
    return any(shape.names[name] == NOTHING for name in shape.required)


def _refused(array: Arrays, what: str) -> SchemaError:
    """The error about items that must differ and cannot be told apart."""
    return SchemaError(
        f"`uniqueItems` {what} cannot be enforced; leave it out, or let the items be scalars",
        pointer=array.unique,
        keyword="uniqueItems",
    )


def _plain_contains(array: Arrays, space: Space) -> Arrays | None:
    """The same arrays with one `contains` at most; None where there are none.

    Raises:
        SchemaError: several say unlike things.
    """
    counts: dict[tuple[int, Expr], tuple[int, int | None]] = {}
    places: dict[tuple[int, Expr], str] = {}
    for start, expr, least, most, place in array.contains:
        known = counts.get((start, expr), (0, None))
        places.setdefault((start, expr), place)
        counts[start, expr] = max(known[0], least), least_of(known[1], most)
    if any(most is not None and most < least for least, most in counts.values()):
        return None
    kept = []
    for (start, expr), (least, most) in counts.items():
        if most != 0:
            kept.append(Contains(start, expr, least, most))
            continue
        other = space.complement(expr)
        own = [array.item(i) for i in range(max(start, len(array.prefix)))]
        prefix = (*own[:start], *(space.conjunction(item, other) for item in own[start:]))
        array = replace(array, prefix=prefix, rest=space.conjunction(array.rest, other))
    for further in kept[1:]:
        refused = SchemaError(
            "several `contains` of one array cannot be enforced; let one alternative have one",
            pointer=places[further.start, further.expr],
            keyword="contains",
        )
        if not space.lenient:
            raise refused
        space.warnings.append(refused)
    return replace(array, contains=tuple(kept[:1]))


# --- what the next item may be ------------------------------------------------------------


def items(array: Arrays, index: int, space: Space) -> tuple[tuple[Expr, int], ...]:
    """What the item at `index` can be, each with what it adds to the count of `contains`."""
    own = array.item(index)
    if not array.contains or index < array.contains[0].start:
        return ((own, 0),)
    wanted = array.contains[0].expr
    return (
        (space.conjunction(own, wanted), 1),
        (space.conjunction(own, space.complement(wanted)), 0),
    )


def clipped(array: Arrays, index: int, count: int) -> tuple[int, int]:
    """An index and a count with what no longer makes a difference left out."""
    if array.most is None:
        starts = [contains.start for contains in array.contains]
        index = min(index, max(1, len(array.prefix), array.least, *starts))
    if array.contains and array.contains[0].most is None:
        count = min(count, array.contains[0].least)
    return index, count


def may_close(array: Arrays, index: int, count: int) -> bool:
    """Whether an array may end before its item `index`, if `count` items are of `contains`."""
    return index >= array.least and _has_enough(array, count)


def _has_enough(array: Arrays, count: int) -> bool:
    if not array.contains:
        return True
    _, _, least, most, _ = array.contains[0]
    return count >= least and (most is None or count <= most)


# --- what is left in bytes ----------------------------------------------------------------


def array_cost(array: Arrays, index: int, count: int, costs: Known) -> int:
    """Bytes that complete an array from its item `index` on.

    Args:
        array: the shape.
        index: of the next item; what is written so far has no comma behind it.
        count: how many items so far are of `contains`.
        costs: of the items.

    Returns:
        With the closing bracket, and the opening one if `index` is 0; IMPOSSIBLE if nothing does.
    """
    least = _items_cost(array, index, count, costs)
    return IMPOSSIBLE if least >= IMPOSSIBLE else least + (1 if index else 2) - (index == 0 < least)


def _items_cost(array: Arrays, index: int, count: int, costs: Known) -> int:
    """Bytes of the items to come, a comma for each."""
    n_prefix = len(array.prefix)
    if array.contains:
        n_prefix = max(n_prefix, array.contains[0].start)
    # count of `contains` → least cost of the items before the current one.
    levels = {count: 0}
    best = IMPOSSIBLE
    for i in range(index, n_prefix):
        if i >= array.least:
            best = min(best, *(c for n, c in levels.items() if _has_enough(array, n)), IMPOSSIBLE)
        if array.most is not None and i >= array.most:
            return best
        following: dict[int, int] = {}
        for n, cost in levels.items():
            for expr, added in items(array, i, costs.space):
                total = cost + costs.of_known(expr) + 1
                if total < following.get(n + added, IMPOSSIBLE):
                    following[n + added] = total
        levels = following
        if not levels:
            return best
    start = max(index, n_prefix)
    return min(
        best,
        *(cost + _rest_cost(array, start, n, costs) for n, cost in levels.items()),
        IMPOSSIBLE,
    )


def _rest_cost(array: Arrays, index: int, count: int, costs: Known) -> int:
    """Bytes of the items from `index` on, all of which are of `array.rest`."""
    lacking = max(0, array.least - index)
    room = IMPOSSIBLE if array.most is None else array.most - index
    if room < 0:
        return IMPOSSIBLE
    if not array.contains:
        return lacking * (costs.of_known(array.rest) + 1) if lacking else 0
    _, _, least, most, _ = array.contains[0]
    (of_wanted, _), (of_other, _) = items(array, index, costs.space)
    wanted, other = costs.of_known(of_wanted) + 1, costs.of_known(of_other) + 1
    fewest = max(0, least - count)
    greatest = IMPOSSIBLE if most is None else most - count
    best = IMPOSSIBLE
    for n_wanted in (fewest, min(max(fewest, lacking), greatest)):
        n_other = max(0, lacking - n_wanted)
        if fewest <= n_wanted <= greatest and n_wanted + n_other <= room:
            cost = (n_wanted * wanted if n_wanted else 0) + (n_other * other if n_other else 0)
            best = min(best, cost)
    return best
